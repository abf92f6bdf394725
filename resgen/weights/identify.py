"""A file of weights -> the spec that explains every tensor in it, and what of it is assumed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from resgen.errors import UserError, one_line
from resgen.plan import resolve
from resgen.plan.layers import Shape
from resgen.spec import Spec, load_spec
from resgen.spec.loading import resolved_data
from resgen.spec.resolved import annotated
from resgen.spec.writing import flow_text
from resgen.weights.blocks import Unexplained
from resgen.weights.keys import KEY_MAPS, rename
from resgen.weights.known import Match, by_name, by_shape, differing, in_order, nearest, ranked
from resgen.weights.shapes import COUNTER, as_words, tensors_of
from resgen.weights.structure import Read, network
from resgen.words import wrapped

if TYPE_CHECKING:
    from torch import Tensor

Shapes = Mapping[str, Shape]
Found = Literal["read", "names", "order", "shapes"]
"""Read from their names; or compared: names and shapes, shapes in order, shapes in any order."""


class Identified(NamedTuple):
    """The network of a file of weights.

    tensors: how many there are, each explained. key_map: how names were read. like: the shipped
    network with the same tensors, whose values stand where tensors say nothing; "" without one.
    others: further ones, and the keys in which they differ. assumed: key to what else it may be.
    """

    file: str
    spec: Spec
    tensors: int
    found: Found
    key_map: str
    like: str
    others: tuple[tuple[str, tuple[str, ...]], ...]
    assumed: Mapping[str, str]

    def with_(self, spec: Spec, overrides: Sequence[str]) -> Identified:
        """The same with what was typed over it, which is not assumed."""
        typed = [re.sub(r"\[.*?\]", "", each.partition("=")[0]) for each in overrides]
        assumed = {
            key: more
            for key, more in self.assumed.items()
            if not any(f"{each}.".startswith(f"{key}.") for each in typed)
        }
        return self._replace(spec=spec, assumed=assumed)

    def text(self, about: Sequence[str] = ()) -> str:
        """The spec as YAML under what is said `about` it, with a comment where it is assumed."""

        def comment(path: tuple[str | int, ...]) -> str:
            key = ".".join(part for part in path if isinstance(part, str))
            if key not in self.assumed:
                return ""
            return ": ".join(filter(None, ["assumed", self.assumed[key]]))

        body = annotated(resolved_data(self.spec), comment)
        said = wrapped(" ".join(self._said()))
        return "\n".join([*about, *(f"# {one_line(line)}" for line in said), body, ""])

    def lines(self) -> list[str]:
        """What was found, a line for each key that is assumed, and for each further network."""
        lines = wrapped(" ".join(self._said()))
        data = resolved_data(self.spec)
        rows = [(key, value) for key in self.assumed if (value := _value(data, key))]
        rows.sort(key=lambda row: [*data].index(row[0].partition(".")[0]))
        if rows:
            lines.append("assumed, as tensors do not say it:")
        for key, value in rows:
            more = f"  ({self.assumed[key]})" if self.assumed[key] else ""
            lines.append(f"  {key.ljust(max(len(key) for key, _ in rows))}  {value}{more}")
        if self.others:
            lines.append("the same tensors, other keys:")
        for name, differ in self.others:
            lines.append(f"  {name}  ({', '.join(differ) or 'none'})")
        return lines

    def _said(self) -> Iterator[str]:
        """Sentences: what explains the tensors, and where the rest is from."""
        count = f"{self.tensors:,} tensor{'s' if self.tensors != 1 else ''}"
        if self.found == "read":
            yield f"{self.file}: {count}, every one explained; names read {self.key_map}."
            if self.like:
                yield f"{self.like} has the same; what they do not say is as there."
            else:
                yield "No shipped network has the same; what they do not say is as usual."
            return
        yield f"{self.file}: {count}, found by comparing {_COMPARED[self.found]} shipped specs:"
        yield f"{self.like} has the same. All that tensors do not say is as there."


_COMPARED = {
    "names": "names and shapes with the",
    "order": "shapes, in their order, with the",
    "shapes": "shapes, in any order and whatever their names, with the",
}


def _value(data: Mapping[str, Any], key: str) -> str:
    """The value of a dotted key in one line, of `stages` one of each; "" where there is none."""
    head, _, rest = key.partition(".")
    if head == "stages" and rest:
        return ", ".join(flow_text(stage[rest]) for stage in data["stages"] if rest in stage)
    value: Any = data.get(head)
    if rest:
        value = value.get(rest) if isinstance(value, dict) else None
    return "" if value is None else flow_text(value)


def identified(path: Path, weights: Mapping[str, Tensor] | None = None) -> Identified:
    """The spec of a file of weights whose network nothing says.

    Names are read as ours, torchvision's or timm's, and a network of basic or bottleneck blocks
    from them; others are found among the shipped specs by their shapes. weights: what was read
    of the file, where that is in memory. Raises UserError where the file cannot be read, or with
    its first tensor that no spec explains.
    """
    if weights is None:
        from resgen.tensors.formats import read_weights

        weights = read_weights(path)
    name = re.sub(r"[^A-Za-z0-9 ._+-]+", "_", path.stem).lstrip("._+- ")[:64] or "network"
    return identify({key: tuple(v.shape) for key, v in weights.items()}, str(path), name)


class _Reading(NamedTuple):
    """The tensors under one key map, and the network that their names say."""

    key_map: str
    tensors: dict[str, Shape]
    theirs: dict[str, str]
    """Our name -> the file's."""
    read: Read | None
    spec: Spec | None
    wrong: Unexplained | None
    explained: int

    @property
    def blocks(self) -> int:
        """How many names are those of a block of ours."""
        return sum(name.startswith("layer") for name in self.tensors)


