"""TIFF stacks: exact round trips, honest voxel sizes, and no silent reading of what is not there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from ctloupe.foundation.errors import FileError, GeometryError, IntensityError
from ctloupe.volume.formats import detect
from ctloupe.volume.formats.tiff.reader import read_tiff
from ctloupe.volume.formats.tiff.writer import write_tiff
from ctloupe.volume.volume import LazyArray, Volume

QIM3D = Path(__file__).resolve().parents[4] / "shared" / "data" / "micro-ct-qim3d"
SIZE = (0.01, 0.01, 0.01)


def ramp(*shape: int, dtype: Any = np.uint16) -> np.ndarray:
    return np.arange(np.prod(shape), dtype=dtype).reshape(shape)


def save_slices(folder: Path, stack: np.ndarray, names: list[str]) -> Path:
    folder.mkdir()
    for name, page in zip(names, stack, strict=True):
        tifffile.imwrite(folder / name, page)
    return folder


lengths = st.floats(1e-4, 20.0)
positions = st.floats(-500, 500)


@settings(max_examples=25, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 5), st.integers(1, 9), st.integers(1, 9)),
    dtype=st.sampled_from(["int16", "uint8", "uint16", "float32", ">i2"]),
    spacing=st.tuples(lengths, lengths, lengths),
    origin=st.tuples(positions, positions, positions),
    seed=st.integers(0, 99),
)
def test_a_written_volume_comes_back_exactly(
    shape: tuple[int, int, int], dtype: str, spacing: Any, origin: Any, seed: int
) -> None:
    voxels = np.random.default_rng(seed).integers(0, 200, shape).astype(dtype)
    volume = Volume(voxels, spacing, origin, modality="clinical", units="HU", history=("cropped",))
    with TemporaryDirectory() as folder:
        path = Path(folder) / "v.tif"
        write_tiff(volume, path)
        back = read_tiff(path)
        np.testing.assert_array_equal(back.array(), voxels)
    assert back.data.dtype == np.dtype(dtype).newbyteorder("=")
    np.testing.assert_allclose(back.spacing, spacing, rtol=1e-9)
    np.testing.assert_allclose(back.origin, origin, rtol=1e-9, atol=1e-12)
    assert (back.modality, back.units, back.history) == ("clinical", "HU", ("cropped",))


def test_writing_reads_a_lazy_volume_slab_by_slab(tmp_path: Path) -> None:
    asked: list[int] = []

    def read(block: tuple[slice, slice, slice]) -> np.ndarray:
        asked.append(block[0].stop - block[0].start)
        return np.full((asked[-1], 2048, 2048), block[0].start, np.uint16)

    write_tiff(Volume(LazyArray((5, 2048, 2048), np.uint16, read, "made up"), SIZE), tmp_path / "v.tif")
    assert max(asked) < 5
    assert sum(asked) == 5
    assert int(read_tiff(tmp_path / "v.tif").data[4, 7, 7]) == 4


def test_an_oblique_volume_is_refused_with_formats_that_can_hold_it(tmp_path: Path) -> None:
    flipped = ((-1.0, 0.0, 0.0), (0.0, -1.0, 0.0), (0.0, 0.0, 1.0))
    with pytest.raises(GeometryError, match=r"orientation RAS.*\.mha"):
        write_tiff(Volume(ramp(2, 3, 4), SIZE, direction=flipped), tmp_path / "v.tif")


def test_a_type_ome_lacks_is_refused(tmp_path: Path) -> None:
    with pytest.raises(IntensityError, match="int64"):
        write_tiff(Volume(ramp(2, 3, 4, dtype=np.int64), SIZE), tmp_path / "v.tif")


def test_values_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    with pytest.raises(IntensityError, match="NaN"):
        write_tiff(Volume(np.full((2, 3, 4), np.nan, np.float32), SIZE), tmp_path / "v.tif")


@pytest.mark.parametrize(
    ("unit", "mm"),
    [("um", 1e-3), ("µm", 1e-3), ("\\u00B5m", 1e-3), ("micron", 1e-3), ("mm", 1), ("cm", 10), ("inch", 25.4)],
)
def test_imagej_spacing_unit_and_resolution_give_the_voxel_size(tmp_path: Path, unit: str, mm: float) -> None:
    unit = unit.replace("µ", "\\u00B5")
    tifffile.imwrite(
        tmp_path / "ij.tif", ramp(5, 6, 7), imagej=True, resolution=(1 / 2.5, 1 / 2),
        metadata={"spacing": 3.0, "unit": unit, "axes": "ZYX"},
    )  # fmt: skip
    volume = read_tiff(tmp_path / "ij.tif")
    np.testing.assert_allclose(volume.spacing, np.array([3.0, 2.0, 2.5]) * mm, rtol=1e-6)
    np.testing.assert_array_equal(volume.array(), ramp(5, 6, 7))


def test_imagej_without_resolution_does_not_mean_one_millimetre(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "ij.tif", ramp(5, 6, 7), imagej=True, metadata={"spacing": 0.005, "unit": "mm"})
    with pytest.raises(GeometryError, match="`voxel_size` Z,Y,X"):
        read_tiff(tmp_path / "ij.tif")


def test_ome_sizes_are_converted_from_their_units(tmp_path: Path) -> None:
    metadata = {
        "axes": "ZYX", "PhysicalSizeX": 5.0, "PhysicalSizeXUnit": "µm", "PhysicalSizeY": 0.006,
        "PhysicalSizeYUnit": "mm", "PhysicalSizeZ": 7000.0, "PhysicalSizeZUnit": "nm",
    }  # fmt: skip
    tifffile.imwrite(tmp_path / "o.ome.tif", ramp(5, 6, 7), ome=True, metadata=metadata)
    np.testing.assert_allclose(read_tiff(tmp_path / "o.ome.tif").spacing, (0.007, 0.006, 0.005))


def test_sources_that_contradict_each_other_are_both_named(tmp_path: Path) -> None:
    metadata = {"axes": "ZYX"} | {f"PhysicalSize{axis}": 5.0 for axis in "XYZ"}
    tifffile.imwrite(
        tmp_path / "o.tif",
        ramp(5, 6, 7),
        ome=True,
        metadata=metadata,
        resolution=(1250, 1250),
        resolutionunit="CENTIMETER",
    )
    with pytest.raises(GeometryError, match=r"contradict.*OME-XML: 0.005.*resolution tags: \?, 0.008.*`voxel_size`"):
        read_tiff(tmp_path / "o.tif")
    given = read_tiff(tmp_path / "o.tif", (0.005, 0.005, 0.005))
    assert "given by the user" in given.history[0]


@pytest.mark.parametrize("dpi", [72, 96, 300])
def test_a_print_resolution_is_not_a_voxel_size(tmp_path: Path, dpi: int) -> None:
    metadata = {"axes": "ZYX"} | {f"PhysicalSize{axis}": 5.0 for axis in "XYZ"}
    tifffile.imwrite(
        tmp_path / "o.tif",
        ramp(5, 6, 7),
        ome=True,
        metadata=metadata,
        resolution=(dpi, dpi),
        resolutionunit="INCH",
    )
    np.testing.assert_allclose(read_tiff(tmp_path / "o.tif").spacing, (0.005, 0.005, 0.005))


def test_a_plain_stack_needs_the_voxel_size(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "p.tif", ramp(5, 6, 7))
    with pytest.raises(GeometryError, match=r"p\.tif.*nothing usable.*`voxel_size` Z,Y,X in mm"):
        read_tiff(tmp_path / "p.tif")
    volume = read_tiff(tmp_path / "p.tif", (0.3, 0.2, 0.1))
    assert volume.spacing == (0.3, 0.2, 0.1)
    assert volume.history == ()


def test_a_given_voxel_size_wins_and_is_recorded_where_the_file_differs(tmp_path: Path) -> None:
    write_tiff(Volume(ramp(5, 6, 7), SIZE), tmp_path / "v.tif")
    assert read_tiff(tmp_path / "v.tif", SIZE).history == ()
    other = read_tiff(tmp_path / "v.tif", (0.02, 0.01, 0.01))
    assert other.spacing == (0.02, 0.01, 0.01)
    assert "the file states OME-XML: 0.01, 0.01, 0.01" in other.history[0]


def test_a_folder_is_read_in_natural_order(tmp_path: Path) -> None:
    folder = save_slices(tmp_path / "scan", ramp(12, 5, 6), [f"s{number}.tif" for number in range(12)])
    assert detect(folder) == "tiff"
    np.testing.assert_array_equal(read_tiff(folder, SIZE).array(), ramp(12, 5, 6))


def test_a_folder_slice_is_opened_only_when_asked_for(tmp_path: Path) -> None:
    folder = save_slices(tmp_path / "scan", ramp(5, 6, 7), [f"s{number}.tif" for number in range(5)])
    volume = read_tiff(folder, SIZE)
    (folder / "s3.tif").unlink()
    np.testing.assert_array_equal(volume.data[1:3, 2:, :4], ramp(5, 6, 7)[1:3, 2:, :4])
    with pytest.raises(FileError, match=r"s3\.tif"):
        volume.data[3]


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["s1.tif", "s2.tif", "s4.tif"], "s2.tif is followed by s4.tif"),
        (["a1.tif", "a2.tif", "b1.tif"], "named differently"),
        (["s1.tif", "s01.tif", "s2.tif"], "missing or doubled"),
        (["s1.tif", "s01.tif"], "one number"),
    ],
)
def test_slices_that_do_not_form_one_series_are_refused(tmp_path: Path, names: list[str], said: str) -> None:
    with pytest.raises(GeometryError, match=said):
        read_tiff(save_slices(tmp_path / "scan", ramp(len(names), 5, 6), names), SIZE)


def test_the_odd_slice_of_a_folder_is_named(tmp_path: Path) -> None:
    folder = save_slices(tmp_path / "scan", ramp(3, 5, 6), ["s1.tif", "s2.tif", "s3.tif"])
    tifffile.imwrite(folder / "s2.tif", ramp(5, 7))
    with pytest.raises(GeometryError, match=r"s2\.tif: 7×5 uint16 but s1\.tif is 6×5"):
        read_tiff(folder, SIZE)
    tifffile.imwrite(folder / "s2.tif", ramp(2, 5, 6))
    with pytest.raises(GeometryError, match=r"s2\.tif: holds 2 pages"):
        read_tiff(folder, SIZE)


def test_colour_is_refused(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "c.tif", np.zeros((3, 5, 6, 3), np.uint8), photometric="rgb")
    with pytest.raises(IntensityError, match="RGB"):
        read_tiff(tmp_path / "c.tif", SIZE)


def test_white_as_zero_is_refused(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "w.tif", ramp(3, 5, 6), photometric="miniswhite")
    with pytest.raises(IntensityError, match="MINISWHITE"):
        read_tiff(tmp_path / "w.tif", SIZE)


def test_more_than_three_axes_are_refused_and_single_ones_dropped(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "four.tif", ramp(2, 3, 5, 6), imagej=True, metadata={"axes": "TZYX"})
    with pytest.raises(GeometryError, match="T 2, Z 3"):
        read_tiff(tmp_path / "four.tif", SIZE)
    tifffile.imwrite(tmp_path / "one.tif", ramp(1, 3, 1, 5, 6), imagej=True, metadata={"axes": "TZCYX"})
    assert read_tiff(tmp_path / "one.tif", SIZE).shape == (3, 5, 6)


@pytest.mark.parametrize("axis", ["T", "C"])
def test_a_stack_labelled_as_times_or_channels_is_read_and_that_is_recorded(tmp_path: Path, axis: str) -> None:
    tifffile.imwrite(tmp_path / "t.tif", ramp(3, 5, 6), imagej=True, metadata={"axes": f"{axis}YX"})
    volume = read_tiff(tmp_path / "t.tif", SIZE)
    np.testing.assert_array_equal(volume.array(), ramp(3, 5, 6))
    assert volume.history == (f"axis {axis} of the TIFF taken as z",)


def test_pages_that_differ_are_refused(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "d.tif") as writer:
        writer.write(ramp(5, 6), metadata=None)
        writer.write(ramp(5, 7), metadata=None)
    with pytest.raises(GeometryError, match=r"d\.tif: holds 2 images"):
        read_tiff(tmp_path / "d.tif", SIZE)


@pytest.mark.parametrize("kept", [0.97, 0.6, 0.3, 0.1, 0.02, 0.0])
@pytest.mark.parametrize(
    "options",
    [{}, {"imagej": True}, {"ome": True}, {"metadata": None}, {"compression": "zlib"}, {"bigtiff": True}],
    ids=lambda options: "-".join(options) or "plain",
)
def test_a_file_cut_short_is_never_read_as_whole(tmp_path: Path, options: dict[str, Any], kept: float) -> None:
    path = tmp_path / "cut.tif"
    tifffile.imwrite(path, np.random.default_rng(0).integers(0, 9999, (6, 30, 40), np.uint16), **options)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * kept)])
    with pytest.raises(FileError, match=r"cut\.tif: .*copy or export it again"):
        read_tiff(path, SIZE)


@pytest.mark.parametrize("rows", [1, 16])
@pytest.mark.filterwarnings("ignore")
def test_strips_that_do_not_cover_a_page_are_never_filled_with_zeros(tmp_path: Path, rows: int) -> None:
    path = tmp_path / "bad.tif"
    options = {"photometric": "minisblack", "metadata": None}
    tifffile.imwrite(path, ramp(2, 64, 50), compression="zlib", rowsperstrip=64, **options)
    with tifffile.TiffFile(path, mode="r+") as tif:
        for page in tif.pages:
            page.tags["RowsPerStrip"].overwrite(rows)
    with pytest.raises(FileError, match=rf"bad\.tif: .*page 0 has 1 of the {64 // rows} strips"):
        read_tiff(path, SIZE)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("tags", "said"),
    [({"RowsPerStrip": 0}, "not a whole, readable TIFF"), ({"ImageLength": 2**31 - 1, "ImageWidth": 2**31 - 1}, "")],
)
def test_tags_that_cannot_be_are_refused(tmp_path: Path, tags: dict[str, int], said: str) -> None:
    path = tmp_path / "bad.tif"
    tifffile.imwrite(path, ramp(1, 64, 50), compression="zlib", rowsperstrip=64, metadata=None)
    with tifffile.TiffFile(path, mode="r+") as tif:
        for name, value in tags.items():
            tif.pages[0].tags[name].overwrite(value, dtype="I")
    with pytest.raises(FileError, match=rf"bad\.tif: .*{said}"):
        read_tiff(path, SIZE)


def test_only_the_pages_asked_for_are_decoded(tmp_path: Path) -> None:
    path = tmp_path / "z.tif"
    tifffile.imwrite(path, ramp(5, 30, 40), compression="zlib")
    with tifffile.TiffFile(path) as tif:
        start, count = tif.pages[2].dataoffsets[0], tif.pages[2].databytecounts[0]
    damaged = bytearray(path.read_bytes())
    damaged[start : start + count] = b"\xff" * count
    path.write_bytes(damaged)
    volume = read_tiff(path, SIZE)
    np.testing.assert_array_equal(volume.data[3, 4:9, ::2], ramp(5, 30, 40)[3, 4:9, ::2])
    with pytest.raises(FileError, match=r"z\.tif"):
        volume.data[1:3]


def test_what_is_read_may_be_changed_without_touching_the_file(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "p.tif", ramp(5, 6, 7))
    volume = read_tiff(tmp_path / "p.tif", SIZE)
    volume.array()[:] = 0
    np.testing.assert_array_equal(volume.array(), ramp(5, 6, 7))


def test_a_missing_codec_names_the_extra(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "l.tif", ramp(5, 30, 40), compression="lzw")
    script = (
        "import sys; sys.modules['imagecodecs'] = None\n"
        "from pathlib import Path\n"
        "from ctloupe.foundation.errors import MissingExtraError\n"
        "from ctloupe.volume.formats.tiff.reader import read_tiff\n"
        "try: read_tiff(Path(sys.argv[1]), (1, 1, 1))\n"
        "except MissingExtraError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "l.tif")], capture_output=True, text=True, check=True
    )
    assert "LZW" in done.stdout
    assert "pip install 'ctloupe[tiff]'" in done.stdout


def test_what_is_written_needs_no_extra_to_be_read(tmp_path: Path) -> None:
    for dtype in ("int16", "float32"):
        write_tiff(Volume(ramp(5, 30, 40, dtype=dtype), SIZE), tmp_path / f"{dtype}.tif")
        script = (
            "import sys; sys.modules['imagecodecs'] = None\n"
            "from pathlib import Path\n"
            "from ctloupe.volume.formats.tiff.reader import read_tiff\n"
            "print(int(read_tiff(Path(sys.argv[1])).array().sum()))\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", script, str(tmp_path / f"{dtype}.tif")],
            capture_output=True,
            text=True,
            check=True,
        )
        assert int(done.stdout) == 6000 * 5999 // 2


def test_recognition_goes_by_content(tmp_path: Path) -> None:
    (tmp_path / "not.tif").write_bytes(b"hello")
    with pytest.raises(FileError, match=r"not\.tif: named as tiff, but damaged"):
        detect(tmp_path / "not.tif")
    tifffile.imwrite(tmp_path / "big", ramp(2, 5, 6), bigtiff=True)
    assert detect(tmp_path / "big") == "tiff"
    with pytest.raises(FileError, match=r"not\.tif"):
        read_tiff(tmp_path / "not.tif", SIZE)


@pytest.mark.skipif(not QIM3D.is_dir(), reason="real µCT (shared/data/micro-ct-qim3d) is not here")
@pytest.mark.parametrize("name", ["bone_128x128x128.tif", "cement_128x128x128.tif", "shell_225x128x128.tif"])
def test_real_micro_ct_states_no_voxel_size_and_reads_with_one(name: str) -> None:
    with pytest.raises(GeometryError, match="`voxel_size`"):
        read_tiff(QIM3D / name)
    volume = read_tiff(QIM3D / name, SIZE)
    assert volume.spacing == SIZE
    np.testing.assert_array_equal(volume.array(), tifffile.imread(QIM3D / name))
