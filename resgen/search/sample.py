"""A design space -> specs drawn from it: a spec whose values may be choices.

    width: {any: [32, 64, 96]}                             one of them
    depth: {from: 1, to: 12}                               a whole number, both ends included
    width: {from: 32, to: 2048, step: 16, scale: log}      small ones as likely as large ones

Draw k of a seed is the same however many are drawn. A draw that is no valid network
(an identity shortcut that would narrow, groups that do not divide) is counted and left out.
"""

from __future__ import annotations

import contextlib
import gc
import math
import os
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import ValidationError

from resgen.cost import Cost, cost
from resgen.cost.budget import Budget
from resgen.errors import UserError, one_line
from resgen.plan import resolve
from resgen.spec import Spec
from resgen.spec.loading import document_of
from resgen.spec.merging import sound
from resgen.spec.mistakes import Document, Path_, at, dotted
from resgen.spec.sentences import describe

RANGE = {"from", "to", "step", "scale"}
LARGEST = 10**15


Drawer = Callable[[random.Random], Any]
"""What draws a value, its choices in the order they were written in."""


class Candidate(NamedTuple):
    """One network drawn: its number, its spec as plain values, its books.

    Examples:
        >>> from resgen import sample
        >>> space = {"extends": "cifar/resnet20", "name": "any", "classes": {"from": 2, "to": 9}}
        >>> [candidate] = sample(space, draws=1)
        >>> candidate.number, 2 <= candidate.spec.classes <= 9
        (0, True)
    """

    number: int
    data: dict[str, Any]
    spec: Spec
    books: Cost

    def __repr__(self) -> str:
        books = f"{self.books.params:,} params, {self.books.macs:,} MACs"
        return f"<Candidate {self.data['name']}: {books}>"


class Tally(NamedTuple):
    """What became of the draws."""

    drawn: int
    invalid: int
    over: int
    first_reason: str


class Space(NamedTuple):
    """A spec with choices in it, and where each was written."""

    document: Document
    choices: int
    drawer: Drawer


Source = str | os.PathLike[str] | Mapping[str, Any]
"""A file, a shipped name, or the keys of a spec with choices in them."""


def read_space(source: Source, overrides: Sequence[str] = ()) -> Space:
    """A design space, overrides in it. Raises UserError for a choice that is none."""
    document = document_of(source, overrides)
    for key in ("name", "extends"):
        if not isinstance(document.data.get(key, ""), str):
            place = at((key,), document.keys, document.values)
            raise UserError(f"{place}: {key}: must be a word, which all draws have")
    choices = _checked(document.data, (), document)
    if not choices:
        raise UserError(
            f"{document.file if isinstance(source, Mapping) else os.fspath(source)}: nothing to "
            "sample: write a value as {any: [...]} or {from: 1, to: 8}"
        )
    return Space(document, choices, _drawer(document.data) or (lambda chance: document.data))


def _checked(value: Any, path: Path_, document: Document) -> int:
    """The number of choices below a value."""
    if isinstance(value, list):
        return sum(_checked(item, (*path, i), document) for i, item in enumerate(value))
    if not isinstance(value, dict):
        return 0
    if not (_is_choice(value)):
        return sum(_checked(item, (*path, str(key)), document) for key, item in value.items())

    def wrong(rule: str) -> UserError:
        return UserError(f"{at(path, document.keys, document.values)}: {dotted(path)}: {rule}")

    if "any" in value:
        if set(value) != {"any"} or not isinstance(value["any"], list) or not value["any"]:
            raise wrong("any takes a list of at least one value, and stands alone")
        return 1 + _checked(value["any"], (*path, "any"), document)
    if set(value) - RANGE or value.get("scale", "linear") not in ("linear", "log"):
        raise wrong("a range has the keys from, to, step and scale (linear or log)")
    ends = [value.get("from"), value.get("to"), value.get("step", 1)]
    numbers = [n for n in ends if isinstance(n, int) and not isinstance(n, bool)]
    if len(numbers) < len(ends):
        raise wrong("from, to and step must be whole numbers; from and to are required")
    low, high, step = numbers
    if max(map(abs, numbers)) > LARGEST:
        raise wrong(f"from, to and step may be at most {LARGEST:,}")
    if step < 1 or low > high:
        raise wrong(f"must hold a number: from {low} to {high} in steps of {step} holds none")
    if low < 1 and value.get("scale") == "log":
        raise wrong(f"a log scale must start at 1 or above (got {low})")
    return 1


