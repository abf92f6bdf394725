"""The runs of an experiment: which are one, in which folders, and what their commands say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from resgen import cost, load_spec, resolve
from resgen.experiment import Experiment, planning, read_experiment
from resgen.experiment.commands import Means, listing
from resgen.experiment.planning import Choice, Study
from resgen.spec.loading import resolved_data
from resgen.spec.shipped import KINDS, names, root
from tests.experiments import CPU, SCALE

Make = Callable[..., Study]
NETWORKS = SCALE["networks"]


def folders(study: Study) -> dict[str, str]:
    return {each.network: each.folder.parent.name for each in study.planned}


def test_a_run_for_each_network_and_seed(study: Make) -> None:
    made = study()
    found = [(each.network, each.seed, each.folder.name) for each in made.planned]
    assert found == [(n, s, f"seed-{s}") for s in (0, 1) for n in ("small", "wide", "grown")]
    assert {each.folder.parts[:2] for each in made.planned} == {("experiments", "runs")}
    assert made.folder == Path("experiments/width-digits")
    assert {each.standing.state for each in made.planned} == {"missing"}
    grown = made.planned[5]
    assert grown.after == made.planned[3]
    (deepen,) = grown.before
    assert deepen[:3] == ("resgen", "deepen", str(made.planned[3].folder))
    start = grown.argv[grown.argv.index("--init-from") + 1]
    assert deepen[deepen.index("-o") + 1] == start


def test_what_tells_runs_apart(study: Make) -> None:
    before = folders(study())
    assert len(set(before.values())) == 3
    for same in (
        {"networks": {**NETWORKS, "small": {"spec": "small.yaml", "with": ["order=original"]}}},
        {"seeds": 9},
        {"set": ["length=3 epochs", "length=1 epochs"]},
        {"title": "Other", "claim": "Other."},
    ):
        assert folders(study(**same)) == before
    preact = {"spec": "small.yaml", "with": ["order=preact"]}
    changed = folders(study(networks={**NETWORKS, "small": preact}))
    # What begins from another network is another run.
    assert changed["small"] != before["small"]
    assert changed["grown"] != before["grown"]
    assert changed["wide"] == before["wide"]
    for other in (
        {"set": ["length=2 epochs"]},
        {"recipe": "digits"},
        {"data": "synthetic"},
    ):
        after = folders(study(**other))
        assert not set(after.values()) & set(before.values())


def test_two_experiments_share_what_is_the_same(
    study: Make, experiment: Callable[..., str]
) -> None:
    first = study()
    networks = {"a": "small.yaml", "b": {"spec": "wide.yaml", "set": ["batch=64"]}}
    path = experiment("other", networks=networks, series={}, expect=[
        {"measure": "train_error", "of": "a", "is": "below", "than": "b"}
    ])  # fmt: skip
    second = planning.plan(path, Choice(), Path("experiments"), Means(4, "auto"))
    assert folders(second)["a"] == folders(first)["small"]
    assert folders(second)["b"] != folders(first)["wide"]
    assert second.folder != first.folder


def test_a_folder_of_cifar_may_move_and_a_folder_of_images_not(
    experiment: Callable[..., str], tmp_path: Path
) -> None:
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
    colour = [f"input.{each}" for each in ("channels=3", "size=32")]
    networks = {"small": {"spec": "small.yaml", "with": colour}}
    said: dict[str, Any] = {"networks": networks, "series": {}, "expect": [
        {"measure": "train_error", "of": "small", "is": "below", "to": 0.5}]}  # fmt: skip

    def found(data: str) -> str:
        path = experiment(data=data, **said)
        return folders(planning.plan(path, Choice(), Path("experiments"), CPU))["small"]

    assert found("cifar10:here") == found("cifar10:there")
    assert found("folder:here") != found("folder:there")


def test_what_is_typed_holds_against_the_network_and_that_against_the_scale(study: Make) -> None:
    networks = {**NETWORKS, "wide": {"spec": "wide.yaml", "set": ["batch=64", "length=2 epochs"]}}
    choice = Choice(seeds=1, changes=("batch=32",))
    made = study(choice, networks=networks, set=["length=1 epochs", "optimizer.lr=0.2"])
    argv = {each.network: each.argv for each in made.planned}
    sets = {
        name: [words[i + 1] for i, word in enumerate(words) if word == "--set"]
        for name, words in argv.items()
    }
    assert sets["wide"] == ["length=2 epochs", "optimizer.lr=0.2", "batch=32"]
    assert sets["small"] == ["length=1 epochs", "optimizer.lr=0.2", "batch=32"]
    assert len(made.planned) == 3


def test_the_folder_has_the_experiment_as_it_is_run(
    study: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    networks = {
        **NETWORKS,
        "wide": {"spec": "wide.yaml", "set": ["batch=64"], "with": ["order=preact"]},
        "fitted": {"spec": "small.yaml", "fit": {"by": "width", "macs": "300k"}},
    }
    made = study(Choice(seeds=3, changes=("batch=32",)), networks=networks)
    for name in networks:
        spec = load_spec(made.folder / "specs" / f"{name}.yaml")
        assert "extends" not in resolved_data(spec)
    books = cost(resolve(load_spec(made.folder / "specs" / "fitted.yaml")))
    assert 150_000 < books.macs <= 300_000
    assert load_spec(made.folder / "specs" / "wide.yaml").order == "preact"
    again = planning.plan(str(made.folder / "experiment.yaml"), Choice(), Path("experiments"), CPU)
    assert [each.folder for each in again.planned] == [each.folder for each in made.planned]
    assert again.experiment.claim == made.experiment.claim


def test_files_that_are_there_stay_as_they_are(study: Make) -> None:
    made = study()
    before = {path: path.stat().st_mtime_ns for path in made.files}
    made.write()
    assert {path: path.stat().st_mtime_ns for path in made.files} == before


def test_each_line_of_the_list_needs_no_other(study: Make) -> None:
    made = study()
    lines = listing(made.planned)
    assert len(lines) == 4
    grown = [line for line in lines if "deepen" in line]
    assert [line.split(" && ")[0] for line in grown] == [
        each.command for each in made.planned if each.network == "small"
    ]
    assert [len(line.split(" && ")) for line in lines] == [3, 1, 3, 1]
    everything = [command for line in lines for command in line.split(" && ")]
    assert sorted(everything) == sorted(
        command for each in made.planned for command in each.command.split(" && ")
    )


def test_the_same_network_under_two_names_is_one_run(study: Make) -> None:
    networks = {**NETWORKS, "again": "small.yaml"}
    made = study(networks=networks)
    assert len(made.planned) == 8
    assert len(listing(made.planned)) == 4


def test_experiments_are_no_specs() -> None:
    assert not [name for name in names() if name.split("/")[0] in ("experiments", "recipes")]
    assert set(KINDS) == {"spec", "recipe", "experiment"}
    files = {path.relative_to(root()).as_posix() for path in root().rglob("*.yaml")}
    found = [names(kind) for kind in KINDS]
    assert len(files) == sum(map(len, found))


@pytest.mark.parametrize("name", names("experiment"))
def test_a_shipped_experiment_can_be_run(name: str, tmp_path: Path) -> None:
    found = read_experiment(name)
    assert isinstance(found, Experiment)
    for scale in found.scales:
        made = planning.plan(name, Choice(scale=scale), tmp_path, CPU)
        assert made.planned
    text = (root() / "experiments" / f"{name}.yaml").read_text()
    assert yaml.safe_load(text)["claim"]
