"""What the layers of one module are called: conv1, bn1, relu, maxpool, and what rows say."""

from __future__ import annotations

import keyword
from collections import Counter
from collections.abc import Iterable
from itertools import groupby

from resgen.plan.layers import Mismatch
from resgen.plan.numbers import Step
from resgen.spec.grammar import Row
from resgen.spec.settings import LayerSettings
from resgen.spec.values import Path_

_CALLED = {
    "max-pool": "maxpool", "avg-pool": "avgpool", "global-pool": "avgpool", "linear": "fc",
    "space-to-depth": "unshuffle", "squeeze-excitation": "se", "efficient-attention": "eca",
}  # fmt: skip
RESERVED = frozenset(
    [
        "forward",
        "train",
        "eval",
        "type",
        "half",
        "float",
        "double",
        "bfloat16",
        "apply",
        "children",
        "modules",
        "parameters",
        "buffers",
        "cpu",
        "cuda",
        "xpu",
        "ipu",
        "mtia",
        "to",
        "share_memory",
        "compile",
        "add_module",
        "named_children",
        "x",
        "y",
        "training",
        "extra_repr",
        "state_dict",
        "forward_features",
    ]
)
"""Names that a module's attribute cannot have."""


class Space:
    """The names of one module's layers; `prefix` goes before conv, norm and activation."""

    def __init__(
        self, settings: LayerSettings, prefix: str = "", taken: Iterable[str] = ()
    ) -> None:
        self.settings, self.prefix = settings, prefix
        self.counts: Counter[str] = Counter()
        self.taken = set(taken)
        self.acts: dict[str, list[bool]] = {}
        self._said = ""

    def name(self, word: str, *, numbered: bool = False) -> str:
        """The next free name of a kind: conv1, conv2; maxpool, maxpool2."""
        while True:
            self.counts[word] += 1
            count = self.counts[word]
            apart = "_" if word[-1].isdigit() else ""
            found = f"{word}{apart}{count}" if numbered or count > 1 else word
            if found not in self.taken:
                self.taken.add(found)
                return found

    def of(self, row: Row, place: Path_) -> str:
        """What the layer of a row is called; neighbours may have one name, and are a sequence."""
        said = str(row.get("name") or "")
        before, self._said = self._said, said
        if said:
            if said in RESERVED or keyword.iskeyword(said):
                raise Mismatch(f"{said} cannot name a layer: modules have it", (*place, "name"))
            if said in self.taken and said != before:
                raise Mismatch(f"the name {said} is taken", (*place, "name"))
            self.taken.add(said)
            return said
        if row.word == "act":
            return self._act(str(row.value or self.settings.activation))
        if row.word in ("conv", "norm"):
            kind = row.value or self.settings.norm.kind
            word = row.word if row.word == "conv" else _norm(str(kind))
            return self.name(f"{self.prefix}{word}", numbered=not self.prefix)
        return self.name(_CALLED.get(row.word, attribute(row.word)))

    def ahead(self, row: Row, word: str) -> str:
        """What a layer right ahead of a row's is called: in a sequence, it is a member."""
        said = str(row.get("name") or "")
        return said if said and said == self._said else self.name(word)

    def _act(self, kind: str) -> str:
        """One module serves every place of one activation."""
        own = self.settings.activation
        name = ("relu" if own == "relu" else "act") if kind == own else attribute(kind)
        name = f"{self.prefix}{name}"
        if name not in self.acts and name in self.taken:
            return self.name(f"{name}_")
        self.taken.add(name)
        return name


def _norm(kind: str) -> str:
    return "bn" if kind in ("batch", "group", "none") else "norm"


def attribute(word: str) -> str:
    """A word as the name of a module's attribute."""
    name = word.replace("-", "_")
    return f"{name}_" if name in RESERVED or keyword.iskeyword(name) else name


def numbered(steps: list[Step], shared: Iterable[str] = ()) -> list[Step]:
    """Neighbours of one name as its first, second, ...: one sequence. `shared`: one module."""
    found: list[Step] = []
    for name, group in groupby(steps, key=lambda step: step[0]):
        members = list(group)
        if name and "." not in name and len(members) > 1 and name not in shared:
            members = [(f"{name}.{i}", make) for i, (_, make) in enumerate(members)]
        found += members
    return found
