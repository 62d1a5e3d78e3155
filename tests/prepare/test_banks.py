"""From scans on disk to banks and overlays."""

import json
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from ctloupe.foundation.errors import CtLoupeError, FileError, GeometryError, IntensityError, OptionError
from ctloupe.phantom.config import PhantomConfig
from ctloupe.phantom.phantom import make_phantom
from ctloupe.prepare.banks import MIN_MAX, BankRequest, WindowRequest, prepare_banks
from ctloupe.prepare.patches import PatchBank
from ctloupe.volume.formats import read, write
from ctloupe.volume.volume import Volume


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scans")
    case = make_phantom("lung", (16, 160, 160), 1, PhantomConfig(scale=4, slices=4))
    return write(case.clinical, folder / "clinical.nii.gz"), write(case.micro, folder / "micro.nii.gz")


def request_for(scans, **changes):
    values = {"clinical": (scans[0],), "micro": (scans[1],), "scale": 4, "patch_size": 16, "per_case": 20}
    return BankRequest(**(values | changes))


@pytest.mark.slow
def test_banks_and_overlays_appear_together(scans, tmp_path):
    said = []
    prepare_banks(request_for(scans), tmp_path / "bank", said.append)
    clinical, micro = (PatchBank.load(tmp_path / "bank" / f"{name}.bank") for name in ("clinical", "micro"))
    assert clinical.patches.shape == (20, 16, 16)
    assert micro.patches.shape == (20, 64, 64)
    assert clinical.spacing == pytest.approx((0.3125, 0.3125))
    for name in ("clinical-01.png", "micro-01.png"):
        assert np.asarray(Image.open(tmp_path / "bank" / "overlays" / name).convert("L")).std() > 5
    assert not any("warning" in line for line in said)


def test_a_folder_of_scans_stands_for_the_scans_in_it(scans, tmp_path):
    for number in (1, 2):
        (tmp_path / "cohort").mkdir(exist_ok=True)
        shutil.copy(scans[0], tmp_path / "cohort" / f"case-{number}.nii.gz")
    prepare_banks(request_for(scans, clinical=(tmp_path / "cohort",)), tmp_path / "bank")
    bank = PatchBank.load(tmp_path / "bank" / "clinical.bank")
    assert [one["name"] for one in bank.provenance] == ["case-1.nii.gz", "case-2.nii.gz"]


def test_voxels_of_unlike_size_are_warned_about(scans, tmp_path):
    said = []
    prepare_banks(request_for(scans, scale=2), tmp_path / "bank", said.append)
    assert any("warning" in line and "divided by 2" in line for line in said)


@pytest.mark.slow
def test_a_window_in_percentiles_brings_unlike_volumes_to_one_scale(scans, tmp_path):
    micro = read(scans[1])
    other = write(micro.with_data((micro.array() // 10).astype(np.int16)), tmp_path / "dim.nii.gz")
    asked = request_for(
        scans, micro=(scans[1], other), micro_window=WindowRequest(1.0, 99.0, "percentiles"), micro_mask="none"
    )
    prepare_banks(asked, tmp_path / "bank")
    bank = PatchBank.load(tmp_path / "bank" / "micro.bank")
    first, second = bank.patches[:20].mean(), bank.patches[20:].mean()
    assert second == pytest.approx(first, rel=0.15)
    assert "taken as" in bank.provenance[1]["history"][-1]


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"patch_size": 200}, "no patch"),
        ({"scale": 3}, "`scale`"),
        ({"per_case": 0}, "`per_case`"),
        ({"clinical_window": WindowRequest(1.0, 99.0, "percentiles")}, "HU"),
    ],
)
def test_a_request_that_cannot_be_met_leaves_nothing(scans, tmp_path, changes, word):
    with pytest.raises(CtLoupeError, match=word):
        prepare_banks(request_for(scans, **changes), tmp_path / "bank")
    assert list(tmp_path.iterdir()) == []


def test_a_mask_file_says_where_patches_come_from(scans, tmp_path):
    clinical = read(scans[0])
    given = np.zeros(clinical.shape, np.uint8)
    given[1, 10:27, 20:37] = 1
    mask = write(clinical.with_data(given), tmp_path / "mask.nii.gz")
    prepare_banks(request_for(scans, clinical_mask=str(mask)), tmp_path / "bank")
    bank = PatchBank.load(tmp_path / "bank" / "clinical.bank")
    assert bank.provenance[0]["places"] == 4
    assert np.isin(bank.patches, clinical.array()[1, 10:27, 20:37]).all()


