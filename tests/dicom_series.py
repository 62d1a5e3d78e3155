"""Synthetic CT series whose every number is known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian, generate_uid

Edit = Callable[[int, FileDataset], None]


@dataclass(frozen=True)
class WrittenSeries:
    """What was written: files in order along the normal, and the truth about them."""

    folder: Path
    files: list[Path]
    stored: NDArray[Any]
    values: NDArray[np.float64]
    spacing: tuple[float, float, float]
    origin: tuple[float, float, float]
    direction: NDArray[np.float64]
    uid: str


def write_dicom_series(
    folder: Path,
    *,
    shape: tuple[int, int, int] = (6, 8, 10),
    spacing: tuple[float, float, float] = (2.5, 0.7, 0.6),
    origin: tuple[float, float, float] = (-10.0, 20.0, 30.0),
    direction: NDArray[np.float64] | None = None,
    slopes: Sequence[float] | float | None = 1,
    intercepts: Sequence[float] | float | None = -1024,
    bits: int = 12,
    allocated: int = 16,
    signed: bool = False,
    modality: str = "CT",
    number: int | None = 3,
    prefix: str = "slice",
    syntax: UID = ExplicitVRLittleEndian,
    edit: Edit | None = None,
    seed: int = 0,
) -> WrittenSeries:
    """Write a series with random voxels to `folder`.

    File names run against the slice order, so that a reader which trusts them fails. `edit` is called with
    each slice's index and dataset before it is saved. A slope or intercept of None leaves its tag out.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    low = -(1 << (bits - 1)) if signed else 0
    kind = np.dtype(f"{'i' if signed else 'u'}{allocated // 8}")
    stored = rng.integers(low, low + (1 << bits), size=shape).astype(kind)
    axes = np.eye(3) if direction is None else direction
    scale, offset = (
        None if value is None else np.broadcast_to(np.asarray(value, dtype=np.float64), shape[:1])
        for value in (slopes, intercepts)
    )
    # Named by what tells two series apart, so that two runs write the same bytes.
    uid = generate_uid(entropy_srcs=[prefix, str(number), str(seed)])
    files = []
    for index in range(shape[0]):
        instance = generate_uid(entropy_srcs=[uid, str(index)])
        dataset = _dataset(syntax, instance, stored[index], bits, signed)
        dataset.Modality, dataset.SeriesInstanceUID = modality, uid
        if number is not None:
            dataset.SeriesNumber = number
        dataset.InstanceNumber = index + 1
        position = np.asarray(origin) + index * spacing[0] * axes[:, 2]
        dataset.ImagePositionPatient = [f"{value:.9g}" for value in position]
        dataset.ImageOrientationPatient = [f"{value:.9g}" for value in (*axes[:, 0], *axes[:, 1])]
        dataset.PixelSpacing, dataset.SliceThickness = [spacing[1], spacing[2]], spacing[0]
        if scale is not None:
            dataset.RescaleSlope = float(scale[index])
        if offset is not None:
            dataset.RescaleIntercept = float(offset[index])
        if edit is not None:
            edit(index, dataset)
        files.append(folder / f"{prefix}-{shape[0] - index:02d}.dcm")
        dataset.save_as(files[-1], enforce_file_format=True)
    slope = np.ones(shape[0]) if scale is None else scale
    intercept = np.zeros(shape[0]) if offset is None else offset
    values = stored * slope[:, None, None] + intercept[:, None, None]
    return WrittenSeries(folder, files, stored, values, spacing, origin, axes, uid)


def _dataset(syntax: UID, instance: UID, stored: NDArray[Any], bits: int, signed: bool) -> FileDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = CTImageStorage, instance
    meta.TransferSyntaxUID = syntax
    dataset = FileDataset(
        "",
        {},
        file_meta=meta,
        preamble=b"\0" * 128,
        is_implicit_VR=syntax.is_implicit_VR,
        is_little_endian=syntax.is_little_endian,
    )
    dataset.SOPClassUID, dataset.SOPInstanceUID = CTImageStorage, instance
    dataset.PatientName, dataset.PatientID, dataset.PatientBirthDate = "Secret^Name", "SECRET-ID", "19010203"
    dataset.StudyInstanceUID = generate_uid(entropy_srcs=["study"])
    dataset.FrameOfReferenceUID = generate_uid(entropy_srcs=["frame of reference"])
    dataset.Rows, dataset.Columns = stored.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8 * stored.itemsize, bits, bits - 1
    dataset.PixelRepresentation = int(signed)
    ordered = stored if syntax.is_little_endian else stored.byteswap()
    dataset.PixelData = ordered.tobytes()
    dataset["PixelData"].VR = "OB" if stored.itemsize == 1 else "OW"
    return dataset


@pytest.fixture
def dicom_series() -> Callable[..., WrittenSeries]:
    """`write_dicom_series`, for any test that needs a CT series on disk."""
    return write_dicom_series
