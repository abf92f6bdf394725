"""State -> one file, whole or not at all: tensors and plain values under a hash.

last.pt       the newest state
previous.pt   the one before it
best.pt       the state with the least held-out error
"""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Literal

import torch
from torch import Tensor

from resgen.errors import UserError
from resgen.files import kind
from resgen.tensors import archive, rules
from resgen.tensors.dense import indirect

FORMAT = 1
LAST, PREVIOUS, BEST = "last.pt", "previous.pt", "best.pt"


def save(state: Mapping[str, Any], folder: Path, *, best: bool = False) -> None:
    """Writes `last.pt`, keeping the old one as `previous.pt`.

    At every moment a whole `last.pt` or, on a first save, none is in the folder;
    a full disk leaves the old ones as they were. Raises UserError where the folder
    cannot be written.
    """
    payload = {"format": FORMAT, **state}
    payload["sha256"] = digest(payload)
    last, fresh = folder / LAST, folder / f"{LAST}.new"
    try:
        _write(payload, fresh)
        if last.exists():
            _second_name(last, folder / PREVIOUS)
        os.replace(fresh, last)
        if best:
            _second_name(last, folder / BEST)
        _sync(folder)
    except OSError as error:
        raise UserError(
            f"{last}: the checkpoint could not be written: {error.strerror or error}"
        ) from None
    finally:
        for name in (LAST, PREVIOUS, BEST):
            with suppress(OSError):
                (folder / f"{name}.new").unlink(missing_ok=True)


class _Sink:
    """A file for torch to write to that keeps the first reason why it could not."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        self.reason: OSError | None = None

    def write(self, data: bytes) -> int:
        left = memoryview(data).cast("B")
        try:
            while left:
                left = left[self.file.write(left) :]
        except OSError as error:
            self.reason = self.reason or error
            raise
        return memoryview(data).nbytes

    def flush(self) -> None:
        self.file.flush()


def _write(payload: Mapping[str, Any], path: Path) -> None:
    """Raises OSError, never torch's word for it."""
    # Unbuffered: what a buffer could not write would be tried again when the file is closed.
    with path.open("wb", buffering=0) as file:
        sink = _Sink(file)
        try:
            torch.save(payload, sink)  # type: ignore[arg-type]
        except RuntimeError as error:
            # torch tells of a failed write by where it stands in the file, not why.
            raise sink.reason or OSError(None, str(error).partition("\n")[0]) from None
        os.fsync(file.fileno())


def file_of(path: Path) -> Path:
    """The file that is meant by a path: of a run folder its last checkpoint."""
    return path / LAST if kind(path / LAST) == "file" else path


def load(path: Path) -> dict[str, Any]:
    """The state of a file, checked whole. Raises UserError for a damaged or foreign file."""
    try:
        content = archive.read(path)
    except UserError as error:
        raise UserError(f"{error}; {_way_out(path)}" if path.is_file() else str(error)) from None
    if not is_checkpoint(content):
        raise UserError(
            f"{path}: a file of tensors, but no resgen checkpoint; resgen build {path} -o net.yaml "
            "may read a spec from them"
        )
    return checked(content, path)


def is_checkpoint(content: Any) -> bool:
    """Whether a file's content is meant to be a checkpoint of ours, sound or not."""
    if not isinstance(content, dict):
        return False
    return "sha256" in content or ("format" in content and "network" in content)


def checked(state: dict[str, Any], path: Path) -> dict[str, Any]:
    """The same state, its format, hash and keys being right. Raises UserError like `load`."""
    found = state.get("format")
    if type(found) is not int or found != FORMAT:
        shown = found if type(found) is int else "unknown"
        raise UserError(
            f"{path}: checkpoint format {shown}; this resgen reads format {FORMAT}, so use the one "
            "that wrote it"
        )
    try:
        same = state.get("sha256") == digest(state)
    except (TypeError, RecursionError):
        same = False
    if not same:
        raise UserError(f"{path}: damaged: its content does not match its hash; {_way_out(path)}")
    reason = rules.fault(state)
    if reason is not None:
        raise UserError(
            f"{path}: changed or not written by resgen, though its hash is right: {reason}; "
            f"{_way_out(path)}"
        )
    return state


