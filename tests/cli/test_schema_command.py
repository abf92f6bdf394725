"""`resgen schema`: the committed schemas and where they lie; the lines that name them hold."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from resgen.cli import app
from resgen.experiment import schema as experiments
from resgen.spec import schema as specs
from resgen.spec import shipped
from resgen.train.recipe import schema as recipes

MODELS = {"spec": specs, "recipe": recipes, "experiment": experiments}
LINE = "# yaml-language-server: $schema="
TOP = shipped.root().parent


def printed(*words: str) -> str:
    result = CliRunner().invoke(app, ["schema", *words])
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.mark.parametrize("kind", shipped.KINDS)
def test_it_prints_the_schema_of_the_model(kind: str) -> None:
    assert json.loads(printed(kind)) == json.loads(MODELS[kind].schema_text())


def test_a_spec_is_meant_where_nothing_is_said() -> None:
    assert printed() == printed("spec")


@pytest.mark.parametrize("kind", shipped.KINDS)
def test_the_path_is_of_the_file_that_is_printed(kind: str) -> None:
    path = Path(printed(kind, "--path").removesuffix("\n"))
    assert path.is_absolute()
    assert path.read_text(encoding="utf-8") == printed(kind)


def test_another_kind_is_refused_with_those_there_are() -> None:
    result = CliRunner().invoke(app, ["schema", "recipes"])
    assert result.exit_code == 2
    assert all(kind in result.output for kind in shipped.KINDS)


def names_its_schema(path: str, text: str) -> str:
    """The file that the first line of a YAML file names, both as paths from one place."""
    first = text.partition("\n")[0]
    assert first.startswith(LINE), path
    top = Path("/top")
    return str((top / path).parent.joinpath(first.removeprefix(LINE)).resolve().relative_to(top))


def kind_of(path: Path) -> str:
    folder = path.parent.name
    return next((kind for kind, place in shipped.KINDS.items() if place == folder), "spec")


# In a checkout specs lie beside the package, in a wheel inside it.
@pytest.mark.parametrize("layout", ["specs", "site-packages/resgen/specs"])
def test_a_shipped_file_names_its_schema_in_either_layout(layout: str) -> None:
    for path in sorted(shipped.root().rglob("*.yaml")):
        place = f"{layout}/{path.relative_to(shipped.root()).as_posix()}"
        named = names_its_schema(place, path.read_text(encoding="utf-8"))
        assert named == f"{layout}/{kind_of(path)}.schema.json"
        assert (TOP / "specs" / Path(named).name).is_file()


def test_a_line_that_holds_in_a_checkout_alone_would_be_found() -> None:
    text = f"{LINE}../../resgen/spec.schema.json\n"
    assert names_its_schema("specs/wide/x.yaml", text) == "resgen/spec.schema.json"
    inside = "site-packages/resgen/specs/wide/x.yaml"
    assert names_its_schema(inside, text) == "site-packages/resgen/resgen/spec.schema.json"


def test_what_editors_read_goes_without_torch(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['torch'] = None; sys.argv = ['resgen', 'schema', 'recipe']\n"
        "from resgen.cli import main; main()"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == printed("recipe")
