"""Peers beside ours in one leaderboard: what other projects make of the same scans after the same minutes.

python benchmarks/peers.py --bank demo/bank --phantom demo/held-out --minutes 2 --out peers
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

from peer.budget import Budget
from peer.pairs import Pairs, sizes
from peer.volumes import Enhance, enhanced_volume

from ctloupe.enhance.resolver import SuperResolver, load_model
from ctloupe.evaluate.comparison import BASELINE
from ctloupe.evaluate.request import EvaluateRequest, evaluate_files
from ctloupe.evaluate.suite.compare import CompareRequest, compare_records
from ctloupe.evaluate.suite.report import board_markdown
from ctloupe.foundation.errors import CtLoupeError, OptionError
from ctloupe.train.bank_pair import load_banks
from ctloupe.train.loop import train
from ctloupe.train.request import TrainRequest
from ctloupe.volume.formats import read, write
from ctloupe.volume.volume import Volume

PEERS = {
    "deepinv TV": "total_variation",
    "deepinv DPIR": "dpir",
    "MONAI rectified flow": "rectified_flow",
    "CAREamics CARE": "care",
}
"""Rows, and the modules in `peer` that make them."""

PACKAGES = {"deepinv": "deepinv", "MONAI": "monai", "CAREamics": "careamics"}
"""What the first word of a row is called in the package index."""

INSTALL = "pip install -r benchmarks/peers-requirements.txt"


@dataclass
class Row:
    """One way of enhancing, and what it cost."""

    name: str
    made_by: str
    learning: str = "–"
    slice_seconds: float = float("nan")


def absence(name: str) -> str | None:
    """Why a peer cannot be run, in one line; None where it can."""
    try:
        import_module(f"peer.{PEERS[name]}")
    except (ImportError, RuntimeError) as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        package = PACKAGES[name.split()[0]]
        return f"{name}: not run, {package} cannot be imported ({first}); in an environment of its own: {INSTALL}"
    return None


def measured(row: Row, scan: Volume, made: Volume, path: Path) -> None:
    """Compute an enhanced volume, write it, and note the processor seconds that a slice took."""
    begun = time.process_time()
    write(made.with_data(made.array()), path, overwrite=True)
    row.slice_seconds = (time.process_time() - begun) / scan.shape[0]


def peers(arguments: argparse.Namespace, absent: list[str]) -> Iterator[tuple[Row, Pairs, Enhance]]:
    """Fit every peer that is asked for and is here, each on pairs in the same order."""
    for name in arguments.peers:
        reason = absence(name)
        if reason is not None:
            print(reason, file=sys.stderr, flush=True)
            absent.append(reason)
            continue
        print(f"{name}: learning …", file=sys.stderr, flush=True)
        pairs = Pairs(arguments.bank, seed=arguments.seed)
        budget = Budget(60 * arguments.minutes)
        fitted = import_module(f"peer.{PEERS[name]}").fit(pairs, budget, arguments.seed)
        package = PACKAGES[name.split()[0]]
        learning = f"{budget.used:.0f} s, {budget.steps} steps"
        yield Row(name, f"{package} {version(package)}", learning), pairs, fitted


def ours(arguments: argparse.Namespace) -> Iterator[tuple[Row, SuperResolver]]:
    """Packages that are given, and methods that are trained here; of a flow its mean, and a sample."""
    found = [(*one.partition("=")[::2], "–") for one in arguments.model]
    for method in arguments.method:
        print(f"{method}: learning …", file=sys.stderr, flush=True)
        begun = time.process_time()
        run = arguments.out / "runs" / method
        scale, patch = sizes(load_banks(arguments.bank))
        request = TrainRequest(
            arguments.bank,
            run,
            method,
            "tiny",
            changes={"scale": scale, "patch_size": min(patch, 32)},
            minutes=arguments.minutes,
            seed=arguments.seed,
            accelerator="cpu",
        )
        package = train(request.settings())
        found.append((method, str(package), f"{time.process_time() - begun:.0f} s"))
    for name, path, learning in found:
        if not path:
            raise OptionError(f"`model` {name}: expected NAME=PACKAGE")
        model = load_model(path).named(name)
        yield Row(name, f"ctloupe {version('ctloupe')}", learning), model
        try:
            sample = model.with_options(output="sample")
        except OptionError:
            continue
        yield Row(f"{name}, sample", f"ctloupe {version('ctloupe')}", "the same"), sample.named(f"{name}, sample")


def enhanced(arguments: argparse.Namespace) -> tuple[list[Row], list[str], dict[Path, list[tuple[str, Path]]]]:
    """Rows, peers that are absent, and the volumes of every phantom."""
    rows: list[Row] = []
    absent: list[str] = []
    outputs: dict[Path, list[tuple[str, Path]]] = {folder: [] for folder in arguments.phantom}
    scans = {folder: read(folder / "clinical.nii.gz") for folder in arguments.phantom}

    def keep(row: Row, volumes: Iterator[tuple[Path, Volume]]) -> None:
        for folder, made in volumes:
            path = arguments.out / folder.name / f"{row.name.replace(' ', '-').replace(',', '')}.nii.gz"
            print(f"{row.name}: enhancing {folder.name} …", file=sys.stderr, flush=True)
            measured(row, scans[folder], made, path)
            outputs[folder].append((row.name, path))
        rows.append(row)

    for row, pairs, enhance in peers(arguments, absent):
        given = pairs.scale, pairs.window, enhance, row.name, arguments.seed
        keep(row, ((folder, enhanced_volume(scan, *given)) for folder, scan in scans.items()))
    for row, model in ours(arguments):
        keep(row, ((folder, model.enhanced_lazily(scan)) for folder, scan in scans.items()))
    for one in arguments.output:
        name, _, path = one.partition("=")
        if not path or len(arguments.phantom) > 1:
            raise OptionError(f"`output` {one}: expected NAME=VOLUME, and one `phantom`")
        rows.append(Row(name, "elsewhere"))
        outputs[arguments.phantom[0]].append((name, Path(path)))
    return rows, absent, outputs


def evaluated(arguments: argparse.Namespace, outputs: dict[Path, list[tuple[str, Path]]]) -> list[Path]:
    """Measure every phantom as `ctloupe evaluate` does, and return the records."""
    records = []
    window = load_banks(arguments.bank).micro.window
    for folder, found in outputs.items():
        labels, own = folder / "labels.nii.gz", folder / "micro.nii.gz"
        micro = arguments.micro or (own if own.is_file() else None)
        out = arguments.out / folder.name / "evaluation"
        evaluate_files(
            EvaluateRequest(
                folder / "clinical.nii.gz",
                tuple(found),
                truth=folder / "truth.nii.gz",
                labels=labels if labels.is_file() else None,
                micro=micro,
                micro_window=None if micro is None else (window.low, window.high),
                out=out,
                overwrite=True,
            )
        )
        records.append(out / "metrics.json")
    return records


def table(rows: list[Row]) -> str:
    """What each row is made by and cost, as Markdown."""
    lines = ["| row | made by | learning, processor time | processor s a slice |", "|---|---|---|---|"]
    lines += [f"| {row.name} | {row.made_by} | {row.learning} | {row.slice_seconds:.1f} |" for row in rows]
    return "\n".join(lines).replace("nan", "–")


def run(arguments: argparse.Namespace) -> str:
    """Do everything, and return the page."""
    given = [one.partition("=")[0] for one in (*arguments.model, *arguments.output)]
    names = [BASELINE, *arguments.peers, *arguments.method, *given]
    if len(set(names)) < len(names):
        raise OptionError(f"`model` and `output`: every row needs a name of its own; found {', '.join(names)}")
    rows, absent, outputs = enhanced(arguments)
    if not rows:
        raise OptionError("no peer is here, and no `model`, `method` or `output` is given: nothing to compare")
    board = compare_records(CompareRequest(tuple(evaluated(arguments, outputs)), arguments.out, overwrite=True))
    missing = "".join(f"* {reason}\n" for reason in absent)
    page = f"{table(rows)}\n\n{missing}\n{board_markdown(board)}\n"
    (arguments.out / "peers.md").write_text(page, encoding="utf-8")
    return page


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bank", type=Path, required=True, help="folder that 'ctloupe prepare' made")
    parser.add_argument("--phantom", type=Path, nargs="+", required=True, help="folders with scan and truth, of cases")
    parser.add_argument(
        "--minutes", type=float, default=2.0, help="of learning: processor time, and of --method the clock"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for volumes, records and leaderboard")
    parser.add_argument("--peers", nargs="*", choices=PEERS, default=list(PEERS), help="default: all")
    parser.add_argument("--model", nargs="*", default=[], help="NAME=PACKAGE of models that are rows too")
    parser.add_argument("--method", nargs="*", default=[], help="methods of ours to train for as many minutes")
    parser.add_argument("--output", nargs="*", default=[], help="NAME=VOLUME that was enhanced elsewhere")
    parser.add_argument("--micro", type=Path, help="unpaired µCT for texture; default: the phantom's own")
    parser.add_argument("--seed", type=int, default=0)
    try:
        print(run(parser.parse_args()))
    except CtLoupeError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
