"""Data sets of Hugging Face's library `datasets`: tables that lie in shards, read row by row.

PATH is what `save_to_disk` wrote, or a folder of parquet files, or one of them; NAME is a data set
of the Hub. The library finds the splits, and keeps parquet as memory-mapped Arrow in a folder of
its own ($HF_HOME).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor

from resgen.errors import UserError
from resgen.train.data import keeping, roster
from resgen.train.data.facts import Table, absolute, titled
from resgen.train.data.gathering import Found, Splits
from resgen.train.data.images import Encoded, Files, Wanted
from resgen.words import joined

SPLITS = {"train": ("train",), "val": ("validation", "valid", "val", "dev"), "test": ("test",)}
"""What the splits are called there; the first that is there is taken."""


class Rows:
    """A column of images: each row's content, or the path that stands for it."""

    def __init__(self, table: Any, column: str, name: str) -> None:
        self.table, self.column, self.name = table, column, name

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def __getitem__(self, number: int) -> str | Encoded:
        value = self.table[number][self.column] or {}
        content, path = value.get("bytes"), value.get("path")
        if content is None and path:
            return str(path)
        return Encoded(f"{self.name}, row {number}", content or b"")

    def arrow(self, field: str) -> Any:
        """`bytes` or `path` of all rows, none of them read."""
        import pyarrow.compute as pc

        whole = self.table.with_format("arrow")[:]
        return pc.struct_field(whole.column(self.column), field)


def found(text: str, wanted: Wanted) -> Found:
    """The classes, and the rows of each split that is there. Raises UserError."""
    asked, said = Table.of(text), f"--data hf:{text}"
    tables = _tables(asked, said, wanted.download)
    notes = []
    if others := sorted({*tables} - {each for names in SPLITS.values() for each in names}):
        notes.append(f"hf: left out the splits {', '.join(others)}")
    there = {
        split: next((tables[each] for each in names if each in tables), None)
        for split, names in SPLITS.items()
    }
    if there["train"] is None:
        raise UserError(
            f"{said}: has no split train (it has {', '.join(sorted(tables)) or 'none'})"
        )
    if there["val"] is not None and wanted.heldout not in (None, there["val"].num_rows):
        raise UserError(
            f"--heldout {wanted.heldout}: hf:{text} has its held-out images in a split of its own"
        )
    classes: tuple[str, ...] | None = None
    splits: Splits = {}
    name = titled(f"hf:{text}")
    for split, table in there.items():
        if table is None:
            continue
        column = _column(table, "Image", asked.image, "image", said)
        classes, labels = _labels(table, asked, said, split, classes)
        if split == "test" and len(labels) and int(labels.max()) < 0:
            notes.append("hf: the test images have no labels, and are left out")
            continue
        if len(labels) and int(labels.min()) < 0:
            raise UserError(f"{said}: images of {split} have no label")
        splits[split] = Files(Rows(_images(table, column, said), column, f"{name} {split}"), labels)
    assert classes is not None
    place = absolute(f"hf:{text}")
    return Found(name, place, classes, splits, _called, partial(_stamp, splits), tuple(notes))


def facts(text: str, download: str) -> tuple[str, int]:
    """Name and number of classes. Raises UserError."""
    all_of_it = found(text, Wanted(download=download))
    return all_of_it.name, len(all_of_it.classes)


# ---- where it lies


def _library() -> Any:
    try:
        import datasets
    except ImportError:
        raise UserError("--data hf: needs the library datasets; pip install 'resgen[hf]'") from None
    if not sys.stderr.isatty():
        datasets.disable_progress_bars()
    return datasets


def _tables(asked: Table, said: str, download: str) -> Mapping[str, Any]:
    """The table of each split."""
    datasets, path = _library(), Path(asked.where)
    try:
        with _network(download):
            if path.exists():
                found = _local(datasets, path, said)
            elif asked.of_hub:
                found = datasets.load_dataset(
                    asked.where, name=asked.config, revision=asked.revision
                )
            else:
                raise UserError(f"{said}: no such folder or file")
    except UserError:
        raise
    except Exception as error:  # the library raises all kinds
        away = not path.exists() and download != "allowed"
        more = "; it is not on this machine: add --download" if away else ""
        reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise UserError(f"{said}: cannot be read ({reason}){more}") from None
    return found if isinstance(found, dict) else {"train": found}


def _local(datasets: Any, path: Path, said: str) -> Any:
    if any((path / name).is_file() for name in ("dataset_dict.json", "state.json")):
        return datasets.load_from_disk(str(path))
    if path.is_file():
        return datasets.load_dataset("parquet", data_files=str(path))
    if next(path.rglob("*.parquet"), None) is None:
        raise UserError(f"{said}: holds neither parquet files nor what save_to_disk writes")
    return datasets.load_dataset("parquet", data_dir=str(path))


