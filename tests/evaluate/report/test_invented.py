"""The map of what is invented is summed up over what was enhanced, and shown with a sentence."""

import numpy as np
import pytest

from ctloupe.evaluate.report.invented import add_invented, invented_share
from ctloupe.evaluate.report.page import Shown
from ctloupe.evaluate.report.report import Report
from ctloupe.foundation.errors import GeometryError
from ctloupe.volume.geometry import refined_grid
from ctloupe.volume.volume import Volume

SCAN = Volume(np.full((2, 8, 8), -800, np.int16), (1.0, 1.0, 1.0), modality="clinical")
SPACING, ORIGIN = refined_grid(SCAN.spacing, SCAN.origin, SCAN.direction, 2)


def fine(values):
    return SCAN.with_data(values, spacing=SPACING, origin=ORIGIN)


def test_mean_and_part_are_those_of_what_was_enhanced_inside_the_mask():
    values = np.zeros((2, 16, 16), np.float32)
    values[0, :, :8], values[1, :, :8] = 0.5, 0.9
    enhanced = fine(np.zeros((2, 16, 16), np.int16))
    whole = invented_share(fine(values), enhanced, None)
    assert whole.mean == pytest.approx(0.7) and whole.mostly == pytest.approx(0.5)
    mask = np.zeros((2, 8, 8), bool)
    mask[1] = True
    assert invented_share(fine(values), enhanced, mask).mean == pytest.approx(0.9)
    with pytest.raises(GeometryError, match="`invented`"):
        invented_share(SCAN, enhanced, None)


def test_the_page_shows_it_with_a_sentence():
    values = np.full((2, 16, 16), 0.6, np.float32)
    enhanced = fine(np.full((2, 16, 16), -800, np.int16))
    report = Report("page")
    add_invented(report, Shown(SCAN, {"mine": enhanced}), fine(values), invented_share(fine(values), enhanced, None))
    assert "In mine the scan leaves open 60%" in report.html() and report.html().count("<img") == 1
