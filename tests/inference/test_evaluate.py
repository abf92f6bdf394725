"""`resgen evaluate` counts what the run itself counted, image for image, on every way."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from resgen.cli.build import build
from resgen.cli.evaluate import evaluate
from resgen.errors import CheckFailed, UserError
from resgen.tensors import checkpoint
from resgen.train.data.folder import IMAGENET
from resgen.train.data.images import Wanted
from resgen.train.run import metrics, runs
from tests.checkpoints import ABSENT, changed, seal
from tests.launched import Run, Start
from tests.train.data.test_cifar import binary_cifar10
from tests.training import typed_as

Make = Callable[..., runs.Job]
COLOUR = """
name: {name}
input: {{channels: 3, size: 12}}
stem: {{kind: conv3x3, width: 4}}
block: basic
shortcut: identity
stages: [{{depth: 1, width: 4}}, {{depth: 1, width: 8, stride: 2}}]
classes: 2
"""


@pytest.fixture
def judged(capsys: pytest.CaptureFixture[str]) -> Callable[..., list[dict[str, Any]]]:
    """`resgen evaluate WORDS --format json` on the CPU: its runs."""

    def asked(*words: str) -> list[dict[str, Any]]:
        capsys.readouterr()
        typed_as(evaluate, *words, "--format", "json", "--device", "cpu")
        found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)["runs"]
        return found

    return asked


@pytest.fixture
def colour(tmp_path: Path) -> str:
    path = tmp_path / "colour.yaml"
    path.write_text(COLOUR.format(name="colour"))
    return str(path)


KEYS = {
    "plain": {},
    "averaged": {"ema": {"decay": 0.8}, "precise_bn": 2},
    "odd batch": {"batch": 77, "loss": {"kind": "binary"}},
}


@pytest.mark.parametrize("keys", KEYS.values(), ids=KEYS)
def test_the_digits_held_out_of_a_run(
    job: Make, tmp_path: Path, judged: Callable[..., Any], keys: dict[str, Any]
) -> None:
    (result,) = runs.train(job(recipe_={"length": "3 epochs", **keys}))
    rows = metrics.read(tmp_path / "run")
    (last,) = judged(str(tmp_path / "run"))
    assert last["images"] == 360
    assert last["top1"]["errors"] == round(360 * result.last_error)
    assert last["top1"]["error"] == result.last_error
    assert last["loss"] == pytest.approx(rows[-1]["heldout_loss"], rel=1e-5)
    assert (last["weights"], last["split"]) == ("averaged" if "ema" in keys else "last", "held-out")
    (best,) = judged(str(tmp_path / "run" / "best.pt"))
    assert best["top1"]["error"] == result.best_error
    assert best["epoch"] == result.best_epoch
    assert best["notes"] == ["run/best.pt is the checkpoint with the least error on these images"]
    assert not last["notes"]


@pytest.mark.parametrize("ema", [None, {"decay": 0.7}], ids=["plain", "averaged"])
@pytest.mark.parametrize("widths", [(12,), (14, 12)], ids=["in memory", "from disk"])
@pytest.mark.parametrize("ending", ["png", "jpg"])
def test_a_runs_own_test_error_on_class_folders(
    job: Make, tmp_path: Path, judged: Callable[..., Any], colour: str, ending: str,
    widths: tuple[int, ...], ema: dict[str, float] | None,
) -> None:  # fmt: skip
    pictures(tmp_path / "set", ending=ending, widths=widths)
    keys = {"length": "4 steps", "batch": 16, "ema": ema}
    data = Wanted(f"folder:{tmp_path / 'set'}")
    (result,) = runs.train(job(specs=[colour], recipe_=keys, data=data, workers=0))
    (found,) = judged(str(tmp_path / "run"))
    assert (found["split"], found["images"]) == ("test", 26)
    assert found["top1"]["error"] == result.test_error
    assert found["crop"] == 0.875
    # The held-out images are a cut of the training images, found again by their names.
    (heldout,) = judged(str(tmp_path / "run"), "--split", "heldout")
    assert (heldout["images"], heldout["top1"]["error"]) == (7, result.last_error)
    row = metrics.read(tmp_path / "run")[-1]
    assert heldout["loss"] == pytest.approx(row["heldout_loss"], rel=1e-4)
    (train,) = judged(str(tmp_path / "run"), "--split", "train")
    assert train["images"] == 63
    assert train["notes"] == ["run was trained on these images"]


def pictures(path: Path, *, ending: str = "png", widths: tuple[int, ...] = (12,)) -> None:
    """Two classes that can be told apart, now and then."""
    for split, count in (("train", 35), ("test", 13)):
        for label, kind in enumerate(("cat", "dog")):
            (path / split / kind).mkdir(parents=True)
            for number in range(count):
                size = (widths[number % len(widths)], 12)
                noise = [Image.effect_noise(size, 60 + 20 * label * (i == 0)) for i in range(3)]
                Image.merge("RGB", noise).save(path / split / kind / f"{number:02}.{ending}")


def test_classes_are_matched_by_name(
    job: Make, tmp_path: Path, judged: Callable[..., Any], colour: str
) -> None:
    pictures(tmp_path / "set")
    data = Wanted(f"folder:{tmp_path / 'set'}")
    runs.train(job(specs=[colour], recipe_={"length": "2 steps", "batch": 16}, data=data))
    run = str(tmp_path / "run")
    (whole,) = judged(run)
    # A folder of one class alone, which is there the first and in the network the second.
    alone = tmp_path / "alone"
    alone.mkdir()
    (tmp_path / "set" / "test" / "dog").rename(alone / "dog")
    (dogs,) = judged(run, "--data", f"folder:{alone}")
    assert dogs["classes"][1] == whole["classes"][1] | {"taken": dogs["classes"][1]["taken"]}
    assert dogs["classes"][0]["images"] == 0
    assert dogs["classes"][0]["error"] is None
    assert dogs["split"] is None
    assert dogs["notes"] == ["no images of 1 of its classes: cat"]
    (alone / "dog").rename(alone / "hound")
    with pytest.raises(UserError) as caught:
        judged(run, "--data", f"folder:{alone}")
    assert str(caught.value) == (
        f"{alone}: has classes that run was not trained on: hound; it knows cat, dog, and classes "
        "are matched by name"
    )
    with pytest.raises(UserError, match="has classes that run was not trained on: 0, 1, 2, 3, 4 "):
        judged(run, "--data", "digits")


def test_an_unreadable_image_is_named_or_left_out(
    job: Make, tmp_path: Path, judged: Callable[..., Any], colour: str
) -> None:
    pictures(tmp_path / "set")
    data = Wanted(f"folder:{tmp_path / 'set'}")
    runs.train(job(specs=[colour], recipe_={"length": "2 steps", "batch": 16}, data=data))
    bad = tmp_path / "set" / "test" / "cat" / "05.png"
    bad.write_bytes(bad.read_bytes()[:90])
    run = str(tmp_path / "run")
    with pytest.raises(UserError, match=r"cat/05\.png: unreadable image .*--skip-bad-images$"):
        judged(run)
    (found,) = judged(run, "--skip-bad-images")
    assert [one["images"] for one in found["classes"]] == [12, 13]
    assert found["notes"][0].startswith(f"1 unreadable images left out, the first {bad}: ")


def test_the_publishers_cifar10_and_the_same_images_as_files(
    job: Make, tmp_path: Path, judged: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same counts from memory and from class folders, which lie in another order."""
    pixels, labels = binary_cifar10(tmp_path / "cifar-10-batches-bin", 20)
    names = [f"kind{9 - number}" for number in range(10)]
    (tmp_path / "cifar-10-batches-bin" / "batches.meta.txt").write_text("\n".join(names))
    spec = tmp_path / "cifar.yaml"
    spec.write_text(COLOUR.format(name="cifar").replace("size: 12", "size: 32") + "\n")
    spec.write_text(spec.read_text().replace("classes: 2", "classes: 10"))
    monkeypatch.chdir(tmp_path)
    keys = {"length": "3 steps", "batch": 16}
    (result,) = runs.train(job(specs=[str(spec)], recipe_=keys, data=Wanted("cifar10:.")))
    monkeypatch.chdir("/")
    (found,) = judged(str(tmp_path / "run"))
    assert (found["data"], found["split"], found["images"]) == ("cifar10", "test", 20)
    assert found["top1"]["error"] == result.test_error
    (heldout,) = judged(str(tmp_path / "run"), "--split", "heldout")
    assert (heldout["images"], heldout["top1"]["error"]) == (10, result.last_error)
    for number, (values, label) in enumerate(zip(pixels[5], labels[5], strict=True)):
        folder = tmp_path / "files" / names[label]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(values.reshape(3, 32, 32).transpose(1, 2, 0)).save(folder / f"{number}.png")
    (same,) = judged(str(tmp_path / "run"), "--data", f"folder:{tmp_path / 'files'}")
    assert same["confusions"] == found["confusions"]
    assert same["loss"] == pytest.approx(found["loss"], rel=1e-5)


