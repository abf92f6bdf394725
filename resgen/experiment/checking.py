"""An experiment's file, and whether the networks it names are there."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from resgen.errors import UserError
from resgen.experiment.model import Experiment, Member, Scale
from resgen.spec.mistakes import Document, Path_, at, dotted, nearest
from resgen.spec.reading import read_document, validate
from resgen.spec.shipped import find

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}")
"""Of networks and scales: they become names of files."""


class Source(NamedTuple):
    """An experiment, and where its keys were written."""

    experiment: Experiment
    document: Document
    file: Path

    @property
    def name(self) -> str:
        """The shipped name, or the file's."""
        return self.file.stem

    def wrong(self, path: Path_, sentence: str) -> UserError:
        """The sentence about what is written at a path, with its place."""
        place = at(path, self.document.keys, self.document.values) or self.document.file
        return UserError(f"{place}: {dotted(path)}: {sentence}")

    def scale(self, name: str | None, data: str | None) -> tuple[str, Scale]:
        """The scale that is meant: by its name, by the data's, the digits', or the only one.

        Raises UserError where none is.
        """
        scales = self.experiment.scales
        if name is not None:
            if name not in scales:
                raise UserError(f"--scale {name}: no such scale{nearest(name, list(scales))}")
            return name, scales[name]
        kind = (data or "").partition(":")[0]
        found = [each for each, scale in scales.items() if _kind(scale) == kind] if data else []
        if data and not found:
            known = ", ".join(f"{each} ({_kind(scale)})" for each, scale in scales.items())
            raise UserError(
                f"--data {data}: {self.name} has no scale for {kind}, only {known}; say with "
                "--scale which of them is meant"
            )
        chosen = (found or [each for each in scales if len(scales) == 1 or each == "digits"])[:1]
        if not chosen:
            raise UserError(f"{self.name}: say which --scale: {', '.join(scales)}")
        return chosen[0], scales[chosen[0]]


def _kind(scale: Scale) -> str:
    return scale.data.partition(":")[0]


def read(path_or_name: str) -> Source:
    """The experiment of a file or a shipped name, checked. Raises UserError."""
    file = find("experiment", path_or_name)
    document = read_document(file, what="experiment")
    source = Source(validate(Experiment, document), document, file)
    lines: list[str] = []
    for mistake in (*_names(source), *_named(source), *_beginnings(source)):
        lines += mistake.lines
    if lines:
        raise UserError(*dict.fromkeys(lines))
    return source


def _names(source: Source) -> Iterator[UserError]:
    rule = "a name is letters, digits and ._+-, at most 64, and begins with one of the first two"
    for scale, found in source.experiment.scales.items():
        if not _NAME.fullmatch(scale):
            yield source.wrong(("scales", scale), rule)
        for name in found.networks:
            if not _NAME.fullmatch(name):
                yield source.wrong(("scales", scale, "networks", name), rule)


def _named(source: Source) -> Iterator[UserError]:
    """What is named and is at no scale."""
    experiment = source.experiment
    known = list(dict.fromkeys(n for scale in experiment.scales.values() for n in scale.networks))
    said: list[tuple[Path_, str | None]] = []
    for index, each in enumerate(experiment.expect):
        said += [(("expect", index, "of"), each.of), (("expect", index, "than"), each.than)]
    for line, names in experiment.series.items():
        said += [(("series", line, index), name) for index, name in enumerate(names)]
    said += [
        (("published", index, "network"), each.network)
        for index, each in enumerate(experiment.published)
    ]
    for path, name in said:
        if name is not None and name not in known:
            yield source.wrong(path, f"no scale has a network {name}{nearest(name, known)}")


def _beginnings(source: Source) -> Iterator[UserError]:
    """A network that begins as one which is not there, or as itself in the end."""
    for scale, found in source.experiment.scales.items():
        for name, member in found.networks.items():
            path = ("scales", scale, "networks", name, "deepens")
            if member.deepens is None:
                continue
            if member.deepens not in found.networks:
                known = [each for each in found.networks if each != name]
                hint = nearest(member.deepens, known)
                yield source.wrong(path, f"this scale has no network {member.deepens}{hint}")
            elif name in (circle := _ancestors(name, found.networks)):
                way = " begins as ".join([name, *circle[: circle.index(name) + 1]])
                yield source.wrong(path, f"{way}; one of them must be trained from scratch")


def _ancestors(name: str, networks: Mapping[str, Member]) -> list[str]:
    """What a network begins as, and what that does, until it repeats."""
    found: list[str] = []
    begins = networks[name].deepens
    while begins is not None and begins in networks and begins not in found:
        found.append(begins)
        begins = networks[begins].deepens
    return found


def not_tested(experiment: Experiment, scale: Scale) -> list[str]:
    """The networks that the claim names and that this scale has not."""
    named = [name for each in experiment.expect for name in (each.of, each.than) if name]
    return [name for name in dict.fromkeys(named) if name not in scale.networks]
