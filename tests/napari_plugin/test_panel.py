"""The panel itself, on the layers of a real napari, without a window."""

import os
import time

import numpy as np
import pytest
import SimpleITK as sitk

from ctloupe.foundation.notice import RESEARCH_NOTICE
from ctloupe.volume.formats import write
from ctloupe.volume.geometry import as_direction
from ctloupe.volume.volume import Volume

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
napari = pytest.importorskip("napari", reason="napari is not installed: pip install 'napari[pyside6]'")
qtpy = pytest.importorskip(
    "qtpy.QtWidgets", reason="napari has no Qt: pip install 'napari[pyside6]'", exc_type=ImportError
)

ORIGIN, SPACING = (5.0, 6.0, 7.0), (2.0, 0.8, 0.8)
TURNED = as_direction([[0.0, 0.6, 0.8], [1.0, 0.0, 0.0], [0.0, 0.8, -0.6]])


@pytest.fixture
def panel():
    from napari.components import ViewerModel

    from ctloupe.napari_plugin.panel import EnhancePanel

    application = qtpy.QApplication.instance() or qtpy.QApplication([])
    viewer = ViewerModel()
    made = EnhancePanel(viewer)
    made.model.line_edit.value, made.scale.value, made.mask.value = "bicubic", 2, "none"
    yield made
    made.native.close()
    application.processEvents()


@pytest.fixture
def scan(tmp_path):
    path = tmp_path / "scan.nii.gz"
    values = np.random.default_rng(0).normal(-700, 200, (3, 32, 32)).astype(np.int16)
    write(Volume(values, SPACING, ORIGIN, TURNED, units="HU"), path)
    return path


def enhanced(panel, out):
    """Press the button, let events come, and return the newest layer."""
    panel.out.line_edit.value = str(out)
    panel.enhance.changed.emit(True)
    until = time.monotonic() + 60
    while panel.work is not None and time.monotonic() < until:
        qtpy.QApplication.processEvents()
        time.sleep(0.01)
    assert panel.told.value.endswith("finished\n"), panel.told.value
    return panel._viewer.layers[-1]


def test_a_layer_is_enhanced_and_the_result_lies_on_it(panel, scan, tmp_path):
    from napari.layers import Layer

    from ctloupe.napari_plugin.reader import read_layers

    [layer] = [Layer.create(*one) for one in read_layers(str(scan))]
    layer.contrast_limits = (-900, -100)
    panel._viewer.add_layer(layer)
    panel.scan.value = "scan"
    made = enhanced(panel, tmp_path / "fine.nrrd")
    assert made.name == "fine" and tuple(made.contrast_limits) == (-900, -100)
    image = sitk.ReadImage(str(tmp_path / "fine.nrrd"))
    for index in ((0, 0, 0), (2, 63, 10)):
        physical = image.TransformContinuousIndexToPhysicalPoint(index[::-1])
        assert made.data_to_world(index) == pytest.approx(physical[::-1], abs=1e-4)
    # Corners of the voxels at the corner of the scan are one point.
    assert made.data_to_world((0, -0.5, -0.5)) == pytest.approx(layer.data_to_world((0, -0.5, -0.5)), abs=1e-4)


def test_a_layer_of_another_reader_is_taken_where_it_lies(panel, tmp_path):
    values = np.random.default_rng(0).normal(-700, 200, (2, 32, 32)).astype(np.float32)
    layer = panel._viewer.add_image(values, name="other", scale=SPACING, translate=ORIGIN[::-1])
    panel.scan.value = "other"
    made = enhanced(panel, tmp_path / "fine.ome.zarr")
    assert made.multiscale and made.data[0].shape == (2, 64, 64)
    assert made.data_to_world((0, -0.5, -0.5)) == pytest.approx(layer.data_to_world((0, -0.5, -0.5)), abs=1e-4)


def test_a_file_is_enhanced_that_is_not_open_and_errors_are_told(panel, scan, tmp_path):
    assert RESEARCH_NOTICE in panel.told.value
    panel.begin()
    assert panel.told.value == "error: `scan`: choose a layer or a file\n"
    panel.file.line_edit.value = str(scan)
    enhanced(panel, tmp_path / "fine.ome.zarr")
    panel.enhance.changed.emit(True)
    while panel.work is not None:
        panel.look()
        time.sleep(0.01)
    assert "error:" in panel.told.value and "exists already" in panel.told.value
    assert panel.enhance.enabled and not panel.cancel.enabled
