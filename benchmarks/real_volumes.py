"""One table of the papers on real volumes: µCT of any specimens, scanned by a simulated clinical scanner.

python benchmarks/real_volumes.py --micro bone.tif shell.tif cement.tif --voxel-size 0.05 0.05 0.05 --out real
"""

from __future__ import annotations

import argparse
from pathlib import Path

import yaml

from ctloupe import read
from ctloupe.phantom.paired_micro import PairedMicroRequest, pair_micro
from ctloupe.studies.definition import load_study
from ctloupe.studies.runner import StudyRequest, run_study
from ctloupe.volume.formats import format_of, write

TRAINED, SCANNED = 0.5, 0.8
"""Parts of the slices of a specimen: to the first its µCT is trained on, to the second it is scanned for training, and
what lies behind is scanned for the test, so that no slice is seen twice."""


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--micro", type=Path, nargs="+", required=True, help="µCT volumes of different specimens")
    parser.add_argument("--voxel-size", type=float, nargs=3, help="z y x in mm, for TIFF files that do not state it")
    parser.add_argument("--window", type=float, nargs=2, default=(0, 255), help="µCT values of −1000 and 500 HU")
    parser.add_argument("--study", default="jmi-table2")
    parser.add_argument("--slices", type=int, default=4, help="fine slices in a clinical one")
    parser.add_argument("--patch", type=int, default=12, help="side of a clinical patch")
    parser.add_argument("--per-case", type=int, default=200)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    study = with_patches(load_study(asked.study), asked.patch)
    listed = asked.out / "data.yaml"
    if not listed.is_file():
        make_list(asked, study.enlargement, listed)
    request = StudyRequest(
        steps=asked.steps, seeds=asked.seeds, per_case=asked.per_case, data=listed, resume=True, test_patches=96
    )
    run_study(study, asked.out / "study", request, lambda line: print(line, flush=True))
    print((asked.out / "study" / "table.md").read_text(encoding="utf-8"))


def make_list(asked, scale, listed):
    """Cut every specimen into three parts, scan two of them, and list what a study is to be made of."""
    volumes = {"clinical": {"training": [], "test": []}, "micro": {"training": [], "test": []}}
    for number, path in enumerate(asked.micro, start=1):
        size = {"voxel_size": tuple(asked.voxel_size)} if asked.voxel_size and takes_size(path) else {}
        whole = read(path, **size)
        first, second = (int(whole.shape[0] * part) // asked.slices * asked.slices for part in (TRAINED, SCANNED))
        pieces = {"training": (0, first), "test": (second, whole.shape[0])}
        for use, (start, end) in pieces.items():
            name = f"specimen-{number}-{use}.nii.gz"
            write(whole.crop(slice(start, end)), asked.out / name, overwrite=True)
            volumes["micro"][use].append(name)
        for use, planes in {"training": (first, second), "test": (second, whole.shape[0])}.items():
            home = f"scan-{number}-{use}"
            pair_micro(
                PairedMicroRequest(
                    path, number, scale, asked.slices, planes, tuple(asked.window), **size, out=asked.out / home
                )
            ).write(asked.out / home, overwrite=True)
            scan = {"scan": f"{home}/clinical.nii.gz", "truth": f"{home}/truth.nii.gz"}
            volumes["clinical"][use].append(scan["scan"] if use == "training" else scan)
    volumes["clinical"] |= {"mask": "none", "window": [-1000, 500]}
    volumes["micro"] |= {"mask": "none", "window": list(asked.window)}
    listed.write_text(yaml.safe_dump(volumes, sort_keys=False), encoding="utf-8")


def takes_size(path):
    return "voxel_size" in format_of(path).takes


def with_patches(study, size):
    """The study with smaller patches, where the volumes are smaller than the paper's."""
    changes = {scale: study.changes.get(scale, {}) | {"patch_size": size} for scale in ("tiny", "small", "paper")}
    return study.model_copy(update={"changes": changes})


if __name__ == "__main__":
    main()
