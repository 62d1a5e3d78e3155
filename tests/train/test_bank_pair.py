"""Banks that a method can be trained on, and those that it cannot."""

import sys

import pytest

from ctloupe import methods
from ctloupe.foundation.errors import OptionError
from ctloupe.prepare.patches import PatchBank
from ctloupe.train.loop import train
from ctloupe.train.pairs import write_pairs
from ctloupe.train.stages import load_method


@pytest.mark.parametrize("method", ["physics-flow", "physics-srgan"])
def test_methods_that_model_a_scanner_refuse_scans_without_hu_in_common(method, settings, min_max_bank, tmp_path):
    with pytest.raises(OptionError, match=rf"method {method} models a scanner, .* `clinical_window` LOW,HIGH"):
        train(settings(method=method, bank=min_max_bank))
    assert not (tmp_path / "run").exists()


def test_every_method_that_estimates_a_scanner_says_so():
    for name in methods.names():
        kind = methods.get(name)
        assert kind.needs_hu == hasattr(sys.modules[kind.__module__], "estimate_scanner"), name


def test_pairs_made_from_such_a_bank_are_scaled_as_it_is(min_max_model, tmp_path):
    write_pairs(min_max_model.parent, tmp_path / "pairs")
    clinical = PatchBank.load(tmp_path / "pairs" / "clinical.bank")
    assert clinical.scaling == "min-max"
    method = load_method(min_max_model.parent)
    assert method.config.scale == 4 and abs(clinical.unit()).max() <= 1
