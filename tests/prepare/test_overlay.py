"""Pictures of masks show every slice asked for, the right way up, in true proportion."""

import numpy as np
import pytest
from PIL import Image

from ctloupe.foundation.errors import GeometryError
from ctloupe.images.windows import IntensityWindow
from ctloupe.prepare.overlay import mask_overlay_png
from ctloupe.volume.volume import Volume

WINDOW = IntensityWindow(0, 200)


def picture(path, mask, spacing=(1, 1, 1), slices=8):
    """RGB of the overlay over an even grey."""
    path.write_bytes(mask_overlay_png(Volume(np.full(mask.shape, 100, np.int16), spacing), mask, WINDOW, slices))
    return np.asarray(Image.open(path).convert("RGB")).astype(int)


def filled(flags, share=0.1):
    """Rows and columns of which `share` is in a region: what panels cover, without the letters."""
    return np.flatnonzero(flags.mean(1) > share), np.flatnonzero(flags.mean(0) > share)


@pytest.mark.parametrize("side", ["top", "bottom", "left", "right"])
def test_the_mask_is_coloured_where_it_is_and_nowhere_else(tmp_path, side):
    mask = np.zeros((1, 60, 60), bool)
    mask[{"top": np.s_[:, :30], "bottom": np.s_[:, 30:], "left": np.s_[:, :, :30], "right": np.s_[:, :, 30:]}[side]] = 1
    shown = picture(tmp_path / "o.png", mask)
    rows, columns = filled(shown.min(2) < 200, 0.5)
    panel = shown[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    coloured = panel[..., 0] - panel[..., 2] > 15
    height, width = coloured.shape
    expected = np.zeros_like(coloured)
    halves = {
        "top": np.s_[: height // 2],
        "bottom": np.s_[height // 2 :],
        "left": np.s_[:, : width // 2],
        "right": np.s_[:, width // 2 :],
    }
    expected[halves[side]] = True
    assert (coloured == expected).mean() > 0.97


def test_pixels_that_are_not_square_are_shown_in_true_proportion(tmp_path):
    shown = picture(tmp_path / "o.png", np.ones((1, 40, 40), bool), spacing=(1, 0.5, 1))
    rows, columns = filled(shown[..., 0] - shown[..., 2] > 15)
    assert np.ptp(rows) / np.ptp(columns) == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize(("depth", "asked", "panels"), [(1, 8, 1), (3, 8, 3), (40, 8, 8), (40, 2, 2)])
def test_as_many_slices_are_shown_as_asked_for_and_there(tmp_path, depth, asked, panels):
    shown = picture(tmp_path / "o.png", np.ones((depth, 20, 20), bool), slices=asked)
    coloured = shown[..., 0] - shown[..., 2] > 15
    rows, columns = (1 + np.count_nonzero(np.diff(one) > 1) for one in filled(coloured))
    assert rows * columns == panels


@pytest.mark.slow
@pytest.mark.parametrize("share", [0, 1])
def test_an_empty_and_a_full_mask_are_pictures_too(tmp_path, share):
    shown = picture(tmp_path / "o.png", np.full((2, 700, 30), share, bool))
    assert (shown[..., 0] - shown[..., 2] > 15).any() == bool(share)


def test_a_picture_replaces_the_one_before(tmp_path):
    empty = picture(tmp_path / "o.png", np.zeros((1, 20, 20), bool))
    full = picture(tmp_path / "o.png", np.ones((1, 20, 20), bool))
    assert not np.array_equal(empty, full)
    assert [file.name for file in tmp_path.iterdir()] == ["o.png"]


def test_a_mask_of_another_grid_is_refused():
    with pytest.raises(GeometryError, match="the mask has shape"):
        mask_overlay_png(Volume(np.zeros((1, 8, 9), np.int16), (1, 1, 1)), np.ones((1, 9, 9), bool), WINDOW)


def test_a_slice_of_a_single_row_is_a_picture_too(tmp_path):
    mask = np.ones((1, 1, 40), bool)
    mask[..., :20] = False
    assert picture(tmp_path / "o.png", mask).size