def _is_choice(value: dict[str, Any]) -> bool:
    return "any" in value or "from" in value or "to" in value


_chance = random.Random()  # seeded anew for each draw; making one takes as long as a draw


def draw(space: Space, seed: int, number: int) -> dict[str, Any]:
    """Draw `number` of a seed, as plain values; what does not vary is the same in all draws."""
    _chance.seed(f"{seed}:{number}")
    data: dict[str, Any] = dict(space.drawer(_chance))
    data["name"] = f"{data.get('name', 'network')}-{number}"
    for key in ("extends", "reference", "depth"):
        data.pop(key, None)
    return data


def _drawer(value: Any) -> Drawer | None:
    """What draws a value; None for one without a choice in it."""
    if isinstance(value, list):
        items = [(index, drawn) for index, item in enumerate(value) if (drawn := _drawer(item))]
        return _each(value, items, list) if items else None
    if not isinstance(value, dict):
        return None
    if not _is_choice(value):
        keys = [(key, drawn) for key, item in value.items() if (drawn := _drawer(item))]
        return _each(value, keys, dict) if keys else None
    if "any" in value:
        options = [(_drawer(option), option) for option in value["any"]]

        def one(chance: random.Random) -> Any:
            drawn, option = chance.choice(options)
            return drawn(chance) if drawn else option

        return one
    low, high, step = value["from"], value["to"], value.get("step", 1)
    last = (high - low) // step
    if value.get("scale") != "log":
        return lambda chance: low + step * chance.randint(0, last)

    def logarithmic(chance: random.Random) -> int:
        exact = math.exp(chance.uniform(math.log(low), math.log(high)))
        return int(low + step * min(last, math.floor((exact - low) / step + 0.5)))

    return logarithmic


def _each(value: Any, drawers: list[tuple[Any, Drawer]], copy: Callable[[Any], Any]) -> Drawer:
    """A list or a mapping whose entries are drawn, first to last, where they vary."""

    def drawn(chance: random.Random) -> Any:
        found = copy(value)
        for key, of in drawers:
            found[key] = of(chance)
        return found

    return drawn


def candidates(space: Space, seed: int, draws: int, budget: Budget) -> Iterator[Candidate | str]:
    """Each draw in order: the network, or in a word why it is none: `over`, or the reason."""
    for number in range(draws):
        data = draw(space, seed, number)
        try:
            spec, data, _ = sound(data, space.document)
            if isinstance(spec, ValidationError):
                raise spec
            books = cost(resolve(spec))
        except ValidationError as error:
            yield one_line(describe(error, Spec, space.document)[0])
            continue
        except UserError as error:
            yield error.lines[0]
            continue
        if budget.over(books.params, books.macs, books.activations, 0):
            yield "over"
        else:
            yield Candidate(number, data, spec, books)


@contextlib.contextmanager
def _few_collections() -> Iterator[None]:
    """Networks are trees, which their counts of references free; cycles are looked for rarely."""
    before = gc.get_threshold()
    gc.set_threshold(1_000_000, 20, 20)
    try:
        yield
    finally:
        gc.set_threshold(*before)


def sample(
    source: Source,
    *,
    draws: int,
    seed: int = 0,
    budget: Budget | None = None,
    overrides: Sequence[str] = (),
) -> tuple[list[Candidate], Tally]:
    """The valid networks within the budget, and what became of the others."""
    space = read_space(source, overrides)
    found: list[Candidate] = []
    over = 0
    reasons: list[str] = []
    invalid = 0
    with _few_collections():
        for drawn in candidates(space, seed, draws, budget or Budget()):
            if isinstance(drawn, Candidate):
                found.append(drawn)
            elif drawn == "over":
                over += 1
            else:
                invalid += 1
                reasons = reasons or [drawn]
    return found, Tally(draws, invalid, over, reasons[0] if reasons else "")
