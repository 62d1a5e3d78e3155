"""Pictures of the viewer for the documentation, taken by a real browser.

    python benchmarks/view_pictures.py --scan SCAN --enhanced STORE --at 33,240,120 --out docs/images

Needs Chromium and Playwright.
"""

from __future__ import annotations

import argparse
import io
import shutil
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page
from view import chromium, viewer

import ctloupe
from ctloupe.display.frame import Frame

COLOURS = 128


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scan", type=Path, required=True)
    parser.add_argument("--enhanced", type=Path, required=True)
    parser.add_argument("--at", required=True, help="Z,Y,X in voxels of the scan")
    parser.add_argument("--millimetres", type=float, default=60.0, help="height of what is shown")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--chromium", default=shutil.which("chromium"))
    options = parser.parse_args()
    scan = ctloupe.read(options.scan)
    z, y, x = (float(one) for one in options.at.split(","))
    at = Frame.of(scan).coordinates(scan.physical((z, y, x)))[::-1]
    place = f"at={','.join(f'{one:.4f}' for one in at)}"
    zoom = f"zoom={options.millimetres / 620:.5f}"
    with viewer(str(options.scan), f"enhanced={options.enhanced}") as (_, link), chromium(options.chromium) as browser:
        page = browser.new_page(viewport={"width": 1366, "height": 768})
        page.goto(link)
        page.wait_for_selector("#stage[data-state=complete]")
        take(page, f"{place}&{zoom}&mode=swipe&panes=0,1", options.out / "view-swipe.png")
        take(page, f"{place}&{zoom}&mode=side&panes=0,1&map=2", options.out / "view-map.png")


def take(page: Page, view: str, path: Path) -> None:
    """Write what a view looks like, in few colours."""
    page.evaluate(f"location.hash = '{view}'")
    page.wait_for_timeout(500)
    page.wait_for_selector("#stage[data-state=complete]")
    page.wait_for_timeout(500)
    with Image.open(io.BytesIO(page.screenshot())) as picture:
        picture.convert("RGB").quantize(COLOURS).save(path, optimize=True)
    print(path)


if __name__ == "__main__":
    main()
