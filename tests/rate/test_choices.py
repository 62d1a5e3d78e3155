"""A choice between two methods: sides by the seed, and counts with the exact binomial test."""

import csv
import json

import numpy as np
import pytest
import yaml
from scipy.stats import binom

from ctloupe.cli.main import main
from ctloupe.foundation.errors import OptionError
from ctloupe.rate.analysis import write_analysis
from ctloupe.rate.choices import analyse_choices
from ctloupe.rate.design import Design, presentation, read_design, write_study
from ctloupe.rate.ratings import read_ratings
from rated_study import write_rated_study


def design(**changes):
    content = {
        "name": "texture",
        "comparison": "choice",
        "methods": ["bicubic", "ours", "micro"],
        "patches": 8,
        "criteria": ["realism", "vessels"],
        "raters": ["a", "b"],
        "repeats": 5,
        "seed": 1,
    }
    return Design.model_validate(content | changes)


def filled(made, folder, choose):
    """Sheets filled in by ``choose(row of the key, criterion)``, which returns a side."""
    write_study(made, folder)
    key = {(row["rater"], row["label"]): row for row in csv.DictReader((folder / "key.csv").open())}
    sheets = sorted(folder.glob("ratings-*.csv"))
    for sheet in sheets:
        rows = list(csv.DictReader(sheet.open()))
        for row in rows:
            row |= {name: choose(key[row["rater"], row["label"]], name) for name in made.criteria}
        with sheet.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    return sheets


def the_better(worth):
    return lambda row, _: "left" if worth[row["left"]] > worth[row["right"]] else "right"


def test_every_pair_of_every_patch_is_shown_once_on_sides_by_chance_and_again_with_sides_exchanged():
    rows = [row for row in presentation(design()) if row["rater"] == "a"]
    first = [row for row in rows if row["showing"] == "1"]
    assert len({(row["patch"], frozenset((row["left"], row["right"]))) for row in first}) == len(first) == 8 * 3
    # As often as not, the method that is named first stands on the left.
    order = ["bicubic", "ours", "micro"]
    assert sum(order.index(row["left"]) < order.index(row["right"]) for row in first) == 12
    again = [row for row in rows if row["showing"] == "2"]
    assert len(again) == 5
    for row in again:
        assert [
            one
            for one in first
            if (one["left"], one["right"]) == (row["right"], row["left"])
            if one["patch"] == row["patch"]
        ]
    assert presentation(design()) == presentation(design()) != presentation(design(seed=2))


def test_the_sheet_tells_nothing_and_the_design_reads_back_as_it_was(tmp_path):
    write_study(design(), tmp_path / "study")
    text = (tmp_path / "study" / "ratings-a.csv").read_text()
    assert not [word for word in ("bicubic", "ours", "micro", "patch") if word in text]
    assert read_design(tmp_path / "study" / "design.yaml") == design()


def test_wins_are_counted_whatever_the_side_with_the_exact_p_and_holms_correction(tmp_path):
    made = design()
    sheets = filled(made, tmp_path / "study", the_better({"bicubic": 1, "ours": 2, "micro": 3}))
    results = analyse_choices(made, read_ratings(made, tmp_path / "study", sheets))
    for result in results.values():
        assert [(one.one, one.other, one.wins, one.choices) for one in result.comparisons] == [
            ("bicubic", "ours", 0, 16),
            ("bicubic", "micro", 0, 16),
            ("ours", "micro", 0, 16),
        ]
        # All of n for one: twice the probability of n heads, and the interval in closed form.
        assert all(one.p == pytest.approx(2 * 0.5**16) for one in result.comparisons)
        assert all(one.high == pytest.approx(1 - 0.025 ** (1 / 16)) and one.low == 0 for one in result.comparisons)
        assert result.p_holm == pytest.approx([6 * 2 * 0.5**16] * 3)
        assert result.intra_rater == {"a": 1, "b": 1} and result.alpha != result.alpha


