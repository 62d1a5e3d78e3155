"""Volumes of a bank, however they are stored and whoever does the work."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from chunked_store import rechunked
from ctloupe.foundation.errors import OptionError
from ctloupe.prepare.banks import BankRequest, WindowRequest, prepare_banks
from ctloupe.prepare.patches import PatchBank
from ctloupe.volume.formats import read, write
from ctloupe.volume.formats.ome_zarr.writer import OmeZarrWriter
from ctloupe.volume.volume import Volume


def noise(shape, spacing, seed, modality):
    values = np.random.default_rng(seed).integers(-900, 2000, shape).astype(np.int16)
    return Volume(values, spacing, modality=modality, units="HU" if modality == "clinical" else "raw")


def request_for(clinical, micro, **changes):
    values = {
        **{"clinical": (clinical,), "micro": (micro,), "scale": 2, "patch_size": 8, "per_case": 10},
        **{"clinical_mask": "none", "micro_mask": "none"},
    }
    return BankRequest(**(values | changes))


def files(folder):
    return {path.relative_to(folder): path.read_bytes() for path in sorted(Path(folder).rglob("*")) if path.is_file()}


def arrays(folder):
    return {name: content for name, content in files(folder).items() if name.suffix == ".npy"}


@pytest.fixture
def scans(tmp_path):
    clinical = noise((3, 32, 32), (0.5, 0.2, 0.2), 0, "clinical")
    micro = noise((9, 48, 40), (0.1, 0.1, 0.1), 1, "micro")
    return write(clinical, tmp_path / "clinical.nii.gz"), write(micro, tmp_path / "micro.ome.zarr")


@pytest.mark.parametrize("changes", [{}, {"neighbours": True, "micro_window": WindowRequest(0, 0, "min-max")}])
def test_the_shape_of_the_chunks_changes_no_byte(scans, tmp_path, changes):
    clinical, micro = scans
    (tmp_path / "cubes").mkdir()
    cubes = rechunked(read(micro), tmp_path / "cubes" / "micro.ome.zarr", (4, 16, 16))
    for name, path in (("first", micro), ("second", cubes)):
        prepare_banks(request_for(clinical, path, **changes), tmp_path / name)
    assert arrays(tmp_path / "first") == arrays(tmp_path / "second")


@pytest.mark.slow
def test_the_number_of_processes_changes_no_byte_and_no_line(scans, tmp_path):
    clinical, micro = scans
    other = write(noise((5, 40, 48), (0.1, 0.1, 0.1), 2, "micro"), tmp_path / "other.nii.gz")
    said = {}
    for processes in (1, 2):
        said[processes] = []
        asked = replace(request_for(clinical, micro), micro=(micro, other), processes=processes)
        prepare_banks(asked, tmp_path / f"bank-{processes}", said[processes].append)
    assert files(tmp_path / "bank-1") == files(tmp_path / "bank-2")
    assert said[1] == said[2]


def test_less_than_one_process_is_refused(scans, tmp_path):
    with pytest.raises(OptionError, match="`processes` 0"):
        prepare_banks(request_for(*scans, processes=0), tmp_path / "bank")


def pyramid(path, spacing=(0.05, 0.05, 0.05)):
    values = noise((4, 128, 128), spacing, 3, "micro")
    with OmeZarrWriter.like(values, path, np.int16, levels=2) as writer:
        writer.write(0, values.array())
    return path


@pytest.mark.parametrize(
    ("wanted", "level"),
    [(0.06, None), (0.1, 1), (0.15, 1), (0.3, 2)],
)
def test_of_a_pyramid_the_coarsest_level_that_is_no_coarser_than_wanted_is_read(scans, tmp_path, wanted, level):
    clinical, _ = scans
    micro = pyramid(tmp_path / "pyramid.ome.zarr")
    said = []
    asked = request_for(clinical, micro, patch_size=4, micro_spacing=(wanted, wanted))
    prepare_banks(asked, tmp_path / "bank", said.append)
    told = [line for line in said if "coarser copy" in line]
    assert told == (
        []
        if level is None
        else [f"pyramid.ome.zarr: its coarser copy of 0.05×{'×'.join([f'{0.05 * 2**level:.4g}'] * 2)} mm is read"]
    )
    bank = PatchBank.load(tmp_path / "bank" / "micro.bank")
    assert bank.spacing == pytest.approx((wanted, wanted))


def test_a_pyramid_gives_the_bytes_of_its_finest_level_where_no_coarser_one_is_wanted(scans, tmp_path):
    clinical, _ = scans
    with_levels = pyramid(tmp_path / "levels.ome.zarr")
    (tmp_path / "plain").mkdir()
    plain = write(read(with_levels), tmp_path / "plain" / "micro.ome.zarr")
    for name, path in (("first", with_levels), ("second", plain)):
        prepare_banks(request_for(clinical, path, micro_spacing=(0.06, 0.06)), tmp_path / name)
    assert arrays(tmp_path / "first") == arrays(tmp_path / "second")


class Heard:
    def __init__(self):
        self.done, self.total, self.closed = [], 0.0, False

    def start(self, what, total):
        self.total = total

    def update(self, done, note=""):
        self.done.append(done)

    def close(self):
        self.closed = True


def test_progress_rises_within_a_volume_to_the_number_of_volumes(scans, tmp_path):
    heard = Heard()
    prepare_banks(request_for(*scans), tmp_path / "bank", progress=heard)
    assert heard.total == heard.done[-1] == 2 and heard.closed
    assert heard.done == sorted(heard.done)
    assert len({done for done in heard.done if 1 < done < 2}) > 3
