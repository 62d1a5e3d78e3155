"""A scan that is read, and its lungs found, before the large libraries are there."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ctloupe.enhance import ahead
from ctloupe.enhance.ahead import mask_of_model, scan_ahead
from ctloupe.foundation.errors import IntensityError
from ctloupe.volume.formats import write
from ctloupe.volume.volume import Volume


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    values = np.random.default_rng(0).integers(-1000, 500, (3, 8, 9)).astype(np.int16)
    write(Volume(values, (2.0, 0.6, 0.6), modality="clinical", units="HU"), tmp_path / "scan.nii.gz")
    return tmp_path / "scan.nii.gz"


def test_the_lungs_of_the_scan_are_found_once_and_by_another_thread(
    scan: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = []

    def found(asked: str, volume: Volume) -> Any:
        threads.append(threading.current_thread())
        return np.asarray(volume.data) > 0

    monkeypatch.setattr(ahead, "mask_to_enhance", found)
    with scan_ahead(scan, None, None, "auto", "lung-demo") as known:
        assert known is not None and known.path == scan
        for _ in range(2):
            np.testing.assert_array_equal(known.mask("lungs", known.scan), np.asarray(known.scan.data) > 0)
        assert len(threads) == 1 and threads[0] is not threading.current_thread()
        other = known.scan.with_data(-np.asarray(known.scan.data))
        np.testing.assert_array_equal(known.mask("lungs", other), np.asarray(other.data) > 0)


def test_that_there_are_no_lungs_is_told_when_they_are_asked_for(tmp_path: Path) -> None:
    scan = tmp_path / "stone.nii.gz"
    write(Volume(np.full((3, 8, 9), 900, np.int16), (2.0, 0.6, 0.6), modality="clinical", units="HU"), scan)
    with scan_ahead(scan, None, None, "lungs", "bicubic") as known:
        assert known is not None
        with pytest.raises(IntensityError, match="no lung found"):
            known.mask("lungs", known.scan)
        assert known.mask("none", known.scan) is None


@pytest.mark.parametrize(("mask", "model"), [("none", "lung-demo"), ("auto", "bicubic"), ("box", "lung-demo")])
def test_nothing_is_done_ahead_where_no_lungs_are_asked_for(scan: Path, mask: str, model: str) -> None:
    with scan_ahead(scan, None, None, mask, model) as known:
        assert known is None


def test_a_scan_that_cannot_be_read_is_left_to_who_asks_for_it(tmp_path: Path) -> None:
    damaged = tmp_path / "scan.nii.gz"
    damaged.write_bytes(b"no scan")
    with scan_ahead(damaged, None, None, "lungs", "lung-demo") as known:
        assert known is None


def test_the_kind_of_mask_is_that_of_the_models_description(tmp_path: Path) -> None:
    assert mask_of_model("lung-demo") == "lungs"
    assert mask_of_model("no-such-model") is None
    (tmp_path / "model.json").write_text('{"mask": "specimen", "method": "x"}')
    assert mask_of_model(tmp_path) == "specimen"
    (tmp_path / "model.json").write_text("{")
    assert mask_of_model(tmp_path) is None


def test_nothing_of_it_imports_torch() -> None:
    code = "import ctloupe.enhance.ahead, ctloupe.prepare.lungs, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
