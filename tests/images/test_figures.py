"""Images of a figure lie where they were placed: inside it, apart from each other, with room for captions."""

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from ctloupe.images.figures import DPI, GAP, LINE_INCHES, colour_bar, figure_of_images


def places(figure, axes):
    """Left, top, right and bottom of every axis in inches from the top left corner."""
    width, height = figure.get_size_inches()
    for axis in axes:
        box = axis.get_position()
        yield box.x0 * width, (1 - box.y1) * height, box.x1 * width, (1 - box.y0) * height


def test_rows_have_their_heights_and_the_room_above_them():
    figure, axes = figure_of_images([(2 * LINE_INCHES, 1.5), (0.0, 3.0)], 3, 2.0, head=0.4, right=0.7)
    assert axes.shape == (2, 3) and figure.dpi == DPI
    found = list(places(figure, axes.flat))
    tops = [0.4 + GAP + 2 * LINE_INCHES] * 3 + [0.4 + 2 * GAP + 2 * LINE_INCHES + 1.5] * 3
    for index, (left, top, right, bottom) in enumerate(found):
        assert left == pytest.approx(GAP + index % 3 * (2.0 + GAP)) and right - left == pytest.approx(2.0)
        assert top == pytest.approx(tops[index]) and bottom - top == pytest.approx([1.5, 3.0][index // 3])
    width, height = figure.get_size_inches()
    assert width == pytest.approx(found[-1][2] + GAP + 0.7) and height == pytest.approx(found[-1][3] + GAP)


def test_a_colour_bar_stands_beside_its_image_and_inside_the_figure():
    figure, axes = figure_of_images([(0.0, 2.0)], 1, 2.0, right=0.95)
    axes[0, 0].imshow(np.eye(4), vmin=-1000, vmax=1000)
    colour_bar(figure, axes[0, 0], "HU")
    (image, bar) = places(figure, figure.axes)
    assert image[2] < bar[0] and (bar[1], bar[3]) == pytest.approx((image[1], image[3]))
    drawn = figure.axes[1].get_tightbbox(FigureCanvasAgg(figure).get_renderer())
    assert drawn.x1 < figure.bbox.x1
