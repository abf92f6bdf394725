"""Random valid specs: small networks in every word of the language."""

from __future__ import annotations

from typing import Any

from hypothesis import assume
from hypothesis import strategies as st
from pydantic import ValidationError
from written import without

from resgen.errors import UserError
from resgen.plan import Plan, resolve
from resgen.spec import Spec

ORDERS = (
    "original", "bn-after-add", "relu-before-add", "linear",
    "relu-preact", "preact", "preact-shared",
)  # fmt: skip
NORMS = (
    "batch", "none", {"kind": "group", "groups": 2}, {"kind": "group", "group_width": 2},
    {"kind": "batch", "eps": 1e-3}, "frozen", "instance", "instance-batch", "filter-response",
    "evonorm-b0", {"kind": "evonorm-s0", "groups": 2},
)  # fmt: skip
SHORTCUTS = (
    "none", "identity", "projection", "projection-all", "scaled", "gated", "gated-shortcut",
    "dropout",
)  # fmt: skip


@st.composite
def spec_data(draw: st.DrawFn, *, plain_words: bool = False) -> dict[str, Any]:
    """The plain values of a spec; `plain_words` keeps to norms and shortcuts of the papers."""
    widths = sorted(draw(st.lists(st.integers(1, 6), min_size=1, max_size=3)), reverse=False)
    stages = [
        {"depth": draw(st.integers(1, 3)), "width": 16 * width, "stride": draw(st.integers(1, 2))}
        for width in widths
    ]
    data: dict[str, Any] = {
        "name": "random",
        "input": {"channels": draw(st.integers(1, 4)), "size": draw(st.integers(24, 40))},
        "stem": {"kind": draw(st.sampled_from(("conv3x3", "conv7x7-pool", "deep"))), "width": 16},
        "block": draw(st.sampled_from(("basic", "bottleneck"))),
        "shortcut": draw(st.sampled_from(SHORTCUTS[:4] if plain_words else SHORTCUTS)),
        "order": draw(st.sampled_from(ORDERS)),
        "stages": stages,
        "classes": draw(st.integers(0, 12)),
    }
    extras: dict[str, st.SearchStrategy[Any]] = {
        "groups": st.sampled_from((1, 2, 4)),
        "attention": st.sampled_from(("none", "se", "eca", "cbam", "gc")),
        "activation": st.sampled_from(
            ("relu", "silu", "leaky-relu", {"kind": "leaky-relu", "slope": 0.1}, "prelu")
        ),
        "projection": st.sampled_from(("conv", "avgpool-conv")),
    }
    if not plain_words:
        extras["norm"] = st.sampled_from(NORMS)
        extras["antialias"] = st.sampled_from(("none", "blur", "avgpool"))
        extras["convolution"] = st.sampled_from(("plain", "standardized"))
    for key in draw(st.sets(st.sampled_from(sorted(extras)), max_size=3)):
        data[key] = draw(extras[key])
    return meant(data)


def meant(data: dict[str, Any], but: tuple[str | int, ...] | None = None) -> dict[str, Any]:
    """A spec less the keys that mean nothing where they stand, which is a mistake.

    but: the place of a key that is left where it is.
    """
    while True:
        try:
            Spec.model_validate(data)
        except ValidationError as error:
            found = [each["ctx"] for each in error.errors() if each.get("ctx", {}).get("idle")]
            if found and tuple(found[0]["at"]) != but:
                data = without(data, tuple(found[0]["at"]))
                continue
        return data


def plan_of(data: dict[str, Any]) -> Plan:
    """The Plan of plain values; tells hypothesis to draw again where they are no network."""
    try:
        return resolve(Spec.model_validate(data))
    except (ValidationError, UserError):
        assume(False)
        raise


def plans(*, plain_words: bool = False) -> st.SearchStrategy[Plan]:
    """Random Plans."""
    return spec_data(plain_words=plain_words).map(_or_none).filter(bool)


def _or_none(data: dict[str, Any]) -> Plan | None:
    try:
        return resolve(Spec.model_validate(data))
    except (ValidationError, UserError):
        return None


