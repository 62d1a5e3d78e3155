"""What a paper says of two rows, and whether ours show it."""

import pytest

from ctloupe.studies.claims import findings
from ctloupe.studies.definition import Study
from ctloupe.studies.results import Line, Table


def found(better, worse, direction="more"):
    study = Study.model_validate(
        {
            "name": "mine",
            "title": "t",
            "reference": "r",
            "protocols": ["paired-phantom"],
            "rows": [{"key": key, "label": key, "method": "unet"} for key in ("a", "b")],
            "claims": [{"text": "a is better", "better": "a", "worse": "b", "metric": "psnr_db"}],
        }
    )
    lines = [Line("a", "a", {"PSNR (dB)": better}), Line("b", "b", {"PSNR (dB)": worse})]
    return findings(study, [Table("paired-phantom, version 1", {"PSNR (dB)": ""}, {"PSNR (dB)": direction}, lines)])


@pytest.mark.parametrize(
    ("better", "worse", "verdict"),
    [
        ([3.0, 2.5], [2.0, 1.0], "seen"),
        ([1.0, 1.5], [2.0, 2.5], "the other way round"),
        ([3.0, 1.5], [2.0, 1.0], "not decided"),
        ([2.0, 2.0], [2.0, 2.0], "not decided"),
        ([3.0], [2.0, 1.0], "not decided"),
    ],
)
def test_a_claim_is_seen_where_no_training_contradicts_it(better, worse, verdict):
    (one,) = found(better, worse)
    assert one.verdict == verdict and one.protocol.startswith("paired-phantom")
    assert one.in_words.startswith("a is better: ")


def test_of_numbers_that_are_better_when_smaller_the_smaller_is_ahead():
    assert found([1.0, 1.1], [2.0, 2.1], "less")[0].verdict == "seen"


def test_a_claim_about_a_row_without_numbers_is_left_out():
    assert not found([], [1.0]) and not found([float("nan")], [1.0])
