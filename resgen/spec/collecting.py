"""Every mistake of an input at once: what is wrong is taken out, and the rest looked at again.

A validation stops where a rule between keys is broken, and reads no rule while a key is wrong.
So each mistake found is replaced in a copy of the input by something harmless, until no more are
found; a rule that asks for what was replaced is left out. An input without a mistake never
comes here.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from typing import Any

from pydantic import BaseModel, ValidationError

from resgen.spec.block import BLOCK_KEYS
from resgen.spec.mistakes import Document, Path_, at
from resgen.spec.sentences import MOST, Problem, as_written, holds, lines, meant, problem, problems
from resgen.spec.settings import RIVALS

_PASSES = 32
_STAGE = {
    "depth": 1, "width": 64, "block": "basic", "shortcut": "none", "bottleneck_ratio": 1,
    "groups": 1,
}  # fmt: skip
_HARMLESS: dict[str, object] = {
    "name": "x", "input": {"size": 224}, "stem": "conv3x3", "stages": [_STAGE], "classes": 10,
    "block": "basic", "shortcut": "none", "width": 64,
    "description": "x", "length": "1 epochs", "batch": 1, "optimizer": {"lr": 1},
}  # fmt: skip
"""What stands for a key that must be there; other keys are left out."""
_IN_BLOCKS = (*BLOCK_KEYS, "stages", "regnet", "define", "stem", "head")
_SIZES = ("depth", "width")
"""Keys by whose values others mean something; and of them, those by whose numbers none does."""
_PATHS = ("block", "projection", "attention", "before", "stem", "head")
"""Keys that may hold a path. What is wrong with one is wrong whatever stands beside it."""


def mistakes(error: ValidationError, model: type[BaseModel], document: Document) -> list[str]:
    """A line for each mistake of a document whose first validation ended with this error."""
    found = problems(error, document)
    if any(_said(each, model) == ("extends",) for each in found):
        found = _own(found)
    else:
        found = _Mended(model, document).all(found)
    return lines(_one_of_all(found, document), model, document)


def _said(each: Problem, model: type[BaseModel]) -> Path_:
    """What is wrong, by the name that a misspelt key stands for."""
    if each.kind != "extra_forbidden" or len(each.path) > 1:
        return each.path
    return (meant(each, model).key,)


def of_keys(model: type[BaseModel], document: Document) -> list[str]:
    """A line for each mistake in the keys of a document alone, whatever it extends."""
    try:
        model.model_validate(document.data)
    except ValidationError as error:
        return lines(_own(problems(error, document)), model, document)
    return []


def _own(found: list[Problem]) -> list[Problem]:
    """Less what a base may have, or may have otherwise."""
    return [each for each in found if each.kind != "missing" and each.found["loc"]]


def _one_of_all(found: list[Problem], document: Document) -> list[Problem]:
    """Less the same rule in every stage: a key at the top, which they share, breaks it."""

    at_top = any(document.data.get(key) is not None for key in _WIDTHS[:-2])

    def rule(each: Problem) -> str:
        is_stage = each.kind == "rule" and each.path[:1] == ("stages",)
        whole = is_stage and (len(each.path) == 2 or (each.path[-1] == "width" and at_top))
        return re.sub(r"[0-9.]+", "#", str(each.found["msg"])) if whole else ""

    counts = Counter(filter(None, map(rule, found)))
    stages = document.data.get("stages")
    shared = {
        text
        for text, count in counts.items()
        if not isinstance(stages, list) or count == len(stages) > 1 or "is missing" in text
    }
    kept, said = [], set()
    for each in found:
        text = rule(each)
        if text not in said:
            kept.append(each)
        said |= {text} & shared
    return kept


_PAIRS = tuple(key for pair in RIVALS for key in pair)
_WIDTHS = (*_PAIRS, "first_width", "block", "shortcut")
"""What a stage's width goes by, and what it must have."""


