"""The site has every page in its navigation, every network in its zoo, and builds unwarned."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from resgen.spec import shipped
from tests.sessions import ROOT

DOCS = ROOT / "docs"
sys.path.append(str(DOCS))
import pages  # noqa: E402
import zoo  # noqa: E402


class Loader(yaml.SafeLoader):
    """YAML as MkDocs reads it: `!ENV` is a value from the environment."""


Loader.add_constructor("!ENV", lambda loader, node: None)
CONFIG: dict[str, Any] = yaml.load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"), Loader)


def named(nav: Any) -> list[str]:
    """Every page of a navigation."""
    if isinstance(nav, str):
        return [nav]
    entries = nav.values() if isinstance(nav, dict) else nav
    return [page for each in entries for page in named(each)]


def test_the_navigation_has_every_page_once() -> None:
    written = {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")}
    made = {*pages.AT_ROOT.values(), "notebook.md", "zoo/index.md"}
    found = named(CONFIG["nav"])
    assert sorted(found) == sorted(written | made)


def test_the_families_stand_below_the_zoo() -> None:
    class Config:
        nav = yaml.load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"), Loader)["nav"]

    pages.on_config(Config)  # type: ignore[arg-type]
    folders = {name.partition("/")[0] for name in shipped.names("spec")}
    assert {f"zoo/{folder}.md" for folder in folders} <= set(named(Config.nav))


def test_every_family_of_shipped_networks_has_a_title_and_a_source() -> None:
    known = zoo.known()
    assert list(known) == sorted({name.partition("/")[0] for name in shipped.names("spec")})
    assert all(about["title"] and about["papers"] for about in known.values())


def test_a_family_s_page_has_each_network_with_cost_reference_spec_and_drawing() -> None:
    found = zoo.families()
    assert sum(map(len, found.values())) == len(shipped.names("spec"))
    text = zoo.page("wide", found["wide"], zoo.known()["wide"])
    assert "Zagoruyko, Komodakis 2016" in text
    for name, params in (("wide_resnet50_2", "68,883,240"), ("wide_resnet101_2", "126,886,696")):
        assert f"![{name}, from the image down](wide/{name}.svg)" in text
        assert f"{params} params" in text
        assert f"`torchvision:{name}`" in text
        assert f"    name: {name}\n" in text


def test_links_that_lead_nowhere_are_found(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "index.html").write_text(
        '<h1 id="top">x</h1><a href="a/#here">x</a><a href="a/#there">x</a><a href="b/">x</a>'
        '<a href="#top">x</a><a href="#bottom">x</a><img src="c.png"><a href="https://x.org/y">x</a>'
    )
    (tmp_path / "a" / "index.html").write_text('<p id="here"></p><a href="../index.html#top">x</a>')
    assert pages.broken(tmp_path) == [
        "index.html: a/#there: no such place on the page",
        "index.html: b/: no such file",
        "index.html: #bottom: no such place on the page",
        "index.html: c.png: no such file",
    ]


@pytest.mark.slow
def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    for module in ("mkdocs", "material", "mkdocstrings_handlers.python"):
        pytest.importorskip(module, reason="the site needs `pip install '.[docs]'`")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    built = {path.relative_to(tmp_path / "site").as_posix() for path in tmp_path.rglob("*.html")}
    assert {"index.html", "tutorial.html", "zoo/regnet.html"} <= built
    python = (tmp_path / "site" / "python.html").read_text(encoding="utf-8")
    import resgen

    for name in resgen.__all__:
        found = getattr(resgen, name)
        assert f'id="{found.__module__}.{found.__qualname__}"' in python, name


def test_the_workflow_publishes_what_make_docs_builds() -> None:
    text = (ROOT / ".github" / "workflows" / "docs.yml").read_text(encoding="utf-8")
    steps = yaml.safe_load(text)["jobs"]["build"]["steps"]
    assert any("make docs" in step.get("run", "") for step in steps)
    (uploaded,) = [step for step in steps if "upload-pages-artifact" in step.get("uses", "")]
    assert uploaded["with"]["path"] == CONFIG["site_dir"]


@pytest.mark.parametrize(
    "page",
    [*sorted(DOCS.rglob("*.md")), *(ROOT / file for file in pages.AT_ROOT)],
    ids=lambda page: page.stem,
)
def test_a_page_reads_the_same_in_markdown_of_either_kind(page: Path) -> None:
    """MkDocs' nests by four spaces and begins a list behind an empty line; GitHub's takes both."""
    before, code = "", False
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        fence, item = line.lstrip().startswith("```"), re.match(r" *([-*]|\d+\.) ", line)
        inside = re.match(r" {1,3}\S", line) and not code
        assert not (inside and (fence or item or not before.strip())), (
            f"{page.name}:{number}: {line}"
        )
        begins = item and not code and before.strip() and before[0] not in " -*0123456789"
        assert not begins, f"{page.name}:{number}: {line}"
        before, code = line, code != fence
