"""The worked example of docs/adding-an-organ.md, taken from the page and used as somebody's own package."""

import json

import numpy as np
import pytest

from ctloupe.volume.formats import read
from example_package import commands, installed

pytestmark = pytest.mark.slow

PAGE = "adding-an-organ.md"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where the commands of the page were run with the example installed."""
    folder = tmp_path_factory.mktemp("kidney")
    ctloupe = installed(PAGE, tmp_path_factory.mktemp("site"))
    for command in commands(PAGE):
        ctloupe(*command, folder=folder)
    return folder


def test_the_organ_is_made_with_its_own_option_and_scanned_twice(folder):
    record = json.loads((folder / "kidney" / "phantom.json").read_text(encoding="utf-8"))
    assert record["config"]["tufts_per_mm3"] == 8 and record["config"]["spacing"] == 0.02
    assert record["statistics"]["tufts"] > 0
    volumes = {part: read(folder / "kidney" / f"{part}.nii.gz") for part in ("clinical", "micro", "truth", "labels")}
    assert volumes["clinical"].shape == (2, 20, 20) and volumes["micro"].shape == (16, 160, 160)
    assert set(np.unique(volumes["labels"].array())) == {31, 32}


def test_evaluation_finds_its_structures_and_names_its_tissues(folder):
    found = json.loads((folder / "judged" / "metrics.json").read_text(encoding="utf-8"))
    assert (
        found["limits"]["tuft Dice"] > 0.9
        and 0 <= found["rows"]["enhanced"]["tuft Dice"] < found["limits"]["tuft Dice"]
    )
    assert any(rule.startswith("tuft: ") for rule in found["facts"]["rules"])
    page = (folder / "judged" / "report.html").read_text(encoding="utf-8")
    assert "glomerular tuft" in page and "walls found" not in found["rows"]["enhanced"]
