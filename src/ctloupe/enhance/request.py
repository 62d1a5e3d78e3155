"""Everything that an enhancement is asked for, from scans to outputs: one volume, or a folder of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from unicodedata import normalize

from ctloupe.enhance.ahead import ScanAhead, scan_at
from ctloupe.enhance.blending import BLEND_MM
from ctloupe.enhance.early import require_scan
from ctloupe.enhance.model import loaded_model
from ctloupe.enhance.options import EnhanceOptions, quantile_name
from ctloupe.enhance.region import Region, parse_region
from ctloupe.enhance.resolver import SuperResolver
from ctloupe.enhance.scan_part import Mask
from ctloupe.enhance.spacing import require_spacing
from ctloupe.enhance.store.scan_file import ScanFile
from ctloupe.enhance.tiling import PROCESS_BYTES
from ctloupe.enhance.value_range import values_beyond
from ctloupe.enhance.where import AS_TRAINED, blends_outside, mask_to_enhance, resolved_mask
from ctloupe.foundation.errors import CtLoupeError, FileError, Interrupted, OptionError
from ctloupe.foundation.inputs import require_apart
from ctloupe.foundation.leftovers import full_suffix
from ctloupe.foundation.location import Location, Place, Remote
from ctloupe.foundation.progress import Progress, Silent
from ctloupe.models.default import DEFAULT
from ctloupe.networks.accelerator import resolve_accelerator
from ctloupe.prepare.masks import kind_of, mask_file
from ctloupe.volume.collection import holds_several, name_of, volume_paths
from ctloupe.volume.formats import (
    format_of_output,
    parts_read,
    parts_written,
    require_writable,
    source_files,
)
from ctloupe.volume.formats.dicom.parametric_map import PARAMETRIC_MAP, is_named_as_map, require_map
from ctloupe.volume.formats.registry import writable_suffixes
from ctloupe.volume.geometry import Triple
from ctloupe.volume.resampling import resample_in_plane
from ctloupe.volume.volume import Volume


@dataclass(frozen=True)
class EnhanceRequest:
    """What `enhance_files` is asked for.

    Attributes
    ----------
    scan
        Clinical CT in HU, or a folder of several; or OME-Zarr on a server.
    out
        Output, whose suffix says the format; of a folder of scans: a folder. OME-Zarr may go to an object store.
    model, scale
        Folder of a model package, packed file, or name of a model or of an interpolation; and the enlargement that is
        required of it.
    mask
        ``auto`` (the kind of mask that the model was trained in), ``lungs``, ``box``, ``none``, or a file on the scan's
        grid.
    slices, roi
        Slices ``a:b``, or the region ``z0:z1,y0:y1,x0:x1`` in voxels, to enhance; None: all.
    resample, accept_spacing
        What to do where the scan has not the spacing that the model was trained at: bring it to that spacing, or go on.
    blend, stitch, stitch_size, match_histograms, median, samples, output, steps, flat_field, consistent,
    consistent_with
        See `EnhanceOptions`.
    tile, memory, precision, seed
        See `EnhanceOptions`.
    uncertainty
        Path of the standard deviation: of `samples` where there are any (None: the output's name with
        ``-uncertainty``), else the one that the network has learnt of the errors of its mean.
    quantiles
        Probabilities whose quantiles of the samples are written beside the output, under its name with ``-quantile-Q``.
    invented
        Path of the map of how much of the prior's spread the scan leaves open; None: it is not made.
    resume, slab, scheduler, devices, overwrite
        See `SuperResolver.enhance_to`.
    format
        Suffix of the outputs of a folder of scans.
    series, voxel_size
        See `ctloupe.read`.
    accelerator
        ``auto``, ``cpu``, ``cuda`` or ``mps``.
    preview
        Whether a picture of a telling place is written beside the output, under its name with ``-preview.png``.
    """

    scan: Location
    out: Location
    model: str | Path = DEFAULT
    scale: int | None = None
    mask: str = AS_TRAINED
    blend: float = BLEND_MM
    slices: str | None = None
    roi: str | None = None
    resample: bool = False
    accept_spacing: bool = False
    stitch: str = "calibrated"
    stitch_size: int | None = None
    match_histograms: bool = False
    median: int = 1
    samples: int = 0
    output: str = "mean"
    steps: int | None = None
    uncertainty: Location | None = None
    invented: Location | None = None
    quantiles: tuple[float, ...] = ()
    flat_field: str = "auto"
    consistent: bool = False
    consistent_with: str = "blocks"
    resume: bool = False
    slab: int = 4
    tile: int | None = None
    memory: int | None = None
    precision: str = "auto"
    scheduler: str | None = None
    devices: int = 1
    format: str = ".ome.zarr"
    series: str | None = None
    voxel_size: Triple | None = None
    accelerator: str = "auto"
    seed: int = 0
    preview: bool = True
    overwrite: bool = False

    def options(self) -> EnhanceOptions:
        """How the model is applied, validated; each option but the side of the blend is asked for under its name."""
        maps = {
            "uncertainty": self.uncertainty is not None and not self.samples,
            "invented": self.invented is not None,
        }
        asked = EnhanceOptions.model_fields.keys() - {"blend_outside"} - maps.keys()
        return EnhanceOptions.of({name: getattr(self, name) for name in asked} | maps)


def enhance_files(
    request: EnhanceRequest,
    say: Callable[[str], None] = lambda line: None,
    progress: Progress | None = None,
    finished: Callable[[str], None] = lambda line: None,
    ahead: ScanAhead | None = None,
) -> list[Location]:
    """Enhance the scan, or every scan of the folder, that `request` names.

    What fails in a folder is told at the end and does not stop the others.

    Parameters
    ----------
    request
        Scans, model, outputs and options.
    say
        Told lines for people: masks, plans, warnings, and what was written.
    progress
        Told how many slices of a scan are done.
    finished
        Told a line for every scan when it is done or has failed.
    ahead
        The scan, where it is being read already, as the command line does while it imports the large libraries.

    Returns
    -------
    list of Path or Remote
        The enhanced volumes.

    Raises
    ------
    CtLoupeError
        If options contradict each other, a scan cannot be read, or an output cannot be written; of a folder when all
        its scans have been tried.
    """
    options = request.options()
    _check(request)
    require_scan(request.scan)
    several = holds_several(request.scan)
    scans = _scans_of_folder(request) if several else [(request.scan, request.out)]
    _require_apart(request, scans)
    if not several:
        _require_writable(request)
    for path, out in scans:
        _require_maps(request, path, out)
    device = resolve_accelerator(request.accelerator)
    model = loaded_model(request.model, request.scale, device)
    mask = resolved_mask(request.mask, model.trained_mask)
    resolver = SuperResolver(model, options).with_options(blend_outside=blends_outside(mask))
    work = _Enhancement(request, resolver, mask, say, progress or Silent(), ahead)
    if several:
        return _cohort(work, scans, finished)
    work.enhance(request.scan, request.out, _uncertainty(request, request.out))
    finished(str(request.out))
    return [request.out]


def _check(request: EnhanceRequest) -> None:
    if request.resample and request.accept_spacing:
        raise OptionError("`resample` and `accept_spacing` exclude each other")
    if request.memory is not None and request.memory < PROCESS_BYTES:
        raise OptionError(
            f"`memory` {request.memory / 1e9:g} GB: Python and PyTorch alone take {PROCESS_BYTES / 1e9:.1f} GB; "
            "give 1GB or more"
        )
    if request.format not in writable_suffixes():
        raise OptionError(f"`format` {request.format!r}: expected one of {' '.join(writable_suffixes())}")


def _require_writable(request: EnhanceRequest) -> None:
    """Refuse now what could not be written in the end."""
    for path in _outputs(request, request.out):
        if not request.resume:
            require_writable(path, request.overwrite)
    if request.preview and not (request.resume or request.overwrite) and preview_of(request.out).exists():
        raise FileError(f"{preview_of(request.out)}: exists already; give `overwrite` or another `out`")


def _require_maps(request: EnhanceRequest, scan: Location, out: Location) -> None:
    """Refuse names of maps that could not be written beside the volume."""
    if is_named_as_map(out):
        raise OptionError(f"{out}: a Parametric Map holds no enhanced volume; name it *.dicom")
    streamed = format_of_output(out).resumable
    for path in _outputs(request, out)[1:]:
        kind = format_of_output(path)
        if streamed != kind.resumable:
            ends = "*.ome.zarr" if streamed else "other than *.ome.zarr"
            raise OptionError(f"{path}: is written together with {out}; name it {ends}, as that is")
        if kind.name != "dicom":
            continue
        if not is_named_as_map(path):
            name = path.name.removesuffix(full_suffix(path))
            raise OptionError(f"{path}: a CT series holds whole HU; name it {name}{PARAMETRIC_MAP}")
        if isinstance(path, Path) and isinstance(scan, Path):
            require_map(path, scan)


def _uncertainty(request: EnhanceRequest, out: Location) -> Location | None:
    """Where a standard deviation goes; None where none was asked for."""
    return request.uncertainty or (_beside(out, "uncertainty") if request.samples else None)


def _quantiles(request: EnhanceRequest, out: Location) -> dict[float, Location]:
    """Where quantiles go."""
    return {one: _beside(out, quantile_name(one)) for one in request.quantiles}


def preview_of(out: Place) -> Place:
    """Where the picture of an enhanced volume goes."""
    return out.with_name(f"{out.name.removesuffix(full_suffix(out))}-preview.png")


def _beside(out: Location, name: str) -> Location:
    suffix = full_suffix(out)
    ending = PARAMETRIC_MAP if format_of_output(out).name == "dicom" else suffix
    return out.with_name(f"{out.name.removesuffix(suffix)}-{name}{ending}")


def _outputs(request: EnhanceRequest, out: Location) -> list[Location]:
    """Everything that is written for the scan whose enhanced volume goes to `out`."""
    maps = _uncertainty(request, out), request.invented, *_quantiles(request, out).values()
    return [out, *(path for path in maps if path is not None)]


def _written(request: EnhanceRequest, out: Location) -> list[Location]:
    """The same, with the picture."""
    return [*_outputs(request, out), *([preview_of(out)] if request.preview else [])]


def _require_apart(request: EnhanceRequest, scans: Sequence[tuple[Location, Location]]) -> None:
    """Refuse to write over anything that is read, and to write two things to one place."""
    mask = None if request.mask == AS_TRAINED else mask_file(request.mask)
    taken: dict[str, Location] = {}
    for scan, out in scans:
        for made in _written(request, out):
            # Some disks know neither capitals nor how an accent is composed.
            other = taken.setdefault(normalize("NFC", str(made)).casefold(), scan)
            if other != scan:
                raise FileError(f"{other} and {scan}: both would be written to {made}; rename one of them")
    outputs = [made for _, out in scans for made in _written(request, out)]
    inputs = parts_read([request.scan, *(scan for scan, _ in scans), mask])
    require_apart([*inputs, request.model], parts_written(outputs))


def _scans_of_folder(request: EnhanceRequest) -> list[tuple[Location, Location]]:
    """Scans of a folder with the paths of their outputs."""
    for name in ("uncertainty", "invented"):
        if getattr(request, name) is not None:
            raise OptionError(f"`{name}` names the output of one scan; leave it out for a folder of scans")
    return [(path, request.out / f"{name_of(path)}{request.format}") for path in volume_paths([request.scan])]


def _cohort(
    work: _Enhancement, scans: Sequence[tuple[Location, Location]], finished: Callable[[str], None]
) -> list[Location]:
    """Work through the scans of a folder."""
    request, made, failed = work.request, list[Location](), list[str]()
    for at, (path, out) in enumerate(scans, 1):
        try:
            work.enhance(path, out, _uncertainty(request, out))
        except (Interrupted, KeyboardInterrupt) as error:
            told = f"{error}; " if isinstance(error, Interrupted) else f"{out}: stopped; "
            raise Interrupted(f"{told}{len(made)} of {len(scans)} volumes are finished") from error
        except CtLoupeError as error:
            failed.append(str(error))
            finished(f"{at}/{len(scans)} {path.name}: failed")
        else:
            made.append(out)
            finished(f"{at}/{len(scans)} {path.name}: {out}")
    for line in failed:
        work.say(f"failed: {line}")
    if failed:
        raise OptionError(f"{len(failed)} of {len(scans)} volumes failed; see above, then go on with `resume`")
    return made


@dataclass(frozen=True)
class _Enhancement:
    """A request with its model loaded and its kind of mask, or mask file, known; for one scan after the other."""

    request: EnhanceRequest
    resolver: SuperResolver
    mask: str
    say: Callable[[str], None]
    progress: Progress
    ahead: ScanAhead | None

    def enhance(self, path: Location, out: Location, uncertainty: Location | None) -> None:
        """Enhance one scan from file to file."""
        request = self.request
        scan = self._read(path)
        for note in (*scan.notes, *values_beyond(scan)):
            self.say(f"warning: {path.name}: {note}")
        scan = self._fitted(scan)
        region = parse_region(scan.shape, request.slices, request.roi)
        with ThreadPoolExecutor(1) as beside:
            if request.preview:
                # What draws takes long to import, and the mask leaves a core idle.
                beside.submit(import_module, "ctloupe.enhance.preview")
            mask = self._mask(scan)
        quantiles = _quantiles(request, out)
        self.progress.start("enhancing", region[0].stop - region[0].start)
        try:
            summary = self.resolver.enhance_to(
                scan,
                out,
                mask,
                region,
                self.progress.update,
                request.overwrite,
                uncertainty,
                request.invented,
                quantiles=quantiles,
                resume=request.resume,
                slab=request.slab,
                scheduler=request.scheduler,
                devices=request.devices,
                source=self._source(path, out),
                file=self._file(path),
                tell=self.say,
            )
        finally:
            self.progress.close()
        for line in summary.lines(masked=mask is not None):
            self.say(line)
        if not summary.found_finished:
            self.say("wrote " + " and ".join(str(one) for one in _outputs(request, out)))
        if request.preview:
            self._picture(scan, out, mask, region)

    def _read(self, path: Location) -> Volume:
        """The scan at a place."""
        if self.ahead is not None and self.ahead.path == path:
            return self.ahead.scan
        return scan_at(path, self.request.series, self.request.voxel_size)

    def _file(self, path: Location) -> ScanFile | None:
        """Where workers read the scan; None where there are none."""
        request = self.request
        if request.scheduler is None:
            return None
        spacing = self.resolver.trained_spacing if request.resample else None
        return ScanFile.of(path, request.series, request.voxel_size, spacing)

    def _source(self, path: Location, out: Location) -> list[Path]:
        """Files of the scan, where any output refers to them."""
        found = (source_files(path, made, self.request.series) for made in _outputs(self.request, out))
        return next((files for files in found if files), [])

    def _picture(self, scan: Volume, out: Location, mask: Mask | None, region: Region) -> None:
        """Write the picture; that it cannot be written does not spoil what has been."""
        try:
            self._write_picture(scan, out, mask, region)
        except CtLoupeError as error:
            self.say(f"warning: no picture of it: {error}")
        else:
            self.say(f"picture: {preview_of(out)}")

    def _write_picture(self, scan: Volume, out: Location, mask: Mask | None, region: Region) -> None:
        from ctloupe.enhance.preview import write_preview

        picture = preview_of(out)
        if not isinstance(picture, Remote):
            write_preview(scan, out, mask, region, picture)
            return
        with TemporaryDirectory(prefix="ctloupe-") as folder:
            made = Path(folder) / picture.name
            write_preview(scan, out, mask, region, made)
            picture.write_bytes(made.read_bytes())

    def _mask(self, scan: Volume) -> Mask | None:
        """Where the scan is enhanced; None: everywhere."""
        if self.mask != "none":
            self.say(f"mask: {self.mask}")
        make = mask_to_enhance if self.ahead is None else self.ahead.mask
        found = make(self.mask, scan)
        if found is not None:
            self.say(f"mask: {100 * found.mean():.1f}% of the scan are enhanced")
        return found

    def _fitted(self, scan: Volume) -> Volume:
        """The scan, resampled where that was asked for, at a spacing that the model can take."""
        request, trained = self.request, self.resolver.trained_spacing
        if trained is None or request.accept_spacing:
            return scan
        if request.resample:
            if kind_of(self.mask) == "file":
                raise OptionError(
                    f"`mask` {self.mask} is on the scan's own grid and cannot go with `resample`; use `mask` lungs"
                )
            scan = resample_in_plane(scan, trained)
        if not self.resolver.model.takes_spacing(scan.spacing[1:]):
            require_spacing(scan, trained, str(request.model))
        return scan
