"""An SVG document -> an element of a page: its ids and rules its own, its colours the page's.

Figures come from files, so only what draws is taken: no scripts, no handlers, nothing that loads.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from colorsys import rgb_to_hls
from dataclasses import dataclass
from typing import Literal
from xml.etree import ElementTree
from xml.sax.saxutils import escape, quoteattr

from markupsafe import Markup

_SVG, _LINK = "{http://www.w3.org/2000/svg}", "{http://www.w3.org/1999/xlink}href"
DRAWING = frozenset(
    [
        *("g", "defs", "symbol", "use", "marker", "clipPath", "mask", "pattern", "style", "image"),
        *("path", "rect", "circle", "ellipse", "line", "polyline", "polygon", "text", "tspan"),
        *("linearGradient", "radialGradient", "stop"),
    ]
)


Kind = Literal["drawn", "plot"]
"""A drawing is as large as it is; a plot is as wide as there is room."""


@dataclass(frozen=True)
class Picture:
    """One SVG in a page: its element, and how wide it is by itself, in pixels."""

    markup: Markup
    width: float


def picture(
    document: str, key: str, *, title: str, description: str = "", kind: Kind = "plot"
) -> Picture | None:
    """The document as an element under ids that begin with `key`; None of what is no SVG.

    One that has rules for a dark scheme keeps its colours. In any other a grey is as far between
    the page's paper and its ink as it was between white and black, and coloured text is drawn
    towards the ink: legible in either scheme, and in print.
    """
    try:
        root = ElementTree.fromstring(document)
    except (ElementTree.ParseError, ValueError):
        return None
    if root.tag != f"{_SVG}svg":
        return None
    box = root.get("viewBox") or f"0 0 {_pixels(root.get('width'))} {_pixels(root.get('height'))}"
    width = _pixels(root.get("width")) or float(box.split()[2])
    inside = _Inside(key, root)
    named = f"{key}-title" + (f" {key}-desc" if description else "")
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" id="{key}" class="{kind}" role="img" '
        f'aria-labelledby="{named}" viewBox={quoteattr(box)} style="--width: {width:g}px">',
        f'<title id="{key}-title">{escape(title)}</title>',
        *([f'<desc id="{key}-desc">{escape(description)}</desc>'] if description else []),
        *(inside.written(each) for each in root),
        "</svg>",
    ]
    return Picture(Markup("".join(lines)), width)


def _pixels(length: str | None) -> float:
    """`504pt` -> 672."""
    found = re.fullmatch(r"\s*([\d.]+)\s*(pt|px|)\s*", length or "")
    return 0.0 if found is None else float(found[1]) * (4 / 3 if found[2] == "pt" else 1)


class _Inside:
    """What stands in one SVG: the ids it defines, and whether it knows a dark scheme."""

    def __init__(self, key: str, root: ElementTree.Element) -> None:
        self.key = key
        self.ids = {each.get("id", "") for each in root.iter()}
        self.classes = (root.get("class") or "").split()
        styles = [each.text or "" for each in root.iter(f"{_SVG}style")]
        self.dark = any("prefers-color-scheme" in each for each in styles)

    def written(self, element: ElementTree.Element) -> str:
        """The element as text, without what is not for drawing."""
        name = str(element.tag).removeprefix(_SVG)
        if name not in DRAWING:
            return ""
        if name == "style":
            rules = scoped(element.text or "", f"#{self.key}", self.classes)
            return f"<style>{escape(self._references(rules))}</style>"
        words = name in ("text", "tspan")
        said = "".join(f" {k}={quoteattr(v)}" for k, v in self._attributes(element, words).items())
        inner = escape(element.text or "") if words else ""
        for child in element:
            inner += self.written(child) + (escape(child.tail or "") if words else "")
        return f"<{name}{said}>{inner}</{name}>"

    def _attributes(self, element: ElementTree.Element, words: bool) -> dict[str, str]:
        found = {}
        for name, value in element.attrib.items():
            if name == "id":
                found["id"] = f"{self.key}-{value}"
            elif name in ("href", _LINK):
                if value.startswith("#"):
                    found["href"] = f"#{self.key}-{value[1:]}"
                elif re.match(r"data:image/(png|jpeg);base64,", value):
                    found["href"] = value
            elif not name.startswith(("{", "on")) and _loads_nothing(value):
                text = self._references(value)
                found[name] = text if self.dark else _toned(text, words=words)
        return found

    def _references(self, text: str) -> str:
        """`url(#tip)` with the id that the page has it by."""
        return re.sub(
            r"#([\w.-]+)",
            lambda m: f"#{self.key}-{m[1]}" if m[1] in self.ids else m[0],
            text,
        )


def _loads_nothing(text: str) -> bool:
    return not re.search(r"@import|url\(\s*['\"]?(?!['\"]?#)|expression\(|javascript:", text, re.I)


def scoped(rules: str, scope: str, classes: Sequence[str] = ()) -> str:
    """CSS whose rules hold inside `scope` alone; those of a dark scheme on screens alone.

    classes: what the document's root is called by, beside `svg` and `:root`.
    """
    found = []
    root = "|".join(["svg(?::root)?", ":root", *(re.escape(f".{each}") for each in classes)])
    for head, body in re.findall(r"([^{}]+)\{((?:[^{}]|\{[^{}]*\})*)\}", rules):
        head = head.strip()
        if head.startswith("@media"):
            media = head.replace("(prefers-color-scheme", "screen and (prefers-color-scheme")
            found.append(f"{media} {{ {scoped(body, scope, classes)} }}")
        elif not head.startswith("@") and _loads_nothing(body):
            heads = (re.sub(rf"^(?:{root})(?![\w-])", "", each.strip()) for each in head.split(","))
            found.append(f"{', '.join(f'{scope} {each}'.strip() for each in heads)} {{{body}}}")
    return "\n".join(found)


# ---- colours

_COLOUR = re.compile(r"#[0-9a-fA-F]{6}\b|#[0-9a-fA-F]{3}\b|(?<![\w#-])(?:black|white)(?![\w-])")
GREY = 0.35
"""The saturation up to which a colour is a grey."""


def _toned(text: str, *, words: bool) -> str:
    """Colours as the page has them: `fill: #000000` -> `fill: var(--ink)`."""
    return _COLOUR.sub(lambda match: tone(match[0], words=words), text)


def tone(colour: str, *, words: bool) -> str:
    """One colour, of words or of lines and areas, in terms of the page's paper and ink."""
    plain = {"black": "#000000", "white": "#ffffff"}.get(colour, colour)
    if len(plain) == 4:
        plain = "#" + "".join(2 * digit for digit in plain[1:])
    red, green, blue = (int(plain[at : at + 2], 16) / 255 for at in (1, 3, 5))
    _, light, saturation = rgb_to_hls(red, green, blue)
    if saturation > GREY:
        return f"color-mix(in srgb, {plain} 40%, var(--ink))" if words else plain
    share = round(100 * (1 - light))
    if words and share > 20:  # white letters on a shade stay white
        share = max(share, 75)
    if share >= 82:
        return "var(--ink)"
    return (
        "var(--paper)" if share <= 2 else f"color-mix(in srgb, var(--ink) {share}%, var(--paper))"
    )
