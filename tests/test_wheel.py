"""The wheel and the sdist hold what they should, and what lies in them finds its neighbours."""

from __future__ import annotations

import email
import posixpath
import subprocess
import sys
import tarfile
import zipfile
from email.message import Message
from pathlib import Path

import pytest
import yaml
from PIL import Image
from sklearn.datasets import load_digits

from resgen.version import __version__
from tests.packages import run, without

ROOT = Path(__file__).parent.parent
LINE = "# yaml-language-server: $schema="


def built(target: str, folder: Path) -> Path:
    """The archive that hatchling makes, in the environment the tests run in."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return next(folder.iterdir())


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Every text file of the wheel by its path in site-packages."""
    with zipfile.ZipFile(built("wheel", tmp_path_factory.mktemp("wheel"))) as archive:
        return {name: archive.read(name).decode() for name in archive.namelist()}


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    with tarfile.open(built("sdist", tmp_path_factory.mktemp("sdist"))) as archive:
        return {name.partition("/")[2] for name in archive.getnames()}


def test_every_shipped_file_names_a_schema_that_is_in_the_wheel(wheel: dict[str, str]) -> None:
    shipped = [name for name in wheel if name.endswith(".yaml")]
    assert len(shipped) == len(list((ROOT / "specs").rglob("*.yaml")))
    for name in shipped:
        line = wheel[name].partition("\n")[0]
        assert line.startswith(LINE), name
        schema = posixpath.normpath(f"{posixpath.dirname(name)}/{line.removeprefix(LINE)}")
        assert schema in wheel, f"{name} names {schema}"


def test_the_wheel_is_the_package_alone(wheel: dict[str, str]) -> None:
    assert {name.partition("/")[0] for name in wheel} == {
        "resgen",
        f"resgen-{__version__}.dist-info",
    }
    assert "resgen/py.typed" in wheel
    assert not [name for name in wheel if name.startswith("resgen/resgen")]


@pytest.fixture
def said(wheel: dict[str, str]) -> Message:
    """The metadata as an index shows it."""
    return email.message_from_string(wheel[f"resgen-{__version__}.dist-info/METADATA"])


def pythons(said: Message) -> set[str]:
    found = (each.rpartition(" :: ")[2] for each in said.get_all("Classifier", []))
    return {each for each in found if each.startswith("3.")}


def test_the_metadata_says_whose_it_is_and_what_was_tried(said: Message) -> None:
    assert said["Author"] == "resgen contributors"
    assert said["License-Expression"] == "MIT"
    assert pythons(said) == {"3.11", "3.12"}


def test_the_sdist_has_what_a_contributor_needs(sdist: set[str]) -> None:
    needed = [
        "CITATION.cff", "CONTRIBUTING.md", ".pre-commit-config.yaml", "CHANGELOG.md", "LICENSE",
        "Makefile", ".ci/run", "specs/spec.schema.json", "tests/test_wheel.py",
        ".github/workflows/tests.yml", ".github/ISSUE_TEMPLATE/bug.yml",
    ]  # fmt: skip
    assert set(needed) <= sdist


def test_the_sdist_has_every_shipped_file(sdist: set[str]) -> None:
    files = {path.relative_to(ROOT).as_posix() for path in (ROOT / "specs").rglob("*.yaml")}
    assert files <= sdist


def test_the_citation_is_of_this_version() -> None:
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert cited["version"] == __version__
    assert cited["title"].startswith("resgen")
    assert cited["license"] == "MIT"
    assert cited["authors"] == [{"name": "resgen contributors"}]


def test_the_workflow_tries_what_the_metadata_says(said: Message) -> None:
    text = (ROOT / ".github" / "workflows" / "tests.yml").read_text(encoding="utf-8")
    rows = yaml.safe_load(text)["jobs"]["test"]["strategy"]["matrix"]["include"]
    assert pythons(said) == {row["python"] for row in rows if not row.get("untried")}
    needed = next(line for line in said.get_all("Requires-Dist", []) if line.startswith("torch>"))
    assert f"~={needed.removeprefix('torch>=')}.0" in {row["torch"] for row in rows}


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is installed here, but for resgen."""
    return without((), tmp_path_factory.mktemp("packages"))


def install(target: str, tmp_path: Path) -> Path:
    """A folder that the archive alone was installed into."""
    folder = tmp_path / "installed"
    archive = built(target, tmp_path / "dist")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    command += ["--no-build-isolation", "--target", str(folder), str(archive)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.parametrize("target", ["sdist", pytest.param("wheel", marks=pytest.mark.slow)])
def test_what_is_installed_is_used_from_an_empty_folder(
    target: str, packages: Path, tmp_path: Path
) -> None:
    installed = install(target, tmp_path)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()

    def said(*arguments: str) -> str:
        code = "from resgen.cli import main; main()"
        done = run(code, *arguments, cwd=elsewhere, paths=(installed, packages))
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert Path(said("schema", "--path").strip()).is_relative_to(installed)
    said("build", "cifar/resnet20", "-o", "resnet20.py", "-o", "mine.yaml")
    assert "269,722" in said("summarize", "mine.yaml", "--no-measure")
    if target == "wheel":
        said("train", "digits/resnet20", "--epochs", "2", "--out", "run", "--quiet")
        said("build", "run", "-o", "net.py", "-o", "net.safetensors", "-o", "net.pt2")
        digit = Image.fromarray((load_digits().images[0] * 15).astype("uint8"))
        digit.save(elsewhere / "zero.png")
        assert "zero.png" in said("predict", "run", "zero.png")
