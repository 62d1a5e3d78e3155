"""Work is the same only when everything that decides a byte of it is."""

from dataclasses import replace

import numpy as np
import pytest

from ctloupe.enhance.identity import Identity
from ctloupe.enhance.model import LoadedModel
from ctloupe.enhance.options import EnhanceOptions
from ctloupe.images.windows import IntensityWindow
from ctloupe.volume.volume import Volume
from small_enhancers import small_enhancer


class WithSharpening(EnhanceOptions):
    sharpening: int = 0


MODEL = LoadedModel("test", small_enhancer("srgan", 2), 2, IntensityWindow(-1000, 500), None, 8)
SCAN = Volume(np.zeros((2, 8, 9), np.int16), (1.0, 1.0, 1.0), units="HU")
MASK = np.ones(SCAN.shape, bool)
PART = (slice(0, 1), slice(0, 8), slice(0, 9))


def identity(model=MODEL, options=None, scan=SCAN, mask=MASK, region=None):
    return Identity.of(model, options or EnhanceOptions(precision="float32"), scan, mask, region)


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"scan": SCAN.with_data(SCAN.data + 1)}, ["scan"]),
        ({"mask": None}, ["mask"]),
        ({"mask": np.zeros(SCAN.shape, bool)}, ["mask"]),
        ({"region": PART}, ["region"]),
        ({"model": replace(MODEL, network=small_enhancer("unet", 2))}, ["model"]),
        ({"model": replace(MODEL, window=IntensityWindow(-1000, 600))}, ["model"]),
        ({"model": replace(MODEL, patch_size=9)}, ["model"]),
        ({"options": EnhanceOptions(precision="bf16")}, ["precision"]),
        ({"options": EnhanceOptions(precision="float32", stitch="patches", median=3)}, ["`median`", "`stitch`"]),
        (
            {"options": EnhanceOptions(precision="float32", stitch="patches", match_histograms=True)},
            ["`match_histograms`", "`stitch`"],
        ),
        ({"options": WithSharpening(precision="float32")}, ["`sharpening`"]),
    ],
)
def test_what_differs_is_named(changes, names):
    assert identity().differs_from(identity(**changes)) == names
    assert identity(**changes).differs_from(identity()) == names


def test_memory_and_tile_do_not_count_and_the_whole_region_is_no_region():
    same = identity(options=EnhanceOptions(precision="float32", memory=10**9, tile=8))
    assert not identity().differs_from(same)
    whole = tuple(slice(0, length) for length in SCAN.shape)
    assert not identity().differs_from(identity(region=whole))


def test_it_survives_json():
    made = identity()
    assert not made.differs_from(Identity.model_validate_json(made.model_dump_json()))
