"""A report -> a table, JSON or CSV: a row a case, beside what its network costs."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from typing import Any

from resgen.cost import cost
from resgen.report.roofline import rate
from resgen.timing.bench import Report, Result
from resgen.timing.cases import MODES, Contender
from resgen.timing.statistics import Estimate
from resgen.words import aligned, hung, memory, short, size, wrapped

SCHEMA_VERSION = 1


def render(report: Report, form: str) -> str:
    """The report in the form asked for."""
    if form == "json":
        return json.dumps(as_data(report), indent=2)
    return _csv(report) if form == "csv" else _table(report)


# ---- JSON and CSV


def as_data(report: Report) -> dict[str, Any]:
    """Plain values: exact integers, times in seconds, intervals at 95 %."""
    peaks = report.peaks
    return {
        "version": SCHEMA_VERSION,
        "environment": report.environment,
        "peaks": None
        if peaks is None
        else {
            "device": peaks.device,
            "bytes_per_second": peaks.bytes,
            "flops_per_second": peaks.flops,
        },
        "rounds": report.rounds,
        "rounds_asked": report.asked.rounds,
        "seed": report.asked.seed,
        "stopped": report.stopped,
        "networks": [_network(each) for each in report.contenders],
        "results": [_result(report, each) for each in report.results],
    }


def _network(each: Contender) -> dict[str, Any]:
    books = cost(each.plan)
    return {
        "label": each.label,
        "name": each.plan.name,
        "input": list(each.plan.input),
        "params": books.params,
        "macs": books.macs,
        "activations": books.activations,
        "with": list(each.plan.overrides),
    }


def _result(report: Report, each: Result) -> dict[str, Any]:
    case, speed, than_first = each.case, each.images_per_second, report.ratio(each)
    return {
        "network": case.contender.label,
        "mode": case.mode,
        "batch": case.batch,
        "precision": case.precision,
        "failed": each.failed or None,
        "rounds": len(each.by_round),
        "calls": sum(_calls(each)),
        "images_per_second": _values(speed),
        "seconds": _values(each.seconds),
        "seconds_95th_percentile": each.slow,
        "to_first": _values(than_first),
        "flops": case.flops,
        "share_of_peak": report.share(each),
        "peak_bytes": each.peak,
    }


def _calls(each: Result) -> list[int]:
    """Of each round."""
    if each.turns is None:
        return []
    return [each.turns.each] * len(each.turns.seconds)


def _values(found: Estimate | None) -> dict[str, float | None] | None:
    return None if found is None else found._asdict()


def _csv(report: Report) -> str:
    """The results of the JSON, a row each, with the network's cost and the environment."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    networks = {each.label: _network(each) for each in report.contenders}
    costs, about = ("params", "macs", "activations"), ("date", "device", "torch", "threads")
    rows = [_flat(_result(report, each)) for each in report.results]
    writer.writerow([*rows[0], *costs, *about] if rows else [*costs, *about])
    for row in rows:
        network = networks[row["network"]]
        written = [*row.values(), *(network[key] for key in costs)]
        writer.writerow([*written, *(report.environment[key] for key in about)])
    return out.getvalue().rstrip("\n")


_ESTIMATES = ("images_per_second", "seconds", "to_first")


def _flat(row: dict[str, Any]) -> dict[str, Any]:
    """Estimates as three columns: the median, and the interval's ends."""
    flat: dict[str, Any] = {}
    for key, value in row.items():
        if key in _ESTIMATES:
            low, high = (value or {}).get("low"), (value or {}).get("high")
            flat |= {key: (value or {}).get("median"), f"{key}_low": low, f"{key}_high": high}
        else:
            flat[key] = value
    return flat


# ---- tables


