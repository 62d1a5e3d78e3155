"""How fast the viewer shows a volume, in a real browser, beside reading the same voxels alone.

First paint counts from the request for the page; a zoom goes to single voxels elsewhere; a step is to the next slice.
Each ends two frames after the last tile was drawn. What it is compared with is the time in which `ctloupe.read` and
NumPy read the same part of the same file, in this process. Needs Chromium and Playwright.

    python benchmarks/view.py
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import numpy as np
import psutil
from playwright.sync_api import Browser, Page, sync_playwright

import ctloupe
from ctloupe.display.cache import ArrayCache
from ctloupe.display.frame import Frame, place
from ctloupe.display.tiles import Tiles
from ctloupe.volume.formats import format_of
from ctloupe.volume.formats.ome_zarr.writer import OmeZarrWriter
from ctloupe.volume.volume import Volume

ARGUMENTS = ["--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking"]
WIDTH, HEIGHT = 1366, 800

TIMED = """async (action) => {
  const frame = () => new Promise((done) => requestAnimationFrame(done));
  const began = performance.now();
  new Function(action)();
  await frame();
  await frame();
  while (document.getElementById("stage").dataset.state !== "complete") await frame();
  await frame();
  await frame();
  return performance.now() - began;
}"""


def main() -> None:
    options = arguments()
    with tempfile.TemporaryDirectory() as folder:
        print("| volume | what | viewer s | reading alone s | ratio |", flush=True)
        print("|---|---|---|---|---|", flush=True)
        with chromium(options.chromium) as browser:
            for name, path in volumes(Path(folder), options):
                measure(browser, name, path, options)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slices", type=int, default=64)
    parser.add_argument("--size", type=int, default=512, help="side of a slice of the DICOM series and of the .nii.gz")
    parser.add_argument("--fine-size", type=int, default=4096, help="side of a slice of the OME-Zarr")
    parser.add_argument("--steps", type=int, default=20, help="slice steps that are timed")
    parser.add_argument("--long", type=int, default=500, help="slice steps over which the memory is watched")
    parser.add_argument("--chromium", default=shutil.which("chromium"))
    return parser.parse_args()


def volumes(folder: Path, options: argparse.Namespace) -> list[tuple[str, Path]]:
    """A DICOM series, a compressed NIfTI and an OME-Zarr of smooth noise."""
    random = np.random.default_rng(0)
    slices, size, fine = options.slices, options.size, options.fine_size
    coarse = random.integers(-1000, 400, (slices, size // 8, size // 8)).repeat(8, 1).repeat(8, 2).astype(np.int16)
    coarse += random.integers(-40, 40, coarse.shape).astype(np.int16)
    scan = Volume(coarse, (1.0, 0.7, 0.7), modality="clinical", units="HU")
    ctloupe.write(scan, folder / "series.dicom")
    ctloupe.write(scan, folder / "scan.nii.gz")
    levels = 0
    while fine >> levels > 512 and levels < 3:
        levels += 1
    grid = (slices, fine, fine)
    spacing = (1.0, 0.7 * size / fine, 0.7 * size / fine)
    texture = random.integers(-60, 60, (fine, fine)).astype(np.int16)
    path = folder / "fine.ome.zarr"
    with OmeZarrWriter(path, grid, np.int16, spacing, modality="clinical", units="HU", levels=levels) as writer:
        for z in range(slices):
            plane = coarse[z].repeat(fine // size, 0).repeat(fine // size, 1)
            writer.write(z, (plane + np.roll(texture, z, 0))[None])
    return [
        (f"DICOM series, {slices}×{size}×{size}", folder / "series.dicom"),
        (f".nii.gz, {slices}×{size}×{size}", folder / "scan.nii.gz"),
        (f"OME-Zarr, {slices}×{fine}×{fine}", path),
    ]


@contextmanager
def chromium(path: str) -> Iterator[Browser]:
    """A browser that is installed on this machine, without a window."""
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


@contextmanager
def viewer(*volumes: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The process of `ctloupe view` with these volumes, and the link that it printed."""
    command = [sys.executable, "-m", "ctloupe.cli.main", "view", *volumes, "--no-browser"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        yield server, (server.stdout.readline() if server.stdout else "").strip()
    finally:
        server.terminate()
        server.wait()


def measure(browser: Browser, name: str, path: Path, options: argparse.Namespace) -> None:
    """Print the rows of one volume."""
    with viewer(str(path)) as (server, link):
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        began = time.perf_counter()
        page.goto(link)
        page.wait_for_selector("#stage[data-state=complete]")
        page.evaluate(TIMED, "")
        shown = time.perf_counter() - began
        rows = [("first paint", shown, alone(path, "whole"))]
        rows.append(("zoom to single voxels", zoomed(page, path), alone(path, "voxels")))
        page.evaluate(TIMED, "window.ctloupe.input.act('0')")
        rows.append(("a slice step", stepped(page, options.steps), alone(path, "next")))
        for what, seconds, reading in rows:
            # A volume that was decoded when it was opened is not read any more.
            ratio = f"{seconds / reading:.1f}" if reading > 1e-3 else "–"
            print(f"| {name} | {what} | {seconds:.2f} | {reading:.3f} | {ratio} |", flush=True)
        print(f"| {name} | {memory(page, server, options.long)} | | | |", flush=True)
        page.close()


def zoomed(page: Page, path: Path) -> float:
    """Seconds from an overview to one pixel a voxel at a place that was not seen before."""
    spacing = ctloupe.read(path).spacing[2]
    move = f"c.view.zoom = {spacing}; c.view.centre[1] += 400 * {spacing}; c.changed();"
    return float(page.evaluate(TIMED, f"const c = window.ctloupe; {move}")) / 1000


def stepped(page: Page, steps: int) -> float:
    """Median of the seconds for a step to the next slice."""
    step = "const c = window.ctloupe; c.input.act('PageUp'); c.changed();"
    page.evaluate(TIMED, "window.ctloupe.input.act('Home'); window.ctloupe.changed();")
    return median(float(page.evaluate(TIMED, step)) for _ in range(steps)) / 1000


def memory(page: Page, server: subprocess.Popen[str], steps: int) -> str:
    """Resident memory of the server and heap of the page at a tenth of many steps, and at their end."""
    walk = """async (count) => {
      const c = window.ctloupe;
      const slices = c.scene.layers[0].shape[0];
      for (let number = 0; number < count; number += 1) {
        c.input.act(Math.floor(number / (slices - 1)) % 2 ? "PageDown" : "PageUp");
        c.changed();
        await new Promise((done) => requestAnimationFrame(done));
        while (document.getElementById("stage").dataset.state !== "complete") {
          await new Promise((done) => requestAnimationFrame(done));
        }
      }
    }"""
    found = []
    for count in (steps // 10, steps - steps // 10):
        page.evaluate(walk, count)
        resident = psutil.Process(server.pid).memory_info().rss / 1e6
        heap = page.evaluate("performance.memory.usedJSHeapSize") / 1e6
        tiles = page.evaluate("window.ctloupe.store.bytes") / 1e6
        found.append(f"server {resident:.0f} MB, page {heap:.0f} MB, its tiles {tiles:.0f} MB")
    return f"after {steps // 10} steps: {found[0]}; after {steps}: {found[1]}"


def alone(path: Path, what: str) -> float:
    """Seconds in which this process opens the volume and reads what a view of it shows; at best of three."""
    times = []
    for _ in range(3):
        began = time.perf_counter()
        volume = ctloupe.read(path)
        levels = (volume, *format_of(path).coarser(path, volume))
        opened = time.perf_counter()
        tiles = Tiles([place(one, Frame.of(volume)) for one in levels], ArrayCache(0), "alone")
        z = volume.shape[0] // 2
        if what == "voxels":
            middle = volume.shape[1] // 2 + 400
            rows = slice(max(0, middle - HEIGHT // 2), min(volume.shape[1], middle + HEIGHT // 2))
            half = WIDTH // 2
            columns = slice(max(0, volume.shape[2] // 2 - half), min(volume.shape[2], volume.shape[2] // 2 + half))
            np.asarray(volume.data[z : z + 1, rows, columns])
        else:
            # The level that fits the height of the window, as the page chooses it.
            fitting = [one for one in tiles.planes[0] if one.pixel[0] * 661 <= volume.shape[1] * volume.spacing[1]]
            own = levels[(fitting or tiles.planes[0][:1])[-1].own]
            np.asarray(own.data[z])
        times.append(time.perf_counter() - (opened if what in ("next", "voxels") else began))
    return max(min(times), 1e-4)


if __name__ == "__main__":
    main()
