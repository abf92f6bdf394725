"""Networks as points: what each is, what it was measured to be, and the axes they stand on."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import NamedTuple

from resgen.cost import cost
from resgen.cost.memory import Training
from resgen.errors import UserError
from resgen.files import kind
from resgen.plan import Plan
from resgen.spec import shipped
from resgen.spec.loading import spec_file
from resgen.words import size

RESULT = "result.json"


class Outcome(NamedTuple):
    """How the run in a folder ended: its error as a fraction, on which images; its speed."""

    run: str
    error: float
    images: str
    speed: float | None = None


class Point(NamedTuple):
    """A network, and how its runs ended; family: what series it belongs to."""

    plan: Plan
    family: str
    outcomes: Sequence[Outcome] = ()

    @property
    def line(self) -> tuple[str, ...]:
        """What the points of a line share: the family, the input and the kind of block."""
        said = dict(self.plan.about)
        words = (said.get(key, "") for key in ("block", "shortcut", "order", "stem"))
        return (self.family, size(self.plan.input), *(word.split(" ")[0] for word in words))


class Value(NamedTuple):
    """A mean, and its 95 % interval where there are several values."""

    mean: float
    low: float
    high: float


class Axis(NamedTuple):
    """What is read off an axis, in which unit, and of which points; None where it is not known."""

    label: str
    value: Callable[[Point, Training], Value | None]
    log: bool = True
    digits: bool = False
    """Plain numbers in place of 1 M, 2 M."""
    trained: bool = False


def _exactly(number: float) -> Value:
    return Value(number, number, number)


def _error(point: Point, _: Training) -> Value | None:
    return interval([100 * each.error for each in point.outcomes])


def _speed(point: Point, _: Training) -> Value | None:
    return interval([each.speed for each in point.outcomes if each.speed is not None])


AXES: dict[str, Axis] = {
    "params": Axis("parameters", lambda p, _: _exactly(cost(p.plan).params)),
    "macs": Axis("multiply-adds (MACs) an image", lambda p, _: _exactly(cost(p.plan).macs)),
    "activations": Axis("activations an image", lambda p, _: _exactly(cost(p.plan).activations)),
    "memory": Axis(
        "memory of a training step, GiB",
        lambda p, step: _exactly(step.peak(p.plan) / 2**30),
        digits=True,
    ),
    "error": Axis("error, %", _error, log=False, digits=True, trained=True),
    "images-per-second": Axis("images a second in training", _speed, digits=True, trained=True),
}


def interval(values: Sequence[float]) -> Value | None:
    """mean +/- t s / sqrt(n), t of n - 1 degrees of freedom at 97.5 %; of one value, itself."""
    if not values:
        return None
    mean = fmean(values)
    if len(values) == 1:
        return _exactly(mean)
    from scipy.special import stdtrit

    reach = float(stdtrit(len(values) - 1, 0.975)) * stdev(values) / len(values) ** 0.5
    return Value(mean, mean - reach, mean + reach)


def family(source: str, plan: Plan) -> str:
    """What series a spec belongs to: a shipped one's folder; of another its block and shortcut."""
    found = shipped.family(source)
    said = dict(plan.about)
    return found or f"{said.get('block', 'own')} blocks, shortcut {said.get('shortcut', 'none')}"


def outcome(source: str) -> tuple[str, Outcome | None]:
    """(what to load the spec from, how its run ended) of a spec or a run folder.

    Raises UserError for a folder of no run, and where how it ended is damaged.
    """
    folder = Path(source)
    if kind(folder) != "folder":
        return source, None
    spec = str(spec_file(folder))
    try:
        found = json.loads((folder / RESULT).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return spec, None
    except OSError as error:
        raise UserError(f"{folder / RESULT}: cannot be read: {error.strerror}") from None
    except ValueError:
        found = None
    if isinstance(found, dict) and isinstance(found.get("diverged"), str):
        return spec, None
    for key, images in (("test_error", "test"), ("last_error", "held out")):
        error_ = found.get(key) if isinstance(found, dict) else None
        if isinstance(error_, int | float):
            return spec, Outcome(folder.name, error_, images)
    raise UserError(
        f"{folder / RESULT}: damaged: it names no error; it is made anew by the run's command "
        "with --resume"
    )
