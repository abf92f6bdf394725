"""Every public object has an example in its docstring, and it does what it shows."""

from __future__ import annotations

import doctest
from pathlib import Path

import pytest

import resgen

FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def ran(name: str) -> tuple[int, str]:
    """How many lines of an object's example were run, and what went wrong."""
    known = {each: getattr(resgen, each) for each in resgen.__all__}
    (test,) = doctest.DocTestFinder(recurse=False).find(
        getattr(resgen, name), name, module=False, globs=known
    ) or (None,)
    if test is None:
        return 0, ""
    said: list[str] = []
    doctest.DocTestRunner(optionflags=FLAGS).run(test, out=said.append)
    return len(test.examples), "".join(said)


@pytest.mark.parametrize("name", resgen.__all__)
def test_the_example_of_a_public_object_holds(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    lines, wrong = ran(name)
    assert lines, f"resgen.{name} has no example"
    assert not wrong, wrong


def test_an_example_that_does_not_hold_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resgen.cost, "__doc__", '>>> cost("resnet50").macs\n4\n')
    lines, wrong = ran("cost")
    assert lines == 1
    assert "Expected:\n    4\nGot:\n    4089184256" in wrong
