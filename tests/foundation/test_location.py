"""A place on a disk or on a server: what texts mean it, and what never becomes a folder on this disk."""

import os
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from ctloupe.foundation.atomic import replacing, require_place
from ctloupe.foundation.errors import FileError, MissingExtraError, OptionError
from ctloupe.foundation.inputs import require_apart
from ctloupe.foundation.leftovers import full_suffix
from ctloupe.foundation.location import Remote, is_url, location

names = some.text("abcxyz019-_ é.", min_size=1, max_size=8).filter(lambda text: text not in (".", ".."))


@given(some.sampled_from(["s3", "gs", "http", "https"]), names, some.lists(names, min_size=1, max_size=4))
def test_an_address_is_kept_as_it_is_and_its_parts_are_those_of_a_path(scheme, host, parts):
    text = f"{scheme}://{host}/{'/'.join(parts)}"
    place = location(text)
    assert isinstance(place, Remote) and str(place) == text and location(place) is place and is_url(text)
    likewise = Path("/".join(parts))
    assert (place.name, place.suffix, full_suffix(place)) == (likewise.name, likewise.suffix, full_suffix(likewise))
    assert (place / "a").parent == place and str(place / "a") == f"{text}/a"
    assert place.with_name("b").key == likewise.with_name("b").as_posix()
    assert (place / "a").is_relative_to(place) and not place.is_relative_to(place.with_name(f"{place.name}a"))


@pytest.mark.parametrize("text", ["scan.nii.gz", "/a/b", "folder/s3", "C:\\scan", "a:b", "."])
def test_everything_else_is_a_path(text):
    assert location(text) == Path(text) and not is_url(text)


def test_a_place_on_a_server_cannot_be_taken_for_one_on_this_disk():
    place = location("s3://bucket/scan.ome.zarr")
    for opener in (Path, os.fspath, open):
        with pytest.raises(TypeError):
            opener(place)


@pytest.mark.parametrize(
    "text",
    [
        "s3://me:hidden@bucket/a.ome.zarr",
        "https://hidden@host/a.ome.zarr",
        "https://host/a.ome.zarr?token=hidden",
        "https://host/a.ome.zarr#hidden",
        "ftp://me:hidden@host/a",
    ],
)
def test_credentials_in_an_address_are_refused_and_not_repeated(text):
    with pytest.raises(OptionError, match="give credentials in the environment only") as refused:
        location(text)
    assert "hidden" not in str(refused.value)


@pytest.mark.parametrize(
    "text",
    ["s3://bucket", "s3://bucket/", "s3:///a", "s3://b/a/../c", "s3://b/a//c", "http://h/a/%2e%2e/c", "ftp://h/a"],
)
def test_what_is_no_address_of_a_store_is_refused(text):
    with pytest.raises(OptionError, match="expected"):
        location(text)


@pytest.mark.parametrize("text", ["s3://bucket/a.ome.zarr", "https://host/a.ome.zarr"])
def test_a_path_made_of_an_address_is_refused_before_a_folder_is_made(text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    mangled = Path(text)
    for asked in (location, require_place):
        with pytest.raises(OptionError, match="a server where a local path is expected"):
            asked(mangled)
    with pytest.raises(OptionError), replacing(mangled):
        pass
    assert not list(tmp_path.iterdir())


def test_without_the_library_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "obstore.exceptions", None)
    # Another environment, another connection: one that is open already is not taken.
    monkeypatch.setenv("CTLOUPE_REMOTE_PATIENCE", "0.125")
    for asked in (Remote.exists, Remote.read_bytes, Remote.unlink):
        with pytest.raises(MissingExtraError, match=r"pip install 'ctloupe\[remote\]'"):
            asked(Remote("s3", "bucket", "scan.ome.zarr"))


def test_outputs_on_a_server_touch_no_input_there():
    scan = "s3://bucket/scan.ome.zarr"
    require_apart([scan, "local.nii.gz", None], ["s3://bucket/fine.ome.zarr", "s3://other/scan.ome.zarr"])
    for output, fault in (
        (scan, "is the input"),
        (f"{scan}/0", "lies inside the input"),
        ("s3://bucket/scan.ome.zarr/", "is the input"),
    ):
        with pytest.raises(FileError, match=fault):
            require_apart([scan], [output])
    with pytest.raises(FileError, match="holds the input"):
        require_apart(["s3://bucket/a/scan.ome.zarr"], ["s3://bucket/a"])
    with pytest.raises(FileError, match="another output as well"):
        require_apart([], ["s3://bucket/a", "s3://bucket/a"])
