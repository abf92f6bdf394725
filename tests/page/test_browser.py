"""Pages in headless Chromium: on a phone, by keyboard, in the dark, in print."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.page.conftest import KINDS

pytestmark = pytest.mark.slow

CONTRAST = """() => {
  const probe = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgb = (colour) => {
    probe.clearRect(0, 0, 1, 1); probe.fillStyle = colour; probe.fillRect(0, 0, 1, 1);
    return [...probe.getImageData(0, 0, 1, 1).data];
  };
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
    .map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (element) => {
    for (let each = element; each; each = each.parentElement) {
      const colour = rgb(getComputedStyle(each).backgroundColor);
      if (colour[3] === 255) return colour;
    }
    return [255, 255, 255];
  };
  const inPicture = (text) => {
    const box = text.getBoundingClientRect();
    const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
    let found = behind(text.closest("svg"));
    for (const rect of text.closest("svg").querySelectorAll("rect")) {
      if (rect.compareDocumentPosition(text) & Node.DOCUMENT_POSITION_PRECEDING) continue;
      const each = rect.getBoundingClientRect();
      const fill = getComputedStyle(rect).fill;
      if (fill === "none" || x < each.left || x > each.right || y < each.top || y > each.bottom)
        continue;
      if (rgb(fill)[3] === 255) found = rgb(fill);
    }
    return found;
  };
  const failing = []; let seen = 0;
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || element.closest("script, style, title, desc")) continue;
    if (!element.checkVisibility()) continue;
    const picture = element.closest("svg");
    const style = getComputedStyle(element);
    const ink = rgb(picture ? style.fill : style.color);
    const [a, b] = [light(ink), light(picture ? inPicture(element) : behind(element))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    seen += 1;
    if (ratio < 4.5) failing.push([walker.currentNode.data.trim(), ratio]);
  }
  return [seen, failing];
}"""
OPEN = "document.querySelectorAll('details').forEach((each) => { each.open = true; })"


@pytest.mark.parametrize("kind", KINDS)
def test_a_phone_never_scrolls_sideways(opened: Callable[..., Any], kind: str) -> None:
    page = opened(kind, width=360)
    page.evaluate(OPEN)
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    assert page.evaluate("document.body.scrollWidth") <= 360


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("kind", KINDS)
def test_text_stands_out_from_what_is_behind_it(
    opened: Callable[..., Any], kind: str, dark: bool
) -> None:
    page = opened(kind, dark=dark)
    page.evaluate(OPEN)
    seen, failing = page.evaluate(CONTRAST)
    assert seen > 100
    assert failing == []


def test_the_dark_scheme_is_dark(opened: Callable[..., Any]) -> None:
    colours = [
        opened("sheet", dark=dark).evaluate("getComputedStyle(document.body).backgroundColor")
        for dark in (False, True)
    ]
    assert colours == ["rgb(255, 255, 255)", "rgb(18, 22, 29)"]


def test_a_column_is_sorted_by_keyboard(opened: Callable[..., Any]) -> None:
    page = opened("sheet")
    head = page.locator("#net-stages thead th", has_text="params")
    cells = page.locator("#net-stages tbody td:nth-child(4)")

    def values() -> list[int]:
        return [int(text.replace(",", "")) for text in cells.all_inner_texts()]

    given = values()
    assert head.get_attribute("aria-sort") == "none"
    head.get_by_role("button").focus()
    page.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "descending"
    assert values() == sorted(given, reverse=True)
    assert page.locator("[aria-live]").inner_text() == "Sorted by params, descending."
    page.keyboard.press("Space")
    assert head.get_attribute("aria-sort") == "ascending"
    assert values() == sorted(given) != given
    other = page.locator("#net-stages thead th", has_text="part")
    other.get_by_role("button").press("Enter")
    assert head.get_attribute("aria-sort") == "none"
    assert page.locator("#net-stages tbody th").all_inner_texts() == [
        "head", "layer1", "layer2", "layer3", "layer4", "stem",
    ]  # fmt: skip
    assert page.locator("#net-stages tfoot").inner_text().startswith("total")


def test_the_first_stop_of_the_keyboard_skips_to_the_content(opened: Callable[..., Any]) -> None:
    page = opened("experiment")
    page.keyboard.press("Tab")
    focused = "document.activeElement"
    assert page.evaluate(f"{focused}.className") == "skip"
    assert page.evaluate(f"{focused}.getBoundingClientRect().left") >= 0
    assert page.evaluate(f"getComputedStyle({focused}).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    assert page.evaluate(f"{focused}.id") == "content"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("script", [True, False], ids=["script", "no script"])
def test_in_print_everything_is_open_and_black_on_white(
    opened: Callable[..., Any], kind: str, script: bool
) -> None:
    page = opened(kind, dark=True, java_script_enabled=script)
    page.emulate_media(media="print")
    closed = page.locator("details:not([open]) > .inside")
    assert closed.count()
    for index in range(closed.count()):
        assert closed.nth(index).bounding_box()["height"] > 10
    if script:
        style = "getComputedStyle(document.body)"
        assert page.evaluate(f"{style}.backgroundColor") == "rgb(255, 255, 255)"
        assert page.evaluate(f"{style}.color") == "rgb(0, 0, 0)"
        boxes = "[...document.querySelectorAll('.wide, .sheet, pre')]"
        assert page.evaluate(f"{boxes}.every((e) => getComputedStyle(e).overflowX === 'visible')")


def test_a_link_into_a_closed_part_opens_it(opened: Callable[..., Any]) -> None:
    page = opened("sheet")
    assert not page.locator("#net-layers").is_visible()
    page.evaluate("location.hash = '#net-layers'")
    page.locator("#net-layers").wait_for(state="visible")
