"""Verdicts -> a table, CSV or JSON: a row a run, a class, or the confusion matrix."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from typing import Any

from resgen.errors import one_line
from resgen.inference.scores import Rate, matrix
from resgen.inference.verdict import Verdict
from resgen.words import COLUMNS, aligned, hung, size, wrapped

SCHEMA_VERSION = 1
_NOTE = (
    "error: the share of the images that the network takes for another class; top-5: whose class "
    "is not among its five best; intervals: Wilson's, at 95 %; loss: mean cross-entropy."
)
FEW = 20
"""Classes up to which a single run's are listed unasked."""


def render(found: Sequence[Verdict], form: str, by: str) -> str:
    """The verdicts in the form asked for."""
    if form == "json":
        data = {"version": SCHEMA_VERSION, "runs": [_data(each) for each in found]}
        return json.dumps(data, indent=2)
    if form == "csv":
        return _csv(found, by)
    return _table(found, by)


# ---- tables


def _table(found: Sequence[Verdict], by: str) -> str:
    lines = _summary(found)
    for each in found:
        if by == "class" or (len(found) == 1 and len(each.scores.classes) <= FEW and by == "run"):
            lines += ["", *([each.trained.label] if len(found) > 1 else []), *_classes(each)]
        if by == "confusion":
            lines += ["", *_confusion(each)]
    lines.append("")
    for each in found:
        lines += hung("", f"{each.trained.label}: {_how(each)}", 0)
        lines += [line for note in each.notes for line in hung("", f"note: {one_line(note)}", 0)]
    return "\n".join([*lines, *wrapped(_NOTE)])


def _how(each: Verdict) -> str:
    """Which weights, on what, prepared how."""
    prepared = each.trained.preparation
    which = "larger ones" if prepared.small == "whole" else "each"
    part = "" if prepared.crop is None else f", the middle {prepared.crop:.4g} of {which}"
    return (
        f"{each.trained.said}; {each.subject.title} images at {size(prepared.size)}{part}; "
        f"{each.engine.device.type}, {each.engine.precision}"
    )


def _summary(found: Sequence[Verdict]) -> list[str]:
    header = ("run", "images", "loss", "top-1 error", "95 % interval", "top-5 error", "images/s")
    rows = []
    for each in found:
        top1, top5 = each.scores.top1, each.scores.top5
        rows.append(
            (
                each.trained.label, f"{top1.images:,}", f"{each.scores.loss:.4f}",
                _percent(top1.error), _interval(top1), _percent(top5.error) if top5 else "-",
                f"{each.images_per_second:,.0f}",
            )
        )  # fmt: skip
    return aligned(header, rows)


def _classes(each: Verdict) -> list[str]:
    header = ("class", "images", "errors", "error", "95 % interval", "most taken for")
    rows = []
    for one in each.scores.classes:
        seen = one.rate.images > 0
        mostly = f"{one_line(one.mostly[0])} ({one.mostly[1]})" if one.mostly else "-"
        rows.append(
            (
                one_line(one.name), f"{one.rate.images:,}", f"{one.rate.errors:,}",
                _percent(one.rate.error) if seen else "-",
                _interval(one.rate) if seen else "-", mostly,
            )
        )  # fmt: skip
    return aligned(header, rows)


def _confusion(each: Verdict) -> list[str]:
    """The matrix where it fits into 80 columns, else its most frequent errors."""
    names = [one_line(one.name) for one in each.scores.classes]
    rows = matrix(each.scores)
    numbered = [f"{number} {name}" for number, name in enumerate(names)]
    title = "true class"
    table = aligned(
        (title, *map(str, range(len(names)))),
        [(label, *map(str, row)) for label, row in zip(numbered, rows, strict=True)],
    )
    if max(map(len, table)) <= COLUMNS:
        return [f"{' ' * len(title)}  taken for", *table]
    often = sorted(
        ((count, pair) for pair, count in each.scores.confusions.items() if pair[0] != pair[1]),
        key=lambda item: (-item[0], item[1]),
    )
    return [
        *aligned(
            ("true class", "taken for", "images"),
            [(names[truth], names[first], f"{count:,}") for count, (truth, first) in often[:FEW]],
            left=2,
        ),
        *wrapped(
            f"The {min(FEW, len(often))} most frequent of {len(often):,} confusions; --format csv "
            "writes the whole matrix, --figure draws it."
        ),
    ]


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %"


def _interval(rate: Rate) -> str:
    low, high = rate.interval
    return f"{100 * low:.2f} to {100 * high:.2f}"


# ---- exports


def _rate(rate: Rate | None) -> dict[str, Any] | None:
    if rate is None:
        return None
    seen = rate.images > 0
    return {
        "errors": rate.errors,
        "images": rate.images,
        "error": rate.error if seen else None,
        "interval": list(rate.interval) if seen else None,
    }


def _settings(each: Verdict) -> dict[str, Any]:
    trained, prepared = each.trained, each.trained.preparation
    return {
        "run": trained.label,
        "file": str(trained.file),
        "network": trained.plan.name,
        "weights": trained.which,
        "step": trained.step,
        "epoch": None if trained.epoch is None else round(trained.epoch, 4),
        "data": each.subject.data,
        "split": each.subject.split or None,
        "height": prepared.size[0],
        "width": prepared.size[1],
        "crop": prepared.crop,
        "device": each.engine.device.type,
        "precision": each.engine.precision,
    }


def _data(each: Verdict) -> dict[str, Any]:
    found = each.scores
    names = each.trained.classes
    return {
        **_settings(each),
        "images": found.top1.images,
        "loss": found.loss,
        "top1": _rate(found.top1),
        "top5": _rate(found.top5),
        "images_per_second": round(each.images_per_second, 1),
        "classes": [
            {
                "name": one.name,
                **(_rate(one.rate) or {}),
                "taken": one.taken,
                "mostly": None if one.mostly is None else list(one.mostly),
            }
            for one in found.classes
        ],
        "confusions": [
            {"class": names[truth], "taken_for": names[first], "images": count}
            for (truth, first), count in found.confusions.items()
        ],
        "notes": list(each.notes),
    }


def _csv(found: Sequence[Verdict], by: str) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    if by == "confusion":
        (each,) = found
        names = [one.name for one in each.scores.classes]
        writer.writerow(["class", *names])
        for name, row in zip(names, matrix(each.scores), strict=True):
            writer.writerow([name, *row])
    elif by == "class":
        writer.writerow(
            ["run", "class", "images", "errors", "error", "low", "high", "taken", "mostly"]
        )
        for each in found:
            for one in each.scores.classes:
                mostly = one.mostly[0] if one.mostly else ""
                writer.writerow(
                    [each.trained.label, one.name, *_cells(one.rate), one.taken, mostly]
                )
    else:
        writer.writerow(
            [*_settings(found[0]), "loss", "images", "errors", "error", "low", "high",
             "top5_errors", "top5_error", "images_per_second"]
        )  # fmt: skip
        for each in found:
            top5 = each.scores.top5
            writer.writerow(
                [*_settings(each).values(), each.scores.loss, *_cells(each.scores.top1),
                 *((top5.errors, top5.error) if top5 else ("", "")),
                 round(each.images_per_second, 1)]
            )  # fmt: skip
    return out.getvalue().rstrip("\n")


def _cells(rate: Rate) -> list[Any]:
    """Images, errors, error, low and high; nothing for the last three of no images."""
    if not rate.images:
        return [0, 0, "", "", ""]
    return [rate.images, rate.errors, rate.error, *rate.interval]
