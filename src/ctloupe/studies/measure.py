"""What is measured of a trained row, protocol by protocol."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import Any

from lightning_fabric import Fabric

from ctloupe import methods
from ctloupe.enhance.model import LoadedModel
from ctloupe.enhance.resolver import SuperResolver
from ctloupe.evaluate.alignment import interpolated
from ctloupe.evaluate.comparison import Comparison
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
from ctloupe.studies.columns import INFERENCE, PARAMETERS, TRAINING_EPOCH
from ctloupe.studies.data import CLINICAL_WINDOW, MICRO_WINDOW, StudyData
from ctloupe.studies.definition import Protocol
from ctloupe.train.bank_pair import device_bank, load_banks
from ctloupe.train.fabric import FabricBackend, make_fabric
from ctloupe.train.sampler import UnpairedSampler
from ctloupe.train.settings import TrainSettings
from ctloupe.train.stages import load_method
from ctloupe.volume.volume import Volume

JMI_PATCHES = 64
EPOCH_PATCHES = 2000
TIMED_STEPS = 3
_WINDOW = IntensityWindow(MICRO_WINDOW.low, MICRO_WINDOW.high)
_CLINICAL = IntensityWindow(CLINICAL_WINDOW.low, CLINICAL_WINDOW.high)


def measure(protocol: Protocol, resolver: SuperResolver, enhanced: Volume, data: StudyData, run: Path | None) -> Any:
    """Measure one row by one protocol.

    Parameters
    ----------
    protocol
        Any but ``cost``, which trains nothing: see `measure_cost`.
    resolver
        The trained model, or one without weights.
    enhanced
        The held-out scan as the model enhanced it.
    data
        Data of the study.
    run
        Run folder of the row; None for a method without training.

    Returns
    -------
    dict
        A `Comparison` as plain data, with ``tissues`` added for ``paired-phantom``.
    """
    name = resolver.name
    if protocol == "paired-phantom":
        return _paired(name, enhanced, data)
    if protocol in ("jmi", "jmi-code"):
        by = JMI if protocol == "jmi" else JMI_CODE
        return compare_by_jmi(data.micro(), resolver, _WINDOW, JMI_PATCHES, protocol=by).plain()
    if protocol == "isbi":
        specimen = data.specimen()
        return compare_by_hu_moments({name: enhanced}, data.scan(), specimen, _CLINICAL, _WINDOW).plain()
    # An interpolation makes no clinical-like images; it is given the reduced µCT that those are made of.
    steps = steps_of_two(resolver.scale)
    made_by = partial(gaussian_pyramid, steps=steps) if run is None else load_method(run).clinical_like
    return compare_synthesised(data.micro(), resolver, made_by, _WINDOW, JMI_PATCHES).plain()


def _paired(name: str, enhanced: Volume, data: StudyData) -> dict[str, Any]:
    scan = data.scan()
    truth, labels = data.truth(scan), data.labels(scan)
    thick = data.truth(scan, "slab")
    found: Comparison = compare_with_truth(scan, {name: enhanced}, truth, labels=labels, thick_truth=thick)
    rows = {"bicubic": interpolated(scan, enhanced.shape[1] // scan.shape[1]), name: enhanced}
    tissues = tissue_errors(rows, truth, labels, tissue_names())
    return found.plain() | {"tissues": {tissue: one.mae_hu for tissue, one in tissues.items()}}


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
    scan = data.scan()
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
