"""The specs, recipes and experiments that come with resgen, found by path or by name."""

from __future__ import annotations

import os
import re
from functools import cache
from pathlib import Path

from resgen.errors import UserError
from resgen.files import kind as kind_of
from resgen.spec.mistakes import near
from resgen.words import joined

_INSIDE = Path(__file__).parents[1] / "specs"  # in an installed wheel
_BESIDE = Path(__file__).parents[2] / "specs"  # in a checkout

KINDS = {"spec": "", "recipe": "recipes", "experiment": "experiments"}
"""What is shipped, and its folder; specs lie in all the other folders."""


def root() -> Path:
    """The folder of the shipped specs."""
    return _INSIDE if _INSIDE.is_dir() else _BESIDE


def schema_file(kind: str) -> Path:
    """The JSON Schema of a kind, which the first line of every shipped file of it names.

    It lies beside the folders of what is shipped, so that `../` leads to it in a checkout and in
    an installed wheel.
    """
    return root() / f"{kind}.schema.json"


@cache
def names(kind: str = "spec") -> tuple[str, ...]:
    """Every shipped name of a kind (spec, recipe, experiment), a spec's with its folder."""
    folder = root() / KINDS[kind]
    others = {folder / each for each in KINDS.values() if each} - {folder}
    found = (path for path in folder.rglob("*.yaml") if others.isdisjoint(path.parents))
    return tuple(sorted(path.relative_to(folder).with_suffix("").as_posix() for path in found))


def find(kind: str, name: str) -> Path:
    """The file of a path or a shipped name; a path wins over a name.

    The last part of a name serves where it is unambiguous. Raises UserError where nothing
    or more than one thing is meant.
    """
    path = Path(name)
    if kind_of(path) != "nothing" or path.suffix in (".yaml", ".yml"):
        return path
    folder = root() / KINDS[kind]
    known = names(kind)
    matches = [n for n in known if n == name] or [n for n in known if n.endswith(f"/{name}")]
    if len(matches) == 1:
        return folder / f"{matches[0]}.yaml"
    if matches:
        raise UserError(f"{name}: several {kind}s have this name: {', '.join(matches)}")
    if kind == "spec" and (others := _checked_against(name)):
        raise UserError(f"{name}: no spec of this name is shipped; the network is {others[0]}")
    way_out = (
        "`resgen list` shows them" if kind == "spec" else f"known are {joined(known or ['none'])}"
    )
    hint = f"did you mean {joined(found, 'or')}?" if (found := guesses(kind, name)) else way_out
    raise UserError(f"{name}: no such file, and no {kind} of this name is shipped; {hint}")


def guesses(kind: str, name: str) -> list[str]:
    """The shipped names that a mistyped one may stand for, each of which `find` knows.

    One that looks the same (resnet5O, ResNet50) is meant before one of the same letters.
    """
    called: dict[str, list[str]] = {}
    for known in names(kind):
        for each in {known, known.rpartition("/")[2]}:
            called.setdefault(each, []).append(known)
    same = [each for each in called if _look(each) == _look(name)]
    return called[same[0]] if same else [n for each in near(name, called) for n in called[each]]


def _look(name: str) -> str:
    """A name as the eye takes it: O is 0, l and I are 1, and size does not matter."""
    return name.lower().translate(str.maketrans("oil", "011"))


def _checked_against(reference: str) -> list[str]:
    """The shipped specs whose `reference` is a network of that name, whatever its source."""
    wanted = re.compile(rf"^reference:.*:{re.escape(reference)}\s*[,\]\n]", re.MULTILINE)
    texts = ((name, root() / f"{name}.yaml") for name in names())
    return [name for name, path in texts if wanted.search(path.read_text(encoding="utf-8"))]


def family(name: str) -> str | None:
    """The folder of a shipped spec, by its file or name; None of any other."""
    try:
        path = Path(os.path.realpath(find("spec", name)))
    except UserError:
        return None
    place = Path(os.path.realpath(root()))
    return path.relative_to(place).parts[0] if path.is_relative_to(place) else None