class _Mended:
    """A copy of a document in which what is wrong is replaced, step by step."""

    def __init__(self, model: type[BaseModel], document: Document) -> None:
        self.model, self.document = model, document
        self.data: Any = _copied(document.data)
        # What was wrong, what an unknown key may have stood for, and keys under another name.
        self.replaced: set[Path_] = set()
        self.missed: set[Path_] = set()
        self.renamed: dict[Path_, Path_] = {}
        self.idle: set[Path_] = set()  # of what is replaced, what meant nothing: no rule goes by it

    def all(self, first: list[Problem]) -> list[Problem]:
        """The problems found at first, and those found behind them."""
        found, new = list(first), first
        for _ in range(_PASSES):
            if len(found) > MOST or not self._mend(new):
                break
            try:
                self.model.model_validate(self.data)
            except ValidationError as error:
                new = problems(error, self._document())
                found += [self._named(each) for each in new if not self._follows(each)]
            else:
                break
        return found

    def _document(self) -> Document:
        return self.document._replace(data=self.data)

    def _named(self, each: Problem) -> Problem:
        """A problem by the names that the document has, and not its copy."""
        for new, old in self.renamed.items():
            if each.path[: len(new)] == new:
                written, _ = as_written((*old, *each.path[len(new) :]), self.document.data)
                place = at(written, self.document.keys, self.document.values)
                return each._replace(written=written, place=place)
        return problem(each.found, each.path, self.document)

    def _mend(self, found: list[Problem]) -> bool:
        """Replaces what is wrong, more of it where that did not help; False where none is left."""
        for each in found:
            if each.kind == "extra_forbidden":
                self._rename(each)
        done: set[Path_] = set()
        for each in found:
            units = [each.path[:end] for end in range(len(each.path), 0, -1)]
            spelt = each.kind == "missing" and holds(self._at(each.path[:-1]), each.path[-1])
            if each.kind == "extra_forbidden" or spelt or done & set(units):
                continue
            unit = next((u for u in units if u not in self.replaced and self._replace(u)), None)
            if unit is None:
                return False
            self.replaced.add(unit)
            done.add(unit)
            if each.found.get("ctx", {}).get("idle"):
                self.idle.add(unit)
        return True

    def _rename(self, each: Problem) -> None:
        """A misspelt key as it is spelt, where that is free; else without it."""
        *parent, key = each.path
        holder, other = self._at(tuple(parent)), meant(each, self.model)
        value = holder.pop(key)
        if other.key and other.text == other.key and other.key not in holder:
            holder[other.key] = value
            self.renamed[(*parent, other.key)] = each.path  # a guess: no rule goes by it
        elif other.key:
            self.missed.add((*parent, other.key))
            if other.key not in holder and other.key in _HARMLESS:
                holder[other.key] = _copied(_HARMLESS[other.key])

    def _at(self, path: Path_) -> Any:
        """What stands at a place; None where nothing does."""
        value = self.data
        for part in path:
            value = value[part] if holds(value, part) else None
        return value

    def _replace(self, unit: Path_) -> bool:
        """Something harmless in place of a key, a stage, a definition or a row, if it is one."""
        holder, key, inside = self._at(unit[:-1]), unit[-1], unit[:-1]
        if isinstance(key, int) and not holds(holder, key):
            return False
        if in_path(unit):
            if isinstance(key, str):
                return False
            holder[key] = _row(self.data, unit)
        elif unit[0] == "define":
            return len(unit) > 1 and self._define(unit, holder)
        elif isinstance(key, int):
            if inside != ("stages",) and inside[-1:] != ("blocks",):
                return False
            holder[key] = _copied(_STAGE) if len(inside) == 1 else {}
        elif not isinstance(holder, dict) or not _is_level(inside):
            return False
        elif key == "depth" and inside:
            holder[key] = 1
        elif key in _HARMLESS and (key != "width" or inside):
            holder[key] = _copied(_HARMLESS[key])
        elif key == "regnet":
            holder.pop(key, None)
            holder["stages"] = [_copied(_STAGE)]
        else:
            return holder.pop(key, None) is not None
        return True

    def _define(self, unit: Path_, holder: Any) -> bool:
        """A definition of no rows, a parameter of value 1: names that others use stay."""
        if len(unit) == 4 and unit[2] == "with":
            holder[unit[3]] = 1
            return True
        if len(unit) != 2 or not isinstance(holder, dict):
            return False
        old = holder.get(unit[1])
        given = old.get("with") if isinstance(old, dict) else None
        row = _row(self.data, (*unit, "path", 0))
        holder[unit[1]] = {"with": given, "path": [row]} if isinstance(given, dict) else [row]
        return True

    def _follows(self, each: Problem) -> bool:
        """Whether a problem asks for something that was replaced, and so may be none."""
        path, replaced = each.path, self.replaced | self.missed
        # A value that does not suit a key which is only guessed says nothing.
        if path in self.renamed or any(path[: len(unit)] == unit for unit in replaced):
            return True
        if each.kind == "missing":
            return any(unit[: len(path)] == path for unit in replaced)
        if each.kind != "rule":
            return False
        if each.found.get("ctx", {}).get("idle"):  # a matter of every block
            others = replaced - self.idle
            return any(unit[0] in _IN_BLOCKS and unit[-1] not in _SIZES for unit in others)
        # Whether an attention has a place is a matter of blocks; all else in paths is their own.
        if in_path(path) or (path[-1] != "attention" and set(path) & set(_PATHS)):
            names = {u[1] for u in replaced if u[0] == "define" and u[2:3] in ((), ("with",))}
            kinds = [self._at((*path[:end], "kind")) for end in range(1, len(path))]
            return any(name in path or name in kinds for name in names)
        replaced |= self.renamed.keys()
        if path[0] == "define":
            return any(unit[:2] == path[:2] for unit in replaced)
        if path[-1] != "width" and any(in_path(unit) or unit[0] == "define" for unit in replaced):
            return True
        is_width = path[0] == "stages" and (len(path) == 2 or path[-1] == "width")
        asks = _PAIRS if path[-1] in _PAIRS else _WIDTHS if is_width else BLOCK_KEYS
        top = any(len(unit) == 1 and unit[0] in asks for unit in replaced)
        if path[0] == "stages":
            return top or any(unit[:2] == path[:2] and not in_path(unit) for unit in replaced)
        return top or any(unit[0] == "stages" for unit in replaced)


def _is_level(path: Path_) -> bool:
    """Whether a place has keys of its own: the top, a stage, its first block or another."""
    inner = path[2:3] == ("first",), path[2:3] == ("blocks",)
    return not path or (path[0] == "stages" and len(path) == 2 + inner[0] + 2 * inner[1])


def in_path(path: Path_) -> bool:
    """Whether a place is inside a list of rows."""
    if path[0] == "define":
        return len(path) > 2 and path[2] != "with"
    return any(
        key in _PATHS and isinstance(following, int) for key, following in itertools.pairwise(path)
    )


def _row(data: Any, path: Path_) -> object:
    """A row that does nothing but use every parameter of its definition."""
    entry = data["define"].get(path[1]) if path[0] == "define" else None
    given = entry.get("with") if isinstance(entry, dict) else None
    names = [str(name) for name in given][:8] if isinstance(given, dict) else []
    return {"scale": " * ".join(names) if names else 1}


def _copied(value: Any) -> Any:
    """Mappings and lists anew, so that they can be changed."""
    if isinstance(value, dict):
        return {key: _copied(inner) for key, inner in value.items()}
    return [_copied(inner) for inner in value] if isinstance(value, list | tuple) else value
