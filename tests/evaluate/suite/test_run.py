"""A suite: fixed phantoms, every model, one leaderboard a group."""

import json
import re
import shutil

import numpy as np
import pytest
from pydantic import ValidationError

from ctloupe.evaluate.comparison import load_comparison
from ctloupe.evaluate.metrics.trees import SLICES_ACROSS
from ctloupe.evaluate.suite.definition import PhantomSpec, load_suite
from ctloupe.evaluate.suite.run import measure_suite
from ctloupe.foundation.errors import FileError, ModelError, OptionError
from ctloupe.phantom.anatomies.registry import get
from page_structure import faults

pytestmark = pytest.mark.slow

SMALL = """
title: small
scale: 4
windows: {lung: {clinical: [-1000, 400], micro: [2500, 15000]}}
specimens: {lung: {anatomy: lung, seed: 9, size: [8, 96, 96]}}
cases:
  - {key: one, group: lung, anatomy: lung, seed: 1, size: [8, 96, 96]}
  - {key: two, group: lung, anatomy: lung, seed: 2, size: [8, 96, 96], kernel: sharp, noise_hu: 45}
  - {key: three, group: lung, anatomy: lung, seed: 3, size: [8, 96, 96], options: {nodule: true}}
"""


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    path = tmp_path_factory.mktemp("suite") / "mine.yaml"
    path.write_text(SMALL)
    return load_suite(str(path))


@pytest.fixture(scope="module")
def first(small, tiny_model, tmp_path_factory):
    """Folder of a suite that was run with two seeds of a model and with controls, its board, and what was said."""
    folder, said = tmp_path_factory.mktemp("first"), []
    models = [("mine", tiny_model), ("mine", tiny_model)]
    boards = measure_suite(small, models, folder / "out", folder / "data", controls=True, say=said.append)
    return folder, boards["lung"], said


@pytest.fixture
def kept(first, tmp_path):
    """A copy of that folder, for a test that goes on from it."""
    shutil.copytree(first[0], tmp_path, dirs_exist_ok=True)
    return tmp_path


def test_the_published_suite_has_the_cases_that_it_promises():
    suite = load_suite("lung-v1")
    lungs = [case for case in suite.cases if case.anatomy == "lung"]
    assert len({case.seed for case in lungs}) == len(lungs) >= 5
    assert len({case.kernel for case in lungs}) == 2
    assert len({case.noise_hu for case in lungs}) == 2
    assert [case.options for case in lungs if case.options] == [{"nodule": True}]
    assert sum(case.anatomy == "temporal-bone" for case in suite.cases) == 1
    assert not {case.seed for case in suite.cases} & {spec.seed for spec in suite.specimens.values()}


def test_the_suite_of_the_second_lung_family_asks_the_same_of_other_lungs():
    first, second = load_suite("lung-v1"), load_suite("lung-b-v1")
    assert {case.anatomy for case in second.cases} == {spec.anatomy for spec in second.specimens.values()} == {"lung-b"}
    assert second.windows["lung"] == first.windows["lung"] and len(second.cases) == len(first.cases)
    for one, other in zip(first.cases, second.cases, strict=True):
        if one.anatomy == "lung":
            assert (one.key, one.size, one.kernel, one.noise_hu, one.options) == (
                (other.key, other.size, other.kernel, other.noise_hu, other.options)
            )
    seeds = [spec.seed for suite in (first, second) for spec in (*suite.cases, *suite.specimens.values())]
    assert len(set(seeds)) == len(seeds)


def test_the_suite_of_thin_slices_shows_trees_at_the_doses_of_the_first():
    suite, first = load_suite("lung-thin-v1"), load_suite("lung-v1")
    kept = {spec.seed for name in ("lung-v1", "lung-b-v1", "lung-kernels-v1") for spec in load_suite(name).cases}
    seeds = [spec.seed for spec in (*suite.cases, *suite.specimens.values())]
    assert len(set(seeds)) == len(seeds) and not kept & set(seeds)
    doses = {get(case.anatomy).usual.noise_hu if case.noise_hu is None else case.noise_hu for case in first.cases[:6]}
    for case in suite.cases:
        # Half as thick a slice gathers half as many quanta.
        assert case.slices * 2 == suite.scale
        assert any(case.noise_hu == pytest.approx(noise * 2**0.5, rel=0.01) for noise in doses)
        spacing = case.slices * get(case.anatomy).usual.spacing
        assert all(SLICES_ACROSS * spacing <= rule.counted for rule in get(case.anatomy).structures if rule.tree)


def test_thin_slices_are_made_and_said_and_leave_other_records_as_they_were():
    plain = {"anatomy": "lung", "seed": 4, "size": (8, 48, 48)}
    thin = PhantomSpec(**plain, slices=2)
    assert thin.make(4).clinical.shape == (4, 12, 12) and "slices of 2 fine ones" in thin.in_words()
    assert PhantomSpec.model_validate(thin.model_dump(mode="json")) == thin
    assert "slices" not in PhantomSpec(**plain).model_dump()


