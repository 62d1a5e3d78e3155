"""What it costs that another process reads first what a native library decodes.

python benchmarks/reading_apart.py
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import SimpleITK
from pydicom import dcmread
from pydicom.uid import RLELossless
from shortest import seconds

from ctloupe.volume.formats import read, write
from ctloupe.volume.formats.apart import require_survivable
from ctloupe.volume.volume import Volume


def compressed(folder: Path, volume: Volume) -> dict[str, Path]:
    """Write a volume in ways that native libraries decode."""
    series, meta = folder / "rle.dicom", folder / "compressed.mha"
    write(volume, series)
    for file in series.iterdir():
        dataset = dcmread(file)
        dataset.compress(RLELossless)
        dataset.save_as(file)
    image = SimpleITK.GetImageFromArray(volume.array())
    image.SetSpacing(volume.spacing[::-1])
    SimpleITK.WriteImage(image, str(meta), useCompression=True)
    return {"MetaImage, zlib": meta, "DICOM, RLE": series, "TIFF, zlib": write(volume, folder / "pages.tif")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--slices", type=int, default=100)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--repeats", type=int, default=2)
    arguments = parser.parse_args()
    shape = (arguments.slices, arguments.size, arguments.size)
    values = np.random.default_rng(0).normal(-700, 100, shape).astype(np.int16)
    volume = Volume(values, (0.6, 0.6, 0.6), modality="clinical", units="HU")
    print(f"| {shape[0]} slices of {shape[1]}×{shape[2]} | read, s | by another process first, s | together / read |")
    print("|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for name, path in compressed(Path(folder), volume).items():
            own = seconds(lambda path=path: read(path).array(), arguments.repeats)
            apart = seconds(lambda path=path: require_survivable(path), arguments.repeats)
            print(f"| {name} | {own:.2f} | {apart:.2f} | {(own + apart) / own:.2f} |", flush=True)


if __name__ == "__main__":
    main()
