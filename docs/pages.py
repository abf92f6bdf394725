"""The site's pages that are no files of this folder, and a look at every link of what was built.

MkDocs calls these functions (`hooks` in mkdocs.yml).
"""

from __future__ import annotations

import json
import logging
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import zoo

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files

ROOT = Path(__file__).parent.parent
AT_ROOT = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
}
LOG = logging.getLogger("mkdocs.hooks.pages")


def on_config(config: MkDocsConfig) -> None:
    """The families of the zoo stand in the navigation under it."""
    titles = {family: about["title"] for family, about in zoo.known().items()}
    pages = [{title: f"zoo/{family}.md"} for family, title in titles.items()]
    for entry in config.nav or []:
        if "The zoo" in entry:
            entry["The zoo"] += sorted(pages, key=lambda page: next(iter(page)).lower())


def on_files(files: Files, config: MkDocsConfig) -> None:
    """Adds the README, the notebook and the zoo."""
    from mkdocs.structure.files import File

    made = {page: _at_root(ROOT / file) for file, page in AT_ROOT.items()}
    made["CITATION.cff"] = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    made["notebook.md"] = as_markdown(config.docs_dir)
    for path, content in (*made.items(), *zoo.files()):
        files.append(File.generated(config, path, content=content))


def _at_root(path: Path) -> str:
    """A file of the root as a page: its links are those of this folder."""
    text = path.read_text(encoding="utf-8")
    for file, page in AT_ROOT.items():
        text = text.replace(f"]({file}", f"]({page}")
    return re.sub(r'(\]\(|src="|srcset=")docs/', r"\1", text)


def as_markdown(folder: str) -> str:
    """The notebook as a page: its cells, and below each what it shows."""
    notebook: dict[str, Any] = json.loads((Path(folder) / "notebook.ipynb").read_text("utf-8"))
    parts = []
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(source)
            continue
        parts.append(f"```python\n{source}\n```")
        parts += [_shown(output) for output in cell["outputs"]]
    first, *others = parts
    where = "[The notebook](notebook.ipynb) as a file, for Jupyter."
    return "\n\n".join([first, where, *others]) + "\n"


def _shown(output: dict[str, Any]) -> str:
    data = output.get("data", {"text/plain": output.get("text", [])})
    for kind in ("text/html", "image/svg+xml"):
        if kind in data:
            # On one line, as Markdown would begin to read at an empty one.
            text = "".join(data[kind]).replace("\n", "")
            return f'<div class="shown">{text}</div>'
    return "```text\n" + "".join(data["text/plain"]).rstrip("\n") + "\n```"


# --- links ---------------------------------------------------------------------------


class Links(HTMLParser):
    """What a page has by its id, and what it points to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.targets: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Also of images and style sheets, which MkDocs does not look at in HTML."""
        for name, value in attrs:
            if name in ("id", "name") and value:
                self.ids.add(value)
            elif name in ("href", "src") and value:
                self.targets.append(value)
            elif name == "srcset" and value:
                self.targets += [each.split()[0] for each in value.split(",")]


def broken(site: Path) -> list[str]:
    """Every link of a built site that leads to no file of it, or to no id of a page."""
    pages = {path: Links(path.read_text(encoding="utf-8")) for path in site.rglob("*.html")}
    found = []
    for path, page in pages.items():
        if path.name == "404.html":  # served from anywhere, its links begin at the root
            continue
        for target in page.targets:
            parts = urlsplit(target)
            if parts.scheme or parts.netloc:
                continue
            place = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            place = place / "index.html" if place.is_dir() else place
            known = pages.get(place)
            if not place.is_file():
                found.append(f"{path.relative_to(site)}: {target}: no such file")
            elif parts.fragment and known and unquote(parts.fragment) not in known.ids:
                found.append(f"{path.relative_to(site)}: {target}: no such place on the page")
    return found


def on_post_build(config: MkDocsConfig) -> None:
    """A warning for each broken link, which `--strict` does not let pass."""
    for line in broken(Path(config.site_dir).resolve()):
        LOG.warning(line)
