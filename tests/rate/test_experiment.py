"""The experiments that come with the package ask what their papers say."""

import pytest

from ctloupe.foundation.errors import FileError
from ctloupe.rate.experiment import load_experiment, names


def test_isbi_has_its_two_criteria_six_stars_and_three_raters():
    found = load_experiment("isbi")
    assert found.criteria == {
        "good resolution and low noise level": (1, 6),
        "good shape and structural information": (1, 6),
    }
    assert len(found.raters) == 3 and "Left: the original" in found.instructions


def test_jmi_shows_its_crops_and_says_that_nobody_marked_them():
    found = load_experiment("jmi")
    assert found.side == 32 and found.mask == "lungs"
    assert "no raters and no marks" in found.note


@pytest.mark.parametrize("name", names())
def test_instructions_and_criteria_name_no_method(name):
    found = load_experiment(name)
    told = " ".join([found.instructions, *found.criteria]).casefold()
    assert not [word for word in ("gan", "net", "method", "bicubic", "interpol") if word in told]


def test_an_experiment_of_ones_own_is_a_file(tmp_path):
    content = load_experiment("isbi").model_dump_json()
    (tmp_path / "ours.yaml").write_text(content.replace('"name":"isbi",', "").replace('"side":32', '"side":24'))
    found = load_experiment(str(tmp_path / "ours.yaml"))
    assert found.name == "ours" and found.side == 24
    (tmp_path / "bad.yaml").write_text("title: nothing else")
    with pytest.raises(FileError, match="experiment: key 'reference': Field required"):
        load_experiment(str(tmp_path / "bad.yaml"))
