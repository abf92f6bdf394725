"""Whatever goes wrong in however many processes, one of them says it."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from torch.distributed import HashStore  # type: ignore[attr-defined]

from resgen.errors import Interrupted, UserError
from resgen.train.device import voice as room
from resgen.train.device.place import Place
from resgen.train.device.voice import Lost, Voice
from tests.launched import Run, rows, until

Pair = Callable[..., list[Run]]
HOST = re.compile(r"error: process 1 of 2 on \S+: ")


def said(pair: list[Run]) -> list[list[str]]:
    """What each process says went wrong."""
    assert not any("Traceback" in run.err for run in pair)
    return [
        [line for line in run.err.splitlines() if line.startswith("error")] for run in pair
    ]  # fmt: skip


def test_what_the_first_process_finds_the_others_leave_to_it(
    start_two: Pair, tiny: Callable[..., str], tmp_path: Path
) -> None:
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "file").touch()
    pair = start_two("train", tiny(), "--device", "cpu", "--out", "used")
    assert [run.end() for run in pair] == [2, 2]
    first, second = said(pair)
    assert [line[:35] for line in first] == ["error: --out used: not empty (it ho"]
    assert second == []


@pytest.mark.parametrize("words", [("--data", "folder:nowhere"), ("--with", "depth=1")])
def test_what_all_find_is_said_once(
    start_two: Pair, tiny: Callable[..., str], words: tuple[str, str]
) -> None:
    pair = start_two("train", tiny(), "--device", "cpu", *words)
    assert [run.end() for run in pair] == [2, 2]
    first, second = said(pair)
    assert len(first) == 1
    assert second == []


@pytest.mark.parametrize("own", [("--with", "depth=1"), ("--device", "cuda:99")])
def test_what_one_finds_it_says_with_its_name_and_the_others_end(
    start_two: Pair, tiny: Callable[..., str], own: tuple[str, str]
) -> None:
    pair = start_two("train", tiny(), "--device", "cpu", "--out", "run", own=((), own))
    assert [run.end() for run in pair] == [2, 2]
    first, (second,) = said(pair)
    assert first == []
    assert HOST.match(second)


def test_an_image_that_one_process_cannot_read_is_named_once(
    start_two: Pair, tiny: Callable[..., str], pictures: str, tmp_path: Path
) -> None:
    # The held-out images are dealt out in turn: the second one is process 1's.
    image = tmp_path / "pictures/val/cat/1.png"
    image.write_bytes(image.read_bytes()[:-40])
    pair = start_two(
        "train", tiny(classes=2), "--data", pictures, "--set", "batch=8", "--epochs", "3",
        "--device", "cpu", "--workers", "1", "--out", "run",
    )  # fmt: skip
    assert [run.end() for run in pair] == [2, 2]
    first, (second,) = said(pair)
    assert first == []
    assert HOST.match(second)
    assert "pictures/val/cat/1.png" in second


@pytest.mark.parametrize("killed", [0, 1])
def test_of_a_process_that_was_killed_another_one_tells(
    start_two: Pair, tiny: Callable[..., str], killed: int
) -> None:
    pair = start_two("train", tiny(), "--epochs", "5000", "--device", "cpu", "--out", "run")
    until(lambda: rows(pair[0]), alive=pair[0])
    pair[killed].signal(signal.SIGKILL)
    assert pair[1 - killed].end() == 2
    (line,) = said(pair)[1 - killed]
    assert line.startswith("error: another process of this run ended without a word")


# ---- who speaks, without any processes


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> HashStore:
    monkeypatch.setattr(room, "FIRST", 0.0)
    monkeypatch.setattr(room, "LINGER", 0.0)
    return HashStore()


def ended(voice: Voice, error: BaseException) -> BaseException:
    with pytest.raises((Exception, SystemExit)) as caught:
        voice.end(error)
    return caught.value


def test_one_speaks_and_the_others_keep_its_exit_code(store: HashStore) -> None:
    voices = [Voice(Place(rank=rank, size=3), store) for rank in range(3)]
    first = ended(voices[2], UserError("one", "two"))
    assert isinstance(first, UserError)
    assert re.fullmatch(r"process 2 of 3 on \S+: one", first.lines[0])
    assert first.lines[1:] == ("two",)
    for voice, error in ((voices[0], Lost("gone")), (voices[1], Interrupted("SIGTERM"))):
        silent = ended(voice, error)
        assert isinstance(silent, SystemExit)
        assert silent.code == error.exit_code


def test_a_fault_of_the_program_shows_one_traceback(store: HashStore) -> None:
    voices = [Voice(Place(rank=rank, size=2), store) for rank in range(2)]
    first = ended(voices[1], ZeroDivisionError())
    assert isinstance(first, ZeroDivisionError)
    assert re.fullmatch(r"in process 1 of 2 on \S+", first.__notes__[0])
    silent = ended(voices[0], ValueError())
    assert isinstance(silent, SystemExit)
    assert silent.code == 1


def test_where_the_store_is_gone_each_speaks_for_itself() -> None:
    class Gone(HashStore):
        def add(self, *_: object) -> int:
            raise RuntimeError("Broken pipe")

        check = add  # type: ignore[assignment]

    assert str(ended(Voice(Place(rank=1, size=2), Gone()), Lost("gone"))) == "gone"


def test_one_process_says_what_it_has_to_say() -> None:
    error = UserError("so")
    assert ended(Voice(Place()), error) is error
    assert error.lines == ("so",)


def test_a_signal_on_the_way_out_does_not_take_the_words_from_who_has_them(
    store: HashStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []

    class Ringing(HashStore):
        def add(self, key: str, amount: int) -> int:
            calls.append(key)
            if len(calls) == 1:
                raise KeyboardInterrupt
            return 1

    assert str(ended(Voice(Place(size=2), Ringing()), UserError("so"))) == "so"
    assert calls == ["said", "said", "heard"]