def test_one_who_always_takes_the_left_prefers_nothing_and_disagrees_with_himself(tmp_path):
    made = design()
    sheets = filled(made, tmp_path / "study", lambda row, name: "left" if row["rater"] == "a" else "")
    marks = read_ratings(made, tmp_path / "study", sheets)["realism"]
    assert np.isnan(marks.first[1]).all() and marks.first[0].mean() == 0.5
    result = analyse_choices(made, {"realism": marks})["realism"]
    assert result.intra_rater["a"] == 0 and np.isnan(result.intra_rater["b"])
    for one in result.comparisons:
        tail = binom.cdf(min(one.wins, one.choices - one.wins), one.choices, 0.5)
        assert one.p == pytest.approx(min(1, 2 * tail))


def test_the_analysis_is_written_in_words_numbers_and_pictures(tmp_path):
    made = design()
    sheets = filled(made, tmp_path / "study", the_better({"bicubic": 1, "ours": 2, "micro": 3}))
    write_analysis(made, read_ratings(made, tmp_path / "study", sheets), tmp_path / "out")
    content = json.loads((tmp_path / "out" / "analysis.json").read_text())
    assert content["criteria"]["realism"]["comparisons"][0]["wins"] == 0
    assert "| bicubic rather than ours | 0 of 16 | 0% | 0% … 21% |" in (tmp_path / "out" / "analysis.md").read_text()
    assert '<th scope="row">bicubic rather than ours</th>' in (tmp_path / "out" / "report.html").read_text()
    assert (tmp_path / "out" / "criterion-2.png").stat().st_size > 3000


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"criteria": {"realism": [1, 5]}}, "a choice has no marks: give the criteria as a list"),
        ({"criteria": ["realism", "realism"]}, "criteria are named twice"),
        ({"criteria": [["realism"]]}, "criteria"),
        ({"comparison": "marks"}, "criteria"),
        ({"comparison": "taste"}, "comparison"),
        ({"repeats": 25}, "more repeats than items"),
        ({"patches": 40_000}, "40000 patches by 3 pairs of methods are more than"),
    ],
)
def test_a_design_that_makes_no_sense_is_refused(tmp_path, changes, message):
    content = design().model_dump(mode="json") | {"criteria": ["realism"]} | changes
    (tmp_path / "design.yaml").write_text(yaml.safe_dump(content))
    with pytest.raises(OptionError, match=message):
        read_design(tmp_path / "design.yaml")


def test_a_cell_that_is_no_side_is_refused_with_its_line(tmp_path):
    made = design()
    sheets = filled(made, tmp_path / "study", lambda *_: "middle")
    with pytest.raises(OptionError, match=r"line 2: realism is 'middle'; expected left or right, or nothing"):
        read_ratings(made, tmp_path / "study", sheets)


def test_answers_on_the_pages_fill_the_sheet_with_sides(tmp_path):
    from ctloupe.rate.serve.ballot import open_study

    made = write_rated_study(tmp_path / "study", comparison="choice", criteria=["sharper"])
    ballot = open_study(tmp_path / "study")[1]["a"]
    check = {"dark_shown": 3, "dark_seen": 3, "bright_shown": 3, "bright_seen": 3, "pixels_per_mm": 4}
    ballot.check(check | {"screen": [800, 600], "device_pixel_ratio": 1})
    for position, mark in enumerate((0, 1, 1, 0), 1):
        ballot.answer(position, {"marks": {"sharper": mark}, "seconds": 1, "magnification": 1})
    with pytest.raises(OptionError, match="a mark within the range"):
        ballot.answer(1, {"marks": {"sharper": 2}, "seconds": 1, "magnification": 1})
    sheet = tmp_path / "study" / "ratings-a.csv"
    assert [row["sharper"] for row in csv.DictReader(sheet.open())] == ["left", "right", "right", "left"]
    assert np.isfinite(read_ratings(made, tmp_path / "study", [sheet])["sharper"].first[0]).all()


def test_the_command_refuses_a_choice_that_the_experiment_or_the_design_does_not_have(tmp_path, monkeypatch, capsys):
    (tmp_path / "texture.yaml").write_text(yaml.safe_dump(design().model_dump(mode="json")))
    monkeypatch.setattr(
        "sys.argv", ["ctloupe", "rate", "design", str(tmp_path / "texture.yaml"), "--choice", "--out", "x"]
    )
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 2 and "--choice is for --experiment; the file of a DESIGN says" in capsys.readouterr().err
