"""Enhancing volumes: place, values, mask, region, and refusals."""

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

import ctloupe
from ctloupe.enhance.model import LoadedModel
from ctloupe.enhance.options import EnhanceOptions
from ctloupe.enhance.resolver import SuperResolver, load_model
from ctloupe.foundation.errors import GeometryError, IntensityError, OptionError
from ctloupe.images.windows import IntensityWindow
from ctloupe.networks.generators import SubPixelGenerator
from ctloupe.volume.formats import read, write
from ctloupe.volume.volume import Volume


def scan(shape=(3, 20, 24), seed=0, **place):
    values = np.random.default_rng(seed).normal(-800, 150, shape).round().astype(np.int16)
    return Volume(values, (2.0, 0.7, 0.6), modality="clinical", units="HU", **place)


def model(stitch="calibrated", scale=4, **options):
    torch.manual_seed(1)
    network = SubPixelGenerator(scale, width=16, blocks=1, first_kernel=3, last_kernel=3).eval()
    return SuperResolver(
        LoadedModel("test", network, scale, IntensityWindow(-1000, 500), None, 8),
        EnhanceOptions(stitch=stitch, **options),
    )


@settings(max_examples=15, deadline=None)
@given(
    angles=st.tuples(*[st.floats(-3, 3)] * 3),
    slope=st.tuples(*[st.floats(-2, 2)] * 3),
    shape=st.tuples(st.integers(1, 3), st.integers(7, 12), st.integers(7, 12)),
    scale=st.sampled_from([2, 4, 8, 16]),
)
def test_bicubic_keeps_a_linear_function_of_physical_position(angles, slope, shape, scale):
    direction = Rotation.from_euler("xyz", angles).as_matrix()
    empty = Volume(np.zeros(shape, np.float32), (2.5, 0.7, 0.9), (10.0, -20.0, 30.0), direction, units="HU")

    def ramp(volume):
        z, y, x = np.indices(volume.shape)
        points = np.stack([x, y, z, np.ones_like(x)]).reshape(4, -1)
        return 40 * (np.array(slope) @ (volume.affine @ points)[:3]).reshape(volume.shape)

    fine = load_model("bicubic", scale).enhance(empty.with_data(ramp(empty).astype(np.float32)))
    inside = (slice(None), slice(2 * scale, -2 * scale), slice(2 * scale, -2 * scale))
    expected = ramp(fine)[inside].clip(-32768, 32767)
    assert np.abs(fine.data[inside] - expected).max() < 0.51 + 1e-3 * np.abs(expected).max() / 10


@pytest.mark.parametrize("suffix", [".nii.gz", ".mha", ".nrrd", ".ome.zarr"])
def test_the_written_grid_is_the_one_simpleitk_would_lay_over_the_scan(tmp_path, suffix):
    direction = Rotation.from_euler("xyz", [0.3, -0.2, 0.5]).as_matrix()
    source = scan(origin=(11.0, -22.0, 33.0), direction=direction)
    path = tmp_path / f"fine{suffix}"
    load_model("bicubic", 4).enhance_to(source, path)
    image = sitk.GetImageFromArray(source.array())
    image.SetSpacing(source.spacing[::-1])
    image.SetOrigin(source.origin)
    image.SetDirection(np.asarray(source.direction).ravel())
    # The extent of the scan, corner to corner, cut into 4 times as many voxels.
    first = image.TransformContinuousIndexToPhysicalPoint((-0.5 + 0.125, -0.5 + 0.125, 0.0))
    last = image.TransformContinuousIndexToPhysicalPoint((24 - 0.5 - 0.125, 20 - 0.5 - 0.125, 2.0))
    found = read(path)
    assert np.allclose(found.physical((0, 0, 0)), first, atol=1e-4)
    assert np.allclose(found.physical((2, 79, 95)), last, atol=1e-4)
    if suffix != ".ome.zarr":
        written = sitk.ReadImage(str(path))
        assert np.allclose(written.TransformIndexToPhysicalPoint((0, 0, 0)), first, atol=1e-4)
        assert np.allclose(written.TransformIndexToPhysicalPoint((95, 79, 2)), last, atol=1e-4)
    assert found.units == "HU"
    assert found.array().dtype == np.int16


