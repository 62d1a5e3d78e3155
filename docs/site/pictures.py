"""Makes the pictures of ``docs/pictures.md`` by the commands that stand above them.

``python docs/site/pictures.py --demo demo`` takes scans and model from the folder of ``make demo``.
"""

from __future__ import annotations

import argparse
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

DOCS = Path(__file__).resolve().parents[1]
PLACES = {
    "clinical": "clinical",
    "phantom": "held-out",
    "runs/physics-flow/model": "flow/model",
}
"""What the page calls what the demo has made."""
COLOURS = 128


def main() -> None:
    """Run the commands of the page, and replace its pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--demo", type=Path, required=True, help="folder of a finished `make demo`")
    demo = parser.parse_args().demo.resolve()
    page = (DOCS / "pictures.md").read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for place, made in PLACES.items():
            (folder / place).parent.mkdir(parents=True, exist_ok=True)
            (folder / place).symlink_to(demo / made)
        for line in re.findall(r"^ctloupe .+$", page, flags=re.M):
            command = [sys.executable, "-m", "ctloupe.cli.main", *shlex.split(line)[1:]]
            subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
        for target in re.findall(r"\]\((images/pictures/[\w-]+\.png)\)", page):
            _keep(next(folder.rglob(Path(target).name)), DOCS / target)


def _keep(source: Path, target: Path) -> None:
    """Keep a picture in few colours, which is half as large and looks the same."""
    target.parent.mkdir(parents=True, exist_ok=True)
    Image.open(source).convert("RGB").quantize(COLOURS).save(target, optimize=True)


if __name__ == "__main__":
    main()
