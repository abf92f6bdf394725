"""Runs and checkpoints over images -> a verdict each: what was tested, on what, how, the scores."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from resgen.errors import UserError
from resgen.inference.answers import answers
from resgen.inference.scores import Scores, scores
from resgen.inference.subject import Subject, Which, chosen
from resgen.inference.trained import Trained, labels, read
from resgen.tensors import checkpoint
from resgen.train.device import machine
from resgen.train.device.engine import Engine
from resgen.train.device.processes import World


@dataclass(frozen=True)
class Asked:
    """How networks are to be tested; what is None follows from each of their checkpoints."""

    data: str | None = None
    split: Which = "auto"
    size: tuple[int, int] | None = None
    crop: float | None = None
    batch: int | None = None
    workers: int | None = None
    download: str = "never"
    bad_images: str = "refuse"
    precision: str = "auto"


class Verdict(NamedTuple):
    """One network's test."""

    trained: Trained
    subject: Subject
    engine: Engine
    scores: Scores
    images_per_second: float
    notes: tuple[str, ...]


def verdicts(
    sources: Sequence[str], asked: Asked, engine: Engine, world: World,
    say: Callable[[str], None] = lambda _: None,
) -> list[Verdict]:  # fmt: skip
    """Every network is read and given its images before the first is tested.

    Raises UserError for what cannot be tested, and CheckFailed for outputs that are no numbers.
    """
    ready = []
    for source, label in zip(sources, labels(sources), strict=True):
        trained = read(source, label).at(asked.size, asked.crop)
        subject = _subject(trained, asked, world)
        ready.append((trained, subject))
    done = []
    for trained, subject in ready:
        say(f"{trained.label}: {len(subject.images):,} images of {subject.title}")
        done.append(_verdict(trained, subject, asked, engine, world))
    return done


def _subject(trained: Trained, asked: Asked, world: World) -> Subject:
    # One process of each machine may download; the others read what it brought.
    later = asked.download == "allowed" and world.local_rank > 0
    if later:
        world.wait()
    subject = chosen(trained, asked.data, asked.split, download=asked.download)
    if asked.download == "allowed" and not later:
        world.wait()
    return subject


def _verdict(
    trained: Trained, subject: Subject, asked: Asked, engine: Engine, world: World
) -> Verdict:
    engine = as_judged(engine, trained, asked.precision)
    workers = machine.workers(world.cpus) if asked.workers is None else asked.workers
    given = answers(
        trained, subject.images, batch=asked.batch or trained.batch, engine=engine, world=world,
        processes=workers, bad_images=asked.bad_images,
    )  # fmt: skip
    notes = [*_seen(trained, subject), *subject.notes]
    if given.unread:
        notes.append(f"{len(given.unread)} unreadable images left out, the first {given.unread[0]}")
    if not given.truth:
        raise UserError(f"{subject.title}: none of its images can be read; {given.unread[0]}")
    return Verdict(
        trained, subject, engine, scores(given, trained.classes),
        len(given.truth) / max(given.seconds, 1e-9), tuple(notes),
    )  # fmt: skip


def _seen(trained: Trained, subject: Subject) -> Iterator[str]:
    """Why an error is no fresh one."""
    if trained.origin.data != subject.data:
        return
    if subject.split == "training":
        yield f"{trained.label} was trained on these images"
    elif subject.split == "held-out" and trained.file.name == checkpoint.BEST:
        yield f"{trained.label} is the checkpoint with the least error on these images"


def as_judged(engine: Engine, trained: Trained, precision: str) -> Engine:
    """In the precision that a run's own errors were measured in, unless another is asked for."""
    if precision != "auto" or trained.precision is None:
        return engine
    return replace(engine, precision=trained.precision)  # type: ignore[arg-type]
