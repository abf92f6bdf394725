"""Drawings as Chromium shows them: no text outside its box, nothing over another, all in colour."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from browser import mistakes, page
from spelled import networks

from resgen import load_spec, resolve
from resgen.plan import Plan
from resgen.report.draw import Figure, draw
from resgen.spec import shipped

if TYPE_CHECKING:
    from playwright.sync_api import Browser

WAYS = {
    "block": Figure(),
    "layer": Figure(detail="layer"),
    "stage": Figure(detail="stage"),
    "wide": Figure(wide=True),
    "wide, layer": Figure(detail="layer", wide=True),
}
FONTS = ("", "DejaVu Sans")  # what a drawing asks for, and the widest it may get
SOME = (
    "cifar/resnet110", "imagenet/resnet50", "preact/preresnet50", "senet/seresnet50",
    "cbam/cbam_resnet18", "res2net/res2net50_26w_4s", "inception/inception_resnet_v2",
    "nfnet/nfnet_l0", "convnext/convnext_tiny", "mobilenet/mobilenet_v2", "regnet/regnet_y_400mf",
    "dla/dla34", "resnext/resnext101_32x8d", "ecanet/ecaresnet50d_pruned", "sknet/skresnet18",
    "clip/resnet50_clip",
)  # fmt: skip


def check(
    browser: Browser, plans: dict[str, Plan], ways: dict[str, Figure], *, twins: bool = False
) -> None:
    drawings = {
        f"{name} ({way})".replace("/", "-"): draw([plan.plain(), plan] if twins else [plan], figure)
        for name, plan in plans.items()
        for way, figure in ways.items()
    }
    with page(browser) as shown:
        for font in FONTS:
            assert mistakes(shown, drawings, font) == {}


def plans(names: tuple[str, ...]) -> dict[str, Plan]:
    return {name: resolve(load_spec(name)) for name in names}


def test_drawings_of_every_kind_of_network(browser: Browser) -> None:
    check(browser, plans(SOME), WAYS)


def test_drawings_of_paths_beside_their_twins(browser: Browser) -> None:
    check(browser, networks(), {way: WAYS[way] for way in ("block", "wide")}, twins=True)


def test_blocks_alone(browser: Browser) -> None:
    for part in ("layer2", "layer2.0", "layer3.1"):
        found = {name: plan for name, plan in plans(SOME).items() if plan.stages[2].depth > 1}
        check(browser, found, {part: Figure(part=part)})


def test_a_text_too_long_would_be_seen(browser: Browser) -> None:
    svg = draw([resolve(load_spec("resnet18"))])
    with page(browser) as shown:
        assert mistakes(shown, {"a": svg.replace(">fc 1000<", f">fc {'1' * 40}<")})["a"]
        assert mistakes(shown, {"a": svg.replace('fill="#dcebfb"', "")}) == {"a": ["black"]}
        moved = svg.replace(">2 blocks<", ' dx="60">2 blocks<')
        assert any("lies over" in each for each in mistakes(shown, {"a": moved})["a"])


@pytest.mark.parametrize("dark", [False, True])
def test_the_reader_s_scheme_is_taken_where_it_may_be(browser: Browser, dark: bool) -> None:
    plan = resolve(load_spec("resnet18"))
    colours = {"light": "rgb(255, 255, 255)", "dark": "rgb(18, 22, 29)"}
    fill = "getComputedStyle(document.querySelector('rect.paper')).fill"
    with page(browser, dark=dark) as shown:
        for theme, name in (("auto", "dark" if dark else "light"), ("light", "light")):
            shown.set_content(draw([plan], Figure(theme=theme)))  # type: ignore[arg-type]
            assert shown.evaluate(fill) == colours[name]


@pytest.mark.slow
def test_drawings_of_every_shipped_network(browser: Browser) -> None:
    names = shipped.names()
    for start in range(0, len(names), 40):
        check(browser, plans(names[start : start + 40]), WAYS)
