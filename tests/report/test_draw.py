"""The drawing is an SVG with the network's layers as text and its shortcuts as arcs."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

import pytest
from PIL import Image
from typer.testing import CliRunner

from resgen import load_spec, resolve
from resgen.cli import app
from resgen.plan import Plan
from resgen.report import letters, rendering
from resgen.report.boxes import box_text
from resgen.report.draw import Figure, draw
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


def texts(*plans: Plan, **options: object) -> list[str]:
    root = ElementTree.fromstring(draw(plans, Figure(**options)))  # type: ignore[arg-type]
    return ["".join(text.itertext()) for text in root.iter(f"{SVG}text")]


def test_every_element_has_its_colours_and_no_program_must_know_style_sheets() -> None:
    for name in ("resnet18", "preact/preresnet18", "res2net50_26w_4s"):
        root = drawn(resolve(load_spec(name)))
        for element in root.iter():
            if element.tag in {f"{SVG}{kind}" for kind in ("rect", "path", "circle", "text")}:
                assert re.fullmatch("none|#[0-9a-f]{6}", element.get("fill", "")), element.attrib
                assert "var(" not in str(element.attrib)
                assert not element.get("marker-end")


def test_pre_activation_is_seen_and_is_not_shown_where_it_is_not_the_point() -> None:
    assert "BN, ReLU" in texts(resolve(load_spec("preact/preresnet18")))
    assert not [t for t in texts(resolve(load_spec("resnet18"))) if "ReLU" in t]
    for order in ("bn-after-add", "relu-before-add", "relu-preact", "preact"):
        plan = resolve(load_spec("cifar/resnet20", [f"order={order}"]))
        assert [t for t in texts(plan) if "ReLU" in t], order


def test_blocks_that_differ_in_numbers_alone_are_drawn_once_with_their_range() -> None:
    plan = resolve(load_spec("ecaresnet50d_pruned"))
    stage = plan.stages[2]
    widths = [run.block.main[0].output[0] for run in stage.blocks[1:]]
    assert len(set(widths)) > 1
    found = texts(plan)
    assert f"1x1 conv, {min(widths)}\u2013{max(widths)}" in found
    assert f"\u00d7 {stage.depth - 1}" in found
    assert len(list(drawn(plan).iter(f"{SVG}rect"))) < 50
    # Another kernel or stride is another block.
    kinds = [t for t in texts(resolve(load_spec("efficientnet_b0"))) if "depthwise" in t]
    assert not [t for t in kinds if re.match(r"\d+\u2013", t) or "/1\u2013" in t]


def test_detail_is_a_stage_a_block_or_a_layer() -> None:
    plan = resolve(load_spec("resnet50"))
    stage = texts(plan, detail="stage")
    assert "4 \u00d7 bottleneck, 512, /2" in stage
    assert "1 projection and 3 identity" in stage
    assert not [t for t in stage if "3x3 conv" in t]
    assert texts(plan, detail="layer").count("batch norm") == sum(
        layer.op.line == "norm"
        for layers in (plan.stem, *(run.block.main for s in plan.stages for run in s.runs))
        for layer in layers
    )


def test_a_block_alone_has_every_layer_its_gate_and_its_shapes() -> None:
    found = texts(resolve(load_spec("seresnet50")), part="layer2.0")
    assert found[0] == "seresnet50 layer2.0"
    for words in ("256x56x56", "512x28x28", "batch norm", "ReLU", "sigmoid", "squeeze, excite"):
        assert words in found
    assert "layer1" not in found
    # The reduction of Hu et al. 2018: 512 / 16.
    assert "1x1 conv, 32" in found
    assert "3 blocks" not in texts(resolve(load_spec("resnet50")), part="layer2")


def test_wide_is_for_the_width_of_a_page() -> None:
    for name in ("resnet50", "mobilenet_v2", "preact/preresnet50"):
        plan = resolve(load_spec(name))
        shapes = {}
        for wide in (False, True):
            root = ElementTree.fromstring(draw([plan], Figure(wide=wide)))
            shapes[wide] = float(root.get("width", 0)) / float(root.get("height", 0))
        assert shapes[False] < 0.7
        assert 1 < shapes[True] < 3


def test_widths_of_letters_are_those_of_the_widest_font() -> None:
    ft2font = pytest.importorskip("matplotlib.ft2font")
    manager = pytest.importorskip("matplotlib.font_manager")
    for bold in (False, True):
        properties = manager.FontProperties(
            family="DejaVu Sans", weight="bold" if bold else "normal"
        )
        font = ft2font.FT2Font(manager.findfont(properties))
        for letter in "".join(map(chr, range(32, 127))) + "\u00d7\u00b7\u2013\u2192":
            glyph = font.load_char(ord(letter), flags=ft2font.LoadFlags.NO_SCALE)
            wide = 1000 * glyph.horiAdvance / font.units_per_EM
            assert abs(letters.text_width(letter * 100, 10, bold=bold) - wide) < 1.5, letter


def test_pdf_and_png_hold_the_drawing_in_colour(tmp_path: Path) -> None:
    pytest.importorskip("cairosvg", exc_type=ImportError)
    for name in ("a.pdf", "a.png"):
        words = ["resnet18", "--draw", str(tmp_path / name), "--beside", "nothing"]
        result = CliRunner().invoke(app, ["summarize", "--no-measure", *words])
        assert result.exit_code == 0, result.exception
    assert (tmp_path / "a.pdf").read_bytes().startswith(b"%PDF")
    with Image.open(tmp_path / "a.png") as image:
        colours = colours_of(image)
    assert colours[(255, 255, 255)] > image.width * image.height / 2
    for box in ((220, 235, 251), (221, 243, 228), (253, 236, 207), (250, 220, 217)):  # the stages
        assert colours[box] > 1000


def colours_of(image: Image.Image) -> Counter[object]:
    return Counter({colour: n for n, colour in image.convert("RGB").getcolors(1 << 24) or ()})


@pytest.mark.parametrize("program", ["rsvg-convert", "inkscape"])
def test_other_programs_show_the_colours(program: str, tmp_path: Path) -> None:
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"needs {program}")
    svg, png = tmp_path / "a.svg", tmp_path / "a.png"
    svg.write_text(draw([resolve(load_spec("resnet18"))]))
    out = ["-o", str(png)] if program == "rsvg-convert" else ["-o", str(png), "-d", "96"]
    subprocess.run([found, str(svg), *out], check=True, capture_output=True, timeout=300)
    with Image.open(png) as image:
        colours = colours_of(image)
    for box in ((220, 235, 251), (221, 243, 228), (253, 236, 207), (250, 220, 217)):
        assert colours[box] > 1000


def test_a_missing_cairosvg_is_said_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> object:
        raise errors.pop()

    errors: list[Exception] = [ImportError(), OSError()]
    monkeypatch.setattr(rendering, "import_module", missing)
    path = tmp_path / "a.pdf"
    for said in (
        f"{path}: a drawing becomes PDF by CairoSVG, which is not installed; "
        "`pip install 'resgen[pictures]'`, or end the file's name in .svg",
        f"{path}: CairoSVG finds no Cairo library; install the system's package (libcairo2, "
        "cairo), or end the file's name in .svg",
    )[::-1]:
        result = CliRunner().invoke(app, ["summarize", "resnet18", "--draw", str(path)])
        assert str(result.exception) == said
        assert not result.stdout
