"""What a drawing's marks look like: literal colours, and what a browser may make of them.

Every element carries its own colours as attributes, which each program that reads SVG knows. A
style sheet, which only browsers ask for the reader's scheme, holds the dark ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

Theme = Literal["auto", "light", "dark"]

_STAGES = {
    "light": ("#eceff4 #a9b3c4", "#dcebfb #6ba3dc", "#ddf3e4 #5db37f", "#fdeccf #d9a044",
              "#fadcd9 #d9766c", "#e9dff7 #9d7fce"),
    "dark": ("#2a313d #5c687c", "#173352 #4b8ccc", "#17402a #46a06c", "#4a3714 #c48f38",
             "#4d2320 #cf6d63", "#362752 #9474cb"),
}  # fmt: skip
PALETTES: dict[str, dict[str, str]] = {
    theme: {
        **plain,
        **{f"fill{i}": pair.split()[0] for i, pair in enumerate(_STAGES[theme])},
        **{f"edge{i}": pair.split()[1] for i, pair in enumerate(_STAGES[theme])},
    }
    for theme, plain in (
        ("light", {"paper": "#ffffff", "ink": "#1c2330", "soft": "#5a6577", "line": "#4a5568"}),
        ("dark", {"paper": "#12161d", "ink": "#e8ecf3", "soft": "#9aa5b7", "line": "#b4bdcb"}),
    )
}
TINTS = len(_STAGES["light"]) - 1  # of stages; the first pair is the stem's and the head's


class Look(NamedTuple):
    """Colours by their names in a palette, and the other attributes as they are written."""

    fill: str = "none"
    stroke: str = ""
    rest: str = ""


_TEXT = {
    "": (12.5, 400, "ink"),
    "title": (19, 700, "ink"),
    "soft": (11.5, 400, "soft"),
    "small": (10.5, 400, "ink"),
    "stage": (12.5, 700, "ink"),
    "times": (15, 700, "ink"),
}
"""Kinds of text: size, weight, colour."""
SIZES = {kind: (size, weight > 400) for kind, (size, weight, _) in _TEXT.items()}

LOOKS: dict[str, Look] = {
    **{
        kind: Look(colour, "", f'font-size="{size}"' + f' font-weight="{weight}"' * (weight > 400))
        for kind, (size, weight, colour) in _TEXT.items()
    },
    "paper": Look("paper"),
    "line": Look("none", "line", 'stroke-width="1.4"'),
    "brace": Look("none", "soft", 'stroke-width="1.2"'),
    "identity": Look("none", "ink", 'stroke-width="1.7"'),
    "identity-padded": Look("none", "ink", 'stroke-width="1.7" stroke-dasharray="7 4"'),
    "projection": Look(
        "none", "ink", 'stroke-width="2.5" stroke-linecap="round" stroke-dasharray="0.1 4.6"'
    ),
    "sum": Look("paper", "ink", 'stroke-width="1.5"'),
    "tip": Look("line"),
    "bar": Look("paper", "line", 'stroke-width="1.2"'),
    "part": Look("paper", "soft", 'stroke-width="1.2" stroke-dasharray="4 3"'),
    "group": Look("none", "soft", 'stroke-width="1.2" stroke-dasharray="4 3"'),
    **{f"c{i}": Look(f"fill{i}", f"edge{i}", 'stroke-width="1.2"') for i in range(TINTS + 1)},
    **{f"s{i}": Look("paper", f"edge{i}", 'stroke-width="1.2"') for i in range(TINTS + 1)},
}
"""Kinds of marks."""


def attributes(kind: str, palette: Mapping[str, str]) -> str:
    """The attributes of an element of a kind, its class first."""
    look = LOOKS[kind]
    stroke = f' stroke="{palette[look.stroke]}"' if look.stroke else ""
    return (
        (f'class="{kind}" ' if kind else "")
        + f'fill="{palette.get(look.fill, look.fill)}"{stroke}'
        + f" {look.rest}".rstrip()
    )


def dark_rules(root: str) -> str:
    """The style sheet that turns what stands in an element of class `root` dark."""
    dark, rules = PALETTES["dark"], []
    for kind, look in LOOKS.items():
        where = f".{root} .{kind}" if kind else f".{root} text"
        found = [
            f"{name}:{dark[colour]}"
            for name, colour in (("fill", look.fill), ("stroke", look.stroke))
            if colour in dark
        ]
        rules.append(f"{where}{{{';'.join(found)}}}")
    return f"@media (prefers-color-scheme:dark){{{''.join(rules)}}}"
