"""`summarize --by layer --roofline`: which layers memory bounds, in every format."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from resgen import load_spec, resolve
from resgen.cli import app
from resgen.cost.roofline import Roofline
from resgen.report.formats import Entry, render
from resgen.spec import shipped

PEAKS = "19.5T,1.5TB"  # 13 FLOPs in the time of a byte


def run(*words: str) -> str:
    done = CliRunner().invoke(app, ["summarize", "--no-measure", *words])
    assert done.exit_code == 0, done.stderr
    return done.stdout


def rows_of(*words: str) -> list[dict[str, object]]:
    data = json.loads(run("--by", "layer", "--roofline", PEAKS, "--format", "json", *words))
    rows: list[dict[str, object]] = data["layers"]
    return rows


def test_a_layer_below_the_balance_is_bound_by_memory() -> None:
    found = {row["name"]: row for row in rows_of("resnet18")}
    for row in found.values():
        intensity = row["operations_per_byte"]
        if intensity is None:
            assert row["bound"] is None
        elif not str(row["name"]).startswith("layer1.0-1"):  # one row of several operations
            assert row["bound"] == ("memory" if float(str(intensity)) < 13 else "compute")
    # 3x3, 64 to 64 channels on 56x56, in two blocks; an operation is half a MAC.
    conv = found["layer1.0-1.conv1"]
    assert conv["operations"] == 2 * 2 * 115_605_504
    assert conv["bytes"] == 2 * 4 * (200_704 + 200_704 + 36_864)
    assert found["layer1.0-1 addition"]["bytes"] == 2 * 4 * 3 * 200_704


def test_images_at_a_time_share_the_weights() -> None:
    one, many = (
        {row["name"]: row for row in rows_of("resnet18", "--batch", n)} for n in ("1", "64")
    )
    assert one["fc"]["bound"] == "memory"
    assert many["fc"]["bound"] == "compute"
    assert many["fc"]["bytes"] == 4 * (64 * (512 + 1000) + 513_000)


def test_half_precision_moves_half() -> None:
    full, half = rows_of("resnet18"), rows_of("resnet18", "--precision", "bf16")
    pairs = zip(full, half, strict=True)
    assert all(one["bytes"] == 2 * int(str(other["bytes"])) for one, other in pairs)


def test_the_table_says_it_in_80_columns() -> None:
    text = run("resnet18", "--by", "layer", "--roofline", PEAKS)
    lines = {line.split()[0]: line.split() for line in text.splitlines() if line}
    assert lines["bn1"][-2:] == ["0.25", "memory"]
    assert lines["conv1"][-1] == "compute"
    assert "49 of 68 layers and additions are bound by memory" in " ".join(text.split())
    roof = Roofline(19.5e12, 1.5e12)
    for name in shipped.names()[::5]:
        entry = Entry(resolve(load_spec(name)), roof=roof)
        for line in render([entry], "table", "layer").splitlines():
            assert len(line) <= 80, (name, line)


def test_csv_and_markdown_have_the_same_columns() -> None:
    text = run("resnet18", "--by", "layer", "--roofline", PEAKS, "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(text)))
    by_name = {row["row"]: row for row in rows}
    assert by_name["bn1"]["bound"] == "memory"
    assert by_name["bn1"]["bytes"] == str(4 * (2 * 802_816 + 256))
    marked = run("resnet18", "--by", "layer", "--roofline", PEAKS, "--format", "markdown")
    first, rule, *_ = marked.splitlines()
    assert first.count("|") == rule.count("|")
    assert "operations_per_byte" in first


def test_without_a_roofline_nothing_is_added() -> None:
    assert "bytes" not in json.loads(run("resnet18", "--by", "layer", "--format", "json"))["layers"]
    assert "bound" not in run("resnet18", "--format", "csv")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--roofline", PEAKS), "--roofline says nothing without --by layer; add it"),
        (("--by", "layer", "--roofline", "x"), "--roofline x: cannot be read: No such file"),
        (
            ("--by", "layer", "--roofline", PEAKS, "--explain", "fc"),
            "--explain and --by exclude each other",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused(
    words: tuple[str, ...], sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["summarize", "resnet18", "--no-measure", *words])
    assert str(done.exception).startswith(sentence)
