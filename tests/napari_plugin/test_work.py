"""The work behind the panel: a request from its fields, run in a thread, told, cancelled and gone on with."""

from pathlib import Path

import numpy as np
import pytest

from ctloupe.foundation.errors import CtLoupeError, OptionError
from ctloupe.napari_plugin.asked import Asked
from ctloupe.napari_plugin.work import BackgroundWork
from ctloupe.volume.formats import read, write
from ctloupe.volume.volume import Volume

FIELDS = {"model": "bicubic", "scale": 2, "mask": "none"}


@pytest.fixture(scope="module")
def scan(tmp_path_factory):
    path = tmp_path_factory.mktemp("scan") / "scan.nii.gz"
    values = np.random.default_rng(0).normal(-700, 200, (24, 32, 32)).astype(np.int16)
    write(Volume(values, (2.0, 0.8, 0.8), (5.0, 6.0, 7.0), units="HU"), path)
    return path


def worked(request, **handlers):
    work = BackgroundWork(request, **handlers)
    work.begin()
    work.wait(60)
    assert not work.running
    return work


def test_the_work_tells_what_it_does_and_leaves_the_volume(scan, tmp_path):
    ended = []
    out = tmp_path / "fine.ome.zarr"
    work = worked(Asked(out=str(out), **FIELDS).request(scan), finish=lambda: ended.append(True))
    assert work.error is None and work.share == 1 and ended == [True]
    assert any(line.startswith("wrote ") for line in work.lines()) and not work.lines()
    assert read(out).shape == (24, 64, 64)
    assert not list(tmp_path.glob("*.png"))


def test_a_model_with_uncertainty_writes_it_where_the_panel_looks(scan, tmp_path, tiny_flow):
    asked = Asked(out=str(tmp_path / "m.nii.gz"), model=str(tiny_flow), mask="none", uncertainty=True, slices="0:1")
    asked = Asked(**{**vars(asked), "spacing": "accept"})
    assert worked(asked.request(scan)).error is None
    assert [one.name for one in asked.made] == ["m.nii.gz", "m-uncertainty.nii.gz"]
    assert all(path.is_file() for path in asked.made)


def test_work_that_is_cancelled_is_gone_on_with(scan, tmp_path):
    out = tmp_path / "fine.ome.zarr"

    class Impatient(BackgroundWork):
        def update(self, done, note=""):
            self.cancel()
            super().update(done, note)

    stopped = Impatient(Asked(out=str(out), **FIELDS).request(scan))
    stopped.begin()
    stopped.wait(60)
    assert stopped.cancelled and "4 of 24 slices are kept" in str(stopped.error)
    assert not out.exists()
    work = worked(Asked(out=str(out), resume=True, **FIELDS).request(scan))
    assert work.error is None and out.exists()


def test_what_cannot_be_is_an_error_of_the_work_and_not_of_the_thread(scan, tmp_path):
    work = worked(Asked(out=str(tmp_path / "fine.ome.zarr"), model="nowhere").request(scan))
    assert isinstance(work.error, CtLoupeError) and not work.cancelled
    with pytest.raises(OptionError, match="out"):
        Asked().request(scan)


def test_fields_left_empty_are_left_out_of_the_request():
    request = Asked(out="a.nii.gz", **FIELDS | {"scale": 0}).request(Path("scan"))
    assert request.scale is None and request.slices is None and request.uncertainty is None
    assert Asked(out="a.nii.gz", spacing="resample", **FIELDS).request(Path("scan")).resample
