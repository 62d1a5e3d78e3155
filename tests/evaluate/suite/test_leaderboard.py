"""Results meet only when their numbers mean the same."""

import json
from dataclasses import replace

import numpy as np
import pytest

from ctloupe.evaluate.protocols.jmi import JMI
from ctloupe.evaluate.protocols.paired_phantom import PAIRED_PHANTOM
from ctloupe.evaluate.suite.intervals import mean_interval
from ctloupe.evaluate.suite.leaderboard import by_case, leaderboard, mean_of_seeds
from ctloupe.foundation.errors import OptionError


def result(mine=17.0, plain=16.0, scan="a", **more):
    rows = {"bicubic": {"PSNR (dB)": plain, "consistency bias (HU)": -4.0}}
    rows["mine"] = {"PSNR (dB)": mine, "consistency bias (HU)": 1.0}
    return PAIRED_PHANTOM.comparison(rows | more, data={"scan": scan})


def test_results_of_different_protocols_or_versions_are_refused():
    jmi = JMI.comparison({"bicubic": {"PSNR peak 1 (dB)": 20.0}, "mine": {"PSNR peak 1 (dB)": 21.0}})
    newer = replace(result(), protocol="paired-phantom, version 2")
    for other in (jmi, newer):
        for gather in (leaderboard, by_case):
            with pytest.raises(OptionError, match="must not be compared"):
                gather({"one": result(), "two": other})


def test_the_mean_over_cases_has_an_interval_and_is_marked_where_it_differs_from_bicubic():
    cases = {f"case {k}": result(17 + 0.1 * k, 16 + 0.1 * k, str(k)) for k in range(6)}
    board = leaderboard(cases)
    value, difference = board.rows["mine"]["PSNR (dB)"]
    assert value.mean == pytest.approx(17.25) and value.low < 17.25 < value.high and value.cases == 6
    assert difference.mean == pytest.approx(1) and difference.excludes_zero
    head, body = board.texts()
    assert [row[0] for row in body] == ["bicubic", "mine"]
    assert body[1][head.index("PSNR (dB)")].endswith("▲")
    # Nearer to 0 is better, whatever the sign.
    assert body[1][head.index("consistency bias (HU)")].endswith("▲")
    assert "▲" in board.markdown() and board.csv().startswith("protocol,row,metric")


def test_nearer_to_the_ideal_is_better_from_either_side():
    label = "consistency χ²"

    def case(k):
        rows = {"bicubic": 1.6, "below": 0.8, "above": 1.3, "far below": 0.1, "far above": 1.9}
        values = {name: {"PSNR (dB)": 16.0, label: value + 0.01 * k} for name, value in rows.items()}
        return PAIRED_PHANTOM.comparison(values, data={"scan": str(k)}, limits={label: 1.02})

    head, body = leaderboard({f"case {k}": case(k) for k in range(6)}).texts([label])
    assert head == ["row", label] and body[-1] == ["(the truth by the same rule)", "1.02"]
    marks = {name: cell[-1] for name, cell in body}
    assert marks["below"] == marks["above"] == "▲"
    assert marks["far below"] == marks["far above"] == "▼"


def test_nearer_to_what_the_truth_has_in_each_case_is_better():
    label = "mesh (dB)"

    def case(k):
        truth = 1.0 + k
        rows = {"bicubic": truth - 1.5, "like the truth": truth + 0.5, "below bicubic": truth - 2.5, "above": truth + 6}
        values = {name: {label: value + 0.01 * k} for name, value in rows.items()}
        return PAIRED_PHANTOM.comparison(values, data={"scan": str(k)}, limits={label: truth})

    _, body = leaderboard({f"case {k}": case(k) for k in range(6)}).texts([label])
    marks = {name: cell[-1] for name, cell in body}
    assert marks["like the truth"] == "▲" and marks["below bicubic"] == marks["above"] == "▼"


def test_names_of_rows_and_metrics_make_no_html_and_no_further_columns():
    one = result()
    name = "<img src=x>|mine\n| forged"
    shown = leaderboard({"a": replace(one, rows=one.rows | {name: one.rows["bicubic"]})}).markdown()
    assert "\\<img src=x\\>\\|mine\\\\n\\| forged" in shown
    assert len(shown.splitlines()) == 2 + len(one.rows) + 1


def test_fewer_than_three_cases_have_no_interval():
    value, difference = leaderboard({"only": result()}).rows["mine"]["PSNR (dB)"]
    assert np.isnan(value.low) and not difference.excludes_zero


def test_a_row_that_a_case_lacks_is_not_averaged_over_the_others():
    with pytest.raises(OptionError, match="no row 'further'"):
        leaderboard({"one": result(), "two": result(further={"PSNR (dB)": 18.0})})


def test_models_measured_apart_on_one_scan_stand_in_one_table():
    joined = by_case({"one": result(), "two": replace(result(), rows={**result().rows, "other": {"PSNR (dB)": 15.0}})})
    assert list(joined) == ["one"] and set(joined["one"].rows) == {"bicubic", "mine", "other"}
    with pytest.raises(OptionError, match="name one of them otherwise"):
        by_case({"one": result(17), "two": result(18)})
    assert list(by_case({"one": result(17), "two": result(18, scan="b")})) == ["one", "two"]


def test_seeds_are_averaged_within_a_case():
    assert mean_of_seeds([{"a": 1.0, "b": float("nan")}, {"a": 3.0, "b": 5.0}]) == {"a": 2.0, "b": 5.0}


def test_the_bootstrap_interval_of_six_cases_covers_the_mean_about_as_often_as_its_docstring_says():
    random = np.random.default_rng(0)
    inside = [(one := mean_interval(random.normal(size=6), seed=k)).low < 0 < one.high for k in range(200)]
    assert 0.82 < np.mean(inside) < 0.93


def test_the_interval_of_many_values_is_that_of_the_normal_approximation():
    values = np.random.default_rng(1).normal(5, 2, 400)
    found = mean_interval(values)
    assert found.high - found.low == pytest.approx(2 * 1.96 * values.std() / 20, rel=0.05)
    assert mean_interval([1.0, 1.0, 1.0, float("nan")]).low == 1.0
    assert json.loads(json.dumps(mean_interval([]).cases)) == 0