def test_the_held_out_images_are_found_again_by_their_names(
    job: Make, tmp_path: Path, judged: Callable[..., Any], colour: str
) -> None:
    """Whatever has come to the folder since; what is gone, or another's, is said."""
    pictures(tmp_path / "set")
    keys = {"length": "2 steps", "batch": 16}
    runs.train(job(specs=[colour], recipe_=keys, data=Wanted(f"folder:{tmp_path / 'set'}")))
    run, cats = str(tmp_path / "run"), tmp_path / "set" / "train" / "cat"
    (before,) = judged(run, "--split", "heldout")
    (cats / "aa.png").write_bytes((cats / "00.png").read_bytes())
    (after,) = judged(run, "--split", "heldout")
    assert (before["confusions"], before["loss"]) == (after["confusions"], after["loss"])
    state = checkpoint.load(tmp_path / "run" / "last.pt")
    seal(changed(state, "files", None), tmp_path / "nameless.pt")
    with pytest.raises(UserError, match="has 71 training images where the run had 70, so which"):
        judged(str(tmp_path / "nameless.pt"), "--split", "heldout")
    seal(changed(state, "files", torch.zeros(9, dtype=torch.uint8)), tmp_path / "nameless.pt")
    with pytest.raises(UserError, match="the names of its files are damaged"):
        judged(str(tmp_path / "nameless.pt"), "--split", "heldout")
    (tmp_path / "set").rename(tmp_path / "moved")
    with pytest.raises(UserError, match=r"set: no such folder; --data folder:PATH says where it"):
        judged(run)
    with pytest.raises(UserError, match=r"were held out is known of the run's own data only"):
        judged(run, "--split", "heldout", "--data", f"folder:{tmp_path / 'moved'}")
    (test,) = judged(run, "--data", f"folder:{tmp_path / 'moved'}")
    assert test["split"] == "test"


