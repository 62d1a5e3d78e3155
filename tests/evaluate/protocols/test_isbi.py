"""Minimum Hu-moment distance to unpaired µCT."""

import numpy as np

from ctloupe.enhance.resolver import load_model
from ctloupe.evaluate.protocols.isbi import compare_by_hu_moments
from ctloupe.images.windows import IntensityWindow
from ctloupe.volume.volume import Volume


def test_the_hu_moment_protocol_is_zero_for_slices_that_are_among_the_specimens():
    scan = Volume(np.random.default_rng(0).normal(-700, 150, (3, 20, 20)).astype(np.int16), (1, 1, 1), units="HU")
    fine = load_model("bicubic", 2).enhance(scan)
    window = IntensityWindow(-1000, 400)
    same = compare_by_hu_moments({"same": fine}, scan, fine.with_data(np.asarray(fine.data), "copy"), window, window)
    assert same.protocol == "isbi, version 1" and list(same.rows) == ["bicubic", "same"]
    assert same.rows["same"]["m-HuM"] == 0
    other = fine.with_data(np.asarray(fine.data)[:, :, ::-1] // 2 - 600, "another")
    assert compare_by_hu_moments({"same": fine}, scan, other, window, window).rows["same"]["m-HuM"] > 0