def _table(report: Report) -> str:
    lines = _costs(report.contenders) if report.contenders else []
    tables: dict[tuple[str, int, str], list[Result]] = {}
    for each in report.results:
        case = each.case
        tables.setdefault((case.mode, case.batch, case.precision), []).append(each)
    for (mode, batch, precision), results in tables.items():
        lines += ["", *wrapped(f"{mode}, batch {batch}, {precision}: {MODES[mode].says}")]
        lines += _timed(report, results)
    return "\n".join([*lines, *([""] if lines else []), *_notes(report)])


def _costs(found: Sequence[Contender]) -> list[str]:
    body = []
    for each in found:
        books = cost(each.plan)
        counts = (books.params, books.macs, books.activations)
        body.append([each.label, size(each.plan.input), *map(short, counts)])
    return aligned(("", "input", "params", "MACs", "activations"), body)


def _timed(report: Report, results: Sequence[Result]) -> list[str]:
    single = MODES[results[0].case.mode].single
    compared = len(results) > 1
    header = ["", "ms", "95 %", "p95"] if single else ["", "images/s", "95 %"]
    header += [*(["ratio", "95 %"] if compared else []), "memory", *([] if single else ["MFU"])]
    body = []
    for each in results:
        found = each.seconds if single else each.images_per_second
        if found is None:
            body.append([each.case.contender.label, *["-"] * (len(header) - 1)])
            continue
        factor = 1e3 if single else 1.0
        cells = [_number(factor * found.median), _between(found, factor, _number)]
        cells += [] if each.slow is None else [_number(factor * each.slow)]
        cells += _ratio(report, each) if compared else []
        cells += ["-" if each.peak is None else memory(each.peak)]
        share = report.share(each)
        cells += [] if single else ["-" if share is None else f"{share:.1%}"]
        body.append([each.case.contender.label, *cells])
    lines = aligned(header, body)
    for each in results:
        if each.failed:
            lines += hung("", f"{each.case.contender.label}: {each.failed}", 0)
    return lines


def _ratio(report: Report, each: Result) -> list[str]:
    if report.first(each) is each:
        return ["1", ""]
    ratio = report.ratio(each)
    return ["-", "-"] if ratio is None else [_times(ratio.median), _between(ratio, 1.0, _times)]


def _times(ratio: float) -> str:
    return f"{ratio:.3f}"


def _number(value: float) -> str:
    """1234.5 -> 1,234; 12.345 -> 12.35: four digits, or all of those before the point."""
    whole = len(str(int(value))) if value >= 1 else 1
    return f"{value:,.{max(0, 4 - whole)}f}"


def _between(found: Estimate, factor: float, said: Callable[[float], str]) -> str:
    if found.low is None or found.high is None:
        return "-"
    return f"{said(factor * found.low)} to {said(factor * found.high)}"


def _notes(report: Report) -> list[str]:
    about, peaks = report.environment, report.peaks
    kind = f"{about['threads']} threads, " if about["device_kind"] == "cpu" else ""
    compiled = "compiled" if about["compile"] == "on" else "not compiled"
    lines = hung(
        "device",
        f"{about['device']}, {kind}{about['layout']}, {compiled}; torch {about['torch']}, "
        f"{about['date']}",
        9,
    )
    if peaks is not None:
        products = ", ".join(f"{rate(each, 'FLOP/s')} {name}" for name, each in peaks.flops.items())
        lines += hung("peak", f"{products}; {rate(peaks.bytes, 'B/s')}", 9)
    if report.results:
        asked = report.asked
        ended = f"{report.rounds} of {asked.rounds}" if report.stopped else str(asked.rounds)
        lines += hung("rounds", f"{ended}, in each all cases in drawn order (seed {asked.seed})", 9)
        whose = ", by what the process holds" if about["device_kind"] == "cpu" else ""
        lines += wrapped(
            "Medians over the rounds with their 95 % intervals, from 6 rounds on. ratio: times as "
            "fast as the first network, round by round. memory: weights, optimizer state, images "
            f"and the most above them in a step{whose}. MFU: 2 x MACs a second, in training those "
            "of the way back too, of the peak."
        )
    return lines