def test_a_mask_that_leaves_out_everything_leaves_nothing_behind(scans, tmp_path):
    clinical = read(scans[0])
    mask = write(clinical.with_data(np.zeros(clinical.shape, np.uint8)), tmp_path / "mask.nii.gz")
    with pytest.raises(IntensityError, match=r"clinical\.nii\.gz: no patch"):
        prepare_banks(request_for(scans, clinical_mask=str(mask)), tmp_path / "bank")
    assert list(tmp_path.iterdir()) == [mask]


@pytest.mark.slow
def test_banks_that_exist_are_kept_unless_they_may_be_replaced(scans, tmp_path):
    prepare_banks(request_for(scans, seed=1), tmp_path / "bank")
    kept = (tmp_path / "bank" / "clinical.bank" / "patches.npy").read_bytes()
    with pytest.raises(FileError, match="overwrite"):
        prepare_banks(request_for(scans, seed=2), tmp_path / "bank")
    assert (tmp_path / "bank" / "clinical.bank" / "patches.npy").read_bytes() == kept
    prepare_banks(request_for(scans, seed=2), tmp_path / "bank", overwrite=True)
    assert (tmp_path / "bank" / "clinical.bank" / "patches.npy").read_bytes() != kept


def test_a_mask_file_must_lie_on_the_grid_and_go_with_one_volume(scans, tmp_path):
    other = write(Volume(np.ones((2, 3, 4), np.uint8), (1, 1, 1)), tmp_path / "mask.nii.gz")
    with pytest.raises(GeometryError, match="grid"):
        prepare_banks(request_for(scans, clinical_mask=str(other)), tmp_path / "bank")
    with pytest.raises(OptionError, match="single volume"):
        prepare_banks(request_for(scans, micro=(scans[1], scans[1]), micro_mask=str(other)), tmp_path / "bank")


def test_volumes_of_one_modality_must_share_their_spacing(scans, tmp_path):
    coarse = write(Volume(np.full((2, 40, 40), -850, np.int16), (1, 0.9, 0.9)), tmp_path / "coarse.nii.gz")
    with pytest.raises(GeometryError, match=r"coarse\.nii\.gz"):
        prepare_banks(request_for(scans, clinical=(scans[0], coarse), clinical_mask="none"), tmp_path / "bank")


@pytest.mark.slow
def test_micro_patches_are_also_kept_as_thick_as_a_clinical_slice(scans, tmp_path):
    prepare_banks(request_for(scans, per_case=5), tmp_path / "bank")
    micro = PatchBank.load(tmp_path / "bank" / "micro.bank")
    assert micro.slice_averages.shape == micro.patches.shape
    assert micro.provenance[0]["thickness_mm"] == pytest.approx(4 * 0.078125)
    assert micro.slice_averages.std() < micro.patches.std()
    prepare_banks(request_for(scans, per_case=5, slice_averages=False), tmp_path / "thin")
    assert PatchBank.load(tmp_path / "thin" / "micro.bank").slice_averages is None
    assert PatchBank.load(tmp_path / "bank" / "clinical.bank").slice_averages is None


def test_the_preparation_of_isbi_2021_boxes_z_scores_and_a_grid(scans, tmp_path):
    said = []
    asked = request_for(
        scans,
        clinical_mask="box",
        micro_mask="box",
        clinical_window=WindowRequest(0, 3, "zscore"),
        micro_window=WindowRequest(0, 3, "zscore"),
        stride=32,
        per_case=1000,
    )
    prepare_banks(asked, tmp_path / "bank", said.append)
    clinical, micro = (PatchBank.load(tmp_path / "bank" / f"{name}.bank") for name in ("clinical", "micro"))
    values = read(scans[0]).array()
    assert clinical.window.low == pytest.approx(values.mean() - 3 * values.std(), rel=0.15)
    assert any("z-score" in line for line in said)
    assert micro.unit().mean() == pytest.approx(0, abs=0.1)
    assert clinical.provenance[0]["places"] == len(clinical) and micro.provenance[0]["places"] == len(micro)


def test_a_stride_must_fit_both_grids(scans, tmp_path):
    with pytest.raises(OptionError, match="multiple of the scale"):
        prepare_banks(request_for(scans, stride=6), tmp_path / "bank")


