"""`resgen summarize RUN...`: trainings grouped, compared and drawn."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import pytest
from scipy import stats
from typer.testing import CliRunner, Result

from resgen.cli import app
from resgen.compare.record import MEASURES
from tests.compare.folders import DATA, as_before, write_run

PLAIN, NET = (0.5, 0.52, 0.48), (0.3, 0.31, 0.35)


@pytest.fixture
def both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three seeds of two networks, side by side in m."""
    monkeypatch.chdir(tmp_path)
    for seed in range(3):
        write_run(Path(f"m/plain/seed-{seed}"), seed, PLAIN[seed], name="plain")
        write_run(Path(f"m/net/seed-{seed}"), seed, NET[seed], name="net", more="order: preact\n")
    return Path("m")


def summarize(*words: str) -> Result:
    return CliRunner().invoke(app, ["summarize", *words])


def test_the_report_has_a_row_a_network_and_then_the_groups(both: Path) -> None:
    done = summarize("m/plain", "m/net", "--no-measure")
    assert done.exit_code == 0
    out = done.stdout
    assert [line.split()[0] for line in out.splitlines()[1:3]] == ["plain", "net"]
    assert out.splitlines()[1].endswith(" 50.00%")  # the mean over the seeds
    assert "plain  3  25.00 (1.00)  50.00 (2.00)   45.00 (1.80)     -\n" in out
    assert "plain: seeds 0 to 2, digits, cpu, fp32\n" in out
    assert "net against plain\n  name: plain -> net\n  order: original -> preact\n" in out
    low, high = stats.ttest_ind(NET, PLAIN, equal_var=False).confidence_interval(0.95)
    interval = f"({100 * low:+.2f} to {100 * high:+.2f})"
    assert f"  held-out error: -18.00 points {interval}, beyond the spread\n" in out
    assert max(map(len, out.splitlines())) <= 80


def test_a_difference_within_the_spread_is_said_to_be(both: Path) -> None:
    for seed, error in enumerate((0.49, 0.53, 0.51)):
        write_run(Path(f"wide/{seed}"), seed, error, name="plain", changes={"batch": 64})
    out = summarize("m/plain", "wide", "--by", "group").stdout
    assert (
        "plain [2] against plain [1]\n  recipe.batch: 128 -> 64\n  held-out error: +1.00 points"
        in out
    )
    assert "within the spread\n" in out


def test_of_one_seed_nothing_can_be_said(both: Path) -> None:
    out = summarize("m/plain", "m/net/seed-1", "--by", "group").stdout
    assert re.search(r"^net +1 +15\.50 \(-\) +31\.00 \(-\) ", out, re.M)
    assert "-19.00 points, of which nothing can be said: of one seed" in out


def test_groups_tested_on_other_images_are_not_compared(both: Path) -> None:
    write_run(Path("other"), 0, 0.1, name="plain", data={**DATA, "name": "cifar10"})
    out = summarize("m/plain", "other", "--by", "group").stdout
    assert "  data.name: digits -> cifar10\n  not compared: tested on other images\n" in out
    assert "points" not in out.partition("errors in %")[0]


def test_the_test_error_is_compared_where_there_is_one(tmp_path: Path) -> None:
    for name in ("a", "b"):
        for seed in (0, 1):
            write_run(tmp_path / name / str(seed), seed, 0.2, name=name, test=0.4 + seed / 10)
    out = summarize(str(tmp_path / "a"), str(tmp_path / "b"), "--by", "group").stdout
    assert "  test error: +0.00 points (" in out
    assert "  training error: +0.00 points, the same in every run\n" in out
    assert "45.00 (7.07)" in out


def test_json_has_a_networks_groups_in_it(both: Path) -> None:
    found = json.loads(summarize("m", "--no-measure", "--format", "json").stdout)
    assert [each["name"] for each in found] == ["net", "plain"]
    (group,) = found[1]["runs"]
    assert group["errors"]["last_error"]["values"] == list(PLAIN)
    assert group["differences"]["last_error"]["verdict"] == "beyond"
    assert {"key": "order", "first": "preact", "here": "original"} in group["differs"]
    assert group["recipe"]["batch"] == 128
    single = json.loads(summarize("resnet18", "--no-measure", "--format", "json").stdout)
    assert "runs" not in single


