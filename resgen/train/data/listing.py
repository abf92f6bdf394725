"""PATH/CLASS/... -> the image files of a split and their labels."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torchvision.datasets.folder import IMG_EXTENSIONS

from resgen.errors import UserError
from resgen.train.data.images import Files
from resgen.train.data.paths import Paths


def classes_of(path: Path) -> tuple[str, ...]:
    """The class folders of a split, in order. Raises UserError where there are none."""
    names = tuple(sorted(entry.name for entry in os.scandir(path) if entry.is_dir()))
    if not names:
        raise UserError(f"{path}: has no class folders")
    return names


def find(path: Path, classes: Sequence[str], notes: list[str]) -> Files:
    """The images of a split, with a note on what is left out. Raises UserError, and OSError.

    Their names begin behind the split's path.
    """
    here = classes_of(path)
    missing = sorted(set(classes) - set(here))
    extra = sorted(set(here) - set(classes))
    if missing or extra:
        differences = [f"without {_list(missing)}"] * bool(missing)
        differences += [f"with {_list(extra)} that train has not"] * bool(extra)
        raise UserError(f"{path}: other classes than train: {', '.join(differences)}")
    walk, counts = _Walk(), [0] * len(classes)
    prefix = str(path / " ")[:-1]

    def names() -> Iterator[str]:
        for label, name in enumerate(classes):
            for image in walk.images(str(path / name), label):
                counts[label] += 1
                yield image[len(prefix) :]

    paths = Paths.of(prefix, names())
    empty = [name for name, count in zip(classes, counts, strict=True) if not count]
    if empty:
        held = f"; the split holds {walk.other_endings()}" if walk.others else ""
        raise UserError(f"{path}: no images in {_list(empty)}{held}")
    if walk.others:
        notes.append(f"{path.name}: left out {walk.other_endings()}")
    if walk.loops:
        notes.append(
            f"{path.name}: left out {len(walk.loops)} links that lead back to folders above "
            f"them, the first {walk.loops[0]}"
        )
    labels = torch.arange(len(classes)).repeat_interleave(torch.tensor(counts))
    return Files(paths, labels)


class _Walk:
    """Every real folder of a split once, under one label; links are followed but never back."""

    def __init__(self) -> None:
        self.entered: dict[str, tuple[int, str]] = {}
        """Real folder -> its label, and the path it was come to by."""
        self.loops: list[str] = []
        self.others: Counter[str] = Counter()
        """Endings of the files that are left out."""

    def images(self, top: str, label: int) -> Iterator[str]:
        """The images of a class, in the order of their folders' paths, then of their names."""
        folders: dict[str, list[str]] = {}
        waiting = [top]
        while waiting:
            folder = waiting.pop()
            if self._enter(folder, label):
                inner, folders[folder] = self._look(folder)
                waiting += sorted(inner, reverse=True)
        for folder in sorted(folders):
            yield from (os.path.join(folder, name) for name in sorted(folders[folder]))

    def _enter(self, folder: str, label: int) -> bool:
        real = os.path.realpath(folder)
        before = self.entered.setdefault(real, (label, folder))
        if before[0] != label:
            raise UserError(
                f"{folder}: is the same folder as {before[1]}, so its images would have two "
                "labels; remove the link"
            )
        return before[1] == folder

    def _look(self, folder: str) -> tuple[list[str], list[str]]:
        """The folders in a folder that are to be entered, and the names of its images."""
        inner, names = [], []
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir():
                    if entry.is_symlink() and self._leads_back(entry.path):
                        self.loops.append(entry.path)
                    else:
                        inner.append(entry.path)
                elif entry.name.lower().endswith(IMG_EXTENSIONS):
                    names.append(entry.name)
                else:
                    self.others[os.path.splitext(entry.name)[1].lower() or entry.name] += 1
        return inner, names

    @staticmethod
    def _leads_back(link: str) -> bool:
        """Whether it leads to a folder that holds it, as the folders lie or by their path."""
        real, above = os.path.realpath(link), os.path.dirname(link)
        parents = [Path(above).resolve(), *(p.resolve() for p in Path(above).absolute().parents)]
        return any(Path(real) in (parent, *parent.parents) for parent in parents)

    def other_endings(self) -> str:
        """`12 files of other endings: .gif (10), .txt (2)`."""
        often = sorted(self.others.items(), key=lambda item: (-item[1], item[0]))
        shown = [f"{ending} ({count:,})" for ending, count in often[:5]]
        more = f" and {len(self.others) - 5} more" if len(self.others) > 5 else ""
        count = sum(self.others.values())
        files = "file" if count == 1 else "files"
        return f"{count:,} {files} of other endings: {', '.join(shown)}{more}"


def _list(names: Sequence[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more
