"""The house keeps its shape: which rooms there are, in what order, and where torch is."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import resgen

PACKAGE = Path(resgen.__file__).parent

# A room may import from those above it and from none below; so may a file inside its room.
# This is the order of docs/architecture.md; `torch` marks the rooms that torch is loaded for.
ROOMS = {
    "": "version errors words files ink",
    "tensors": "archive dense rules checkpoint metadata formats",
    "spec": (
        "synonyms mistakes language sentences checked parts norms terms values rows attention "
        "grammar builtin definitions checks block settings collecting places reading assigning "
        "writing regnet readers rules meaning idle model path_schema shipped schema_files schema "
        "pages merging overrides loading resolved text"
    ),
    "plan.layers": (
        "base activations weighted norms weightless composite joins paths attention context"
    ),
    "plan": (
        "model numbers tables orders sliding pooling attentions makers space branches units paths "
        "attended blocks ends resolve folding forms"
    ),
    "cost": "books budget conventions tape norms attended autograd buffers traffic roofline memory",
    "source": (
        "parts norm_parts attentions writing forward shape words called classes naming network "
        "file module"
    ),
    "proof": "effort measure proof",
    "weights": (
        "keys shapes blocks attentions norms ends structure known identify loading reference "
        "ranges identity lifting channels widening deepening"
    ),
    "export": "compare tracing folding subject text weights programs deepening forms",
    "report": (
        "kinds boxes letters paint pen pieces forks units ranges compose sections layout rendering "
        "draw rows bars formulas explain look points labels panels plots roofline tables formats"
    ),
    "search": "catalog fit sample",
    "train.recipe": "keys defaults said parts groups optimizers average rate schema",
    "train.device": "place compiling engine machine meeting voice processes scaling recompute",
    "train.data": (
        "seeds images paths facts roster decoding levels listing keeping gathering cifar folder "
        "tables order draws cropping jpegs operations randomly preparing augment feed workers "
        "crossing filefeed gpufeed sources"
    ),
    "train.run": (
        "log signals lock settings early counting metrics differing figures loop network measured "
        "outlook job start setup fit folder claim seen evaluation freezing identity state trainer "
        "runs"
    ),
    "timing": "statistics memory environment peaks cases race bench forms figure",
    "compare": "spread record groups forms",
    "inference": "sources trained subject reading answers scores verdict forms figure predict",
    "analysis": "layers looking response gradient zeroing dropping differing forms figures",
    "experiment": (
        "model outcome schema checking networks runs commands planning worker running cluster "
        "judging measures style material plots charts figures forms conclusion"
    ),
    "page": "svg tables rendering sheet trained comparison experiment",
    "api": "notebook networks searches training",
    "cli": (
        "streams help completion options device proofs pictures seeds trainings analyze bench "
        "build deepen evaluate experiment fit list predict report sample schema summarize "
        "training train"
    ),
}
WITH_TORCH = {
    "tensors",
    "train.recipe",
    "train.device",
    "train.data",
    "train.run",
    "timing",
    "inference",
    "analysis",
}
# In rooms free of torch, the files that need it: loaded inside the functions that ask for them.
NEED_TORCH = {
    "source.module", "source.parts", "source.norm_parts", "source.attentions", "proof.measure",
    "weights.ranges", "weights.identity", "weights.lifting", "weights.channels",
    "weights.widening", "weights.deepening",
    "export.tracing", "export.folding", "export.weights", "export.programs",
}  # fmt: skip
ORDER = [f"{room}.{file}".lstrip(".") for room, files in ROOMS.items() for file in files.split()]


def module_of(path: Path) -> str:
    """plan.layers.base; a room's own __init__ is plan.layers."""
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")


FILES = {module_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}
FREE = [m for m in FILES if m.rpartition(".")[0] in ROOMS.keys() - WITH_TORCH and m in ORDER]


