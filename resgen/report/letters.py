"""How wide text is, in a font at least as wide as any that a drawing may be shown in.

Widths are DejaVu Sans's advances in thousandths of the font's size. It is what most systems fall
back to where they have none of the fonts a drawing asks for, and wider than those: what fits in it
fits in Helvetica, Arial and Liberation Sans.
"""

from __future__ import annotations

import math

FAMILY = "Helvetica, Arial, 'Liberation Sans', 'Nimbus Sans', 'DejaVu Sans', sans-serif"

_REGULAR = {
    275: "'", 278: "ijl", 295: "IJ", 318: " ,.\u00b7", 337: "/:;\\|", 352: "f", 361: "-",
    390: "()[]", 392: "t", 401: "!", 411: "r", 460: '"', 500: "*_`\u2013", 521: "s", 525: "z",
    531: "?", 550: "c", 557: "L", 575: "F", 579: "k", 592: "vxy", 603: "P", 611: "TY", 612: "o",
    613: "a", 615: "e", 632: "E", 634: "hnu", 635: "Sbdgpq", 636: "$0123456789{}", 656: "K",
    684: "AV", 685: "XZ", 686: "B", 695: "R", 698: "C", 732: "U", 748: "N", 752: "H", 770: "D",
    775: "G", 780: "&", 787: "OQ", 818: "w", 838: "#+<=>^~\u00d7\u2192", 863: "M", 950: "%",
    974: "m", 989: "W", 1000: "@",
}  # fmt: skip
_BOLD = {
    306: "'", 343: "ijl", 348: " ", 365: "/\\|", 372: "IJ", 380: ",.\u00b7", 400: ":;", 415: "-",
    435: "f", 456: "!", 457: "()[]", 478: "t", 493: "r", 500: "_`\u2013", 521: '"', 523: "*",
    580: "?", 582: "z", 593: "c", 595: "s", 637: "L", 645: "x", 652: "vy", 665: "k", 675: "a",
    678: "e", 682: "T", 683: "EF", 687: "o", 696: "$0123456789", 712: "hnu{}", 716: "bdgpq",
    720: "S", 724: "Y", 725: "Z", 733: "P", 734: "C", 762: "B", 770: "R", 771: "X", 774: "AV",
    775: "K", 812: "U", 821: "G", 830: "D", 837: "HN", 838: "#+<=>^~\u00d7\u2192", 850: "OQ",
    872: "&", 924: "w", 995: "M", 1000: "@", 1002: "%", 1042: "m", 1103: "W",
}  # fmt: skip
_WIDTHS = [
    {letter: width for width, letters in table.items() for letter in letters}
    for table in (_REGULAR, _BOLD)
]
_WIDEST = 1103  # of any other sign


def text_width(text: str, size: float = 12.5, *, bold: bool = False) -> int:
    """Pixels that text takes at the most, kerning aside."""
    widths = _WIDTHS[bold]
    return math.ceil(sum(widths.get(letter, _WIDEST) for letter in text) * size / 1000)


def folded(text: str, width: int, size: float) -> list[str]:
    """Text in lines of at most a width, broken behind commas and before arrows."""
    lines: list[str] = []
    for part in text.replace(", ", ",\n").replace(" \u2192", "\n\u2192").split("\n"):
        joined = f"{lines[-1]} {part}" if lines else part
        if lines and text_width(joined, size) <= width:
            lines[-1] = joined
        else:
            lines.append(part)
    return lines
