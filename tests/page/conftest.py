"""The three kinds of page, made once, and a browser to open them with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from resgen.cli.proofs import proved
from resgen.page import comparison_page, experiment_page, spec_page
from tests.compare.folders import write_run
from tests.page.folders import write_experiment

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

KINDS = ("sheet", "specs", "runs", "experiment")


@pytest.fixture(scope="session")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Each kind of page as text; the data sheet's proof is measured."""
    folder = tmp_path_factory.mktemp("pages")
    runs = []
    for number in range(4):
        changes = {"changes": {"batch": 64}} if number > 1 else {}
        run = write_run(folder / f"run-{number}", number % 2, 0.1 + number / 100, **changes)
        runs.append(str(run))
    runs.append(str(write_run(folder / "run-4", 7, None)))
    found = write_experiment(folder / "experiment")
    return {
        "sheet": spec_page("resnet50", prove=proved, command="resgen report resnet50 -o a.html"),
        "specs": comparison_page(["cifar/plain56", "cifar/resnet56", "cifar/resnet110"]),
        "runs": comparison_page(runs),
        "experiment": experiment_page(found),
    }


@pytest.fixture
def opened(
    browser: Browser, pages: dict[str, str], tmp_path: Path
) -> Iterator[Callable[..., Page]]:
    """opened(kind, width=..., dark=...): a page from its file; it logs nothing, loads nothing."""
    said: list[str] = []
    contexts = []

    def open_(kind: str, *, width: int = 1280, dark: bool = False, **more: Any) -> Page:
        file = tmp_path / f"{kind}.html"
        file.write_text(pages[kind])
        scheme = "dark" if dark else "light"
        context = browser.new_context(
            viewport={"width": width, "height": 800}, color_scheme=scheme, **more
        )
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: said.append(request.url))
        page.goto(file.as_uri())
        assert said.pop(0) == file.as_uri()
        return page

    yield open_
    for context in contexts:
        context.close()
    assert said == []
