"""A local Ray cluster of two workers, one of which is killed in the middle of its run."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from resgen.errors import UserError
from resgen.experiment import cluster
from resgen.experiment.planning import Choice, Study
from resgen.experiment.worker import perform
from resgen.train.run import metrics
from tests.experiments import weights

pytest.importorskip("ray")


@pytest.fixture
def two_workers(tmp_path: Path) -> Iterator[str]:
    """The address of a cluster that has two processors."""
    import ray
    from ray.cluster_utils import Cluster

    made = None
    for _ in range(5):
        # Its own processes get 30 seconds to find each other, which a busy machine may not have.
        with suppress(Exception):
            made = Cluster(
                initialize_head=True, head_node_args={"num_cpus": 2, "include_dashboard": False}
            )
            break
    assert made is not None
    yield made.address
    ray.shutdown()
    made.shutdown()


@pytest.mark.slow
def test_a_run_whose_worker_is_killed_is_taken_up_by_another(
    study: Callable[..., Study],
    two_workers: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "alone").mkdir()
    monkeypatch.chdir(tmp_path / "alone")
    length = {"set": ["length=12 epochs"]}
    alone = study(Choice(seeds=1), **length).planned
    assert [perform(each.commands, each.folder / "log.txt") for each in alone] == [0, 0, 0]
    monkeypatch.chdir(tmp_path)
    runs = study(Choice(seeds=1), **length).planned
    small = runs[0]
    killed: list[int] = []

    def kill() -> None:
        end = time.monotonic() + 240
        while len(metrics.read(small.folder)) < 2 and time.monotonic() < end:
            time.sleep(0.02)
        holder = json.loads((small.folder / ".lock").read_text())
        os.kill(holder["pid"], signal.SIGKILL)
        killed.append(holder["pid"])

    killer = threading.Thread(target=kill)
    killer.start()
    ended = list(cluster.run(runs, address=two_workers, threads=1, device="cpu"))
    killer.join()
    assert len(killed) == 1
    assert killed[0] != os.getpid()
    assert {each.run.network: each.code for each in ended} == {"small": 0, "wide": 0, "grown": 0}
    order = [each.run.network for each in ended]
    assert order.index("small") < order.index("grown")
    log = (small.folder / "log.txt").read_text()
    assert log.count("$ resgen train") == 2
    assert log.count("exit code") == 1
    starts = json.loads((small.folder / "environment.json").read_text())
    assert len(starts) == 2
    # An epoch's line is written before its checkpoint.
    assert starts[1]["step"] >= 11
    for each, other in zip(runs, alone, strict=True):
        assert weights(each.folder) == weights(other.folder)


@pytest.mark.slow
def test_what_begins_from_a_run_that_failed_is_not_begun(
    study: Callable[..., Study], two_workers: str
) -> None:
    runs = study(Choice(seeds=1)).planned
    runs[0].spec.write_text("name: nothing\n")
    ended = cluster.run([runs[0], runs[2]], address=two_workers, threads=1, device="cpu")
    assert {each.run.network: each.code for each in ended} == {"small": 2, "grown": None}
    assert runs[0].standing.state == "failed"


def test_a_cluster_that_does_not_answer_is_a_sentence() -> None:
    with pytest.raises(UserError, match=r"--on ray --address 127\.0\.0\.1:1: no cluster answers"):
        next(cluster.run([], address="127.0.0.1:1", threads=1, device="cpu"))


@pytest.mark.parametrize(
    ("device", "gpus", "needs"),
    [
        ("auto", 0, {"num_cpus": 4, "num_gpus": 0}),
        ("auto", 2, {"num_cpus": 1, "num_gpus": 1}),
        ("cpu", 2, {"num_cpus": 4, "num_gpus": 0}),
        ("cuda", 0, {"num_cpus": 1, "num_gpus": 1}),
    ],
)
def test_what_a_run_declares(device: str, gpus: int, needs: dict[str, float]) -> None:
    class Fake:
        @staticmethod
        def cluster_resources() -> dict[str, Any]:
            return {"CPU": 8, **({"GPU": gpus} if gpus else {})}

    assert cluster._needs(Fake, 4, device) == needs
