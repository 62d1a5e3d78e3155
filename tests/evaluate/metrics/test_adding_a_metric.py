"""The worked example of docs/adding-a-metric.md, taken from the page and used as somebody's own package."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ctloupe.volume.formats import write
from ctloupe.volume.volume import Volume

PAGE = Path(__file__).resolve().parents[3] / "docs" / "adding-a-metric.md"
LABEL = "low density bias (%)"


RUN_ALL = """
import json, sys
from ctloupe.cli.main import main
for arguments in json.loads(sys.argv[1]):
    sys.argv = ["ctloupe", *arguments]
    try:
        main()
    except SystemExit as stop:
        assert not stop.code
    print("=====")
"""


@pytest.fixture
def ctloupe(tmp_path):
    """A function that runs commands where the example is installed, and returns what each of them printed."""
    text = PAGE.read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", text, flags=re.S)
    (toml,) = re.findall(r"```toml\n(.*?)```", text, flags=re.S)
    name, target = re.search(r'(\S+) = "([^"]+)"', toml).groups()
    module = tmp_path.joinpath("site", *target.split(":")[0].split(".")).with_suffix(".py")
    module.parent.mkdir(parents=True)
    (module.parent / "__init__.py").touch()
    module.write_text(code, encoding="utf-8")
    record = tmp_path / "site" / "my_package-1.0.dist-info"
    record.mkdir()
    (record / "METADATA").write_text("Metadata-Version: 2.1\nName: my-package\nVersion: 1.0\n")
    (record / "entry_points.txt").write_text(f"[ctloupe.metrics]\n{name} = {target}\n")
    paths = os.pathsep.join([str(tmp_path / "site"), os.environ.get("PYTHONPATH", "")])

    def run(*commands):
        given = json.dumps([list(map(str, command)) for command in commands])
        environment = os.environ | {"PYTHONPATH": paths}
        done = subprocess.run([sys.executable, "-c", RUN_ALL, given], capture_output=True, text=True, env=environment)
        assert done.returncode == 0, done.stderr
        return done.stdout.split("=====\n")[: len(commands)]

    return run


@pytest.mark.slow
def test_the_example_stands_in_record_table_words_and_leaderboard(ctloupe, tmp_path):
    random = np.random.default_rng(0)
    truth = random.normal(-900, 60, (2, 40, 40)).astype(np.int16)
    dark = np.where(random.random(truth.shape) < 0.25, -1000, truth).astype(np.int16)
    scan = truth.reshape(2, 20, 2, 20, 2).mean((2, 4)).astype(np.int16)
    origin = (-0.25, -0.25, 0.0)
    write(Volume(scan, (1.0, 1.0, 1.0), units="HU"), tmp_path / "scan.nii.gz")
    for name, values in (("truth", truth), ("dark", dark)):
        write(Volume(values, (1.0, 0.5, 0.5), origin=origin, units="HU"), tmp_path / f"{name}.nii.gz")
    given = ("--input", tmp_path / "scan.nii.gz", "--truth", tmp_path / "truth.nii.gz")
    outputs = [text for name in ("dark", "truth") for text in ("--output", tmp_path / f"{name}.nii.gz")]
    said, board = ctloupe(
        ["evaluate", *given, *outputs, "--out", tmp_path / "out"], ["compare", tmp_path / "out" / "metrics.json"]
    )
    assert LABEL in said
    found = json.loads((tmp_path / "out" / "metrics.json").read_text())
    expected = 100 * (np.mean(dark < -950) - np.mean(truth < -950))
    assert found["rows"]["dark"][LABEL] == pytest.approx(expected) and expected > 15
    assert found["rows"]["truth"][LABEL] == 0 and found["better"][LABEL] == "near 0"
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert re.search(r"Right value at the right voxel: [^<]*low density bias \(%\)", page)
    assert LABEL in board.split("### Right value at the right voxel")[1].split("###")[0]
