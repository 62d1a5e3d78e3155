"""The inner ear: sizes known from anatomy, labels that say what voxels hold, and the same voxels for the same seed."""

import numpy as np
import pytest
from scipy.ndimage import label

from ctloupe.foundation.errors import OptionError
from ctloupe.phantom.anatomies.temporal_bone import (
    CAPSULE_HU,
    TEMPORAL_BONE,
    TemporalBoneLabel,
    bone_statistics,
    temporal_bone,
)
from ctloupe.phantom.clinical_slices import truth_on_clinical_slices
from ctloupe.phantom.micro import AIR_HU
from ctloupe.phantom.phantom import make_phantom

COARSE = 0.09


@pytest.fixture(scope="module")
def whole():
    """All of the cochlea, on voxels coarse enough to be quick."""
    return temporal_bone((120, 160, 160), 4, COARSE)


@pytest.mark.slow
def test_the_cochlea_has_the_size_of_an_ear(whole):
    found = bone_statistics(whole)
    assert 28 < found["cochlear_length_mm"] < 38
    assert 6.0 < found["cochlear_width_mm"] < 9.5
    assert 1900 < found["capsule_mean_hu"] <= CAPSULE_HU
    assert sum(found["label_share"].values()) == pytest.approx(1)


def test_the_spiral_narrows_and_the_middle_of_the_canal_is_fluid_or_the_tip_of_the_lamina(whole):
    assert np.all(np.diff(whole.radii) < 0)
    at = np.rint(whole.spiral / COARSE).astype(int)
    inside = np.all((at >= 0) & (at < whole.labels.shape), axis=1)
    met = whole.labels[tuple(at[inside].T)]
    assert inside.mean() > 0.9 and np.mean(met == TemporalBoneLabel.FLUID) > 0.75


def test_the_fluid_of_cochlea_and_vestibule_hangs_together(whole):
    regions, _ = label(whole.labels == TemporalBoneLabel.FLUID, structure=np.ones((3, 3, 3)))
    sizes = np.bincount(regions.ravel())[1:]
    assert sizes.max() > 0.8 * sizes.sum()


def test_labels_say_what_the_voxels_hold(whole):
    hu = {one: whole.hu[whole.labels == one] for one in TemporalBoneLabel if (whole.labels == one).any()}
    assert np.median(hu[TemporalBoneLabel.FLUID]) == pytest.approx(15, abs=5)
    assert np.median(hu[TemporalBoneLabel.CAPSULE]) > 1900
    assert np.median(hu[TemporalBoneLabel.AIR]) == AIR_HU
    assert hu[TemporalBoneLabel.SPONGY].mean() > hu[TemporalBoneLabel.MARROW].mean() + 500
    assert whole.hu.min() >= AIR_HU and whole.hu.max() <= CAPSULE_HU


def test_the_seed_decides_everything():
    one, same, other = (temporal_bone((16, 48, 48), seed, 0.05) for seed in (1, 1, 2))
    assert np.array_equal(one.hu, same.hu) and np.array_equal(one.labels, same.labels)
    assert not np.array_equal(one.hu, other.hu)


@pytest.mark.parametrize(("shape", "spacing"), [((4, 40, 40), 0.02), ((16, 40, 40), 0.5), ((16, 40), 0.02)])
def test_what_cannot_be_made_is_refused(shape, spacing):
    with pytest.raises(OptionError):
        temporal_bone(shape, 0, spacing)


def test_both_scanners_see_it_on_the_grids_of_the_paper():
    case = make_phantom("temporal-bone", (16, 64, 64), 3)
    assert case.truth.spacing == (0.018,) * 3 and case.clinical.spacing == pytest.approx((0.144,) * 3)
    assert case.micro.data.max() <= 32767 and case.micro.data.std() > 500
    assert truth_on_clinical_slices(case.truth, case.clinical).shape == (2, 64, 64)
    assert "point spread" in case.clinical.history[-1] and case.config == TEMPORAL_BONE.usual
    with pytest.raises(OptionError, match="nearest"):
        make_phantom("temporal-bone", (15, 64, 64), 3)
