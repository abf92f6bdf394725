"""Hostile specs, recipes, design spaces, `--set` and `--with` values against the whole house.

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
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from resgen.cost import cost
from resgen.errors import ResgenError, UserError
from resgen.plan import Plan, resolve
from resgen.search.fit import fit
from resgen.search.sample import sample
from resgen.source import emit_source
from resgen.spec import Spec, load_spec
from resgen.spec.assigning import set_values
from resgen.spec.reading import parse_document, validate
from resgen.spec.resolved import resolved_text
from resgen.spec.sentences import MOST
from resgen.spec.text import plain, spec_text
from resgen.train.recipe import read_recipe
from resgen.train.recipe.rate import Rate
from tests.draws import drawn

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
            if wrong := _unlike_a_sentence(str(error)):
                raise Wrong(wrong) from None
        else:
            text = spec_text({**found.data, "name": spec.name})
            scaled = resolve(Spec.model_validate({**found.data, "name": spec.name}))
            _same(text, scaled, "the fit")
        if plan.blocks < 30 and chance.random() < 0.25:
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


def _with(data: bytes, folder: Path, chance: random.Random) -> str:
    name = chance.choice(("resnet50", "seresnet50", "regnetx_002", "efficientnet_b0", "resnet14"))
    text = data.decode(errors="surrogateescape")
    spec = load_spec(name, [text])
    plan = resolve(spec)
    compile(emit_source(plan), "emitted", "exec")
    _same(spec_text(plain(spec), text), plan, "spec_text")
    _same(resolved_text(spec), plan, "resolved_text")
    return "taken"


def _space(data: bytes, folder: Path, chance: random.Random) -> str:
    path = folder / "space.yaml"
    path.write_bytes(data)
    found, tally = sample(path, draws=8, seed=chance.randrange(9))
    if wrong := _unlike_a_sentence(tally.first_reason):
        raise Wrong(wrong)
    for one in found:
        _same(spec_text(plain(one.spec), str(path)), resolve(one.spec), "the spec drawn")
    return "taken" if found else "no draw valid"


KINDS: dict[str, Callable[[bytes, Path, random.Random], str]] = {
    "spec": _spec, "recipe": _recipe, "space": _space, "set": _set, "with": _with,
}  # fmt: skip


def _unlike_a_sentence(text: str) -> str:
    """What is wrong with a refusal; nothing where it is a few short lines, each its own."""
    lines = text.split("\n")
    if bad := [character for line in lines for character in line if not character.isprintable()]:
        return f"a refusal with {bad[0]!r}: {text!r}"
    if len(lines) > MOST + 1 or len(set(lines)) < len(lines):
        return f"a refusal of {len(lines)} lines: {text}"
    longest = max(map(len, lines))
    return f"a refusal of {longest} characters: {text}" if longest >= LENGTH else ""


def _stop(signum: int, frame: Any) -> None:
    raise _Slow


def run(kind: str, seed: int, numbers: range, folder: Path) -> tuple[Counter[str], list[Fault]]:
    """How many draws ended how, and those that ended as none may."""
    ends: Counter[str] = Counter()
    faults = []
    signal.signal(signal.SIGPROF, _stop)
    for number in numbers:
        data = drawn(kind, seed, number)
        end, what = _tried(kind, data, folder, random.Random(number))
        if what.startswith("took"):  # perhaps by what it was the first to load
            end, what = _tried(kind, data, folder, random.Random(number))
        ends[end] += 1
        if what:
            faults.append(Fault(number, what, data.decode(errors="backslashreplace")))
    return ends, faults


def _tried(kind: str, data: bytes, folder: Path, chance: random.Random) -> tuple[str, str]:
    """How an input ended, and what it did that none may."""
    memory, start = _most_memory(), time.process_time()
    end, what = "fault", ""
    signal.setitimer(signal.ITIMER_PROF, 6 * SECONDS)
    try:
        end = KINDS[kind](data, folder, chance)
    except ResgenError as error:
        end, what = "refused", _unlike_a_sentence(str(error))
    except _Slow:
        what = f"took over {6 * SECONDS:.0f} s"
    except Exception:
        what = traceback.format_exc()
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    seconds, grown = time.process_time() - start, _most_memory() - memory
    if not what and seconds > SECONDS:
        what = f"took {seconds:.1f} s"
    if not what and grown > BYTES:
        what = f"took {grown / 2**30:.1f} GiB more"
    return "fault" if what else end, what


def _most_memory() -> int:
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


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
