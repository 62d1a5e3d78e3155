"""Small valid files of every kind that is read, written by other libraries where one writes the kind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import SimpleITK as sitk
import tifffile
import zarr
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian, RLELossless

from ctloupe.volume.formats import write
from ctloupe.volume.volume import Volume
from dicom_series import write_dicom_series

SHAPE = (4, 6, 7)
_ROTATION = (0.8, -0.6, 0.0, 0.6, 0.8, 0.0, 0.0, 0.0, 1.0)

Builder = Callable[[Path, np.random.Generator], Path]


def _values(rng: np.random.Generator, dtype: str = "int16") -> np.ndarray:
    return rng.integers(0, 200, SHAPE).astype(dtype)


def _nifti(suffix: str, dtype: str, kind: type = nib.Nifti1Image) -> Builder:
    def build(folder: Path, rng: np.random.Generator) -> Path:
        affine = np.diag([-0.6, -0.7, 2.5, 1.0])
        affine[:3, 3] = rng.uniform(-50, 50, 3)
        image = kind(_values(rng, dtype).T, affine)
        image.set_sform(affine, 1)
        image.set_qform(affine, 1)
        image.header.set_xyzt_units("mm")
        nib.save(image, folder / f"scan{suffix}")
        return folder / f"scan{suffix}"

    return build


def _itk(suffix: str, dtype: str, compressed: bool = False) -> Builder:
    def build(folder: Path, rng: np.random.Generator) -> Path:
        image = sitk.GetImageFromArray(_values(rng, dtype))
        image.SetSpacing((0.6, 0.7, 2.5))
        image.SetOrigin(rng.uniform(-50, 50, 3).tolist())
        image.SetDirection(_ROTATION)
        sitk.WriteImage(image, str(folder / f"scan{suffix}"), useCompression=compressed)
        return folder / f"scan{suffix}"

    return build


def _tiff(folder: Path, rng: np.random.Generator) -> Path:
    metadata = {"axes": "ZYX", "spacing": 2.5, "unit": "mm"}
    tifffile.imwrite(folder / "scan.tif", _values(rng), imagej=True, resolution=(1 / 0.6, 1 / 0.7), metadata=metadata)
    return folder / "scan.tif"


def _own_tiff(folder: Path, rng: np.random.Generator) -> Path:
    return write(Volume(_values(rng), (2.5, 0.7, 0.6), units="HU"), folder / "scan.tif")


def _own_zarr(folder: Path, rng: np.random.Generator) -> Path:
    return write(Volume(_values(rng), (2.5, 0.7, 0.6), (1.0, -2.0, 3.0), units="HU"), folder / "scan.ome.zarr")


def _foreign_zarr(version: int) -> Builder:
    def build(folder: Path, rng: np.random.Generator) -> Path:
        store = folder / "scan.zarr"
        group = zarr.open_group(store, mode="w", zarr_format=version)
        array = group.create_array("0", shape=SHAPE, chunks=(2, 4, 4), dtype="int16")
        array[:] = _values(rng)
        axes = [{"name": name, "type": "space", "unit": "millimeter"} for name in "zyx"]
        scale = [{"type": "scale", "scale": [2.5, 0.7, 0.6]}]
        image = [{"version": "0.4", "axes": axes, "datasets": [{"path": "0", "coordinateTransformations": scale}]}]
        group.attrs.update(
            {"multiscales": image} if version == 2 else {"ome": {"version": "0.5", "multiscales": image}}
        )
        return store

    return build


def _dicom(name: str, **options: object) -> Builder:
    def build(folder: Path, rng: np.random.Generator) -> Path:
        write_dicom_series(folder / name, shape=SHAPE, seed=int(rng.integers(1 << 30)), **options)
        return folder / name

    return build


BUILDERS: dict[str, Builder] = {
    "NIfTI": _nifti(".nii", "int16"),
    "NIfTI, float": _nifti(".nii", "float32"),
    "NIfTI, compressed": _nifti(".nii.gz", "uint8"),
    "NIfTI-2": _nifti(".nii", "int16", nib.Nifti2Image),
    "MetaImage": _itk(".mha", "int16"),
    "MetaImage, compressed": _itk(".mha", "uint16", compressed=True),
    "MetaImage, two files": _itk(".mhd", "int16"),
    "NRRD": _itk(".nrrd", "int16"),
    "NRRD, compressed": _itk(".nrrd", "float32", compressed=True),
    "TIFF of ImageJ": _tiff,
    "TIFF of ours": _own_tiff,
    "OME-Zarr of ours": _own_zarr,
    "Zarr 2": _foreign_zarr(2),
    "Zarr 3": _foreign_zarr(3),
    "DICOM": _dicom("series"),
    "DICOM, implicit": _dicom("implicit", syntax=ImplicitVRLittleEndian),
    "DICOM, signed": _dicom("signed", signed=True, slopes=2.0),
    "DICOM, big endian": _dicom("big", syntax=ExplicitVRBigEndian),
    "DICOM, deflated": _dicom("deflated", syntax=DeflatedExplicitVRLittleEndian),
    "DICOM, RLE": _dicom("rle", edit=lambda _, dataset: dataset.compress(RLELossless)),
}
"""What makes a small valid volume of each kind in an empty folder, and returns what to read."""
