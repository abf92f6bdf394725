"""Processes find each other, or one sentence says why not; what they were told must agree."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from resgen.errors import UserError
from resgen.train.device import meeting
from resgen.train.device.place import Place, placed
from resgen.train.device.place import port as own_port
from resgen.train.device.processes import World
from resgen.train.run.differing import agree, differences
from tests.launched import Run

TORCHRUN = {
    "RANK": "3", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2", "WORLD_SIZE": "4",
    "MASTER_ADDR": "first",
}  # fmt: skip
SLURM = {
    "SLURM_PROCID": "3", "SLURM_LOCALID": "1", "SLURM_NTASKS_PER_NODE": "2", "SLURM_NTASKS": "4",
    "MASTER_ADDR": "first",
}  # fmt: skip


@pytest.mark.parametrize("variables", [TORCHRUN, SLURM], ids=["torchrun", "slurm"])
def test_a_process_knows_its_place(variables: dict[str, str]) -> None:
    assert placed(variables) == Place(rank=3, local_rank=1, local_size=2, size=4)


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"WORLD_SIZE": "1"},
        {"SLURM_PROCID": "0", "SLURM_NTASKS": "1", "SLURM_JOB_ID": "7"},
        {"SLURM_NTASKS": "4", "SLURM_JOB_ID": "7"},  # the shell that salloc opens
    ],
)
def test_without_a_launcher_a_process_is_alone(variables: dict[str, str]) -> None:
    assert placed(variables) == Place()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"RANK": "one"}, "RANK one: must be a whole number of at least 0"),
        ({"RANK": "-1"}, "RANK -1: must be a whole number of at least 0"),
        ({"RANK": "4"}, "RANK 4: must be below WORLD_SIZE, which is 4"),
        ({"WORLD_SIZE": "0"}, "WORLD_SIZE 0: must be a whole number of at least 1"),
        (
            {"WORLD_SIZE": None},
            "WORLD_SIZE is not set: the launcher of several processes sets it",
        ),
        (
            {"RANK": None},
            "WORLD_SIZE is 4 and RANK is not set: start with torchrun, or set RANK in each process",
        ),
        ({"LOCAL_RANK": "2"}, "LOCAL_RANK 2: must be below LOCAL_WORLD_SIZE, which is 2"),
        ({"LOCAL_RANK": ""}, "LOCAL_RANK : must be a whole number of at least 0"),
        (
            {"MASTER_ADDR": None},
            "WORLD_SIZE is 4 and MASTER_ADDR is not set: it names the machine of RANK 0, as "
            "127.0.0.1; torchrun sets it",
        ),
        ({"MASTER_PORT": "http"}, "MASTER_PORT http: must be a whole number of at least 1"),
        (
            {"MASTER_PORT": "70000"},
            "MASTER_PORT 70000: must be below the number of ports, which is 65536",
        ),
    ],
)
def test_a_wrong_variable_is_named(changes: dict[str, str | None], message: str) -> None:
    variables = {k: v for k, v in {**TORCHRUN, **changes}.items() if v is not None}
    with pytest.raises(UserError) as caught:
        placed(variables)
    assert str(caught.value) == message


@pytest.mark.parametrize("rank", ["0", "3"])
def test_tasks_that_do_not_know_of_each_other_are_refused(rank: str) -> None:
    """Each would be a world of its own, and all of them would write one folder."""
    with pytest.raises(UserError) as caught:
        placed({"SLURM_PROCID": rank, "SLURM_NTASKS": "4"})
    assert str(caught.value) == (
        "SLURM_NTASKS is 4 and MASTER_ADDR is not set: the 4 tasks would train the same run each "
        'by itself; export MASTER_ADDR=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n '
        "1) before srun, or run a single task with srun --ntasks 1"
    )
    # What torchrun starts inside a task is at the place that torchrun says.
    assert placed({"SLURM_PROCID": rank, "SLURM_NTASKS": "4", **TORCHRUN}).rank == 3


def test_two_jobs_of_slurm_on_one_machine_do_not_meet() -> None:
    assert own_port({}) == own_port({**TORCHRUN, "SLURM_JOB_ID": "123456"}) == 29500
    assert own_port({"SLURM_JOB_ID": "123456"}) == 23456
    assert own_port({"SLURM_JOB_ID": "123456", "MASTER_PORT": "1234"}) == 1234


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """A socket bound to the port where processes are to meet; nothing listens there."""
    with socket.socket() as bound:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(("127.0.0.1", 0))
        monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
        monkeypatch.setenv("MASTER_PORT", str(bound.getsockname()[1]))
        yield bound


def test_a_port_in_use_is_named(port: socket.socket) -> None:
    port.listen()
    number = port.getsockname()[1]
    with pytest.raises(UserError, match=f"^MASTER_PORT {number}: in use by another program; set"):
        meeting.meet(0, 2)


def test_a_machine_that_is_none_is_named(
    port: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MASTER_ADDR", "nowhere.invalid")
    with pytest.raises(UserError, match=r"^MASTER_ADDR nowhere\.invalid: no such host$"):
        meeting.meet(1, 2)


@pytest.mark.parametrize(
    ("rank", "message"),
    [
        (0, "^1 of 2 processes did not come within .*: those of RANK 1$"),
        (1, "^the process of RANK 0 was not there within .*: nothing answers at MASTER_ADDR 127"),
    ],
)
def test_who_does_not_come_is_named(
    port: socket.socket, monkeypatch: pytest.MonkeyPatch, rank: int, message: str
) -> None:
    port.close()
    monkeypatch.setattr(meeting, "PATIENCE", timedelta(seconds=0.2))
    with pytest.raises(UserError, match=message):
        meeting.meet(rank, 2)


def said_to(*others: tuple[int, int]) -> list[str]:
    """What each of the others, (rank, size), hears besides process 0 of 2 at the meeting."""
    said: list[str] = []
    stores = []

    def come(rank: int, size: int) -> None:
        try:
            stores.append(meeting.meet(rank, size))
        except UserError as error:
            said.append(str(error))

    threads = [threading.Thread(target=come, args=place) for place in [(0, 2), *others]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return said


def test_two_processes_of_one_rank_are_told(port: socket.socket) -> None:
    port.close()
    assert said_to((1, 2), (1, 2)) == ["RANK 1: two processes were started with it"]


def test_another_number_of_processes_is_told(port: socket.socket) -> None:
    port.close()
    assert "WORLD_SIZE: 2 in the process of RANK 0 and 3 in that of RANK 1" in said_to((1, 3))


def test_the_first_difference_is_found_by_its_name() -> None:
    one = {"a": {"b": [1, {"c": 2}]}, "d": 3}
    assert list(differences(one, {"a": {"b": [1, {"c": 5}]}, "d": 4})) == [
        ("a.b[1].c", 2, 5), ("d", 3, 4),
    ]  # fmt: skip
    assert list(differences(one, one)) == []


def test_each_of_them_finds_which_process_differs(monkeypatch: pytest.MonkeyPatch) -> None:
    facts = [{"seed": 0}, {"seed": 0}, {"seed": 7}]
    monkeypatch.setattr(World, "gather", lambda *_: facts)
    sentence = (
        "process 2 has seed 7 and process 0 has 0: all must be started with the same command, "
        "on the same data and versions"
    )
    for rank in range(3):
        with pytest.raises(UserError) as caught:
            agree(World(rank=rank, size=3), facts[rank])
        assert str(caught.value) == sentence


@pytest.mark.parametrize(
    ("own", "key"),
    [
        (("--seed", "1"), "seed 1 and process 0 has 0"),
        (("--epochs", "3"), "recipe.length 3 epochs and process 0 has 2 epochs"),
        (("--data", "synthetic"), "data.name synthetic and process 0 has digits"),
    ],
)
def test_processes_started_with_other_words_end_before_the_first_step(
    start_two: Callable[..., list[Run]], tiny: Callable[..., str], tmp_path: Path,
    own: tuple[str, ...], key: str,
) -> None:  # fmt: skip
    command = ("train", tiny(), "--epochs", "2", "--device", "cpu", "--out", "run")
    pair = start_two(*command, own=((), own))
    assert [run.end() for run in pair] == [2, 2]
    assert pair[0].err.splitlines()[-1].startswith(f"error: process 1 has {key}: all must be")
    assert "error" not in pair[1].err
    assert not any("Traceback" in run.err for run in pair)
    assert not (tmp_path / "run").exists()
