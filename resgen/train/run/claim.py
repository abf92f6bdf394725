"""Which folders a command may use: refused where they hold something, unless asked to go on.

A folder that is used is locked, and nothing in one that is refused is changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from resgen.errors import UserError
from resgen.files import check_folder
from resgen.spec.loading import runs_in
from resgen.tensors import checkpoint
from resgen.train.run import lock
from resgen.train.run.early import names, refuse_nothing, refuse_used
from resgen.train.run.folder import OURS, SPEC
from resgen.train.run.settings import Settings


def check(settings: Settings, runs: Iterable[Path]) -> None:
    """Raises UserError where `prepared` would, as far as one can see without changing anything.

    For before the images are read, which may take long.
    """
    out = settings.out
    folders = list(dict.fromkeys([out, *runs]))
    with _said_of(out):
        _refuse_unfit(out, settings, folders)
        for folder in folders:
            # Where a run is going on, that is what is wrong, and its lock says it.
            if not (folder.is_dir() and (folder / lock.NAME).exists()):
                refuse_used(folder, settings)
    check_folder(out)
    weights = settings.init_from
    if settings.start == "force" and weights is not None:
        doomed = [(folder / name).resolve() for folder in folders for name in OURS]
        if checkpoint.file_of(weights).resolve() in doomed:
            raise UserError(f"--init-from {weights}: --force would delete it; name another --out")


@contextmanager
def prepared(settings: Settings, runs: Iterable[Path]) -> Iterator[None]:
    """Makes the folders of all runs ready, and keeps other runs out until the end.

    Raises UserError where one may not be used; nothing in any of them is changed then.
    """
    out = settings.out
    folders = list(dict.fromkeys([out, *runs]))
    with ExitStack() as locks:
        with _said_of(out):
            _refuse_unfit(out, settings, folders)
            for folder in folders:
                _take(folder, settings, locks)
            for folder in folders if settings.start == "force" else ():
                for name in OURS:
                    (folder / name).unlink(missing_ok=True)
        yield


@contextmanager
def _said_of(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(f"--out {out}: cannot be written: {error.strerror}") from None


def _take(folder: Path, settings: Settings, locks: ExitStack) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    locks.enter_context(lock.held(folder))
    refuse_used(folder, settings)


def _refuse_unfit(out: Path, settings: Settings, folders: Sequence[Path]) -> None:
    refuse_nothing(out, settings)
    _refuse_foreign(out, settings, folders)
    _refuse_mixed(out, settings, folders)
    _refuse_same(folders)


def _refuse_same(folders: Sequence[Path]) -> None:
    """Raises UserError where two of the runs would lie in one folder, and share its lock."""
    real: dict[Path, Path] = {}
    for folder in folders:
        other = real.setdefault(folder.resolve(), folder)
        if other != folder:
            raise UserError(f"--out {folder}: is the same folder as {other}; remove the link")


def _refuse_foreign(out: Path, settings: Settings, folders: Sequence[Path]) -> None:
    """Raises UserError where a run would start by itself among files that are none of a run's."""
    if settings.start != "auto":
        return
    for folder in (each for each in folders if each.is_dir() and not runs_in(each)):
        around = {path for each in folders for path in (each, *each.parents)}
        foreign = [name for name in names(folder) if folder / name not in around]
        foreign = [name for name in foreign if not _left_behind(name)]
        if foreign:
            raise UserError(
                f"--out {out}: holds no run to go on with, but {foreign[0]}; name another folder"
            )


def _left_behind(name: str) -> bool:
    """Whether a run that was killed before its first checkpoint may leave such a file."""
    passing = name.startswith((".resgen-", ".seen-", "events.out.")) or name.endswith(".new")
    return name in OURS or passing


def _refuse_mixed(out: Path, settings: Settings, folders: Sequence[Path]) -> None:
    """Raises UserError where a resumed command would put runs into a run, or a run around runs."""
    for folder in folders if settings.goes_on else ():
        around = [each for each in folder.parents if each == out or out in each.parents]
        for run in (each for each in around if (each / SPEC).is_file()):
            raise UserError(
                f"--out {run}: is a run itself, and this command's would lie in folders in it; "
                "name another --out"
            )
        inside = [each for each in runs_in(folder) if each != folder]
        if inside and (folder != out or len(folders) == 1):
            raise UserError(
                f"--out {folder}: holds {len(inside)} runs; resume with the command that made "
                f"them, or one of them with --out {inside[0]}"
            )
