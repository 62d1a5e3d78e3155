"""What is measured of a trained row, protocol by protocol."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from lightning_fabric import Fabric
from torch import Tensor

from ctloupe import methods
from ctloupe.enhance.model import LoadedModel
from ctloupe.enhance.resolver import SuperResolver
from ctloupe.evaluate.alignment import interpolated
from ctloupe.evaluate.comparison import BASELINE, Comparison
from ctloupe.evaluate.protocols.isbi import compare_by_hu_moments
from ctloupe.evaluate.protocols.jmi import JMI, JMI_CODE, compare_by_jmi
from ctloupe.evaluate.protocols.paired_phantom import compare_with_truth
from ctloupe.evaluate.protocols.synth import compare_synthesised
from ctloupe.evaluate.tissues import tissue_errors
from ctloupe.images.windows import IntensityWindow
from ctloupe.methods.base import Method
from ctloupe.methods.cost import gflop, parameters, without_storage
from ctloupe.networks.blocks import steps_of_two
from ctloupe.networks.degradations import gaussian_pyramid
from ctloupe.phantom.anatomies.registry import tissue_names
from ctloupe.prepare.masks import Mask, mask_of
from ctloupe.studies.columns import ARITHMETIC, INFERENCE, PARAMETERS, TRAINING_EPOCH
from ctloupe.studies.data import StudyData
from ctloupe.studies.definition import Protocol
from ctloupe.studies.held import Held
from ctloupe.train.bank_pair import device_bank, load_banks
from ctloupe.train.fabric import FabricBackend, make_fabric
from ctloupe.train.sampler import UnpairedSampler
from ctloupe.train.settings import TrainSettings
from ctloupe.train.stages import load_method

EPOCH_PATCHES = 2000
TIMED_STEPS = 3

Maker = Callable[[Tensor], Tensor]
"""Makes clinical-like images ``(n, 1, h, w)`` of µCT ``(n, 1, s·h, s·w)``, both in [−1, 1]."""


def possible(protocol: Protocol, data: StudyData) -> str:
    """Say why a protocol cannot be measured with a study's data; nothing if it can."""
    if protocol == "paired-phantom" and not any(test.truth for test in data.scans):
        return "no test scan has a truth"
    if protocol in ("jmi", "jmi-code", "synth", "isbi") and not data.record.micros:
        return "there is no µCT that the training has not seen"
    if protocol == "isbi" and not data.scans:
        return "there is no test scan"
    return ""


def measure(
    protocol: Protocol, resolver: SuperResolver, held: Sequence[Held], data: StudyData, patches: int, maker: Maker
) -> dict[str, Any]:
    """Measure one row by one protocol, over all test volumes.

    Parameters
    ----------
    protocol
        Any but ``cost``, which trains nothing: see `measure_cost`.
    resolver
        The trained model, or one without weights.
    held
        The test scans as the model enhanced them.
    data
        Data of the study.
    patches
        Number of µCT patches, over all test volumes.
    maker
        Makes the inputs of the protocol ``synth``.

    Returns
    -------
    dict
        A `Comparison` as plain data, with ``tissues`` added for ``paired-phantom`` where there are labels. Of several
        volumes each number is the mean, by how many slices or patches of each were compared.
    """
    name = resolver.name
    if protocol == "paired-phantom":
        return _together([_paired(name, one, data) for one in held if one.test.truth is not None])
    if protocol == "isbi":
        return _together([_by_hu_moments(name, one, data) for one in held])
    found: list[Part] = []
    for path, share in zip(data.record.micros, _shares(patches, len(data.record.micros)), strict=True):
        micro, window = data.micro(path)
        if protocol == "synth":
            one = compare_synthesised(micro, resolver, maker, window, share)
        else:
            one = compare_by_jmi(micro, resolver, window, share, protocol=JMI if protocol == "jmi" else JMI_CODE)
        found.append((one.facts["patches"], one, {}))
    return _together(found)


Part = tuple[float, Comparison, dict[str, dict[str, float]]]
"""Weight of what was found of one volume, what it was, and errors by tissue and row."""


def _together(parts: Sequence[Part]) -> dict[str, Any]:
    """Average what was found of several volumes."""
    first = parts[0][1]
    if len(parts) == 1:
        return _as_plain(first, parts[0][2])
    rows = {row: _mean([(weight, one.rows[row]) for weight, one, _ in parts if row in one.rows]) for row in first.rows}
    names = dict.fromkeys(tissue for *_, tissues in parts for tissue in tissues)
    found = {name: _mean([(weight, by[name]) for weight, _, by in parts if name in by]) for name in names}
    return _as_plain(replace(first, rows=rows, facts={"volumes": [one.facts for _, one, _ in parts]}), found)


def _as_plain(found: Comparison, tissues: dict[str, dict[str, float]]) -> dict[str, Any]:
    return found.plain() | ({"tissues": tissues} if tissues else {})


def _mean(weighted: Sequence[tuple[float, dict[str, float]]]) -> dict[str, float]:
    """Average numbers by name over those who have them and know them."""
    keys = dict.fromkeys(key for _, numbers in weighted for key in numbers)
    found = {}
    for key in keys:
        known = [(weight, numbers[key]) for weight, numbers in weighted if np.isfinite(numbers.get(key, np.nan))]
        found[key] = float(np.average([v for _, v in known], weights=[w for w, _ in known])) if known else float("nan")
    return found


