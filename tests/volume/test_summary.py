"""Summaries: exact numbers against NumPy, one bounded pass, and warnings about what looks odd."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctloupe.foundation.errors import IntensityError
from ctloupe.volume.formats import write
from ctloupe.volume.summary import PERCENTS, summarise
from ctloupe.volume.volume import LazyArray, Volume

CLINICAL = (0.8, 0.7, 0.7)
MICRO = (0.01, 0.01, 0.01)


def air_and_tissue() -> np.ndarray:
    return np.random.default_rng(0).integers(-1000, 1500, (4, 30, 30)).astype(np.int16)


@settings(max_examples=40, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 4), st.integers(1, 9), st.integers(1, 9)),
    dtype=st.sampled_from(["int8", "uint8", "int16", "uint16", ">i2", "int32", "float32"]),
    seed=st.integers(0, 999),
)
def test_extremes_and_percentiles_are_those_of_numpy(shape: tuple[int, int, int], dtype: str, seed: int) -> None:
    numbers = np.random.default_rng(seed)
    kind = np.dtype(dtype)
    low, high = (-9e4, 9e4) if kind.kind == "f" else (np.iinfo(kind).min, np.iinfo(kind).max + 1)
    voxels = numbers.uniform(low, high, shape).astype(dtype)
    summary = summarise(Volume(voxels, CLINICAL))
    assert (summary.minimum, summary.maximum) == (voxels.min(), voxels.max())
    expected = np.percentile(voxels.astype(np.float64), PERCENTS)
    np.testing.assert_allclose([summary.percentiles[percent] for percent in PERCENTS], expected, rtol=1e-9, atol=1e-6)


def test_a_large_float_volume_is_summarised_from_a_fair_sample() -> None:
    voxels = np.random.default_rng(1).normal(size=(5, 1000, 1000)).astype(np.float32)
    voxels[3, 7, 9] = 99.0
    summary = summarise(Volume(voxels, CLINICAL))
    assert summary.maximum == 99.0
    for percent in (5.0, 50.0, 95.0):
        assert abs(summary.percentiles[percent] - np.percentile(voxels, percent)) < 0.01
    assert summary == summarise(Volume(voxels, CLINICAL))


def test_a_sample_does_not_keep_to_a_few_columns() -> None:
    voxels = np.broadcast_to(np.arange(1000, dtype=np.float32), (4, 1000, 1000))
    summary = summarise(Volume(voxels, CLINICAL))
    assert abs(summary.percentiles[25.0] - 249.75) < 2
    assert abs(summary.percentiles[99.0] - 989.01) < 2


def test_every_slice_is_read_once_and_never_all_together() -> None:
    asked: list[tuple[int, int]] = []

    def read(block: tuple[slice, slice, slice]) -> np.ndarray:
        asked.append((block[0].start, block[0].stop))
        return np.full((block[0].stop - block[0].start, 2048, 2048), block[0].start, np.int16)

    summarise(Volume(LazyArray((4, 2048, 2048), np.int16, read, "made up"), CLINICAL))
    assert [z for start, stop in asked for z in range(start, stop)] == [0, 1, 2, 3]
    assert len(asked) > 1


def test_geometry_and_kind_are_told() -> None:
    flipped: Any = ((-1, 0, 0), (0, -1, 0), (0, 0, 1))
    volume = Volume(air_and_tissue(), (2.0, 0.5, 0.25), direction=flipped, modality="clinical", units="HU")
    summary = summarise(volume)
    assert summary.shape == (4, 30, 30)
    assert summary.extent_mm == (8.0, 15.0, 7.5)
    assert summary.orientation == "RAS"
    assert (summary.dtype, summary.units, summary.modality) == ("int16", "HU", "clinical")


@pytest.mark.parametrize(
    ("name", "told"),
    [("a.ome.zarr", "ome-zarr"), ("a.tif", "tiff"), ("a.nii.gz", "nifti"), ("a.mha", "metaimage")],
)
def test_the_format_is_that_of_the_file(tmp_path: Path, name: str, told: str) -> None:
    volume = Volume(air_and_tissue(), CLINICAL)
    write(volume, tmp_path / name)
    assert summarise(volume, tmp_path / name).format == told
    assert summarise(volume).format == "memory"


def test_a_summary_survives_json() -> None:
    summary = summarise(Volume(air_and_tissue(), CLINICAL, units="HU"))
    plain = summary.as_dict()
    assert json.loads(json.dumps(plain)) == plain
    assert plain["percentiles"]["99.9"] == summary.percentiles[99.9]


@pytest.mark.parametrize(
    ("low", "spacing", "units", "guess"),
    [
        (0, MICRO, "HU", "clinical"),
        (-1000, CLINICAL, "raw", "clinical"),
        (-3024, CLINICAL, "raw", "clinical"),
        (-1000, MICRO, "raw", "micro"),
        (0, MICRO, "raw", "micro"),
        (0, CLINICAL, "raw", "unknown"),
    ],
)
def test_the_modality_is_guessed_with_a_reason(low: int, spacing: Any, units: Any, guess: str) -> None:
    voxels = np.full((2, 5, 5), 100, np.int16)
    voxels[0, 0, 0] = low
    summary = summarise(Volume(voxels, spacing, units=units))
    assert summary.modality_guess == guess
    assert summary.modality_reason


def test_an_ordinary_volume_draws_no_warning() -> None:
    assert summarise(Volume(air_and_tissue(), CLINICAL, units="HU")).warnings == ()


@pytest.mark.parametrize(
    ("voxels", "spacing", "said"),
    [
        (air_and_tissue(), (5.0, 0.7, 0.7), "7.1 times longer"),
        (air_and_tissue(), (25.0, 25.0, 25.0), "unlikely for CT"),
        (air_and_tissue(), (5e-5, 5e-5, 5e-5), "unlikely for CT"),
        (np.full((2, 5, 5), 7, np.uint8), CLINICAL, "every voxel is 7"),
        (np.where(air_and_tissue() > 1000, 255, 90).astype(np.uint8), CLINICAL, "are 255, a limit of uint8"),
        (np.where(air_and_tissue() > 1000, -3024, air_and_tissue()), CLINICAL, "are -3024, below air"),
    ],
)
def test_what_looks_odd_is_warned_of(voxels: np.ndarray, spacing: Any, said: str) -> None:
    (warning,) = summarise(Volume(voxels, spacing)).warnings
    assert said in warning


def test_saturation_is_the_share_of_voxels_at_the_limits_of_the_type() -> None:
    voxels = np.full((1, 10, 10), 90, np.uint8)
    voxels[0, 0, :3] = 255
    voxels[0, 1, :2] = 0
    assert summarise(Volume(voxels, MICRO)).fraction_saturated == pytest.approx(0.05)


def test_a_voxel_that_is_not_a_number_is_refused() -> None:
    voxels = np.zeros((2, 5, 5), np.float32)
    voxels[1, 2, 3] = np.nan
    with pytest.raises(IntensityError, match="NaN"):
        summarise(Volume(voxels, CLINICAL))


def test_what_the_reader_noted_is_the_first_warning() -> None:
    volume = Volume(np.full((2, 3, 4), 7, np.int16), CLINICAL, notes=("2 of 18 chunks are absent",))
    assert summarise(volume).warnings == ("2 of 18 chunks are absent", "every voxel is 7")
