"""Every `ctloupe` command in the bash blocks of README and docs runs, on small data.

Commands are executed as they stand, in the order of the page, in a folder that holds the files they name. Only sizes
and durations are made smaller, by the table `SMALLER`, and the pages of the methods draw no preview beside what they
enhance.
"""

import json
import re
import shlex
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from ctloupe.cli.main import main
from ctloupe.foundation.location import location
from ctloupe.phantom.config import PhantomConfig
from ctloupe.phantom.phantom import make_phantom
from ctloupe.volume.formats import write
from ctloupe.volume.volume import Volume
from remote_servers import can_serve_s3, s3_server, upload

ROOT = Path(__file__).resolve().parents[2]
METHODS = ROOT / "docs" / "methods"
PAGES = [ROOT / "README.md", *sorted(METHODS.glob("*.md"))]
PAGES += [page for page in sorted((ROOT / "docs").rglob("*.md")) if page.parent != METHODS]
"""The methods' pages come before those that use their models."""

SMALLER = {
    "--size 64 512 512": "--size 16 128 128",
    "--preset paper": "--preset tiny",
    "--preset jmi2022": "--preset tiny",
    "--minutes 10": "--steps 1 --set batch_size=1 --set patch_size=16",
    "--minutes 20": "--steps 2",
    "--set batch_size=4 --out": "--set batch_size=1 --out",
    "--steps 100000": "--steps 1 --set patch_size=16 --set width=8 --set blocks=1 "
    "--set shrinking_width=8 --set shrinking_blocks=1",
    "--to torchscript": "--to torchscript --flat-field off",
    "--samples 4": "--samples 2",
    "--model runs/physics-flow/model --": "--model runs/physics-flow/model --flat-field off --",
    "--out bank": "--out bank --per-case 12 --patch 16",
    "--out checked": "--out checked --patch 16",
    "--out resampled": "--out resampled --patch 16",
    "--experiment isbi": "--experiment isbi --side 4",
    "--experiment jmi --choice": "--experiment jmi --choice --side 4",
    "--out isbi-bank": "--out isbi-bank --patch 16",
    "--out min-max-bank": "--out min-max-bank --patch 16",
    "--micro phantom/micro.nii.gz": "--micro phantom/micro.nii.gz --patches 2",
    "study run all": "study run all --only lanczos",
    "--out study-all": "--out study --resume",
    "jmi-table3 --scale tiny --steps 150": "jmi-table3 --scale tiny --only A",
    "--out my-table --only M,mine": "--out my-table --only mine",
    "--out table3 --only A,M": "--out study-table3 --only A --resume",
    "study report table3": "study report study-table3",
    "suite lung-v1 --model physics-flow": "suite smaller.yaml --model physics-flow",
    "suite lung-kernels-v1 --model physics-flow": "suite smaller.yaml --model physics-flow",
    # Where both suites are the same small one, the second page finds what the first has measured.
    "-o flow-leaderboard": "-o kernel-pairs",
    "suite lung-v1": "suite small.yaml",
    "suite lung-kernels-v1": "suite small.yaml",
    "--roi 30:31,200:264,180:244": "--roi 1:2,4:20,4:20",
    "--scale paper --data mydata.yaml": "--scale  tiny --data mydata.yaml --only A --steps 1 --per-case 4 --seeds 1 "
    "--test-patches 4",
    "--scale tiny": "--scale tiny --steps 1 --size 8 256 256 --per-case 6 --cases 1 --seeds 1 --test-patches 4 "
    "--data study-data",
}

SMALL_SUITE = """
title: One small lung
scale: 8
windows: {lung: {clinical: [-1000, 400], micro: [2500, 15000]}}
specimens: {lung: {anatomy: lung, seed: 9, size: [8, 128, 128]}}
cases:
  - {key: only, group: lung, anatomy: lung, seed: 1, size: [8, 128, 128]}
"""

KEPT = ("phantom", "evaluation", "plain.nii.gz", "enhanced.ome.zarr", "leaderboard")
"""Outputs that several pages make."""

REMOTE = "remote.md"
"""Page whose commands need a server."""


def commands(page):
    blocks = re.findall(r"```bash\n(.*?)```", page.read_text(encoding="utf-8"), flags=re.S)
    lines = [line.split("    #")[0].strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line]


