"""The names of an emitted file's classes and the equations in it, read back from its text."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from strategies import unheard_of

from resgen import emit_source, load_spec, resolve
from resgen.plan import Block, Plan
from resgen.spec import Spec
from resgen.spec.shipped import names

TITLE = r"(?:PreAct)?(?:BasicBlock|Bottleneck)"


class Placed(NamedTuple):
    """One block of a network: the class it is built by and where it stands."""

    cls: str
    stage: int
    number: int
    block: Block

    @property
    def title(self) -> str:
        found = re.search(TITLE, self.cls)
        assert found
        return found.group()


def placed(plan: Plan) -> list[Placed]:
    """Every block as the emitted text builds it, repeats written out."""
    found: list[Placed] = []
    blocks = plan.named_blocks()
    tree = ast.parse(emit_source(plan))
    for stage in range(len(plan.stages)):
        for number, cls in enumerate(built_in(tree, f"layer{stage + 1}")):
            found.append(Placed(cls, stage, number, next(blocks)[1]))
    assert next(blocks, None) is None
    return found


def built_in(tree: ast.Module, stage: str) -> Iterator[str]:
    """The classes that `self.layer1 = nn.Sequential(...)` calls, in order."""
    (value,) = [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == f"self.{stage}"
    ]
    assert isinstance(value, ast.Call)
    for part in value.args:
        times, call = 1, part
        if isinstance(part, ast.Starred):
            assert isinstance(part.value, ast.GeneratorExp)
            times = len(eval(ast.unparse(part.value.generators[0].iter)))
            call = part.value.elt
        assert isinstance(call, ast.Call)
        assert isinstance(call.func, ast.Name)
        yield from [call.func.id] * times


def odd_ones(found: list[Placed]) -> dict[str, list[Placed]]:
    """The blocks of each class with more than a title; fails where a title is ill given.

    The commonest class of a title, of equals the earliest, has the title alone.
    """
    classes: dict[str, list[Placed]] = {}
    for one in found:
        classes.setdefault(one.cls, []).append(one)
    for title in {one.title for one in found}:
        counts = Counter(one.cls for one in found if one.title == title)
        assert counts.most_common(1)[0][0] == title
    return {name: ones for name, ones in classes.items() if name != ones[0].title}


def is_true_of(name: str, ones: list[Placed], found: list[Placed]) -> bool:
    """Whether the word before a title holds for all blocks of the class."""
    word = name[: name.index(ones[0].title)]
    if word == "First":
        return [(one.stage, one.number) for one in ones] == [(0, 0)]
    if word == "Plain":
        usual = next(one for one in found if one.cls == ones[0].title)
        bare = {one.block.shortcut.kind == "none" for one in ones}
        return bare == {True} and usual.block.shortcut.kind != "none"
    if word == "Entry":
        return all(one.number == 0 for one in ones)
    if word == "Inner":
        return all(one.number > 0 for one in ones)
    return not word


# Those of their own paths name their blocks after these.
WORDS = [name for name in names() if not load_spec(name).define]


@pytest.mark.parametrize("name", WORDS)
def test_a_shipped_network_names_its_usual_block_plainly_and_the_odd_ones_truly(name: str) -> None:
    found = placed(resolve(load_spec(name)))
    for cls, ones in odd_ones(found).items():
        assert is_true_of(cls, ones, found), cls
        assert re.fullmatch(rf"(First|Plain|Entry|Inner){TITLE}", cls)
        if cls.startswith("Entry"):
            assert all(one.block.input != one.block.output for one in ones)


@given(plan=unheard_of())
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
def test_the_names_are_true_of_any_network(plan: Plan) -> None:
    found = placed(plan)
    for cls, ones in odd_ones(found).items():
        assert is_true_of(cls, ones, found), cls


def plan_of(**keys: Any) -> Plan:
    data = {
        "name": "net",
        "input": {"channels": 3, "size": 16},
        "stem": {"kind": "conv3x3", "width": 8},
        "block": "basic",
        "shortcut": "projection",
        "classes": 5,
        **keys,
    }
    return resolve(Spec.model_validate(data))


def stages(*blocks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Stages that double the width, with the keys of each block."""
    return [
        {"width": 8 * 2**i, "stride": 1 + (i > 0), "blocks": keys} for i, keys in enumerate(blocks)
    ]