def imported(path: Path) -> set[str]:
    """The modules of resgen that a file imports, at the top or inside functions."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names: list[str] = []
        if isinstance(node, ast.ImportFrom) and node.level:
            raise AssertionError(f"{path}: imports are written out, not relative")
        if isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        for name in names:
            head, _, module = name.partition(".")
            if head == "resgen":
                found.add(module if module in FILES else module.rpartition(".")[0])
    return found


def room_of(module: str) -> str:
    """The room a file is in; a room, by its own name, is in itself."""
    return module if module in ROOMS else module.rpartition(".")[0]


def place(module: str) -> int:
    """Where a module stands; a room imported by its name stands where its last file does."""
    if module in ORDER:
        return ORDER.index(module)
    inside = [i for i, name in enumerate(ORDER) if not module or name.startswith(f"{module}.")]
    return max(inside)


def upward(module: str) -> set[str]:
    """What a file imports that does not stand before it."""
    # The package's own door stands after all rooms; only the command line is beyond it.
    found = imported(FILES[module]) - ({"", "__init__"} if module.startswith("cli.") else set())
    return {name for name in found if place(name) >= place(module)}


@pytest.mark.parametrize("module", ORDER)
def test_a_file_imports_only_what_stands_before_it(module: str) -> None:
    assert not upward(module)


@pytest.mark.parametrize("room", [room for room in ROOMS if room and room != "cli"])
def test_the_door_of_a_room_gives_what_is_inside_it(room: str) -> None:
    text = FILES[room].read_text()
    assert ast.get_docstring(ast.parse(text)), f"{room} does not say what it is for"
    assert {room_of(name) for name in imported(FILES[room])} <= {
        room,
        *(inner for inner in ROOMS if inner.startswith(f"{room}.")),
    }


def test_an_import_upwards_would_be_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for text in (
        "from resgen.cost import cost",
        "def f():\n    from resgen.report import draw",
        "from resgen import cost",
        "from resgen.plan import resolve",
    ):
        file = tmp_path / "model.py"
        file.write_text(text)
        monkeypatch.setitem(FILES, "plan.model", file)
        assert upward("plan.model")


def test_every_file_has_its_place_in_a_room() -> None:
    assert FILES.keys() - ROOMS.keys() - {"__init__", "__main__", "train"} == set(ORDER)


def test_the_rooms_are_those_of_the_architecture_page() -> None:
    page = (PACKAGE.parent / "docs" / "architecture.md").read_text()
    section = page[page.index("## The rooms") :]
    rooms = [f"`{room.replace('.', '/')}/`" for room in ROOMS if room and room != "plan.layers"]
    places = [section.index(room) for room in rooms]
    assert places == sorted(places)


def test_the_tests_lie_as_the_rooms_do() -> None:
    tests = Path(__file__).parent
    folders = {".".join(path.parent.relative_to(tests).parts) for path in tests.rglob("test_*.py")}
    assert folders <= ROOMS.keys()


@pytest.mark.parametrize("module", FREE)
def test_no_file_of_a_room_free_of_torch_imports_it(module: str) -> None:
    tops = [
        node
        for node in ast.parse(FILES[module].read_text()).body
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    names = {alias.name for n in tops if isinstance(n, ast.Import) for alias in n.names}
    names |= {n.module or "" for n in tops if isinstance(n, ast.ImportFrom)}
    heavy = {name for name in names if name.split(".")[0] in ("torch", "torchvision", "fvcore")}
    assert bool(heavy) == (module in NEED_TORCH)


# What reads or writes plain YAML and JSON values, which have no type of their own.
PLAIN_VALUES = {
    f"spec.{name}"
    for name in (
        "mistakes",
        "sentences",
        "collecting",
        "checked",
        "language",
        "reading",
        "assigning",
        "writing",
        "overrides",
        "merging",
        "loading",
        "merging",
        "resolved",
        "text",
        "schema",
        "path_schema",
        "pages",
    )
}


@pytest.mark.parametrize(
    "module", [m for m in ORDER if m.startswith(("spec.", "plan.")) and m not in PLAIN_VALUES]
)
def test_no_signature_of_spec_and_plan_says_any(module: str) -> None:
    for node in ast.walk(ast.parse(FILES[module].read_text())):
        if isinstance(node, ast.FunctionDef):
            given = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            said = [arg.annotation for arg in given] + [node.returns]
            names = {n.id for each in said if each for n in ast.walk(each) if hasattr(n, "id")}
            assert "Any" not in names, f"{module}.{node.name}"


def test_the_text_of_the_parts_is_read_and_not_imported() -> None:
    parts = {"source.parts", "source.norm_parts", "source.attentions"}
    others = FILES.keys() - parts
    assert not [module for module in others if parts & imported(FILES[module])]


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
        (["bench", "--help"], 0),
        (["schema", "recipe"], 0),
        (["bench", "typo.yaml"], 2),
        (["summarize", "typo.yaml"], 2),
        (["summarize", "nothing-of-this-name"], 2),
        (["summarize", "--no-measure", "cifar/resnet1202"], 0),
        (["summarize", "--no-measure", "--format", "json", "resnet50"], 0),
        (["build", "resnet50"], 0),
        (["build", "resnet50", "-o", "a.py", "-o", "a.yaml", "-o", "a.json"], 0),
        (["build", "resnet50", "-o", "a.h5"], 2),
        (["build", "resnet50", "-o", "a/b.onnx"], 2),
        (["list"], 0),
        (["list", "recipes"], 0),
        (["list", "experiments"], 0),
        (["list", "data"], 0),
        (["list", "--max-macs", "100M", "--sort", "params"], 0),
        (["train", "digits/resnet20", "--plan"], 0),
        # What cannot be is refused before the seconds that loading takes.
        (["evaluate", "nothing", "--figure", "a.png"], 2),
        (["evaluate", "run", "--figure", "there.png"], 2),
        (["evaluate", "run", "--figure", "no/a.png"], 2),
        (["analyze", "run", "-o", "there.png"], 2),
        (["analyze", "nothing"], 2),
        (["predict", "nothing", "a.png"], 2),
        (["bench", "resnet18", "--plot", "there.png"], 2),
        (["bench", "resnet18", "--plot", "a.doc"], 2),
        (["deepen", "nothing", "digits/resnet56", "-o", "a.safetensors"], 2),
        (["deepen", "run", "digits/resnet56", "-o", "a.pth"], 2),
        (["summarize", "resnet18", "--draw", "there.png"], 2),
        (["report", "resnet18", "-o", "no/a.html"], 2),
        (["train", "digits/resnet20", "--out", "run"], 2),
        (["train", "digits/resnet20", "--out", "new", "--resume"], 2),
        (["train", "digits/resnet20", "--data", "folder:nowhere"], 2),
        (["train", "digits/resnet20", "--init-from", "nothing.pth"], 2),
        (["train", "digits/resnet20", "--recipe", "nothing"], 2),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_nobody_waits_for_torch_who_does_not_need_it(
    tmp_path: Path, arguments: list[str], code: int
) -> None:
    (tmp_path / "typo.yaml").write_text("nmae: x\n")
    (tmp_path / "there.png").write_text("mine")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "spec.yaml").write_text("mine")
    done = run(LOADED.format(argv=["resgen", *arguments]), tmp_path)
    assert done.stdout.splitlines()[-1] == f"HEAVY [] CODE {code}", done.stderr


def test_importing_the_package_does_not_import_torch(tmp_path: Path) -> None:
    done = run("import resgen, sys; print('torch' in sys.modules)", tmp_path)
    assert done.stdout.strip() == "False"


def test_the_public_names() -> None:
    assert resgen.__all__ == [
        "Candidate",
        "Check",
        "CheckFailed",
        "Cost",
        "Diverged",
        "Drawing",
        "Fit",
        "Interrupted",
        "LoadReport",
        "Measurement",
        "Plan",
        "Proof",
        "ResgenError",
        "Result",
        "Spec",
        "UserError",
        "build_module",
        "cost",
        "draw",
        "emit_source",
        "fit",
        "load_spec",
        "load_weights",
        "measure",
        "prove",
        "resolve",
        "sample",
        "train",
    ]
