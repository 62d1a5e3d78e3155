"""A suite of scanners unlike those of the training: the same bodies, seen otherwise."""

import numpy as np
import pytest
from pydantic import ValidationError

from ctloupe.evaluate.suite.definition import PhantomSpec, load_suite
from ctloupe.phantom.clinical import clinical_scan
from ctloupe.scanner.other_scanner import PARTS

BODY = {"anatomy": "lung", "seed": 4, "size": (8, 32, 32)}


def test_every_scanner_sees_the_same_bodies_which_are_those_of_no_other_suite():
    suite = load_suite("lung-scanners-v1")
    bodies = {
        group: {(case.anatomy, case.seed, case.size, str(case.options)) for case in suite.cases if case.group == group}
        for group in suite.groups
    }
    assert len(set(map(frozenset, bodies.values()))) == 1 and len(bodies) == len(PARTS) + 1
    assert sorted({case.scanner for case in suite.cases}) == sorted([(), *((name,) for name in PARTS)])
    seeds = {case.seed for case in suite.cases} | {spec.seed for spec in suite.specimens.values()}
    others = {
        one.seed
        for name in ("lung-v1", "lung-b-v1", "lung-kernels-v1", "smoke-v1")
        for one in (*load_suite(name).cases, *load_suite(name).specimens.values())
    }
    assert len(seeds) == 3 and not seeds & others


def test_a_specification_scans_with_the_parts_it_names_and_says_them():
    usual, other = PhantomSpec(**BODY), PhantomSpec(**BODY, scanner=("ringing", "streaks"))
    assert other.in_words() == "lung, seed 4, noise usual, scanner with ringing and streaks"
    made = other.make(4)
    expected = clinical_scan(made.truth, 4, 4, parts=("streaks", "ringing"), seed=4)
    assert np.array_equal(made.clinical.data, expected.data) and made.config.scanner == ("ringing", "streaks")
    assert "scanner" not in usual.model_dump(mode="json")
    assert PhantomSpec.model_validate(other.model_dump(mode="json")) == other


def test_scanners_that_cannot_be_are_refused_in_a_definition():
    for scanner, kernel in ((("rings",), "standard"), (("motion", "double-edge"), "standard"), (("ringing",), "sharp")):
        with pytest.raises(ValidationError, match=r"expected one or several|replaces what|of its own"):
            PhantomSpec(**BODY, scanner=scanner, kernel=kernel)


def test_groups_with_one_specimen_share_its_phantom():
    scanners, first = load_suite("lung-scanners-v1"), load_suite("lung-v1")
    assert {scanners.specimen_folder(group) for group in scanners.groups} == {"specimen-usual-scanner"}
    assert [first.specimen_folder(group) for group in first.groups] == ["specimen-lung", "specimen-inner-ear"]
