"""What the tests share: golden text outputs, renewed with `pytest --renew`."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

pytest_plugins = ["tests.training", "tests.launched", "tests.experiments", "tests.browsers"]

# Tests begin with nothing kept, and leave nothing in the user's folders; processes they start too.
os.environ["RESGEN_CACHE"] = "off"

GOLDEN_OUTPUT = Path(__file__).parent / "golden_output"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--renew", action="store_true", help="write golden outputs anew")


@pytest.fixture
def golden_output(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """golden_output(file, text): the text is the file's, which --renew writes."""

    def compare(name: str, text: str) -> None:
        path = GOLDEN_OUTPUT / name
        if request.config.getoption("--renew"):
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
        assert text == path.read_text(encoding="utf-8"), f"{path} differs; pytest --renew writes it"

    return compare