def which_for_use(state: Mapping[str, Any]) -> Literal["averaged", "last"]:
    """Which weights those for use are: the run's average, or those of the last step."""
    return "last" if state["average"] is None else "averaged"


def weights_for_use(state: Mapping[str, Any]) -> dict[str, Tensor]:
    """The weights that a checkpoint's errors were measured with: the averaged ones, if kept.

    They are what is meant by a checkpoint's weights wherever they are used; to go on training,
    `--resume` takes both.
    """
    average: Mapping[str, Tensor] | None = state["average"]
    if average is None:
        return dict(state["model"])
    # The average names what it wraps `module.`, beside a count of its own.
    inner = "module."
    return {
        name.removeprefix(inner): value for name, value in average.items() if name.startswith(inner)
    }


def data_for_use(state: Mapping[str, Any]) -> dict[str, Any]:
    """What the images of a checkpoint's run are and how they are prepared, as plain values.

    Its data's name, classes, mean, std and sizes; `crop`, `interpolation`, `small`, `precision`,
    `batch` and `loss`, by which its errors were measured. Earlier checkpoints say neither
    interpolation (bilinear) nor what was done with small images (they were cropped); the first
    have neither crop nor precision, but a `test_crop` for what was read from disk.
    """
    recipe, judged = state["recipe"], state.get("judged")
    how = {"test_crop": recipe.get("augment", {}).get("test_crop", 0.875)}
    if judged is not None:
        keys = ("crop", "interpolation", "small", "precision")
        how = {key: judged[key] for key in keys if key in judged}
    loss = recipe.get("loss", {}).get("kind", "cross-entropy")
    return {**state["data"], **how, "batch": recipe.get("batch"), "loss": loss}


def network(path: Path) -> dict[str, Any]:
    """The spec of a checkpoint's network, as plain values. Raises UserError like `load`."""
    spec: dict[str, Any] = load(path)["network"]
    return spec


def _way_out(path: Path) -> str:
    """What to do without this file: the one before it, or for others the last."""
    other = path.with_name(PREVIOUS if path.name == LAST else LAST)
    if path.name not in (LAST, PREVIOUS, BEST):
        return "take another copy of it"
    if not other.exists():
        return f"there is no {other.name} beside it"
    if not _whole(other):
        return f"{other.name} beside it is no better"
    if path.name == LAST:
        move = shlex.join(["mv", str(other), str(path)])
        return f"the one before it is whole; to go on from it: {move}"
    return f"{other} is whole"


def _whole(path: Path) -> bool:
    try:
        checked(archive.read(path), path)
    except (UserError, AttributeError):
        return False
    return True


def digest(state: Mapping[str, Any]) -> str:
    """SHA-256 over every key, tensor and plain value, but for the hash itself."""
    sha = hashlib.sha256()
    for part in _parts({key: value for key, value in state.items() if key != "sha256"}):
        sha.update(part)
    return sha.hexdigest()


def _parts(value: Any) -> Iterator[bytes]:
    """A value as bytes, each kind told apart. Raises TypeError for what is not plain."""
    if isinstance(value, Tensor):
        if reason := indirect(value):
            raise TypeError(f"a checkpoint's tensors are plain; this one {reason}")
        flat = value.detach().cpu().contiguous().flatten()
        yield f"tensor {value.dtype} {tuple(value.shape)}\n".encode()
        yield flat.view(torch.uint8).numpy().tobytes() if flat.numel() else b""
    elif isinstance(value, Mapping):
        yield f"mapping {len(value)}\n".encode()
        for key, item in value.items():
            yield f"{key!r}\n".encode()
            yield from _parts(item)
    elif isinstance(value, list | tuple):
        yield f"list {len(value)}\n".encode()
        for item in value:
            yield from _parts(item)
    elif value is None or isinstance(value, bool | int | float | str):
        yield f"{value!r}\n".encode()
    else:
        raise TypeError(f"a checkpoint holds tensors and plain values, no {type(value).__name__}")


def _second_name(source: Path, target: Path) -> None:
    """`target` becomes what `source` is, in one move."""
    between = target.with_name(f"{target.name}.new")
    between.unlink(missing_ok=True)
    try:
        os.link(source, between)
    except OSError:  # a file system without hard links
        shutil.copyfile(source, between)
    os.replace(between, target)


def _sync(folder: Path) -> None:
    """Makes the new names last through a loss of power, where a folder can be opened."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
