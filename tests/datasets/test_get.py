"""Sets come from a real web server or out of a folder, with a record of where everything is from."""

import hashlib
import io
import json
import os
import shutil
import zipfile

import numpy as np
import pytest

from ctloupe.datasets.recipe import Recipe, load_recipe
from ctloupe.datasets.record import DatasetRecord
from ctloupe.datasets.request import DataRequest, get_data
from ctloupe.foundation import download_part
from ctloupe.foundation.errors import FileError, OptionError
from ctloupe.foundation.records import load_record
from ctloupe.volume.formats import read, write
from ctloupe.volume.volume import Volume
from dicom_series import write_dicom_series
from file_server import FileServer, serving

TERMS = {
    "name": "mine",
    "title": "Two scans",
    "content": "Two.",
    "licence": {"name": "CC0"},
    "citation": "me",
    "where": "here",
    "size": "2",
    "good_for": ["tests"],
}


def scan(seed):
    values = np.random.default_rng(seed).integers(-1000, 400, (4, 8, 8)).astype(np.int16)
    return Volume(values, (1.0, 0.5, 0.5), modality="clinical", units="HU")


@pytest.fixture(scope="module")
def contents(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    write(scan(1), folder / "one.nii.gz")
    write(scan(2), folder / "two.nii.gz")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.write(folder / "two.nii.gz", "two.nii.gz")
    return {"one.nii.gz": (folder / "one.nii.gz").read_bytes(), "two.zip": packed.getvalue()}


@pytest.fixture
def server(contents, monkeypatch):
    monkeypatch.setattr(download_part.time, "sleep", lambda seconds: None)
    monkeypatch.setenv("NO_PROXY", "*")
    with serving(FileServer(dict(contents))) as started:
        yield started


@pytest.fixture
def recipe(server, contents):
    one, two = contents["one.nii.gz"], contents["two.zip"]
    files = [
        {
            "name": "clinical/one.nii.gz",
            "address": server.address("one.nii.gz?key=hidden"),
            "size": len(one),
            "checksum": hashlib.sha256(one).hexdigest(),
        },
        {"name": "two.zip", "address": server.address("two.zip"), "size": len(two), "unpack": "micro"},
    ]
    holds = [{"folder": "clinical", "what": "CTs"}, {"folder": "micro", "what": "µCTs"}]
    return Recipe.model_validate({**TERMS, "files": files, "holds": holds})


def test_a_set_is_fetched_unpacked_and_recorded(recipe, tmp_path, contents):
    lines = []
    record = get_data(DataRequest(recipe, tmp_path / "set"), lines.append)
    assert record == tmp_path / "set" / "dataset.json"
    assert np.array_equal(read(tmp_path / "set" / "micro" / "two.nii.gz").data[:], scan(2).data)
    told = load_record(record, DatasetRecord, "record", "")
    assert [one.name for one in told.files] == ["clinical/one.nii.gz", "two.zip"] and told.licence == "CC0"
    for file in told.files:
        content = (tmp_path / "set" / file.name).read_bytes()
        assert file.sha256 == f"sha256:{hashlib.sha256(content).hexdigest()}" and file.size == len(content)
    assert told.files[0].published == told.files[0].sha256 and told.files[1].published is None
    assert told.files[1].unpacked == "micro"
    assert told.files[0].source.endswith("/one.nii.gz") and "hidden" not in "".join(lines)
    assert "clinical: 1 volume (CTs)" in lines and "micro: 1 volume (µCTs)" in lines


def test_a_set_that_is_there_is_not_asked_for_again_and_what_is_missing_is_added(recipe, server, tmp_path):
    out = tmp_path / "set"
    get_data(DataRequest(recipe, out, only="*.zip"))
    assert [one["path"] for one in server.asked] == ["/two.zip"]
    get_data(DataRequest(recipe, out, only="clinical/*"))
    assert {one.name for one in load_record(out / "dataset.json", DatasetRecord, "", "").files} == {
        "clinical/one.nii.gz",
        "two.zip",
    }
    get_data(DataRequest(recipe, out))
    assert len(server.asked) == 2
    with pytest.raises(OptionError, match=r"no file of mine is called so; there are: clinical/one\.nii\.gz, two\.zip"):
        get_data(DataRequest(recipe, out, only="three*"))


def test_a_set_that_broke_off_goes_on_with_the_same_request(recipe, server, tmp_path):
    server.breaks = [100, 0, 0, 0]
    with pytest.raises(FileError, match="are kept, and the same command goes on"):
        get_data(DataRequest(recipe, tmp_path / "set"))
    assert not (tmp_path / "set" / "dataset.json").exists()
    server.breaks = []
    get_data(DataRequest(recipe, tmp_path / "set"))
    assert any(one.get("Range") == "bytes=100-" for one in server.asked)
    assert not [one for one in (tmp_path / "set").rglob("*") if one.name.startswith(".")]


def large(recipe, size):
    files = [one.model_dump() | {"size": None, "about": size} for one in recipe.files]
    return Recipe.model_validate({**recipe.model_dump(), "files": files})


@pytest.mark.parametrize(("size", "amount"), [(3_000_000_000, "6.0 GB"), (None, r"2 file\(s\) of unknown size")])
def test_gigabytes_and_unknown_sizes_are_asked_about_first(recipe, server, tmp_path, size, amount):
    request = DataRequest(large(recipe, size), tmp_path / "set")
    with pytest.raises(OptionError, match=f"{amount} would be fetched; nobody can be asked here, so give `yes`"):
        get_data(request)
    asked = []
    with pytest.raises(OptionError, match="not agreed to"):
        get_data(request, ask=lambda text: asked.append(text) or False)
    assert asked[0].startswith("Fetch ") and not server.asked and not (tmp_path / "set").exists()
    if size is None:
        get_data(request, ask=lambda text: True)
        assert (tmp_path / "set" / "micro" / "two.nii.gz").exists()


def test_a_set_that_does_not_fit_is_refused_before_anything_comes(recipe, server, tmp_path):
    with pytest.raises(FileError, match=r"2000\.0 TB are to come .* fetch a part of the set with `only`"):
        get_data(DataRequest(large(recipe, 10**15), tmp_path / "set", yes=True))
    assert not server.asked and not (tmp_path / "set").exists()


def test_a_file_of_ones_own_with_the_name_of_one_of_the_set_is_kept(recipe, tmp_path):
    own = tmp_path / "set" / "clinical" / "one.nii.gz"
    own.parent.mkdir(parents=True)
    own.write_bytes(b"own")
    with pytest.raises(FileError, match="exists already and has 3 bytes"):
        get_data(DataRequest(recipe, tmp_path / "set"))
    assert own.read_bytes() == b"own"


@pytest.fixture
def downloads(tmp_path):
    folder = tmp_path / "downloads"
    for ear, seed in (("ear1", 1), ("ear2", 2)):
        write(scan(seed), folder / ear / f"{ear}_ct.nii.gz")
        write(scan(seed + 10), folder / ear / "micro.mhd")
    (folder / "README.txt").write_text("read me")
    return folder


def state(folder):
    return {str(one.relative_to(folder)): (one.stat().st_mtime_ns, one.stat().st_size) for one in folder.rglob("*")}


def test_what_was_fetched_by_hand_is_sorted_and_stays_as_it_is(downloads, tmp_path):
    shutil.rmtree(downloads / "ear2")
    before = state(downloads)
    ears = load_recipe("ear-pairs")
    request = DataRequest(ears, tmp_path / "ears", source=downloads, take=("clinical=*_ct.nii.gz", "micro=ear?/*.mhd"))
    for _ in range(2):
        record = get_data(request)
    assert np.array_equal(read(tmp_path / "ears" / "clinical" / "ear1_ct.nii.gz").data[:], scan(1).data)
    assert np.array_equal(read(tmp_path / "ears" / "micro" / "micro.mhd").data[:], scan(11).data)
    assert state(downloads) == before
    told = json.loads(record.read_text())
    assert [one["name"] for one in told["files"]] == ["clinical/ear1_ct.nii.gz", "micro/micro.mhd", "micro/micro.raw"]
    assert {one["source"] for one in told["files"]} == {"https://doi.org/10.1016/j.dib.2019.104782"}


def test_volumes_of_one_name_get_that_of_their_folder_but_not_where_a_header_names_their_voxels(downloads, tmp_path):
    for ear in ("ear1", "ear2"):
        (downloads / ear / f"{ear}_ct.nii.gz").rename(downloads / ear / "ct.nii.gz")
    recipe = load_recipe("luna16")
    get_data(DataRequest(recipe, tmp_path / "a", source=downloads, take=("clinical=ct.nii.gz",)))
    assert {one.name for one in (tmp_path / "a" / "clinical").iterdir()} == {"ear1_ct.nii.gz", "ear2_ct.nii.gz"}
    with pytest.raises(FileError, match=r"micro\.mhd: has the name of another and files beside it"):
        get_data(DataRequest(recipe, tmp_path / "b", source=downloads, take=("clinical=*.mhd",)))
    assert not (tmp_path / "b").exists()


def test_folders_of_the_roles_names_need_no_pattern_and_a_series_is_one_volume(tmp_path):
    folder = tmp_path / "downloads" / "clinical" / "patient"
    write_dicom_series(folder)
    lines = []
    get_data(DataRequest(load_recipe("lidc-idri"), tmp_path / "set", source=tmp_path / "downloads"), lines.append)
    assert read(tmp_path / "set" / "clinical" / "patient").shape == (6, 8, 10)
    assert lines == ["clinical: 1 volume (chest CTs)"]


def test_files_of_another_disk_are_copied(downloads, tmp_path, monkeypatch):
    def link(*_):
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", link)
    get_data(DataRequest(load_recipe("luna16"), tmp_path / "set", source=downloads, take=("clinical=*_ct.nii.gz",)))
    copied = tmp_path / "set" / "clinical" / "ear1_ct.nii.gz"
    assert copied.read_bytes() == (downloads / "ear1" / "ear1_ct.nii.gz").read_bytes()
    assert not copied.samefile(downloads / "ear1" / "ear1_ct.nii.gz")


@pytest.mark.parametrize(
    ("take", "says"),
    [
        ((), r"which of its files are 'clinical' \(clinical CTs\)\? Give `take` clinical=PATTERN"),
        (("clinical=*_ct.nii.gz",), "which of its files are 'micro'"),
        (("clinical",), "expected FOLDER=PATTERN, where FOLDER is clinical or micro or labels"),
        (("slices=*",), "expected FOLDER=PATTERN"),
        (("clinical=*.mha", "micro=*.mhd"), r"nothing in it matches \*\.mha"),
        (("clinical=*.txt", "micro=*.mhd"), r"README\.txt: taken for clinical, but no volume"),
    ],
)
def test_what_cannot_be_sorted_is_said_in_one_line_and_nothing_is_made(downloads, tmp_path, take, says):
    with pytest.raises((OptionError, FileError), match=says):
        get_data(DataRequest(load_recipe("ear-pairs"), tmp_path / "set", source=downloads, take=take))
    assert not (tmp_path / "set").exists()


def test_a_set_by_hand_needs_its_folder_which_is_not_the_one_to_make(downloads, tmp_path):
    ears = load_recipe("ear-pairs")
    with pytest.raises(OptionError, match=r"ear-pairs: is fetched by hand, .* give the folder .* with `source`"):
        get_data(DataRequest(ears, tmp_path / "set"))
    with pytest.raises(FileError, match="no such folder; give the folder that Human bony"):
        get_data(DataRequest(ears, tmp_path / "set", source=tmp_path / "none"))
    with pytest.raises(FileError, match="lies inside the input"):
        get_data(DataRequest(load_recipe("luna16"), downloads / "set", source=downloads, take=("clinical=*_ct.*",)))
