"""State -> one file, whole or not at all: tensors and plain values under a hash.

last.pt       the newest state
previous.pt   the one before it
best.pt       the state with the least held-out error
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import torch

from resgen.errors import UserError

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
        with fresh.open("wb") as file:
            torch.save(payload, file)
            file.flush()
            os.fsync(file.fileno())
        if last.exists():
            _second_name(last, folder / PREVIOUS)
        os.replace(fresh, last)
        if best:
            _second_name(last, folder / BEST)
        _sync(folder)
    except (OSError, RuntimeError) as error:
        # torch reports a failed write as a RuntimeError.
        fresh.unlink(missing_ok=True)
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
        raise UserError(f"{last}: the checkpoint could not be written: {reason}") from None


def load(path: Path) -> dict[str, Any]:
    """The state of a file, its hash checked. Raises UserError for a damaged or foreign file."""
    if not path.exists():
        raise UserError(f"{path}: no such checkpoint")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception:
        raise UserError(f"{path}: damaged, or no checkpoint; {_way_out(path)}") from None
    if not isinstance(state, dict) or "sha256" not in state or "network" not in state:
        raise UserError(f"{path}: a torch file, but no resgen checkpoint")
    if state.get("format") != FORMAT:
        raise UserError(
            f"{path}: checkpoint format {state.get('format')}; this resgen reads format {FORMAT}"
        )
    if state["sha256"] != digest(state):
        raise UserError(f"{path}: damaged: its content does not match its hash; {_way_out(path)}")
    return state


def network(path: Path) -> dict[str, Any]:
    """The spec of a checkpoint's network, as plain values. Raises UserError like `load`."""
    spec: dict[str, Any] = load(path)["network"]
    return spec


def judged(content: Any) -> tuple[Any, Literal["averaged", "last"]]:
    """The weights that a checkpoint's errors were measured with, and which they are.

    They are the averaged ones where the run kept an average. What is no checkpoint of ours
    comes back as it is.
    """
    ours = {"format", "sha256", "network", "model"}
    if not isinstance(content, dict) or not ours <= content.keys():
        return content, "last"
    if not content.get("average"):
        return content["model"], "last"
    inside = "module."  # what the average puts before its names, beside a count of its own
    names = [name for name in content["average"] if name.startswith(inside)]
    return {name.removeprefix(inside): content["average"][name] for name in names}, "averaged"


def _way_out(path: Path) -> str:
    other = path.with_name(PREVIOUS)
    if path.name == LAST and other.exists():
        if _whole(other):
            return f"the one before it is whole; to go on from it: mv {other} {path}"
        return "so is the one before it"
    return "there is none before it"


def _whole(path: Path) -> bool:
    try:
        load(path)
    except UserError:
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
    if isinstance(value, torch.Tensor):
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
