"""What a run folder holds: whole files, of the run that it says, whatever happens around it."""

from __future__ import annotations

import errno
import json
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from resgen import files, resolve
from resgen.errors import UserError
from resgen.report.plots import outcome
from resgen.spec import load_spec, shipped
from resgen.spec.loading import resolved_data
from resgen.tensors import checkpoint
from resgen.train.run import figures, folder, metrics, network, runs

Make = Callable[..., runs.Job]
SHORT = {"length": "2 steps"}
RECORDS = ("spec.yaml", "recipe.yaml", "environment.json")


def contents(path: Path) -> dict[str, bytes]:
    return {each.name: each.read_bytes() for each in path.iterdir() if each.is_file()}


@pytest.mark.parametrize(
    "changes", [{"recipe_": {**SHORT, "optimizer": {"lr": 0.3}}}, {"seed": 1, "recipe_": SHORT}]
)
def test_a_refused_resume_leaves_every_file_alone(
    job: Make, tmp_path: Path, changes: dict[str, Any]
) -> None:
    runs.train(job(recipe_=SHORT))
    before = contents(tmp_path / "run")
    with pytest.raises(UserError, match="of another run"):
        runs.train(job(start="resume", command="the refused one", **changes))
    assert contents(tmp_path / "run") == before


def test_the_last_of_several_networks_is_looked_at_before_the_first_goes_on(
    job: Make, tiny: Callable[..., str], tmp_path: Path
) -> None:
    both = [tiny(), tiny("other")]
    runs.train(job(specs=both, recipe_=SHORT))
    path = tmp_path / "run" / "other" / "last.pt"
    path.write_bytes(path.read_bytes()[:-100])
    before = contents(tmp_path / "run" / "tiny")
    (tmp_path / "run" / "tiny" / "result.json").unlink()  # it has something to do
    before.pop("result.json")
    with pytest.raises(UserError, match="damaged"):
        runs.train(job(specs=both, recipe_=SHORT, start="resume"))
    assert contents(tmp_path / "run" / "tiny") == before


def test_each_start_of_a_run_has_its_environment(job: Make, tmp_path: Path) -> None:
    runs.train(job(recipe_=SHORT, command="first"))
    (tmp_path / "run" / "result.json").unlink()  # something is left to do
    runs.train(job(recipe_=SHORT, start="resume", command="second"))
    found = json.loads((tmp_path / "run" / "environment.json").read_text())
    assert [(each["command"], each["step"]) for each in found] == [("first", 0), ("second", 2)]
    assert all(each["torch"] and each["started"] for each in found)


def test_the_environment_of_an_earlier_version_is_kept(job: Make, tmp_path: Path) -> None:
    runs.train(job(recipe_=SHORT))
    (tmp_path / "run" / "environment.json").write_text('{"command": "then"}')
    (tmp_path / "run" / "result.json").unlink()
    runs.train(job(recipe_=SHORT, start="resume", command="now"))
    found = json.loads((tmp_path / "run" / "environment.json").read_text())
    assert [each["command"] for each in found] == ["then", "now"]


# ---- the network as it ran


@pytest.fixture
def heir(tiny: Callable[..., str], tmp_path: Path) -> str:
    """A spec that extends a file beside it."""
    tiny("base")
    path = tmp_path / "heir.yaml"
    path.write_text("name: heir\nextends: base.yaml\nactivation: silu\n")
    return str(path)


def test_a_run_folder_stands_for_its_network_alone(
    job: Make, heir: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs.train(job(specs=[heir], recipe_=SHORT))
    plan = resolve(load_spec(heir))
    for path in tmp_path.glob("*.yaml"):
        path.unlink()
    monkeypatch.chdir(tmp_path / "run")
    spec, result = outcome(str(tmp_path / "run"))
    assert result is not None
    assert resolve(load_spec(spec)) == plan
    assert resolve(load_spec(tmp_path / "run" / "last.pt")) == plan
    assert "extends" not in checkpoint.network(tmp_path / "run" / "last.pt")


def test_a_spec_written_out_is_written_out_the_same_again() -> None:
    for name in shipped.names():
        spec = load_spec(name)
        full = resolved_data(spec)
        assert network.written_out(full) == full, name
        assert network.written_out(spec.model_dump(mode="json", exclude_unset=True)) == full


def test_a_checkpoint_that_holds_the_spec_as_typed_is_gone_on_from(
    job: Make, heir: str, tmp_path: Path
) -> None:
    typed = load_spec(heir).model_dump(mode="json", exclude_unset=True)
    assert "extends" in typed
    made = job(specs=[heir])
    stopped = replace(made, networks=[replace(made.networks[0], spec=typed)])
    runs.train(stopped)
    (tmp_path / "run" / "result.json").unlink()
    runs.train(replace(made, settings=replace(made.settings, start="resume")))
    assert (tmp_path / "run" / "result.json").exists()


def test_a_name_that_looks_like_a_number_is_read_back(
    job: Make, tiny: Callable[..., str], tmp_path: Path
) -> None:
    path = Path(tiny("number"))
    path.write_text(path.read_text().replace("name: number", 'name: "1e5"'))
    runs.train(job(specs=[str(path)], recipe_=SHORT))
    assert load_spec(tmp_path / "run" / "spec.yaml").name == "1e5"


# ---- damaged files


@pytest.mark.parametrize("text", ["", '{"name": "ti', "[]", "{}", "null", '{"last_error": "x"}'])
def test_a_damaged_result_is_made_anew(job: Make, tmp_path: Path, text: str) -> None:
    (first,) = runs.train(job(recipe_=SHORT))
    path = tmp_path / "run" / "result.json"
    whole = path.read_bytes()
    path.write_text(text)
    with pytest.raises(UserError) as caught:
        outcome(str(tmp_path / "run"))
    assert str(caught.value).startswith(f"{path}: ")
    assert str(caught.value).endswith("--resume")
    (again,) = runs.train(job(recipe_=SHORT, start="resume"))
    assert again == first
    assert path.read_bytes() == whole


@pytest.mark.parametrize("line", ["{", "[]", '{"step": "x"}', "\x00\x00"])
def test_a_damaged_line_of_metrics_is_named(job: Make, tmp_path: Path, line: str) -> None:
    runs.train(job())
    path = tmp_path / "run" / metrics.NAME
    path.write_text(f"{line}\n{path.read_text()}")
    before = contents(tmp_path / "run")
    with pytest.raises(UserError, match=r"metrics\.jsonl: damaged: line 1 is no row; delete this"):
        runs.train(job(start="resume"))
    assert contents(tmp_path / "run") == before


def test_metrics_that_are_no_text_are_named(tmp_path: Path) -> None:
    (tmp_path / metrics.NAME).write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match=r"metrics\.jsonl: damaged: .*; delete it to go on without"):
        metrics.read(tmp_path)


