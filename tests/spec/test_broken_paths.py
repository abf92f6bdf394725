"""A hundred paths with a mistake each: where it is, which rule, which value, the way out."""

from __future__ import annotations

import time
import tracemalloc
from pathlib import Path

import pytest

from resgen.errors import UserError
from resgen.plan import resolve
from resgen.spec import Spec
from resgen.spec.reading import parse_document, validate

SPEC = """name: net
input: {size: 32}
stem: [{conv: 3, width: 16}, norm, act]
define:
  squeeze: {with: {ratio: 4}, path: [{branches: [[], [global-pool, SQUEEZED]], join: product}]}
  mine: PATH
block: BLOCK
shortcut: SHORTCUT
stages:
  - {depth: 2, width: 16}
  - {depth: 2, width: 32, stride: 2}
classes: 10
""".replace(
    "SQUEEZED",
    "{conv: 1, width: branch / ratio, bias: true}, act, {conv: 1, width: branch, bias: true}, "
    "{act: sigmoid}",
)
HERE = Path(__file__).parents[1]


def cases() -> list[tuple[list[str], str]]:
    """A path, or path | block | shortcut, and below it what is said: line, column, place, rule."""
    lines = (HERE / "golden" / "broken_paths.txt").read_text(encoding="utf-8").splitlines()
    pairs = zip(lines[::3], lines[1::3], strict=True)
    return [(given.split(" | "), sentence.strip()) for given, sentence in pairs]


def read(text: str) -> None:
    document = parse_document(text, "net.yaml", what="spec")
    spec = validate(Spec, document)
    spec._document = document
    resolve(spec)


def said(path: str, block: str = "mine", shortcut: str = "projection") -> str:
    text = SPEC.replace("PATH", path).replace("BLOCK", block).replace("SHORTCUT", shortcut)
    with pytest.raises(UserError) as caught:
        read(text)
    return str(caught.value)


@pytest.mark.parametrize(("given", "sentence"), cases())
def test_a_broken_path_gets_its_sentence(given: list[str], sentence: str) -> None:
    assert said(*given) == f"net.yaml:{sentence}"


def test_there_are_a_hundred() -> None:
    assert len(cases()) >= 100


def nested(depth: int) -> str:
    path = "{conv: 3}"
    for _ in range(depth):
        path = f"{{branches: [{path}], times: 8, join: concat}}, {{conv: 1, width: out}}"
    return f"[{path}, {{conv: 3, stride: stage}}, norm, add]"


def doubling(count: int) -> dict[str, object]:
    define: dict[str, object] = {"d0": [{"conv": 3}, "norm"]}
    for number in range(1, count):
        define[f"d{number}"] = [f"d{number - 1}", f"d{number - 1}"]
    return define


@pytest.mark.parametrize("kind", ["branches in branches", "definitions that double", "deep lists"])
def test_what_would_be_too_large_is_refused_at_once(kind: str) -> None:
    data: dict[str, object] = {
        "name": "net", "input": {"size": 32}, "stem": [{"conv": 3, "width": 16}],
        "block": "mine", "shortcut": "projection", "stages": [{"depth": 1, "width": 16}],
        "classes": 10,
    }  # fmt: skip
    tracemalloc.start()
    start = time.perf_counter()
    try:
        if kind == "branches in branches":
            said(nested(12))
        elif kind == "deep lists":
            said("[" + "{branches: [[" * 40 + "{conv: 3}" + "]]}" * 40 + ", add]")
        else:
            data["define"] = {**doubling(30), "mine": ["d29", {"conv": 1, "width": "out"}, "add"]}
            with pytest.raises(UserError, match="layers in one block are too many"):
                resolve(Spec.model_validate(data))
        taken, peak = time.perf_counter() - start, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 200 * 2**20
    assert taken < 30  # a machine under load; alone it is a fraction of a second


def test_a_path_that_a_stage_writes_has_its_mistake_there() -> None:
    text = SPEC.replace("PATH", "[{conv: 3, stride: stage}, norm, add]").replace("BLOCK", "mine")
    text = text.replace("SHORTCUT", "projection").replace(
        "width: 32, stride: 2", "width: 32, stride: 2, block: [{conv: 4, stride: stage}, add]"
    )
    with pytest.raises(UserError) as caught:
        read(text)
    assert str(caught.value) == (
        "net.yaml:11:53: stages[1].block[0].conv: a kernel of even size (4x4) has no middle: "
        "say its padding (in stage 2)"
    )
