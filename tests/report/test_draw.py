"""The drawing is an SVG with the network's layers as text and its shortcuts as arcs."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

import pytest
from typer.testing import CliRunner

from resgen import load_spec, resolve
from resgen.cli import app
from resgen.plan import Plan
from resgen.report.boxes import box_text
from resgen.report.draw import draw
from resgen.spec import shipped

SVG = "{http://www.w3.org/2000/svg}"
KINDS = ("identity", "identity-padded", "projection")


def drawn(*plans: Plan) -> ElementTree.Element:
    return ElementTree.fromstring(draw(plans))


def arcs(root: ElementTree.Element) -> Counter[str]:
    """Arcs by kind; the legend's samples are straight."""
    paths = [path for path in root.iter(f"{SVG}path") if "C" in path.get("d", "")]
    return Counter(path.get("class", "") for path in paths)


@pytest.mark.parametrize("name", ["imagenet/resnet50", "cifar/resnet20", "cifar/plain20"])
def test_one_arc_a_drawn_block_by_its_kind(name: str) -> None:
    plan = resolve(load_spec(name))
    runs = [run.block.shortcut.kind for stage in plan.stages for run in stage.runs]
    assert arcs(drawn(plan)) == Counter(kind for kind in runs if kind != "none")


def test_boxes_and_counts_are_text() -> None:
    plan = resolve(load_spec("resnet50"))
    texts = ["".join(text.itertext()) for text in drawn(plan).iter(f"{SVG}text")]
    for expected in ("7x7 conv, 64, /2", "3x3 max pool, /2", "3x3 conv, 512, /2", "fc 1000"):
        assert expected in texts
    counts = [run.count for stage in plan.stages for run in stage.runs if run.count > 1]
    assert [text for text in texts if text.startswith("\u00d7")] == [f"\u00d7 {n}" for n in counts]


def test_the_network_and_its_plain_twin_stand_side_by_side_in_line() -> None:
    plan = resolve(load_spec("cifar/resnet20"))
    boxes = [
        (rect.get("x"), rect.get("y"))
        for rect in drawn(plan.plain(), plan).iter(f"{SVG}rect")
        if rect.get("class") != "paper"
    ]
    columns = {x for x, _ in boxes}
    assert len(columns) == 2
    left, right = ([y for x, y in boxes if x == column] for column in sorted(columns))
    assert left == right


def test_it_follows_a_dark_scheme_and_needs_nothing_else() -> None:
    text = draw([resolve(load_spec("resnet18"))])
    assert "@media (prefers-color-scheme:dark)" in text
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "")


def test_every_shipped_network_draws_inside_its_frame() -> None:
    for name in shipped.names():
        root = drawn(resolve(load_spec(name)))
        width, height = float(root.get("width", 0)), float(root.get("height", 0))
        for text in root.iter(f"{SVG}text"):
            x, y = float(text.get("x", 0)), float(text.get("y", 0))
            reach = len("".join(text.itertext())) * 5.6
            assert 0 <= x <= width
            assert 0 <= y <= height
            if not text.get("text-anchor"):
                assert x + reach <= width + 8, (name, "".join(text.itertext()))


def test_boxes_name_kernel_width_stride_and_groups() -> None:
    plan = resolve(load_spec("resnext50_32x4d"))
    block = plan.stages[1].runs[0].block
    convs = [box_text(layer) for layer in block.main if layer.op.line == "conv"]
    assert convs == ["1x1 conv, 256", "3x3 conv, 256, /2, 32 groups", "1x1 conv, 512"]


def test_what_cannot_be_drawn_is_said(tmp_path: Path) -> None:
    def message(*words: str) -> str:
        result = CliRunner().invoke(app, ["summarize", "--no-measure", *words])
        return str(result.exception)

    gif, svg = tmp_path / "a.gif", tmp_path / "a.svg"
    said = f"{gif}: end the file's name in .svg, .pdf or .png"
    assert message("resnet18", "--draw", str(gif)) == said
    three = ("resnet18", "resnet34", "resnet50")
    assert message(*three, "--draw", str(svg)) == (
        f"--draw {svg}: draws one or two networks side by side, not 3"
    )
    assert message("resnet18", "--draw", str(svg), "--part", "layer2.7") == (
        "--part layer2.7: resnet18 has no stage or block of this name; did you mean layer2.1?"
    )
    assert message("resnet18", "--wide") == (
        "--wide says nothing without --draw; add it, or leave it out"
    )
    svg.write_text("")
    assert message("resnet18", "--draw", str(svg)) == (
        f"{svg}: already exists; give --force to overwrite it"
    )