def test_csv_has_a_row_a_run_or_a_group(both: Path) -> None:
    rows = list(
        csv.DictReader(io.StringIO(summarize("m", "--by", "run", "--format", "csv").stdout))
    )
    assert [(row["network"], row["seed"]) for row in rows] == [
        (name, str(seed)) for name in ("net", "plain") for seed in range(3)
    ]
    assert [float(row["last_error"]) for row in rows] == [*NET, *PLAIN]
    first, second = csv.DictReader(
        io.StringIO(summarize("m", "--by", "group", "--format", "csv").stdout)
    )
    assert float(second["last_error_deviation"]) == pytest.approx(0.02)
    assert (first["verdict"], second["verdict"]) == ("", "beyond")
    assert second["differs"] == "name order"
    whole = json.loads(summarize("m", "--by", "group", "--format", "json").stdout)
    assert [each["n"] for each in whole["groups"]] == [3, 3]


def test_markdown_has_the_same_rows(both: Path) -> None:
    lines = summarize("m", "--by", "run", "--format", "markdown").stdout.splitlines()
    assert len(lines) == 8
    assert len({line.count("|") for line in lines}) == 1
    whole = summarize("m", "--no-measure", "--format", "markdown").stdout
    assert "| network | group | n | seeds |" in whole


def test_a_row_a_run_says_how_each_ended(both: Path) -> None:
    write_run(Path("m/net/seed-3"), 3, None, name="net", more="order: preact\n")
    lines = summarize("m", "--by", "run").stdout.splitlines()
    assert lines[0].split("  ")[0] == "runs"
    assert [line.split()[1:3] for line in lines[1:5]] == [
        ["0", "finished"], ["1", "finished"], ["2", "finished"], ["3", "unfinished"],
    ]  # fmt: skip
    assert all(word in lines[0] for word in MEASURES.values())


@pytest.mark.parametrize("name", ["x", "a-name-of-a-network-that-goes-on-and-on-for-a-whole-line"])
def test_names_of_any_length_stay_in_80_columns(tmp_path: Path, name: str) -> None:
    for seed in (0, 1):
        write_run(tmp_path / "m" / str(seed), seed, 1 - seed / 3, name=name, test=0.5)
    out = summarize(str(tmp_path / "m"), "--by", "group").stdout
    assert max(map(len, out.splitlines())) <= 80
    assert "100.00" not in out
    assert out.count(name) == 2


def test_earlier_runs_are_summarized_too(both: Path) -> None:
    for path in both.glob("*/*"):
        as_before(path)
    out = summarize("m", "--no-measure").stdout
    assert "net: seeds 0 to 2, digits, cpu, fp32" in out
    assert "beyond the spread" in out


# ---- curves


def test_curves_are_drawn_with_their_bands(both: Path) -> None:
    assert summarize("m", "--by", "group", "--curves", "c.svg").exit_code == 0
    text = Path("c.svg").read_text()
    for words in ("net, 3 seeds", "plain, 3 seeds", "mean ± deviation", "digits"):
        assert f">{words}</text>" in text
    bands = re.findall(r'id="\w*PolyCollection_\d+"', text)
    assert len(bands) == 8  # errors and losses, two lines of two networks each
    again = summarize("m", "--curves", "c.svg", "--no-measure")
    assert str(again.exception).startswith("c.svg: already exists")
    assert summarize("m", "--curves", "c.svg", "--no-measure", "--force").exit_code == 0


def test_of_one_run_there_is_no_band(both: Path) -> None:
    assert summarize("m/net/seed-0", "--by", "run", "--curves", "c.svg").exit_code == 0
    text = Path("c.svg").read_text()
    assert ">net</text>" in text
    assert "deviation" not in text
    assert "PolyCollection" not in text


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["resnet18", "--by", "run"], "--by run says nothing without run folders; "),
        (["resnet18", "--curves", "c.png"], "--curves says nothing without run folders; "),
        (["m", "--by", "group", "--draw", "d.svg"], "--by group and --draw exclude each other; "),
        (["m", "--by", "run", "--with", "classes=3"], "--by run and --with exclude each other; "),
        (["m", "--by", "layer"], "--by layer and several networks exclude each other; "),
        (["m", "--curves", "c.txt"], "c.txt: end the file's name in .png, .svg or .pdf"),
        (["m", "--curves", "c.svg", "--plot", "./c.svg"], "--plot and --curves: both are c.svg"),
    ],
)
def test_what_does_not_go_together_is_refused(both: Path, words: list[str], says: str) -> None:
    done = summarize(*words, *([] if "--by" in words else ["--no-measure"]))
    assert done.exit_code != 0
    assert says in str(done.exception)
    assert not Path("c.svg").exists()


def test_runs_without_an_epoch_have_no_curve(tmp_path: Path) -> None:
    run = write_run(tmp_path / "r", 0, None)
    (run / "metrics.jsonl").unlink()
    done = summarize(str(run), "--by", "run", "--curves", str(tmp_path / "c.png"))
    assert "none of the runs has come to the end of an epoch" in str(done.exception)