def _shares(patches: int, volumes: int) -> list[int]:
    """Divide a number of patches among volumes as evenly as can be, one each at least."""
    return [max(1, patches * (index + 1) // volumes - patches * index // volumes) for index in range(volumes)]


def _paired(name: str, held: Held, data: StudyData) -> Part:
    scan, test = held.scan, held.test
    truth, labels = data.truth(test, scan), data.labels(test, scan)
    thick = data.truth(test, scan, "slab")
    if truth is None:
        raise ValueError(f"{test.scan} has no truth")
    found = compare_with_truth(scan, {name: held.enhanced}, truth, held.mask, labels=labels, thick_truth=thick)
    tissues: dict[str, dict[str, float]] = {}
    if labels is not None:
        rows = {BASELINE: interpolated(scan, held.enhanced.shape[1] // scan.shape[1]), name: held.enhanced}
        tissues = {tissue: one.mae_hu for tissue, one in tissue_errors(rows, truth, labels, tissue_names()).items()}
    return float(scan.shape[0]), found, tissues


def _by_hu_moments(name: str, held: Held, data: StudyData) -> Part:
    """Compare with the µCT of the same test case where there is one for each, and with the first otherwise.

    Of both, what lies in the box that patches were drawn from: ISBI 2021 crops slices before anything else.
    """
    micros = data.record.micros
    at = data.scans.index(held.test) if len(micros) == len(data.scans) else 0
    micro, window = data.micro(micros[at])
    scan, enhanced = held.scan, held.enhanced
    clinical = data.clinical_window(scan)
    if held.mask is not None:
        box = _box(held.mask)
        scan, enhanced = scan.crop(*box), enhanced.crop(*_finer(box, enhanced.shape[1] // scan.shape[1]))
    mask = mask_of(data.record.micro_mask, micro) if data.record.micro_mask == "box" else None
    if mask is not None:
        micro = micro.crop(*_box(mask))
    found = compare_by_hu_moments({name: enhanced}, scan, micro, clinical, window)
    return float(scan.shape[0]), found, {}


Box = tuple[slice, slice, slice]


def _box(mask: Mask) -> Box:
    """Return the smallest box that holds a mask."""
    z, y, x = (np.flatnonzero(mask.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1)))
    return slice(z[0], z[-1] + 1), slice(y[0], y[-1] + 1), slice(x[0], x[-1] + 1)


def _finer(box: Box, scale: int) -> Box:
    """Return the box on the grid that is finer in y and x."""
    y, x = (slice(one.start * scale, one.stop * scale) for one in box[1:])
    return box[0], y, x


def maker_of(run: Path | None, scale: int) -> Maker:
    """Return what makes the inputs of the protocol ``synth``: the network of a run, or without one f(y) itself.

    Raises
    ------
    OptionError
        If the method of the run has no such network.
    """
    return partial(gaussian_pyramid, steps=steps_of_two(scale)) if run is None else load_method(run).clinical_like


def measure_cost(settings: TrainSettings, data: StudyData) -> dict[str, float]:
    """Count the parameters of an untrained method, and time its training and enhancing on this machine.

    Returns
    -------
    dict
        Numbers by the labels of `COST`; the training epoch is the time of steps of batch size 1 extrapolated to 2,000
        patches (all stages), the inference that of the held-out scan's middle slice.
    """
    fabric = make_fabric(settings)
    fabric.launch()
    kind = methods.get(settings.method)
    config = kind.Config.model_validate(settings.config | {"batch_size": 1})
    method = kind(config)
    banks = load_banks(data.bank)
    window = IntensityWindow(banks.clinical.window.low, banks.clinical.window.high)
    found = {PARAMETERS.label: float(parameters(method)["total"])}
    if kind.trainable:
        found[ARITHMETIC.label] = gflop(without_storage(kind, config))["train_step"]
        sampler = UnpairedSampler(
            device_bank(banks.clinical, fabric.device, neighbours=method.reads_neighbours),
            device_bank(banks.micro, fabric.device, kind.reads_slice_average, method.reads_neighbours),
            config.patch_size,
            config.scale,
            1,
            0,
        )
        found[TRAINING_EPOCH.label] = EPOCH_PATCHES * sum(
            _seconds_a_step(method, stage, fabric, sampler) for stage in kind.stages
        )
    network = method.enhancer().eval().to(fabric.device)
    resolver = SuperResolver(
        LoadedModel(kind.name, network, config.scale, window, None, config.patch_size, fabric.device)
    )
    scan = data.scan(data.scans[0])
    middle = scan.crop(slice(scan.shape[0] // 2, scan.shape[0] // 2 + 1), slice(None), slice(None))
    resolver.enhance(middle)
    begun = time.perf_counter()
    resolver.enhance(middle)
    return found | {INFERENCE.label: time.perf_counter() - begun}


def _seconds_a_step(method: Method, stage: str, fabric: Fabric, sampler: UnpairedSampler) -> float:
    method.enter(stage)
    backend = FabricBackend(fabric, method)
    float(method.step(sampler.batch(0), backend)["total"])
    begun = time.perf_counter()
    for step in range(1, 1 + TIMED_STEPS):
        float(method.step(sampler.batch(step), backend)["total"])
    return (time.perf_counter() - begun) / TIMED_STEPS


def facts_of(settings: TrainSettings) -> dict[str, Any]:
    """Return the number of parameters of a row's method, and its arithmetic in GFLOP."""
    kind = methods.get(settings.method)
    built = without_storage(kind, kind.Config.model_validate(settings.config))
    return {"parameters": parameters(built)["total"], "gflop": gflop(built)}