def test_grey_images_for_a_network_of_colour(
    job: Make, tmp_path: Path, judged: Callable[..., Any], colour: str
) -> None:
    pictures(tmp_path / "set")
    data = Wanted(f"folder:{tmp_path / 'set'}")
    runs.train(job(specs=[colour], recipe_={"length": "2 steps", "batch": 16}, data=data))
    errors = []
    for mode in ("L", "RGB"):
        for path in (tmp_path / "set" / "test").glob("*/*.png"):
            grey = Image.open(path).convert("L").convert(mode)
            (tmp_path / mode / path.parent.name).mkdir(parents=True, exist_ok=True)
            grey.save(tmp_path / mode / path.parent.name / path.name)
        (found,) = judged(str(tmp_path / "run"), "--data", f"folder:{tmp_path / mode}")
        errors.append((found["confusions"], found["loss"]))
    assert errors[0] == errors[1]


def test_a_checkpoint_of_an_earlier_version(
    job: Make, tmp_path: Path, judged: Callable[..., Any], colour: str
) -> None:
    """It says neither where its images lie nor how they are prepared; what it says will do."""
    pictures(tmp_path / "set", widths=(14, 12))
    data = Wanted(f"folder:{tmp_path / 'set'}")
    keys = {"length": "2 steps", "batch": 16, "augment": {"test_crop": 0.75}}
    runs.train(job(specs=[colour], recipe_=keys, data=data, workers=0))
    runs.train(job("digits", recipe_={"length": "2 steps"}))
    for run, more in (("run", ("--data", f"folder:{tmp_path / 'set'}")), ("digits", ())):
        last = tmp_path / run / "last.pt"
        state = checkpoint.load(last)
        if more:  # what was read from disk was known by these
            for key, value in zip(("mean", "std"), IMAGENET, strict=True):
                state = changed(state, f"data/{key}", list(value))
            state = changed(state, "judged/small", "cropped")
            seal(state, last)
        (now,) = judged(str(tmp_path / run), "--precision", "fp32")
        seal(changed(state, "judged", ABSENT), tmp_path / run / "old.pt")
        (before,) = judged(str(tmp_path / run / "old.pt"), *more, "--precision", "fp32")
        assert before["crop"] == (0.75 if more else None)
        for each in (now, before):
            del each["run"], each["file"], each["images_per_second"], each["crop"]
        assert now == before
    with pytest.raises(UserError, match="trained on folder:set, and where that lies is not in its"):
        judged(str(tmp_path / "run" / "old.pt"))
    state = checkpoint.load(tmp_path / "digits" / "last.pt")
    for key, match in (("data/mean", "does not say the mean"), ("recipe/batch", "number batch")):
        seal(changed(state, key, ABSENT), tmp_path / "bare.pt")
        with pytest.raises(UserError, match=match):
            judged(str(tmp_path / "bare.pt"))
    seal(changed(state, "data/classes", ["a", "b"]), tmp_path / "bare.pt")
    with pytest.raises(UserError, match="names 2 classes, and its network tiny has 10"):
        judged(str(tmp_path / "bare.pt"))