SHORTCUT_MODES = (
    "none",
    "identity",
    "identity-same",
    {"kind": "identity", "padding": "both-sides"},
    "identity-pooled",
    "projection",
    "projection-all",
    {"kind": "scaled", "scale": 0.7, "residual_scale": 0.3},
    {"kind": "gated", "gate_bias": -2.0},
    {"kind": "gated-shortcut", "gate_bias": -2.0},
    {"kind": "dropout", "rate": 0.3},
)
ATTENTIONS = (
    "none",
    "se",
    "eca",
    {"kind": "se", "ratio": 0.25, "ratio_of": "input", "divisor": 1, "position": "3x3"},
    {"kind": "eca", "kernel": 7, "position": "3x3"},
    {"kind": "se", "bias": False, "gate": "hardsigmoid", "round": "down", "position": "pre"},
    {"kind": "se", "activation": "prelu", "round": "up-from-90-percent", "position": "shortcut"},
    {"kind": "cbam", "position": "before-norm"},
    {"kind": "cbam", "bias": False, "kernel": 3, "position": "shortcut"},
    {"kind": "gc", "position": "post"},
    {"kind": "gc", "fuse": "scale", "ratio": 0.25, "position": "3x3"},
)
ACTIVATIONS = (
    "relu", "silu", "gelu", "leaky-relu", "elu", "hardswish", "relu6", "mish", "hardsigmoid",
    "prelu", "threshold", {"kind": "leaky-relu", "slope": 0.1},
)  # fmt: skip
STEMS = ("conv3x3", "conv3x3-s2", "conv7x7", "conv7x7-pool", "deep", "deep-tiered")


@st.composite
def block_keys(draw: st.DrawFn) -> dict[str, Any]:
    """Some keys that describe a block, each left out as often as not."""
    block = draw(st.sampled_from(["basic", "bottleneck"]))
    options: dict[str, tuple[Any, ...]] = {
        "projection": ("conv", "avgpool-conv", "conv3x3"),
        "bottleneck_ratio": (1, 2, 0.5),
        "first_width": (4, 8),
        "groups": (2, 4),
        "attention": ATTENTIONS,
        "activation": ACTIVATIONS,
        "convolution": ("standardized",),
        "zero_init": ("last",),
        "antialias": ("blur", "avgpool"),
        "padding": ("same",),
        "dilation": (2, 3),
    }
    if block == "bottleneck":
        options["stride_at"] = ("1x1", "3x3")
    given = draw(st.sets(st.sampled_from(sorted(options)), max_size=4))
    return {"block": block, **{key: draw(st.sampled_from(options[key])) for key in sorted(given)}}


@st.composite
def every_word(draw: st.DrawFn) -> dict[str, Any]:
    """A spec as plain values; combinations no library offers, five stages, odd images."""
    data: dict[str, Any] = {
        "name": "drawn",
        "input": {
            "channels": draw(st.sampled_from([1, 3])),
            "size": [draw(st.integers(5, 40)), draw(st.integers(5, 40))],
        },
        "stem": {"kind": draw(st.sampled_from(STEMS)), "width": draw(st.sampled_from([8, 16]))},
        "shortcut": draw(st.sampled_from(SHORTCUT_MODES)),
        "order": draw(st.sampled_from(ORDERS)),
        "norm": draw(st.sampled_from(NORMS)),
        "classes": draw(st.sampled_from([0, 3])),
        **draw(block_keys()),
    }
    if pool := draw(
        st.sampled_from([None, None, "none", "max", "max-zero-padded", "max-ceil", "conv"])
    ):
        data["stem"]["pool"] = pool
    if draw(st.booleans()):
        data["stem"]["first_activation"] = draw(st.sampled_from(["block", "both"]))
    width = data["stem"]["width"]
    data["stages"] = []
    for _ in range(draw(st.integers(1, 5))):
        width *= draw(st.sampled_from([1, 1, 2]))
        stage: dict[str, Any] = {"width": width, "stride": draw(st.sampled_from([1, 2, 3, [2, 1]]))}
        if draw(st.integers(0, 4)) == 0:
            stage |= draw(block_keys())
        if draw(st.integers(0, 3)) == 0:
            stage["blocks"] = draw(
                st.lists(st.sampled_from([{}, {"mid_width": 8}, {"attention": "se"}]), min_size=1)
            )[:3]
        else:
            stage["depth"] = draw(st.integers(1, 3))
        data["stages"].append(stage)
    for key, values in (
        ("drop_path", (0.2, {"rate": 0.1, "rule": "constant"})),
        ("output_stride", (4, 8)),
        ("head", ({"dropout": 0.5}, {"width": 24}, {"final_activation": "none"})),
    ):
        if draw(st.integers(0, 3)) == 0:
            data[key] = draw(st.sampled_from(values))
    return meant(data)


def unheard_of() -> st.SearchStrategy[Plan]:
    """Plans of `every_word`, where the rules allow them."""
    return every_word().map(_or_none).filter(bool)
