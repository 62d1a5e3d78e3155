"""What an enhancement costs, in numbers and in words."""

import numpy as np
import pytest

from ctloupe.enhance.exact import ExactSliceEnhancer
from ctloupe.enhance.model import LoadedModel
from ctloupe.enhance.plan import Plan, disk_needed
from ctloupe.enhance.resolver import SuperResolver
from ctloupe.images.windows import IntensityWindow
from ctloupe.volume.formats import read
from ctloupe.volume.volume import Volume
from small_enhancers import small_enhancer


def test_the_disk_counts_every_level():
    one = disk_needed((10, 64, 64), 0, False)
    assert disk_needed((10, 64, 64), 2, False) == pytest.approx(one * (1 + 1 / 4 + 1 / 16))
    assert disk_needed((10, 64, 64), 0, True) == pytest.approx(3 * one)


@pytest.mark.parametrize(("seconds", "words"), [(5.0, "about 5 s"), (600.0, "about 10 min"), (9000, "about 2.5 h")])
def test_a_plan_is_said_in_words(seconds, words):
    lines = Plan(4, (4, 80, 96), 2, (16, 16), 1.2e9, 5e8, seconds).lines()
    assert lines[0] == "plan: 4 slices to 96×80 pixels, 2 at a time, tiles of 16×16 scan voxels"
    assert lines[1:] == [f"plan: memory about 1.2 GB, disk up to 0.50 GB, time {words}"]


@pytest.mark.parametrize(
    ("processes", "threads", "passive", "words"),
    [
        (1, 1, False, "1 thread compute; "),
        (1, 2, True, "2 threads compute, sleeping while they wait for each other; "),
        (1, 2, False, "2 threads compute, busy while they wait for each other (set OMP_WAIT_POLICY=PASSIVE "),
        (2, 1, True, "2 processes of 1 thread compute, sleeping while they wait for each other; "),
    ],
)
def test_it_says_who_shares_the_cores(processes, threads, passive, words):
    plan = Plan(4, (4, 80, 96), 2, (16, 16), 1.2e9, 5e8, 5.0, processes, threads, passive)
    assert plan.lines()[2].startswith(f"plan: {words}")


@pytest.mark.parametrize("suffix", [".ome.zarr", ".nii.gz"])
@pytest.mark.parametrize("masked", [True, False])
def test_the_slice_that_is_timed_is_not_computed_again(tmp_path, monkeypatch, suffix, masked):
    whole: list[int] = []
    enhance = ExactSliceEnhancer.enhance

    def counted(self, hu, mask, index):
        if mask is None or mask.sum() > 1:
            whole.append(index)
        return enhance(self, hu, mask, index)

    monkeypatch.setattr(ExactSliceEnhancer, "enhance", counted)
    values = np.random.default_rng(0).normal(-800, 150, (6, 24, 28)).round().astype(np.int16)
    scan = Volume(values, (2.0, 0.8, 0.6), modality="clinical", units="HU")
    mask = np.zeros(scan.shape, bool)
    mask[:, 4:20, 4:20] = True
    network = small_enhancer("sr-cyclegan", 4, fixed=False)
    resolver = SuperResolver(LoadedModel("test", network, 4, IntensityWindow(-1000, 500), None, 8))
    asked = mask if masked else None
    resolver.enhance_to(scan, tmp_path / f"fine{suffix}", asked, slab=2)
    assert sorted(whole) == [0, 1, 2, 3, 4, 5]
    assert np.array_equal(read(tmp_path / f"fine{suffix}").array(), resolver.enhance(scan, asked).data)