def test_a_phantom_of_a_suite_is_decided_by_its_specification():
    spec = PhantomSpec(anatomy="lung", seed=4, size=(8, 48, 48), kernel="sharp", noise_hu=30)
    one, same = spec.make(4), spec.make(4)
    assert np.array_equal(one.clinical.data, same.clinical.data) and np.array_equal(one.truth.data, same.truth.data)
    assert one.config.kernel == "sharp" and one.config.noise_hu == 30


def test_a_specification_hands_options_to_its_anatomy_and_says_them():
    spec = PhantomSpec(anatomy="lung", seed=4, size=(8, 48, 48), options={"nodule": True, "parenchyma_hu": -870})
    assert spec.in_words() == "lung, seed 4, standard kernel, noise usual, with parenchyma_hu -870.0 and nodule"
    assert spec.make(4).config.options == spec.options
    plain = {"anatomy": "lung", "seed": 4, "size": (8, 48, 48)}
    assert PhantomSpec(**plain, options={"nodule": False}) == PhantomSpec(**plain)
    assert PhantomSpec.model_validate(plain | {"nodule": True}) == PhantomSpec(**plain, options={"nodule": True})
    with pytest.raises(ValidationError, match="`nodule` is no option of temporal-bone"):
        PhantomSpec(anatomy="temporal-bone", seed=4, size=(8, 48, 48), options={"nodule": True})


def test_phantoms_and_numbers_kept_under_the_earlier_key_are_kept(small, kept):
    spec, case = kept / "data" / "three" / "spec.json", kept / "out" / "cases" / "three.json"
    for path, facts in ((spec, lambda record: record), (case, lambda record: record["facts"]["case"])):
        record = json.loads(path.read_text())
        facts(record)["nodule"] = facts(record).pop("options")["nodule"]
        path.write_text(json.dumps(record))
    before = {path: path.stat().st_mtime_ns for path in (spec, case, spec.parent / "clinical.nii.gz")}
    measure_suite(small, [], kept / "out", kept / "data")
    assert {path: path.stat().st_mtime_ns for path in before} == before
    # A case that is measured again takes the phantom that is there.
    case.unlink()
    measure_suite(small, [], kept / "out", kept / "data")
    assert case.is_file()
    assert all(path.stat().st_mtime_ns == time for path, time in before.items() if path != case)


def test_bicubic_is_the_first_row_and_the_board_the_page_and_the_records_hold_every_model(first):
    folder, board, said = first
    assert list(board.rows)[:2] == ["bicubic", "mine"] and "texture in the wrong place" in board.rows
    assert board.cases == ("one", "two", "three") and board.rows["mine"]["PSNR (dB)"][0].cases == 3
    found = load_comparison(folder / "out" / "cases" / "two.json")
    assert found.facts["case"]["kernel"] == "sharp" and found.models["mine seed 0"]["weights"]
    assert {"mine seed 0", "mine seed 1", "bicubic"} <= set(found.rows)
    for name in ("leaderboard.md", "leaderboard.csv", "report.html"):
        text = (folder / "out" / name).read_text(encoding="utf-8")
        assert "mine" in text and (name.endswith("csv") or "Research use only" in text)
    page = (folder / "out" / "report.html").read_text(encoding="utf-8")
    assert page.count("data:image/png") >= 5 and not faults(page)
    plan, first, *made, cases = *said[:6], said[6:]
    assert re.fullmatch(r"plan: 3 cases, \d rows, about \d+ (s|min); one case after another, .* cores?", plan)
    assert re.fullmatch(r"phantoms first: 4, about \d+ s", first)
    assert made == ["phantom specimen-lung", "phantom one", "phantom two", "phantom three"]
    assert [line.split(":")[0] for line in cases[::2]] == ["one", "two", "three"]
    assert cases[1].startswith("  1 of 3 cases done, about ") and cases[5].startswith("  3 of 3 cases done, in ")


def test_what_is_known_is_not_measured_again_and_a_further_model_is_all_that_costs(small, tiny_model, first, kept):
    _, board, _ = first
    said = []
    models = [("mine", tiny_model), ("mine", tiny_model), ("lanczos", "lanczos")]
    again = measure_suite(small, models, kept / "out", kept / "data", say=said.append)
    assert said[0].startswith("plan: 3 cases, 2 rows, ")
    assert said[1::2] == [f"{case}: lanczos seed 0" for case in ("one", "two", "three")]
    told = len(said)
    assert list(again["lung"].rows) == ["bicubic", "mine", "lanczos"]
    assert [line for line in again["lung"].csv().splitlines() if ",mine," in line] == [
        line for line in board.csv().splitlines() if ",mine," in line
    ]
    measure_suite(small, models, kept / "out", kept / "data", say=said.append)
    assert len(said) == told


