"""Read thousands of damaged records and packages of our own, and count what came of it.

python -m fuzz.records --cases 1000 --seed 1
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from fuzz.mutations import damage
from fuzz.process import foreseen, in_a_process
from fuzz.run import GOOD, OUTCOMES, Case, keep_files, run_all
from fuzz.small_records import FROM_A_WORKER, RECORDS, template

ACCEPTED = {"accepted": "read: the damage is of no consequence, or makes another sound record"}
_ODD: tuple[Any, ...] = (
    *(None, True, "", "\x1b[31mred\n", "../..", "nan", [], {}, [[[[]]]], {"a": {"b": [1]}}),
    *(0, -1, 1, 2.5, 2**31, 2**63, 10**30, 1e308, float("nan"), float("-inf"), "x" * 100_000, [0] * 10_000),
)


def run_case(seed: int, number: int, keep: Path | None = None, kind: str = "") -> Case:
    """Copy a sound record, damage and read the case of this number; a function of seed, number and kind alone."""
    rng = np.random.default_rng((seed, number))
    kind = kind or list(RECORDS)[number % len(RECORDS)]
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made) / "case"
        shutil.copytree(template(kind).name, folder)
        told = (disarranged(folder, rng),) if rng.random() < 0.6 else tuple(damage(folder, rng))
        outcome, message = judged(kind, folder, Path(made))
        if keep is not None and outcome not in GOOD:
            keep_files(folder, keep / f"{outcome}-{seed}-{number}".replace(" ", "-"))
    return Case(number, kind, told, outcome, message.replace(made, ""))


def disarranged(folder: Path, rng: np.random.Generator) -> str:
    """Put something odd in the place of a value of a record in JSON or YAML, or take one out, and say which."""
    texts = sorted(path for path in folder.rglob("*") if path.suffix in (".json", ".yaml", ".jsonl") and path.is_file())
    if not texts:
        return "; ".join(damage(folder, rng))
    file = texts[int(rng.integers(len(texts)))]
    lines = file.read_text(encoding="utf-8").splitlines() if file.suffix == ".jsonl" else []
    at = int(rng.integers(len(lines))) if lines else 0
    content = json.loads(lines[at]) if lines else yaml.safe_load(file.read_text(encoding="utf-8"))
    told = _changed(content, rng)
    if lines:
        lines[at] = json.dumps(content)
    text = "\n".join([*lines, ""]) if lines else json.dumps(content)
    file.write_text(text, encoding="utf-8")
    return f"{file.name}: {told}"


def _changed(content: Any, rng: np.random.Generator) -> str:
    """Change one value at any depth, and say what was done."""
    places = list(_places(content))
    if not places:
        return "nothing"
    holder, key = places[int(rng.integers(len(places)))]
    way = rng.random()
    if way < 0.2:
        del holder[key]
        return f"{key!r} taken out"
    if way < 0.3 and isinstance(holder, dict):
        holder[f"{key} more"] = holder[key]
        return f"{key!r} twice under another name"
    odd = _ODD[int(rng.integers(len(_ODD)))]
    holder[key] = odd
    return f"{key!r} became {str(odd)[:40]!r}"


def _places(content: Any) -> Any:
    """Every holder and key of a value, at any depth."""
    pairs = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for key, value in list(pairs):
        yield content, key
        yield from _places(value)


def judged(kind: str, folder: Path, beside: Path) -> tuple[str, str]:
    """Read what lies in a folder, and return outcome and message; `beside` takes what the process says."""
    lines = beside / "lines"
    found = in_a_process(lambda: foreseen(lambda: _read(RECORDS[kind].use, folder)), lines)
    if "died" in found:
        return found["died"], found["message"]
    own = lines.read_text(encoding="utf-8", errors="replace").strip()
    message = found["message"]
    if found["outcome"] == "refused" and (
        own or "\n" in message or len(message) > 2000 or (kind != FROM_A_WORKER and str(folder) not in message)
    ):
        return "refused otherwise", f"{message} | {own}"
    return found["outcome"], message


def _read(use: Callable[[Path], object], folder: Path) -> dict[str, Any]:
    use(folder)
    return {"outcome": "accepted", "message": ""}


if __name__ == "__main__":
    wanted = ("refused", "refused otherwise", "traceback", "crash", "hang", "memory")
    run_all(__doc__.splitlines()[0], run_case, RECORDS, ACCEPTED | {name: OUTCOMES[name] for name in wanted})