def test_block_means_of_the_bicubic_enlargement_agree_with_a_smooth_scan():
    y, x = np.mgrid[:24, :24]
    smooth = (100 * np.sin(y / 6) + 80 * np.cos(x / 5) - 700).astype(np.float32)[None]
    fine = load_model("bicubic", 8).enhance(Volume(smooth, (1.0, 1.0, 1.0), units="HU"))
    means = fine.data.reshape(1, 24, 8, 24, 8).mean((2, 4))
    assert np.abs(means - smooth)[:, 2:-2, 2:-2].max() < 3


def test_outside_the_mask_is_exactly_bicubic_and_inside_is_the_network():
    source = scan()
    mask = np.zeros(source.shape, bool)
    mask[:2, 6:16, 6:18] = True
    made = model().enhance(source, mask)
    plain = load_model("bicubic", 4).enhance(source)
    fine = mask.repeat(4, 1).repeat(4, 2)
    assert np.array_equal(made.data[~fine], plain.data[~fine])
    everywhere = model().enhance(source)
    assert not np.array_equal(made.data[0], plain.data[0])
    assert everywhere.shape == made.shape


def test_a_region_equals_the_same_part_of_the_whole():
    source = scan((4, 40, 40))
    resolver = model(precision="float32")
    whole = resolver.enhance(source)
    region = (slice(1, 3), slice(0, 40), slice(0, 40))
    part = resolver.enhance(source, region=region)
    assert np.array_equal(part.data, whole.data[1:3])
    assert np.allclose(part.origin, whole.crop(z=slice(1, 3)).origin)
    corner = resolver.enhance(source, region=(slice(0, 1), slice(4, 40), slice(8, 40)))
    assert np.allclose(corner.origin, whole.crop(slice(0, 1), slice(16, 160), slice(32, 160)).origin)
    # The trunk reaches a few voxels: beyond them the crop's own border no longer matters.
    assert np.abs(corner.data[0, 40:, 40:].astype(int) - whole.data[0, 56:, 72:]).max() <= 1


def test_the_same_seed_gives_the_same_volume():
    source = scan()
    assert np.array_equal(model().enhance(source).data, model().enhance(source).data)


def test_each_slice_is_computed_once_and_progress_is_told(tmp_path):
    told = []
    model().enhance_to(scan(), tmp_path / "fine.nii.gz", progress=told.append)
    assert told == [1, 2, 3]


@pytest.mark.parametrize(("stitch", "most"), [("calibrated", 0.6), ("slice", None), ("patches", None)])
def test_only_calibrated_statistics_make_a_voxel_independent_of_where_the_crop_begins(stitch, most):
    source = scan((1, 40, 43))
    resolver = model(stitch)
    whole = resolver.enhance(source).data[0, 60:100, 60:100].astype(float)
    moved = resolver.enhance(source, region=(slice(0, 1), slice(0, 40), slice(3, 43))).data[0, 60:100, 48:88]
    off = np.sqrt(np.mean((whole - moved) ** 2))
    assert off < most if most else off > 3


def test_a_volume_that_is_not_a_clinical_ct_or_a_mask_elsewhere_is_refused():
    source = scan()
    with pytest.raises(GeometryError, match=r"mask has shape \(3, 20, 20\)"):
        model().enhance(source, np.ones((3, 20, 20), bool))
    micro = Volume(source.data, source.spacing, modality="micro")
    with pytest.raises(IntensityError, match="µCT"):
        model().enhance(micro)


def test_the_public_names_are_there():
    assert ctloupe.load_model is load_model
    assert ctloupe.SuperResolver is SuperResolver
    assert ctloupe.read is read
    assert ctloupe.write is write
    with pytest.raises(AttributeError):
        _ = ctloupe.nonsense


def test_options_are_changed_in_a_validated_copy():
    plain = model()
    other = plain.with_options(seed=7, consistent=True)
    assert (other.options.seed, other.options.consistent, plain.options.seed) == (7, True, 0)
    with pytest.raises(OptionError, match="`stitch`"):
        plain.with_options(stitch="sewn")
    assert plain.named("row 1").enhance(scan()).history[-1].startswith("enhanced ×4 in-plane with row 1")


def test_the_record_says_what_made_a_volume(tiny_model):
    found = load_model(tiny_model, seed=3).record()
    assert found["name"] == "sr-cyclegan" and found["training"]["preset"] == "tiny"
    assert found["enhancement seed"] == 3 and found["statistics"] == "calibrated" and found["samples"] == 0
    assert len(found["weights"]) == 32