def test_a_case_that_was_changed_or_measured_otherwise_is_measured_again(tiny_model, kept):
    said = []
    (kept / "mine.yaml").write_text(SMALL.replace("seed: 2,", "seed: 5,"))
    path = kept / "out" / "cases" / "three.json"
    path.write_text(path.read_text().replace("paired-phantom, version 1", "paired-phantom, version 0"))
    changed = load_suite(str(kept / "mine.yaml"))
    measure_suite(changed, [("mine", tiny_model)], kept / "out", kept / "data", say=said.append)
    assert said[0].startswith("plan: 2 cases, 2 rows, ")
    assert said[1::2] == ["two: mine seed 0", "three: mine seed 0"]


@pytest.mark.parametrize(
    "arrays",
    [
        {},
        {"crop": np.zeros((2, 3, 4)), "spacing": np.ones(2)},
        {"crop": np.array([["a", "b"]]), "spacing": np.ones(2)},
        {"crop": np.zeros((4, 4)), "spacing": np.array([1.0, np.nan])},
        {"crop": np.zeros((4, 4)), "spacing": np.ones(3)},
        None,
    ],
)
def test_a_damaged_picture_is_named(small, tiny_model, kept, arrays):
    picture = kept / "out" / "pictures" / "one" / "bicubic.npz"
    picture.write_bytes(b"no picture")
    if arrays is not None:
        np.savez(picture, **arrays)
    with pytest.raises(FileError, match=r"bicubic\.npz: .*; delete it, and run the suite again"):
        measure_suite(small, [("mine", tiny_model)], kept / "out", kept / "data")


def test_models_are_warned_of_cases_unlike_their_training_data(first):
    out = first[0] / "out"
    assert load_comparison(out / "cases" / "one.json").facts["warnings"]["mine seed 0"]
    assert "⚠ mine: " in (out / "report.html").read_text(encoding="utf-8")


def test_nothing_is_written_outside_and_no_folder_of_others_is_replaced(small, tiny_model, tmp_path):
    with pytest.raises(OptionError, match=r"`model` '\.\./\.\./mine': expected a name"):
        measure_suite(small, [("../../mine", tiny_model)], tmp_path / "out", tmp_path / "data")
    scan = tmp_path / "data" / "specimen-lung" / "clinical.nii.gz"
    scan.parent.mkdir(parents=True)
    scan.write_text("a scan of one's own")
    with pytest.raises(FileError, match="specimen-lung: is not a phantom of a suite"):
        measure_suite(small, [], tmp_path / "out", tmp_path / "data")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [scan]
    assert scan.read_text() == "a scan of one's own"


def test_models_that_do_not_fit_are_refused(small, tiny_model, tmp_path):
    with pytest.raises(OptionError, match="bicubic is always a row"):
        measure_suite(small, [("bicubic", tiny_model)], tmp_path / "out", tmp_path / "data")
    with pytest.raises(ModelError, match="scale"):
        measure_suite(load_suite("smoke-v1"), [("mine", tiny_model)], tmp_path / "out", tmp_path / "data")
    assert not (tmp_path / "out").exists()


def test_a_sample_of_a_flow_is_a_row_of_its_own(tiny_flow, tmp_path):
    path = tmp_path / "one.yaml"
    path.write_text(re.sub(r"  - \{key: (two|three).*\n", "", SMALL).replace("96, 96", "64, 64"))
    boards = measure_suite(load_suite(str(path)), [("flow", tiny_flow)], tmp_path / "out", tmp_path, samples=True)
    assert list(boards["lung"].rows) == ["bicubic", "flow", "flow, a sample"]
    models = load_comparison(tmp_path / "out" / "cases" / "one.json").models
    assert [one["output"] for one in models.values()] == ["mean", "sample"]


@pytest.mark.parametrize(
    ("old", "new", "match"),
    [
        ("key: two", "key: one", "must differ"),
        ("key: two", "key: ../..", "key 'cases.1.key': expected a name"),
        ("key: two", "key: /some/folder", "key 'cases.1.key': expected a name"),
        ("key: two", "key: ONE", "share the folder 'one'"),
        ("key: two", "key: specimen-lung", "share the folder 'specimen-lung'"),
        ("group: lung", "group: ../lung", "key 'cases.0.group': expected a name"),
        ("specimens: {lung", "specimens: {../lung", "expected a name"),
        ("group: lung, anatomy: lung, seed: 2", "group: ear, anatomy: lung, seed: 2", "has no windows"),
        ("scale: 4", "scale: 5", "key 'scale'"),
        ("cases:", "further: 1\ncases:", "key 'further'"),
        ("title: small", "- [", "YAML"),
    ],
)
def test_a_suite_that_is_none_is_refused_by_the_key_that_is_wrong(tmp_path, old, new, match):
    (tmp_path / "mine.yaml").write_text(SMALL.replace(old, new, 1))
    with pytest.raises(FileError, match=match):
        load_suite(str(tmp_path / "mine.yaml"))


def test_a_suite_of_another_name_is_not_guessed():
    with pytest.raises(OptionError, match="lung-v1"):
        load_suite("lung-v2")
    with pytest.raises(FileError, match="cannot be read"):
        load_suite("nowhere.yaml")
