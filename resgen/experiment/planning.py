"""An experiment and what the command line says of it -> the runs, and the folder they are for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from resgen.errors import UserError, each
from resgen.experiment import commands
from resgen.experiment.checking import not_tested, read
from resgen.experiment.commands import START, Means
from resgen.experiment.model import Experiment, Member, Scale
from resgen.experiment.networks import Around, Made, made
from resgen.experiment.runs import COMMAND, Planned, digest
from resgen.files import check_folder, kind, make_folder, write_whole
from resgen.spec.writing import block_text
from resgen.train.data.facts import Table, placed, split_name

RUNS, SPECS, EXPERIMENT = "runs", "specs", "experiment.yaml"


class Choice(NamedTuple):
    """What the command line says of an experiment; what it leaves out is the file's."""

    scale: str | None = None
    data: str | None = None
    seeds: int | None = None
    changes: tuple[str, ...] = ()
    """Of the recipe, after the file's own: `optimizer.lr=0.05`."""

    def over(self, scale: Scale) -> Scale:
        """The scale as it is run."""
        said = {
            "data": self.data,
            "seeds": self.seeds,
            "set": [*scale.set_, *self.changes] if self.changes else None,
        }
        chosen = {key: value for key, value in said.items() if value is not None}
        return Scale.model_validate({**_written(scale), **chosen})


@dataclass(frozen=True)
class Study:
    """An experiment at one scale, ready to be run."""

    experiment: Experiment
    """As it is run: the chosen scale says what the command line said."""
    name: str
    scale: str
    folder: Path
    planned: tuple[Planned, ...]
    files: Mapping[Path, str]
    """What the runs need to be there."""
    notes: tuple[str, ...] = ()

    def write(self) -> None:
        """Writes the files; those that are there and the same stay as they are."""
        for path, text in self.files.items():
            # A run's command stays the one that began it.
            if not _holds(path, text) and not (path.name == COMMAND and path.exists()):
                make_folder(path.parent)
                write_whole(path, text)


def _holds(path: Path, text: str) -> bool:
    try:
        return path.read_text(encoding="utf-8") == text
    except (OSError, ValueError):
        return False


def plan(path_or_name: str, choice: Choice, root: Path, means: Means) -> Study:
    """Every run of an experiment. Raises UserError for whatever would stop one of them.

    Nothing is written or run, and no image read.
    """
    source = read(path_or_name)
    name, written = source.scale(choice.scale, choice.data)
    scale = choice.over(written)
    _check_data(scale.data)
    check_folder(root)
    around = Around(source, name, scale, choice.changes)
    found = each(lambda network: made(around, network), scale.networks)
    networks = dict(zip(scale.networks, found, strict=True))
    folder = root / f"{source.name}-{name}"
    specs = {network: folder / SPECS / f"{network}.yaml" for network in networks}
    planned = _runs(scale, networks, specs, root / RUNS, means)
    as_run, text = _as_run(around, networks)
    files = {folder / EXPERIMENT: text}
    files |= {specs[network]: one.text for network, one in networks.items()}
    # With a file of ours in it a run's folder can be resumed before its first step.
    files |= {run.folder / COMMAND: f"{run.command}\n" for run in planned}
    notes = [
        f"{name} has no network {missing}: what is expected of it is not tested here"
        for missing in not_tested(source.experiment, scale)
    ]
    return Study(as_run, source.name, name, folder, planned, files, tuple(notes))


def _check_data(data: str) -> None:
    """Raises UserError for data that no run could read."""
    name, text = split_name(data)
    path = placed(data)
    if path is None or (name == "hf" and Table.of(text).of_hub):
        return
    if kind(path) == "nothing":
        raise UserError(f"--data {data}: there is no {path}")


def _runs(
    scale: Scale, made: Mapping[str, Made], specs: Mapping[str, Path], store: Path, means: Means
) -> tuple[Planned, ...]:
    """All runs, a network that another begins from before it."""
    found: dict[tuple[str, int], Planned] = {}
    hashes: dict[str, str] = {}

    def folder_of(network: str) -> Path:
        first = scale.networks[network].deepens
        if network not in hashes:
            before = None if first is None else folder_of(first).name
            hashes[network] = digest({**made[network].facts, "begins": before})
        return store / f"{made[network].name.replace(' ', '-')[:64]}-{hashes[network]}"

    def run(network: str, seed: int) -> Planned:
        if (network, seed) in found:
            return found[network, seed]
        first, each = scale.networks[network].deepens, made[network]
        after = None if first is None else run(first, seed)
        folder = folder_of(network) / f"seed-{seed}"
        start = None if after is None else folder / START
        argv = commands.train(
            specs[network], folder, seed=seed, data=scale.data, recipe=each.recipe,
            changes=each.changes, means=means, start=start,
        )  # fmt: skip
        before = (commands.deepen(after.folder, specs[network], start),) if after and start else ()
        found[network, seed] = Planned(network, specs[network], seed, folder, argv, before, after)
        return found[network, seed]

    # Every network's first seed before any second one: what is wrong with one shows early.
    for seed in range(scale.seeds):
        for network in made:
            run(network, seed)
    return tuple(found.values())


def _as_run(around: Around, made: Mapping[str, Made]) -> tuple[Experiment, str]:
    """The experiment at one scale; and as a file, whose networks are the specs beside it."""
    scale, keys = around.scale, _written(around.source.experiment)
    networks: dict[str, dict[str, object]] = {}
    for network, member in scale.networks.items():
        networks[network] = {"spec": f"{SPECS}/{network}.yaml"}
        if member.set_:
            networks[network]["set"] = list(made[network].changes)
        if member.deepens is not None:
            networks[network]["deepens"] = member.deepens
    recipe = around.beside(scale.recipe)
    found = Experiment.model_validate({**keys, "scales": {around.name: _written(scale)}})
    keys["scales"] = {around.name: {**_written(scale), "recipe": recipe, "networks": networks}}
    return found, block_text(keys)


def _written(model: Experiment | Scale | Member) -> dict[str, object]:
    """The keys that were written, as plain values."""
    return model.model_dump(mode="json", by_alias=True, exclude_unset=True)