@pytest.mark.slow
def test_the_kind_of_mask_is_kept_with_the_bank(scans, tmp_path):
    prepare_banks(request_for(scans, clinical_mask="box", micro_mask="none", per_case=2), tmp_path / "box")
    kinds = [PatchBank.load(tmp_path / "box" / f"{name}.bank").mask for name in ("clinical", "micro")]
    assert kinds == ["box", "none"]
    clinical = read(scans[0])
    file = write(clinical.with_data(np.ones(clinical.shape, np.uint8)), tmp_path / "mask.nii.gz")
    prepare_banks(request_for(scans, clinical_mask=str(file), per_case=2), tmp_path / "own")
    assert PatchBank.load(tmp_path / "own" / "clinical.bank").mask == "file"
    # Banks of before do not say.
    file = tmp_path / "own" / "clinical.bank" / "bank.json"
    record = json.loads(file.read_text())
    del record["mask"]
    file.write_text(json.dumps(record))
    assert PatchBank.load(tmp_path / "own" / "clinical.bank").mask is None


def test_what_a_file_left_open_is_said_before_patches_are_cut(tmp_path):
    clinical = Volume(np.random.default_rng(0).integers(-900, 100, (2, 12, 12)).astype(np.int16), (1.0, 0.4, 0.4))
    paths = [write(clinical, tmp_path / f"{name}.mha") for name in ("clinical", "micro")]
    paths[1].write_bytes(re.sub(rb"Offset = [^\n]*\n", b"", paths[1].read_bytes()))
    request = BankRequest(
        *((path,) for path in paths), scale=2, patch_size=4, per_case=2, clinical_mask="none", micro_mask="none"
    )
    said = []
    prepare_banks(request, tmp_path / "bank", said.append)
    assert "warning: micro.mha: no origin in the header, taken as zero" in said
    assert not [line for line in said if line.startswith("warning: clinical.mha")]


def test_volumes_of_unlike_voxels_are_refused_or_brought_to_one_spacing(scans, tmp_path):
    micro = read(scans[1])
    values = np.asarray(micro.data)[:4, :120, :120]
    write(Volume(values, micro.spacing), tmp_path / "fine.nii.gz")
    coarse = micro.spacing[1] * 1.25
    write(Volume(values, (micro.spacing[0], coarse, coarse)), tmp_path / "coarse.nii.gz")
    asked = request_for(
        scans, micro=(tmp_path / "fine.nii.gz", tmp_path / "coarse.nii.gz"), micro_mask="none", clinical_mask="none"
    )
    with pytest.raises(GeometryError, match=r"micro volumes differ in in-plane spacing .*give `resample`"):
        prepare_banks(asked, tmp_path / "bank")
    target = micro.spacing[1], micro.spacing[2]
    prepare_banks(replace(asked, micro_spacing=target), tmp_path / "bank")
    bank = PatchBank.load(tmp_path / "bank" / "micro.bank")
    assert bank.spacing == pytest.approx(target) and len(bank.patches) == 40
    with pytest.raises(OptionError, match=r"`micro_mask` .* cannot go with `resample` micro"):
        prepare_banks(
            replace(asked, micro_spacing=target, micro=asked.micro[:1], micro_mask=str(scans[1])), tmp_path / "other"
        )


def test_min_max_scales_volumes_of_unlike_hu_alike(scans, tmp_path):
    clinical = read(scans[0])
    other = write(
        clinical.with_data((clinical.array().astype(int) * 2 + 300).astype(np.int16)), tmp_path / "two.nii.gz"
    )
    said = []
    asked = request_for(scans, clinical=(scans[0], other), clinical_mask="none", micro_mask="none")
    prepare_banks(replace(asked, clinical_window=MIN_MAX, stride=16, per_case=500), tmp_path / "bank", said.append)
    clinical_bank, micro = (PatchBank.load(tmp_path / "bank" / f"{name}.bank") for name in ("clinical", "micro"))
    first, second = np.split(clinical_bank.patches.astype(int), 2)
    assert np.abs(first - second).max() <= 1
    assert (clinical_bank.scaling, micro.scaling) == ("min-max", "fixed")
    low, high = clinical.array().min(), clinical.array().max()
    assert f"clinical.nii.gz: values scaled by their own range of {low} … {high}" in said
    assert len(list((tmp_path / "bank" / "overlays").glob("clinical-*.png"))) == 2
