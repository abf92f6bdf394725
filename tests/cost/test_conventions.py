"""Other people's numbers, to the integer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from resgen import load_spec, resolve
from resgen.cost.conventions import CONVENTIONS, pycls_activations
from resgen.plan import elements
from resgen.plan.layers import GlobalAvgPool
from resgen.report.rows import total
from resgen.spec import shipped

ROWS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[1] / "golden" / "networks.json").read_text()
)
SPECS = {name: load_spec(name) for name in shipped.names()}
SPEC_OF = {reference: name for name, spec in SPECS.items() for reference in spec.reference}
COUNTED = {f"{row['source']}:{row['name']}": row for row in ROWS if row["macs_fvcore"] is not None}

# torchvision's RegNetY pools through AdaptiveAvgPool2d inside its squeeze-and-excitation,
# where ours and timm's take a mean(), which fvcore has no rule for.
POOLED_ATTENTION = {
    "torchvision:regnet_y_400mf",
    "torchvision:regnet_y_800mf",
    "torchvision:regnet_y_3_2gf",
    "torchvision:regnet_y_8gf",
}


@pytest.mark.parametrize("reference", COUNTED)
def test_fvcore_convention_is_fvcores_total(reference: str) -> None:
    plan = resolve(SPECS[SPEC_OF[reference]])
    inside = sum(
        elements(layer.input)
        for name, layer in plan.named_layers()
        if isinstance(layer.op, GlobalAvgPool) and name != "avgpool"
    )
    expected = COUNTED[reference]["macs_fvcore"]
    if reference in POOLED_ATTENTION:
        assert inside
        expected -= inside
    assert total(plan, CONVENTIONS["fvcore"].macs).macs == expected


@pytest.mark.parametrize("reference", [r for r in SPEC_OF if r.startswith("torchvision:")])
def test_torchvision_convention_is_its_published_ops(reference: str) -> None:
    from torchvision.models import get_model_weights

    published = next(
        weights.meta
        for weights in get_model_weights(reference.partition(":")[2])
        if weights.name.startswith(("IMAGENET1K_V1", "IMAGENET1K_SWAG_LINEAR"))
    )
    row = total(resolve(SPECS[SPEC_OF[reference]]), CONVENTIONS["torchvision"].macs)
    assert row.books.params == published["num_params"]
    assert round(row.macs / 1e9, 3) == published["_ops"]


@pytest.mark.parametrize(
    ("name", "params", "flops", "acts"),  # dev/model_complexity.json of pycls
    [
        ("imagenet/resnet50", 25557032, 4089185256, 11315688),
        ("imagenet/resnet101", 44549160, 7801406440, 16433640),
        ("imagenet/resnet152", 60192808, 11513627624, 22755816),
        ("resnext/resnext50_32x4d", 25028904, 4230480872, 14602216),
        ("regnet/regnetx_004", 5157512, 397678568, 3143272),
    ],
)
def test_pycls_convention_is_its_model_zoo(name: str, params: int, flops: int, acts: int) -> None:
    plan = resolve(SPECS[name])
    assert total(plan).books.params == params
    assert total(plan, CONVENTIONS["pycls"].macs).macs == flops
    assert pycls_activations(plan) == acts


def test_the_paper_counts_resnet50_with_its_own_strides() -> None:
    note = CONVENTIONS["paper"].note(resolve(SPECS["imagenet/resnet50"]))
    ours = total(resolve(SPECS["imagenet/resnet50-v1"])).macs
    assert f"{ours:,} (3.858 G)" in note
    assert CONVENTIONS["paper"].note(resolve(SPECS["imagenet/resnet50-v1"])) == ""
    assert CONVENTIONS["paper"].note(resolve(SPECS["imagenet/resnet34"])) == ""
