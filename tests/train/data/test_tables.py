"""Tables of the library `datasets` are trained on as the same images in class folders are."""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from resgen.errors import UserError
from resgen.inference import subject
from resgen.tensors import checkpoint
from resgen.train.data import gathering, keeping, tables
from resgen.train.data.facts import Facts, Table, absolute
from resgen.train.data.feed import Making, MemoryFeed, Piece
from resgen.train.data.filefeed import FileFeed
from resgen.train.data.images import Data, Files, Images, Wanted
from resgen.train.data.order import Order
from resgen.train.data.roster import same_files
from resgen.train.data.sources import known, load
from resgen.train.recipe.keys import Augment
from resgen.train.run import metrics, runs

datasets = pytest.importorskip("datasets", reason="datasets is not installed: no tables to read")
parquet = pytest.importorskip("pyarrow.parquet")

CLASSES = ("cat", "dog")
COUNTS = {"train": 12, "validation": 4, "test": 3}
Row = dict[str, Any]


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "home")


def rows(count: int, size: tuple[int, int] = (9, 9), mode: str = "RGB", seed: int = 0) -> list[Row]:
    """Images of noise, class by class, as their files' content; of classes in pairs."""
    rng = np.random.default_rng(seed)
    made = []
    for number in range(count):
        noise = Image.fromarray(rng.integers(0, 256, (size[1], size[0], 3), np.uint8)).convert(mode)
        file = io.BytesIO()
        noise.save(file, "PNG")
        made.append(
            {"image": {"bytes": file.getvalue(), "path": None}, "label": 2 * number // count}
        )
    return made


def splits(counts: dict[str, int], **more: Any) -> dict[str, list[Row]]:
    return {
        name: rows(count, seed=seed, **more) for seed, (name, count) in enumerate(counts.items())
    }


def features(**more: Any) -> Any:
    plain = {"image": datasets.Image(), "label": datasets.ClassLabel(names=list(CLASSES))}
    return datasets.Features(plain | more)


def table(made: list[Row], kinds: Any) -> Any:
    columns = {name: [row[name] for row in made] for name in kinds}
    return datasets.Dataset.from_dict(columns, features=kinds)


def as_parquet(path: Path, made: dict[str, list[Row]], kinds: Any, shards: int = 2) -> Path:
    """PATH/data/SPLIT-00000-of-00002.parquet, as the Hub has them."""
    (path / "data").mkdir(parents=True)
    for split, each in made.items():
        for shard in range(shards):
            part = each[len(each) * shard // shards : len(each) * (shard + 1) // shards]
            name = f"{split}-{shard:05}-of-{shards:05}.parquet"
            table(part, kinds).to_parquet(str(path / "data" / name))
    return path


def as_saved(path: Path, made: dict[str, list[Row]], kinds: Any) -> Path:
    whole = datasets.DatasetDict({split: table(each, kinds) for split, each in made.items()})
    whole.save_to_disk(str(path))
    return path


def as_folders(path: Path, made: dict[str, list[Row]]) -> Path:
    for split, each in made.items():
        for number, row in enumerate(each):
            name = {"validation": "val"}.get(split, split)
            folder = path / name / CLASSES[row["label"]]
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{number:04}.png").write_bytes(row["image"]["bytes"])
    return path


def wanted(name: str, **more: Any) -> Wanted:
    return Wanted(name, **{"classes": 2, "size": (9, 9), **more})


FORMS: dict[str, Callable[..., Path]] = {"parquet": as_parquet, "saved": as_saved}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("limit", [2**32, 0], ids=["memory", "files"])
@pytest.mark.parametrize("counts", [COUNTS, {"train": 20}], ids=["splits", "cut"])
def test_tables_and_folders_of_the_same_images_are_the_same(
    tmp_path: Path, form: Callable[..., Path], limit: int, counts: dict[str, int]
) -> None:
    made = splits(counts)
    one = load(wanted(f"folder:{as_folders(tmp_path / 'folders', made)}", memory_limit=limit))
    path = form(tmp_path / "pictures", made, features())
    other = load(wanted(f"hf:{path}", memory_limit=limit))
    assert other.name == "hf:pictures"
    assert other.place == f"hf:{path}"
    assert other.classes == one.classes == CLASSES
    assert (other.mean, other.std) == (one.mean, one.std)
    assert type(other.train) is (Images if limit else Files)
    assert Facts.of(other) == known(wanted(f"hf:{path}"))
    batches = [tensors(each) for each in (one, other)]
    for mine, theirs in zip(*batches, strict=True):
        assert torch.equal(mine, theirs)


def tensors(data: Data) -> list[torch.Tensor]:
    """What a network sees of two steps, and of the other splits."""
    recipe = Augment(crop="random-resized", flip="horizontal", random="randaugment")
    making = Making.of(
        data, recipe=recipe, order=Order(len(data.train), 8, 1), channels=3, size=(9, 9),
        train_size=(9, 9), device=torch.device("cpu"), layout=torch.channels_last,
    )  # fmt: skip
    if isinstance(data.train, Images):
        feed: MemoryFeed | FileFeed = MemoryFeed.of(data, making)
    else:
        feed = FileFeed(data, making, processes=0)
    made = list(feed.train([Piece(step, range(8)) for step in range(2)]))
    made += feed.still("heldout", [torch.arange(len(data.heldout))])
    if data.test is not None:
        made += feed.still("test", [torch.arange(len(data.test))])
    return [tensor for batch in made for tensor in batch]


def test_both_train_alike_to_the_bit(
    tmp_path: Path, job: Callable[..., runs.Job], tiny: Callable[..., str]
) -> None:
    made = splits({"train": 40, "validation": 8, "test": 6}, size=(10, 9), mode="L")
    made["train"][3]["image"]["bytes"] = rows(1, (11, 10), "L")[0]["image"]["bytes"]
    names = {
        "one": f"folder:{as_folders(tmp_path / 'folders', made)}",
        "other": f"hf:{as_parquet(tmp_path / 'shards', made, features())}",
    }
    recipe = {"batch": 8, "length": "2 epochs", "augment": {"crop": "random-resized"}}
    for out, name in names.items():
        # One in the process itself, the other by two that decode for it.
        asked = job(
            out, data=Wanted(name), specs=[tiny(classes=2)], recipe_=recipe,
            workers=2 * (out == "other"),
        )  # fmt: skip
        (result,) = runs.train(asked)
        assert result.test_error is not None
    states = [checkpoint.load(tmp_path / out / "last.pt")["model"] for out in names]
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
    same = [metrics.without_times(metrics.read(tmp_path / out)) for out in names]
    assert same[0] == same[1]


def test_what_is_decoded_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(keeping.VARIABLE, str(tmp_path / "cache"))
    path = as_parquet(tmp_path / "shards", splits(COUNTS), features())
    first = load(wanted(f"hf:{path}"))

    def refused(*_: Any) -> None:
        raise AssertionError("an image was decoded")

    with monkeypatch.context() as patch:
        patch.setattr(gathering, "decode", refused)
        second = load(wanted(f"hf:{path}"))
    assert torch.equal(first.train.pixels, second.train.pixels)  # type: ignore[union-attr]
    other = splits(COUNTS | {"train": 14})
    table(other["train"], features()).to_parquet(str(path / "data/train-00000-of-00002.parquet"))
    third = load(wanted(f"hf:{path}"))
    assert "of other files" in third.notes[0]
    assert len(third.train) == 14 + 6


def test_other_images_of_the_same_shape_are_other_images(tmp_path: Path) -> None:
    made = splits({"train": 20})
    one = load(wanted(f"hf:{as_parquet(tmp_path / 'one', made, features())}"))
    again = load(wanted(f"hf:{as_saved(tmp_path / 'again', made, features())}"))
    same_files(one.files, again.files, Path("last.pt"))
    made["train"].reverse()
    other = load(wanted(f"hf:{as_parquet(tmp_path / 'other', made, features())}"))
    with pytest.raises(UserError, match="began with: 1 is gone, the first train of 20 images"):
        same_files(one.files, other.files, Path("last.pt"))


# ---- columns


def test_columns_are_named_where_there_are_several(tmp_path: Path) -> None:
    made = splits({"train": 20})
    for row in made["train"]:
        row |= {"coarse": 0, "thumbnail": row["image"]}
    kinds = features(coarse=datasets.ClassLabel(names=["animal"]), thumbnail=datasets.Image())
    path = as_parquet(tmp_path / "shards", made, kinds)
    with pytest.raises(UserError) as caught:
        load(wanted(f"hf:{path}"))
    assert str(caught.value) == (
        f"--data hf:{path}: image and thumbnail are columns of type Image; say which: ,image=image"
    )
    with pytest.raises(UserError) as caught:
        load(wanted(f"hf:{path},image=image"))
    assert str(caught.value) == (
        f"--data hf:{path},image=image: label and coarse are columns of type ClassLabel; say "
        "which: ,label=label"
    )
    data = load(wanted(f"hf:{path},image=thumbnail,label=coarse", classes=1))
    assert data.classes == ("animal",)
    assert data.place == f"hf:{path},image=thumbnail,label=coarse"
    with pytest.raises(
        UserError, match=r"has no column lable \(it has image \(PIL.*, label \(int64"
    ):
        load(wanted(f"hf:{path},image=image,label=lable"))


def test_plain_columns_serve_where_they_are_named(tmp_path: Path) -> None:
    import pyarrow

    made = splits({"train": 20})["train"]
    content = [row["image"]["bytes"] for row in made]
    words = [CLASSES[row["label"]] for row in made]
    (tmp_path / "plain").mkdir()
    file = tmp_path / "plain" / "some.parquet"
    parquet.write_table(
        pyarrow.table({"png": content, "kind": words, "number": [9 + n % 2 for n in range(20)]}),
        file,
    )
    with pytest.raises(UserError) as caught:
        load(wanted(f"hf:{file}"))
    assert str(caught.value) == (
        f"--data hf:{file}: no column is of type Image (it has png (binary), kind (string), number "
        "(int64)); name it: ,image=COLUMN"
    )
    with pytest.raises(UserError, match=r"no column is of type ClassLabel .*: ,label=COLUMN"):
        load(wanted(f"hf:{file},image=png"))
    data = load(wanted(f"hf:{file},image=png,label=kind"))
    folders = load(wanted(f"folder:{as_folders(tmp_path / 'folders', {'train': made})}"))
    assert data.classes == folders.classes
    assert torch.equal(data.train.pixels, folders.train.pixels)  # type: ignore[union-attr]
    assert torch.equal(data.train.labels, folders.train.labels)
    # Whole numbers in their order.
    assert load(wanted(f"hf:{file.parent},image=png,label=number")).classes == ("9", "10")
    with pytest.raises(UserError, match="the column number holds no images"):
        load(wanted(f"hf:{file},image=number,label=kind"))


def test_labels_that_are_missing(tmp_path: Path) -> None:
    made = splits(COUNTS)
    for row in made["test"]:
        row["label"] = -1
    data = load(wanted(f"hf:{as_parquet(tmp_path / 'one', made, features())}"))
    assert data.test is None
    assert data.notes == ("hf: the test images have no labels, and are left out",)
    made["train"][0]["label"] = -1
    with pytest.raises(UserError, match="images of train have no label"):
        load(wanted(f"hf:{as_parquet(tmp_path / 'other', made, features())}"))


# ---- where it lies


def test_splits_of_other_names(tmp_path: Path) -> None:
    made = splits({"train": 12, "dev": 4, "unsupervised": 5})
    data = load(wanted(f"hf:{as_saved(tmp_path / 'saved', made, features())}"))
    assert (len(data.train), len(data.heldout), data.test) == (12, 4, None)
    assert data.notes == ("hf: left out the splits unsupervised",)
    with pytest.raises(UserError, match="has its held-out images in a split of its own"):
        load(wanted(f"hf:{tmp_path / 'saved'}", heldout=3))
    path = as_saved(tmp_path / "untrained", splits({"test": 4}), features())
    with pytest.raises(UserError, match=r"has no split train \(it has test\)"):
        load(wanted(f"hf:{path}"))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("hf:/no/such/folder", "--data hf:/no/such/folder: no such folder or file"),
        ("hf:{path}/empty", "holds neither parquet files nor what save_to_disk writes"),
        ("hf:{path}/bad", "--data hf:{path}/bad: cannot be read ("),
        ("hf:{path},lable=x", "lable=x says nothing; known are image=..., label=..., config=..."),
        ("hf:nobody/nothing", "it is not on this machine: add --download"),
        ("hf", "--data hf: no such data; known are digits, cifar10"),
    ],
)
def test_what_cannot_be_read_is_one_sentence(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad/train.parquet").write_bytes(b"PAR1 no such thing PAR1")
    with pytest.raises(UserError) as caught:
        load(wanted(name.format(path=tmp_path)))
    assert message.format(path=tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_without_the_library_the_way_to_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "datasets", None)
    with pytest.raises(UserError) as caught:
        load(wanted("hf:somewhere"))
    assert str(caught.value) == ("--data hf: needs the library datasets; pip install 'resgen[hf]'")


def test_an_unreadable_row_is_named_or_left_out(tmp_path: Path) -> None:
    made = splits({"train": 20})
    made["train"][13]["image"]["bytes"] = b"no image"
    path = as_parquet(tmp_path / "shards", made, features())
    with pytest.raises(UserError, match="hf:shards train, row 13: unreadable image"):
        load(wanted(f"hf:{path}"))
    data = load(wanted(f"hf:{path}", bad_images="skip"))
    assert len(data.train) + len(data.heldout) == 19
    assert "the first hf:shards train, row 13" in data.notes[0]


def test_words_behind_the_place() -> None:
    assert Table.of("a/b,label=fine,config=x") == Table("a/b", label="fine", config="x")
    assert Table.of("data,old/x") == Table("data,old/x")
    assert absolute("hf:user/name,label=x") == "hf:user/name,label=x"


# ---- tested


def test_a_run_is_tested_on_its_own_tables(
    tmp_path: Path, job: Callable[..., runs.Job], tiny: Callable[..., str]
) -> None:
    from resgen.inference import trained

    made = splits(COUNTS, size=(8, 8), mode="L")
    path = as_parquet(tmp_path / "shards", made, features())
    recipe = {"batch": 4, "length": "2 steps"}
    runs.train(
        job(data=Wanted(f"hf:{path}"), specs=[tiny(classes=2)], recipe_=recipe)
    )  # fmt: skip
    network = trained.read(str(tmp_path / "run"))
    for which, count in (("auto", 3), ("heldout", 4), ("train", 12)):
        found = subject.chosen(network, None, which)  # type: ignore[arg-type]
        assert (found.data, len(found.images)) == ("hf:shards", count)
    assert tables.facts(str(path), "never") == ("hf:shards", 2)
    # Others in their place: its own splits are still known, a cut is not.
    for counts, found in ((COUNTS, ("heldout", "auto")), ({"train": 16, "test": 3}, ("auto",))):
        shutil.rmtree(path)
        made = splits(counts, size=(8, 8), mode="L")
        made["train"].reverse()
        as_parquet(path, made, features())
        for which in found:
            subject.chosen(network, None, which)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="so which were held out is not known; --split test takes"):
        subject.chosen(network, None, "heldout")