SE: dict[str, Any] = {"attention": "se"}
ECA: dict[str, Any] = {"attention": "eca"}
NAMED: dict[str, tuple[Plan, list[str]]] = {
    "repeats count": (
        plan_of(order="preact", stages=[{"depth": 9, "width": 8}]),
        ["FirstPreActBasicBlock", "PreActBasicBlock"],
    ),
    "of equals the earliest is the usual one": (
        plan_of(stages=stages([SE, {}], [SE, {}])),
        ["BasicBlock", "InnerBasicBlock"],
    ),
    "without a shortcut among ones that have one": (
        plan_of(shortcut="identity-same", stages=stages([{}, {}], [{}, {}, {}], [{}])),
        ["BasicBlock", "PlainBasicBlock"],
    ),
    "without a shortcut among their like": (
        plan_of(order="preact", shortcut="none", stages=stages([{}, {}], [{}])),
        ["FirstPreActBasicBlock", "PreActBasicBlock"],
    ),
    "each kind of block has its usual one": (
        plan_of(
            stages=[{"depth": 2, "width": 8}, {"depth": 3, "width": 16, "block": "bottleneck"}],
        ),
        ["BasicBlock", "Bottleneck"],
    ),
    "a number where no word is true": (
        plan_of(stages=stages([{}, {}, {}], [SE, SE])),
        ["BasicBlock", "BasicBlock2"],
    ),
    "a number where the word is taken": (
        plan_of(stages=stages([{}, {}, {}], [SE, {}], [ECA, {}])),
        ["BasicBlock", "EntryBasicBlock", "EntryBasicBlock2"],
    ),
}


@pytest.mark.parametrize("rule", NAMED)
def test_the_rules_of_naming(rule: str) -> None:
    plan, expected = NAMED[rule]
    tree = ast.parse(emit_source(plan))
    classes = [node.name for node in tree.body if isinstance(node, ast.ClassDef)]
    assert [name for name in classes if re.search(TITLE, name)] == expected


ADDENDS = {
    "x": "x",
    "preact": "preact(x)",
    "self.downsample(x)": "shortcut(x)",
    "self.shortcut(x)": "shortcut(x)",
    "self.downsample(preact)": "shortcut(preact(x))",
    "self.shortcut(preact)": "shortcut(preact(x))",
}


def added(block: ast.ClassDef) -> str | None:
    """What `forward` adds to the main path, in an equation's words; None in a plain block."""
    code = ast.unparse(block)
    gated = re.search(r"shortcut = (.+)\n +gate = ", code)
    total = gated or re.search(r"\by \+ ((?:self\.\w+\()?\w+\)?)", code)
    if not total:
        return None
    value = total.group(1)
    return ADDENDS[value if "(" in value else value.rstrip(")")]


def block_classes(plan: Plan) -> list[ast.ClassDef]:
    tree = ast.parse(emit_source(plan))
    return [n for n in tree.body if isinstance(n, ast.ClassDef) and re.search(TITLE, n.name)]


GIVEN_IN: dict[str, Plan] = {
    "option A": plan_of(shortcut="identity", stages=stages([{}, {}], [{}])),
    "always an identity": plan_of(shortcut="identity", stages=stages([{}, {}])),
    "always an identity behind the activation": plan_of(
        shortcut="identity", order="preact-shared", stages=stages([{}, {}])
    ),
    "gated, the shape kept": plan_of(shortcut="gated", stages=stages([{}, {}])),
    "gated, the shape changed": plan_of(shortcut="gated", stages=stages([{}, {}], [{}])),
    "scaled": plan_of(shortcut="scaled", stages=stages([{}, {}], [{}])),
    **{name: resolve(load_spec(name)) for name in names()},
}


@pytest.mark.parametrize("name", GIVEN_IN)
def test_the_equation_of_a_class_adds_what_its_forward_adds(name: str) -> None:
    for cls in block_classes(GIVEN_IN[name]):
        equation = str(ast.get_docstring(cls)).partition(";")[0]
        term = added(cls)
        if term is None:
            assert "+" not in equation
        else:
            assert re.search(
                rf"F\((preact\(x\)|x)\) \+ (\(1 - g\) )?{re.escape(term)}\)*$", equation
            )
        if "downsample: nn.Module | None" in ast.unparse(cls):
            assert "+ shortcut(" in equation


def test_option_a_is_written_as_a_shortcut_and_an_identity_as_x() -> None:
    sentences = [
        ast.get_docstring(cls)
        for name in ("option A", "always an identity", "always an identity behind the activation")
        for cls in block_classes(GIVEN_IN[name])
    ]
    assert sentences == [
        "y = relu(F(x) + shortcut(x)); F: 3x3, 3x3 convolutions.",
        "y = relu(F(x) + x); F: 3x3, 3x3 convolutions.",
        "y = F(x) + x; F: 3x3, 3x3 convolutions.",
        "y = F(preact(x)) + preact(x); F: 3x3, 3x3 convolutions.",
    ]
