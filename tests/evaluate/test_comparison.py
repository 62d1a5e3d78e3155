"""Records: what is kept of a comparison on disk."""

import numpy as np
import pytest

from ctloupe.evaluate.comparison import load_comparison
from ctloupe.evaluate.protocols.paired_phantom import PAIRED_PHANTOM
from ctloupe.foundation.errors import FileError


def result(mine=17.0, **more):
    rows = {"bicubic": {"PSNR (dB)": 16.0}, "mine": {"PSNR (dB)": mine}}
    return PAIRED_PHANTOM.comparison(rows | more, data={"scan": "a"})


def test_a_result_survives_the_disk_with_what_is_not_finite(tmp_path):
    found = result(float("inf"), truth={"PSNR (dB)": float("nan")})
    found.save(tmp_path / "metrics.json")
    text = (tmp_path / "metrics.json").read_text()
    assert "Infinity" not in text and "NaN" not in text
    again = load_comparison(tmp_path / "metrics.json")
    assert again.rows["mine"] == found.rows["mine"] and np.isnan(again.rows["truth"]["PSNR (dB)"])
    assert (again.protocol, again.data, again.better) == (found.protocol, found.data, found.better)


def test_a_record_keeps_the_ideal_that_values_are_to_be_near_to(tmp_path):
    label = "consistency χ²"
    PAIRED_PHANTOM.comparison({"bicubic": {label: 3.0}}).save(tmp_path / "metrics.json")
    assert load_comparison(tmp_path / "metrics.json").ideal == {label: 1.0}


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"rows": {"mine": {}}, "protocol": "x", "definitions": {}}'])
def test_what_is_no_result_is_refused(tmp_path, content):
    (tmp_path / "metrics.json").write_text(content)
    with pytest.raises(FileError, match="not a valid result"):
        load_comparison(tmp_path / "metrics.json")


def test_a_number_that_is_none_is_refused_with_its_place(tmp_path):
    result().save(tmp_path / "metrics.json")
    text = (tmp_path / "metrics.json").read_text().replace("17.0", '"many"')
    (tmp_path / "metrics.json").write_text(text)
    with pytest.raises(FileError, match=r"rows\.mine\.PSNR \(dB\).*many.*give its metrics.json"):
        load_comparison(tmp_path / "metrics.json")
