"""What an emitted file says of itself, and the number of classes that its network takes."""

from __future__ import annotations

import ast
import inspect

import pytest
import torch

from resgen import emit_source, load_spec, resolve
from resgen.source.file import Origin
from resgen.source.file import emit_source as written
from resgen.source.module import import_source
from resgen.version import __version__


def test_the_header_says_the_version_and_whose_the_text_is() -> None:
    said = str(ast.get_docstring(ast.parse(emit_source("resnet50"))))
    assert f"Written by resgen {__version__} from the spec resnet50" in said.replace("\n", " ")
    assert said.replace("\n", " ").endswith("The text is yours, to use under any licence.")


@pytest.mark.parametrize("line", ["a'b", 'a"', '"""', "\\", "\\n", "a\nb", "\x1b[0m", "é", '\\"""'])
def test_a_command_is_read_as_it_was_given(line: str) -> None:
    text = written(resolve(load_spec("digits/resnet20")), origin=Origin(line, line))
    said = str(ast.get_docstring(ast.parse(text), clean=False))
    assert said.partition("Written again by\n\n    ")[2] == f"{line}\n"


@pytest.mark.parametrize(
    ("name", "takes"),
    [
        ("resnet18", True),
        ("mobilenet_v2", True),
        ("regnet_y_400mf", True),
        ("ghostnet/ghostnet_100", True),
        ("faces/iresnet18", False),  # a batch norm behind the last layer counts its features
        ("rl/impala", False),  # it puts out features
    ],
)
def test_the_class_takes_another_number_of_classes(name: str, takes: bool) -> None:
    plan = resolve(load_spec(name))
    file = import_source(emit_source(plan))
    cls = getattr(file, file.__all__[0])
    parameters = inspect.signature(cls).parameters
    assert (list(parameters) == ["num_classes"]) == takes
    if takes:
        assert parameters["num_classes"].default == plan.classes
        small = cls(num_classes=3).eval()
        with torch.no_grad():
            assert small(torch.zeros(1, *plan.input)).shape == (1, 3)
    else:
        assert not parameters
