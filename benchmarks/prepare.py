"""The time of preparing a µCT against the time of reading the same bytes once, for two shapes of chunks.

python benchmarks/prepare.py
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from pathlib import Path

import numpy as np
import zarr
from shortest import seconds
from zarr.codecs import BloscCodec

from ctloupe.foundation.memory import memory
from ctloupe.prepare.banks import BankRequest, prepare_banks
from ctloupe.volume.formats import read, write
from ctloupe.volume.held import held
from ctloupe.volume.slabs import slabs_of
from ctloupe.volume.volume import Volume

SPACING = 0.05


def specimen(shape: tuple[int, int, int]) -> Volume:
    """Return noisy tissue in the air, with pores of many sizes."""
    random = np.random.default_rng(0)
    coarse = random.random([-(-length // 8) + 1 for length in shape]) > 0.4
    values = np.kron(coarse, np.ones((8, 8, 8), bool))[: shape[0], : shape[1], : shape[2]].astype(np.int16) * 6000
    edge = shape[1] // 8, shape[2] // 8
    for axis in (1, 2):
        np.moveaxis(values, axis, 0)[: edge[axis - 1]] = 0
        np.moveaxis(values, axis, 0)[-edge[axis - 1] :] = 0
    for plane in values:
        plane += random.normal(3000, 150, plane.shape).astype(np.int16)
    return Volume(values, (SPACING,) * 3, modality="micro")


def rechunked(source: Path, path: Path, side: int) -> Path:
    """Copy a store into cubes of `side` voxels, as other programs write them."""
    shutil.copytree(source, path)
    levels = json.loads((path / "zarr.json").read_text(encoding="utf-8"))["attributes"]["ome"]["multiscales"][0]
    (name,) = (level["path"] for level in levels["datasets"])
    values = zarr.open_array(str(path / name), mode="r")[:]
    shutil.rmtree(path / name)
    array = zarr.create_array(
        str(path / name),
        shape=values.shape,
        chunks=tuple(min(side, length) for length in values.shape),
        dtype=values.dtype,
        compressors=BloscCodec(cname="zstd"),
    )
    array[:] = values
    return path


def read_once(path: Path) -> None:
    """Decode every chunk once."""
    for _ in slabs_of(held(read(path), memory().available // 4).data):
        pass


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, nargs=3, default=(384, 736, 736), help="Voxels z y x.")
    parser.add_argument("--cubes", type=int, default=64, help="Side of the chunks that span slices.")
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--per-case", type=int, default=2000)
    parser.add_argument("--patch", type=int, default=16)
    arguments = parser.parse_args()
    volume = specimen(tuple(arguments.size))
    scan = np.random.default_rng(1).normal(-700, 100, (4, 64, 64)).astype(np.int16)
    clinical = Volume(scan, (0.4, 0.2, 0.2), modality="clinical", units="HU")
    print(f"| {'×'.join(map(str, volume.shape))} voxels, in chunks of | read once, s | prepare, s | prepare / read |")
    print("|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        scans = write(clinical, folder / "clinical.nii.gz")
        planes = write(volume, folder / "planes.ome.zarr")
        cubes = rechunked(planes, folder / "cubes.ome.zarr", arguments.cubes)
        for label, path in (("one slice", planes), (f"{arguments.cubes}³", cubes)):
            request = BankRequest(
                clinical=(scans,),
                micro=(path,),
                scale=4,
                patch_size=arguments.patch,
                per_case=arguments.per_case,
                clinical_mask="none",
            )
            once = seconds(lambda path=path: read_once(path), arguments.repeats)
            whole = seconds(
                lambda request=request: prepare_banks(request, folder / "bank", overwrite=True), arguments.repeats
            )
            print(f"| {label} | {once:.2f} | {whole:.2f} | {whole / once:.1f} |", flush=True)


if __name__ == "__main__":
    main()
