"""A model of volumes scaled each by its own range takes that of the scan, and gives HU back by it."""

import json
from dataclasses import replace

import numpy as np
import pytest

from ctloupe.enhance.identity import Identity
from ctloupe.enhance.model import loaded_model
from ctloupe.enhance.region import parse_region
from ctloupe.enhance.resolver import load_model
from ctloupe.foundation.errors import IntensityError, Interrupted
from ctloupe.images.windows import IntensityWindow
from ctloupe.methods.package import ModelCard, load_package
from ctloupe.volume.formats import read
from ctloupe.volume.volume import LazyArray, Volume

GAIN, OFFSET = 3, -700


def scan(shape=(5, 30, 32)):
    values = np.random.default_rng(4).normal(-400, 150, shape).round().astype(np.int16)
    # The ends of the range lie outside of what the tests cut out.
    values[0, 0, 0], values[0, 0, 1] = -1024, 3000
    return Volume(values, (0.6, 0.6, 0.6), modality="clinical", units="HU")


@pytest.fixture
def model(min_max_model):
    return load_model(min_max_model, precision="float32")


def test_the_card_says_how_volumes_were_scaled_and_older_ones_have_one_window(min_max_model, tiny_model):
    card = load_package(min_max_model).card
    assert (card.clinical_scaling, card.micro_scaling) == ("min-max", "min-max")
    written = json.loads((tiny_model / "model.json").read_text())
    for name in ("clinical_scaling", "micro_scaling"):
        assert written.pop(name) == "fixed"
    older = ModelCard.model_validate(written)
    assert (older.clinical_scaling, older.micro_scaling) == ("fixed", "fixed")


@pytest.mark.parametrize("options", [{}, {"stitch": "patches"}, {"consistent": True}])
def test_a_scan_whose_hu_differ_by_a_line_is_enhanced_to_what_differs_by_that_line(model, options):
    model = model.with_options(**options)
    one = scan()
    other = one.with_data(one.array() * GAIN + OFFSET)
    made = model.enhance(one).array().astype(float)
    transformed = model.enhance(other).array().astype(float)
    # Either is rounded to whole HU, the first before it is multiplied.
    assert np.abs(transformed - (GAIN * made + OFFSET)).max() <= (GAIN + 1) / 2 + 0.2
    assert np.ptp(made) > 500


def test_a_model_with_one_window_for_all_does_not_do_so(tiny_model):
    model, one = load_model(tiny_model, precision="float32"), scan()
    other = model.enhance(one.with_data(one.array() * GAIN + OFFSET)).array().astype(float)
    assert np.abs(other - (GAIN * model.enhance(one).array().astype(float) + OFFSET)).max() > 50


def test_some_slices_or_a_region_have_the_voxels_of_the_whole(model):
    whole = model.enhance(scan()).array()
    some = model.enhance(scan(), region=parse_region(scan().shape, slices="2:4")).array()
    assert np.array_equal(some, whole[2:4])
    part = model.enhance(scan(), region=parse_region(scan().shape, roi="1:3,4:30,8:32")).array()
    inner = (slice(None), slice(40, -40), slice(40, -40))
    assert np.abs(part.astype(int) - whole[1:3, 16:120, 32:128])[inner].max() <= 1


def test_the_scan_is_gone_through_once_a_few_slices_at_a_time(model):
    values, asked = scan().array(), []

    def read_block(block):
        asked.append(block[0])
        return values[block]

    lazy = scan().with_data(LazyArray(values.shape, np.int16, read_block, "scan"))
    fitted = model.for_scan(lazy)
    assert fitted.window == IntensityWindow(-1024, 3000)
    seen = sorted(z for block in asked for z in range(block.start, block.stop))
    assert seen == list(range(len(values)))
    # What has found its window keeps it on a part of the scan.
    assert fitted.for_scan(scan().crop(slice(2, 3), slice(4, 9), slice(4, 9))).window == fitted.window


def test_one_line_says_which_values_were_taken_and_the_history_keeps_them(model, tmp_path):
    said = []
    model.enhance_to(scan(), tmp_path / "fine.nii.gz", tell=said.append)
    told = [line for line in said if line.startswith("window:")]
    assert len(told) == 1 and told[0].startswith("window: -1024 … 3000 HU, the scan's own minimum and maximum")
    made = model.enhance(scan())
    assert "values scaled by the scan's own range of -1024 … 3000" in made.history[-1]


def test_what_was_interrupted_goes_on_to_the_same_bytes(model, tmp_path):
    def content(folder):
        return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}

    def stop(done):
        if done >= 2:
            raise KeyboardInterrupt

    whole, resumed = tmp_path / "whole.ome.zarr", tmp_path / "resumed.ome.zarr"
    region = parse_region(scan().shape, slices="1:5")
    model.enhance_to(scan(), whole, region=region, slab=1)
    with pytest.raises(Interrupted):
        model.enhance_to(scan(), resumed, region=region, slab=1, progress=stop)
    model.enhance_to(scan(), resumed, region=region, slab=1, resume=True)
    assert np.array_equal(read(resumed).array(), read(whole).array())
    of_whole, of_resumed = content(whole), content(resumed)
    differing = [name for name in of_whole if of_whole[name] != of_resumed.get(name)]
    assert of_whole.keys() == of_resumed.keys() and not differing


def test_the_range_belongs_to_what_decides_the_values(min_max_model):
    model = loaded_model(min_max_model)
    fitted = model.for_scan(scan())
    identity = Identity.of(fitted, load_model(min_max_model).options, scan(), None, None)
    assert identity.model["window"] == [-1024.0, 3000.0]
    other = replace(fitted, window=IntensityWindow(-1024, 2999))
    assert identity.differs_from(Identity.of(other, load_model(min_max_model).options, scan(), None, None)) == ["model"]


def test_likeness_does_not_depend_on_the_line(model):
    one = scan()
    other = one.with_data(one.array() * GAIN + OFFSET)
    assert model.unlikeness(one, None).score == pytest.approx(model.unlikeness(other, None).score, abs=0.02)


def test_a_scan_of_one_value_is_refused(model):
    with pytest.raises(IntensityError, match="the scan: every voxel has the value -1000"):
        model.enhance(scan().with_data(np.full((2, 30, 32), -1000, np.int16)))
