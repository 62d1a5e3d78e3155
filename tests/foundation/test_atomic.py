"""Outputs appear whole under their final name, or not at all."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from ctloupe.foundation.atomic import replacing, replacing_together, require_new, require_place
from ctloupe.foundation.errors import FileError
from ctloupe.foundation.leftovers import full_suffix


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


@pytest.mark.parametrize(
    ("name", "suffix"),
    [
        ("a.b.nii.gz", ".nii.gz"),
        ("A.NII.GZ", ".NII.GZ"),
        ("x.ome.zarr", ".ome.zarr"),
        ("v1.2.mha", ".mha"),
        ("f", ""),
    ],
)
def test_two_part_suffixes_count_as_one(name: str, suffix: str) -> None:
    assert full_suffix(Path(name)) == suffix


def test_a_file_appears_only_when_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "scan.nii.gz"
    with replacing(path) as temporary:
        assert temporary.parent == path.parent
        assert temporary.name.startswith(".scan.partial-")
        assert temporary.name.endswith(".nii.gz")
        temporary.write_bytes(b"half")
        assert not path.exists()
        temporary.write_bytes(b"whole")
    assert path.read_bytes() == b"whole"
    assert names(path.parent) == ["scan.nii.gz"]


@pytest.mark.parametrize("interruption", [ValueError, KeyboardInterrupt])
@pytest.mark.parametrize("folder", [False, True])
def test_an_interrupted_write_leaves_only_what_was_there(
    tmp_path: Path, interruption: type[BaseException], folder: bool
) -> None:
    path = tmp_path / "out"
    path.write_text("before")
    with pytest.raises(interruption), replacing(path, overwrite=True) as temporary:
        if folder:
            temporary.mkdir()
            (temporary / "chunk").write_text("half")
        else:
            temporary.write_text("half")
        raise interruption
    assert names(tmp_path) == ["out"]
    assert path.read_text() == "before"


def test_what_exists_is_replaced_only_on_request(tmp_path: Path) -> None:
    path = tmp_path / "out.mha"
    path.write_text("before")
    with pytest.raises(FileError, match=r"out\.mha: exists already; give `overwrite`"), replacing(path):
        pass
    assert path.read_text() == "before"
    with replacing(path, overwrite=True) as temporary:
        temporary.write_text("after")
    assert path.read_text() == "after"


def test_what_appears_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "out.mha"
    with pytest.raises(FileError, match="`overwrite`"), replacing(path) as temporary:
        temporary.write_text("mine")
        path.write_text("theirs")
    assert path.read_text() == "theirs"
    assert names(tmp_path) == ["out.mha"]


def test_a_folder_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "store.ome.zarr"
    for content in ("old", "new"):
        with replacing(path, overwrite=True) as temporary:
            temporary.mkdir()
            (temporary / content).write_text(content)
    assert names(tmp_path) == ["store.ome.zarr"]
    assert names(path) == ["new"]


def test_a_file_does_not_take_the_place_of_a_folder(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.mkdir()
    with (
        pytest.raises(FileError, match="out: is a folder"),
        replacing(tmp_path / "out", overwrite=True) as temporary,
    ):
        temporary.write_text("file")
    assert names(tmp_path) == ["out"]


def test_the_home_and_working_folders_are_never_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "work" / "deep").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "work" / "deep")
    with (
        pytest.raises(FileError, match="home or working folder"),
        replacing(tmp_path / "work", overwrite=True),
    ):
        pass
    monkeypatch.chdir("/")
    monkeypatch.setenv("HOME", str(tmp_path / "work"))
    with (
        pytest.raises(FileError, match="home or working folder"),
        replacing(tmp_path / "work", overwrite=True),
    ):
        pass
    assert (tmp_path / "work" / "deep").is_dir()


def test_through_a_symbolic_link_the_target_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "link.mha").symlink_to(tmp_path / "disk" / "real.mha")
    with replacing(tmp_path / "link.mha") as temporary:
        temporary.write_text("voxels")
    assert (tmp_path / "link.mha").is_symlink()
    assert (tmp_path / "disk" / "real.mha").read_text() == "voxels"


def test_a_full_disk_is_one_line_with_the_free_space(tmp_path: Path) -> None:
    with (
        pytest.raises(FileError, match=r"out\.nii: cannot be written: the disk is full \([\d.]+ GB free\); ") as caught,
        replacing(tmp_path / "out.nii") as temporary,
    ):
        temporary.write_bytes(b"half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert "\n" not in str(caught.value)
    assert names(tmp_path) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_a_write_that_really_runs_out_of_space_is_explained(tmp_path: Path) -> None:
    def overflow() -> None:
        with Path("/dev/full").open("wb") as full:
            full.write(b"x" * 100)

    with pytest.raises(FileError, match="the disk is full"), replacing(tmp_path / "out.nii"):
        overflow()


def test_a_parent_that_is_a_file_is_explained(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(FileError, match="its folder is a file"),
        replacing(tmp_path / "file" / "a"),
    ):
        pass


@pytest.mark.parametrize("name", [f"{'a' * 260}.mha", "file/out.mha", "file/deep/out.mha"])
def test_a_place_that_nothing_can_be_written_to_is_refused_before_the_work(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FileError, match=r"cannot be written: (the name is too long|its folder is a file)"):
        require_place(tmp_path / name)
    require_place(tmp_path / "not" / "there" / "yet.mha")
    assert names(tmp_path) == ["file"]


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="no folder here that takes no files, whoever asks")
def test_a_folder_that_takes_no_files_is_refused_before_the_work() -> None:
    with pytest.raises(FileError, match=r"/proc/out\.mha: cannot be written"):
        require_place(Path("/proc/out.mha"))


def test_a_full_disk_is_explained_in_whatever_a_library_wraps_it(tmp_path: Path) -> None:
    def as_pydicom() -> None:
        try:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            raise OSError(f"With tag (7fe0,0010): {error}") from error

    def as_numpy() -> None:
        raise OSError("43200 requested and 29936 written")

    for failing, word in ((as_pydicom, "the disk is full"), (as_numpy, "the write failed")):
        with pytest.raises(FileError, match=word), replacing(tmp_path / "out.dcm"):
            failing()
    with pytest.raises(ValueError, match="a bug"), replacing(tmp_path / "out.dcm"):
        raise ValueError("a bug")


def test_a_fault_inside_a_folder_is_told_under_its_final_name(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"bank/patches\.npy: cannot be"), replacing(tmp_path / "bank") as temporary:
        raise FileError(f"{temporary / 'patches.npy'}: cannot be written")


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="the superuser may write everywhere")
def test_a_folder_without_permission_is_explained(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(FileError, match="permission denied"), replacing(tmp_path / "a") as temporary:
        temporary.write_text("")
    tmp_path.chmod(0o700)


def test_a_fault_of_a_source_file_names_the_source(tmp_path: Path) -> None:
    source = tmp_path / "in" / "scan.nii"
    with pytest.raises(FileError) as caught, replacing(tmp_path / "out" / "a.nii"):
        raise PermissionError(errno.EACCES, "denied", str(source))
    assert "scan.nii" in str(caught.value)


def test_files_that_belong_together_move_in_the_given_order(tmp_path: Path) -> None:
    raw, header = tmp_path / "a.raw", tmp_path / "a.mhd"
    with replacing_together((raw, header)) as folder:
        (folder / "a.mhd").write_text("header")
        (folder / "a.raw").write_text("raw")
    assert (names(tmp_path), raw.read_text()) == (["a.mhd", "a.raw"], "raw")
    header.unlink()
    with pytest.raises(FileError, match=r"a\.raw: exists already"), replacing_together((raw, header)):
        pass
    with (
        pytest.raises(ValueError, match="broken"),
        replacing_together((raw, header), overwrite=True) as folder,
    ):
        (folder / "a.raw").write_text("half")
        raise ValueError("broken")
    assert (names(tmp_path), raw.read_text()) == (["a.raw"], "raw")


def test_results_that_are_there_are_refused_before_anything_is_done(tmp_path):
    require_new(tmp_path, False, "a.json", "b.json")
    (tmp_path / "b.json").write_text("{}")
    with pytest.raises(FileError, match=r"b\.json: exists already; give `overwrite` or another `out`"):
        require_new(tmp_path, False, "a.json", "b.json")
    require_new(tmp_path, True, "a.json", "b.json")