@contextmanager
def _network(download: str) -> Iterator[None]:
    """Nothing is asked of the Hub unless that is allowed."""
    if download == "allowed":
        yield
        return
    with (
        patch("datasets.config.HF_HUB_OFFLINE", True),
        patch("huggingface_hub.constants.HF_HUB_OFFLINE", True),
    ):
        yield


# ---- columns


def _column(table: Any, kind: str, asked: str | None, word: str, said: str) -> str:
    """The one that is asked for, or the only one of a kind of feature."""
    features = table.features
    held = ", ".join(f"{name} ({_kind(each)})" for name, each in features.items())
    if asked is not None:
        if asked not in features:
            raise UserError(f"{said}: has no column {asked} (it has {held})")
        return asked
    fit: list[str] = [name for name, each in features.items() if type(each).__name__ == kind]
    if len(fit) == 1:
        return fit[0]
    if fit:
        raise UserError(
            f"{said}: {joined(fit)} are columns of type {kind}; say which: ,{word}={fit[0]}"
        )
    raise UserError(f"{said}: no column is of type {kind} (it has {held}); name it: ,{word}=COLUMN")


def _kind(feature: Any) -> str:
    return str(getattr(feature, "dtype", None) or type(feature).__name__).partition("<")[0]


def _images(table: Any, column: str, said: str) -> Any:
    """The table of that column alone, its images as they are encoded."""
    datasets = _library()
    try:
        return table.select_columns([column]).cast_column(column, datasets.Image(decode=False))
    except Exception:  # the library raises all kinds
        raise UserError(f"{said}: the column {column} holds no images") from None


def _labels(
    table: Any, asked: Table, said: str, split: str, classes: Sequence[str] | None
) -> tuple[tuple[str, ...], Tensor]:
    """The classes and each row's number of its own; -1 where it has none."""
    column = _column(table, "ClassLabel", asked.label, "label", said)
    values = table.select_columns([column]).with_format("arrow")[:].column(column)
    feature = table.features[column]
    if type(feature).__name__ == "ClassLabel":
        numbers = values.fill_null(-1).to_numpy()
        names = tuple(feature.names)
        if classes is not None and names != tuple(classes):
            raise UserError(f"{said}: {split} has other classes than train")
        return names, torch.from_numpy(np.array(numbers, np.int64))
    plain = values.to_pylist()
    if not any(all(isinstance(each, kind) for each in plain) for kind in (str, int)):
        raise UserError(f"{said}: the column {column} holds no classes, but {_kind(feature)}")
    # Numbers in their order, not in that of their digits.
    names = tuple(classes or map(str, sorted({*plain})))
    numbers_of = {name: number for number, name in enumerate(names)}
    if unknown := sorted({str(each) for each in plain} - {*names}):
        raise UserError(f"{said}: {split} has classes that train has not: {', '.join(unknown[:5])}")
    return names, torch.tensor([numbers_of[str(each)] for each in plain], dtype=torch.int64)


# ---- which images they are


def _called(splits: Splits) -> Tensor:
    """For each split a word that differs where its labels or the lengths of its images do."""
    return roster.pack(
        f"{split} of {len(files):,} images ({_digest(files)})"
        for split, files in splits.items() if split != "test"
    )  # fmt: skip


def _digest(files: Files) -> str:
    import pyarrow.compute as pc

    assert isinstance(files.stored, Rows)
    lengths = pc.binary_length(files.stored.arrow("bytes")).fill_null(-1).to_numpy()
    chosen = slice(None) if files.numbers is None else files.numbers.numpy()
    content = np.array(lengths, np.int64)[chosen].tobytes() + files.labels.numpy().tobytes()
    return sha256(content).hexdigest()[:12]


def _stamp(splits: Splits) -> str:
    words, paths = [], []
    for split, files in splits.items():
        rows = files.stored
        assert isinstance(rows, Rows)
        words += [split.encode(), rows.column.encode(), files.labels.numpy().tobytes()]
        words.append(str(rows.table._fingerprint).encode())
        paths += [str(each["filename"]) for each in rows.table.cache_files]
        if rows.arrow("bytes").null_count:  # images in files of their own
            paths += [str(each) for each in rows.arrow("path").to_pylist() if each]
    try:
        return keeping.stamp(words, paths)
    except OSError as error:
        raise UserError(f"{error.filename}: cannot be read: {error.strerror}") from None