def test_another_size_and_crop(
    job: Make, tiny: Callable[..., str], tmp_path: Path, judged: Callable[..., Any]
) -> None:
    runs.train(job(recipe_={"length": "2 epochs"}))
    run = str(tmp_path / "run")
    (own,), (same,) = judged(run), judged(run, "--size", "8", "--crop", "1")
    assert own["top1"]["errors"] == pytest.approx(same["top1"]["errors"], abs=2)
    (large,) = judged(run, "--size", "16x12")
    assert (large["height"], large["width"]) == (16, 12)
    assert large["confusions"] != own["confusions"]
    (middle,) = judged(run, "--crop", "0.5")
    assert middle["crop"] == 0.5
    assert middle["top1"]["errors"] > own["top1"]["errors"]
    for words, match in (
        (("--size", "1"), "--size 1x1: too small for tiny"),
        (("--size", "8x"), "--size 8x: must be pixels"),
        (("--crop", "0"), "--crop 0: must be above 0"),
    ):
        with pytest.raises(UserError, match=match):
            judged(run, *words)


def test_a_network_whose_weights_are_of_one_size(
    job: Make, tmp_path: Path, judged: Callable[..., Any]
) -> None:
    spec = tmp_path / "flat.yaml"
    spec.write_text(
        "name: flat\ninput: {channels: 1, size: 8}\nstem: []\nblock: basic\nshortcut: identity\n"
        "stages: [{depth: 1, width: 1}]\nhead: [flatten, {linear: classes}]\nclasses: 10\n"
    )
    runs.train(job(specs=[str(spec)], recipe_={"length": "1 steps"}))
    with pytest.raises(UserError, match=r"--size 9x9: flat has fc.weight of \(10, 81\) at this"):
        judged(str(tmp_path / "run"), "--size", "9")


