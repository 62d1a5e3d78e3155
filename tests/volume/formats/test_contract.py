"""What every format keeps to, those of other packages included: one contract, run over all that are registered."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from ctloupe.foundation.errors import CtLoupeError, FileError, GeometryError, IntensityError, OptionError
from ctloupe.foundation.leftovers import full_suffix
from ctloupe.volume.formats import READABLE, WRITABLE, detect, format_of, format_of_output, formats, read, write
from ctloupe.volume.formats.base import HEAD_BYTES
from ctloupe.volume.geometry import IDENTITY, as_direction
from ctloupe.volume.volume import LazyArray, Volume

OBLIQUE = as_direction(Rotation.from_euler("zyx", [20, -35, 50], degrees=True).as_matrix())
VALUES = np.random.default_rng(2).integers(-1000, 3000, (5, 6, 7)).astype(np.int16)

every_format = pytest.mark.parametrize("kind", formats(), ids=lambda kind: kind.name)
every_output = pytest.mark.parametrize(
    ("kind", "suffix"),
    [pytest.param(kind, suffix, id=f"{kind.name}{suffix}") for kind in formats() for suffix in kind.writable_suffixes],
)


def volume_for(kind, data=VALUES):
    """A volume that every format can hold: whole HU, and oblique where the format has a place for that."""
    direction = OBLIQUE if kind.holds_direction else IDENTITY
    return Volume(data, (2.5, 0.7, 0.6), (10.0, -20.0, 30.0), direction, "clinical", "HU")


def names(folder):
    return sorted(entry.name for entry in folder.iterdir())


def contents(path):
    """Every file of a written volume: those of a folder, or those beside the one that it is called by."""
    return sorted(file for file in (path if path.is_dir() else path.parent).rglob("*") if file.is_file())


@every_format
def test_a_format_says_what_it_is(kind):
    assert kind.name == kind.name.lower() and kind.title and kind.suffixes
    assert set(kind.only_read) <= set(kind.suffixes)
    assert kind.takes <= {"series", "voxel_size", "source"}
    assert kind.streams or not kind.resumable
    for suffix in kind.suffixes:
        assert suffix == suffix.lower() and full_suffix(Path(f"scan.v2{suffix}")) == suffix and suffix in READABLE
    for suffix in kind.writable_suffixes:
        assert (
            suffix in WRITABLE
            and format_of_output(f"scan{suffix}") is format_of_output(f"SCAN{suffix.upper()}") is kind
        )


@every_output
def test_what_is_written_may_be_read_by_whom_the_umask_allows(tmp_path, kind, suffix):
    previous = os.umask(0o027)
    try:
        path = write(volume_for(kind), tmp_path / "out" / f"a{suffix}")
    finally:
        os.umask(previous)
    folders = [path.parent, *(one for one in (tmp_path / "out").rglob("*") if one.is_dir())]
    assert {stat.S_IMODE(one.stat().st_mode) for one in contents(path)} == {0o640}
    assert {stat.S_IMODE(one.stat().st_mode) for one in folders} == {0o750}


def test_no_two_formats_share_a_name_or_a_suffix():
    assert len({kind.name for kind in formats()}) == len(formats())
    assert len(READABLE) == sum(len(kind.suffixes) for kind in formats())


def test_listing_the_formats_imports_no_library_of_theirs():
    heavy = ("SimpleITK", "nibabel", "pydicom", "tifffile", "zarr", "torch")
    code = f"import sys, ctloupe.volume.formats as f; f.formats(); print([m for m in {heavy} if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


@every_output
@pytest.mark.parametrize("shape", [(5, 6, 7), (1, 9, 3), (4, 1, 1)], ids=str)
def test_a_volume_comes_back_with_its_place_in_space(tmp_path, kind, suffix, shape):
    values = np.resize(VALUES, shape)
    volume = volume_for(kind, values)
    path = tmp_path / "made" / f"scan.v2{suffix}"
    assert write(volume, path) == path
    again = read(path)
    np.testing.assert_array_equal(again.array(), values)
    assert again.data.dtype == np.int16
    np.testing.assert_allclose(again.affine, volume.affine, rtol=1e-6, atol=1e-5)
    assert (again.modality, again.units) == ("clinical", "HU")
    assert names(path.parent) == sorted(file.name for file in kind.files(path))


@every_output
@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "int16", "uint32", "int32", "float32"])
def test_values_of_a_type_are_kept_or_refused_but_never_changed(tmp_path, kind, suffix, dtype):
    values = np.abs(VALUES).clip(0, 120).astype(dtype) + np.dtype(dtype).type(0.25)
    path = tmp_path / f"a{suffix}"
    try:
        write(volume_for(kind, values), path)
    except IntensityError as error:
        assert str(error).startswith(f"{path}: ") and "\n" not in str(error)
        assert names(tmp_path) == []
    else:
        np.testing.assert_array_equal(read(path).array(), values)


@every_output
def test_a_direction_without_a_place_in_the_format_is_refused(tmp_path, kind, suffix):
    if kind.holds_direction:
        return
    with pytest.raises(GeometryError, match=rf"a\{suffix}: .*cannot hold the orientation") as caught:
        write(Volume(VALUES, (1, 1, 1), direction=OBLIQUE), tmp_path / f"a{suffix}")
    assert ".nii.gz" in str(caught.value)
    assert names(tmp_path) == []


@every_output
def test_a_volume_is_recognised_by_its_content_and_by_one_format_only(tmp_path, kind, suffix):
    path = write(volume_for(kind), tmp_path / f"a{suffix}")
    renamed = path.rename(tmp_path / "scan.dat")
    assert detect(renamed) == kind.name and format_of(renamed) is kind
    np.testing.assert_array_equal(read(renamed).array(), VALUES)
    for file in [renamed, *contents(renamed)] if kind.is_folder else [renamed]:
        head = file.read_bytes()[:HEAD_BYTES] if file.is_file() else b""
        assert {one.name for one in formats() if one.recognises(file, head)} <= {kind.name}


@every_output
@pytest.mark.parametrize("lost", ["half", "one byte", "all"])
def test_a_volume_cut_short_anywhere_is_never_read(tmp_path, kind, suffix, lost):
    path = write(volume_for(kind), tmp_path / f"a{suffix}")
    for file in contents(path):
        whole = file.read_bytes()
        # A text header is whole without the end of its last line.
        file.write_bytes(whole[: {"half": len(whole) // 2, "one byte": len(whole.rstrip(b"\n")) - 1, "all": 0}[lost]])
        with pytest.raises(CtLoupeError) as caught:
            read(path).array()
        assert "\n" not in str(caught.value)
        assert any(name in str(caught.value) for name in (path.name, file.name))
        file.write_bytes(whole)
    np.testing.assert_array_equal(read(path).array(), VALUES)


@every_output
def test_an_existing_output_is_replaced_whole_and_only_when_asked(tmp_path, kind, suffix):
    path = write(volume_for(kind), tmp_path / f"a{suffix}")
    other = volume_for(kind, VALUES[:2] + 1)
    with pytest.raises(FileError, match=rf"a\{suffix}: exists already; give `overwrite`"):
        write(other, path)
    np.testing.assert_array_equal(read(path).array(), VALUES)
    write(other, path, overwrite=True)
    np.testing.assert_array_equal(read(path).array(), VALUES[:2] + 1)
    assert names(tmp_path) == sorted(file.name for file in kind.files(path))


@every_output
def test_a_volume_can_be_written_onto_the_file_it_is_read_from(tmp_path, kind, suffix):
    path = write(volume_for(kind), tmp_path / f"a{suffix}")
    write(read(path), path, overwrite=True)
    np.testing.assert_array_equal(read(path).array(), VALUES)


@every_output
def test_nothing_appears_before_all_is_written_and_an_interruption_leaves_nothing(tmp_path, kind, suffix):
    path = tmp_path / f"a{suffix}"
    seen = []

    def interrupted(block):
        seen.extend(name for name in names(tmp_path) if not name.startswith("."))
        if block[0].stop == VALUES.shape[0]:
            raise KeyboardInterrupt
        return VALUES[block]

    with pytest.raises(KeyboardInterrupt):
        write(volume_for(kind, LazyArray(VALUES.shape, VALUES.dtype, interrupted, "scan")), path)
    assert seen == [] and names(tmp_path) == []


@every_output
def test_values_that_are_not_finite_are_refused_in_the_name_of_the_output(tmp_path, kind, suffix):
    values = VALUES.astype(np.float32)
    values[-1, -1, -1] = np.nan
    with pytest.raises(IntensityError, match=rf"a\{suffix}: ") as caught:
        write(volume_for(kind, values), tmp_path / f"a{suffix}")
    assert "partial" not in str(caught.value) and names(tmp_path) == []


@every_output
def test_a_format_that_streams_asks_for_each_slice_once_and_never_for_all(tmp_path, kind, suffix, monkeypatch):
    if not kind.streams:
        return
    asked = []

    def block(ranges):
        asked.append((ranges[0].start, ranges[0].stop))
        return VALUES[ranges]

    monkeypatch.setattr("ctloupe.volume.slabs.SLAB_BYTES", VALUES[0].nbytes)
    write(volume_for(kind, LazyArray(VALUES.shape, VALUES.dtype, block, "scan")), tmp_path / f"a{suffix}")
    assert asked == [(z, z + 1) for z in range(len(VALUES))]
    np.testing.assert_array_equal(read(tmp_path / f"a{suffix}").array(), VALUES)


@every_output
def test_the_volume_written_is_not_changed(tmp_path, kind, suffix):
    values = VALUES.copy()
    values.flags.writeable = False
    write(volume_for(kind, values), tmp_path / f"a{suffix}")
    np.testing.assert_array_equal(values, VALUES)


@every_output
def test_options_mean_something_to_the_formats_that_say_so(tmp_path, kind, suffix):
    path = write(volume_for(kind), tmp_path / f"a{suffix}")
    for option, value, told in (
        ("voxel_size", (2.5, 0.7, 0.6), "a voxel size was given"),
        ("series", 1, "a series was given"),
    ):
        if option in kind.takes:
            np.testing.assert_array_equal(read(path, **{option: value}).array(), VALUES)
        else:
            with pytest.raises(OptionError, match=told):
                read(path, **{option: value})
    assert bool(kind.source_files(path)) == ("source" in kind.takes)


@every_output
def test_sources_are_left_out_by_formats_that_do_not_refer_to_them(tmp_path, kind, suffix):
    if "source" not in kind.takes:
        path = write(volume_for(kind), tmp_path / f"a{suffix}", source=[tmp_path / "no-such-file"])
        np.testing.assert_array_equal(read(path).array(), VALUES)
