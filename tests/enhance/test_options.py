"""Options are validated once, and each is part of what decides the result unless it is excepted by name."""

from dataclasses import replace

import pytest
from pydantic import ValidationError

from ctloupe.enhance.options import EnhanceOptions
from ctloupe.enhance.resolver import load_model
from ctloupe.foundation.errors import OptionError


class WithSharpening(EnhanceOptions):
    """Options of a package that adds one."""

    sharpening: int = 0


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"stitch": "sewn"}, "`stitch` sewn: expected calibrated, slice or patches"),
        ({"precision": "half"}, "`precision` half: expected auto, bf16 or float32"),
        ({"tile": 3}, "`tile` 3: expected at least 8"),
        ({"samples": -1}, "`samples` -1"),
        ({"stitch": "patches", "median": 2}, "`median` 2: expected an odd number"),
        ({"blend": -1.0}, "`blend` -1: expected a distance in mm"),
        ({"blend": float("inf")}, "`blend` inf"),
        ({"median": 3}, "belong to `stitch` patches"),
        ({"match_histograms": True}, "belong to `stitch` patches"),
        ({"stitch_size": 48}, "`stitch_size` belongs to `stitch` patches"),
        ({"stitch": "patches", "stitch_size": 4}, "`stitch_size` 4: expected at least 8"),
        ({"consistent_with": "plane"}, "`consistent_with` plane belongs to `consistent`"),
        ({"stitch": "slice", "consistent": True}, "`consistent` belongs to `stitch` calibrated"),
    ],
)
def test_what_cannot_be_is_an_error_that_names_the_option(asked, message):
    with pytest.raises(OptionError, match=message):
        EnhanceOptions(**asked)


@pytest.mark.parametrize("asked", [{"nonsense": 1}, {"samples": "many"}, {"tile": 8.5}, {"stitch": "sewn"}])
def test_a_model_is_applied_only_as_there_are_options_for(asked):
    (name,) = asked
    with pytest.raises(OptionError, match=name):
        load_model("bicubic", 8, **asked)
    with pytest.raises(OptionError, match=name):
        load_model("bicubic", 8).with_options(**asked)


def test_an_unknown_option_is_told_with_those_there_are():
    with pytest.raises(
        OptionError, match=r"options of enhance: key 'nonsense'.*keys are: stitch, stitch_size, seed, samples"
    ):
        EnhanceOptions.of({"nonsense": 1})


def test_other_options_of_a_model_keep_those_of_a_package_that_adds_some():
    resolver = replace(load_model("bicubic", 8), options=WithSharpening(sharpening=2))
    assert resolver.with_options(seed=3).options == WithSharpening(sharpening=2, seed=3)


def test_a_record_is_frozen_and_knows_its_options():
    options = EnhanceOptions(seed=3)
    with pytest.raises(ValidationError, match="frozen"):
        options.seed = 4
    with pytest.raises(ValidationError, match="sharpening"):
        EnhanceOptions(sharpening=1)


def test_an_option_decides_the_result_unless_it_is_excepted_by_name():
    assert WithSharpening(sharpening=2).deciding()["sharpening"] == 2
    left_out = set(EnhanceOptions.model_fields) - set(EnhanceOptions().deciding())
    assert left_out == EnhanceOptions.WITHOUT_INFLUENCE == {"memory", "precision", "tile"}