def test_several_runs_in_one_table(
    job: Make, tiny: Callable[..., str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder of runs stands for all of them; nothing is wider than 80 columns."""
    names = [tiny("one"), tiny("two")]
    results = runs.train(job("all", specs=names, recipe_={"length": "1 epochs"}))
    capsys.readouterr()
    typed_as(evaluate, str(tmp_path / "all"), "--device", "cpu")
    out, err = capsys.readouterr()
    assert max(map(len, out.splitlines())) <= 80
    assert err.splitlines() == [
        f"{name}: 360 images of digits, held-out" for name in ("one", "two")
    ]
    for result, line in zip(results, out.splitlines()[1:], strict=False):
        assert line.split()[:2] == [result.name, "360"]
        assert f" {100 * result.last_error:.2f} % " in line
    typed_as(evaluate, str(tmp_path / "all"), "--format", "csv", "--device", "cpu")
    table = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [float(row["error"]) for row in table] == [result.last_error for result in results]
    for words in (["--by", "confusion"], ["--figure", "x.png"]):
        with pytest.raises(UserError, match="a confusion matrix is of one network; give one"):
            typed_as(evaluate, str(tmp_path / "all"), *words)
    one, two = (str(tmp_path / "all" / name) for name in ("one/best.pt", "two/best.pt"))
    typed_as(evaluate, one, two, "--by", "class", "--device", "cpu")
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    assert out.count("most taken for") == 2


def test_the_confusion_matrix_as_table_csv_and_figure(
    job: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str], judged: Callable[..., Any]
) -> None:
    runs.train(job(recipe_={"length": "1 epochs"}))
    run, figure = str(tmp_path / "run"), tmp_path / "figure.png"
    (found,) = judged(run)
    counts = {(each["class"], each["taken_for"]): each["images"] for each in found["confusions"]}
    words = ("--by", "confusion", "--device", "cpu")
    typed_as(evaluate, run, *words, "--format", "csv", "--figure", str(figure))
    head, *rows = csv.reader(io.StringIO(capsys.readouterr().out))
    assert [row[0] for row in rows] == head[1:] == [str(number) for number in range(10)]
    table = {
        (row[0], name): int(n) for row in rows for name, n in zip(head[1:], row[1:], strict=True)
    }
    assert {pair: count for pair, count in table.items() if count} == counts
    assert sum(counts.values()) == 360
    with Image.open(figure) as image:
        assert image.size[0] > 500
    with pytest.raises(UserError, match=r"figure\.png: already exists; give --force"):
        typed_as(evaluate, run, "--figure", str(figure))
    typed_as(evaluate, run, *words)
    printed = capsys.readouterr().out.splitlines()
    (third,) = [line for line in printed if line.startswith("3 3 ")]
    assert third.split()[2:] == [str(table["3", str(number)]) for number in range(10)]


def test_a_matrix_too_wide_for_the_terminal_is_its_largest_errors(
    job: Make, tiny: Callable[..., str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = Wanted("synthetic")
    runs.train(job(specs=[tiny(classes=60)], data=data, recipe_={"length": "1 steps"}))
    capsys.readouterr()
    typed_as(evaluate, str(tmp_path / "run"), "--by", "confusion", "--device", "cpu")
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    assert "The 20 most frequent of " in out
    typed_as(evaluate, str(tmp_path / "run"), "--device", "cpu")
    assert "most taken for" not in capsys.readouterr().out


def test_a_network_of_no_numbers(job: Make, tmp_path: Path, judged: Callable[..., Any]) -> None:
    """Weights that are finite and lead out of all numbers."""
    runs.train(job(recipe_={"length": "1 steps"}))
    state = checkpoint.load(tmp_path / "run" / "last.pt")
    seal(changed(state, "model/fc.weight", torch.full((10, 16), 3e38)), tmp_path / "huge.pt")
    with pytest.raises(CheckFailed, match=r"huge\.pt: puts out NaN or infinity in fp32"):
        judged(str(tmp_path / "huge.pt"))


def test_an_exported_file_is_judged_like_its_run(
    job: Make, tmp_path: Path, judged: Callable[..., Any], colour: str
) -> None:
    """What `resgen build` writes of a run has all that its errors depend on."""
    pictures(tmp_path / "set", widths=(14, 12))
    data, keys = Wanted(f"folder:{tmp_path / 'set'}"), {"length": "3 steps", "ema": {"decay": 0.5}}
    keys |= {"batch": 16, "augment": {"test_crop": 0.7}}
    runs.train(job(specs=[colour], recipe_=keys, data=data, workers=0))
    file = tmp_path / "net.safetensors"
    typed_as(build, str(tmp_path / "run"), "-o", str(file))
    (run,) = judged(str(tmp_path / "run"))
    (exported,) = judged(str(file), "--data", f"folder:{tmp_path / 'set'}")
    for key in ("top1", "loss", "confusions", "weights", "crop", "precision", "network"):
        assert exported[key] == run[key], key
    assert exported["step"] is None
    with pytest.raises(UserError, match="where that lies is not in its"):
        judged(str(file))
    typed_as(build, colour, "-o", str(tmp_path / "drawn.safetensors"))
    with pytest.raises(UserError, match="its weights are not of a training run"):
        judged(str(tmp_path / "drawn.safetensors"))


def test_options_that_say_nothing(tmp_path: Path) -> None:
    for words, match in (
        (("--by", "class", "--format", "json"), "--by and --format json exclude each other"),
        (("--force",), "--force says nothing without --figure"),
        (("--figure", "figure.txt"), "figure.txt: end the file's name in .png, .svg or .pdf"),
    ):
        with pytest.raises(UserError, match=match):
            typed_as(evaluate, "run", *words)


@pytest.mark.parametrize(
    ("word", "match"),
    [
        ("digits/resnet20", "names no trained network; give a run folder or a checkpoint"),
        ("spec.yaml", "names no trained network"),
        ("nothing/last.pt", "no such file, nor a folder nothing"),
        (".", "a folder without last.pt; give a run folder"),
        ("weights.pth", "a file of tensors, but no resgen checkpoint"),
        ("weights.bin", "no checkpoint of a run, which end in"),
    ],
)
def test_what_was_not_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, word: str, match: str
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"w": torch.zeros(1)}, "weights.pth")
    torch.save({"w": torch.zeros(1)}, "weights.bin")
    with pytest.raises(UserError, match=match):
        typed_as(evaluate, word, "--device", "cpu")


def test_two_processes_count_each_image_once(
    job: Make, tmp_path: Path, start: Start, start_two: Callable[..., list[Run]]
) -> None:
    runs.train(job(recipe_={"length": "1 epochs", "batch": 77}))
    words = ("evaluate", "run", "--format", "json", "--device", "cpu")
    both, alone = start_two(*words), start(*words)
    assert [run.end() for run in (*both, alone)] == [0, 0, 0], both[0].err
    one, two = (
        json.loads((tmp_path / f"{n}.out").read_text())["runs"][0] for n in ("said", "said-0")
    )
    assert (tmp_path / "said-1.out").read_text() == ""
    for each in (one, two):
        del each["images_per_second"]
    assert one.pop("loss") == pytest.approx(two.pop("loss"))
    assert one == two
