"""What speaks against a model on a scan is said."""

from dataclasses import replace

import numpy as np

from ctloupe.enhance.resolver import load_model
from ctloupe.evaluate.warnings import warnings_for
from ctloupe.volume.volume import Volume


def scan(spacing=0.6, low=-1000, high=400):
    values = np.random.default_rng(0).normal(-800, 100, (3, 40, 40)).clip(low, high)
    return Volume(values.astype(np.int16), (spacing,) * 3, modality="clinical", units="HU")


def test_a_scan_like_the_training_data_has_none(tiny_model):
    assert warnings_for(scan(), None, load_model(tiny_model)) == ()


def test_spacing_window_and_likeness_are_told_apart(tiny_model):
    model = load_model(tiny_model)
    assert any("spacing" in line for line in warnings_for(scan(0.9), None, model))
    bright = scan().with_data(scan().array() + 1400)
    said = " ".join(warnings_for(bright, None, model))
    assert "lie outside the model's -1000 … 500 HU" in said and "unlike the training data" in said
    # Only what is inside the mask counts.
    mask = np.zeros(bright.shape, bool)
    mask[:, :20] = True
    half = scan().array().copy()
    half[:, 20:] += 1400
    assert warnings_for(scan().with_data(half), mask, model) == ()


def test_an_interpolation_has_no_training_to_be_unlike():
    assert warnings_for(scan(0.9), None, load_model("bicubic", 4)) == ()
    assert load_model("bicubic", 4).unlikeness(scan(), None) is None


def test_enhancing_tells_the_score(tiny_model, tmp_path):
    said = []
    load_model(tiny_model).enhance_to(scan(), tmp_path / "fine.nii.gz", tell=said.append)
    assert any(line.startswith("likeness: the scan is like") for line in said)
    strange = replace(scan(), data=np.full((3, 40, 40), 40, np.int16))
    load_model(tiny_model).enhance_to(strange, tmp_path / "strange.nii.gz", tell=said.append)
    assert any(line.startswith("warning: the scan is unlike the training data") for line in said)
