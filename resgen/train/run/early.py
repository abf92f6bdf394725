"""What can be seen to be wrong before torch is loaded: a run's folder, files that are not there."""

from __future__ import annotations

from pathlib import Path

from resgen.errors import UserError
from resgen.files import check_folder, kind
from resgen.train.data import facts
from resgen.train.run import lock
from resgen.train.run.settings import Settings
from resgen.weights.reference import is_reference


def refuse(settings: Settings) -> None:
    """Raises UserError, as the run would after some seconds, for a folder that it may not use.

    Of several processes only the first one looks at it, and later.
    """
    refuse_nothing(settings.out, settings)
    if not (settings.out / lock.NAME).exists():
        refuse_used(settings.out, settings)
    check_folder(settings.out)


def refuse_missing(data: str, weights: Path | None) -> None:
    """Raises UserError where there is no folder of images, or no file of weights."""
    what, path = facts.split_name(data)
    if what == "folder":
        facts.check_folder(Path(path))
    if weights is not None and not is_reference(weights) and kind(weights) == "nothing":
        folder = "" if kind(weights.parent) == "folder" else f", nor a folder {weights.parent}"
        raise UserError(f"{weights}: no such file{folder}")


def refuse_nothing(out: Path, settings: Settings) -> None:
    """Raises UserError where a run is to go on that is not there."""
    if settings.start == "resume" and not (out.is_dir() and names(out)):
        raise UserError(f"--out {out}: there is nothing to resume; leave --resume out")


def refuse_used(folder: Path, settings: Settings) -> None:
    """Raises UserError for a folder that holds something, unless one is to go on there."""
    if folder.exists() and not folder.is_dir():
        raise UserError(f"--out {folder}: is a file; name a folder")
    held = names(folder) if folder.is_dir() else []
    if held and settings.start == "new":
        raise UserError(
            f"--out {folder}: not empty (it holds {held[0]}); "
            "add --resume to go on, --force to start over, or name another"
        )


def names(folder: Path) -> list[str]:
    """What a folder holds, but for the lock."""
    return sorted(path.name for path in folder.iterdir() if path.name != lock.NAME)
