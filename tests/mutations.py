"""Hostile YAML, drawn: the shipped texts with values, keys, grammar or bytes spoiled."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from typing import Any

# What stands where a value should, as it is written.
SCALARS = (
    "0", "-1", "1", "2", "3", "7", "8", "0.5", "1.5", "-0.0", "1e5", "1e-320", "1e308", "1e400",
    "-1e400", ".inf", "-.inf", ".nan", "9" * 15, "9" * 20, "9" * 399, "9" * 5000, "0x10", "0o17",
    "0777", "1_000", "1:30", "2020-01-01", "~", "null", "true", "no", "''", "' '", "'5'", "'a\\nb'",
    '"a\\nb"', '"\\0"', '"\\x1b[31m"', '"\\u202e"', '"\\ud800"', '"\\x7f"', "\u00b2", "\u0663",
    "\u00e9", "\u65e5\u672c", "\u2028", "\ufeff", "a" * 300, "a b " * 9000, "!!int abc", "!!int 5",
    "!!float x", "!!str 5", "!!null x", "!!bool x", "!!binary x", "!!set {a, b}", "!!timestamp x",
    "!!python/object/apply:os.system [ls]", "! 3", "!<tag:yaml.org,2002:int> z", "!local x", "*x",
    "&x [*x]", "&a 3", "&a [&b [*a, *b]]", "[]", "{}", "[1, 2]", "[[1]]", "[1, 2, 3]", "{a: b}",
    "{kind: se}", "{kind: none}", "{kind: [a]}", "{kind: projection, rate: 0.5}", "{any: []}",
    "{any: [{from: 1}]}", "{from: 1}", "{to: 8}", "{any: x}", "30 epochs", "10 %", "0 steps",
    "9e9 epochs", f"{'9' * 400} epochs", "<<", "|", ">", "- a", "? a", "a: b: c", "%", "@", "`",
    "'", '"', "[", "{", "]", "}", ",", "#", "\t", "\0", "\x07", "\x1b[2J", "\x85",
)  # fmt: skip
KEYS = (
    "int", "list", "tuple", "str", "none", "literal", "Spec", "RegNetSpec", "function-before[x]",
    "a]", "1", "0", "1.5", "''", "' '", "[1]", "{a: b}", "<<", "null", "~", "true", "'a.b'",
    "'a[0]'", '"\\x1b"', '"\\n"', '"\\0"', "\u00e9", "\u202e", "k" * 1000, "*a", "&a b", "!!int c",
    "? d", "kind", "extends", "any", "from", "to", "step", "__class__", "self", "model_config",
)  # fmt: skip
CHARACTERS = "\0\x07\x1b\x7f\x85\u2028\u202e\ufeff\t\r\n '\"[]{}:,#&*!|>%@`?-~\u00b2\u00e9"


class Raw(str):
    """Text that is written as it is, whatever it does to the text around it."""


class Pairs(list[tuple[str, Any]]):
    """A mapping that may hold a key twice."""


def tree(value: Any) -> Any:
    """Plain values as Pairs, lists and leaves."""
    if isinstance(value, dict):
        return Pairs((key, tree(inner)) for key, inner in value.items())
    return [tree(inner) for inner in value] if isinstance(value, list) else value


def written(value: Any, indent: str = "") -> str:
    """A tree as YAML: the top in lines, what is inside in flow style."""
    if isinstance(value, Pairs) and not indent:
        return "".join(f"{key}: {written(inner, ' ')}\n" for key, inner in value)
    if isinstance(value, Pairs):
        return "{" + ", ".join(f"{key}: {written(v, ' ')}" for key, v in value) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(written(inner, " ") for inner in value) + "]"
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, Raw | int | float):
        return str(value)
    return value if re.fullmatch(r"[A-Za-z][\w ./%-]*", str(value)) else repr(value)


def as_bytes(root: Pairs) -> bytes:
    """A tree as a file's bytes."""
    return written(root).encode(errors="replace")


def _places(value: Any) -> list[tuple[Any, int]]:
    """(container, index) of everything inside a tree."""
    found = []
    if isinstance(value, list):
        for index, item in enumerate(value):
            found.append((value, index))
            found += _places(item[1] if isinstance(value, Pairs) else item)
    return found


