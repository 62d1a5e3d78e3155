"""Pages and pictures that are written instead of being served."""

import base64
import gzip
import json
import re

import numpy as np
import pytest

from ctloupe.foundation.errors import FileError, OptionError
from ctloupe.viewer.files import write_files
from ctloupe.viewer.request import ViewRequest
from ctloupe.volume.formats import write
from ctloupe.volume.geometry import refined_grid
from ctloupe.volume.volume import Volume

BACKWARDS = ((-1.0, 0.0, 0.0), (0.0, -1.0, 0.0), (0.0, 0.0, 1.0))


@pytest.fixture(params=[((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)), BACKWARDS])
def volumes(tmp_path, request):
    """A scan in HU and a raw volume twice as fine."""
    values = np.random.default_rng(0).integers(-1000, 200, (4, 30, 40)).astype(np.int16)
    scan = Volume(values, (2.0, 0.8, 0.8), (1.0, 2.0, 3.0), request.param, "clinical", "HU")
    spacing, origin = refined_grid(scan.spacing, scan.origin, scan.direction, 2)
    raw = values.repeat(2, 1).repeat(2, 2).astype(np.float32) * 1.5
    fine = Volume(raw, spacing, origin, scan.direction, "micro", "raw")
    write(scan, tmp_path / "scan.nii")
    write(fine, tmp_path / "fine.nii")
    return scan, fine


def asked(folder, **changes):
    named = (("scan", folder / "scan.nii"), ("fine", folder / "fine.nii"))
    return ViewRequest(named, **changes)


def embedded(page):
    content = json.loads(re.search(r'id="embedded">(.*?)</script>', page, flags=re.S)[1])
    volumes = []
    for text, layer in zip(content["volumes"], content["scene"]["layers"], strict=True):
        kind = np.dtype("<i2" if layer["wire"] == "int16" else "<f4")
        plain = np.frombuffer(gzip.decompress(base64.b64decode(text)), np.uint8).reshape(kind.itemsize, -1).T
        volumes.append(np.ascontiguousarray(plain).view(kind)[:, 0].reshape(layer["shape"]))
    return content["scene"], volumes


def test_a_page_holds_the_voxels_of_the_region_at_their_place_and_nothing_of_the_network(volumes, tmp_path):
    scan, fine = volumes
    write_files(asked(tmp_path, export=tmp_path / "a.html", roi="1:3,5:15,10:30"))
    page = (tmp_path / "a.html").read_text(encoding="utf-8")
    scene, (coarse, raw) = embedded(page)
    # The page counts along left, back and head.
    turn = (slice(None), slice(None, None, -1), slice(None, None, -1))
    one, other = scan.array()[1:3, 5:15, 10:30], fine.array()[1:3, 10:30, 20:60]
    if scan.direction[0][0] < 0:
        one, other = one[turn], other[turn]
    assert np.array_equal(coarse, one) and np.array_equal(raw, other)
    assert scene["layers"][0]["offset"] == [1, 5, 10] and scene["layers"][1]["offset"] == [1, 10, 20]
    assert scene["layers"][0]["edge"] == pytest.approx(scene["layers"][1]["edge"])
    assert "Research use only" in page
    assert "page/" not in re.sub(r'id="embedded">.*?</script>', "", page, flags=re.S)
    assert not re.search(r'(src|href)="(?!data:)', page)
    assert "http" not in page.replace("http://www.w3.org", "")
    assert str(tmp_path) not in page


def test_without_a_region_one_is_chosen_where_all_volumes_are(volumes, tmp_path):
    _, fine = volumes
    write(fine.crop(slice(2, 3), slice(20, 40), slice(30, 60)), tmp_path / "fine.mha")
    request = ViewRequest(
        (("scan", tmp_path / "scan.nii"), ("fine", tmp_path / "fine.mha")),
        export=tmp_path / "a.html",
        shot=tmp_path / "a.png",
    )
    assert write_files(request) == [tmp_path / "a.html", tmp_path / "a.png"]
    scene, _ = embedded((tmp_path / "a.html").read_text(encoding="utf-8"))
    assert [layer["shape"] for layer in scene["layers"]] == [[1, 10, 15], [1, 20, 30]]
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_bad_requests_leave_nothing(volumes, tmp_path):
    for changes, words in (
        ({"export": tmp_path / "a.png"}, "`export`"),
        ({"shot": tmp_path / "a.jpg"}, "`shot`"),
        ({"shot": tmp_path / "a.png", "roi": "0:1,0:99,0:2"}, "`roi`"),
        ({"export": tmp_path / "a.html", "roi": "1"}, "`roi`"),
    ):
        with pytest.raises(OptionError, match=words):
            write_files(asked(tmp_path, **changes))
    (tmp_path / "there.html").write_text("mine")
    with pytest.raises(FileError, match="exists already"):
        write_files(asked(tmp_path, export=tmp_path / "there.html", roi="0:1,0:4,0:4"))
    assert (tmp_path / "there.html").read_text() == "mine"
    assert sorted(one.name for one in tmp_path.iterdir()) == ["fine.nii", "scan.nii", "there.html"]


def test_a_page_that_nobody_could_send_is_refused(volumes, tmp_path, monkeypatch):
    monkeypatch.setattr("ctloupe.viewer.files.MOST_BYTES", 1000)
    with pytest.raises(OptionError, match="MB of voxels"):
        write_files(asked(tmp_path, export=tmp_path / "a.html", roi="0:4,0:30,0:40"))
