"""Small records of every kind that the project writes and reads again, and what reads each."""

from __future__ import annotations

import csv
import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

import numpy as np
import torch

from ctloupe import methods
from ctloupe.enhance.identity import Identity
from ctloupe.enhance.resolver import load_model
from ctloupe.enhance.store.cluster import finished_slabs
from ctloupe.enhance.store.journal import BegunWork, FinishedSlab, Journal
from ctloupe.enhance.tiling import Tiling
from ctloupe.evaluate.comparison import Comparison, load_comparison
from ctloupe.evaluate.suite.compare import CompareRequest, compare_records
from ctloupe.evaluate.suite.definition import load_suite
from ctloupe.foundation.records import read_plain
from ctloupe.rate.analysis import analyse
from ctloupe.rate.design import Design, read_design, write_study
from ctloupe.rate.ratings import read_ratings
from ctloupe.train import checkpoint
from ctloupe.train.bank_pair import load_banks
from ctloupe.train.loop import train
from ctloupe.train.request import TrainRequest
from ctloupe.train.run_folder import MetricsLog, RunFolder
from ctloupe.train.settings import TrainSettings
from ctloupe.train.stages import load_method
from small_bank import write_small_bank
from small_config import SMALL_BY_METHOD

_METHOD = "srgan"
_SUITE = "smoke-v1"


@dataclass(frozen=True)
class Record:
    """One kind: what writes it into an empty folder, and what reads it there."""

    build: Callable[[Path], None]
    use: Callable[[Path], object]


def _use_banks(folder: Path) -> object:
    pair = load_banks(folder)
    return [np.asarray(bank.patches).sum() for bank in (pair.clinical, pair.micro)]


def _run(folder: Path) -> None:
    with tempfile.TemporaryDirectory() as beside:
        write_small_bank(Path(beside))
        config = methods.get(_METHOD).configure("tiny", SMALL_BY_METHOD[_METHOD])
        values = {"method": _METHOD, "preset": "tiny", "config": config.model_dump(mode="json"), "steps": 1}
        options = {"bank": beside, "out": folder / "run", "accelerator": "cpu", "precision": "32-true"}
        train(TrainSettings.model_validate(values | options))


def _use_run(folder: Path) -> object:
    run = RunFolder(folder / "run")
    states = [checkpoint.read(path) for path in checkpoint.found(run.checkpoints)]
    return run.facts(), run.settings(), load_method(run.path), states, MetricsLog(run.metrics, 10)


def _package(folder: Path) -> None:
    with tempfile.TemporaryDirectory() as beside:
        _run(Path(beside))
        shutil.copytree(Path(beside) / "run" / "model", folder / "model")


def _use_package(folder: Path) -> object:
    return load_model(str(folder / "model"))


def _identity() -> Identity:
    facts = {"scan": "s", "mask": None, "region": [[0, 9], [0, 4], [0, 4]], "model": {}, "precision": "float32"}
    return Identity.model_validate(facts | {"device": "cpu", "options": {"seed": 0}})


def _journal(folder: Path) -> None:
    journal = Journal(folder / "fine.ome.zarr")
    journal.begin()
    journal.opened(BegunWork(identity=_identity(), tiling=Tiling(tile=(8, 16), copies=2), stores={"values": (12, 3)}))
    for first in (0, 2, 4):
        marks = {"values": ((12, 345), (0, 0))}
        slab = FinishedSlab(slices=(first, first + 2), residual=(1.5, -0.1, 7), tiles=(3, 1), marks=marks)
        journal.record(slab)


def _use_journal(folder: Path) -> object:
    journal = Journal(folder / "fine.ome.zarr")
    journal.resume(_identity())
    return journal.finished()


def _answer(folder: Path) -> None:
    slabs = [
        FinishedSlab(slices=at, residual=(1.5, -0.1, 7), tiles=(3, 1), marks={"values": ((12, 345), (0, 0))})
        for at in ((0, 2), (2, 4))
    ]
    (folder / "answer.json").write_text(json.dumps([one.model_dump(mode="json") for one in slabs]), encoding="utf-8")


def _use_answer(folder: Path) -> object:
    return finished_slabs(read_plain(folder / "answer.json", "answer", "send it again"), (0, 4))


def _comparison(folder: Path) -> None:
    for name in ("one", "other"):
        rows = {"bicubic": {"PSNR (dB)": 16.5, "SSIM": 0.1}, "mine": {"PSNR (dB)": float("inf"), "SSIM": float("nan")}}
        said = {"PSNR (dB)": "how near the values are", "SSIM": "how alike the structures are"}
        facts = {"uncertainty": {"factor": 1.2, "factors": {"1": 1.2}}}
        Comparison("paired-phantom, version 1", rows, said, facts).save(folder / f"{name}.json")


def _use_comparison(folder: Path) -> object:
    records = (folder / "one.json", folder / "other.json")
    return [load_comparison(one) for one in records], compare_records(CompareRequest(records, folder / "board"))


def _suite(folder: Path) -> None:
    text = files("ctloupe.evaluate.suite.definitions").joinpath(f"{_SUITE}.yaml").read_text(encoding="utf-8")
    (folder / "suite.yaml").write_text(text, encoding="utf-8")


def _ratings(folder: Path) -> None:
    values = {"name": "small", "methods": ["one", "other"], "patches": 3, "raters": ["a", "b"], "repeats": 1}
    design = Design.model_validate(values | {"criteria": {"sharpness": (1, 5)}})
    for sheet in write_study(design, folder / "study"):
        if sheet.name.startswith("ratings-"):
            rows = list(csv.DictReader(sheet.open(encoding="utf-8")))
            with sheet.open("w", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, list(rows[0]))
                writer.writeheader()
                writer.writerows(row | {"sharpness": str(1 + number % 5)} for number, row in enumerate(rows))


def _use_ratings(folder: Path) -> object:
    study = folder / "study"
    design = read_design(study / "design.yaml")
    return analyse(design, read_ratings(design, study, sorted(study.glob("ratings-*.csv"))))


def _configuration(folder: Path) -> None:
    config = methods.get(_METHOD).configure("tiny", SMALL_BY_METHOD[_METHOD])
    (folder / "config.json").write_text(json.dumps(config.model_dump(mode="json")), encoding="utf-8")
    (folder / "config.yaml").write_text(json.dumps(config.model_dump(mode="json"), indent=1), encoding="utf-8")


def _use_configuration(folder: Path) -> object:
    request = TrainRequest(folder / "bank", folder / "run", _METHOD, "tiny", config=folder / "config.yaml")
    return request.settings()


FROM_A_WORKER = "answer of a worker"
"""A message, which no file holds."""

RECORDS = {
    "model package": Record(_package, _use_package),
    "patch banks": Record(write_small_bank, _use_banks),
    "run folder": Record(_run, _use_run),
    "journal": Record(_journal, _use_journal),
    FROM_A_WORKER: Record(_answer, _use_answer),
    "record of an evaluation": Record(_comparison, _use_comparison),
    "suite": Record(_suite, lambda folder: load_suite(str(folder / "suite.yaml"))),
    "ratings": Record(_ratings, _use_ratings),
    "training configuration": Record(_configuration, _use_configuration),
}


@cache
def template(kind: str) -> tempfile.TemporaryDirectory[str]:
    """Return a folder with a sound record of this kind, made once in a process and removed at its end."""
    torch.set_num_threads(1)
    folder = tempfile.TemporaryDirectory(prefix="ctloupe-fuzz-")
    RECORDS[kind].build(Path(folder.name))
    return folder
