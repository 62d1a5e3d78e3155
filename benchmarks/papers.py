"""Run every study of the papers, from nothing and resumable, and write what came of them into a page of the docs.

python benchmarks/papers.py --out papers --page docs/results.md
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ctloupe.studies.definition import load_study, names
from ctloupe.studies.summary import summary_of

BEGIN, END = "<!-- papers: begin -->", "<!-- papers: end -->"
FIRST = ("jmi-table7", "1")
"""Study and row that are run first: of the studies that share their data it has the largest patches."""


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder of the studies and of the data they share")
    parser.add_argument("--page", type=Path, help="Markdown page with the two marks; without it the text is printed")
    parser.add_argument("--scale", default="tiny")
    parser.add_argument("--seeds", type=int, default=2, help="trainings of each row")
    parser.add_argument("--steps", type=int, default=60, help="steps of each training, so that load changes nothing")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="studies that run at once")
    parser.add_argument("--studies", default=",".join(of_papers()), help="names, separated by commas")
    parser.add_argument("--only-page", action="store_true", help="run nothing, write the page of what there is")
    parser.add_argument("options", nargs="*", help="further options of 'ctloupe study run', behind --")
    asked = parser.parse_args()
    studies = asked.studies.split(",")
    text = asked.page.read_text(encoding="utf-8") if asked.page else f"{BEGIN}{END}"
    if BEGIN not in text or END not in text:
        parser.error(f"{asked.page}: expected the marks {BEGIN} and {END}")
    if not asked.only_page:
        asked.out.mkdir(parents=True, exist_ok=True)
        run_all(asked, studies)
    made = summary_of([asked.out / name for name in studies if (asked.out / name / "study.json").is_file()])
    if asked.page is None:
        print(made)
        return
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    asked.page.write_text(f"{before}{BEGIN}\n\n{made}\n\n{END}{after}", encoding="utf-8")


def of_papers():
    """Names of the studies of papers, those of most rows first, so that all cores have work until the end."""
    studies = [load_study(name) for name in names()]
    papers = [study for study in studies if study.reference != "this project"]
    return [study.name for study in sorted(papers, key=lambda study: -len(study.trained()))]


def run_all(asked, studies):
    """Run the studies seed by seed, so that what is stopped has all rows at some seeds; times are taken last, alone."""
    trained = [name for name in studies if load_study(name).protocols != ("cost",)]
    if FIRST[0] in trained:
        run(asked, FIRST[0], 1, ["--only", FIRST[1]])
    for seeds in range(1, asked.seeds + 1):
        with ThreadPoolExecutor(asked.workers) as pool:
            for done in [pool.submit(run, asked, name, seeds) for name in trained]:
                done.result()
    for name in studies:
        if name not in trained:
            run(asked, name, 1, alone=True)


def run(asked, name, seeds, more=(), alone=False):
    """Run one study in a process of its own, which a crash ends without the others."""
    out = asked.out / name
    command = [Path(sys.executable).with_name("ctloupe"), "study", "run", name, "--out", out, "--scale", asked.scale]
    command += ["--seeds", seeds, "--steps", asked.steps, "--resume", *more, *asked.options]
    if shares(name, asked.scale):
        command += ["--data", asked.out / "data"]
    # Without this each of several processes would take all cores, and they would wait for each other.
    threads = {} if alone else {"OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // asked.workers))}
    with (asked.out / f"{name}.log").open("a") as log:
        print(" ".join(map(str, command)), file=log, flush=True)
        done = subprocess.run([*map(str, command)], env=os.environ | threads, stdout=log, stderr=log, check=False)
    if done.returncode:
        raise SystemExit(f"{name}: failed with {done.returncode}; see {asked.out / name}.log")
    print(f"{name}, {seeds} of {asked.seeds} trainings a row: done", flush=True)


def shares(name, scale):
    """Whether a study's data are those of the first one."""
    study, first = load_study(name), load_study(FIRST[0])
    same = study.recipe(scale).model_dump(exclude={"enhance"}) == first.recipe(scale).model_dump(exclude={"enhance"})
    wanted = {"size", "cases", "micro_cases", "test_cases", "per_case"}
    budgets = (one.planned(scale).model_dump(include=wanted) for one in (study, first))
    return same and study.enlargement == first.enlargement and len({str(budget) for budget in budgets}) == 1


if __name__ == "__main__":
    main()
