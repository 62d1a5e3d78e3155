"""Windows between a scanner's values and the networks' range."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctloupe.foundation.errors import IntensityError, OptionError
from ctloupe.images.windows import CLINICAL, MICRO, IntensityWindow
from ctloupe.volume.volume import LazyArray, Volume

windows = st.tuples(st.floats(-5000, 5000), st.floats(1, 20000)).map(lambda t: IntensityWindow(t[0], t[0] + t[1]))


@given(window=windows, share=st.floats(0, 1))
def test_values_inside_the_window_come_back(window, share):
    value = np.array([window.low + share * (window.high - window.low)], np.float32)
    unit = window.to_unit(value)
    assert -1 <= unit[0] <= 1
    assert unit[0] == pytest.approx(2 * share - 1, abs=1e-2)
    assert window.from_unit(unit)[0] == pytest.approx(value[0], abs=1e-6 * (1 + abs(window.low) + abs(window.high)))


@given(window=windows, values=st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=20))
def test_values_beyond_the_window_come_back_as_its_ends(window, values):
    array = np.array(values, np.float32)
    unit = window.to_unit(array)
    assert unit.dtype == np.float32
    assert np.abs(unit).max() <= 1
    slack = 1e-6 * (1 + abs(window.low) + abs(window.high))
    assert np.allclose(window.from_unit(unit), array.clip(window.low, window.high), rtol=0, atol=slack)


def test_the_ends_map_to_minus_one_and_one_and_beyond_is_clipped():
    values = np.array([-2000, -1000, 750, 2500, 4000], np.int16)
    assert CLINICAL.to_unit(values).tolist() == [-1, -1, 0, 1, 1]
    assert (MICRO.low, MICRO.high) == (0, 15000)


def test_tensors_give_the_same_as_arrays_and_neither_input_changes():
    values = np.random.default_rng(0).normal(0, 1500, (4, 5)).astype(np.float32)
    torch = pytest.importorskip("torch")
    kept, tensor = values.copy(), torch.from_numpy(values.copy())
    assert np.allclose(CLINICAL.to_unit(tensor).numpy(), CLINICAL.to_unit(values))
    assert np.allclose(CLINICAL.from_unit(tensor).numpy(), CLINICAL.from_unit(values))
    assert np.array_equal(values, kept)
    assert np.array_equal(tensor.numpy(), kept)


@pytest.mark.parametrize("kind", ["int16", "float16", "float32", "float64"])
def test_tensors_of_any_type_become_float32(kind):
    torch = pytest.importorskip("torch")
    unit = MICRO.to_unit(torch.tensor([0, 7500, 15000], dtype=getattr(torch, kind)))
    assert unit.dtype == torch.float32
    assert unit.tolist() == pytest.approx([-1, 0, 1])


def test_percentiles_are_taken_once_inside_the_mask():
    values = np.arange(1000.0).reshape(1, 20, 50)
    mask = values < 500
    window = IntensityWindow.from_percentiles(Volume(values, (1, 1, 1)), 0, 100, mask=mask)
    assert (window.low, window.high) == (0, 499)
    assert IntensityWindow.from_percentiles(values, 10, 90).low == pytest.approx(99.9)


def test_percentiles_of_a_large_lazily_read_volume_come_from_a_seeded_sample():
    values = np.random.default_rng(0).permutation(np.arange(5 * 1000 * 1000) % 10_000).astype(np.int16)
    values = values.reshape(5, 1000, 1000)
    volume = Volume(LazyArray(values.shape, np.int16, values.__getitem__, "v"), (1, 1, 1))
    one, same = (IntensityWindow.from_percentiles(volume, 10, 90, seed=4) for _ in range(2))
    assert one == same
    assert one.low == pytest.approx(1000, abs=20)
    assert one.high == pytest.approx(9000, abs=20)


@pytest.mark.parametrize("mask", [np.zeros((2, 3, 4), bool), np.ones((2, 3, 5), bool)])
def test_percentiles_need_a_mask_of_the_same_shape_that_holds_something(mask):
    with pytest.raises(OptionError, match="mask"):
        IntensityWindow.from_percentiles(np.arange(24.0).reshape(2, 3, 4), 1, 99, mask=mask)


@pytest.mark.parametrize("ends", [(5, 5), (7, 3), (float("nan"), 1), (0, float("inf"))])
def test_a_window_of_no_width_is_refused(ends):
    with pytest.raises(OptionError):
        IntensityWindow(*ends)


def test_percentiles_that_meet_or_are_out_of_order_are_refused():
    with pytest.raises(OptionError):
        IntensityWindow.from_percentiles(np.zeros((2, 3, 4)), 1, 99)
    with pytest.raises(OptionError):
        IntensityWindow.from_percentiles(np.arange(24.0).reshape(2, 3, 4), 99, 1)


@pytest.mark.parametrize("ends", [(None, 1), ("low", 1), (0, [2])])
def test_ends_that_are_no_numbers_are_refused(ends):
    with pytest.raises(OptionError, match="expected two numbers"):
        IntensityWindow(*ends)


def test_a_z_score_window_takes_mean_and_deviations_to_the_middle_and_ends():
    values = np.random.default_rng(0).normal(50, 20, (4, 30, 30)).astype(np.float32)
    mask = np.zeros(values.shape, bool)
    mask[:, 5:25] = True
    window = IntensityWindow.from_zscore(values, 3, mask)
    unit = window.to_unit(values[mask])
    assert unit.mean() == pytest.approx(0, abs=0.01)
    assert unit.std() == pytest.approx(1 / 3, rel=0.02)


def test_a_z_score_window_needs_values_that_differ():
    with pytest.raises(OptionError, match="every voxel has the value 7"):
        IntensityWindow.from_zscore(np.full((1, 3, 3), 7), 3)
    with pytest.raises(OptionError, match="positive"):
        IntensityWindow.from_zscore(np.arange(9.0).reshape(1, 3, 3), 0)
    with pytest.raises(OptionError, match="no voxel"):
        IntensityWindow.from_zscore(np.arange(9.0).reshape(1, 3, 3), 3, np.zeros((1, 3, 3), bool))


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 20), shape=st.tuples(st.integers(1, 4), st.integers(1, 5), st.integers(2, 5)))
def test_the_window_of_the_extremes_takes_the_smallest_value_to_minus_one_and_the_largest_to_one(seed, shape):
    values = np.random.default_rng(seed).normal(0, 1000, shape).astype(np.float32)
    unit = IntensityWindow.from_extremes(values).to_unit(values)
    assert (unit.min(), unit.max()) == pytest.approx((-1, 1), abs=1e-6)
    assert (unit.argmin(), unit.argmax()) == (values.argmin(), values.argmax())


def test_the_window_of_the_extremes_is_of_finite_values_that_differ():
    values = np.array([[[3.0, np.nan, -2.0, np.inf]]])
    assert IntensityWindow.from_extremes(values) == IntensityWindow(-2, 3)
    with pytest.raises(IntensityError, match="the scan: every voxel has the value 7"):
        IntensityWindow.from_extremes(np.full((1, 3, 3), 7), "the scan")
    with pytest.raises(IntensityError, match="no voxel has a finite value"):
        IntensityWindow.from_extremes(np.full((1, 3, 3), np.nan))
