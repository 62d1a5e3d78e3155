"""Archives unpack to what they hold, and one that is damaged or leads elsewhere leaves nothing."""

import io
import stat
import tarfile
import zipfile

import numpy as np
import pytest

from ctloupe.datasets.archives import unpack
from ctloupe.foundation.errors import FileError

FILES = {"one.bin": np.random.default_rng(1).bytes(70_000), "in/two.bin": b"", "in/deep/ö 3.bin": b"three"}


def zipped(path, files, attribute=None, twice=False):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = (attribute or 0o644) << 16
            archive.writestr(info, content)
    return path


def tarred(path, files, kind=tarfile.REGTYPE):
    with tarfile.open(path, {".gz": "w:gz", ".xz": "w:xz", ".bz2": "w:bz2"}.get(path.suffix, "w")) as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.type, info.linkname = (len(content) if kind == tarfile.REGTYPE else 0), kind, "/etc/hosts"
            archive.addfile(info, io.BytesIO(content))
    return path


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tar.gz", "a.tar.xz", "no-suffix"])
def test_an_archive_becomes_its_files(tmp_path, name):
    archive = (zipped if name == "a.zip" else tarred)(tmp_path / name, FILES)
    assert unpack(archive, tmp_path / "out") == len(FILES)
    found = {str(one.relative_to(tmp_path / "out")): one.read_bytes() for one in (tmp_path / "out").rglob("*.bin")}
    assert found == FILES
    with pytest.raises(FileError, match="exists already"):
        unpack(archive, tmp_path / "out")


@pytest.mark.parametrize("name", ["../evil", "/tmp/evil", "in/../../evil", "C:evil", "a\\..\\evil", "a\nb"])
@pytest.mark.parametrize("make", [zipped, tarred])
def test_a_name_that_may_lead_out_of_the_folder_is_refused(tmp_path, name, make):
    archive = make(tmp_path / "box" / "a" if (tmp_path / "box").mkdir() is None else None, {"good": b"1", name: b"2"})
    with pytest.raises(FileError, match="may lead out of its folder; it is not unpacked"):
        unpack(archive, tmp_path / "box" / "out")
    assert [one.name for one in (tmp_path / "box").iterdir()] == ["a"]
    assert [one.name for one in tmp_path.iterdir()] == ["box"]


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_links_and_devices_are_refused(tmp_path, kind):
    with pytest.raises(FileError, match="a link or a device"):
        unpack(tarred(tmp_path / "a.tar", {"link": b""}, kind), tmp_path / "out")
    with pytest.raises(FileError, match="a link or a device"):
        unpack(zipped(tmp_path / "a.zip", {"link": b"/etc/hosts"}, stat.S_IFLNK | 0o777), tmp_path / "out")


def test_one_name_twice_is_refused_also_in_other_letters(tmp_path):
    for make in (zipped, tarred):
        with pytest.raises(FileError, match="holds 'One' twice"):
            unpack(make(tmp_path / "a", {"one": b"1", "One": b"2"}), tmp_path / "out")


def test_what_does_not_fit_on_the_disk_is_refused_before_it_is_written(tmp_path):
    archive = tmp_path / "a.tar"
    info = tarfile.TarInfo("huge")
    info.size = 10**15
    archive.write_bytes(info.tobuf(tarfile.GNU_FORMAT) + bytes(20 * 512))
    with pytest.raises(FileError, match=r"holds more than the .* GB that are free"):
        unpack(archive, tmp_path / "out")


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tar.gz", "a.tar.bz2", "a.tar.xz"])
def test_a_damaged_archive_is_one_line_and_leaves_nothing(tmp_path, name):
    archive = (zipped if name == "a.zip" else tarred)(tmp_path / name, FILES)
    whole = archive.read_bytes()
    damaged = bytearray(whole)
    # Of a plain tar only headers have a checksum: here that of the second file.
    place = whole.index(b"in/two.bin") if name == "a.tar" else len(whole) // 2
    damaged[place : place + 4] = b"ABCD"
    for content in (bytes(damaged), whole[: len(whole) // 2], b"no archive at all"):
        archive.write_bytes(content)
        with pytest.raises(FileError, match=rf"{name}: (damaged archive|neither a zip nor a tar)"):
            unpack(archive, tmp_path / "out")
        assert [one.name for one in tmp_path.iterdir()] == [name]
