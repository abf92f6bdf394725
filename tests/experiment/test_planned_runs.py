"""What a run's folder says has become of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from resgen.experiment.runs import Planned, each_once, errors, left, standing
from tests.compare.folders import write_run

ENDED = {"train_error": 0.01, "last_error": 0.025, "seconds": 12.3}


def planned(folder: Path, seed: int = 0, after: Planned | None = None) -> Planned:
    return Planned("net", folder / "net.yaml", seed, folder / f"seed-{seed}", (), after=after)


@pytest.mark.parametrize(
    ("result", "log", "state", "why"),
    [
        (None, None, "missing", "not begun"),
        (ENDED, None, "finished", ""),
        (ENDED, "error: x\nexit code 1\n", "finished", ""),
        ({"diverged": "net: the loss"}, "exit code 3\n", "diverged", "net: the loss"),
        (None, "$ resgen train\nerror: no room\nexit code 2\n", "failed", "exit code 2: no room"),
        (None, "exit code 1\n$ resgen train\nerror: half a li", "missing", "not begun"),
        (None, "error: SIGTERM\nexit code 130\n", "missing", "not begun"),
        (None, "exit code -9\n", "failed", "exit code -9: it printed nothing"),
        ([], "", "missing", "not begun"),
        ({"last_error": None}, "", "missing", "not begun"),
    ],
)
def test_how_a_run_stands(
    tmp_path: Path, result: object, log: str | None, state: str, why: str
) -> None:
    if result is not None:
        (tmp_path / "result.json").write_text(json.dumps(result))
    if log is not None:
        (tmp_path / "log.txt").write_text(log)
    assert standing(tmp_path) == (state, why)


def test_damaged_files_are_no_end(tmp_path: Path) -> None:
    (tmp_path / "result.json").write_text('{"last_err')
    (tmp_path / "metrics.jsonl").touch()
    assert standing(tmp_path) == ("missing", "interrupted")


def test_a_run_that_training_left_is_finished(tmp_path: Path) -> None:
    write_run(tmp_path / "a", 0, 0.025)
    assert standing(tmp_path / "a").state == "finished"
    assert errors(tmp_path / "a") == "training 1.25 %, held out 2.50 %; 1 s"


def test_what_is_left(tmp_path: Path) -> None:
    first, second = planned(tmp_path, 0), planned(tmp_path, 1)
    again = Planned("other", tmp_path / "net.yaml", 0, first.folder, ())
    assert left([first, again, second]) == [first, second]
    assert each_once([first, again, second]) == [first, second]
    for run, ended in ((first, ENDED), (second, {"diverged": "so"})):
        run.folder.mkdir()
        (run.folder / "result.json").write_text(json.dumps(ended))
    assert left([first, again, second]) == []
