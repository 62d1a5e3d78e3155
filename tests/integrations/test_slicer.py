"""The module for 3D Slicer as far as it goes without Slicer: its command runs on files such as Slicer writes."""

import ast
import gzip
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from scipy.spatial.transform import Rotation

from ctloupe.volume.formats import read

MODULE = Path(__file__).resolve().parents[2] / "integrations" / "slicer" / "CTLoupe"
LIBRARY = sorted((MODULE / "CTLoupeLib").glob("*.py"))
COMMAND = Path(sys.executable).parent / "ctloupe"

sys.path.append(str(MODULE))
from CTLoupeLib.command import CommandError, Enhancement, clean_environment, find_command  # noqa: E402
from CTLoupeLib.grid import Grid, grid_of, require_same_place  # noqa: E402
from CTLoupeLib.process import EnhanceProcess, share_of  # noqa: E402
from CTLoupeLib.work_folder import WorkFolder  # noqa: E402

needs_command = pytest.mark.skipif(not COMMAND.is_file(), reason="no ctloupe command beside this Python")


@pytest.fixture
def folder():
    made = WorkFolder()
    yield made
    made.remove()


def written(path, shape=(3, 24, 20), compressed=False):
    """Write an oblique scan as Slicer's NRRD files are: LPS, with space directions; return the image."""
    image = sitk.GetImageFromArray(np.random.default_rng(0).normal(-700, 100, shape).astype(np.int16))
    image.SetSpacing((0.8, 0.7, 2.0))
    image.SetOrigin((10.0, -20.0, 30.0))
    image.SetDirection(Rotation.from_euler("zyx", [0.4, -0.2, 0.1]).as_matrix().ravel())
    sitk.WriteImage(image, str(path), useCompression=compressed)
    return image


def run(asked, folder, environment):
    program = find_command(str(COMMAND), environment)
    return EnhanceProcess([program, *asked.arguments(folder.scan, folder.enhanced, folder.uncertainty)], environment)


def said(process):
    lines = []
    until = time.monotonic() + 120
    while process.running and time.monotonic() < until:
        lines += process.lines()
        time.sleep(0.02)
    process.wait(10)
    return lines + process.lines()


@pytest.fixture
def environment():
    """What Slicer would hand over: its own Python's variables would break another."""
    return clean_environment({**os.environ, "PYTHONHOME": "/opt/Slicer/lib/Python", "OMP_NUM_THREADS": "1"})


@needs_command
def test_the_command_makes_volumes_that_lie_on_the_scan(folder, environment, tiny_flow):
    scan = written(folder.scan, compressed=True)
    process = run(
        Enhancement(str(tiny_flow), mask="none", slices="1:3", spacing="accept", uncertainty=True), folder, environment
    )
    lines = said(process)
    assert process.succeeded, lines
    assert process.share == 1 and any(line.startswith("wrote ") for line in lines), lines
    for path in (folder.enhanced, folder.uncertainty):
        made = sitk.ReadImage(str(path))
        assert made.GetSize() == (80, 96, 2)
        # The first slice that was asked for, at the outer corner of its first voxel.
        assert made.TransformContinuousIndexToPhysicalPoint((-0.5, -0.5, 0.0)) == pytest.approx(
            scan.TransformContinuousIndexToPhysicalPoint((-0.5, -0.5, 1.0)), abs=1e-4
        )
        require_same_place(grid_of(folder.scan), grid_of(path))
    assert sorted(path.name for path in folder.path.iterdir()) == ["enhanced.nrrd", "scan.nrrd", "uncertainty.nrrd"]


@needs_command
def test_what_cannot_be_is_the_last_line_and_the_panel_tells_it(folder, environment):
    written(folder.scan)
    process = run(Enhancement(seed=-1), folder, environment)
    said(process)
    assert not process.succeeded
    assert process.failure().startswith("ctloupe: ") and "--seed" in process.failure()


@needs_command
def test_a_command_that_is_cancelled_leaves_no_result(folder, environment):
    written(folder.scan, (40, 256, 256))
    process = run(Enhancement(model="bicubic", scale=8, mask="none"), folder, environment)
    process.cancel()
    process.wait(60)
    assert not process.succeeded and "cancelled" in process.failure()
    assert not folder.enhanced.exists()
    folder.remove()
    assert not folder.path.exists()


def test_lines_come_one_by_one_and_a_program_that_hangs_is_ended(environment):
    code = "print('enhancing: 40%, about 3 s left'); import time, signal; "
    code += "signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf'); time.sleep(60)"
    process = EnhanceProcess([sys.executable, "-c", code], environment)
    lines = []
    while "deaf" not in lines:
        lines += process.lines()
        time.sleep(0.01)
    assert process.running and process.share == 0.4
    process.cancel()
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.2)
    process.cancel()
    process.wait(10)
    assert not process.running and not process.succeeded


def test_progress_is_read_as_the_command_writes_it(capsys, monkeypatch):
    from ctloupe.cli import progress

    monkeypatch.setattr(progress, "PLAIN_SECONDS", 0.0)
    told = progress.ConsoleProgress()
    told.start("enhancing", 8)
    told.update(2, "a note")
    told.update(8)
    assert [share_of(line) for line in capsys.readouterr().err.splitlines()] == [0.25, 1.0]
    assert share_of("mask: 9.5% of the scan are enhanced") is None
    assert share_of("skipped: 30% of the tiles lie outside the mask") is None
    assert share_of("wrote enhanced.nrrd") is None


