"""Runs the notebooks of this folder: `python docs/notebooks.py [--write]`.

The cells of each are run in order in an interpreter and a folder of their own. What they show
must be what the file has; with --write the file gets it. A cell tagged `varies` is run, too, but
may show other numbers elsewhere: what comes of a training, say.
"""

from __future__ import annotations

import ast
import contextlib
import io
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
KINDS = {"text/html": "_repr_html_", "image/svg+xml": "_repr_svg_"}


def run(source: str, names: dict[str, Any]) -> list[dict[str, Any]]:
    """What a cell shows: what it prints, and its last line's value where that is an expression."""
    tree = ast.parse(source)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    printed, value = io.StringIO(), None
    with contextlib.redirect_stdout(printed):
        exec(compile(tree, "cell", "exec"), names)
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), "cell", "eval"), names)
    shown: list[dict[str, Any]] = []
    if text := printed.getvalue():
        shown.append({"name": "stdout", "output_type": "stream", "text": lines(text)})
    if value is not None:
        data = {"text/plain": lines(repr(value))}
        for kind, method in KINDS.items():
            if hasattr(value, method):
                data[kind] = lines(getattr(value, method)())
        shown.append({"data": data, "metadata": {}, "output_type": "execute_result"})
    return shown


def lines(text: str) -> list[str]:
    """As notebooks keep text."""
    return text.splitlines(keepends=True)


def run_all(notebook: dict[str, Any]) -> None:
    """Puts into each cell of code what it shows here."""
    names: dict[str, Any] = {"__name__": "__main__"}
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        for count, cell in enumerate(code, 1):
            cell["execution_count"] = count
            cell["outputs"] = [
                {**each, "execution_count": count} if "data" in each else each
                for each in run("".join(cell["source"]), names)
            ]


def fixed(notebook: dict[str, Any]) -> list[Any]:
    """The cells, less what those show that may differ."""
    return [
        {**cell, "outputs": []} if "varies" in cell["metadata"].get("tags", ()) else cell
        for cell in notebook["cells"]
    ]


def check(path: Path, *, write: bool) -> list[str]:
    """The sources of the cells that show something else than the file has."""
    before, after = (json.loads(path.read_text(encoding="utf-8")) for _ in range(2))
    run_all(after)
    if write:
        text = json.dumps(after, indent=1, ensure_ascii=False, sort_keys=True)
        path.write_text(f"{text}\n", encoding="utf-8")
    pairs = zip(fixed(before), fixed(after), strict=True)
    return ["".join(new["source"]) for old, new in pairs if old != new and not write]


if __name__ == "__main__":
    if len(sys.argv) > 1 and sys.argv[1].endswith(".ipynb"):
        differing = check(Path(sys.argv[1]), write="--write" in sys.argv)
        for cell in differing:
            print(f"{sys.argv[1]}: shows something else now:\n{cell}", file=sys.stderr)
        sys.exit(bool(differing))
    # A fresh interpreter each.
    again = [subprocess.call([sys.executable, __file__, os.fspath(path), *sys.argv[1:]])
             for path in sorted(HERE.glob("*.ipynb"))]  # fmt: skip
    sys.exit(max(again, default=0))
