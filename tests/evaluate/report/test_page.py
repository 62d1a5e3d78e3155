"""The page of a comparison: what was found by size, as the metrics say that it be shown."""

from ctloupe.evaluate.comparison import Comparison
from ctloupe.evaluate.report.page import add_sizes
from ctloupe.evaluate.report.report import Report


def html_of(sizes):
    report = Report("a page")
    add_sizes(report, Comparison("p", {"bicubic": {}}, {}, facts={"by size": sizes} if sizes else {}))
    return report.html()


def test_structures_share_one_table_and_walls_have_their_own():
    one = {
        "vessel": {"under 2 mm": (1, 4), "2–3 mm": (2, 3)},
        "lumen": {"under 2 mm": (0, 1), "2–3 mm": (5, 6)},
        "wall": {"under 2 mm": (7, 0.51, 0.0321), "2–3 mm": (8, 0.62, float("nan"))},
    }
    page = html_of({"bicubic": one, "truth": one})
    for heading in ("vessel under 2 mm", "vessel 2–3 mm", "lumen under 2 mm", "lumen 2–3 mm"):
        assert page.count(f">{heading}<") == 1
    assert page.count(">1 of 4<") == page.count(">5 of 6<") == 2
    assert page.count(">0.032 (0.510)<") == page.count(">– (0.620)<") == 2
    assert page.count("Cross-sections found") == page.count("Mean absolute error of airway-wall thickness") == 1


def test_walls_alone_are_shown_and_without_sizes_there_is_no_section():
    assert ">0.032 (0.510)<" in html_of({"bicubic": {"wall": {"under 2 mm": (7, 0.51, 0.0321)}}})
    assert "By size" not in html_of({})
