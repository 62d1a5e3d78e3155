"""Pages and pictures: self-contained, escaped, readable."""

import base64
import hashlib
import html
import io
import re

import numpy as np
import pytest
from PIL import Image

from ctloupe.evaluate.alignment import interpolated
from ctloupe.evaluate.case import Case, evaluate_case
from ctloupe.evaluate.comparison import Comparison
from ctloupe.evaluate.protocols.paired_phantom import PAIRED_PHANTOM
from ctloupe.evaluate.report.page import (
    add_result,
    chosen_box,
    chosen_slice,
)
from ctloupe.evaluate.report.pictures import Axes2D, Box, View, curves, difference_panel, loss_curves, panel, signed_map
from ctloupe.evaluate.report.report import Report
from ctloupe.evaluate.report.words import in_short, in_words, tissues_in_words
from ctloupe.evaluate.tissues import TissueError
from ctloupe.foundation.errors import FileError
from ctloupe.foundation.notice import RESEARCH_NOTICE
from ctloupe.volume.volume import Volume


def decoded(png):
    return np.asarray(Image.open(io.BytesIO(png)).convert("L"))


def view(name="a", shape=(16, 16), spacing=(1.0, 1.0)):
    values = np.random.default_rng(len(name)).normal(-600, 300, shape)
    return View(name, values, spacing, (-1000, 200))


def test_panels_are_pictures_with_content():
    views = [view("scan"), view("enhanced", (64, 64), (0.25, 0.25))]
    for png in (panel(views), panel(views, zoom=Box(2, 3, 5)), panel(views * 2, rows=2)):
        assert decoded(png).std() > 20
    assert decoded(difference_panel([view("a")], view("truth"), 400)).std() > 5


def test_loss_curves_take_constants_negatives_and_short_runs():
    columns = {"constant": [1.0] * 30, "negative": list(np.linspace(-2, 2, 30)), "steep": list(10.0 ** -np.arange(30))}
    assert decoded(loss_curves(range(30), columns)).std() > 5
    assert decoded(loss_curves([1], {"one": [0.5]})).size


