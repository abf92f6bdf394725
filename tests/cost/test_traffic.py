"""Bytes moved, and operations per byte: by hand, and counted by hooks over others' modules."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from resgen import load_spec, resolve
from resgen.cost import cost
from resgen.cost.roofline import Roofline, bound, roofline
from resgen.cost.traffic import Traffic, traffic, traffic_of_network
from resgen.errors import UserError
from resgen.plan import Plan
from resgen.plan import layers as L
from resgen.plan.layers import Layer, Op, chain
from resgen.report.rows import rows, total
from resgen.spec import shipped

IMAGE = (64, 56, 56)  # 200,704 elements


def one(op: Op, shape: tuple[int, ...] = IMAGE) -> Traffic:
    (found,) = traffic((Layer("x", op, shape, op.out(shape)),))
    return found


# operations, inputs, outputs of one image, and weights: each an integer written out.
BY_HAND = {
    "conv 3x3": (L.Conv(64, 128, 3, 2, 1, bias=False), 2 * 57_802_752, 200_704, 100_352, 73_728),
    "conv with a bias": (L.Conv(64, 64, 1), 2 * 12_845_056 + 200_704, 200_704, 200_704, 4_160),
    "depthwise": (
        L.Conv(64, 64, 3, 1, 1, groups=64, bias=False), 2 * 1_806_336, 200_704, 200_704, 576,
    ),
    "batch norm": (L.BatchNorm(64), 401_408, 200_704, 200_704, 256),
    "group norm": (L.GroupNorm(8, 64), 1_003_520, 200_704, 200_704, 128),
    "relu in place": (L.ReLU(True), 200_704, 200_704, 200_704, 0),
    "max pool": (L.MaxPool(3, 2, 1), 451_584, 200_704, 50_176, 0),
    "sum of three": (L.Sum(3), 401_408, 802_816, 401_408, 0),
}  # fmt: skip


@pytest.mark.parametrize("name", BY_HAND)
def test_a_layer_moves_what_it_takes_in_puts_out_and_weighs(name: str) -> None:
    op, operations, inputs, outputs, weights = BY_HAND[name]
    found = one(op)
    assert found == Traffic(operations, inputs, outputs, weights)
    assert found.bytes(1, 4) == 4 * (inputs + outputs + weights)
    assert found.bytes(32, 2) == 2 * (32 * (inputs + outputs) + weights)
    assert found._replace(times=3).bytes(2, 4) == 3 * found.bytes(2, 4)


def test_a_linear_layer_reads_its_weights_once_a_batch() -> None:
    found = one(L.Linear(2048, 1000), (2048,))
    assert found == Traffic(2 * 2_048_000 + 1000, 2048, 1000, 2_049_000)
    assert found.bytes(256, 4) == 4 * (256 * 3048 + 2_049_000)


def test_views_and_what_evaluation_leaves_out_move_nothing() -> None:
    steps = [L.Flatten(), L.Identity(), L.Dropout(0.1), L.DropPath(0.1, 3)]
    assert traffic(chain(IMAGE, *(("x", op) for op in steps))) == ()


# ---- an independent count: tensors that pass through torchvision's and timm's modules


def counted(module: nn.Module, batch: int, size: int, joins: dict[str, int]) -> int:
    """Bytes of what every leaf module takes in, puts out and holds.

    joins: for a class that adds or multiplies outside of modules, tensors of its output's size
    that this moves.
    """
    found = 0

    def bytes_of(tensor: Tensor) -> int:
        return tensor.numel() * tensor.element_size()

    def seen(each: nn.Module, given: tuple[Tensor, ...], put_out: Tensor) -> None:
        nonlocal found
        found += joins.get(type(each).__name__, 0) * bytes_of(put_out)
        if type(each).__name__ == "SEModule":  # its mean, and the product with its gate
            gate = bytes_of(put_out) // put_out[0, 0].numel()
            found += bytes_of(given[0]) + gate + bytes_of(given[0]) + gate + bytes_of(put_out)
        if any(each.children()) or isinstance(each, nn.Identity | nn.Flatten):
            return
        held = [t for t in (*each.parameters(), *each.buffers()) if t.is_floating_point()]
        found += sum(map(bytes_of, (*given, put_out, *held)))

    for each in module.modules():
        each.register_forward_hook(seen)
    with torch.no_grad():
        module.eval()(torch.zeros(batch, 3, size, size))
    return found


def of_network(plan: Plan, batch: int) -> int:
    return sum(each.bytes(batch, 4) for each in traffic_of_network(plan))


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("name", ["resnet50", "resnet18", "resnext50_32x4d"])
def test_a_network_moves_what_hooks_over_torchvisions_count(name: str, batch: int) -> None:
    from torchvision import models

    joins = {"Bottleneck": 3, "BasicBlock": 3}
    theirs = counted(getattr(models, name)(), batch, 224, joins)
    assert of_network(resolve(load_spec(name)), batch) == theirs


def test_resnet50_moves_this_many_bytes_an_image() -> None:
    plan = resolve(load_spec("resnet50"))
    assert of_network(plan, 1) == 425_995_840


def test_attention_moves_what_hooks_over_timms_count() -> None:
    import timm

    theirs = timm.create_model("seresnet50")
    theirs.global_pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    assert of_network(resolve(load_spec("seresnet50")), 2) == counted(
        theirs, 2, 224, {"Bottleneck": 3}
    )


def test_branches_read_what_they_join() -> None:
    net = {
        "name": "wide", "input": {"channels": 3, "size": 8}, "classes": 4,
        "stem": {"kind": "conv3x3", "width": 8},
        "block": [{"branches": [[{"conv": 1, "width": 6}], [{"conv": 3, "width": 2}]],
                   "join": "concat"}, "add"],
        "shortcut": "identity", "stages": [{"depth": 1, "width": 8}],
    }  # fmt: skip
    plan = resolve(load_spec(net))
    joins = [each for each in traffic_of_network(plan) if each.operations == 0]
    assert joins == [Traffic(0, 8 * 64, 8 * 64)]


def test_rows_of_every_shipped_network_add_up_to_it() -> None:
    for name in shipped.names():
        plan = resolve(load_spec(name))
        whole = traffic_of_network(plan)
        for parts in (rows(plan, "layer"), rows(plan, "block"), [total(plan)]):
            moved = [each for row in parts for each in row.moved]
            assert sum(t.bytes(7, 2) for t in moved) == sum(t.bytes(7, 2) for t in whole), name
            assert sum(t.computed(1) for t in moved) == sum(t.computed(1) for t in whole), name


def test_operations_are_those_of_the_books() -> None:
    for name in shipped.names():
        plan = resolve(load_spec(name))
        books = cost(plan)
        rest = books.residual_adds + books.norm + books.activation + books.pool
        rest += books.bias + books.elementwise
        found = sum(each.computed(1) for each in traffic_of_network(plan))
        # A bias of an elementwise norm is booked apart, and is among its operations here.
        assert books.flops + rest >= found >= books.flops + rest - books.bias, name


# ---- the roofline


ROOF = Roofline(100.0, 10.0)


def test_a_layer_is_bound_by_what_takes_longer() -> None:
    # 4 bytes each: 400 bytes take 40 s; 3,900 and 4,100 operations 39 and 41.
    slow, busy = Traffic(3900, 60, 40), Traffic(4100, 60, 40)
    assert bound([slow], ROOF) == (3900, 400, 40.0, 40.0, 1, 1)
    assert bound([slow], ROOF).by == "memory"
    assert bound([busy], ROOF) == (4100, 400, 41.0, 0.0, 1, 0)
    assert bound([busy], ROOF).by == "compute"
    assert bound([slow, busy._replace(times=2)], ROOF) == (12100, 1200, 122.0, 40.0, 3, 1)
    assert bound([slow, busy], ROOF).by == "compute"
    assert bound([slow, busy], ROOF).intensity == 10.0
    assert bound([], ROOF).by == ""
    assert bound([], ROOF).intensity is None
    assert ROOF.balance == 10.0


def test_weights_read_once_a_batch_make_a_linear_layer_bound_by_arithmetic() -> None:
    layer = [one(L.Linear(2048, 1000), (2048,))]
    assert bound(layer, ROOF).by == "memory"
    assert bound(layer, ROOF._replace(batch=4096)).by == "compute"


def test_half_the_width_is_half_the_bytes() -> None:
    layer = [one(L.BatchNorm(64))]
    half = bound(layer, ROOF._replace(precision="bf16"))
    assert 2 * half.bytes == bound(layer, ROOF).bytes


def test_peaks_are_written_or_read(tmp_path: Path) -> None:
    assert roofline("312T,2TB", "bf16")[:3] == (312e12, 2e12, "bf16")
    file = tmp_path / "bench.json"
    peaks = {"device": "a card", "bytes_per_second": 2.5e11, "flops_per_second": {"fp32": 1e12}}
    file.write_text(json.dumps({"version": 1, "peaks": peaks}))
    assert roofline(str(file), "fp32") == (1e12, 2.5e11, "fp32", "a card", 1)
    with pytest.raises(UserError, match="no peak of bf16, only of fp32: give --precision fp32"):
        roofline(str(file), "bf16")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("nowhere.json", "--roofline nowhere.json: cannot be read: No such file"),
        ("312T,2Q", "--roofline 2Q: must be a number"),
        ("0,2TB", "--roofline 0: must be more than 0"),
        ("is.yaml", "--roofline is.yaml: is no JSON; give a file that resgen bench"),
        ("list.json", "--roofline list.json: has no peaks"),
        ("text.json", "--roofline text.json: its peaks are no numbers above 0"),
    ],
)
def test_other_peaks_are_refused(
    text: str, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("is.yaml").write_text("a: 1")
    Path("list.json").write_text("[1]")
    Path("text.json").write_text('{"peaks": {"bytes_per_second": "x", "flops_per_second": {}}}')
    with pytest.raises(UserError) as caught:
        roofline(text, "fp32")
    assert str(caught.value).startswith(sentence)
