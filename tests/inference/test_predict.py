"""`resgen predict` says of each image what `evaluate` counts of all."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import typer
from PIL import Image

from resgen.cli.evaluate import evaluate
from resgen.cli.predict import predict
from resgen.errors import UserError
from resgen.train.data.images import Wanted
from resgen.train.run import runs
from tests.inference.test_evaluate import COLOUR, pictures
from tests.training import typed_as

Make = Callable[..., runs.Job]


@pytest.fixture
def run(job: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A short run on class folders of cats and dogs, in memory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "colour.yaml").write_text(COLOUR.format(name="colour"))
    pictures(tmp_path / "set", ending="jpg")
    data = Wanted("folder:set")
    keys = {"length": "6 steps", "batch": 16, "ema": {"decay": 0.5}}
    runs.train(job(specs=["colour.yaml"], recipe_=keys, data=data))
    return "run"


def lines(capsys: pytest.CaptureFixture[str], *words: str) -> list[dict[str, Any]]:
    capsys.readouterr()
    typed_as(predict, *words, "--format", "jsonl", "--device", "cpu")
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def shares(found: dict[str, Any]) -> dict[str, float]:
    return {one["class"]: one["probability"] for one in found["predictions"]}


def test_each_image_as_evaluate_counts_it(run: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = lines(capsys, run, "set/test")
    assert [each["image"] for each in found] == sorted(map(str, Path("set/test").glob("*/*.jpg")))
    pairs = [(Path(e["image"]).parent.name, e["predictions"][0]["class"]) for e in found]
    typed_as(evaluate, run, "--format", "json", "--device", "cpu")
    (whole,) = json.loads(capsys.readouterr().out)["runs"]
    counts = {(e["class"], e["taken_for"]): e["images"] for e in whole["confusions"]}
    assert {pair: pairs.count(pair) for pair in pairs} == counts
    for each in found:
        order = list(shares(each).values())
        assert order == sorted(order, reverse=True)
        assert sum(order) == pytest.approx(1)
    # One at a time, in another order and without its folder, each is the same.
    for each in reversed(found[::5]):
        (alone,) = lines(capsys, run, each["image"], "--batch", "1")
        assert shares(alone) == pytest.approx(shares(each), abs=1e-4)


def test_probabilities_are_those_of_the_module_by_hand(
    run: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Everything between the file and the number once more, without any of resgen's parts."""
    from torchvision.transforms.v2 import functional as T

    from resgen import build_module

    state = torch.load("run/last.pt", weights_only=True)
    module = build_module("run").eval()
    average = {k.removeprefix("module."): v for k, v in state["average"].items()}
    module.load_state_dict({k: v for k, v in average.items() if k != "n_averaged"})
    with Image.open("set/test/dog/03.jpg") as image:
        pixels = T.to_dtype(T.pil_to_tensor(image), scale=True)
    data = state["data"]
    with torch.no_grad():
        row = module(T.normalize(pixels, data["mean"], data["std"])[None]).softmax(1)[0]
    (found,) = lines(capsys, run, "set/test/dog/03.jpg")
    assert shares(found) == pytest.approx({"cat": float(row[0]), "dog": float(row[1])}, abs=1e-4)


def test_an_unreadable_image_is_a_line_and_the_others_go_on(
    run: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = Path("set/test/cat/00.jpg").read_bytes()
    odd = tmp_path / "odd"
    (odd / "deep er").mkdir(parents=True)
    (odd / "a-cut.jpg").write_bytes(whole[: len(whole) // 2])
    (odd / "b-whole.jpg").write_bytes(whole)
    (odd / "c-empty.png").touch()
    (odd / "deep er" / "line\nfeed.jpg").write_bytes(whole)
    (odd / "notes.txt").write_text("no image")
    capsys.readouterr()
    with pytest.raises(typer.Exit) as caught:
        typed_as(predict, run, "odd", "odd/notes.txt", "gone.jpg", "--device", "cpu")
    assert caught.value.exit_code == 1
    out, err = capsys.readouterr()
    assert [line.partition("  ")[0] for line in out.splitlines()] == [
        "odd/b-whole.jpg", "odd/deep er/line\\nfeed.jpg",
    ]  # fmt: skip
    assert [line.partition(": unreadable")[0] for line in err.splitlines()] == [
        "error: odd/a-cut.jpg", "error: odd/c-empty.png", "error: odd/notes.txt", "error: gone.jpg",
    ]  # fmt: skip
    assert "resume" not in err
    assert "start a new run" not in err


def test_images_of_every_kind(run: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The same picture is the same answer, whatever it is kept in; of frames it is the first."""
    with Image.open("set/test/cat/00.jpg") as image:
        picture = image.convert("RGB")
    Path("kinds").mkdir()
    picture.save("kinds/plain.png")
    picture.save("kinds/plain.tiff")
    picture.convert("RGBA").save("kinds/alpha.png")
    turned = picture.transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6
    turned.save("kinds/turned.png", exif=exif)
    picture.save("kinds/frames.webp", lossless=True, save_all=True, append_images=[turned] * 2)
    same = lines(capsys, run, "kinds")
    assert len(same) == 5
    for each in same:
        assert shares(each) == pytest.approx(shares(same[0]), abs=1e-5)
    picture.convert("CMYK").save("cmyk.jpg")
    picture.convert("L").save("grey.png")
    picture.resize((300, 200)).save("large.gif", save_all=True, append_images=[turned] * 2)
    Image.new("I;16", (5, 4), 40_000).save("deep.png")
    assert len(lines(capsys, run, "cmyk.jpg", "grey.png", "large.gif", "deep.png")) == 4


def test_the_table_and_csv(run: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = lines(capsys, run, "set/test/cat")
    typed_as(predict, run, "set/test/cat", "--top", "1", "--format", "csv", "--device", "cpu")
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [(row["image"], row["class"]) for row in rows] == [
        (each["image"], each["predictions"][0]["class"]) for each in found
    ]
    typed_as(predict, run, "set/test/cat", "--device", "cpu")
    for line, each in zip(capsys.readouterr().out.splitlines(), found, strict=True):
        first, second = each["predictions"]
        assert line == (
            f"{each['image']}  {first['class']} {100 * first['probability']:.1f} %, "
            f"{second['class']} {100 * second['probability']:.1f} %"
        )


def test_binary_probabilities_are_each_classs_own(
    job: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keys = {"length": "2 steps", "loss": {"kind": "binary"}}
    runs.train(job("bce", recipe_=keys))
    Image.new("L", (8, 8), 90).save(tmp_path / "grey.png")
    (found,) = lines(capsys, str(tmp_path / "bce"), str(tmp_path / "grey.png"), "--top", "10")
    order = list(shares(found).values())
    assert len(order) == 10
    assert sum(order) > 2
    assert order == sorted(order, reverse=True)


def test_what_holds_no_images(run: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"^empty: a folder without images, whose names end in "):
        typed_as(predict, run, "empty")
    (tmp_path / "runs").mkdir()
    for name in ("one", "two"):
        (tmp_path / "runs" / name).symlink_to(tmp_path / "run")
    with pytest.raises(UserError, match="runs: holds 2 runs; name one of them, as runs/one"):
        typed_as(predict, "runs", "set/test")
