"""What was measured of networks -> a table, CSV or JSON: a row a run, or a layer or block."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from resgen.analysis.dropping import Drops
from resgen.analysis.gradient import Gradients
from resgen.analysis.response import Responses
from resgen.analysis.zeroing import Zeros
from resgen.errors import one_line
from resgen.words import aligned, hung, wrapped

SCHEMA_VERSION = 1
Values = dict[str, Any]
Result = Responses | Gradients | Drops | Zeros


class Shown(NamedTuple):
    """How a measure is shown: of a result its one row, its many rows, and how it came about.

    rows: what the many are. left: leading columns of text in the tables of one row, and of many.
    """

    rows: str
    summary: Callable[[Any], Values]
    details: Callable[[Any], list[Values]]
    how: Callable[[Any], str]
    note: str
    left: tuple[int, int]


def render(which: str, found: Mapping[str, Result], form: str, by: str) -> str:
    """The results, by their runs' names, in the form asked for."""
    shown = SHOWN[which]
    if form == "json":
        runs = [
            {"run": label, **shown.summary(each), "how": shown.how(each),
             shown.rows: shown.details(each)}
            for label, each in found.items()
        ]  # fmt: skip
        return json.dumps({"version": SCHEMA_VERSION, "measure": which, "runs": runs}, indent=2)
    if form == "csv":
        return _csv(
            [{"run": label, **shown.summary(each)} for label, each in found.items()]
            if by == "run" and len(found) > 1
            else [
                {"run": label, **row}
                for label, each in found.items() for row in shown.details(each)
            ]
        )  # fmt: skip
    return _table(shown, found, by)