def test_a_result_that_cannot_be_made_anew_is_said(job: Make, tmp_path: Path) -> None:
    runs.train(job(recipe_=SHORT))
    for name in (metrics.NAME, "result.json"):
        (tmp_path / "run" / name).unlink()
    with pytest.raises(UserError, match=r"metrics\.jsonl: has no row of the last epoch, of which"):
        runs.train(job(recipe_=SHORT, start="resume"))


# ---- full disks


def full(*names: str) -> Callable[..., Any]:
    """os.replace on a disk that is full when one of these files is to be written."""
    move = files.os.replace

    def replaced(source: Any, target: Any) -> None:
        if Path(target).name in names:
            raise OSError(errno.ENOSPC, "No space left on device")
        move(source, target)

    return replaced


@pytest.mark.parametrize("name", RECORDS)
@pytest.mark.parametrize("start", ["new", "resume"])
def test_a_full_disk_at_the_start_is_one_sentence_and_nothing_half(
    job: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, start: str
) -> None:
    out = tmp_path / "run"
    if start == "resume":
        runs.train(job(recipe_=SHORT))
        (out / "result.json").unlink()
    before = contents(out) if out.exists() else {}
    monkeypatch.setattr(files.os, "replace", full(name))
    with pytest.raises(UserError, match=f"{name}: cannot be written: No space left on device$"):
        runs.train(job(recipe_=SHORT, start=start))
    after = contents(out)
    assert after.keys() - before.keys() <= set(RECORDS)
    assert {key: after[key] for key in before} == before


@pytest.mark.parametrize("names", [("curves.png", "result.json"), (metrics.NAME, "result.json")])
def test_what_is_not_the_training_does_not_end_it(
    job: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    names: tuple[str, ...],
) -> None:  # fmt: skip
    runs.train(job("whole"))
    with monkeypatch.context() as patch:
        patch.setattr(files.os, "replace", full(*names))
        (result,) = runs.train(job())
    err = capsys.readouterr().err.splitlines()
    assert len(err) == len(names), err
    for name in names:
        path = tmp_path / "run" / name
        assert f"note: {path}: cannot be written: No space left on device" in err
        assert not path.exists()
    one, other = (checkpoint.load(tmp_path / out / "last.pt")["model"] for out in ("whole", "run"))
    assert checkpoint.digest(one) == checkpoint.digest(other)
    assert result.last_error == folder.finished(tmp_path / "whole", 0).last_error  # type: ignore[union-attr]


def test_a_row_that_could_not_be_written_comes_with_the_next(
    job: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, calls = metrics.write, []

    def once_full(*arguments: Any) -> None:
        calls.append(arguments)
        if len(calls) == 1:
            raise UserError("full")
        write(*arguments)

    monkeypatch.setattr(metrics, "write", once_full)
    runs.train(job())
    assert [row["epoch"] for row in metrics.read(tmp_path / "run")] == [1, 2]


def test_a_figure_that_cannot_be_written_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "curves.png"
    figures.draw_curves({}, path, title="old")
    before = path.read_bytes()
    monkeypatch.setattr(files.os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "full")))
    with pytest.raises(UserError, match=r"curves\.png: cannot be written: full"):
        figures.draw_curves({}, path, title="new")
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB."""
    place = tmp_path / "small"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)]
    try:
        done = subprocess.run(mount, capture_output=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no mount")
    if done.returncode:
        pytest.skip("only root may mount a small disk")
    yield place
    subprocess.run(["umount", str(place)], check=True)


@pytest.mark.parametrize("left", [0, 4096, 12_288])
def test_a_disk_that_is_full_is_one_sentence(job: Make, small_disk: Path, left: int) -> None:
    (small_disk / "ballast").write_bytes(bytes(65_536 - 4096 - left))
    made = job()
    made = replace(made, settings=replace(made.settings, out=small_disk / "run"))
    with pytest.raises(UserError, match="written: ") as caught:
        runs.train(made)
    assert "\n" not in str(caught.value)
    held = small_disk / "run"
    for path in held.iterdir() if held.exists() else ():
        assert path.name in RECORDS, path
        assert yaml.safe_load(path.read_text())


def test_a_path_that_is_too_long_is_one_sentence(job: Make) -> None:
    for start in ("new", "resume"):
        with pytest.raises(UserError, match=r"cannot be written: File name too long$"):
            runs.train(job("x" * 256, start=start))
