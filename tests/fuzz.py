"""Hostile specs, recipes, design spaces and `--set` values against the whole house.

    python -m tests.fuzz --draws 20000 --kind spec --seed 1

Draw k of a seed is always the same. What a draw may do: be refused in one line, or be
taken, costed, emitted, written and read again as the same; small networks are built, run
and measured too. Everything else is printed, and the command ends with 1.
"""

from __future__ import annotations

import argparse
import random
import resource
import signal
import sys
import tempfile
import time
import traceback
import typing
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel

from resgen.cost import cost
from resgen.errors import ResgenError, UserError
from resgen.plan import Plan, resolve
from resgen.search.fit import fit
from resgen.search.sample import sample
from resgen.source import emit_source
from resgen.spec import Spec, load_spec, shipped
from resgen.spec.loading import load_document
from resgen.spec.reading import parse_document, read_document, set_values, validate
from resgen.spec.resolved import resolved_text
from resgen.spec.text import plain, spec_text
from resgen.train.recipe import Recipe, read_recipe
from resgen.train.recipe.rate import Rate
from tests.mutations import SCALARS, Mutator, Pairs, as_bytes, tree

SECONDS, BYTES, LENGTH = 5.0, 2**30, 500
"""What one draw may take at most, of the processor and of memory; and a sentence's length."""


class Fault(NamedTuple):
    """A draw that did what none may: its number, what it did, and its input."""

    number: int
    what: str
    data: str


class Wrong(Exception):
    """Something resgen wrote or refused is not as it must be."""


class _Slow(BaseException):
    pass


# --- what the language has to offer ---------------------------------------------------


def _models(model: type[BaseModel]) -> set[type[BaseModel]]:
    found = {model}
    for field in model.model_fields.values():
        for part in _parts(field.annotation):
            if isinstance(part, type) and issubclass(part, BaseModel):
                found |= _models(part)
    return found


def _parts(annotation: Any) -> list[Any]:
    return [annotation, *(p for arg in typing.get_args(annotation) for p in _parts(arg))]


NUMBERS = (0, 1, 2, 3, 4, 8, 16, 24, 32, 64, 224, 1000, 10_000, 65_536, 0.1, 0.25, 0.5)


@cache
def _vocabulary(model: type[BaseModel]) -> dict[str, tuple[Any, ...]]:
    """Every key of a model and of those inside it, with what may stand there."""
    found: dict[str, set[Any]] = {}
    for each in _models(model):
        for key, field in each.model_fields.items():
            parts = _parts(field.annotation)
            for part in list(parts):
                if isinstance(part, type) and issubclass(part, BaseModel):
                    parts += _parts(getattr(part.model_fields.get("kind"), "annotation", None))
            words = {part for part in parts if isinstance(part, str)}
            found.setdefault(key, set()).update(words or NUMBERS)
    return {key: tuple(sorted(found[key], key=repr)) for key in sorted(found)}


@cache
def _shipped(kind: str) -> tuple[tuple[dict[str, Any], dict[str, Any]], ...]:
    """(as it is written, with what it extends) of each shipped text."""
    paths = [shipped.find(kind, name) for name in shipped.names(kind)]
    return tuple(
        (read_document(path).data, load_document(path).data if kind == "spec" else {})
        for path in paths
    )


def _root(kind: str, chance: random.Random) -> Pairs:
    written, whole = chance.choice(_shipped(kind))
    if not whole or chance.random() < 0.3:
        return tree(written)
    whole = {key: value for key, value in whole.items() if key not in ("extends", "depth")}
    return tree(_small(whole, chance.choice((8, 16, 32))) if chance.random() < 0.7 else whole)


