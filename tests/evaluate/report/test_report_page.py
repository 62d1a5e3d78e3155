"""A report in a real browser: light and dark, wide and narrow, with every kind of part."""

import io

import numpy as np
import pytest
from PIL import Image

from browser import browser, needs_browser, violations
from ctloupe.evaluate.report.report import Report

pytestmark = [pytest.mark.slow, needs_browser]


@pytest.fixture(scope="module")
def chromium():
    with browser() as started:
        yield started


@pytest.fixture
def page_file(tmp_path):
    """A page with every kind of part, and a table wider than a phone."""
    picture = io.BytesIO()
    Image.fromarray(np.tile(np.arange(256, dtype=np.uint8), (900, 6))).save(picture, "PNG")
    report = Report("A comparison")
    for heading in ("Pictures", "Numbers"):
        report.section(heading)
        report.text("What was found.", "lead")
        report.text("The spacing is odd.", "warning")
        report.figure(picture.getvalue(), "a caption", f"a ramp under {heading}")
        rows = [[f"metric {at}", *(f"{at}.{column}00" for column in range(24))] for at in range(6)]
        report.table(["", *(f"row {column}" for column in range(24))], rows)
        report.terms({"PSNR (dB)": "how near it is"})
    report.write(tmp_path / "report.html")
    return tmp_path / "report.html"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1366, 390])
def test_axe_finds_nothing_and_nothing_is_wider_than_the_window(chromium, page_file, width, scheme):
    context = chromium.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
    page = context.new_page()
    told = []
    page.on("console", lambda message: told.append(message.text))
    page.goto(f"file://{page_file}")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert not [text for text in told if "Content Security Policy" in text]
    # What axe puts into the page is no script of it.
    context = chromium.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme, bypass_csp=True)
    page = context.new_page()
    page.goto(f"file://{page_file}")
    assert violations(page) == []


def test_a_picture_opens_large_with_the_keyboard_and_closes_again(chromium, page_file):
    page = chromium.new_context(viewport={"width": 1366, "height": 800}).new_page()
    page.goto(f"file://{page_file}")
    small = page.locator("main img").first.bounding_box()["height"]
    page.locator("main figure :is(a, button)").first.focus()
    page.keyboard.press("Enter")
    page.wait_for_timeout(300)
    heights = page.evaluate(
        "() => [...document.querySelectorAll('img')].filter((one) => one.checkVisibility()).map((one) => one.height)"
    )
    assert max(heights) > small
    page.keyboard.press("Escape")
    page.wait_for_timeout(300)
    assert page.locator("dialog[open]").count() == 0
