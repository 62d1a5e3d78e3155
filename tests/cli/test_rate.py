"""`ctloupe rate design` with volumes: pictures on disk, and refusals in one line with the command line's flags."""

import sys

import numpy as np
import pytest
from PIL import Image

from ctloupe.cli.main import main
from ctloupe.volume.formats import write
from ctloupe.volume.geometry import refined_grid
from ctloupe.volume.volume import Volume

DESIGN = ["rate", "design", "--experiment", "isbi", "--input", "scan.nii.gz"]
VOLUMES = ["--output", "plain=plain.nii.gz", "--output", "ours=ours.nii.gz"]
SMALL = ["--mask", "none", "--side", "4", "--patches", "2", "--rater", "r", "--repeats", "1", "--seed", "5"]


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A working folder with a scan and two volumes that are twice as fine."""
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    values = random.normal(-800, 100, (3, 11, 13)).round().astype(np.int16)
    scan = Volume(values, (2.0, 0.6, 0.6), (3.0, -4.0, 5.0), modality="clinical", units="HU")
    spacing, origin = refined_grid(scan.spacing, scan.origin, scan.direction, 2)
    write(scan, tmp_path / "scan.nii.gz")
    for name in ("plain", "ours"):
        fine = random.normal(-800, 150, (3, 22, 26)).round().astype(np.int16)
        write(Volume(fine, spacing, origin, modality="clinical", units="HU"), tmp_path / f"{name}.nii.gz")
    return tmp_path


def refused(monkeypatch, capsys, *arguments):
    """The one line that a command which exits with 2 writes."""
    monkeypatch.setattr(sys, "argv", ["ctloupe", *arguments])
    with pytest.raises(SystemExit) as stop:
        main()
    said = capsys.readouterr().err
    assert stop.value.code == 2 and said.count("\n") == 1
    return said


def test_the_command_writes_sheets_instructions_and_a_picture_for_every_item(place, ctloupe):
    told = ctloupe(*DESIGN, *VOLUMES, *SMALL, "--window", "-1000,200", "--out", "study")
    pictures = list((place / "study" / "pictures-r").iterdir())
    assert len(pictures) == 2 * 2 + 1 and {Image.open(one).mode for one in pictures} == {"L"}
    names = {"design.yaml", "key.csv", "ratings-r.csv", "pictures-r", "instructions.txt"}
    assert (
        {path.name for path in (place / "study").iterdir()} == names == {line.split("/")[-1] for line in told.split()}
    )
    assert "six is excellent" in (place / "study" / "instructions.txt").read_text()


def test_marks_of_an_experiment_are_analysed_as_those_of_any_design(place, ctloupe):
    ctloupe(*DESIGN, *VOLUMES, *SMALL, "--out", "study")
    told = ctloupe("rate", "analyse", "study", "study/ratings-r.csv", "--out", "results")
    assert "## good resolution and low noise level (1 to 6)" in told


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([*DESIGN, "--out", "study"], "--input and --output belong together"),
        ([*DESIGN, *VOLUMES[:2], "--out", "study"], "--output: give the volumes of at least two methods"),
        ([*DESIGN, *VOLUMES, *VOLUMES[:2], "--out", "study"], "--output: two volumes have one name"),
        ([*DESIGN, *VOLUMES, *SMALL, "--at", "1,5", "--out", "study"], "--at 1,5: expected 3 numbers"),
        ([*DESIGN, *VOLUMES, *SMALL, "--side", "12", "--out", "study"], "--patches 2: only 0 of 12×12 voxels"),
        ([*DESIGN, *VOLUMES, *SMALL, "--rater", "a/b", "--out", "study"], "--experiment isbi"),
        (["rate", "design", "--out", "study"], "give either the file of a DESIGN, or an --experiment"),
        ([*DESIGN, *VOLUMES, "--output", "third=scan.nii.gz", *SMALL, "--out", "study"], "third: shape (3, 11, 13)"),
        ([*DESIGN, *VOLUMES, *SMALL, "--out", ".", "--overwrite"], "an input is never replaced"),
    ],
)
def test_what_is_refused_is_said_in_one_line_with_flags(place, monkeypatch, capsys, arguments, said):
    before = sorted(path.name for path in place.iterdir())
    assert said in refused(monkeypatch, capsys, *arguments)
    assert sorted(path.name for path in place.iterdir()) == before
