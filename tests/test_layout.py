"""The house keeps its shape: the import order, and no torch in the left half."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import resgen

PACKAGE = Path(resgen.__file__).parent

# Each module may import the ones above it and none below: the order of docs/architecture.md.
ORDER = [
    "errors",
    "mistakes",
    "reading",
    "shipped",
    "spec_parts",
    "spec_rules",
    "spec_block",
    "spec",
    "schema",
    "spec_text",
    "loading",
    "resolved",
    "files",
    "layers",
    "plan",
    "block_tables",
    "blocks",
    "resolve",
    "cost",
    "words",
    "catalog",
    "budget",
    "conventions",
    "autograd",
    "memory",
    "rows",
    "explain",
    "draw",
    "compare_plot",
    "writing",
    "block_classes",
    "network_class",
    "source",
    "proof",
    "tables",
    "report",
    "fit",
    "sample",
]
TRAIN = [
    "recipe",
    "recipe_schema",
    "schedule",
    "groups",
    "seeds",
    "order",
    "settings",
    "network",
    "outlook",
    "data",
    "machine",
    "cifar",
    "image_folder",
    "sources",
    "augment",
    "feed",
    "filefeed",
    "engine",
    "distributed",
    "lamb",
    "optimizer",
    "loop",
    "evaluation",
    "recompute",
    "fit",
    "metrics",
    "checkpoint",
    "run_folder",
    "figures",
    "board",
    "log",
    "signals",
    "setup",
    "state",
    "trainer",
    "run",
]
WITH_TORCH = {"module", "measure", "parts", "weights"}


def imported(path: Path) -> set[str]:
    """The resgen modules a file imports, at the top or inside functions."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "resgen":
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("resgen."):
            found.add(str(node.module).split(".")[1])
    return found


@pytest.mark.parametrize("name", ORDER)
def test_a_module_imports_only_what_stands_before_it(name: str) -> None:
    below = set(ORDER[ORDER.index(name) :])
    # The proof measures when it is asked to, inside the function that does.
    allowed = {"measure"} if name == "proof" else set()
    folder = PACKAGE / name
    files = sorted(folder.glob("*.py")) if folder.is_dir() else [PACKAGE / f"{name}.py"]
    for file in files:
        found = imported(file) - ({name} if folder.is_dir() else set())
        assert not found & (below | WITH_TORCH) - allowed


@pytest.mark.parametrize("name", TRAIN)
def test_a_module_of_training_imports_only_what_stands_before_it(name: str) -> None:
    found = set()
    for node in ast.walk(ast.parse((PACKAGE / "train" / f"{name}.py").read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "resgen.train":
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("resgen.train."):
            found.add(str(node.module).split(".")[2])
    assert found <= set(TRAIN[: TRAIN.index(name)])


def test_every_module_has_its_place_in_the_order() -> None:
    modules = {path.stem for path in PACKAGE.glob("*.py")} | {"layers"}
    assert modules - {"__init__", "__main__"} == {*ORDER, *WITH_TORCH}
    training = {path.stem for path in (PACKAGE / "train").glob("*.py")}
    assert training - {"__init__"} == set(TRAIN)


@pytest.mark.parametrize(
    ("names", "title"), [(ORDER, "## The import order"), (TRAIN, "## Training")]
)
def test_the_order_is_the_one_in_the_architecture_page(names: list[str], title: str) -> None:
    page = (PACKAGE.parent / "docs" / "architecture.md").read_text()
    section = page[page.index(title) :]
    places = [section.index(f"`{name}`") for name in names]
    assert places == sorted(places)


@pytest.mark.parametrize(
    "path", [*sorted(PACKAGE.glob("*.py")), *sorted(PACKAGE.glob("layers/*.py"))]
)
def test_no_file_of_the_left_half_imports_torch(path: Path) -> None:
    if path.stem in WITH_TORCH:
        return
    tops = [
        node
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    names = {alias.name for n in tops if isinstance(n, ast.Import) for alias in n.names}
    names |= {n.module or "" for n in tops if isinstance(n, ast.ImportFrom)}
    assert not {name for name in names if name.split(".")[0] in ("torch", "torchvision", "fvcore")}


def run(code: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], cwd=cwd, capture_output=True, text=True, check=False
    )


LOADED = """
import sys
sys.argv = {argv!r}
from resgen.cli import main
try:
    main()
except SystemExit as stop:
    code = stop.code or 0
else:
    code = 0
heavy = sorted({{name.split(".")[0] for name in sys.modules}} & {{"torch", "fvcore", "matplotlib"}})
print("HEAVY", heavy, "CODE", code)
"""


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--help"], 0),
        (["train", "--help"], 0),
        (["summarize", "typo.yaml"], 2),
        (["summarize", "nothing-of-this-name"], 2),
        (["summarize", "--no-measure", "cifar/resnet1202"], 0),
        (["summarize", "--no-measure", "--format", "json", "resnet50"], 0),
        (["build", "resnet50"], 0),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_nobody_waits_for_torch_who_does_not_need_it(
    tmp_path: Path, arguments: list[str], code: int
) -> None:
    (tmp_path / "typo.yaml").write_text("nmae: x\n")
    done = run(LOADED.format(argv=["resgen", *arguments]), tmp_path)
    assert done.stdout.splitlines()[-1] == f"HEAVY [] CODE {code}", done.stderr


def test_importing_the_package_does_not_import_torch(tmp_path: Path) -> None:
    done = run("import resgen, sys; print('torch' in sys.modules)", tmp_path)
    assert done.stdout.strip() == "False"


def test_the_public_names() -> None:
    assert resgen.__all__ == [
        "Cost",
        "Plan",
        "Spec",
        "build_module",
        "cost",
        "emit_source",
        "load_spec",
        "measure",
        "resolve",
    ]