def _get(container: Any, index: int) -> Any:
    return container[index][1] if isinstance(container, Pairs) else container[index]


def _put(container: Any, index: int, value: Any) -> None:
    if isinstance(container, Pairs):
        container[index] = (container[index][0], value)
    else:
        container[index] = value


class Mutator:
    """Spoils trees and texts; `words` are the keys and what may stand there."""

    def __init__(
        self, chance: random.Random, words: dict[str, tuple[Any, ...]], top: tuple[str, ...]
    ) -> None:
        self.chance, self.words, self.top = chance, words, top
        mild: list[tuple[int, Callable[[Pairs], None]]] = [
            (6, self._word), (4, self._near), (4, self._added), (1, self._gone),
        ]  # fmt: skip
        wild = [
            (8, self._scalar), (3, self._moved), (2, self._misspelt), (2, self._hostile_key),
            (2, self._hostile_added), (1, self._twice), (2, self._nested), (1, self._merge),
            (2, self._retyped), (2, self._word), (2, self._number), (1, self._gone),
        ]  # fmt: skip
        self._mild = [way for weight, way in mild for _ in range(weight)]
        self._wild = [way for weight, way in wild for _ in range(weight)]

    def spoiled(self, root: Pairs) -> bytes:
        """The bytes of a tree with one to four things changed, as a person might or wildly."""
        temper = self.chance.random()
        ways = self._mild if temper < 0.6 else self._wild
        for _ in range(self.chance.choice((1, 1, 2, 2, 3) if temper < 0.6 else (1, 1, 2, 4))):
            self.chance.choice(ways)(root)
        return self.broken(written(root)) if temper > 0.85 else as_bytes(root)

    def choose(self, root: Pairs) -> None:
        """A choice in place of a value, as a design space has them; a good one mostly."""
        container, index = self._place(root)
        old = _get(container, index)
        words = [word for each in self.words.values() for word in each]
        low, step = self.chance.choice((0, 1, 8, 64, 10**12)), self.chance.choice((1, 8, 0))
        if isinstance(old, int) and self.chance.random() < 0.7:
            scale = self.chance.choice(("linear", "log"))
            ends = f"from: {low}, to: {low + 8 * self.chance.choice((0, 1, 9, 10**3))}"
            choice = f"{{{ends}, step: {step or 8}, scale: {scale}}}"
        else:
            others = [old, *self.chance.choices((*words, *map(Raw, SCALARS)), k=2)]
            choice = f"{{any: [{', '.join(written(other, ' ') for other in others)}]}}"
        _put(container, index, Raw(choice))

    def _place(self, root: Pairs) -> tuple[Any, int]:
        places = _places(root)
        return self.chance.choice(places) if places else (root, self._grown(root))

    @staticmethod
    def _grown(root: Pairs) -> int:
        root.append(("name", "x"))
        return 0

    def _key_place(self, root: Pairs) -> tuple[Pairs, int]:
        places = [(c, i) for c, i in _places(root) if isinstance(c, Pairs)]
        return self.chance.choice(places) if places else (root, self._grown(root))

    def _scalar(self, root: Pairs) -> None:
        _put(*self._place(root), Raw(self.chance.choice(SCALARS)))

    def _word(self, root: Pairs) -> None:
        container, index = self._key_place(root)
        key = container[index][0]
        _put(container, index, self.chance.choice(self.words.get(key, (0, "x"))))

    def _near(self, root: Pairs) -> None:
        places = [(c, i) for c, i in _places(root) if type(_get(c, i)) is int]
        if places:
            place = self.chance.choice(places)
            old = _get(*place)
            ways = (old + 1, 2 * old, max(1, old // 2), 8 * old, self.chance.randint(1, 64))
            _put(*place, self.chance.choice(ways))

    def _number(self, root: Pairs) -> None:
        places = [(c, i) for c, i in _places(root) if isinstance(_get(c, i), int | float)]
        if places:
            place = self.chance.choice(places)
            old = _get(*place)
            ways = (
                old - 1, -old, old // 2, 10 * old, 10**6 * old, float(old), old / 3, 0, 1, 8 * old,
            )  # fmt: skip
            _put(*place, self.chance.choice(ways))

    def _moved(self, root: Pairs) -> None:
        one, other = self._place(root), self._place(root)
        # Written out, so that nothing comes to contain itself.
        a, b = Raw(written(_get(*one), " ")), Raw(written(_get(*other), " "))
        _put(*one, b)
        if self.chance.random() < 0.5 and other in _places(root):
            _put(*other, a)

    def _gone(self, root: Pairs) -> None:
        container, index = self._place(root)
        del container[index]

    def _misspelt(self, root: Pairs) -> None:
        pairs, index = self._key_place(root)
        key, value = pairs[index]
        at = self.chance.randrange(len(key) + 1)
        ways = (key[:at] + key[at + 1 :], key[:at] + "x" + key[at:], key.upper(), key + " ")
        pairs[index] = (self.chance.choice(ways), value)

    def _added(self, root: Pairs) -> None:
        pairs, keys = root, self.top
        if self.chance.random() < 0.2:
            pairs, keys = self._key_place(root)[0], tuple(self.words)
        key = self.chance.choice(keys)
        if key not in dict(pairs):
            pairs.append((key, self.chance.choice(self.words[key])))

    def _hostile_added(self, root: Pairs) -> None:
        pairs, index = self._key_place(root)
        key = self.chance.choice((*self.words, *KEYS))
        pairs.insert(index, (key, Raw(self.chance.choice(SCALARS))))

    def _hostile_key(self, root: Pairs) -> None:
        pairs, index = self._key_place(root)
        pairs[index] = (self.chance.choice(KEYS), pairs[index][1])

    def _twice(self, root: Pairs) -> None:
        pairs, index = self._key_place(root)
        pairs.append(pairs[index])

    def _nested(self, root: Pairs) -> None:
        place, depth = self._place(root), self.chance.choice((1, 2, 10, 40, 300, 3000))
        before, after = self.chance.choice((("[", "]"), ("{a: ", "}"), ("[[", "]"), ("{", "}}")))
        _put(*place, Raw(before * depth + written(_get(*place), " ") + after * depth))

    def _merge(self, root: Pairs) -> None:
        pairs, index = self._key_place(root)
        pairs[index] = (pairs[index][0], Raw("&m " + written(pairs[index][1], " ")))
        pairs.append(self.chance.choice((("<<", Raw("*m")), ("classes", Raw("*m")))))

    def _retyped(self, root: Pairs) -> None:
        container, index = self._place(root)
        old = written(_get(container, index), " ")
        ways = (f"'{old}'", f"[{old}]", f"{{kind: {old}}}", f"[{old}, {old}]", f"{old}x", f"-{old}")
        _put(container, index, Raw(self.chance.choice(ways)))

    def broken(self, text: str) -> bytes:
        """A text with its characters, lines, bytes or encoding spoiled."""
        way = self.chance.randrange(9)
        at, end = sorted(self.chance.randrange(len(text) + 1) for _ in range(2))
        lines = text.splitlines(keepends=True) or [""]
        if way == 0:
            text = text[:at] + self.chance.choice(CHARACTERS) + text[at:]
        elif way == 1:
            text = text[:at] + text[end:]
        elif way == 2:
            text = text[:at]
        elif way == 3:
            self.chance.shuffle(lines)
            text = "".join(lines)
        elif way == 4:
            text = "".join(lines + self.chance.choices(lines, k=self.chance.choice((1, 3, 300))))
        elif way == 5:
            coding = self.chance.choice(("utf-16", "utf-32", "latin-1", "utf-8-sig", "cp037"))
            return text.encode(coding, errors="replace")
        elif way == 6:
            text = text.replace("\n", self.chance.choice(("\r\n", "\r", "\n\n", "\x85", "\u2028")))
        data = bytearray(text.encode(errors="replace"))
        if way > 6 and data:
            for _ in range(self.chance.choice((1, 2, 8))):
                data[self.chance.randrange(len(data))] = self.chance.randrange(256)
        return bytes(data)
