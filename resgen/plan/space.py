"""What the layers of one module are called: conv1, bn1, relu, maxpool, and what rows say."""

from __future__ import annotations

import keyword
from collections import Counter
from collections.abc import Iterable
from itertools import groupby

from resgen.plan.layers import Mismatch
from resgen.plan.makers import validated
from resgen.plan.numbers import Step
from resgen.plan.tables import LEARNED
from resgen.spec.grammar import Row
from resgen.spec.norms import ACTS, Activation
from resgen.spec.settings import LayerSettings
from resgen.spec.values import Path_

_CALLED = {
    "max-pool": "maxpool", "avg-pool": "avgpool", "global-pool": "avgpool", "linear": "fc",
    "space-to-depth": "unshuffle", "squeeze-excitation": "se", "efficient-attention": "eca",
    "attention-pool": "attnpool",
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
        self._serves: dict[str, Activation | str] = {}
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
            return self._act(chosen(row, self.settings, place))
        if row.word in ("conv", "norm"):
            kind = row.value or self.settings.norm.kind
            word = row.word if row.word == "conv" else _norm(str(kind))
            return self.name(f"{self.prefix}{word}", numbered=not self.prefix)
        return self.name(_CALLED.get(row.word, attribute(row.word)))

    def ahead(self, row: Row, word: str) -> str:
        """What a layer right ahead of a row's is called: in a sequence, it is a member."""
        said = str(row.get("name") or "")
        return said if said and said == self._said else self.name(word)

    def _act(self, act: Activation | str) -> str:
        """One module serves every place of one activation; one that learns has several."""
        own, kind = self.settings.activation, act if isinstance(act, str) else act.kind
        if kind in LEARNED:
            return self.name(f"{self.prefix}act", numbered=not self.prefix)
        name = f"{self.prefix}{called(own) if act == own else attribute(kind)}"
        if name in self.taken and self._serves.get(name) != act:
            return self.name(f"{name}_")
        self.taken.add(name)
        self._serves[name] = act
        return name


def chosen(row: Row, settings: LayerSettings, place: Path_) -> Activation | str:
    """The activation of an `act` row: the setting's, its own, or a parameter's name."""
    slope = row.get("slope")
    if row.value is None and slope is None:
        return settings.activation
    kind = str(row.value or settings.activation.kind)
    if kind not in ACTS and slope is None:
        return kind
    given = {"kind": kind} if slope is None else {"kind": kind, "slope": slope}
    return validated(Activation, given, place)


def called(act: Activation) -> str:
    """The name of the setting's activation."""
    return "relu" if act.kind == "relu" else "act"


def _norm(kind: str) -> str:
    return "norm" if kind in ("layer", "response") else "bn"


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
