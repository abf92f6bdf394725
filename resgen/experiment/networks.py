"""A network of an experiment -> its spec written out, its recipe, and what tells it from others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from resgen.cost.budget import amount
from resgen.errors import UserError
from resgen.experiment.checking import Source
from resgen.experiment.model import Fit, Member, Scale
from resgen.files import kind
from resgen.plan import resolve
from resgen.search.fit import fit
from resgen.spec import Spec, load_spec
from resgen.spec.assigning import set_values
from resgen.spec.loading import resolved_data
from resgen.spec.reading import parse_document, validate
from resgen.spec.text import plain, spec_text
from resgen.train.data.facts import UNKNOWN, absolute, check, fixed, split_name
from resgen.train.data.images import Wanted
from resgen.train.recipe.keys import read_recipe
from resgen.words import overridden


class Around(NamedTuple):
    """What the networks of a scale share; `typed` are the command line's changes of the recipe."""

    source: Source
    name: str
    scale: Scale
    typed: tuple[str, ...]

    def beside(self, word: str) -> str:
        """The file of that name beside the experiment's, where there is one; else the word."""
        file = self.source.file.parent / word
        return str(file) if kind(file) == "file" else word

    def wrong(self, error: UserError, *path: str) -> UserError:
        """The error, with the place in the scale that led to it."""
        return self.source.wrong(("scales", self.name, *path), str(error))


class Made(NamedTuple):
    """A network, how it is trained, and what makes its runs others than another's."""

    name: str
    text: str
    """The spec's file."""
    recipe: str
    changes: tuple[str, ...]
    facts: Mapping[str, object]


def made(around: Around, network: str) -> Made:
    """The network of that name. Raises UserError with the place where it is said."""
    member = around.scale.networks[network]
    try:
        spec, text = _spec(around, member)
        resolve(spec)
        _check_data(spec, around.scale.data)
    except UserError as error:
        raise around.wrong(error, "networks", network, "spec") from None
    recipe = around.beside(around.scale.recipe)
    try:
        preset = read_recipe(recipe)
    except UserError as error:
        raise around.wrong(error, "recipe") from None
    # What a network says holds against its scale, and what is typed against both.
    changes = _last_of_each([*around.scale.set_, *member.set_, *around.typed])
    try:
        chosen = set_values(preset, changes)
    except UserError as error:
        if any(each in str(error) for each in around.typed):
            raise
        own = ("networks", network) if member.set_ else ()
        raise around.wrong(error, *own, "set") from None
    facts = {
        "network": {k: v for k, v in resolved_data(spec).items() if k != "language"},
        "recipe": chosen.model_dump(mode="json", exclude={"description"}, exclude_defaults=True),
        "data": _data(around.scale.data),
    }
    return Made(spec.name, text, recipe, changes, facts)


def _spec(around: Around, member: Member) -> tuple[Spec, str]:
    """The spec with its changes, scaled to its budget; and as a file that needs no other."""
    spec = load_spec(around.beside(member.spec), member.with_)
    said = member.spec + (f" with {overridden(member.with_)}" if member.with_ else "")
    if member.fit is None:
        return spec, spec_text(plain(spec), said)
    data, how = _fitted(spec, member.fit)
    text = spec_text(data, f"{said}, {how}")
    return validate(Spec, parse_document(text, "spec")), text


def _fitted(spec: Spec, goal: Fit) -> tuple[Mapping[str, object], str]:
    """What `resgen fit` finds, and the command."""
    if (goal.macs is None) == (goal.params is None):
        raise UserError("fit: give one target, macs or params")
    measure = "params" if goal.macs is None else "macs"
    target = goal.macs or goal.params or ""
    found = fit(spec, amount(target, f"fit.{measure}"), measure, by=goal.by)
    name = f"{spec.name}-{target}".replace(",", "")
    return {**found.data, "name": name}, f"resgen fit --by {goal.by} --{measure} {target}"


def _check_data(spec: Spec, data: str) -> None:
    """Raises UserError where the network cannot learn the data, as far as one can see unread."""
    kind_, _ = split_name(data)
    if kind_ not in UNKNOWN:
        size = (spec.input.size[0], spec.input.size[1])
        wanted = Wanted(data, channels=spec.input.channels, size=size, classes=spec.classes)
        check(fixed(kind_, wanted), wanted)


def _data(data: str) -> str:
    """The data set, wherever it lies; a folder of images is known by its place alone."""
    name, _, path = data.partition(":")
    if name == "folder":
        return f"{name}:{Path(path).resolve()}"
    return absolute(data) if name == "hf" else name


def _last_of_each(changes: Iterable[str]) -> tuple[str, ...]:
    """Of several values for a key the last."""
    return tuple({each.partition("=")[0].strip(): each for each in changes}.values())
