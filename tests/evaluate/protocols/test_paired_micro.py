"""Paired µCT: the truth agrees with the scan of the known scanner, and bad enhancers are found out."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from ctloupe.evaluate.case_scanner import known_scanner
from ctloupe.evaluate.protocols.paired_micro import compare_with_micro, read_scanner
from ctloupe.evaluate.request import EvaluateRequest, evaluate_files
from ctloupe.evaluate.suite.controls import control_rows
from ctloupe.foundation.errors import FileError, GeometryError, OptionError
from ctloupe.phantom.clinical_slices import truth_on_clinical_slices
from ctloupe.phantom.paired_micro import PairedMicroRequest, pair_micro
from ctloupe.volume.formats import read, write
from ctloupe.volume.volume import Volume


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A µCT of sharp blobs, the pair made of it, and the truth on the slices of the scan."""
    place = tmp_path_factory.mktemp("pair")
    blobs = gaussian_filter(np.random.default_rng(0).normal(size=(8, 96, 96)), 2.0) > 0
    values = np.where(blobs, 9000, 3000) + np.random.default_rng(1).normal(0, 300, blobs.shape)
    write(Volume(values.astype(np.int16), (0.05, 0.05, 0.05), modality="micro"), place / "micro.nii.gz")
    made = pair_micro(PairedMicroRequest(place / "micro.nii.gz", 3, 4, 4))
    made.write(place)
    slab = truth_on_clinical_slices(made.truth, made.clinical, "slab")
    write(slab.with_data(np.rint(slab.array()).astype(np.int16)), place / "slab.nii.gz")
    return place


def asked(folder, **changes):
    given = {
        "input": folder / "clinical.nii.gz",
        "output": (("slab", folder / "slab.nii.gz"),),
        "truth": folder / "truth.nii.gz",
        "protocol": "paired-micro",
        "scanner": folder / "paired-micro.json",
    }
    return EvaluateRequest(**given | changes)


def test_by_the_recorded_scanner_the_truth_agrees_with_the_scan_and_the_record_says_who_scanned(folder):
    scan, truth, slab = (read(folder / f"{name}.nii.gz") for name in ("clinical", "truth", "slab"))
    plane, thick = truth_on_clinical_slices(truth, scan), truth_on_clinical_slices(truth, scan, "slab")
    scanner = read_scanner(folder / "paired-micro.json", scan)
    found = compare_with_micro(scan, {"slab": slab}, plane, known_scanner(scanner), thick_truth=thick)
    assert found.protocol == "paired-micro, version 1" and list(found.rows) == ["bicubic", "slab"]
    assert found.limits["consistency χ²"] == pytest.approx(1, abs=0.2)
    assert found.rows["slab"]["consistency χ²"] == pytest.approx(found.limits["consistency χ²"], abs=0.05)
    assert found.facts["scanner"]["blur_mm"] == pytest.approx(scanner.blur, abs=1e-4)
    assert found.facts["scanner"]["noise_hu"] == pytest.approx(scanner.noise, rel=0.05)
    assert "record" in found.facts["scanner"]["found_from"] and set(found.data) == {"scan", "truth"}


def test_bad_enhancers_are_worse_where_they_are_bad(folder):
    made = pair_micro(PairedMicroRequest(folder / "micro.nii.gz", 3, 4, 4))
    slab, plane = (truth_on_clinical_slices(made.truth, made.clinical, mode) for mode in ("slab", "centre"))
    slab = slab.with_data(slab.array())
    bad = control_rows(slab, 4)
    found = compare_with_micro(made.clinical, bad, plane, known_scanner(made.scanner), thick_truth=slab)
    limit = found.limits["consistency χ²"]
    for name in ("half a scan voxel off", "texture in the wrong place"):
        assert found.rows[name]["consistency χ²"] > 1.5 * limit
    assert found.rows["blurred"]["spectrum distance (dB)"] > 5 * found.rows["noisy"]["spectrum distance (dB)"]
    assert found.rows["meshed"]["mesh (dB)"] > found.limits["mesh (dB)"] + 2


def test_another_scanner_than_the_scans_gives_another_number(folder):
    made = pair_micro(PairedMicroRequest(folder / "micro.nii.gz", 3, 4, 4))
    other = pair_micro(PairedMicroRequest(folder / "micro.nii.gz", 8, 4, 4)).scanner
    plane = truth_on_clinical_slices(made.truth, made.clinical)
    wrong = compare_with_micro(made.clinical, {"truth": plane}, plane, known_scanner(other))
    assert abs(np.log(wrong.rows["truth"]["consistency χ²"])) > 0.5


@pytest.mark.parametrize(
    ("changes", "kind", "message"),
    [
        ({"scanner": None}, OptionError, "belong together"),
        ({"protocol": "auto"}, OptionError, "belong together"),
        ({"truth": None}, OptionError, "needs `truth`"),
        ({"labels": "truth.nii.gz"}, OptionError, "has no `labels`"),
        ({"scanner": "clinical.nii.gz"}, FileError, "not a valid record of a scanner"),
        ({"input": "slab.nii.gz"}, GeometryError, "did not make this scan"),
    ],
)
def test_what_does_not_belong_together_is_refused(folder, changes, kind, message):
    there = {key: folder / one if isinstance(one, str) and key != "protocol" else one for key, one in changes.items()}
    with pytest.raises(kind, match=message):
        evaluate_files(asked(folder, **there))