def test_the_page_loads_nothing_and_escapes_everything(tmp_path):
    report = Report("A <script>alert(1)</script> title")
    report.section("<b>Heading</b>")
    report.text("5 < 6 & <img src=x>")
    report.table(["", "<i>"], [["row", "<u>"]])
    report.figure(panel([view()]), 'caption "quoted" <em>', 'what "is" seen <em>')
    report.terms({"<dt>": "<dd>"})
    report.write(tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert page.count("<script") == 1
    assert "<img src=x>" not in page
    for text in ("&lt;b&gt;Heading", "5 &lt; 6 &amp;", "&lt;u&gt;"):
        assert text in page
    assert all(source.startswith("data:image/png;base64,") for source in re.findall(r'src="([^"]*)"', page))
    assert all(link.startswith("#") for link in re.findall(r'href="([^"]*)"', page))
    assert 'alt="what &#34;is&#34; seen &lt;em&gt;"' in page
    # At both ends, and at the foot of every printed sheet.
    assert page.count(RESEARCH_NOTICE) == 3
    picture = re.search(r'base64,([^"]+)"', page).group(1)
    assert decoded(base64.b64decode(picture)).size


def test_a_browser_lets_the_page_run_its_own_script_and_load_nothing():
    report = Report("x")
    report.section("y")
    page = report.html()
    (script,) = re.findall(r"<script>(.*?)</script>", page, flags=re.S)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', page)
    allowed = html.unescape(policy).split("; ")
    assert allowed[0] == "default-src 'none'" and f"script-src 'sha256-{digest}'" in allowed
    assert {one for one in allowed if "'none'" not in one and "script" not in one} == {
        "img-src data:",
        "style-src 'unsafe-inline'",
    }


def test_a_page_needs_a_section_and_does_not_replace_a_file_unasked(tmp_path):
    with pytest.raises(ValueError, match="section"):
        Report("x").text("too early")
    (tmp_path / "page.html").write_text("mine")
    with pytest.raises(FileError, match="overwrite"):
        Report("x").write(tmp_path / "page.html", overwrite=False)


def test_line_figures_and_maps_have_content():
    lines = {"bicubic": ([0, 1], [1, 0.5]), "mine": ([0, 1], [1, 0.1]), "truth": ([0, 1], [1, 1])}
    assert decoded(curves(lines, Axes2D("x", "y", log=True, lines={"1/7": 1 / 7}, diagonal=True))).std() > 5
    assert decoded(signed_map(view("map"), 100)).std() > 5


@pytest.fixture(scope="module")
def evaluated():
    """What was found of a small case, and its page."""
    scan = Volume(np.random.default_rng(0).normal(-800, 50, (2, 40, 40)).astype(np.int16), (1, 1, 1), units="HU")
    fine = interpolated(scan, 2)
    found, report = evaluate_case(Case(scan, {"mine": fine}, fine, warnings=("the spacing is <odd>",)), "A case")
    return found, report.html()


@pytest.mark.slow
def test_a_comparison_shows_every_number_with_its_definition(evaluated):
    found, page = evaluated
    for metric in found.definitions:
        assert page.count(metric) >= 2
    for wanted in (
        "must not be compared",
        "the spacing is &lt;odd&gt;",
        "The best of",
        "The median of",
        "The worst of",
    ):
        assert wanted in page
    # A slice, differences, three crops, the consistency map, and two figures of curves.
    assert page.count("data:image/png") == 8


@pytest.mark.slow
def test_the_report_of_a_case_goes_from_warnings_and_pictures_to_what_was_found_and_then_tables(evaluated):
    _, page = evaluated
    order = [page.index(one) for one in ("the spacing is &lt;odd&gt;", "<img", ">What was found</h2>", "<table")]
    assert order == sorted(order)


def test_a_picture_is_drawn_when_the_page_is_written_and_once():
    drawn = []

    def draw():
        drawn.append(1)
        return panel([view()])

    report = Report("x")
    report.section("Pictures")
    report.figure(draw, "a caption", "a picture")
    assert not drawn
    assert report.html() == report.html() and len(drawn) == 1


def test_words_say_better_and_worse_in_the_right_direction():
    rows = {
        "bicubic": {"PSNR (dB)": 20, "MAE (HU)": 100, "consistency bias (HU)": -1, "SSIM": 0.5, "consistency χ²": 2.5},
        "mine": {"PSNR (dB)": 21, "MAE (HU)": 120, "consistency bias (HU)": 0.5, "SSIM": 0.5, "consistency χ²": 0.4},
    }
    rows["bicubic"]["mesh (dB)"], rows["mine"]["mesh (dB)"] = -0.5, 0.9
    text = " ".join(in_words(PAIRED_PHANTOM.comparison(rows, limits={"mesh (dB)": 0.8}), "mine"))
    assert "PSNR (dB) 21, better than bicubic" in text
    assert "MAE (HU) 120, worse than bicubic" in text
    assert "consistency bias (HU) 0.5, better than" in text
    assert "SSIM 0.5, as good as" in text
    assert "consistency χ² 0.4, better than" in text
    assert "mesh (dB) 0.9, better than" in text


@pytest.mark.parametrize(
    ("scanner", "said"),
    [
        ({"blur_mm": 0.24, "noise_hu": 20.3, "found_from": "truth and scan"}, "0.24 mm .* 20 HU, .* truth and scan"),
        ({"blur_mm": None, "noise_hu": None, "found_from": "too few edges"}, "not measured: too few edges"),
    ],
)
def test_the_page_says_what_scanner_the_scan_was_compared_by_or_why_by_none(scanner, said):
    report = Report("A page")
    add_result(report, PAIRED_PHANTOM.comparison({"bicubic": {"SSIM": 0.5}}, facts={"scanner": scanner}))
    assert re.search(said, report.html())


def test_the_page_says_why_trees_were_left_out():
    report, facts = Report("A page"), {"trees": {"vessel": "the vessel tree was left out: slices are 5 mm apart"}}
    add_result(report, PAIRED_PHANTOM.comparison({"bicubic": {"SSIM": 0.5}}, facts=facts))
    assert "The vessel tree was left out: slices are 5 mm apart." in report.html()


def test_one_sentence_says_which_questions_are_answered_better_and_which_worse():
    definitions = {
        "PSNR (dB)": "",
        "MAE (HU)": "",
        "resolution (mm)": "",
        "spectrum distance (dB)": "",
        "walls found": "",
    }
    nothing = float("nan")
    rows = {
        "bicubic": dict(zip(definitions, (20, 100, 0.9, 10, nothing), strict=True)),
        "mine": dict(zip(definitions, (21, 120, 0.4, 20, nothing), strict=True)),
    }
    found = Comparison("p", rows, definitions)
    assert in_short(found, "mine") == (
        "mine, compared with bicubic interpolation, is better at: finest true detail; worse at: texture like the "
        "truth's or the µCT's; better in some numbers, worse in others at: right value at the right voxel."
    )
    assert "nan" not in " ".join(in_words(found, "mine"))


def test_the_slice_and_the_region_shown_follow_a_rule():
    values = np.full((3, 40, 40), -850, np.int16)
    values[1, 25:29, 10:14] = 100
    scan = Volume(values, (1, 0.5, 0.5))
    mask = np.zeros(values.shape, bool)
    mask[1] = True
    assert chosen_slice(scan, mask) == 1
    assert chosen_slice(scan, None) == 1
    box = chosen_box(values[1].astype(np.float32), (0.5, 0.5), None)
    assert box.top <= 25 * 0.5
    assert box.top + box.side >= 29 * 0.5
    assert box.left <= 10 * 0.5
    assert box.left + box.side >= 14 * 0.5


def test_words_on_tissues_name_those_that_gain_and_those_that_lose():
    one = TissueError(10, 0.0, {}, {"bicubic": 5.0, "mine": 3.0})
    other = TissueError(10, 0.0, {}, {"bicubic": 5.0, "mine": 8.0})
    text = tissues_in_words({"artery": one, "parenchyma": other}, "mine")
    assert "smaller in artery; larger in parenchyma" in text
