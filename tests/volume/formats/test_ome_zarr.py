"""OME-Zarr stores: exact place in space, NGFF 0.5 metadata, deterministic streaming, reported damage."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from numcodecs import Blosc
from scipy.spatial.transform import Rotation
from zarr.codecs import BloscCodec

from ctloupe.foundation.errors import FileError, GeometryError, IntensityError
from ctloupe.volume.formats import detect
from ctloupe.volume.formats.ome_zarr.format import OmeZarr
from ctloupe.volume.formats.ome_zarr.reader import read_ome_zarr
from ctloupe.volume.formats.ome_zarr.writer import OmeZarrWriter, write_ome_zarr
from ctloupe.volume.volume import Volume

SIZE = (0.3, 0.2, 0.1)


def noise(*shape: int, dtype: Any = np.int16) -> np.ndarray:
    return np.random.default_rng(3).integers(0, 250, shape).astype(dtype)


def contents(store: Path) -> dict[str, bytes]:
    return {str(file.relative_to(store)): file.read_bytes() for file in store.rglob("*") if file.is_file()}


def edit(store: Path, change: Callable[[dict[str, Any]], None]) -> None:
    file = store / "zarr.json"
    metadata = json.loads(file.read_text())
    change(metadata["attributes"])
    file.write_text(json.dumps(metadata))


@pytest.fixture
def store(tmp_path: Path) -> Path:
    path = tmp_path / "v.ome.zarr"
    write_ome_zarr(Volume(noise(3, 20, 30), SIZE, (7.0, 8.0, 9.0)), path)
    return path


lengths = st.floats(1e-4, 20.0)
positions = st.floats(-500, 500)
angles = st.floats(-180, 180)


@settings(max_examples=25, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 4), st.integers(1, 9), st.integers(1, 9)),
    dtype=st.sampled_from(["int16", "uint8", "uint16", "float32", ">i2"]),
    spacing=st.tuples(lengths, lengths, lengths),
    origin=st.tuples(positions, positions, positions),
    euler=st.tuples(angles, angles, angles),
)
def test_a_written_volume_comes_back_at_its_place_even_when_oblique(
    shape: tuple[int, int, int], dtype: str, spacing: Any, origin: Any, euler: Any
) -> None:
    direction: Any = Rotation.from_euler("xyz", euler, degrees=True).as_matrix()
    volume = Volume(noise(*shape, dtype=dtype), spacing, origin, direction, "micro", "HU", ("read", "cropped"))
    with TemporaryDirectory() as folder:
        path = Path(folder) / "v.ome.zarr"
        write_ome_zarr(volume, path)
        back = read_ome_zarr(path)
        np.testing.assert_array_equal(back.array(), volume.data)
    assert back.data.dtype == np.dtype(dtype).newbyteorder("=")
    np.testing.assert_allclose(back.spacing, spacing, rtol=1e-12)
    np.testing.assert_allclose(back.affine, volume.affine, rtol=1e-9, atol=1e-12)
    assert (back.modality, back.units, back.history) == ("micro", "HU", ("read", "cropped"))


@pytest.mark.parametrize("shape", [(2, 512, 512), (2, 513, 700), (1, 40, 1100)])
def test_slices_of_one_or_several_chunks_come_back(tmp_path: Path, shape: tuple[int, int, int]) -> None:
    voxels = noise(*shape)
    write_ome_zarr(Volume(voxels, SIZE), tmp_path / "v.ome.zarr")
    np.testing.assert_array_equal(read_ome_zarr(tmp_path / "v.ome.zarr").data[:, 5:, ::7], voxels[:, 5:, ::7])


@pytest.mark.parametrize(
    ("shape", "chunk", "shard"),
    [
        ((2, 30, 40), [1, 30, 40], None),
        ((2, 600, 400), [1, 512, 400], [1, 1024, 400]),
        ((1, 512, 512), [1, 512, 512], None),
    ],
)
def test_a_slice_is_one_file(tmp_path: Path, shape: tuple[int, int, int], chunk: list[int], shard: Any) -> None:
    path = tmp_path / "v.ome.zarr"
    write_ome_zarr(Volume(noise(*shape), SIZE), path)
    metadata = json.loads((path / "0" / "zarr.json").read_text())
    outer = metadata["chunk_grid"]["configuration"]["chunk_shape"]
    codec = metadata["codecs"][0]
    assert outer == (shard or chunk)
    if shard:
        assert codec["name"] == "sharding_indexed"
        assert codec["configuration"]["chunk_shape"] == chunk
    assert metadata["dimension_names"] == ["z", "y", "x"]
    assert len([file for file in (path / "0" / "c").rglob("*") if file.is_file()]) == shape[0]


def test_metadata_follow_ngff_0_5(store: Path) -> None:
    root = json.loads((store / "zarr.json").read_text())
    assert (root["zarr_format"], root["node_type"]) == (3, "group")
    ome = root["attributes"]["ome"]
    assert ome["version"] == "0.5"
    (multiscale,) = ome["multiscales"]
    axes = multiscale["axes"]
    assert [axis["name"] for axis in axes] == ["z", "y", "x"]
    assert {axis["type"] for axis in axes} == {"space"}
    assert {axis["unit"] for axis in axes} == {"millimeter"}
    assert multiscale["datasets"]
    for dataset in multiscale["datasets"]:
        assert json.loads((store / dataset["path"] / "zarr.json").read_text())["node_type"] == "array"
        scale, translation = dataset["coordinateTransformations"]
        assert (scale["type"], translation["type"]) == ("scale", "translation")
        assert scale["scale"] == list(SIZE)
        assert translation["translation"] == [9.0, 8.0, 7.0]


def test_the_exact_matrix_and_the_notice_stand_beside_the_ngff_metadata(store: Path) -> None:
    ours = json.loads((store / "zarr.json").read_text())["attributes"]["ctloupe"]
    expected = [[0.1, 0, 0, 7.0], [0, 0.2, 0, 8.0], [0, 0, 0.3, 9.0], [0, 0, 0, 1]]
    assert ours["affine_lps"] == expected
    assert (ours["modality"], ours["units"], ours["history"]) == ("unknown", "raw", [])
    assert "not for diagnosis" in ours["notice"].lower()


def test_streaming_in_slabs_of_any_size_equals_writing_at_once_byte_for_byte(tmp_path: Path) -> None:
    voxels = noise(5, 600, 90)
    write_ome_zarr(Volume(voxels, SIZE, (1, 2, 3), modality="micro"), tmp_path / "whole.ome.zarr")
    streamed = tmp_path / "somewhere_else.ome.zarr"
    with OmeZarrWriter(streamed, voxels.shape, voxels.dtype, SIZE, (1, 2, 3), modality="micro", units="raw") as writer:
        for start, stop in ((4, 5), (0, 1), (1, 4)):
            writer.write(start, voxels[start:stop])
    assert contents(streamed) == contents(tmp_path / "whole.ome.zarr")


def test_a_store_of_which_a_slice_was_never_written_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "v.ome.zarr"
    with OmeZarrWriter(path, (3, 20, 30), "int16", SIZE, attributes={"model": "m"}) as writer:
        writer.write(1, noise(1, 20, 30))
        with pytest.raises(FileError, match=r"v\.ome\.zarr/0/c/0/0/0: is missing, a chunk of the store"):
            read_ome_zarr(path)
        for z in (0, 2):
            writer.write(z, noise(1, 20, 30))
    np.testing.assert_array_equal(read_ome_zarr(path).data[2], noise(1, 20, 30)[0])
    assert json.loads((path / "zarr.json").read_text())["attributes"]["ctloupe"]["model"] == "m"


def test_a_slab_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    writer = OmeZarrWriter(tmp_path / "v.ome.zarr", (3, 20, 30), "float32", SIZE)
    for z0, slab in (
        (2, noise(2, 20, 30)),
        (0, noise(1, 20, 31)),
        (-1, noise(1, 20, 30)),
        (0, noise(20, 30)),
    ):
        with pytest.raises(ValueError, match="does not fit"):
            writer.write(z0, slab.astype(np.float32))
    with pytest.raises(ValueError, match="holds int16, the store float32"):
        writer.write(0, noise(1, 20, 30))
    with pytest.raises(IntensityError, match="NaN"):
        writer.write(0, np.full((1, 20, 30), np.nan, np.float32))


def test_an_existing_store_is_not_overwritten(store: Path) -> None:
    before = contents(store)
    with pytest.raises(FileError, match=r"v\.ome\.zarr: cannot be created"):
        write_ome_zarr(Volume(noise(3, 20, 30), SIZE), store)
    assert contents(store) == before


def test_types_that_are_not_numbers_are_refused(tmp_path: Path) -> None:
    with pytest.raises(IntensityError, match="bool"):
        write_ome_zarr(Volume(np.zeros((2, 3, 4), bool), SIZE), tmp_path / "v.ome.zarr")


def make_foreign(
    path: Path,
    voxels: np.ndarray,
    axes: list[dict[str, Any]],
    steps: list[dict[str, Any]],
    version: str = "0.5",
    shared_steps: list[dict[str, Any]] | None = None,
    chunks: tuple[int, ...] | None = None,
) -> Path:
    dataset = {"path": "s0", "coordinateTransformations": steps}
    multiscale: dict[str, Any] = {"version": version, "axes": axes, "datasets": [dataset]}
    if shared_steps is not None:
        multiscale["coordinateTransformations"] = shared_steps
    new = version == "0.5"
    ome: Any = {"multiscales": [multiscale]}
    attributes: Any = {"ome": {"version": "0.5", **ome}} if new else ome
    group = zarr.open_group(path, mode="w", zarr_format=3 if new else 2, attributes=attributes)
    array = group.create_array("s0", shape=voxels.shape, dtype=voxels.dtype, chunks=chunks or voxels.shape)
    array[:] = voxels
    return path


def space(*names: str, unit: str | None = "micrometer") -> list[dict[str, Any]]:
    known = {"t": {"name": "t", "type": "time"}, "c": {"name": "c", "type": "channel"}}
    return [known.get(name, {"name": name, "type": "space"} | ({"unit": unit} if unit else {})) for name in names]


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_foreign_stores_are_read_in_millimetres_without_their_single_axes(tmp_path: Path, version: str) -> None:
    voxels = noise(1, 1, 3, 20, 30)
    steps = [
        {"type": "scale", "scale": [1, 1, 5.0, 4.0, 3.0]},
        {"type": "translation", "translation": [0, 0, 50.0, 40.0, 30.0]},
    ]
    shared = [{"type": "scale", "scale": [1, 1, 2.0, 2.0, 2.0]}]
    path = make_foreign(tmp_path / "f.zarr", voxels, space(*"tczyx"), steps, version, shared)
    assert detect(path) == "ome-zarr"
    volume = read_ome_zarr(path)
    np.testing.assert_array_equal(volume.data[1:, 3:9, 4], voxels[0, 0, 1:, 3:9, 4])
    np.testing.assert_allclose(volume.spacing, (0.010, 0.008, 0.006))
    np.testing.assert_allclose(volume.origin, (0.06, 0.08, 0.1))
    assert (volume.modality, volume.units) == ("unknown", "raw")


def test_axes_stored_in_another_order_are_put_right(tmp_path: Path) -> None:
    voxels = noise(30, 3, 20)
    steps = [{"type": "scale", "scale": [3.0, 5.0, 4.0]}]
    volume = read_ome_zarr(make_foreign(tmp_path / "f.zarr", voxels, space(*"xzy"), steps))
    np.testing.assert_array_equal(volume.array(), voxels.transpose(1, 2, 0))
    np.testing.assert_array_equal(volume.data[1:2, 4:9, 3:5], voxels.transpose(1, 2, 0)[1:2, 4:9, 3:5])
    np.testing.assert_allclose(volume.spacing, (0.005, 0.004, 0.003))


@pytest.mark.parametrize("unit", [None, "pixel"])
def test_an_axis_without_a_length_unit_is_named(tmp_path: Path, unit: str | None) -> None:
    steps = [{"type": "scale", "scale": [1.0, 1.0, 1.0]}]
    path = make_foreign(tmp_path / "f.zarr", noise(2, 3, 4), space(*"zyx", unit=unit), steps)
    with pytest.raises(GeometryError, match=r"f\.zarr: axis z has .*millimeter"):
        read_ome_zarr(path)


@pytest.mark.parametrize(
    ("shape", "axes", "said"), [((2, 3, 4, 5), "czyx", "found c 2, z 3"), ((3, 4), "yx", "found y 3, x 4")]
)
def test_other_axes_are_refused(tmp_path: Path, shape: tuple[int, ...], axes: str, said: str) -> None:
    steps = [{"type": "scale", "scale": [1.0] * len(shape)}]
    with pytest.raises(GeometryError, match=said):
        read_ome_zarr(make_foreign(tmp_path / "f.zarr", noise(*shape), space(*axes), steps))


@pytest.mark.parametrize(
    "steps",
    [
        [],
        [{"type": "translation", "translation": [1, 1, 1]}],
        *([{"type": "scale", "scale": scale}] for scale in ([1, 2], [1, 2, "x"], [1, 2, [3]], [1, 2, {}], None)),
    ],
)
def test_a_store_without_a_usable_scale_is_refused(tmp_path: Path, steps: list[dict[str, Any]]) -> None:
    with pytest.raises(GeometryError, match="scale"):
        read_ome_zarr(make_foreign(tmp_path / "f.zarr", noise(2, 3, 4), space(*"zyx"), steps))


@pytest.mark.parametrize(
    ("edited", "told"),
    [
        (lambda one: one.pop("axes"), "key 'axes': Field required"),
        (lambda one: one.update(datasets=[]), "key 'datasets': Tuple should have at least 1 item"),
        (lambda one: one["datasets"][0].pop("path"), "key 'datasets.0.path': Field required"),
        (lambda one: one["axes"].__setitem__(1, "y"), "key 'axes.1': Input should be a valid dictionary"),
    ],
)
def test_a_store_whose_image_is_not_described_is_refused_by_the_key(
    store: Path, edited: Callable[[dict[str, Any]], Any], told: str
) -> None:
    edit(store, lambda attributes: edited(attributes["ome"]["multiscales"][0]))
    with pytest.raises(GeometryError, match=told) as caught:
        read_ome_zarr(store)
    assert "v.ome.zarr: multiscales: " in str(caught.value) and "NGFF" in str(caught.value)


def test_our_matrix_gives_way_where_the_ome_metadata_were_changed(store: Path) -> None:
    def double_the_scale(attributes: dict[str, Any]) -> None:
        attributes["ome"]["multiscales"][0]["datasets"][0]["coordinateTransformations"][0]["scale"] = [
            0.6,
            0.4,
            0.2,
        ]

    edit(store, double_the_scale)
    volume = read_ome_zarr(store)
    np.testing.assert_allclose(volume.spacing, (0.6, 0.4, 0.2))
    assert "ignored" in volume.history[-1]


def test_only_the_chunks_asked_for_are_read(store: Path) -> None:
    (store / "0" / "c" / "2" / "0" / "0").write_bytes(b"damaged beyond reading")
    volume = read_ome_zarr(store)
    np.testing.assert_array_equal(volume.data[:2], noise(3, 20, 30)[:2])
    with pytest.raises(FileError, match=r"v\.ome\.zarr.*damaged"):
        volume.data[2]


@pytest.mark.parametrize("shape", [(2, 40, 50), (2, 600, 40)], ids=["one-chunk", "sharded"])
@pytest.mark.parametrize("damage", ["cut", "flipped", "emptied"])
def test_a_damaged_chunk_is_never_read_as_voxels(tmp_path: Path, shape: tuple[int, int, int], damage: str) -> None:
    path = tmp_path / "v.ome.zarr"
    write_ome_zarr(Volume(noise(*shape), SIZE), path)
    chunk = path / "0" / "c" / "1" / "0" / "0"
    whole = bytearray(chunk.read_bytes())
    if damage == "flipped":
        whole[60] ^= 0xFF
    kept = {"cut": len(whole) // 2, "flipped": len(whole), "emptied": 0}[damage]
    chunk.write_bytes(whole[:kept])
    with pytest.raises(FileError, match=r"v\.ome\.zarr"):
        read_ome_zarr(path).array()


def test_a_chunk_that_is_missing_from_a_store_of_ours_is_named(store: Path) -> None:
    (store / "0" / "c" / "1" / "0" / "0").unlink()
    volume = read_ome_zarr(store)
    volume.data[0]
    with pytest.raises(FileError, match=r"v\.ome\.zarr/0/c/1/0/0: is missing, a chunk of the store"):
        volume.data[1]


def test_opening_goes_through_no_chunks(store: Path) -> None:
    """A chunk in the middle may be anything as long as nobody reads it."""
    chunk = store / "0" / "c" / "1" / "0" / "0"
    chunk.unlink()
    os.mkfifo(chunk)
    np.testing.assert_array_equal(read_ome_zarr(store).data[2], noise(3, 20, 30)[2])


def test_slices_of_zeros_are_stored_too(tmp_path: Path) -> None:
    write_ome_zarr(Volume(np.zeros((2, 600, 30), np.int16), SIZE), tmp_path / "v.ome.zarr")
    assert not read_ome_zarr(tmp_path / "v.ome.zarr").array().any()


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_absent_chunks_of_a_foreign_store_hold_the_fill_value_and_are_counted(tmp_path: Path, version: str) -> None:
    voxels = noise(3, 20, 30)
    steps = [{"type": "scale", "scale": [5.0, 4.0, 3.0]}]
    path = make_foreign(tmp_path / "f.zarr", voxels, space(*"zyx"), steps, version, chunks=(1, 8, 16))
    first, second = ("s0/c/1/0/1", "s0/c/1/2/0") if version == "0.5" else ("s0/1.0.1", "s0/1.2.0")
    (path / first).unlink()
    (path / second).unlink()
    volume = read_ome_zarr(path)
    assert OmeZarr().lacking(path) == (f"2 of 18 chunks are absent, the first {first}; they are taken as 0",)
    voxels[1, :8, 16:] = voxels[1, 16:, :16] = 0
    np.testing.assert_array_equal(volume.array(), voxels)


@pytest.mark.parametrize(
    ("length", "said"),
    [
        (2**40, "an axis of 1099511627776"),
        (10**30, "an axis of 10+ "),
        (2**23, "/8388607/0/0: is missing, a chunk of the store"),
    ],
)
def test_a_shape_of_which_nothing_is_there_is_refused_at_once(store: Path, length: int, said: str) -> None:
    file = store / "0" / "zarr.json"
    metadata = json.loads(file.read_text())
    metadata["shape"][0] = length
    file.write_text(json.dumps(metadata))
    with pytest.raises(FileError, match=said):
        read_ome_zarr(store)


@pytest.mark.parametrize(
    ("keys", "value", "said"),
    [
        (("shape",), [1, 20, 30], "0/c/1/0/0: lies beyond the shape"),
        (("shape",), [0, 20, 30], "expected 1 or more"),
        (("chunk_grid", "configuration", "chunk_shape"), [0, 20, 30], "v.ome.zarr/0: "),
        (("fill_value",), 1e300, "no readable array"),
    ],
)
def test_numbers_of_an_array_that_cannot_be_are_refused(
    store: Path, keys: tuple[str, ...], value: Any, said: str
) -> None:
    file = store / "0" / "zarr.json"
    metadata = json.loads(file.read_text())
    inner = metadata
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = value
    file.write_text(json.dumps(metadata))
    with pytest.raises(FileError, match=said):
        read_ome_zarr(store)


def test_a_slice_that_the_memory_cannot_hold_is_refused(store: Path) -> None:
    file = store / "0" / "zarr.json"
    metadata = json.loads(file.read_text())
    metadata["shape"][1:] = [2**23, 2**23]
    file.write_text(json.dumps(metadata))
    with pytest.raises(FileError, match="memory"):
        read_ome_zarr(store)


def test_a_codec_that_could_run_what_it_reads_is_refused(store: Path, tmp_path: Path) -> None:
    file = store / "0" / "zarr.json"
    metadata = json.loads(file.read_text())
    metadata["codecs"] = [
        {"name": "sharding_indexed", "configuration": {"codecs": ["bytes", {"name": "numcodecs.pickle"}]}}
    ]
    file.write_text(json.dumps(metadata))
    with pytest.raises(FileError, match=r"0/zarr\.json: codec 'numcodecs\.pickle' is not read"):
        read_ome_zarr(store)
    old = make_foreign(
        tmp_path / "f.zarr", noise(3, 20, 30), space(*"zyx"), [{"type": "scale", "scale": [1, 1, 1]}], "0.4"
    )
    for key, value in (("filters", [{"id": "delta"}, {"id": "pickle"}]), ("compressor", {"id": "pickle"})):
        metadata = json.loads((old / "s0" / ".zarray").read_text()) | {"filters": None, "compressor": None, key: value}
        (old / "s0" / ".zarray").write_text(json.dumps(metadata))
        with pytest.raises(FileError, match=r"s0/\.zarray: codec 'pickle' is not read"):
            read_ome_zarr(old)


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("length", [10, 40, -8, -1, 1])
def test_a_chunk_of_blosc_that_is_not_as_long_as_it_says_is_refused(tmp_path: Path, version: int, length: int) -> None:
    store = tmp_path / "scan.zarr"
    group = zarr.open_group(store, mode="w", zarr_format=version)
    codec = Blosc("lz4") if version == 2 else BloscCodec(typesize=2, cname="lz4")
    array = group.create_array("0", shape=(2, 8, 8), chunks=(2, 8, 8), dtype="int16", compressors=[codec])
    array[:] = np.random.default_rng(0).integers(0, 9, (2, 8, 8))
    axes = [{"name": name, "type": "space", "unit": "millimeter"} for name in "zyx"]
    scale = [{"type": "scale", "scale": [2.0, 1.0, 1.0]}]
    image = {"multiscales": [{"axes": axes, "datasets": [{"path": "0", "coordinateTransformations": scale}]}]}
    group.attrs.update(image if version == 2 else {"ome": image})
    np.testing.assert_array_equal(read_ome_zarr(store).array(), array[:])
    chunk = store / "0" / ("0.0.0" if version == 2 else "c/0/0/0")
    content = chunk.read_bytes()
    chunk.write_bytes(content + bytes(length) if length == 1 else content[:length])
    with pytest.raises(FileError, match="a chunk is damaged"):
        read_ome_zarr(store).array()


def test_a_pipe_in_place_of_a_chunk_is_refused(store: Path) -> None:
    chunk = store / "0" / "c" / "1" / "0" / "0"
    chunk.unlink()
    os.mkfifo(chunk)
    with pytest.raises(FileError, match="0/c/1/0/0: neither a file nor a folder"):
        read_ome_zarr(store).data[1]


@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir, lambda path: path.symlink_to("nowhere")])
def test_metadata_of_an_array_that_are_no_plain_file_are_refused(store: Path, make: Callable[[Path], None]) -> None:
    (store / "0" / "zarr.json").unlink()
    make(store / "0" / "zarr.json")
    with pytest.raises(FileError, match=r"0/zarr\.json: not a plain file"):
        read_ome_zarr(store)


@pytest.mark.parametrize("where", ["../other.ome.zarr/0", "/etc"])
def test_an_array_outside_the_store_is_not_read(store: Path, where: str) -> None:
    edit(store, lambda attributes: attributes["ome"]["multiscales"][0]["datasets"][0].update(path=where))
    with pytest.raises(FileError, match="leads out of the store"):
        read_ome_zarr(store)


@pytest.mark.parametrize("inside", ["0", "0/c/1/0/0"])
def test_a_link_out_of_the_store_is_not_followed_and_one_within_is(store: Path, inside: str) -> None:
    expected = read_ome_zarr(store).array()
    moved = store / "moved"
    (store / inside).rename(moved)
    if inside != "0":
        (store / inside).symlink_to(moved)
        np.testing.assert_array_equal(read_ome_zarr(store).array(), expected)
        (store / inside).unlink()
    outside = moved.rename(store.parent / "elsewhere")
    (store / inside).symlink_to(outside)
    with pytest.raises(FileError, match=f"{inside}: a link leads out of the store"):
        read_ome_zarr(store).array()


@pytest.mark.parametrize("lost", ["zarr.json", "0/zarr.json"])
@pytest.mark.parametrize("content", [None, "{", "{}", "[]"])
def test_damaged_or_absent_metadata_are_reported(store: Path, lost: str, content: str | None) -> None:
    (store / lost).unlink()
    if content is not None:
        (store / lost).write_text(content)
    assert detect(store) == "ome-zarr"
    with pytest.raises(FileError, match=r"v\.ome\.zarr"):
        read_ome_zarr(store)


def test_other_folders_are_not_taken_for_stores(tmp_path: Path) -> None:
    (tmp_path / "file.zarr").write_bytes(b"hello")
    for other in (tmp_path, tmp_path / "absent.zarr", tmp_path / "file.zarr"):
        with pytest.raises(FileError):
            detect(other)


@pytest.mark.parametrize(("dtype", "threads"), [("int16", 1), ("float32", 1), ("uint8", 3)])
@pytest.mark.parametrize("shape", [(2, 40, 30), (1, 1030, 2600), (1, 2048, 1024), (1, 512, 1536)])
def test_a_slice_is_written_as_zarr_would_byte_for_byte(
    tmp_path: Path, shape: tuple[int, int, int], dtype: str, threads: int
) -> None:
    voxels = noise(*shape, dtype=dtype)
    for name in ("ours", "theirs"):
        OmeZarrWriter(tmp_path / name, shape, dtype, SIZE, levels=1)
    with zarr.config.set({"threading.max_workers": threads}):
        OmeZarrWriter.reopen(tmp_path / "ours").write(0, voxels)
    zarr.open_array(tmp_path / "theirs", path="0", mode="r+")[:] = voxels
    ours, theirs = contents(tmp_path / "ours"), contents(tmp_path / "theirs")
    assert {name: ours[name] for name in theirs} == theirs


def test_a_store_of_another_codec_is_gone_on_with_in_that_codec(tmp_path: Path) -> None:
    path, voxels = tmp_path / "v.ome.zarr", noise(2, 600, 700)
    OmeZarrWriter(path, voxels.shape, voxels.dtype, SIZE)
    file = path / "0" / "zarr.json"
    described = json.loads(file.read_text())
    described["codecs"][0]["configuration"]["codecs"][1:2] = [
        {"name": "zstd", "configuration": {"level": 3, "checksum": False}}
    ]
    file.write_text(json.dumps(described))
    OmeZarrWriter.reopen(path).write(0, voxels)
    np.testing.assert_array_equal(zarr.open_array(path, path="0", mode="r")[:], voxels)
