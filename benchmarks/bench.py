"""Every table of docs/performance.md for the machine at hand, and a record by which two machines can be compared.

python benchmarks/bench.py --out bench.json
python benchmarks/bench.py --only enhance --only train --out bench.json
python benchmarks/bench.py --compare docs/machines/avx2.json bench.json
"""

from __future__ import annotations

import argparse
import datetime
import json
import shlex
import subprocess
import sys
import time
from pathlib import Path

import machine

HERE = Path(__file__).resolve().parent

TABLES = {
    "enhance": "enhance.py",
    "enhance-flow": "enhance.py --method physics-flow --size 256",
    "tries": "tries.py",
    "file-to-file": "file_to_file.py",
    "train": "train.py --profile --batch-size 2 --repeats 2",
    "methods": "methods.py --only sr-cyclegan physics-flow unet bicubic",
    "prepare": "prepare.py",
    "evaluate": "evaluate.py",
    "scaling": "scaling.py",
    "memory": "memory.py --slices 50 400",
    "samples": "samples.py",
    "resume": "resume.py",
    "reading-apart": "reading_apart.py",
    "long-runs": "long_runs.py",
}
"""Commands whose tables the page shows, quick ones first; scans and models are made up where none are given."""


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", action="append", choices=TABLES, metavar="NAME", help="this table; may be repeated")
    parser.add_argument("--out", type=Path, help="JSON record; tables that it has of this machine already are replaced")
    parser.add_argument("--arguments", default="", help="more arguments for each command, for a quick look")
    parser.add_argument("--compare", nargs=2, type=Path, metavar="RECORD", help="print two records side by side")
    arguments = parser.parse_args()
    if arguments.compare:
        print(compared(*(json.loads(path.read_text(encoding="utf-8")) for path in arguments.compare)))
        return 0
    record = begun(arguments.out)
    print(f"# {machine.in_words()}")
    failed = []
    for name in arguments.only or TABLES:
        print(f"\n## {name}\n\n    python benchmarks/{TABLES[name]}\n", flush=True)
        started = time.perf_counter()
        words = [*shlex.split(TABLES[name]), *shlex.split(arguments.arguments)]
        ran = subprocess.run([sys.executable, str(HERE / words[0]), *words[1:]], stdout=subprocess.PIPE, text=True)
        print(ran.stdout, flush=True)
        if ran.returncode:
            failed.append(name)
            continue
        record["tables"][name] = {
            "command": f"python benchmarks/{' '.join(words)}",
            "seconds": round(time.perf_counter() - started),
            "tables": tables_in(ran.stdout),
        }
        if arguments.out:
            arguments.out.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return int(bool(failed))


def begun(out):
    """The record that is there already, if it is of a machine like this one; else an empty one."""
    here = machine.machine()
    if out and out.exists():
        record = json.loads(out.read_text(encoding="utf-8"))
        if record["machine"] != here:
            raise SystemExit(f"{out} is of another machine ({record['machine']['kind']}); name another file")
        return record
    return {"machine": here, "date": datetime.date.today().isoformat(), "tables": {}}


def tables_in(text):
    """The Markdown tables of a text, each as its header and its rows."""
    found, rows = [], []
    for line in [*text.splitlines(), ""]:
        if line.startswith("|"):
            rows.append([cell.strip() for cell in line.strip().strip("|").split("|")])
        elif rows:
            found.append({"header": rows[0], "rows": rows[2:]})
            rows = []
    return found


def compared(first, second):
    """Rows that both records have, the columns of the one beside those of the other."""
    kinds = [record["machine"]["kind"] for record in (first, second)]
    lines = [f"# {kinds[0]} and {kinds[1]}"]
    for name, one in first["tables"].items():
        other = second["tables"].get(name)
        for mine, theirs in zip(one["tables"], other["tables"] if other else [], strict=False):
            if mine["header"] != theirs["header"]:
                continue
            values = {row[0]: row[1:] for row in theirs["rows"]}
            head, *columns = mine["header"]
            names = [f"{column}, {kind}" for column in columns for kind in kinds]
            lines += ["", f"## {name}", "", f"| {' | '.join([head, *names])} |", "|---" * (1 + len(names)) + "|"]
            for label, *cells in mine["rows"]:
                if label in values:
                    pairs = [cell for both in zip(cells, values[label], strict=True) for cell in both]
                    lines.append(f"| {' | '.join([label, *pairs])} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
