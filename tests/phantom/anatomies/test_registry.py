"""The anatomies there are: what each says about itself, and which one labels and values belong to."""

import subprocess
import sys
from dataclasses import replace
from enum import IntEnum
from importlib.metadata import EntryPoint
from types import SimpleNamespace

import numpy as np
import pytest

from ctloupe.foundation.errors import OptionError
from ctloupe.phantom.anatomies import registry
from ctloupe.phantom.anatomies.lung import LUNG, LungLabel
from ctloupe.phantom.anatomies.registry import (
    BUILT_IN,
    DEFAULT,
    anatomies,
    get,
    names,
    of_labels,
    of_value,
    tissue_names,
)
from ctloupe.phantom.anatomies.temporal_bone import TEMPORAL_BONE, TemporalBoneLabel


class Few(IntEnum):
    OUTSIDE = 0
    CORTEX = 2


EVERY = pytest.mark.parametrize("name", names())


def test_an_anatomy_is_listed_under_its_own_name_and_the_default_is_the_first():
    assert [one.name for one in anatomies()] == names()
    assert names()[: len(BUILT_IN)] == list(BUILT_IN) and names()[0] == DEFAULT
    with pytest.raises(OptionError, match="'spleen'; there are: lung, temporal-bone, lung-b"):
        get("spleen")


def test_no_two_organs_share_a_label_but_outside():
    numbers = [int(number) for labels in {one.labels for one in anatomies()} for number in labels if number]
    assert len(set(numbers)) == len(numbers)
    assert tissue_names() == {0: "outside"} | {n: t for one in anatomies() for n, t in one.tissues().items()}
    assert tissue_names()[2] == "airway lumen" and tissue_names()[12] == "fluid"


@EVERY
def test_an_anatomy_names_only_labels_it_has(name):
    one = get(name)
    named = {label for rule in one.structures for label in rule.labels} | set(one.micro.stained)
    named |= {one.walls.lumen, one.walls.wall, one.walls.around} if one.walls else set()
    assert named <= set(one.tissues()) - {0}
    assert one.tissues()[0] == "outside" and all(0 <= number < 256 for number in one.tissues())
    assert one.display[0] < one.display[1]


@EVERY
def test_an_anatomy_is_built_with_its_labels_in_its_window_and_within_16_bits_of_raw_units(name):
    one = get(name)
    made = one.make((16, 48, 48), 5, one.usual.spacing, {})
    assert made.hu.dtype == np.int16 and made.labels.dtype == np.uint8 and made.hu.shape == made.labels.shape
    assert set(np.unique(made.labels)) <= set(one.tissues())
    assert 2500 + (made.hu.max() + 1000.0) * one.micro.gain < 2**15
    same, other = (one.make((16, 48, 48), seed, one.usual.spacing, {}) for seed in (5, 6))
    assert np.array_equal(made.hu, same.hu) and not np.array_equal(made.hu, other.hu)


@EVERY
def test_families_of_one_organ_are_shown_scanned_and_judged_alike(name):
    one, first = get(name), of_labels(get(name).tissues())
    alike = ("labels", "display", "micro", "structures", "walls")
    assert all(getattr(one, part) == getattr(first, part) for part in alike)


def test_labels_say_which_anatomy_they_are_of():
    assert of_labels([0, 1, 2]) is LUNG
    assert of_labels(np.array([0, TemporalBoneLabel.CAPSULE, TemporalBoneLabel.FLUID], np.uint8)) is TEMPORAL_BONE
    assert of_labels([0]) is get(DEFAULT)
    assert of_labels([0, 200]) is None
    assert of_labels([LungLabel.NODULE, *list(TemporalBoneLabel)]) is TEMPORAL_BONE


def test_the_middle_value_of_an_image_says_how_it_is_shown():
    assert of_value(-850).display == LUNG.display
    assert of_value(1400).display == TEMPORAL_BONE.display
    assert of_value(-3000) is of_value(9000) is get(DEFAULT)


def test_options_of_an_anatomy_are_completed_and_checked():
    assert LUNG.checked({"nodule": True}).model_dump() == {"parenchyma_hu": -830.0, "nodule": True}
    with pytest.raises(OptionError, match="`nodule` is no option of temporal-bone; its own options are: none"):
        TEMPORAL_BONE.checked({"nodule": True})
    with pytest.raises(OptionError, match=r"parenchyma_hu.*-900.*found -1000"):
        LUNG.checked({"parenchyma_hu": -1000})


@pytest.mark.parametrize(
    ("made", "message"),
    [
        ("nowhere.at.all:KIDNEY", "'kidney'.*cannot be imported"),
        ("ctloupe.phantom.anatomies.lung:LUNG", "is no Anatomy whose name is 'kidney'"),
        ("ctloupe.phantom.anatomies.lung:LungLabel", "is no Anatomy whose name is 'kidney'"),
        (f"{__name__}:KIDNEY", "'kidney' has label 2, which is of 'lung'"),
    ],
)
def test_a_plug_in_that_cannot_stand_beside_the_others_is_refused(monkeypatch, made, message):
    monkeypatch.setitem(sys.modules, __name__, SimpleNamespace(KIDNEY=replace(LUNG, name="kidney", labels=Few)))
    monkeypatch.setattr(registry, "plug_ins", lambda group: [EntryPoint("kidney", made, group)])
    assert registry.names() == ["lung", "temporal-bone", "lung-b", "kidney"]
    with pytest.raises(OptionError, match=message):
        registry.get("kidney")


def test_listing_anatomies_imports_none_of_them():
    code = (
        "import sys; from ctloupe.phantom.anatomies.registry import names; names(); "
        "print([one for one in sys.modules if one in ('torch', 'numpy') or 'anatomies.lung' in one])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