def _csv(rows: Sequence[Values]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(rows[0])
    for row in rows:
        writer.writerow(["" if value is None else value for value in row.values()])
    return out.getvalue().rstrip("\n")


def _table(shown: Shown, found: Mapping[str, Result], by: str) -> str:
    summaries = [{"run": label, **shown.summary(each)} for label, each in found.items()]
    lines = _aligned(summaries, shown.left[0])
    for label, each in found.items():
        if by == "layer" or len(found) == 1:
            rows = shown.details(each)
            reasons = [row.pop("why", "") for row in rows]
            lines += ["", *([label] if len(found) > 1 else []), *_aligned(rows, shown.left[1])]
            for row, why in zip(rows, reasons, strict=True):
                if why:
                    lines += hung("", f"{next(iter(row.values()))}: {why}", 0)
    lines.append("")
    for label, each in found.items():
        lines += hung("", f"{one_line(label)}: {shown.how(each)}", 0)
    return "\n".join([*lines, *wrapped(shown.note)])


def _aligned(rows: Sequence[Values], left: int) -> list[str]:
    body = [[_text(key, value) for key, value in row.items()] for row in rows]
    return aligned([key.replace("_", " ") for key in rows[0]], body, left)


def _text(key: str, value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        if key.endswith(("error", "low", "high")):
            return f"{100 * value:.2f} %"
        return "0.0" if value == 0 else f"{value:#.4g}"
    return f"{value:,}" if isinstance(value, int) else one_line(str(value)) or "-"


# ---- responses


def _responses(found: Responses) -> Values:
    return {
        "layers": len(found.layers),
        "median": found.median,
        "smallest": found.sorted[-1],
        "largest": found.sorted[0],
        "taken": found.behind,
    }


def _response_rows(found: Responses) -> list[Values]:
    return [
        {"layer": each.name, "taken": each.taken, "number": number, "std": each.std,
         "sorted": ranked}
        for number, (each, ranked) in enumerate(zip(found.layers, found.sorted, strict=True), 1)
    ]  # fmt: skip


def _how_responses(found: Responses) -> str:
    where = (
        "taken behind each layer's own norm"
        if found.behind == "norm"
        else "taken of each convolution's own output, as not every 3x3 layer has a norm of its own "
        "directly behind it"
    )
    return (
        f"{found.trained.said}; {where}; {found.images:,} images of {found.shown}, {found.mode} "
        f"mode, {found.precision}"
    )


# ---- gradients


def _gradients(found: Gradients) -> Values:
    return {
        "seed": found.seed,
        "loss": found.loss,
        "first": found.first,
        "last": found.last,
        "largest": max(each.norm for each in found.layers),
    }


def _gradient_rows(found: Gradients) -> list[Values]:
    return [{"layer": each.name, "path": each.path, "norm": each.norm} for each in found.layers]


def _how_gradients(found: Gradients) -> str:
    return (
        f"{found.name} as seed {found.seed} draws it, on its first {found.batch:,} images of "
        f"{found.data}, {found.precision}"
        if not found.begun
        else f"{found.name} from the weights of {found.begun}, on its first {found.batch:,} images "
        f"of {found.data}, {found.precision}"
    )


# ---- drop


def _drops(found: Drops) -> Values:
    worst = found.worst
    dropped = [each for each in found.blocks if each.rate is not None]
    return {
        "blocks": len(found.blocks),
        "dropped": len(dropped),
        "whole_error": found.whole.error,
        "median_error": found.median if dropped else None,
        "largest_error": worst.rate.error if worst and worst.rate else None,
        "without": worst.name if worst else None,
    }


def _drop_rows(found: Drops) -> list[Values]:
    rows = []
    for each in found.blocks:
        rate = each.rate
        low, high = rate.interval if rate else (None, None)
        rows.append(
            {"block": each.name, "left": each.left, "errors": rate and rate.errors,
             "error": rate and rate.error, "low": low, "high": high, "why": each.why}
        )  # fmt: skip
    return rows


def _how_drops(found: Drops) -> str:
    whole = found.whole
    low, high = whole.interval
    return (
        f"{found.trained.said}; whole {whole.errors:,} errors, {100 * whole.error:.2f} % "
        f"({100 * low:.2f} to {100 * high:.2f}); {whole.images:,} images of {found.shown}, "
        f"{found.precision}"
    )


# ---- zeroed


def _zeros(found: Zeros) -> Values:
    kept = [each for each in found.blocks if each.difference is not None]
    return {"blocks": len(found.blocks), "with_identity": len(kept), "largest": found.largest}


def _zero_rows(found: Zeros) -> list[Values]:
    return [
        {"block": each.name,
         "zeroed": ", ".join(name.removeprefix(f"{each.name}.") for name in each.zeroed),
         "for": each.inputs, "difference": each.difference, "any_sign": each.signed,
         "why": each.why}
        for each in found.blocks
    ]  # fmt: skip


def _how_zeros(found: Zeros) -> str:
    whose = "its own weights" if found.seed is None else f"weights drawn from seed {found.seed}"
    return f"{found.name}, {whose}, evaluation mode, fp32"


SHOWN = {
    "responses": Shown(
        "layers", _responses, _response_rows, _how_responses,
        "std: of each 3x3 layer's output over images, channels and pixels, before activation and "
        "addition (He et al. 2015, figure 7); sorted: the same numbers, largest first. Layers on "
        "shortcuts are left out.", (1, 2),
    ),
    "gradients": Shown(
        "layers", _gradients, _gradient_rows, _how_gradients,
        "norm: of the loss's gradient by the convolution's weight at the first training step, "
        "before weight decay and clipping. A measurement: what it does to training, it does not "
        "say.", (1, 2),
    ),
    "drop": Shown(
        "blocks", _drops, _drop_rows, _how_drops,
        "error: without this block alone, at evaluation, nothing trained after (Veit et al. 2016); "
        "left: what stays in its place, its shortcut, or of a block without one its input; low and "
        "high: Wilson's interval at 95 %.", (1, 2),
    ),
    "zeroed": Shown(
        "blocks", _zeros, _zero_rows, _how_zeros,
        "difference: max |block(x) - x| with the layers named set to 0, for x >= 0 where a ReLU "
        "stands behind the addition, which is the identity there, and else for x of any sign; "
        "any sign: the same for every block.", (1, 3),
    ),
}  # fmt: skip
MEASURES = tuple(SHOWN)