def test_without_a_model_none_is_named_and_every_option_is_one_of_the_command():
    from ctloupe.cli.flags import _verbs  # The flags that the command line knows.

    scan, out, sigma = Path("scan.nrrd"), Path("out.nrrd"), Path("sigma.nrrd")
    assert "--model" not in Enhancement().arguments(scan, out, sigma)
    full = Enhancement("m", 4, "none", "0:1", "resample", 2, "sample", True, True, 3)
    used = {one for asked in (full, Enhancement(spacing="accept")) for one in asked.arguments(scan, out, sigma)}
    flags = {one for one in used if one.startswith("--")} - {"--no-preview"}
    assert flags <= set(_verbs()["enhance"].values())
    arguments = full.arguments(scan, out, sigma, Path("mask.nrrd"))
    assert arguments[arguments.index("--mask") + 1] == "mask.nrrd"


def test_the_command_is_found_where_it_is_and_its_absence_is_said(tmp_path):
    program = tmp_path / "venv" / "bin" / "ctloupe"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    assert find_command("", {"PATH": str(program.parent)}) == str(program)
    assert find_command(str(tmp_path / "venv"), {}) == find_command(str(program), {}) == str(program)
    for stated in ("", str(tmp_path)):
        with pytest.raises(CommandError, match="ctloupe"):
            find_command(stated, {"PATH": str(tmp_path)})


def test_the_grid_of_a_file_is_that_of_simpleitk(tmp_path):
    image = written(tmp_path / "scan.nrrd")
    grid = grid_of(tmp_path / "scan.nrrd")
    assert grid.sizes == image.GetSize()
    for index in ((0, 0, 0), (3, 2, 1), (-0.5, 7.25, 1.5)):
        x, y, z = image.TransformContinuousIndexToPhysicalPoint(index)
        assert grid.point(index) == pytest.approx((-x, -y, z), abs=1e-6)
        assert grid.index(grid.point(index)) == pytest.approx(index, abs=1e-6)


@pytest.mark.parametrize("encoding", ["raw", "gzip"])
def test_a_header_as_slicer_writes_it_is_read_alike_by_all(tmp_path, encoding):
    values = np.arange(24, dtype="<i2").reshape(2, 3, 4)
    voxels = values.tobytes() if encoding == "raw" else gzip.compress(values.tobytes())
    head = "NRRD0004\n# Complete NRRD file format specification at:\n# http://teem.sourceforge.net/nrrd/format.html\n"
    head += "type: short\ndimension: 3\nspace: left-posterior-superior\nsizes: 4 3 2\n"
    head += "space directions: (0.7,0,0) (0,0.48,0.64) (0,-1.6,1.2)\nkinds: domain domain domain\n"
    head += f"endian: little\nencoding: {encoding}\nspace origin: (10,-20.5,30)\n\n"
    path = tmp_path / "scan.nrrd"
    path.write_bytes(head.encode() + voxels)
    volume, image, grid = read(path), sitk.ReadImage(str(path)), grid_of(path)
    assert np.array_equal(volume.array(), values)
    for index in ((0, 0, 0), (3, 2, 1)):
        x, y, z = image.TransformContinuousIndexToPhysicalPoint(index)
        assert volume.physical(index[::-1]) == pytest.approx((x, y, z), abs=1e-6)
        assert grid.point(index) == pytest.approx((-x, -y, z), abs=1e-6)


def test_a_result_elsewhere_or_turned_is_refused(tmp_path):
    scan = Grid((10, 10, 5), ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 2.0)), (0.0, 0.0, 0.0))
    fine = ((0.5, 0.0, 0.0), (0.0, 0.5, 0.0), (0.0, 0.0, 2.0))
    require_same_place(scan, Grid((20, 20, 2), fine, (-0.25, -0.25, 4.0)))
    with pytest.raises(CommandError, match="outside"):
        require_same_place(scan, Grid((20, 20, 5), fine, (2.0, -0.25, 0.0)))
    with pytest.raises(CommandError, match="turned"):
        require_same_place(scan, Grid((20, 20, 5), (fine[1], fine[0], fine[2]), (-0.25, -0.25, 0.0)))
    (tmp_path / "none.nrrd").write_bytes(b"NRRD0004\ntype: short\n\n")
    for name in ("none.nrrd", "absent.nrrd"):
        with pytest.raises(CommandError, match=name):
            grid_of(tmp_path / name)


def test_files_are_named_alike_whatever_the_volume_and_only_this_user_opens_them(folder):
    assert re.fullmatch(r"ctloupe-\w+", folder.path.name)
    if sys.platform != "win32":
        assert folder.path.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("path", [MODULE / "CTLoupe.py", *LIBRARY], ids=lambda path: path.name)
def test_the_sources_are_python_3_9_of_slicer_and_need_nothing_installed(path):
    tree = ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 9))
    offered = {"CTLoupeLib", *sys.stdlib_module_names}
    if path.parent == MODULE:
        offered |= {"ctk", "qt", "slicer", "numpy"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            assert {one.name.split(".")[0] for one in node.names} <= offered
        elif isinstance(node, ast.ImportFrom):
            assert node.module.split(".")[0] in offered
            if node.module.startswith("CTLoupeLib."):
                module = sys.modules[node.module]
                assert all(hasattr(module, one.name) for one in node.names)


def test_what_cmake_installs_is_what_is_there():
    text = (MODULE / "CMakeLists.txt").read_text(encoding="utf-8")
    named = set(re.findall(r"^  (CTLoupeLib/\w+\.py|Resources/\S+)$", text, flags=re.M))
    named = {one.replace("${MODULE_NAME}", "CTLoupe") for one in named}
    there = {path.relative_to(MODULE).as_posix() for path in MODULE.rglob("*") if path.is_file()}
    assert named == {one for one in there if "/" in one and "__pycache__" not in one}
    top = (MODULE.parent / "CMakeLists.txt").read_text(encoding="utf-8")
    assert f"add_subdirectory({MODULE.name})" in top