def identify(tensors: Shapes, file: str, name: str) -> Identified:
    """`identified` for names and shapes; `name`: the network's."""
    tensors = {key: shape for key, shape in tensors.items() if not key.endswith(COUNTER)}
    if not tensors:
        raise UserError(f"{file}: holds counters of batches and no weights")
    readings = []
    for key_map, names in _named(tensors):
        readings.append(_reading(key_map, names, tensors, name))
        if names.keys() == set(names.values()) and not readings[-1].wrong:
            break  # our own names, which no map reads in another way
    if not readings:
        raise UserError(
            f"{file}: two of its names are one without module. and _orig_mod. before them; "
            "save the weights of one network"
        )
    readings.sort(key=lambda each: (-each.explained, -each.blocks))
    named = [(each, ranked(list(by_name(each.tensors)), each.spec)) for each in readings]
    whole = [(each, matches) for each, matches in named if each.read and not each.wrong]
    # Of two ways to read the names, the one that makes a network which is known.
    for each, matches in sorted(whole, key=lambda found: not found[1]):
        assert each.read
        assumed = {**_ambiguous(each, [other for other, _ in whole]), **each.read.assumed}
        return _identified(file, name, each, matches, "read", assumed)
    for each, matches in named:
        if matches:
            return _identified(file, name, each, matches, "names", _ALL)
    if matches := ranked(list(by_shape(tensors)), None, tensors):
        found: Found = "order" if in_order(tensors, matches[0]) else "shapes"
        return _identified(file, name, readings[0], matches, found, _ALL)
    raise _unexplained(file, readings[0], tensors)


def _ambiguous(reading: _Reading, others: list[_Reading]) -> dict[str, str]:
    """The keys in which other ways to read the same names differ."""
    found: dict[str, str] = {}
    for other in others:
        if reading.spec and other.spec:
            keys = differing(reading.spec, other.spec)
            found |= dict.fromkeys(keys, f"another by the names of {other.key_map}")
    return found


_ALL = {
    "input.size": "",
    "stem": "its strides and pools",
    "block": "its strides, activations and pools",
    "shortcut": "",
    "stages.stride": "",
    "activation": "",
    "norm": "its groups; its eps",
    "drop_path": "",
    "head.dropout": "",
}
"""What is assumed of a network that is only compared: this, and all that has no tensors."""


def _identified(
    file: str,
    name: str,
    reading: _Reading,
    matches: list[Match],
    found: Found,
    assumed: Mapping[str, str],
) -> Identified:
    """The first match is what the tensors leave open; without one, what is usual."""
    spec = reading.spec
    if matches:
        spec = load_spec({**resolved_data(matches[0].spec), "name": name})
    assert spec is not None
    others = tuple((each.name, differing(spec, each.spec)) for each in matches[1:])
    like = matches[0].title if matches else ""
    return Identified(
        file, spec, len(reading.tensors), found, reading.key_map, like, others, assumed
    )


def _named(tensors: Shapes) -> Iterator[tuple[str, dict[str, str]]]:
    """Each different way to read the names: the map, and the file's name -> ours."""
    seen = set()
    for key_map, rows in KEY_MAPS.items():
        named = {key: rename(key, rows) for key in tensors}
        names = tuple(named.values())
        if len(set(names)) == len(names) and names not in seen:
            seen.add(names)
            yield key_map, named


def _reading(key_map: str, names: Mapping[str, str], tensors: Shapes, name: str) -> _Reading:
    """What the tensors are under one key map, and how many of them that explains."""
    ours = {names[key]: _as_linear(names[key], shape) for key, shape in tensors.items()}
    theirs = {new: key for key, new in names.items()}
    read, spec, wrong, explained = None, None, None, 0
    try:
        read = network(ours)
        spec = load_spec({"name": name, **read.keys})
        made = tensors_of(resolve(spec))
        explained = sum(made.get(key) == shape for key, shape in ours.items())
        wrong = _difference(ours, made)
    except Unexplained as error:
        wrong = error
    except UserError as error:
        wrong = Unexplained("", f"make no network: {error.lines[0]}")
    return _Reading(key_map, ours, theirs, read, spec, wrong, explained)


def _as_linear(name: str, shape: Shape) -> Shape:
    """A classifier written as a 1x1 convolution as the matrix it is."""
    return shape[:2] if name == "fc.weight" and shape[2:] == (1, 1) else shape


def _difference(found: Shapes, made: Shapes) -> Unexplained | None:
    """The first tensor that is not the network's, by name and shape; None where all are."""
    for name, shape in found.items():
        if name not in made:
            return Unexplained(name, "has no place in the network that the others make")
        if made[name] != shape:
            return Unexplained(name, f"is {as_words(made[name])} in the network the others make")
    for name, shape in made.items():
        if name not in found:
            said = f"is missing: the network that the others make has it, {as_words(shape)}"
            return Unexplained(name, said)
    return None


def _unexplained(file: str, reading: _Reading, tensors: Shapes) -> UserError:
    """The first tensor that nothing explains, and the shipped network that comes nearest."""
    wrong = reading.wrong
    assert wrong is not None
    key = reading.theirs.get(wrong.name, wrong.name)
    shape = f" ({as_words(tensors[key])})" if key in tensors else ""
    subject = f"{one_line(key)[:100]}{shape}" if key else "its tensors"
    name, shared, count = nearest(tensors)
    hint = "no shipped network has tensors of these shapes"
    if 2 * shared > max(count, len(tensors)):
        hint += f"; the nearest, {name}, has {shared:,} of these {len(tensors):,}"
        hint += f" and {count - shared:,} more" if count > shared else ""
    return UserError(f"{file}: {subject} {wrong.why}; {hint}")
