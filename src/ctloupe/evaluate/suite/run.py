"""A benchmark that others can run: the same phantoms, models of their own, one leaderboard a group."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np

from ctloupe.enhance.resolver import SuperResolver, load_model
from ctloupe.evaluate.alignment import interpolated
from ctloupe.evaluate.comparison import BASELINE, Comparison, load_comparison
from ctloupe.evaluate.metrics.texture import Unpaired, in_hu, texture_of
from ctloupe.evaluate.protocols.kernel_pair import KERNEL_PAIR_PROTOCOL, compare_kernel_pair
from ctloupe.evaluate.protocols.paired_phantom import PAIRED_PHANTOM, compare_with_truth
from ctloupe.evaluate.suite.controls import CONTROLS, control_rows
from ctloupe.evaluate.suite.definition import CaseSpec, Suite
from ctloupe.evaluate.suite.expected import left_in_words, plan_in_words, seconds_a_slice, seconds_of_case
from ctloupe.evaluate.suite.leaderboard import Leaderboard, leaderboard, mean_of_seeds
from ctloupe.evaluate.suite.phantoms import describes, make_missing, other_of, phantom_in
from ctloupe.evaluate.suite.report import keep_crops, write_suite_report, write_tables
from ctloupe.evaluate.warnings import warnings_for
from ctloupe.foundation.errors import OptionError
from ctloupe.foundation.names import require_name
from ctloupe.images.windows import IntensityWindow
from ctloupe.networks.flow.enhancer import FlowEnhancer
from ctloupe.phantom.clinical_slices import labels_on_clinical_slices, truth_on_clinical_slices
from ctloupe.volume.formats import read
from ctloupe.volume.volume import Volume

_BY_ROW: Final = ("warnings", "by size", "slice by slice", "intervals")
"""Facts that have an entry a row."""


@dataclass(frozen=True)
class Entry:
    """One trained model of a row: the row's name, the number of its seed, and the model."""

    row: str
    seed: int
    resolver: SuperResolver

    @property
    def key(self) -> str:
        """Name of its own row in the results of a case."""
        return f"{self.row} seed {self.seed}"

    @cached_property
    def weights(self) -> str:
        """Digest of the model's weights; asked for in every case."""
        return self.resolver.model.digest()


def measure_suite(
    suite: Suite,
    models: Sequence[tuple[str, Path]],
    out: Path,
    data: Path,
    controls: bool = False,
    say: Callable[[str], None] = lambda line: None,
    samples: bool = False,
) -> dict[str, Leaderboard]:
    """Measure models on every case of a suite, and write results, leaderboards and a page into `out`.

    What was measured with the same weights before is taken from ``out/cases``, so that an interrupted run goes on
    and a further model costs its own time only.

    Parameters
    ----------
    suite
        The suite, from `load_suite`.
    models
        Row name and model package; several of one name are seeds of one method and are averaged.
    out
        Folder for ``cases/*.json``, ``leaderboard.md``, ``leaderboard.csv`` and ``report.html``.
    data
        Where the phantoms are kept; they are made when they are not there.
    controls
        Add deliberately bad enhancers as rows.
    say
        Told what is being done.
    samples
        Add a sample of every model that draws any as a row of its own, one for each of its seeds.

    Returns
    -------
    dict
        A leaderboard by group.

    Raises
    ------
    OptionError
        If a model has another scale or a row's name is taken.
    """
    entries = _entries(suite, models, samples)
    found: dict[str, Comparison] = {}
    textures: dict[str, Unpaired] = {}
    asked = [_Asked.of(case, entries, controls, out) for case in suite.cases]
    missing = [one for one in asked if one.is_missing]
    expected = _expected(suite, missing)
    if missing:
        rows = dict.fromkeys(entry.row for one in missing for entry in one.entries)
        say(plan_in_words(expected, len(rows) + 1 + len(CONTROLS) * any(one.controls for one in missing)))
        make_missing(suite, [one.case for one in missing], data, say)
    begun, done = time.monotonic(), 0
    for one in asked:
        case, known = one.case, one.known
        if one.is_missing:
            say(f"{case.key}: {', '.join(entry.key for entry in one.entries) or 'bicubic'}")
            if case.other is None and case.group not in textures:
                textures[case.group] = _unpaired(suite, case.group, data)
            known = _measured(suite, case, one.entries, known, textures.get(case.group), one.controls, data, out)
            known.save(one.path(out))
            done += 1
            say(left_in_words(time.monotonic() - begun, expected, done))
        assert known is not None
        found[case.key] = known
    boards = {}
    for group in suite.groups:
        cases = {case.key: _averaged(found[case.key], entries, controls) for case in suite.cases if case.group == group}
        boards[group] = leaderboard(cases)
    write_tables(boards, f"Suite {suite.name}: {suite.title}", out)
    write_suite_report(suite, boards, found, {entry.key: entry.row for entry in entries if entry.seed == 0}, out)
    return boards


