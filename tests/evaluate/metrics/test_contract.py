"""What every metric keeps to, whichever protocol it stands in."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from ctloupe.evaluate.case_scanner import CaseScanner
from ctloupe.evaluate.comparison import BASELINE, Comparison
from ctloupe.evaluate.metrics.calibration import CALIBRATION, ErrorSample
from ctloupe.evaluate.metrics.decorrelation import DECORRELATION_RESOLUTION
from ctloupe.evaluate.metrics.mesh import MESH
from ctloupe.evaluate.metrics.questions import QUESTIONS
from ctloupe.evaluate.metrics.texture import Texture, Unpaired
from ctloupe.evaluate.metrics.trees import TREES
from ctloupe.evaluate.protocols.measuring import Measuring
from ctloupe.evaluate.protocols.registry import PROTOCOLS, metrics_by_label
from ctloupe.evaluate.slices import Reference, Setting
from ctloupe.evaluate.suite.controls import misplaced_texture
from ctloupe.images.windows import IntensityWindow
from ctloupe.phantom.anatomies.lung import LungLabel
from ctloupe.phantom.anatomies.registry import get, names
from ctloupe.phantom.clinical_slices import labels_on_clinical_slices, truth_on_clinical_slices
from ctloupe.phantom.phantom import make_phantom
from ctloupe.scanner.noise import NoiseSpectrum
from ctloupe.scanner.tile_power import expected_power
from ctloupe.scanner.voxel import block_mean
from ctloupe.volume.volume import Volume

PAGE = Path(__file__).resolve().parents[3] / "docs" / "evaluation.md"
METRICS = metrics_by_label()
EVERY = [*METRICS.values(), *CALIBRATION]
SCALE = 8
WINDOW = IntensityWindow(-1000, 2400)


def by_label(metrics):
    return pytest.mark.parametrize("metric", [pytest.param(one, id=one.label) for one in metrics])


def spotted(real):
    """The image with spots of air and of water where nothing like them is."""
    field = gaussian_filter(np.random.default_rng(0).normal(size=real.shape), (0, 10, 10))
    air, water = np.quantile(field, (0.1, 0.9))
    return np.select([field < air, field > water], [-1000, 0], real).astype(np.float32)


def measured(anatomy):
    """All metrics of a perfect image and of bad ones, of a phantom whose scan and µCT are made from its truth."""
    case = make_phantom(anatomy, (16, 256, 256), 11, get(anatomy).usual)
    truth = truth_on_clinical_slices(case.truth, case.clinical)
    # A truth of finite resolution: noise up to the finest frequency would hide what a blur does.
    real = gaussian_filter(truth.array().astype(np.float32), (0, 0.4, 0.4))
    labels = labels_on_clinical_slices(case.labels, case.clinical).array()
    texture = Texture()
    for plane in real:
        texture.add(WINDOW.to_unit(plane))
    images = {
        BASELINE: gaussian_filter(real, (0, SCALE / 2, SCALE / 2)),
        "perfect": real,
        "brighter and moved": np.roll(real, 3, axis=2) + 100,
        "invented": misplaced_texture(real, SCALE),
        "spotted": spotted(real),
        "empty": np.full_like(real, 2000),
    }
    # What was made of the other reconstruction; only a perfect enhancer gives one answer.
    others = {name: image if name == "perfect" else np.roll(image, 2, axis=1) for name, image in images.items()}
    setting = Setting.of(
        case.clinical.shape,
        truth,
        None,
        known=frozenset({"scan", "truth", "labels", "micro", "pair"}),
        anatomy=get(anatomy),
        unpaired=Unpaired(texture, WINDOW),
        scanner=CaseScanner(0.0, expected_power(NoiseSpectrum(), 20.0), "a block mean, with little noise"),
    )
    measuring = Measuring(METRICS.values(), setting, images)
    for z in range(len(real)):
        scan = block_mean(real[z], SCALE)
        reference = Reference(setting, z, scan, real[z], labels[z], other_scan=scan)
        planes = ((image[z], truth.spacing[1]) for image in images.values())
        measuring.add(reference, planes, (image[z] for image in others.values()))
    return measuring.rows(), measuring.limits()


def measured_trees():
    """Metrics of trees of a perfect image and of bad ones, of a vessel and an airway in slices thin enough for them."""
    z, y, x = np.indices((12, 40, 80)) * np.array([0.34, 0.17, 0.17])[:, None, None, None]
    vessel, airway = (np.hypot(y - 3.4 - 0.3 * z, x - at) <= 0.8 for at in (3, 10))
    labels = np.select([vessel, airway], [LungLabel.ARTERY, LungLabel.AIRWAY_LUMEN], LungLabel.PARENCHYMA)
    real = np.select([vessel, airway], [40, -1000], -830).astype(np.float32)
    beaded = real.copy()
    beaded[4:6] = beaded[8:9] = -830
    images = {
        BASELINE: gaussian_filter(real, (0, SCALE / 2, SCALE / 2)),
        "perfect": real,
        "beaded": beaded,
        "invented": np.where(vessel[:, :, ::-1], 40, np.where(airway[:, :, ::-1], -1000, real)).astype(np.float32),
    }
    truth = Volume(real, (0.34, 0.17, 0.17))
    known = frozenset({"scan", "truth", "labels"})
    setting = Setting.of((12, 40 // SCALE, 80 // SCALE), truth, None, known=known, anatomy=get("lung"))
    measuring = Measuring(TREES, setting, images)
    for at, plane in enumerate(real):
        reference = Reference(setting, at, block_mean(plane, SCALE), plane, labels[at])
        measuring.add(reference, ((image[at], 0.17) for image in images.values()))
    return measuring.rows(), measuring.limits()


@pytest.fixture(scope="module")
def cases():
    return [*(measured(anatomy) for anatomy in names()), measured_trees()]


def of_case(cases, metric):
    """Rows and limits of the first case in which a metric has a meaning."""
    return next((rows, limits) for rows, limits in cases if metric.label in rows["perfect"])


@by_label(METRICS.values())
def test_a_perfect_image_gets_the_ideal_value_or_what_the_rule_allows(cases, metric):
    rows, limits = of_case(cases, metric)
    if metric.has_limit:
        assert rows["perfect"][metric.label] == pytest.approx(limits[metric.label], nan_ok=True)
    elif metric.ideal is not None:
        assert rows["perfect"][metric.label] == pytest.approx(metric.ideal, abs=1e-3)


@pytest.mark.slow
@by_label(METRICS.values())
def test_a_worse_image_ranks_worse(cases, metric):
    rows, limits = of_case(cases, metric)
    perfect = rows["perfect"][metric.label]
    bad = [rows[name][metric.label] for name in rows if name != "perfect"]
    assert any(metric.prefers(perfect, other, limits.get(metric.label)) for other in bad if np.isfinite(other))


@by_label(CALIBRATION)
def test_a_dishonest_uncertainty_ranks_worse_than_an_honest_one(metric):
    random = np.random.default_rng(0)
    sigma = random.uniform(10, 100, 40000)
    tissue = np.zeros(sigma.size, np.int64)
    error = random.normal(0, sigma)
    honest = metric.read(ErrorSample(error, sigma, tissue))
    if metric.ideal is not None:
        assert honest == pytest.approx(metric.ideal, abs=0.02)
    for spoilt in (0.5 * sigma, random.permutation(sigma)):
        assert not metric.prefers(metric.read(ErrorSample(error, spoilt, tissue)), honest) or metric.ideal is not None
    assert metric.prefers(honest, metric.read(ErrorSample(error, 0.3 * random.permutation(sigma), tissue)))


@by_label(EVERY)
def test_the_label_holds_the_unit_and_the_key_is_a_name_for_programs(metric):
    assert not metric.unit or f"({metric.unit})" in metric.label
    assert re.fullmatch(r"[a-z][a-z0-9_]*", metric.key)
    assert len(metric.meaning) > 10 and metric.question in QUESTIONS


def test_keys_and_labels_are_those_of_one_metric_each():
    protocols = [metric for protocol in PROTOCOLS.values() for metric in protocol.metrics]
    for name in ("key", "label"):
        assert len({getattr(one, name) for one in EVERY}) == len(EVERY)
    assert {one.key for one in protocols} | {one.key for one in CALIBRATION} == {one.key for one in EVERY}


@by_label(EVERY)
def test_the_page_of_evaluation_has_an_entry(metric):
    row = f"| {metric.label} | `{metric.key}` | {metric.unit or '–'} | {metric.better} |"
    assert row in PAGE.read_text(encoding="utf-8"), f"add to the table in docs/evaluation.md: {row}"


def test_numbers_are_fit_for_json(cases):
    for rows, limits in cases:
        json.dumps(Comparison("any", rows, {}, limits=limits).plain(), allow_nan=False)
        assert all(isinstance(value, float) for row in rows.values() for value in row.values())


def test_a_metric_is_left_out_where_what_it_needs_is_not_known():
    nothing = Setting(SCALE, 1, (0.1, 0.1), frozenset())
    assert [metric.label for metric in EVERY if metric.applies(nothing)] == [MESH.label, DECORRELATION_RESOLUTION.label]