def _small(value: Any, factor: int, key: str = "") -> Any:
    """The same network, narrow, shallow and for a small image, to be built."""
    if isinstance(value, dict):
        return {name: _small(inner, factor, name) for name, inner in value.items()}
    if isinstance(value, list) and key != "size":
        return [_small(inner, factor, "") for inner in value]
    if isinstance(value, int):
        small = {"depth": min(value, 2), "size": factor, "classes": 3, "w0": 8}
        return small.get(key, max(1, value // factor) if value > 7 else value)
    return factor if key == "size" else value


def drawn(kind: str, seed: int, number: int) -> bytes:
    """The input of a draw: a file's bytes, or an assignment's."""
    chance = random.Random(f"{kind}:{seed}:{number}")
    model: type[BaseModel] = Recipe if kind in ("recipe", "set") else Spec
    words = _vocabulary(model)
    mutator = Mutator(chance, words, tuple(model.model_fields))
    if kind == "set":
        return _assignment(mutator, chance, words)
    root = _root("recipe" if kind == "recipe" else "spec", chance)
    if kind == "space":
        for _ in range(chance.choice((1, 2, 3))):
            mutator.choose(root)
        if chance.random() < 0.3:
            return as_bytes(root)
    return mutator.spoiled(root)


SETTABLE = (
    "optimizer.lr", "optimizer.kind", "optimizer.betas[1]", "batch", "length", "accumulate",
    "schedule.milestones[0]", "schedule.warmup", "schedule.kind", "augment.size", "augment.flip",
    "loss.kind", "clip", "ema.decay",
)  # fmt: skip


def _assignment(
    mutator: Mutator, chance: random.Random, words: dict[str, tuple[Any, ...]]
) -> bytes:
    path = chance.choice(SETTABLE)
    key = path.partition("[")[0].rpartition(".")[2]
    value = str(chance.choice((*words[key], "5 epochs", "10 %")))
    if chance.random() < 0.3:
        path = ".".join(chance.choices(list(words), k=chance.choice((1, 2, 2, 3))))
        path += chance.choice(("", "[0]", "[1]", "[9]", "[\u00b2]", ".", "..", "[", "\0", "\x1b"))
    if chance.random() < 0.4:
        value = chance.choice(SCALARS)
    text = path + chance.choice(("=",) * 9 + ("", "==", "= ")) + value
    return mutator.broken(text) if chance.random() < 0.2 else text.encode(errors="replace")


# --- what must hold -------------------------------------------------------------------


def _same(text: str, plan: Plan, what: str) -> None:
    """The text is a spec of the same Plan."""
    try:
        again = resolve(validate(Spec, parse_document(text, what)))
    except UserError as error:
        raise Wrong(f"{what} cannot be read again: {error}\n{text}") from None
    if again != plan:
        raise Wrong(f"{what} is another network\n{text}")


def _spec(data: bytes, folder: Path, chance: random.Random) -> str:
    path = folder / "spec.yaml"
    path.write_bytes(data)
    spec = load_spec(path)
    plan = resolve(spec)
    books = cost(plan)
    source = emit_source(plan)
    compile(source, "emitted", "exec")
    _same(spec_text(plain(spec), "a comment"), plan, "spec_text")
    _same(resolved_text(spec), plan, "resolved_text")
    if books.params < 10**6 and books.macs < 10**7 and len(source) < 10**5:
        target = max(1, round(books.macs * chance.uniform(0.2, 3)))
        try:
            found = fit(spec, target, by=chance.choice(("width", "depth")))
        except UserError as error:
            _sentence(error)
        else:
            text = spec_text({**found.data, "name": spec.name})
            scaled = resolve(Spec.model_validate({**found.data, "name": spec.name}))
            _same(text, scaled, "the fit")
        if chance.random() < 0.25:
            _built(plan)
            return "built"
    return "taken"


def _built(plan: Plan) -> None:
    """The module runs, in training too, and is measured as the books say."""
    import torch

    from resgen.cost.memory import training_step
    from resgen.proof import prove
    from resgen.source.module import build_module

    module = build_module(plan)
    proof = prove(plan, module)
    if not proof.ok:
        raise Wrong("; ".join(check.text for check in proof.checks if not check.holds))
    training_step(plan, 2)
    scores = module.train()(torch.zeros(2, *plan.input))
    if tuple(scores.shape[1:]) != plan.head[-1].output:
        raise Wrong(f"puts out {tuple(scores.shape)}")


def _recipe(data: bytes, folder: Path, chance: random.Random) -> str:
    from resgen.spec.writing import block_text

    path = folder / "recipe.yaml"
    path.write_bytes(data)
    recipe = read_recipe(str(path))
    rate = Rate(recipe, chance.choice((1, 3, 400)))
    list(rate.changes())
    text = block_text(recipe.model_dump(mode="json"))
    path.write_text(text, encoding="utf-8")
    try:
        again = read_recipe(str(path))
    except UserError as error:
        raise Wrong(f"the recipe written cannot be read again: {error}\n{text}") from None
    if again != recipe:
        raise Wrong(f"the recipe written is another\n{text}")
    return "taken"


def _set(data: bytes, folder: Path, chance: random.Random) -> str:
    recipe = read_recipe(chance.choice(("digits", "he2015-cifar", "rsb-a2-imagenet")))
    set_values(recipe, [data.decode(errors="surrogateescape")])
    return "taken"


def _space(data: bytes, folder: Path, chance: random.Random) -> str:
    path = folder / "space.yaml"
    path.write_bytes(data)
    found, tally = sample(path, draws=8, seed=chance.randrange(9))
    _sentence(UserError(tally.first_reason))
    if "\n" in tally.first_reason:
        raise Wrong(f"a reason of several lines: {tally.first_reason!r}")
    for one in found:
        _same(spec_text(plain(one.spec), str(path)), resolve(one.spec), "the spec drawn")
    return "taken" if found else "no draw valid"


KINDS: dict[str, Callable[[bytes, Path, random.Random], str]] = {
    "spec": _spec, "recipe": _recipe, "space": _space, "set": _set,
}  # fmt: skip


def _sentence(error: ResgenError) -> None:
    text = str(error)
    if bad := [c for c in text if not c.isprintable()]:
        raise Wrong(f"a refusal with {bad[0]!r}: {text!r}")
    if len(text) >= LENGTH:
        raise Wrong(f"a refusal of {len(text)} characters: {text}")


def _stop(signum: int, frame: Any) -> None:
    raise _Slow


def run(kind: str, seed: int, numbers: range, folder: Path) -> tuple[Counter[str], list[Fault]]:
    """How many draws ended how, and those that ended as none may."""
    ends: Counter[str] = Counter()
    faults = []
    signal.signal(signal.SIGPROF, _stop)
    for number in numbers:
        data = drawn(kind, seed, number)
        chance = random.Random(number)
        before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
        what = ""
        signal.setitimer(signal.ITIMER_PROF, 6 * SECONDS)
        try:
            end = KINDS[kind](data, folder, chance)
        except ResgenError as error:
            end = "refused"
            try:
                _sentence(error)
            except Wrong as wrong:
                what = str(wrong)
        except _Slow:
            what = f"over {6 * SECONDS:.0f} s"
        except Exception:
            what = traceback.format_exc()
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
        seconds = time.process_time() - start
        grown = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
        if not what and seconds > SECONDS:
            what = f"took {seconds:.1f} s"
        if not what and grown > BYTES:
            what = f"took {grown / 2**30:.1f} GiB more"
        if what:
            end = "fault"
            faults.append(Fault(number, what, data.decode(errors="backslashreplace")))
        ends[end] += 1
    return ends, faults


def main() -> int:
    """The long form."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="the first draw's number")
    parser.add_argument("--kind", choices=(*KINDS, "all"), default="all")
    words = parser.parse_args()
    bad = 0
    with tempfile.TemporaryDirectory() as folder:
        for kind in KINDS if words.kind == "all" else (words.kind,):
            numbers = range(words.first, words.first + words.draws)
            ends, faults = run(kind, words.seed, numbers, Path(folder))
            print(
                f"{kind}: {words.draws:,} drawn:", ", ".join(f"{n:,} {e}" for e, n in ends.items())
            )
            for fault in faults:
                print(f"--- {kind} {fault.number}: {fault.what}\n{fault.data[:1500]}")
            bad += len(faults)
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
