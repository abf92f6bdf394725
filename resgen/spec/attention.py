"""The part of a Spec that says a block's attention: which, how wide inside, and where it stands."""

from __future__ import annotations

from typing import ClassVar, Literal, NamedTuple

from pydantic import Field, model_validator

from resgen.spec.norms import ACTS
from resgen.spec.parts import Keys, broken, refuse_foreign
from resgen.spec.values import ROUNDINGS


class _Usual(NamedTuple):
    """What a kind of attention does where nothing is said: its authors' way."""

    divisor: int
    round: str


_USUAL = {"se": _Usual(8, "nearest"), "cbam": _Usual(1, "down"), "gc": _Usual(1, "down")}


class Attention(Keys):
    """Attention over channels, pixels or both; a word alone is its kind."""

    owners: ClassVar[dict[str, tuple[str, ...]]] = {
        "ratio": ("se", "cbam", "gc"),
        "ratio_of": ("se",),
        "divisor": ("se", "cbam", "gc"),
        "round": ("se", "cbam", "gc"),
        "bias": ("se", "cbam"),
        "activation": ("se", "cbam", "gc"),
        "gate": ("se",),
        "fuse": ("gc",),
        "kernel": ("eca", "cbam"),
        "position": ("se", "eca", "cbam", "gc"),
    }

    kind: Literal["none", "se", "eca", "cbam", "gc"] = Field(
        description="`se`: squeeze-and-excitation (Hu et al. 2018). `eca`: efficient channel "
        "attention, its kernel grown with the width (Wang et al. 2020). `cbam`: channel attention, "
        "then spatial attention (Woo et al. 2018). `gc`: global context (Cao et al. 2019).",
        examples=["se"],
    )
    ratio: float = Field(
        0.0625,
        gt=0,
        le=16,
        description="`se`, `cbam`, `gc`: the squeezed width over the width it is taken of.",
        examples=[0.25],
    )
    ratio_of: Literal["width", "input"] = Field(
        "width",
        description="`se`: the width the ratio is taken of: the channels attended to, "
        "or the block's input (RegNet).",
        examples=["input"],
    )
    divisor: int | None = Field(
        None,
        ge=1,
        le=1024,
        description="`se`, `cbam`, `gc`: the squeezed width is rounded to a multiple of this, at "
        "least once; 8 by default for `se`, 1 for the others.",
        examples=[1],
    )
    round: Literal[ROUNDINGS] | None = Field(  # type: ignore[valid-type]
        None,
        description="`se`, `cbam`, `gc`: which multiple of the divisor: the nearest (by default "
        "for `se`), the next up, the next down (by default for the others), or the nearest unless "
        "that loses over a tenth, then the next up.",
        examples=["down"],
    )
    bias: bool = Field(
        True,
        description="`se`, `cbam`: whether the layers inside have biases.",
        examples=[False],
    )
    activation: Literal[ACTS] | None = Field(  # type: ignore[valid-type]
        None,
        description="`se`, `cbam`, `gc`: the activation inside; by default the setting's.",
        examples=["relu"],
    )
    gate: Literal[ACTS] = Field(  # type: ignore[valid-type]
        "sigmoid",
        description="`se`: what makes the factor of what comes out of the squeeze.",
        examples=["hardsigmoid"],
    )
    fuse: Literal["add", "scale"] = Field(
        "add",
        description="`gc`: whether the context is added (Cao et al. 2019) or, behind a sigmoid, "
        "a factor.",
        examples=["scale"],
    )
    kernel: int | None = Field(
        None,
        ge=1,
        le=1023,
        description="An odd number. `eca`: channels a filter sees, in place of the rule's. "
        "`cbam`: the side of the spatial convolution, 7 by default.",
        examples=[5],
    )
    position: Literal["end", "3x3", "before-norm", "pre", "post", "shortcut"] = Field(
        "end",
        description="Where on the main path: after its last norm (`end`), after the 3x3 "
        "convolution (RegNet), after the last convolution and before its norm, before the first "
        "convolution (`pre`). Or behind the addition and its activation (`post`), or on the "
        "shortcut (Hu et al. 2018, section 6.5).",
        examples=["3x3"],
    )

    @property
    def rounding(self) -> tuple[int, str]:
        """The multiple that the squeezed width is rounded to, and which way."""
        usual = _USUAL[self.kind]
        return self.divisor or usual.divisor, self.round or usual.round

    @model_validator(mode="after")
    def _own_keys_only(self) -> Attention:
        refuse_foreign(self, "attention")
        if self.kernel is not None and self.kernel % 2 == 0:
            raise broken(f"must be odd, to have a middle (got {self.kernel})", "kernel")
        return self
