"""Drawings measured in Chromium: what a page of them says of every text and box."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Browser

_MEASURE = """
() => [...document.querySelectorAll('section')].map(section => {
  const svg = section.querySelector('svg'), found = [];
  const [, , width, height] = svg.getAttribute('viewBox').split(' ').map(Number);
  const near = 0.6, pad = 0.16;
  const box = e => { const b = e.getBBox(); return [b.x, b.y, b.x + b.width, b.y + b.height]; };
  const texts = [...svg.querySelectorAll('text')].map(e => {
    const [a, b, c, d] = box(e), cut = (d - b) * pad;   // above capitals, below the line
    return {at: [a, b + cut, c, d - cut], kind: e.getAttribute('class') || '', said: e.textContent};
  });
  const rects = [...svg.querySelectorAll('rect')].map(e => (
    {at: box(e), kind: e.getAttribute('class')})).filter(r => !['paper', 'group'].includes(r.kind));
  const frames = [...svg.querySelectorAll('rect.group')].map(box);
  const meet = (a, b) => Math.min(a[2], b[2]) - Math.max(a[0], b[0]) > near
    && Math.min(a[3], b[3]) - Math.max(a[1], b[1]) > near;
  const holds = (a, b) => a[0] <= b[0] && a[1] <= b[1] && a[2] >= b[2] && a[3] >= b[3];
  texts.forEach((one, i) => {
    if (!holds([0, 0, width, height], one.at)) found.push(`${one.said}: leaves the page`);
    texts.slice(i + 1).forEach(other => {
      if (meet(one.at, other.at)) found.push(`${one.said} lies over ${other.said}`);
    });
    const around = rects.filter(r => meet(r.at, one.at));
    const inside = one.kind === '' || one.kind === 'small';
    if (inside && !(around.length === 1 && holds(around[0].at, one.at)))
      found.push(`${one.said}: ${around.length} boxes, or wider than its box`);
    if (!inside && around.some(r => !holds(r.at, one.at))) found.push(`${one.said}: over a box`);
    frames.forEach(f => {
      if (meet(f, one.at) && !holds(f, one.at)) found.push(`${one.said}: over a frame`);
    });
  });
  rects.forEach((one, i) => rects.slice(i + 1).forEach(other => {
    if (meet(one.at, other.at)) found.push(`boxes at ${one.at} and ${other.at} overlap`);
  }));
  const shapes = [...svg.querySelectorAll('rect, path, circle, text')];
  if (shapes.some(e => getComputedStyle(e).fill === 'rgb(0, 0, 0)')) found.push('black');
  return [section.id, found];
})
"""


@contextmanager
def page(browser: Browser, *, dark: bool = False) -> Iterator[Any]:
    """An empty page of the browser."""
    opened = browser.new_page(color_scheme="dark" if dark else "light")
    yield opened
    opened.close()


def mistakes(page: Any, drawings: Mapping[str, str], font: str = "") -> dict[str, list[str]]:
    """What lies over something else, or outside its box, in each drawing; in another font."""
    style = f"<style>text {{ font-family: {font} !important }}</style>" if font else ""
    sections = "".join(f'<section id="{name}">{svg}</section>' for name, svg in drawings.items())
    page.set_content(f"<body>{style}{sections}</body>")
    return {name: found for name, found in page.evaluate(_MEASURE) if found}
