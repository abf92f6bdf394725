"""Templates, style and script -> one HTML document, with what made it."""

from __future__ import annotations

import platform
from collections.abc import Iterable
from datetime import datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from resgen.version import __version__

if TYPE_CHECKING:
    from jinja2 import Environment

_LIBRARIES = ("torch", "torchvision", "fvcore")


@cache
def _environment() -> Environment:
    """Whatever a template is given is text, unless it says that it is markup."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader("resgen.page"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip


def rendered(template: str, *, title: str, command: str, **said: Any) -> str:
    """The document; `command` is the one that writes it again."""
    environment = _environment()
    loader = environment.loader
    assert loader is not None
    parts = {
        key: Markup(loader.get_source(environment, file)[0])
        for key, file in (("style", "style.css"), ("script", "page.js"))
    }
    text = environment.get_template(template).render(
        title=title, command=command, made=made(), **parts, **said
    )
    return "\n".join(line.rstrip() for line in text.rstrip().split("\n")) + "\n"


def made() -> list[tuple[str, str]]:
    """What wrote the page, and when; nothing of it needs a library imported."""
    return [
        ("resgen", __version__),
        ("written", datetime.now().astimezone().isoformat(" ", "minutes")),
        ("Python", platform.python_version()),
        *((library, _version(library)) for library in _LIBRARIES),
        ("system", f"{platform.system()} {platform.machine()}"),
    ]


def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return "not installed"


def plain(value: Any) -> str:
    """A value of JSON in words: lists with commas, nothing as a dash."""
    if value is None or value == "":
        return "\u2013"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(map(plain, value)) or "\u2013"
    if isinstance(value, dict):
        return ", ".join(f"{key} {plain(inner)}" for key, inner in value.items()) or "\u2013"
    return str(value)


def pairs(values: Iterable[tuple[str, Any]]) -> list[tuple[str, str]]:
    """Keys and values in words."""
    return [(key.replace("_", " "), plain(value)) for key, value in values]
