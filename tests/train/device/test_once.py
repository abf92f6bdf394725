"""What one process of a machine finds the others are given: a folder is scanned once."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.noise import noise_folders
from tests.train.device.test_processes import launch

# Loads a folder as files and as images in memory; what each process did and has is written down.
SCRIPT = """
import json, os, sys
import torch
from resgen.errors import UserError
from resgen.train.data import gathering, listing, sources
from resgen.train.data.images import Files, Wanted
from resgen.train.device import processes
from resgen.train.device.voice import together

torch.set_num_threads(1)
counts = {"scandir": 0, "decode": 0}
scandir, decode = os.scandir, gathering.decode

def counted_scandir(*asked):
    counts["scandir"] += 1
    return scandir(*asked)

def counted_decode(*asked):
    counts["decode"] += 1
    return decode(*asked)

listing.os.scandir = counted_scandir
gathering.decode = counted_decode

def told(split):
    if isinstance(split, Files):
        return [[split[n] for n in range(len(split))], split.labels.tolist()]
    return [split.pixels.sum((1, 2, 3)).tolist(), split.labels.tolist()]

with together() as voice, processes.joined(torch.device("cpu"), voice) as world:
    found = {}
    for limit in (0, 2**32):
        data = sources.load(Wanted("folder:data", 3, (8, 8), 2, memory_limit=limit), world)
        found[limit] = [
            [told(each) for each in (data.train, data.heldout, data.test)],
            data.classes, data.mean, data.std, data.files.tolist(), data.place,
        ]
        found[f"counts {limit}"] = dict(counts)
        found[f"notes {limit}"] = data.notes
    open(f"found-{world.rank}.json", "w").write(json.dumps(found))
"""


@pytest.mark.parametrize("cache", ["cache", "off"])
def test_of_two_processes_one_scans_and_decodes(tmp_path: Path, cache: str) -> None:
    noise_folders(tmp_path)
    (tmp_path / "script.py").write_text(SCRIPT)
    where = str(tmp_path / "cache") if cache != "off" else "off"
    done = launch(2, ["script.py"], tmp_path, RESGEN_CACHE=where)
    assert done.returncode == 0, done.stderr
    first, second = (json.loads((tmp_path / f"found-{n}.json").read_text()) for n in (0, 1))
    for limit in ("0", str(2**32)):
        assert first[limit] == second[limit]
    # Each split's own folder and its two classes.
    assert first["counts 0"]["scandir"] > 0
    assert second["counts 0"] == {"scandir": 0, "decode": 0}
    if cache == "off":
        assert second[f"counts {2**32}"]["decode"] == 46
    else:
        assert second[f"counts {2**32}"] == {"scandir": 0, "decode": 0}


def test_a_mistake_of_the_one_is_said_once(tiny: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "data/train/cat").mkdir(parents=True)
    words = ["-m", "resgen", "train", tiny(), "--data", f"folder:{tmp_path / 'data'}"]
    done = launch(2, words, tmp_path)
    assert done.returncode != 0
    assert done.stderr.count("error: ") == 1
    assert f"error: {tmp_path}/data/train: no images in cat" in done.stderr
