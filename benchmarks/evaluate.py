"""Time and memory of evaluating: all metrics of a case, against two metrics of scikit-image; thinning; m-HuM.

python benchmarks/evaluate.py
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time

import numpy as np

from ctloupe.evaluate.compiled.thinning import thinned
from ctloupe.evaluate.metrics.fidelity import DATA_RANGE_HU
from ctloupe.evaluate.metrics.hu_moments import hu_moments, minimum_hu_distance
from ctloupe.evaluate.metrics.texture import Unpaired, texture_of
from ctloupe.evaluate.protocols.paired_phantom import compare_with_truth
from ctloupe.images.windows import IntensityWindow
from ctloupe.phantom.clinical_slices import labels_on_clinical_slices, truth_on_clinical_slices
from ctloupe.phantom.config import PhantomConfig
from ctloupe.phantom.phantom import make_phantom
from ctloupe.volume.volume import LazyArray

AS_THE_COMMAND = """
import runpy, sys
from ctloupe.foundation.threads import calculate_alone, share_the_cores

# Before libraries are imported that read what these say.
share_the_cores()
calculate_alone()
del sys.argv[0]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def repeated(volume, slices):
    """The volume's slices over and over, made when they are read, as a volume larger than memory would be."""
    depth = volume.shape[0]

    def read(block):
        return np.stack([np.asarray(volume.data[z % depth]) for z in range(slices)[block[0]]])[:, block[1], block[2]]

    return volume.with_data(LazyArray((slices, *volume.shape[1:]), volume.data.dtype, read, "repeated volume"))


def case(size):
    """Scan, enhanced volume, truth, labels and the look of a µCT; every fine slice is a slice of the scan."""
    made = make_phantom("lung", (8, size, size), 5, PhantomConfig(slices=1))
    scan = made.clinical
    truth, labels = truth_on_clinical_slices(made.truth, scan), labels_on_clinical_slices(made.labels, scan)
    noise = np.random.default_rng(0).normal(0, 100, truth.shape)
    enhanced = truth.with_data(np.rint(truth.array() + noise).astype(np.int16))
    look = texture_of(made.micro, IntensityWindow(2500, 15000), truth.spacing[1:])
    return scan, enhanced, truth, labels, Unpaired(look, IntensityWindow(-1000, 400))


def all_metrics(slices, size):
    """Print seconds and peak memory of all metrics of so many slices."""
    scan, enhanced, truth, labels, look = case(size)
    scan, enhanced, truth, labels = (repeated(one, slices) for one in (scan, enhanced, truth, labels))
    begun = time.perf_counter()
    compare_with_truth(scan, {"noisy": enhanced}, truth, labels=labels, unpaired=look)
    print(time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)


def of_scikit_image(slices, size):
    """Seconds of its PSNR and SSIM, of as many rows."""
    from skimage.metrics import peak_signal_noise_ratio, structural_similarity

    _, enhanced, truth, _, _ = case(size)
    spent = 0.0
    for z in range(slices):
        one, other = (np.asarray(volume.data[z % 8], np.float64) for volume in (enhanced, truth))
        begun = time.perf_counter()
        for _ in range(2):
            peak_signal_noise_ratio(other, one, data_range=DATA_RANGE_HU)
            structural_similarity(
                one, other, data_range=DATA_RANGE_HU, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
            )
        spent += time.perf_counter() - begun
    return spent


def hu_distance(count, side):
    """Seconds of m-HuM of so many slices against as many, and of a loop over OpenCV, from a part of it."""
    import cv2

    random = np.random.default_rng(0)
    images = random.random((count, side, side), dtype=np.float32)
    begun = time.perf_counter()
    minimum_hu_distance(hu_moments(images), hu_moments(images[::-1]))
    ours = time.perf_counter() - begun
    few = min(count, 12)
    begun = time.perf_counter()
    for one in images[:few]:
        for other in images[:few]:
            cv2.matchShapes(one, other, cv2.CONTOURS_MATCH_I2, 0)
    return ours, (time.perf_counter() - begun) / few**2 * count**2


def thinning(side):
    """Seconds of thinning a random structure of thick tubes and bridges, compiled and by scikit-image."""
    from scipy.ndimage import gaussian_filter
    from skimage.morphology import skeletonize

    noise = gaussian_filter(np.random.default_rng(0).standard_normal((side,) * 3, np.float32), side / 25)
    flags = noise > np.quantile(noise, 0.87)
    begun = time.perf_counter()
    points = thinned(flags)
    ours = time.perf_counter() - begun
    begun = time.perf_counter()
    same = np.array_equal(points, np.argwhere(skeletonize(flags, method="lee")))
    return ours, time.perf_counter() - begun, same


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--slices", type=int, nargs="+", default=[64, 512])
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--moments", type=int, default=2000, help="slices of the m-HuM comparison")
    parser.add_argument("--thinned", type=int, default=200, help="cubes along each side of what is thinned")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        all_metrics(arguments.slices[0], arguments.size)
        return
    size = arguments.size
    print(f"All metrics of bicubic and one more row, {size}×{size} pixels a slice, with labels and µCT:\n")
    print("| slices | all metrics, s | s a slice | peak memory, GB | PSNR and SSIM of scikit-image, s | ratio |")
    print("|---|---|---|---|---|---|")
    for slices in arguments.slices:
        command = [
            sys.executable,
            "-c",
            AS_THE_COMMAND,
            __file__,
            "--one",
            "--slices",
            str(slices),
            "--size",
            str(size),
        ]
        told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        spent, peak = map(float, told.split())
        plain = of_scikit_image(slices, size)
        print(
            f"| {slices} | {spent:.1f} | {spent / slices:.2f} | {peak / 1e9:.2f} | {plain:.1f} | {spent / plain:.2f} |"
        )
    ours, scikit_image, same = thinning(arguments.thinned)
    print(f"\nThinning of a random structure in {arguments.thinned}³ cubes:\n")
    print("| compiled, s | scikit-image, s | ratio | same cubes |\n|---|---|---|---|")
    print(f"| {ours:.2f} | {scikit_image:.2f} | {scikit_image / ours:.1f} | {'yes' if same else 'no'} |")
    ours, loop = hu_distance(arguments.moments, 256)
    print(f"\nm-HuM, {arguments.moments}×{arguments.moments} slices of 256×256:\n")
    print("| once a slice and a matrix, s | loop over cv2.matchShapes, s (from a part) | ratio |\n|---|---|---|")
    print(f"| {ours:.2f} | {loop:.0f} | {loop / ours:.0f} |")


if __name__ == "__main__":
    main()
