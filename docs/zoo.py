"""The shipped networks as pages, a family each: made from the specs when the site is built."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from resgen import cost, draw, load_spec, resolve
from resgen.cost import COUNTING
from resgen.plan import Plan
from resgen.spec import shipped
from resgen.words import short, size

HERE = Path(__file__).parent


class Shown(NamedTuple):
    """A shipped network: its name with its folder, its Plan, its file."""

    name: str
    plan: Plan
    file: Path

    @property
    def short(self) -> str:
        """Its name without its folder, which its page says."""
        return self.name.rpartition("/")[2]

    @property
    def references(self) -> tuple[str, ...]:
        """What it was checked against: `torchvision:resnet50`."""
        return load_spec(self.name).reference

    def row(self) -> str:
        """A line of the family's table."""
        books = cost(self.plan)
        figures = (size(self.plan.input), _short(books.params), _short(books.macs),
                   _short(books.activations), str(self.plan.weighted_layers))  # fmt: skip
        return f"| [{self.short}](#{self.anchor}) | {' | '.join(figures)} |"

    @property
    def anchor(self) -> str:
        """What the page calls its section."""
        return self.short.lower().replace(".", "-").replace("+", "-")

    def section(self, opened: bool) -> str:
        """Its exact figures, what it was checked against, its spec, its drawing."""
        books = cost(self.plan)
        checked = ", ".join(f"`{each}`" for each in self.references)
        text = "".join(
            f"    {line}" for line in self.file.read_text(encoding="utf-8").splitlines(True)[1:]
        )
        return f"""
### {self.short} {{ #{self.anchor} }}

{books.params:,} params, {books.macs:,} MACs, {books.activations:,} activations.
{f"Checked against {checked}." if checked else ""}

??? note "`{self.name}`, its spec"

    ```yaml
{text}    ```

???{"+" * opened} example "Its drawing"

    ![{self.short}, from the image down]({self.name}.svg){{ loading=lazy }}
"""


def families() -> dict[str, list[Shown]]:
    """Every shipped network by its folder, the least MACs first."""
    found = [
        Shown(name, resolve(name), shipped.find("spec", name)) for name in shipped.names("spec")
    ]
    grouped = groupby(found, lambda shown: shown.name.partition("/")[0])
    return {
        family: sorted(members, key=lambda shown: cost(shown.plan).macs)
        for family, members in grouped
    }


def known() -> dict[str, dict[str, Any]]:
    """Titles and papers of the families."""
    read: dict[str, dict[str, Any]] = yaml.safe_load(
        (HERE / "zoo.yaml").read_text(encoding="utf-8")
    )
    return read


def page(family: str, members: list[Shown], about: dict[str, Any]) -> str:
    """The page of a family."""
    papers = "\n".join(f"- {paper}" for paper in about["papers"])
    return "\n".join(
        [
            f"# {about['title']}",
            "",
            papers,
            "",
            f"`resgen list --family {family}` lists them, and `resgen summarize "
            f"{members[0].name}` proves the first.",
            "",
            "| network | input | params | MACs | activations | layers |",
            "|---|---|--:|--:|--:|--:|",
            *(shown.row() for shown in members),
            "",
            f"{COUNTING}.",
            "",
            "## Each of them",
            *(shown.section(shown is members[0]) for shown in members),
        ]
    )


def index(found: dict[str, list[Shown]], about: dict[str, dict[str, Any]]) -> str:
    """The page of all families."""
    lines = []
    for family, members in found.items():
        params = [cost(shown.plan).params for shown in members]
        macs = [cost(shown.plan).macs for shown in members]
        source = re.match(r".*?\d{4}", about[family]["papers"][0])
        lines.append(
            f"| [{about[family]['title']}]({family}.md) | {len(members)} "
            f"| {_range(params)} | {_range(macs)} | {source[0] if source else ''} |"
        )
    count = sum(map(len, found.values()))
    return "\n".join(
        [
            "# The zoo",
            "",
            f"The {count} networks of {len(found)} families that come with resgen. Where a network "
            "names what it was checked against, its params and MACs agree to the integer. `resgen "
            "list` has them all, and `extends: imagenet/resnet50` starts from one.",
            "",
            "| family | networks | params | MACs | from |",
            "|---|--:|--:|--:|---|",
            *lines,
            "",
            f"{COUNTING}.",
            "",
        ]
    )


def _short(count: int) -> str:
    """A figure that is not broken before its unit."""
    return short(count).replace(" ", "\u00a0")


def _range(counts: list[int]) -> str:
    low, high = _short(min(counts)), _short(max(counts))
    return low if low == high else f"{low} to {high}"


def files() -> Iterator[tuple[str, str]]:
    """(path in the site, content) of every page and drawing."""
    found, about = families(), known()
    yield "zoo/index.md", index(found, about)
    for family, members in found.items():
        yield f"zoo/{family}.md", page(family, members, about[family])
        for shown in members:
            yield f"zoo/{shown.name}.svg", draw(shown.plan)
