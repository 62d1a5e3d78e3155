"""Memory and open files over many volumes and many training steps: both must stay flat.

python benchmarks/long_runs.py --volumes 500 --steps 10000
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import psutil
from numpy.typing import NDArray

from ctloupe.enhance.request import EnhanceRequest, enhance_files
from ctloupe.images.windows import IntensityWindow
from ctloupe.prepare.patches import PatchBank
from ctloupe.train.loop import train
from ctloupe.train.request import TrainRequest
from ctloupe.volume.formats import write
from ctloupe.volume.volume import Volume

METHOD = "physics-srgan"
SMALL = {"scale": 4, "patch_size": 12, "batch_size": 2, "width": 8, "blocks": 1, "discriminator_width": 4}
WINDOW = IntensityWindow(-1000, 500)
NOTES = 50
KEPT_OUT = 0.2
"""Share at the beginning that is left out of the slope, in which libraries fill their caches."""


class Watch:
    """Memory and open files of this process, noted as work goes on; a `Progress`."""

    def __init__(self, total: int, unit: float = 1.0) -> None:
        self.every, self.unit = max(1, total // NOTES), unit
        self.seen: list[tuple[int, float, int]] = []
        self.process = psutil.Process()

    def start(self, what: str, total: float) -> None:
        """Do nothing."""

    def update(self, done: float, note: str = "") -> None:
        """Note what is used at every so manieth of them."""
        count = round(done * self.unit)
        if count and count % self.every == 0:
            self.note(count)

    def close(self) -> None:
        """Do nothing."""

    def note(self, done: int) -> None:
        """Note what is used now."""
        self.seen.append((done, self.process.memory_info().rss / 2**20, self.process.num_fds()))

    def row(self, what: str) -> str:
        """A row of the table: what was done, and how fast memory and open files grew once it was under way."""
        done, memory, files = (np.array(column, float) for column in zip(*self.seen, strict=True))
        late = done > KEPT_OUT * done[-1]
        return (
            f"| {what} | {done[-1]:.0f} | {memory[late][0]:.0f} | {memory[-1]:.0f} | "
            f"{slope(done[late], memory[late]):+.2f} | {files[-1]:.0f} | {slope(done[late], files[late]):+.2f} |"
        )


def slope(done: NDArray[np.float64], used: NDArray[np.float64]) -> float:
    """How much more is used for every thousand that are done, by least squares; NaN of a single note."""
    return float(np.polyfit(done, used, 1)[0] * 1000) if len(done) > 1 else float("nan")


def noise(shape: tuple[int, int, int], seed: int, spacing: float, middle: float, deviation: float) -> Volume:
    """A volume of Gaussian noise in HU."""
    values = np.random.default_rng(seed).normal(middle, deviation, shape)
    return Volume(values.clip(-1000, 15000).astype(np.int16), (spacing,) * 3, modality="clinical", units="HU")


def bank_of(folder: Path) -> Path:
    """A bank of noise, as small as a bank can be of use."""
    folder.mkdir()
    for name, size, spacing, window, middle in (
        ("clinical", 12, 0.6, WINDOW, -700),
        ("micro", 48, 0.15, IntensityWindow(0, 15000), 6000),
    ):
        volume = noise((3, 3 * size, 3 * size), 1, spacing, middle, 100 if name == "clinical" else 3000)
        bank = PatchBank.sample([(name, volume, None)], size, per_volume=12, window=window, seed=0)
        bank.save(folder / f"{name}.bank")
    return folder


def trained(folder: Path, arguments: argparse.Namespace) -> tuple[Path, Watch]:
    """Train so many steps with a checkpoint every hundredth of them, and return the model."""
    watch = Watch(arguments.steps, unit=arguments.steps)
    request = TrainRequest(
        bank_of(folder / "bank"),
        folder / "run",
        METHOD,
        "tiny",
        changes=SMALL | {"epochs": 10**6},
        steps=arguments.steps,
        checkpoint_steps=max(1, arguments.steps // 100),
        accelerator="cpu",
    )
    model = train(request.settings(), watch)
    return model, watch


def enhanced(folder: Path, model: Path, arguments: argparse.Namespace) -> Watch:
    """Enhance a cohort of so many volumes in one process."""
    (folder / "scans").mkdir()
    for number in range(arguments.volumes):
        write(noise((2, 24, 24), number, 0.6, -700, 100), folder / "scans" / f"scan-{number:05d}.nii.gz")
    watch = Watch(arguments.volumes)
    written: list[str] = []

    def finished(line: str) -> None:
        written.append(line)
        watch.update(len(written))

    request = EnhanceRequest(folder / "scans", folder / "fine", model, mask="none", format=arguments.format)
    enhance_files(request, finished=finished)
    return watch


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--volumes", type=int, default=500)
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("--format", default=".ome.zarr", help="suffix of what the cohort is enhanced to")
    arguments = parser.parse_args()
    print("| work | done | MB after a fifth | MB at the end | MB a thousand | open files at the end | a thousand |")
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        model, watch = trained(Path(name), arguments)
        print(watch.row("training steps with checkpoints"), flush=True)
        print(enhanced(Path(name), model, arguments).row(f"volumes of a cohort to {arguments.format}"), flush=True)


if __name__ == "__main__":
    main()
