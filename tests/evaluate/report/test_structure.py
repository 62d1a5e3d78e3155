"""Pages can be read by keyboard, screen reader, phone and printer, and explain only what they show."""

import re

import numpy as np
import pytest

from ctloupe.evaluate.alignment import interpolated
from ctloupe.evaluate.case import Case, evaluate_case
from ctloupe.evaluate.protocols.kernel_pair import compare_kernel_pair
from ctloupe.evaluate.protocols.registry import PROTOCOLS, metrics_by_label
from ctloupe.evaluate.report.page import add_result
from ctloupe.evaluate.report.pair import pair_report
from ctloupe.evaluate.report.report import Report
from ctloupe.evaluate.report.words import how_to_read
from ctloupe.volume.volume import Volume
from page_structure import elements, faults

SCAN = Volume(np.random.default_rng(0).normal(-800, 50, (2, 40, 40)).astype(np.int16), (1, 1, 1), units="HU")
SMALLEST_PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x07\0\0\0\x05"


def page_of(protocol):
    """The page of made-up numbers of every metric of a protocol."""
    report = Report("page")
    labels = [metric.label for metric in protocol.metrics]
    add_result(report, protocol.comparison({name: dict.fromkeys(labels, 1.5) for name in ("bicubic", "mine")}))
    return report.html()


@pytest.mark.parametrize("protocol", PROTOCOLS.values(), ids=lambda one: one.name)
def test_the_page_of_every_protocol_is_sound(protocol):
    assert not faults(page_of(protocol))


@pytest.mark.slow
def test_the_page_of_a_case_with_all_that_can_be_known_is_sound():
    fine = interpolated(SCAN, 2)
    labels = fine.with_data(np.ones(fine.shape, np.uint8), units="raw")
    sigma = fine.with_data(np.random.default_rng(1).uniform(1, 2, fine.shape).astype(np.float32))
    noisy = fine.with_data((np.asarray(fine.data) + np.random.default_rng(2).normal(0, 2, fine.shape)).astype(np.int16))
    case = Case(SCAN, {"mine": fine}, noisy, labels, deviation=sigma, factors={1: 2.0}, warnings=("odd",))
    assert not faults(evaluate_case(case, "A case")[1].html())


def test_the_pages_without_a_truth_and_of_a_pair_are_sound():
    fine = interpolated(SCAN, 2)
    assert not faults(evaluate_case(Case(SCAN, {"mine": fine}), "A case")[1].html())
    found = compare_kernel_pair((SCAN, SCAN), {"mine": (fine, fine)})
    assert not faults(pair_report(found, (SCAN, SCAN), {"bicubic": (fine, fine), "mine": (fine, fine)}).html())


def test_sections_pictures_and_tables_of_one_name_keep_anchors_and_labels_of_their_own():
    report = Report("page")
    for heading in ("Main", "Picture 1", "σ < µ", "σ < µ", "¿?"):
        report.section(heading)
        report.table(["row", "one"], [["a", "1"]], "the same caption")
        report.figure(SMALLEST_PNG, "a caption", "a picture")
    page = report.html()
    assert not faults(page)
    assert [one["text"] for one in elements(page, "nav")[0]["around"][-1:]] and "σ-µ-2" in page


def test_a_picture_is_a_link_that_opens_large_and_says_its_size_and_where_no_script_runs_it_still_does():
    report = Report("page")
    report.section("Pictures")
    report.figure(SMALLEST_PNG, "a caption", "what is seen")
    page = report.html()
    (figure,), (picture,) = elements(page, "figure"), elements(page, "img")
    (link,) = [one for one in elements(page, "a") if figure in one["around"] or one["around"][-1]["tag"] == "figure"]
    assert link["href"] == f"#{figure['id']}" and link["aria-label"] == "Show large: what is seen"
    assert (picture["alt"], picture["width"], picture["height"]) == ("what is seen", "7", "5")
    assert [one["text"] for one in elements(page, "button")] == ["Close"]
    assert re.search(r"figure:target img \{ max-width: none", page)


def test_the_page_is_dark_on_a_dark_screen_only_and_its_heads_stick_there_and_not_on_paper():
    style = elements(page_of(PROTOCOLS["jmi"]), "style")[0]["text"]
    assert "@media screen and (prefers-color-scheme: dark)" in style
    assert re.search(r"thead th \{ position: sticky; top: 0", style)
    paper = style.partition("@media print")[2]
    assert "position: static" in paper and "color-scheme: light" in paper and "sticky" not in paper


def test_advice_names_no_metric_that_is_not_shown():
    known = list(metrics_by_label())
    for protocol in PROTOCOLS.values():
        shown = [metric.label for metric in protocol.metrics]
        said = how_to_read(shown)
        for label in known:
            if not any(label in one for one in shown):
                assert label not in said
        assert ("true is told" in said) == any(label == "resolution (mm)" for label in shown)
    assert how_to_read([]) == ""
