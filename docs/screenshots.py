"""The top of a page that `resgen report` wrote as two small PNGs, light and dark, for the README.

    resgen report resnet50 -o resnet50.html
    python docs/screenshots.py resnet50.html docs/resnet50

writes docs/resnet50-light.png and docs/resnet50-dark.png, each below 150 KB. Needs playwright
(extra `dev`) and a Chromium, the system's or playwright's own.
"""

from __future__ import annotations

import argparse
import shutil
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

LARGEST = 150_000


def main() -> None:
    """Takes both pictures."""
    parser = argparse.ArgumentParser(description="Screenshots of a page, light and dark.")
    parser.add_argument("page", type=Path, help="a page that resgen report wrote")
    parser.add_argument("stem", type=Path, help="where the pictures go, without -light.png")
    parser.add_argument("--width", type=int, default=1120)
    parser.add_argument("--height", type=int, default=1240)
    asked = parser.parse_args()
    with sync_playwright() as driver:
        path = shutil.which("chromium") or shutil.which("google-chrome")
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        for scheme in ("light", "dark"):
            page = browser.new_page(
                viewport={"width": asked.width, "height": asked.height}, color_scheme=scheme
            )
            page.goto(asked.page.resolve().as_uri())
            file = asked.stem.with_name(f"{asked.stem.name}-{scheme}.png")
            file.write_bytes(small(page.screenshot()))
            print(f"wrote {file} ({file.stat().st_size / 1000:.0f} KB)")
        browser.close()


def small(picture: bytes) -> bytes:
    """The picture in all its colours, or in 256 where that alone keeps it below the limit."""
    image = Image.open(BytesIO(picture)).convert("RGB")
    # Of the ways to choose 256, the one that keeps the colours of a few thin lines.
    for made in (image, image.quantize(256, Image.Quantize.MAXCOVERAGE)):
        out = BytesIO()
        made.save(out, "PNG", optimize=True)
        if out.tell() < LARGEST:
            return out.getvalue()
    raise SystemExit(f"over {LARGEST // 1000} KB; give a smaller --height")


if __name__ == "__main__":
    main()
