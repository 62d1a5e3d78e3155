"""The page itself: anchors, tables, pictures that open, light and dark; read by a parser and by a real browser."""

import io
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from browser import browser, needs_browser, violations
from ctloupe.evaluate.report.report import Report


def made():
    """A page with every kind of part, and a table wider than a phone."""
    picture = io.BytesIO()
    Image.fromarray(np.tile(np.arange(256, dtype=np.uint8), (900, 6))).save(picture, "PNG")
    report = Report("A comparison")
    for heading in ("Pictures", "Numbers"):
        report.section(heading)
        report.text("What was found.", "lead")
        report.text("The spacing is odd.", "warning")
        report.figure(picture.getvalue(), "a caption", f"a ramp under {heading}")
        for _ in range(2):
            rows = [[f"metric {at}", *(f"{at}.{column}00" for column in range(24))] for at in range(60)]
            report.table(["", *(f"row {column}" for column in range(24))], rows)
        report.terms({"PSNR (dB)": "how near it is"})
    return report


class _Elements(HTMLParser):
    """Every element with what it has and its path."""

    def __init__(self, page):
        super().__init__()
        self.found, self.path = [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs), tuple(self.path)))
        if tag not in ("meta", "img"):
            self.path.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.path.pop()[0] == tag

    def of(self, tag):
        return [(attributes, path) for found, attributes, path in self.found if found == tag]


def test_there_is_one_main_one_heading_and_every_link_leads_somewhere():
    elements = _Elements(made().html())
    assert len(elements.of("main")) == len(elements.of("h1")) == 1
    names = [attributes["id"] for _, attributes, _ in elements.found if "id" in attributes]
    assert len(names) == len(set(names))
    links = [attributes["href"] for attributes, _ in elements.of("a")]
    assert links[0] == "#main"
    assert {"#section-1", "#section-2"} <= set(links)
    assert {link.removeprefix("#") for link in links} <= set(names)


def test_every_table_scrolls_in_a_named_region_and_its_heads_say_of_what():
    elements = _Elements(made().html())
    tables = [path[-1][1] for _, path in elements.of("table")]
    assert len(tables) == 4
    assert all(one["class"] == "table" and one["tabindex"] == "0" and one["role"] == "region" for one in tables)
    assert len({one["aria-label"] for one in tables}) == 4
    for attributes, path in elements.of("th"):
        assert attributes["scope"] == ("col" if "thead" in [tag for tag, _ in path] else "row")


@pytest.mark.slow
@needs_browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1366, 390])
def test_a_browser_finds_nothing_wrong_and_nothing_wider_than_the_page(tmp_path, width, scheme):
    made().write(tmp_path / "page.html")
    with browser() as started:
        page = started.new_page(viewport={"width": width, "height": 768}, color_scheme=scheme)
        page.goto((tmp_path / "page.html").as_uri())
        assert violations(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.slow
@needs_browser
def test_a_picture_opens_large_and_closes_by_keyboard_and_a_wide_table_keeps_its_heads(tmp_path):
    made().write(tmp_path / "page.html")
    with browser() as started:
        page = started.new_page(viewport={"width": 1366, "height": 768})
        page.goto((tmp_path / "page.html").as_uri())
        picture = page.locator("#picture-1 img")
        small = picture.bounding_box()["width"]
        page.locator("#opened-picture-1").focus()
        page.keyboard.press("Enter")
        assert picture.bounding_box()["width"] == 1536 > small
        page.locator("#picture-1 .close").focus()
        page.keyboard.press("Enter")
        assert picture.bounding_box()["width"] == small
        region = page.locator(".table").first
        region.evaluate("one => one.scrollTo(400, 400)")
        corner, edge = page.locator(".table thead th").first.bounding_box(), region.bounding_box()
        assert (corner["x"], corner["y"]) == pytest.approx((edge["x"], edge["y"]), abs=1)
