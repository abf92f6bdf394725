"""An experiment's folder written by hand, as `resgen experiment degradation` leaves one."""

from __future__ import annotations

from math import exp
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from resgen import cost, load_spec, resolve
from resgen.experiment.outcome import Comparison, Outcome, Row, Run
from resgen.spec.loading import resolved_data
from resgen.train.run.figures import draw_curves

# Training and held-out errors of five seeds each, as one machine had them.
ERRORS = {
    "plain20": ((0.0, 0.0, 0.0, 0.0, 0.0), (0.008, 0.014, 0.019, 0.019, 0.017)),
    "plain56": ((0.472, 0.354, 0.484, 0.658, 0.307), (0.514, 0.406, 0.550, 0.722, 0.344)),
    "resnet20": ((0.0, 0.0, 0.0, 0.0, 0.0), (0.008, 0.008, 0.011, 0.014, 0.008)),
    "resnet56": ((0.0, 0.0, 0.0, 0.0, 0.0), (0.011, 0.011, 0.022, 0.017, 0.011)),
}


def comparison(**changes: Any) -> Comparison:
    found: dict[str, Any] = {
        "sentence": "plain56's training error is above plain20's",
        "test": "Welch's t interval, 95 %",
        "n": (5, 5),
        "mean": 0.455,
        "low": 0.286,
        "high": 0.624,
        "agree": (5, 5),
        "verdict": "holds",
        "measure": "train_error",
    }
    return Comparison(**{**found, **changes})


def row(network: str) -> Row:
    spec = load_spec(f"digits/{network}")
    plan = resolve(spec)
    books, (train, heldout) = cost(plan), ERRORS[network]
    return Row(
        network, resolved_data(spec), plan.weighted_layers, books.params, books.macs,
        {"train_error": mean(train), "heldout_error": mean(heldout)},
        {"train_error": stdev(train), "heldout_error": stdev(heldout)}, len(train),
    )  # fmt: skip


def runs() -> list[Run]:
    return [
        Run(
            network, seed, f"runs/{network}/seed-{seed}",
            f"resgen train digits/{network} --seed {seed} --out runs/{network}/seed-{seed}",
            "finished", "", {"train_error": train, "heldout_error": heldout},
        )
        for network, (trains, heldouts) in ERRORS.items()
        for seed, (train, heldout) in enumerate(zip(trains, heldouts, strict=True))
    ]  # fmt: skip


def outcome(**changes: Any) -> Outcome:
    found: dict[str, Any] = {
        "name": "degradation",
        "title": "Deeper plain networks train worse, residual ones do not",
        "claim": "A plain network of 56 layers has a higher training error than one of 20 trained "
        "alike; with identity shortcuts, at the same params and MACs, it has not.",
        "source": "He et al. 2015, section 4.2, figures 1 and 6",
        "said": "It is often said that gradients vanish in the deeper plain network. These runs do "
        "not show that: with batch normalization the paper finds healthy gradients (section 4.1).",
        "scale": "digits",
        "data": "the 1,797 digits of scikit-learn, 1,437 to train on",
        "recipe": "the recipe digits",
        "verdict": "holds",
        "sentence": "The deeper plain network is worse on its own training images in 5 of 5 seeds, "
        "by 45.5 points on average; the residual ones are alike.",
        "comparisons": [
            comparison(),
            comparison(
                sentence="resnet56's training error is not above resnet20's", mean=0.0, low=None,
                high=None, why="the same in every run",
            ),
            comparison(
                sentence="resnet56's held-out error is below resnet20's", mean=0.0046, low=-0.0013,
                high=0.0105, agree=(0, 5), verdict="undecided", measure="heldout_error",
                why="0 lies in the interval",
            ),
        ],
        "rows": [row(network) for network in ERRORS],
        "runs": runs(),
        "measures": {"train_error": "training error (%)", "heldout_error": "held-out error (%)"},
        "series": {"plain": ["plain20", "plain56"], "residual": ["resnet20", "resnet56"]},
        "published": [
            {"network": "resnet20", "value": 0.0875, "what": "test error", "data": "cifar10",
             "where": "He et al. 2015, table 6"},
            {"network": "resnet56", "value": 0.0697, "what": "test error", "data": "cifar10",
             "where": "He et al. 2015, table 6"},
        ],
        "figures": {
            "curves.svg": "Errors over epochs, the mean of five seeds in a band of a deviation.",
            "depth.svg": "Training error against depth.",
        },
        "commands": ["resgen experiment degradation --scale digits --out experiments/degradation"],
        "environment": {"python": "3.11.7", "torch": "2.9.0", "cpus": 2, "git": None},
    }  # fmt: skip
    return Outcome(**{**found, **changes})


def curves() -> dict[str, list[list[dict[str, Any]]]]:
    """Rows of metrics that fall to the errors a run ended with."""
    return {
        network: [
            [
                {
                    "epoch": epoch,
                    "rate": 0.05 * (1 - epoch / 25),
                    "train_loss": 2.3 * exp(-epoch / 5),
                    "heldout_loss": 2.4 * exp(-epoch / 5),
                    "train_error": t + (0.9 - t) * exp(-epoch / 5),
                    "heldout_error": h + (0.9 - h) * exp(-epoch / 5),
                }
                for epoch in range(1, 25)
            ]
            for t, h in zip(*errors, strict=True)
        ]
        for network, errors in ERRORS.items()
    }


def depth_figure(path: Path) -> None:
    """A plot with matplotlib's own colours: black text and axes on white."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 3.2), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for kind in ("plain", "resnet"):
        axes.errorbar(
            (20, 56), [100 * mean(ERRORS[f"{kind}{depth}"][0]) for depth in (20, 56)],
            [100 * stdev(ERRORS[f"{kind}{depth}"][0]) for depth in (20, 56)],
            marker="o", capsize=4, label=kind,
        )  # fmt: skip
    axes.set(xlabel="layers", ylabel="training error (%)")
    axes.legend()
    figure.savefig(path, metadata={"Date": None})


def write_experiment(folder: Path, **changes: Any) -> Path:
    """The folder with experiment.json and two figures."""
    folder.mkdir(parents=True)
    outcome(**changes).write(folder)
    draw_curves(curves(), folder / "curves.svg", title="digits")
    depth_figure(folder / "depth.svg")
    return folder
