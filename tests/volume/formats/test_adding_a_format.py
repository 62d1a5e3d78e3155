"""The worked example of docs/adding-a-format.md, taken from the page and used as somebody's own package."""

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

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "adding-a-format.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A function that runs a Python module where the example is installed."""
    site = tmp_path_factory.mktemp("site")
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, flags=re.S)
    (toml,) = re.findall(r"```toml\n(.*?)```", PAGE, flags=re.S)
    name, target = re.search(r'(\S+) = "([^"]+)"', toml).groups()
    module = site.joinpath(*target.split(":")[0].split(".")).with_suffix(".py")
    module.parent.mkdir(parents=True)
    (module.parent / "__init__.py").touch()
    module.write_text(code, encoding="utf-8")
    record = site / "my_package-1.0.dist-info"
    record.mkdir()
    (record / "METADATA").write_text("Metadata-Version: 2.1\nName: my-package\nVersion: 1.0\n")
    (record / "entry_points.txt").write_text(f"[ctloupe.formats]\n{name} = {target}\n")
    paths = [str(site), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}

    def call(*arguments):
        command = [sys.executable, "-m", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=ROOT)

    return call


def test_the_example_keeps_the_contract_of_all_formats(run):
    done = run("pytest", "-p", "no:cacheprovider", "tests/volume/formats/test_contract.py", "-k", "labct")
    assert done.returncode == 0, done.stdout
    assert int(re.search(r"(\d+) passed", done.stdout)[1]) > 20


def test_the_command_line_reads_and_writes_the_example(run, tmp_path):
    values = np.random.default_rng(0).normal(-800, 100, (2, 20, 20)).astype(np.int16)
    scan = write(Volume(values, (0.6, 0.6, 0.6), (1.0, 2.0, 3.0), units="HU"), tmp_path / "scan.nii.gz")
    fine = tmp_path / "fine.labct"
    done = run("ctloupe.cli.main", *("enhance", scan, "-o", fine, "--model", "bicubic", "--scale", 2, "--mask", "none"))
    assert done.returncode == 0, done.stderr
    assert sorted(one.name for one in tmp_path.iterdir()) == ["fine.labct", "fine.raw", "scan.nii.gz"]
    facts = json.loads(run("ctloupe.cli.main", "inspect", fine, "--json").stdout)
    assert (facts["format"], facts["shape"], facts["units"]) == ("labct", [2, 40, 40], "HU")
    assert facts["spacing"] == pytest.approx([0.6, 0.3, 0.3])
    fine.with_suffix(".raw").write_bytes(b"")
    done = run("ctloupe.cli.main", "inspect", fine)
    assert done.returncode == 2 and "fine.raw holds 0 bytes, the header promises 6400" in done.stderr


def test_a_plug_in_that_cannot_be_imported_is_named(run, tmp_path):
    record = tmp_path / "broken-1.0.dist-info"
    record.mkdir()
    (record / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n")
    (record / "entry_points.txt").write_text("[ctloupe.formats]\nodd = nowhere.at_all:Odd\n")
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from ctloupe.volume.formats import formats; formats()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "OptionError: format 'odd' (nowhere.at_all:Odd) cannot be imported: No module named 'nowhere'" in done.stderr
