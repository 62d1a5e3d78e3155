"""From files to a scene: roles, names, stores that grow, large compressed files, and rows of studies."""

import gzip
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ctloupe.enhance.request import EnhanceRequest, enhance_files
from ctloupe.enhance.store.unfinished import unfinished_folder
from ctloupe.evaluate.suite.report import keep_crops
from ctloupe.foundation.errors import CtLoupeError, FileError, Interrupted, OptionError
from ctloupe.foundation.progress import Silent
from ctloupe.viewer.inflated import inflated
from ctloupe.viewer.request import ViewRequest, open_scene
from ctloupe.volume.formats import read, write
from ctloupe.volume.formats.ome_zarr.writer import OmeZarrWriter
from ctloupe.volume.geometry import refined_grid
from ctloupe.volume.volume import Volume


@pytest.fixture
def scan(tmp_path):
    values = np.random.default_rng(0).integers(-1000, 200, (4, 16, 20)).astype(np.int16)
    volume = Volume(values, (2.0, 0.8, 0.8), (1.0, 2.0, 3.0), modality="clinical", units="HU")
    write(volume, tmp_path / "scan.nii.gz")
    return volume


def fine_of(scan, scale=2):
    spacing, origin = refined_grid(scan.spacing, scan.origin, scan.direction, scale)
    return Volume(scan.array().repeat(scale, 1).repeat(scale, 2), spacing, origin, scan.direction, "clinical", "HU")


def test_images_and_maps_have_their_roles_and_names(scan, tmp_path):
    write(fine_of(scan), tmp_path / "fine.mha")
    write(scan.with_data(np.ones(scan.shape, np.uint8)), tmp_path / "mask.nrrd")
    volumes = (("scan", tmp_path / "scan.nii.gz"), ("fine", tmp_path / "fine.mha"))
    scene = open_scene(ViewRequest(volumes, mask=tmp_path / "mask.nrrd", labels=tmp_path / "mask.nrrd"))
    assert [(layer.name, layer.role) for layer in scene.layers] == [
        ("scan", "image"),
        ("fine", "image"),
        ("mask", "mask"),
        ("labels", "labels"),
        ("fine: block mean minus scan", "agreement"),
    ]


def test_what_is_not_there_is_named(tmp_path):
    with pytest.raises(FileError, match="nothing is being written there"):
        open_scene(ViewRequest((("scan", tmp_path / "none.ome.zarr"),)))
    with pytest.raises(OptionError):
        open_scene(ViewRequest(()))


def test_a_store_that_is_being_written_shows_what_is_finished(scan, tmp_path):
    fine, out = fine_of(scan), tmp_path / "out.ome.zarr"
    folder = unfinished_folder(out)
    folder.mkdir()
    writer = OmeZarrWriter.like(fine, folder / "values.ome.zarr", np.int16)
    journal = folder / "journal.jsonl"
    journal.write_text(json.dumps({"says": {"identity": "x"}, "seal": "x"}) + "\n")
    writer.write(0, fine.array()[:2])
    told = []
    with journal.open("a") as file:
        file.write(json.dumps({"says": {"slices": [0, 2]}, "seal": "x"}) + '\n{"says": {"sli')
    scene = open_scene(ViewRequest((("scan", tmp_path / "scan.nii.gz"), ("out", out))), told.append)
    assert "2 of 4 slices are finished" in told[0]
    assert scene.finished()[1]["count"] == 2
    shown = scene.tile(1, 0, 0, 1, 0, 0)[2:-2, 2:-2]
    assert np.array_equal(shown, fine.array()[1])
    assert np.all(scene.tile(1, 0, 0, 3, 0, 0) == -32768)
    writer.write(2, fine.array()[2:])
    (folder / "values.ome.zarr").rename(out)
    assert scene.finished()[1]["whole"]
    assert np.array_equal(scene.tile(1, 0, 0, 3, 0, 0)[2:-2, 2:-2], fine.array()[3])


def test_a_large_compressed_file_is_inflated_once_and_read_by_slices(scan, tmp_path):
    path = tmp_path / "scan.nii.gz"
    assert inflated(path, Silent()) is None, "small ones are read into the memory"
    folder = inflated(path, Silent(), least_bytes=100)
    with folder as name:
        (only,) = Path(name).iterdir()
        assert only.read_bytes() == gzip.decompress(path.read_bytes())
    assert inflated(tmp_path, Silent(), 1) is None
    cut = tmp_path / "cut.nii.gz"
    cut.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(FileError, match=r"cut.nii.gz: .*cut short"):
        inflated(cut, Silent(), 1)


def test_rows_of_a_suite_lie_on_each_other_with_their_numbers(scan, tmp_path):
    study = tmp_path / "board"
    keep_crops(study / "pictures" / "one", scan, fine_of(scan), {"bicubic": fine_of(scan), "mine": fine_of(scan)})
    (study / "leaderboard.md").write_text("x")
    (study / "cases").mkdir()
    record = {
        "protocol": "paired-phantom, version 1",
        "rows": {"bicubic": {"PSNR (dB)": 10.0}, "mine": {"PSNR (dB)": 12.5}},
        "definitions": {"PSNR (dB)": "x"},
        "facts": {},
    }
    (study / "cases" / "one.json").write_text(json.dumps(record))
    scene = open_scene(ViewRequest((("scan", study),)))
    assert [layer.name for layer in scene.layers] == ["scan", "bicubic", "mine", "truth"]
    assert scene.layers[2].numbers == {"PSNR (dB)": 12.5}
    edges = [[tiles.finest.edge(axis) for axis in (1, 2)] for tiles in scene.tiles]
    assert np.ptp(edges, axis=0) == pytest.approx([0, 0])
    position = [0.8 * 3, 0.8 * 5, 0.0]
    values = scene.values(position)
    assert len(set(values)) == 1 and values[0] is not None
    with pytest.raises(OptionError, match="expected one of one"):
        open_scene(ViewRequest((("scan", study),), case="two"))
    with pytest.raises(OptionError, match="`mask` is for volumes"):
        open_scene(ViewRequest((("scan", study),), mask=study))


def test_a_folder_without_squares_says_so(tmp_path):
    (tmp_path / "study.json").write_text("{}")
    with pytest.raises(CtLoupeError, match="no squares were kept"):
        open_scene(ViewRequest((("scan", tmp_path),)))


class _Stops(Silent):
    def update(self, done, note=""):
        if done >= 2:
            raise KeyboardInterrupt


def test_an_enhancing_that_was_stopped_and_goes_on_is_followed(scan, tmp_path):
    request = EnhanceRequest(tmp_path / "scan.nii.gz", tmp_path / "out.ome.zarr", "bicubic", 2, mask="none", slab=1)
    with pytest.raises(Interrupted):
        enhance_files(request, progress=_Stops())
    volumes = (("scan", tmp_path / "scan.nii.gz"), ("out", request.out))
    scene = open_scene(ViewRequest(volumes))
    assert scene.finished()[1]["count"] == 2 and not scene.finished()[1]["whole"]
    assert np.all(scene.tile(1, 0, 0, 2, 0, 0) == -32768)
    enhance_files(replace(request, resume=True))
    assert scene.finished()[1]["whole"]
    whole = read(request.out)
    for z in range(4):
        assert np.array_equal(scene.tile(1, 0, 0, z, 0, 0)[2:-2, 2:-2], whole.data[z])
