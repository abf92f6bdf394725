"""The notebook shows what it shows when it is run, in an interpreter of its own."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parent.parent / "docs"
NOTEBOOKS = sorted(DOCS.glob("*.ipynb"))


def run(notebook: Path, *more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(DOCS / "notebooks.py"), str(notebook), *more],
        capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_shows_what_the_file_says(notebook: Path) -> None:
    done = run(notebook)
    assert done.returncode == 0, done.stderr


def test_there_is_a_notebook_of_tables_and_drawings() -> None:
    (notebook,) = NOTEBOOKS
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    shown = [output for cell in cells for output in cell.get("outputs", ())]
    kinds = {kind for output in shown for kind in output.get("data", ())}
    assert kinds == {"text/plain", "text/html", "image/svg+xml"}
    assert all(cell["outputs"] for cell in cells if cell["cell_type"] == "code")
    ids = [cell["id"] for cell in cells]
    assert len(ids) == len(set(ids))


def test_a_cell_that_shows_something_else_is_named_and_renewed(tmp_path: Path) -> None:
    notebook = tmp_path / "small.ipynb"
    shutil.copy(NOTEBOOKS[0], notebook)
    data = json.loads(notebook.read_text(encoding="utf-8"))
    data["cells"] = [
        {"cell_type": "code", "id": each, "metadata": {}, "source": [each], "outputs": [],
         "execution_count": count} for count, each in enumerate(("a = 1", "a + 1"), 1)
    ]  # fmt: skip
    notebook.write_text(json.dumps(data))
    done = run(notebook)
    assert (done.returncode, done.stderr) == (
        1, f"{notebook}: shows something else now:\na + 1\n",
    )  # fmt: skip
    assert run(notebook, "--write").returncode == 0
    assert run(notebook).returncode == 0
    (shown,) = json.loads(notebook.read_text())["cells"][1]["outputs"]
    assert shown["data"] == {"text/plain": ["2"]}
