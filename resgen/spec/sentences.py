"""What a validation found, as sentences: a problem's place, the keys as written, rule, way out.

A sentence names keys that the file has. What stands for others (a word for its kind, `regnet`
for its stages, a growing width for its blocks) is what it names and where it points.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from pydantic import BaseModel, ValidationError

from resgen.spec.mistakes import (
    Document,
    Path_,
    Place,
    at,
    dotted,
    guess,
    known_keys,
    models_at,
    near,
    nearest,
    noun,
    show,
)
from resgen.spec.synonyms import Meant, meant_key

MOST = 20
"""Lines that are said of one input; of further mistakes only the number."""


class Problem(NamedTuple):
    """One finding: `path` in the model, `written` as the file has it, `whose` part of that.

    beside: the mapping that an unknown key stands in.
    """

    found: Any
    path: Path_
    written: Path_
    whose: str
    place: Place | None
    beside: Mapping[str, Any]

    @property
    def kind(self) -> str:
        """pydantic's word for what is wrong; `rule` for a rule between keys."""
        return str(self.found["type"])


def problems(error: ValidationError, document: Document) -> list[Problem]:
    """Every finding of a validation, with its place."""
    found = []
    for each in error.errors(include_url=False):
        # Less what pydantic adds to a place where one of several models is meant.
        loc = tuple(part for part in each["loc"] if part not in ("<keys>", "<path>"))
        found.append(problem(each, (*loc, *each.get("ctx", {}).get("at", ())), document))
    # Of a list whose entries are all wrong, pydantic says that it has too few.
    return [
        each
        for each in found
        if each.kind != "too_short"
        or not any(each.path == other.path[: len(each.path)] != other.path for other in found)
    ]


def problem(found: Any, path: Path_, document: Document) -> Problem:
    """A finding at a path of the model."""
    if found["type"] == "missing":
        written, whose = as_written(path[:-1], document.data)
        place = at(written, document.keys, document.values)
        written = (*written, path[-1])
    else:
        written, whose = as_written(path, document.data)
        place = at(written, document.keys, document.values)
    if found["type"] == "extra_forbidden":
        place = document.keys.get(path, place)
    return Problem(found, path, written, whose, place, _mapping(path[:-1], document.data))


def _mapping(path: Path_, value: Any) -> Mapping[str, Any]:
    """The mapping at a place, if there is one."""
    for part in path:
        value = value[part] if holds(value, part) else None
    return value if isinstance(value, dict) else {}


def as_written(path: Path_, data: Any) -> tuple[Path_, str]:
    """(the keys that stand in the data for those of the model, whose part of them is meant)."""
    whose = ""
    regnet = data.get("regnet") if isinstance(data, dict) else None
    if path[:1] == ("stages",) and regnet is not None and data.get("stages") is None:
        whose = f"stage {path[1] + 1}: " if len(path) > 1 and isinstance(path[1], int) else ""
        key = path[2] if len(path) > 2 else None
        inside = isinstance(regnet, dict) and key in regnet
        path = ("regnet", key) if inside else (key,) if key in data else ("regnet",)  # type: ignore[assignment]
    value = data
    for end, part in enumerate(path):
        if not holds(value, part):
            beside = value if isinstance(value, dict) else {}
            if part == "width" and isinstance(blocks := beside.get("blocks"), list) and blocks:
                # A stage that says no width has its last block's.
                return as_written((*path[:end], "blocks", len(blocks) - 1, "width"), data)
            if part == "blocks" and isinstance(beside.get("width"), dict):
                number = path[end + 1] if len(path) > end + 1 else None
                whose = f"block {number + 1}: " if isinstance(number, int) else ""
                return (*path[:end], "width"), whose
            return path[:end], whose
        value = value[part]
    return path, whose


def holds(value: Any, part: str | int) -> bool:
    """Whether a mapping has a key, or a list an entry."""
    if isinstance(value, list | tuple):
        return isinstance(part, int) and part < len(value)
    return isinstance(value, dict) and part in value


def describe(error: ValidationError, model: type[BaseModel], document: Document) -> list[str]:
    """A line for each mistake that a validation found, in their order."""
    return lines(problems(error, document), model, document)


def lines(found: Iterable[Problem], model: type[BaseModel], document: Document) -> list[str]:
    """A line for each mistake, in the file's order; what is missing last, as it has no place.

    A base's mistakes follow the heir's. What comes of one cause is one line.
    """

    def order(each: Problem) -> tuple[bool, bool, str, int, int]:
        place = each.place or Place(document.file, 0, 0)
        return each.kind == "missing", place.file != document.file, *place

    ordered = sorted(_causes(list(found), model), key=order)
    # Of thousands, those at the top are read, and the others counted.
    first, further = ordered[: 10 * MOST], len(ordered[10 * MOST :])
    said: dict[tuple[str, str], list[Problem]] = {}
    for each in first:
        key = str(next((part for part in each.written[::-1] if isinstance(part, str)), ""))
        alike = said.setdefault((key, each.whose + sentence(each, model)), [])
        if each.place not in {other.place for other in alike} or not each.place:
            alike.append(each)
    texts = []
    listed: set[str] = set()
    for (_, rule), alike in said.items():
        # Once is enough for a list of what is known.
        shown, _, known = rule.partition(_KNOWN)
        rule = shown if known in listed else rule
        listed |= {known} - {""}
        if len(alike) < _ALIKE:
            texts += [(order(each), _line(each, rule, document)) for each in alike]
        else:
            texts.append((order(alike[0]), _line(alike[0], rule, document) + _others(*alike)))
    text = [line for _, line in sorted(texts, key=lambda pair: pair[0])]
    further += len(text[MOST:])
    return text[:MOST] + ([f"{document.file}: and {further:,} more"] if further else [])


