"""`resgen train --tensorboard`: every number, and no harm where it cannot write."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from resgen.errors import UserError
from resgen.train.run import metrics


def test_tensorboard_that_is_missing_is_said_before_anything_is_written(
    command: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics, "find_spec", lambda _: None)
    with pytest.raises(UserError, match="TensorBoard is not installed; pip install tensorboard"):
        command("--tensorboard", "--out", "run")
    assert not (tmp_path / "run").exists()


def test_tensorboard_gets_every_number(command: Callable[..., None], tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    command("--epochs", "2", "--out", "run", "--device", "cpu", "--tensorboard")
    events = EventAccumulator(str(tmp_path / "run" / "tensorboard")).Reload()
    seen = [event.value for event in events.Scalars("heldout_error")]
    rows = metrics.read(tmp_path / "run")
    assert seen == pytest.approx([row["heldout_error"] for row in rows])


def test_tensorboard_that_cannot_write_does_not_end_the_training(
    command: Callable[..., None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    add, calls = metrics.Board.add, []

    def blocked_once(self: metrics.Board, row: metrics.Row) -> None:
        folder = tmp_path / "run" / "tensorboard"
        calls.append(row)
        if len(calls) == 1:
            folder.write_text("a file where the folder should be")
        elif folder.is_file():
            folder.unlink()
        add(self, row)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(metrics.Board, "add", blocked_once)
        command("--epochs", "3", "--out", "run", "--device", "cpu", "--tensorboard")
    assert "note: [Errno 17] File exists: " in capsys.readouterr().err.splitlines()[-1]
    events = EventAccumulator(str(tmp_path / "run" / "tensorboard")).Reload()
    seen = [event.value for event in events.Scalars("heldout_error")]
    assert seen == pytest.approx([row["heldout_error"] for row in metrics.read(tmp_path / "run")])
    assert len(seen) == 3


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_events_that_do_not_fit_leave_no_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("tensorboard")
    made = metrics.Board(tmp_path, step=0)
    row = dict.fromkeys(metrics.KEYS, 1)
    made.add(row)
    (path,) = (tmp_path / "tensorboard").iterdir()
    before = path.read_bytes()
    monkeypatch.setattr(made, "_path", Path("/dev/full"))
    with pytest.raises(OSError, match="No space left"):
        made.add(row)
    monkeypatch.setattr(made, "_path", path)
    made.add(row)
    assert path.read_bytes().startswith(before)
    once = len(path.read_bytes()) - len(before)
    made.add(row)
    assert 2 * (len(path.read_bytes()) - len(before) - once) == once
