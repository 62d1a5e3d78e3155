"""Everything that an export is asked for: a model, a kind of file, and perhaps the scan that it is calibrated to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from scipy import ndimage

from ctloupe.enhance.model import LoadedModel, loaded_model
from ctloupe.enhance.options import EnhanceOptions
from ctloupe.enhance.preparation import prepared
from ctloupe.enhance.scan_part import Mask
from ctloupe.enhance.spacing import require_spacing
from ctloupe.enhance.where import AS_TRAINED, mask_to_enhance, resolved_mask
from ctloupe.export.check import LARGEST, largest_difference
from ctloupe.export.graph import HounsfieldNetwork
from ctloupe.export.record import IMAGE, ExportRecord, record_of
from ctloupe.export.scan_model import ScanModel
from ctloupe.export.statistics import SUFFIXES, write_statistics
from ctloupe.export.targets.base import Arrays, Example, Target
from ctloupe.export.targets.registry import TARGETS
from ctloupe.foundation.atomic import replacing, replacing_together, require_new
from ctloupe.foundation.errors import CtLoupeError, ModelError, OptionError
from ctloupe.foundation.inputs import require_apart
from ctloupe.prepare.masks import mask_file
from ctloupe.volume.formats import parts_read, read
from ctloupe.volume.geometry import Triple
from ctloupe.volume.volume import Volume

STATISTICS: Final = "statistics"
"""What is written of a scan for a file that wants it as inputs, where no model is exported."""

KINDS: Final = (*TARGETS, STATISTICS)

_TRACED: Final = (2, 36, 44)
"""Slices, rows and columns that a network is followed with; the file takes any number of each."""


@dataclass(frozen=True)
class ExportRequest:
    """What `export_model` is asked for.

    Attributes
    ----------
    model
        Folder of a model package.
    to
        ``onnx``, ``torchscript``, ``monai-bundle``, ``openvino``, or ``statistics`` of `scan` for such a file.
    out
        The file, or the folder of a bundle.
    scan
        Clinical CT in HU that the file is calibrated to, and is for alone; None: what the network is told of a scan
        are inputs of the file, which serves every scan.
    mask
        Where the scan's statistics are taken; see `ctloupe.enhance.request.EnhanceRequest`.
    flat_field, seed
        See `EnhanceOptions`.
    accept_spacing
        Whether a scan of another voxel size than that of the training is taken as it is.
    series, voxel_size
        See `ctloupe.read`.
    overwrite
        Whether what is there may be replaced.
    """

    model: str | Path
    to: str
    out: Path
    scan: Path | None = None
    mask: str = AS_TRAINED
    flat_field: str = "auto"
    seed: int = 0
    accept_spacing: bool = False
    series: str | None = None
    voxel_size: Triple | None = None
    overwrite: bool = False


def export_model(request: ExportRequest, say: Callable[[str], None] = lambda line: None) -> Path:
    """Write a model as a file that other programs run, or what such a file wants to be told of a scan.

    The file is read again by the program that it is for, and compared with `enhance` on patches, before it gets its
    name. It holds the network alone: HU in, HU out, everywhere; masks are the caller's.

    Parameters
    ----------
    request
        Model, kind of file, and scan.
    say
        Told lines for people: the statistics of the scan, what the file wants, and how far it is from the engine.

    Returns
    -------
    Path
        What was written.

    Raises
    ------
    CtLoupeError
        If the model cannot be exported, a package is missing, the scan cannot be read, or the file differs from the
        engine.
    """
    target = _checked(request)
    model = _trained(request)
    # Half precision and tiles of a size that memory decides would make the comparison another one on every machine.
    options = EnhanceOptions.of({"seed": request.seed, "flat_field": request.flat_field, "precision": "float32"})
    if request.scan is None:
        scan, mask = _like_a_scan(model, 0), None
        scan_model = ScanModel.of(model, options, scan, mask)
    else:
        scan, mask = _read(request, model, say)
        scan_model = ScanModel.of(model, options, scan, mask, say)
    if target is None:
        write_statistics(scan_model, request.out, request.overwrite)
        names = ", ".join(scan_model.arrays()) or "nothing: this model needs none"
        say(f"statistics of this scan: {names}")
        return request.out
    open_to = tuple(scan_model.arrays()) if request.scan is None else ()
    record = record_of(scan_model, open_to, model.training)
    for line in record.texts():
        say(line)
    shown = scan_model
    if request.scan is None:
        # Another one than the network was built with, so that the inputs must have come through.
        scan = _like_a_scan(model, 1)
        shown = ScanModel.of(model, options, scan, mask)
    engine = prepared(model, options, scan, mask)
    arrays = {name: one for name, one in shown.arrays().items() if name in open_to}
    with _written(target, request) as path:
        with _refusals_in_words(target, record):
            target.write(HounsfieldNetwork(scan_model, open_to), _example(scan_model, arrays), record, path)
            run = target.load(path, record)
            off = largest_difference(run, arrays, engine, scan)
        if not off <= LARGEST:
            raise ModelError(
                f"`to` {target.name}: the file differs from the engine by up to {off:.3g} HU, more than {LARGEST:g}; "
                "nothing was written; use another kind of file, and report this with the version of its package"
            )
        patches = "patches of this scan" if request.scan is not None else "made-up patches"
        say(
            f"checked on {patches}, read again by the program that it is for: at most {off:.2f} HU from the engine, "
            "which rounds to whole HU"
        )
    return request.out


def _checked(request: ExportRequest) -> Target | None:
    """The kind of file, if everything about it can be written; None for statistics."""
    if request.to not in KINDS:
        raise OptionError(f"`to` {request.to}: expected {', '.join(KINDS[:-1])} or {KINDS[-1]}")
    target = TARGETS.get(request.to)
    suffixes = SUFFIXES if target is None else target.suffixes
    if suffixes and request.out.suffix.lower() not in suffixes:
        raise OptionError(f"`out` {request.out}: `to` {request.to} writes {' or '.join(suffixes)}")
    if target is None and request.scan is None:
        raise OptionError("`to` statistics are those of a scan; give `scan`")
    if target is not None:
        target.require_installed()
    beside = () if target is None else target.beside(request.out)
    mask = None if request.mask == AS_TRAINED else mask_file(request.mask)
    inputs = parts_read([one for one in (request.scan, mask) if one is not None])
    require_apart([*inputs, request.model], [request.out, *beside])
    require_new(request.out.parent, request.overwrite, *(one.name for one in (request.out, *beside)))
    return target


def _trained(request: ExportRequest) -> LoadedModel:
    model = loaded_model(request.model)
    if model.network is None or model.trained_on is None:
        raise OptionError(
            f"`model` {request.model}: an interpolation, of which every program has its own; give the folder of a "
            "trained model package"
        )
    return model


def _read(request: ExportRequest, model: LoadedModel, say: Callable[[str], None]) -> tuple[Volume, Mask | None]:
    """The scan, and where its statistics are taken."""
    assert request.scan is not None
    scan = read(request.scan, series=request.series, voxel_size=request.voxel_size)
    for note in scan.notes:
        say(f"warning: {request.scan.name}: {note}")
    if model.trained_spacing is not None and not request.accept_spacing:
        require_spacing(scan, model.trained_spacing, str(request.model))
    kind = resolved_mask(request.mask, model.trained_mask)
    if kind != "none":
        say(f"mask: {kind}")
    return scan, mask_to_enhance(kind, scan)


def _like_a_scan(model: LoadedModel, seed: int) -> Volume:
    """Smooth blobs over the window, with noise, on which a file for every scan is checked; seeds are scanners."""
    random = np.random.default_rng(seed)
    side = max(64, 2 * model.patch_size)
    blobs = ndimage.gaussian_filter(random.normal(size=(4, side, side)), (0, 3 - seed, 3 - seed))
    share = 0.5 + 0.25 * blobs / blobs.std() + random.normal(0, 0.02 * (1 + seed), blobs.shape)
    low, high = model.window.low, model.window.high
    values = (low + (high - low) * share.clip(0, 1)).round().astype(np.int16)
    spacing = model.trained_spacing or (1.0, 1.0)
    return Volume(values, (1.0 + seed, *spacing), modality="clinical")


@contextmanager
def _written(target: Target, request: ExportRequest) -> Iterator[Path]:
    """A hidden place for the file or folder, which gets its name when all went well."""
    if not target.suffixes:
        with replacing(request.out, request.overwrite) as folder:
            folder.mkdir()
            yield folder
        return
    # What lies beside a file is moved first, so that the file never names what is not there.
    with replacing_together([*target.beside(request.out), request.out], request.overwrite) as folder:
        yield folder / request.out.name


def _example(scan_model: ScanModel, arrays: Arrays) -> Example:
    """Inputs that the network is followed with."""
    slices, rows, columns = _TRACED
    middle = scan_model.model.window.from_unit(torch.zeros(()))
    image = torch.full((slices, 3 if scan_model.neighbours else 1, rows, columns), float(middle))
    return Example({IMAGE: image} | {name: torch.from_numpy(one) for name, one in arrays.items()})


@contextmanager
def _refusals_in_words(target: Target, record: ExportRecord) -> Iterator[None]:
    """Turn what an exporter or a runtime refuses into one line."""
    try:
        yield
    except (CtLoupeError, OSError, MemoryError):
        raise
    except Exception as error:
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise ModelError(
            f"`to` {target.name}: the network of {record.method} cannot be written so ({reason}); use another kind "
            "of file"
        ) from error
