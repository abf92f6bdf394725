"""SVG -> the bytes of a file: itself, or by CairoSVG (extra `pictures`) a PDF or a PNG."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from resgen.errors import UserError

SUFFIXES = (".svg", ".pdf", ".png")
_SCALE = 2  # pixels of a PNG for one of the drawing


def check(path: Path) -> None:
    """Raises UserError where a file of this ending asks for something that is not installed."""
    if path.suffix != ".svg":
        _cairosvg(path)


def rendered(svg: str, path: Path) -> bytes:
    """The content of a file of the path's ending. Raises UserError as `check` does."""
    if path.suffix == ".svg":
        return svg.encode()
    cairosvg = _cairosvg(path)
    if path.suffix == ".pdf":
        return bytes(cairosvg.svg2pdf(bytestring=svg.encode()))
    return bytes(cairosvg.svg2png(bytestring=svg.encode(), scale=_SCALE))


def _cairosvg(path: Path) -> Any:
    try:
        return import_module("cairosvg")
    except ImportError:
        raise UserError(
            f"{path}: a drawing becomes {path.suffix[1:].upper()} by CairoSVG, which is not "
            "installed; `pip install 'resgen[pictures]'`, or end the file's name in .svg"
        ) from None
    except OSError:  # cairocffi looks for the library when it is imported
        raise UserError(
            f"{path}: CairoSVG finds no Cairo library; install the system's package (libcairo2, "
            "cairo), or end the file's name in .svg"
        ) from None
