"""What the metrics of trees see: enhancers of known badness on the first case of `lung-thin-v1`.

python benchmarks/trees.py
"""

import argparse
import time

import numpy as np

from ctloupe.evaluate.alignment import interpolated
from ctloupe.evaluate.metrics.trees import TREES, trees_in_words
from ctloupe.evaluate.protocols.measuring import ImageMeasure
from ctloupe.evaluate.slices import ImageSlice, Reference, Setting
from ctloupe.evaluate.suite.controls import CONTROLS
from ctloupe.evaluate.suite.definition import load_suite
from ctloupe.phantom.anatomies.registry import get
from ctloupe.phantom.clinical_slices import labels_on_clinical_slices, truth_on_clinical_slices


def cut(truth, labels, numbers):
    """The truth with its vessels and airways filled with lung in two neighbouring slices of every eight."""
    found = truth.copy()
    away = np.isin(labels, numbers) & np.isin(np.arange(len(truth)) % 8, (3, 4))[:, None, None]
    found[away] = -830
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, nargs=3, help="another size than the suite's, to try it out")
    suite, size = load_suite("lung-thin-v1"), parser.parse_args().size
    spec = suite.cases[0] if size is None else suite.cases[0].model_copy(update={"size": tuple(size)})
    case, anatomy = spec.make(suite.scale), get(spec.anatomy)
    volume = truth_on_clinical_slices(case.truth, case.clinical)
    truth = volume.array().astype(np.float32)
    labels = labels_on_clinical_slices(case.labels, case.clinical).array()
    scan = case.clinical.array().astype(np.float32)
    known = frozenset({"scan", "truth", "labels"})
    setting = Setting.of(scan.shape, volume, None, known=known, anatomy=anatomy)
    metrics = [metric for metric in TREES if metric.applies(setting)]
    numbers = [label for rule in anatomy.structures if rule.tree for label in rule.labels]
    rows = {
        "truth": lambda: truth,
        "bicubic": lambda: interpolated(case.clinical, suite.scale).array(),
        "cut": lambda: cut(truth, labels, numbers),
        **{name: lambda control=control: control(truth, suite.scale) for name, control in CONTROLS.items()},
    }
    references = [Reference(setting, z, scan[z], truth[z], labels[z]) for z in range(len(scan))]
    print("; ".join(trees_in_words(setting).values()))
    print("\n| " + " | ".join(["", *(metric.label for metric in metrics)]) + " |")
    print("|---" * (len(metrics) + 1) + "|")
    begun = time.perf_counter()
    for name, image in rows.items():
        measuring, pixels = ImageMeasure(metrics, setting), image()
        for reference, plane in zip(references, pixels, strict=True):
            measuring.add(ImageSlice(np.asarray(plane, np.float32), reference, volume.spacing[1]))
        found = (f"{measuring.value(metric):.3g}" for metric in metrics)
        print("| " + " | ".join([name, *found]) + " |", flush=True)
    print(f"\n{(time.perf_counter() - begun) / len(rows):.0f} s a row")


if __name__ == "__main__":
    main()
