"""An HTML page as a tree of elements, read with the standard library's parser."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "link", "br", "hr", "img", "input"}


@dataclass
class Element:
    """One element: its name, attributes, and what stands in it."""

    name: str
    attributes: dict[str, str | None] = field(default_factory=dict)
    inner: list[Element | str] = field(default_factory=list)

    def every(self, *names: str) -> Iterator[Element]:
        """The elements of these names inside, in order; without names all."""
        for each in self.inner:
            if isinstance(each, Element):
                if not names or each.name in names:
                    yield each
                yield from each.every(*names)

    @property
    def text(self) -> str:
        found = "".join(each if isinstance(each, str) else each.text for each in self.inner)
        return " ".join(found.split())

    @property
    def id(self) -> str | None:
        return self.attributes.get("id")

    def by_id(self, key: str) -> Element:
        (found,) = (each for each in self.every() if each.id == key)
        return found


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.root = Element("")
        self.open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, dict(attrs))
        assert len(element.attributes) == len(attrs), f"an attribute twice in {attrs}"
        self.open[-1].inner.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_endtag(self, tag: str) -> None:
        assert self.open[-1].name == tag, f"</{tag}> closes <{self.open[-1].name}>"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        self.open[-1].inner.append(data)


def read(page: str) -> Element:
    """The page; every element is closed by its own end tag, in order."""
    reader = _Reader()
    reader.feed(page)
    reader.close()
    assert reader.open == [reader.root]
    return reader.root


def table(page: Element, key: str) -> list[list[str]]:
    """The cells of a table, its heads first."""
    rows = page.by_id(key).every("tr")
    return [[cell.text for cell in row.every("th", "td")] for row in rows]