@dataclass(frozen=True)
class _Asked:
    """What is asked of a case: what is known of it, and the models and controls that are missing."""

    case: CaseSpec
    known: Comparison | None
    entries: list[Entry]
    controls: bool

    @classmethod
    def of(cls, case: CaseSpec, entries: list[Entry], controls: bool, out: Path) -> _Asked:
        known = _known(out / "cases" / f"{case.key}.json", case)
        missing = [entry for entry in entries if not _is_known(entry, known)]
        wants = controls and case.other is None and (known is None or not set(CONTROLS) <= set(known.rows))
        return cls(case, known, missing, wants)

    @property
    def is_missing(self) -> bool:
        """Whether there is anything to measure."""
        return self.known is None or bool(self.entries) or self.controls

    def path(self, out: Path) -> Path:
        """File of the case's numbers."""
        return out / "cases" / f"{self.case.key}.json"


def _expected(suite: Suite, missing: list[_Asked]) -> list[float]:
    """Seconds that each case is expected to take, every model tried on a slice of the size of the first."""
    tried: dict[str, float] = {}
    found = []
    for one in missing:
        case, scans = one.case, 1 if one.case.other is None else 2
        for entry in one.entries:
            if entry.key not in tried:
                tried[entry.key] = seconds_a_slice(entry.resolver, case.size[1] // suite.scale)
        slices = max(1, case.size[0] // (case.slices or suite.scale))
        others = 2 + len(CONTROLS) * one.controls
        found.append(seconds_of_case(case.size, slices, [tried[entry.key] for entry in one.entries], others, scans))
    return found


def _entries(suite: Suite, models: Sequence[tuple[str, Path]], samples: bool) -> list[Entry]:
    entries: list[Entry] = []
    drawn: list[Entry] = []
    for name, path in models:
        require_name(name, "model")
        if name == BASELINE:
            raise OptionError(f"`model` {name}: bicubic is always a row; choose another name")
        resolver = load_model(path, suite.scale)
        seed = sum(entry.row == name for entry in entries)
        entries.append(Entry(name, seed, resolver.named(name)))
        if samples and isinstance(resolver.model.network, FlowEnhancer):
            sampled = resolver.with_options(output="sample", seed=seed)
            drawn.append(Entry(f"{name}, a sample", seed, sampled.named(f"{name}, a sample")))
    # No model is called so, since names hold no comma.
    return entries + drawn


def _known(path: Path, case: CaseSpec) -> Comparison | None:
    """What was measured before, by this version of the protocol on this very phantom."""
    if not path.is_file():
        return None
    known = load_comparison(path)
    protocol = PAIRED_PHANTOM if case.other is None else KERNEL_PAIR_PROTOCOL
    same = known.protocol == protocol.title and describes(known.facts.get("case"), case)
    return known if same else None


def _is_known(entry: Entry, known: Comparison | None) -> bool:
    return known is not None and known.models.get(entry.key, {}).get("weights") == entry.weights


def _unpaired(suite: Suite, group: str, data: Path) -> Unpaired:
    spec, windows = suite.specimens[group], suite.windows[group]
    folder = phantom_in(spec, suite.scale, data / suite.specimen_folder(group))
    micro = read(folder / "micro.nii.gz")
    spacing = micro.spacing[1], micro.spacing[2]
    return Unpaired(texture_of(micro, IntensityWindow(*windows.micro), spacing), IntensityWindow(*windows.clinical))


def _measured(
    suite: Suite,
    case: CaseSpec,
    entries: list[Entry],
    known: Comparison | None,
    unpaired: Unpaired | None,
    controls: bool,
    data: Path,
    out: Path,
) -> Comparison:
    """Measure what is missing of a case, and join it to what is known."""
    if case.other is not None:
        return _measured_pair(suite, case, entries, known, data, out)
    folder = phantom_in(case, suite.scale, data / case.key)
    scan = read(folder / "clinical.nii.gz")
    whole = read(folder / "truth.nii.gz")
    truth, thick = _held(truth_on_clinical_slices(whole, scan)), truth_on_clinical_slices(whole, scan, "slab")
    labels = _held(labels_on_clinical_slices(read(folder / "labels.nii.gz"), scan))
    windows = suite.windows[case.group]
    both = IntensityWindow(*windows.micro), IntensityWindow(*windows.clinical)
    own = in_hu(read(folder / "micro.nii.gz"), scan, *both)
    rows = {entry.key: entry.resolver.enhance(scan) for entry in entries}
    plain = interpolated(scan, suite.scale)
    wanted = rows | (control_rows(truth, suite.scale) if controls else {})
    found = compare_with_truth(scan, wanted or {BASELINE: plain}, truth, None, labels, unpaired, thick, own)
    keep_crops(out / "pictures" / case.key, scan, truth, {BASELINE: plain, **rows})
    found = _with_origin(found, suite, case, entries, rows, scan)
    return found if known is None else _joined(known, found)


def _measured_pair(
    suite: Suite, case: CaseSpec, entries: list[Entry], known: Comparison | None, data: Path, out: Path
) -> Comparison:
    """Measure what is missing of a kernel pair, and join it to what is known."""
    folders = (
        phantom_in(case, suite.scale, data / case.key),
        phantom_in(other_of(case), suite.scale, data / case.other_folder),
    )
    one, other = (read(folder / "clinical.nii.gz") for folder in folders)
    plain = interpolated(one, suite.scale), interpolated(other, suite.scale)
    rows = {entry.key: (entry.resolver.enhance(one), entry.resolver.enhance(other)) for entry in entries}
    found = compare_kernel_pair((one, other), rows or {BASELINE: plain})
    truth = _held(truth_on_clinical_slices(read(folders[0] / "truth.nii.gz"), one))
    firsts = {key: row[0] for key, row in rows.items()}
    keep_crops(out / "pictures" / case.key, one, truth, {BASELINE: plain[0], **firsts})
    found = _with_origin(found, suite, case, entries, firsts, one)
    return found if known is None else _joined(known, found)


def _with_origin(
    found: Comparison,
    suite: Suite,
    case: CaseSpec,
    entries: list[Entry],
    rows: Mapping[str, Volume],
    scan: Volume,
) -> Comparison:
    """What was measured, with the models that made the rows, their warnings, and the case."""
    models: dict[str, dict[str, Any]] = {
        entry.key: entry.resolver.record() | {"history": list(rows[entry.key].history)[-1:]} for entry in entries
    }
    warned = {entry.key: list(warnings_for(scan, None, entry.resolver)) for entry in entries}
    origin = {"suite": suite.name, "case": case.model_dump(mode="json"), "warnings": warned}
    return replace(found, models=models, facts=found.facts | origin)


def _joined(known: Comparison, found: Comparison) -> Comparison:
    """Rows of one case that were measured at different times."""
    facts = {key: known.facts.get(key, {}) | found.facts[key] for key in _BY_ROW if key in found.facts}
    return replace(
        found,
        rows=known.rows | found.rows,
        models=known.models | found.models,
        curves={figure: known.curves.get(figure, {}) | lines for figure, lines in found.curves.items()},
        facts=found.facts | facts,
    )


def _held(volume: Volume) -> Volume:
    """The volume with its voxels in memory: every row reads them."""
    return volume.with_data(np.asarray(volume.data))


def _averaged(found: Comparison, entries: list[Entry], controls: bool) -> Comparison:
    """Rows that were asked for, the seeds of a method averaged."""
    rows = {BASELINE: found.rows[BASELINE]}
    for name in dict.fromkeys(entry.row for entry in entries):
        rows[name] = mean_of_seeds([found.rows[entry.key] for entry in entries if entry.row == name])
    if controls:
        rows |= {name: found.rows[name] for name in CONTROLS if name in found.rows}
    return replace(found, rows=rows)