def own(page):
    return [line for line in commands(page) if line.startswith("ctloupe ")]


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    """A folder with two clinical scans, two µCT volumes, a phantom, a bank and a trained model."""
    folder = tmp_path_factory.mktemp("workplace")
    case = make_phantom("lung", (16, 256, 256), 1, PhantomConfig())
    for number in (1, 2):
        write(case.clinical, folder / "clinical" / f"case-{number}.nii.gz")
        write(case.micro, folder / "micro" / f"specimen-{number}.nii.gz")
    shutil.copytree(folder / "clinical", folder / "downloads" / "clinical")
    (folder / "small.yaml").write_text(SMALL_SUITE, encoding="utf-8")
    # Samples of a flow take the time of many images.
    (folder / "smaller.yaml").write_text(SMALL_SUITE.replace("128", "80"), encoding="utf-8")
    page = (ROOT / "docs" / "rating.md").read_text(encoding="utf-8")
    (folder / "texture.yaml").write_text(re.findall(r"```yaml\n(.*?)```", page, flags=re.S)[0], encoding="utf-8")
    page = (ROOT / "docs" / "studies.md").read_text(encoding="utf-8")
    for name, block in zip(("mydata", "my-table"), re.findall(r"```yaml\n(.*?)```", page, flags=re.S), strict=False):
        small = block.replace("changes: {weights", "changes: {patch_size: 16, batch_size: 1, weights")
        (folder / f"{name}.yaml").write_text(small, encoding="utf-8")
    return folder


@pytest.fixture
def bucket(tmp_path):
    """A server with the bucket that a page writes to, which holds a scan."""
    if not can_serve_s3():
        pytest.skip("the extras 'remote' and 'dev' are not installed")
    with s3_server(tmp_path / "served"):
        values = np.random.default_rng(0).normal(-700, 150, (3, 24, 24)).round().astype(np.int16)
        write(Volume(values, (2.0, 0.8, 0.8), modality="clinical", units="HU"), tmp_path / "scan.ome.zarr")
        upload(tmp_path / "scan.ome.zarr", location("s3://bucket/scan.ome.zarr"))
        yield


def run(command, monkeypatch):
    for long, short in SMALLER.items():
        command = command.replace(long, short)
    monkeypatch.setattr(sys, "argv", shlex.split(command))
    try:
        main()
    except SystemExit as stop:
        assert not stop.code, command


def test_every_page_has_been_thought_of():
    shown = {line.split()[0] for page in PAGES for line in commands(page)}
    assert shown <= {"ctloupe", "make", "pip", "python"}


@pytest.mark.slow
def test_the_commands_of_readme_and_docs_run_as_written(workplace, monkeypatch, capsys):
    monkeypatch.chdir(workplace)
    done = set()
    for page in [page for page in PAGES if page.name != REMOTE]:
        # What a second page shows in the same words would make the same again.
        for command in own(page):
            if command in done:
                continue
            done.add(command)
            kept = [one for one in KEPT if one in command]
            overwrite = " --overwrite" if kept and page != PAGES[0] and re.search(r"(-o|--out) ", command) else ""
            plain = " --no-preview" if page.parent == METHODS and command.startswith("ctloupe enhance") else ""
            run(command + overwrite + plain, monkeypatch)
    assert (workplace / "evaluation" / "report.html").is_file()
    assert len(list((workplace / "bank" / "overlays").glob("*.png"))) == 4
    # The study that extends a paper's table has recorded the whole of it.
    recorded = json.loads((workplace / "my-table" / "study.json").read_text(encoding="utf-8"))["study"]
    assert [row["key"] for row in recorded["rows"]] == [*"ABCDEFGHIJKLM", "mine"]
    assert "mine" in (workplace / "my-table" / "table.md").read_text(encoding="utf-8")
    # The Python example of the README, in the same folder.
    example = re.findall(r"```python\n(.*?)```", PAGES[0].read_text(encoding="utf-8"), flags=re.S)
    for code in example:
        exec(compile(code, str(PAGES[0]), "exec"), {})
    assert (workplace / "enhanced.nii.gz").is_file()


@pytest.mark.slow
def test_the_commands_of_the_page_on_servers_run_as_written(bucket, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for command in own(ROOT / "docs" / REMOTE):
        run(command, monkeypatch)
    assert (tmp_path / "remote-evaluation" / "report.html").is_file() and (tmp_path / "remote.png").is_file()


def test_links_between_pages_lead_somewhere():
    for page in PAGES:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} → {target}"