_KNOWN = "; known here: "
_ALIKE = 3
"""Places from which on the same sentence is said once."""


def _others(first: Problem, *alike: Problem) -> str:
    """Where else the same is wrong."""
    numbers = list(dict.fromkeys(str(each.place.line) for each in alike if each.place))
    if first.place and numbers == [str(first.place.line)]:
        return f" (and {len(alike)} more there)"
    shown = ", ".join(numbers[:8]) + (", ..." if len(numbers) > 8 else "")
    if not numbers:
        return f" (and in {len(alike)} places more)"
    return f" (and in line{'s' if len(numbers) > 1 else ''} {shown})"


def _line(each: Problem, rule: str, document: Document) -> str:
    where = f"{each.place or document.file}: "
    name = f"{dotted(each.written)}: " if each.written else ""
    return f"{where}{name}{rule}"


def _causes(found: list[Problem], model: type[BaseModel]) -> list[Problem]:
    """Less what comes of another mistake: a key is missing where it was written wrongly."""
    missing = {each.path for each in found if each.kind == "missing"}
    explained: set[Path_] = set()
    parents = {path[:-1] for path in missing}
    for each in found:
        if each.kind == "extra_forbidden":
            # What the last of written-out blocks says is its stage's, too.
            outer = each.path[:-3] if each.path[-3:-2] == ("blocks",) else each.path[:-1]
            for parent in {outer, each.path[:-1]} & parents:
                key = meant(each, model).key
                explained |= {(*parent, name) for name in _STANDS_FOR.get(key, (key,))}
                parents = {path[:-1] for path in missing - explained}
        elif each.path[-1:] == ("blocks",):
            explained |= {(*each.path[:-1], key) for key in _STANDS_FOR["blocks"]}
    return [each for each in found if each.kind != "missing" or each.path not in explained]


_STANDS_FOR = {"blocks": ("depth", "width"), "regnet": ("stages",)}
"""Keys that say what other keys say."""


def meant(each: Problem, model: type[BaseModel]) -> Meant:
    """What an unknown key stands for, as far as can be guessed."""
    key, known = str(each.path[-1]), known_keys(model, each.path[:-1])
    found = meant_key(key, known, each.found["input"], each.beside)
    match = [] if found else near(key, known)
    return found or (Meant(match[0], match[0]) if match else Meant("", ""))


def sentence(each: Problem, model: type[BaseModel]) -> str:
    """The rule, the value, and the way out, without the place."""
    kind, ctx, value = each.kind, each.found.get("ctx", {}), each.found["input"]
    if kind == "extra_forbidden":
        other = meant(each, model)
        known = known_keys(model, each.path[:-1])
        return "unknown key" + (other.hint if other.text else nearest(str(each.path[-1]), known))
    if kind == "missing":
        return f"this key is missing; {_a(noun(model))} needs it"
    if kind == "literal_error":
        words = re.findall(r"'([^']+)'", ctx["expected"])
        hint = guess(value, words) if isinstance(value, str) else ""
        return f"must be one of {', '.join(words)} (got {show(value)}){hint}"
    if kind == "string_pattern_mismatch":
        return f"may hold letters, digits, spaces and ._+- only, at most 64 (got {show(value)})"
    if kind == "multiple_of":
        return f"must be a multiple of {ctx['multiple_of']} (got {show(value)})"
    if kind in _TYPES:
        return f"must be {_TYPES[kind]} (got {show(value)}){_form(each.path, value, model)}"
    for bound, words_ in _BOUNDS.items():
        if kind == bound:
            limit = next(iter(v for k, v in ctx.items() if k in ("gt", "ge", "lt", "le")))
            return f"must be {words_} {limit:,} (got {show(value)})"
    if kind in ("too_short", "too_long"):
        bound = "at least" if kind == "too_short" else "at most"
        limit = ctx.get("min_length", ctx.get("max_length"))
        return f"must have {bound} {limit} entries (got {ctx.get('actual_length')})"
    text = str(each.found["msg"]).removeprefix("Value error, ")
    return text if kind in ("value_error", "rule") else f"{text} (got {show(value)})"


_TYPES = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "string_type": "a word",
    "string_unicode": "a word",
    "invalid_key": "a word",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "list_type": "a list",
    "model_type": "a mapping of keys",
    "model_attributes_type": "a mapping of keys",
    "dict_type": "a mapping of keys",
}
_BOUNDS = {
    "greater_than": "greater than",
    "greater_than_equal": "at least",
    "less_than": "less than",
    "less_than_equal": "at most",
}


def _a(word: str) -> str:
    """A spec, an experiment."""
    return f"an {word}" if word[0] in "aeiou" else f"a {word}"


def _form(path: Path_, value: Any, model: type[BaseModel]) -> str:
    """How to write what was meant, where a value has not the form it takes."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if path[-1:] == ("blocks",) and is_number:
        return f"; blocks is one mapping for each, the number of blocks is depth: {show(value)}"
    if path == ("stages",) or (path[:1] == ("stages",) and len(path) == 2):
        return "; each stage is a mapping, as {depth: 3, width: 256}"
    if path == ("input",) and isinstance(value, list) and len(value) == 3:
        return f"; write {{channels: {show(value[0])}, size: {show(value[1:])}}}"
    fields = {key: each for cls in models_at(model, path) for key, each in cls.model_fields.items()}
    needed = [key for key, each in fields.items() if each.is_required()]
    if is_number and len(needed) == 1 and needed != ["kind"]:
        return f"; write {{{needed[0]}: {value}}}"
    return f"; write {{kind: {value}}}" if isinstance(value, str) and "kind" in fields else ""
