"""Runs that differ only in seed are one group; what differs between groups is named."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from statistics import mean, stdev

import pytest

from resgen.compare.groups import Group, grouped
from resgen.compare.record import networks, read
from resgen.errors import UserError
from tests.compare.folders import DATA, as_before, write_run


def groups(*folders: Path) -> list[Group]:
    return grouped([read(folder) for folder in folders])


def seeds(group: Group) -> list[int | None]:
    return [run.seed for run in group.runs]


def test_runs_of_other_seeds_are_one_group(tmp_path: Path) -> None:
    errors = {2: 0.25, 0: 0.2, 1: 0.3}
    (group,) = groups(*(write_run(tmp_path / str(s), s, e) for s, e in errors.items()))
    assert seeds(group) == [0, 1, 2]
    assert group.seeds == "seeds 0 to 2"
    assert group.values("last_error") == [0.2, 0.3, 0.25]
    found = group.spread("last_error")
    assert found is not None
    assert found.n == 3
    assert found.mean == pytest.approx(mean(errors.values()))
    assert found.deviation == pytest.approx(stdev(errors.values()))
    assert group.spread("test_error") is None


@pytest.mark.parametrize(
    ("other", "key", "pair"),
    [
        ({"name": "wider"}, "name", ("tiny", "wider")),
        ({"more": "order: preact\n"}, "order", ("original", "preact")),
        ({"changes": {"batch": 64}}, "recipe.batch", (128, 64)),
        ({"changes": {"ema": {"decay": 0.9}}}, "recipe.ema", (None, {"decay": 0.9})),
        ({"data": {**DATA, "heldout": 100}}, "data.heldout", (360, 100)),
        ({"init_from": "a.pt"}, "weights", ("drawn", "a.pt")),
        ({"init_from": "a.pt", "head": "drop"}, "weights", ("drawn", "a.pt, --head drop")),
        ({"device": "cuda"}, "device", ("cpu", "cuda")),
        ({"precision": "bf16"}, "precision", ("fp32", "bf16")),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_what_differs_makes_another_group_and_is_named(
    tmp_path: Path, other: dict[str, object], key: str, pair: tuple[object, object]
) -> None:
    one = write_run(tmp_path / "a", 0, 0.2)
    two = write_run(tmp_path / "b", 1, 0.3, **other)  # type: ignore[arg-type]
    first, second = groups(one, two)
    assert first.apart == ()
    assert (key, *pair) in second.apart
    assert len(second.apart) == 1
    assert bool(second.differing) == (not key.startswith("data"))


def test_a_recipes_description_is_no_difference(tmp_path: Path) -> None:
    one = write_run(tmp_path / "a", 0, 0.2)
    two = write_run(tmp_path / "b", 1, 0.3, changes={"description": "of another day"})
    assert len(groups(one, two)) == 1


def test_groups_of_one_name_are_numbered(tmp_path: Path) -> None:
    made = [
        write_run(tmp_path / str(batch), 0, 0.2, changes={"batch": batch}) for batch in (64, 128)
    ]
    other = write_run(tmp_path / "b", 0, 0.2, name="b")
    assert [g.label for g in groups(*made, other)] == ["tiny [1]", "tiny [2]", "b"]


def test_a_seed_counts_once_and_its_finished_run_before_another(tmp_path: Path) -> None:
    stopped = write_run(tmp_path / "stopped", 1, None)
    made = [write_run(tmp_path / f"{s}", s, 0.1 * s) for s in (1, 2)]
    copy = Path(shutil.copytree(made[1], tmp_path / "copy"))
    (group,) = groups(stopped, *made, copy)
    assert [run.folder for run in group.runs] == made
    assert [run.folder for run in group.again] == [copy, stopped]
    assert group.others == ()


def test_runs_that_did_not_end_are_in_no_figure(tmp_path: Path) -> None:
    made = write_run(tmp_path / "0", 0, 0.2)
    stopped = write_run(tmp_path / "1", 1, None)
    diverged = write_run(tmp_path / "2", 2, None)
    (diverged / "result.json").write_text(
        json.dumps({"diverged": "tiny: NaN", "seed": 2, "data": DATA})
    )
    (group,) = groups(made, stopped, diverged)
    assert seeds(group) == [0]
    assert [(r.state, r.why) for r in group.others] == [
        ("unfinished", "after epoch 1"), ("diverged", "tiny: NaN"),
    ]  # fmt: skip


# ---- earlier versions, damaged files, places


def test_earlier_runs_join_those_of_today(tmp_path: Path) -> None:
    today = write_run(tmp_path / "0", 0, 0.2)
    before = as_before(write_run(tmp_path / "1", 1, 0.3))
    for order in ((today, before), (before, today)):
        (group,) = groups(*order)
        assert seeds(group) == [0, 1]


@pytest.mark.parametrize(
    ("command", "key"),
    [
        ("resgen train tiny.yaml --data cifar10:x", "data.name"),
        ("resgen train tiny.yaml --data=folder:/a/flowers", "data.name"),
        ("resgen train tiny.yaml --init-from 'a b.pt'", "weights"),
    ],
)
def test_what_an_earlier_run_was_of_is_in_its_command(
    tmp_path: Path, command: str, key: str
) -> None:
    today = write_run(tmp_path / "0", 0, 0.2)
    before = as_before(write_run(tmp_path / "1", 1, 0.3), command)
    assert [each[0] for each in groups(today, before)[1].apart] == [key]


def test_what_no_file_says_keeps_no_run_out(tmp_path: Path) -> None:
    runs = [write_run(tmp_path / str(s), s, 0.2) for s in (0, 1)]
    lost = as_before(write_run(tmp_path / "lost", 5, 0.4))
    (lost / "environment.json").write_text("[")
    (lost / "recipe.yaml").unlink()
    (group,) = groups(*runs, lost)
    assert seeds(group) == [0, 1, None]
    assert group.seeds == "seeds 0 and 1, 1 of unknown seed"


def test_a_recipe_of_another_version_is_read_as_it_is(tmp_path: Path) -> None:
    one, two = (write_run(tmp_path / str(s), s, 0.2) for s in (0, 1))
    with (two / "recipe.yaml").open("a") as file:
        file.write("from_the_future: 3\n")
    assert [each[0] for each in groups(one, two)[1].apart] == ["recipe.from_the_future"]


def test_a_run_is_the_same_wherever_it_lies(tmp_path: Path) -> None:
    one = write_run(tmp_path / "0", 0, 0.2)
    two = write_run(tmp_path / "1", 1, 0.3)
    moved = tmp_path / "elsewhere" / "x"
    moved.parent.mkdir()
    two.rename(moved)
    (group,) = groups(one, moved)
    assert seeds(group) == [0, 1]


def test_a_folder_of_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"a folder without spec\.yaml"):
        read(tmp_path)


def test_folders_of_runs_stand_for_each_of_them_by_their_numbers(tmp_path: Path) -> None:
    for seed in (0, 2, 10):
        write_run(tmp_path / "m" / "a" / f"seed-{seed}", seed, 0.2)
        write_run(tmp_path / "m" / "b" / f"seed-{seed}", seed, 0.2, name="b")
    alone = write_run(tmp_path / "alone", 3, 0.2)
    found = networks([str(tmp_path / "m"), str(alone), "resnet18", str(alone)])
    assert [len(runs) for _, runs in found] == [4, 3, 0]
    assert [run.name for run in found[0][1]] == ["seed-0", "seed-2", "seed-10", "alone"]
    assert found[2] == ("resnet18", [])
