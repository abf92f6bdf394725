"""The results in docs/experiments.md, written from the folders of experiments that were run.

    resgen experiment degradation && python docs/results.py experiments/degradation-digits ...

Everything behind the page's last heading is renewed; figures named there are copied beside it.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from resgen.experiment.outcome import Outcome, read_outcome

PAGE = Path(__file__).with_name("experiments.md")
FIGURES = PAGE.with_name("figures")
START = "## What came out"
SHOWN = ("responses", "gradients", "cost", "depth")
"""The figures of an experiment that the page shows, where it has them: the first of these."""


def main() -> None:
    """Renews the page."""
    folders = [Path(each) for each in sys.argv[1:]]
    outcomes = [read_outcome(folder) for folder in folders]
    head, start, _ = PAGE.read_text(encoding="utf-8").partition(START)
    if not start:
        raise SystemExit(f"{PAGE}: has no heading {START!r}")
    parts = [head + START, *_summary(outcomes)]
    for folder, outcome in zip(folders, outcomes, strict=True):
        parts += _section(folder, outcome)
    PAGE.write_text("\n".join(parts).rstrip() + "\n", encoding="utf-8")


def _summary(outcomes: list[Outcome]) -> list[str]:
    said = outcomes[0].environment
    lines = [
        "",
        f"Measured with resgen {said.get('resgen')}, torch {said.get('torch')}, on two CPU cores"
        " with bf16 instructions, one thread a run.",
        "Errors in %: the mean over the seeds and in brackets its standard deviation; of training,"
        " with the weights of each step of the last epoch.",
        "",
        "| experiment | data | verdict |",
        "|---|---|---|",
    ]
    return [*lines, *(f"| {o.title} | {o.scale} | **{o.verdict}** |" for o in outcomes)]


def _section(folder: Path, outcome: Outcome) -> list[str]:
    tables = folder / "tables"
    data = f" --data {outcome.data.partition(':')[0]}:PATH" if ":" in outcome.data else ""
    seeds = max(row.n for row in outcome.rows)
    lines = [
        "",
        f"### {outcome.title}, {outcome.scale}",
        "",
        f"{outcome.source}. {outcome.claim}",
        "",
        f"    $ resgen experiment {outcome.name} --scale {outcome.scale}{data} --seeds {seeds}",
        "",
        f"**{outcome.verdict.capitalize()}.** {outcome.sentence}",
        "",
        (tables / "networks.md").read_text(encoding="utf-8").strip(),
        "",
        (tables / "comparisons.md").read_text(encoding="utf-8").strip(),
        "",
    ]
    drawn = {Path(file).stem: (file, caption) for file, caption in outcome.figures.items()}
    for name in [each for each in SHOWN if each in drawn][:1]:
        file, caption = drawn[name]
        FIGURES.mkdir(exist_ok=True)
        copy = FIGURES / f"{folder.name}-{name}.svg"
        shutil.copyfile(folder / file, copy)
        lines += [f"![{caption}](figures/{copy.name})", ""]
    return [*lines, f"Beyond it: {outcome.said}"] if outcome.said else lines


if __name__ == "__main__":
    main()
