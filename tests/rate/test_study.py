"""A study from design to analysis, with raters whose marks are known."""

import csv
import json

import numpy as np
import pytest
import yaml

from ctloupe.foundation.errors import FileError, OptionError
from ctloupe.rate.analysis import analyse, write_analysis
from ctloupe.rate.design import Design, presentation, read_design, write_study
from ctloupe.rate.ratings import read_ratings


def design(**changes):
    content = {
        "name": "texture",
        "methods": ["bicubic", "ours", "micro"],
        "patches": 8,
        "criteria": {"realism": (1, 5), "vessels": (1, 5)},
        "raters": ["a", "b", "c"],
        "repeats": 6,
        "seed": 1,
    }
    return Design.model_validate(content | changes)


def filled(made, folder, mark):
    """Sheets filled in by ``mark(rater, method, patch, criterion, showing)``."""
    write_study(made, folder)
    key = {(row["rater"], row["label"]): row for row in csv.DictReader((folder / "key.csv").open())}
    sheets = sorted(folder.glob("ratings-*.csv"))
    for sheet in sheets:
        rows = list(csv.DictReader(sheet.open()))
        for row in rows:
            shown = key[row["rater"], row["label"]]
            for name in made.criteria:
                row[name] = mark(row["rater"], shown["method"], shown["patch"], name, int(shown["showing"]))
        with sheet.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    return sheets


def test_every_rater_sees_every_patch_by_every_method_once_and_some_twice():
    made = design()
    for rater in made.raters:
        rows = [row for row in presentation(made) if row["rater"] == rater]
        first = {(row["patch"], row["method"]) for row in rows if row["showing"] == "1"}
        again = [row for row in rows if row["showing"] == "2"]
        assert len(first) == 8 * 3 and len(again) == 6 and len(rows) == 30
        assert len({row["label"] for row in rows}) == 30
        for row in again:
            earlier = next(r for r in rows if (r["patch"], r["method"]) == (row["patch"], row["method"]))
            assert earlier["showing"] == "1" and int(earlier["position"]) < int(row["position"])
            assert int(row["position"]) > 12


def test_labels_do_not_run_out(tmp_path):
    rows = presentation(design(patches=5000, methods=["a", "b"], raters=["a"], repeats=0))
    assert len({row["label"] for row in rows}) == len(rows) == 10_000
    (tmp_path / "design.yaml").write_text(yaml.safe_dump(design().model_dump(mode="json") | {"patches": 10**9}))
    with pytest.raises(OptionError, match="more than the 100000 items"):
        read_design(tmp_path / "design.yaml")


def test_the_order_follows_the_seed_and_differs_between_raters():
    made = design()
    assert presentation(made) == presentation(made)
    assert presentation(made) != presentation(design(seed=2))
    orders = [[row["method"] for row in presentation(made) if row["rater"] == rater] for rater in "ab"]
    assert orders[0] != orders[1]


def test_a_raters_sheet_tells_neither_method_nor_patch(tmp_path):
    write_study(design(), tmp_path / "study")
    text = (tmp_path / "study" / "ratings-a.csv").read_text()
    assert not [word for word in ("bicubic", "ours", "micro", "patch") if word in text]


def test_marks_come_back_where_they_belong_and_the_better_method_is_found(tmp_path):
    worth = {"bicubic": 2, "ours": 4, "micro": 5}
    random = np.random.default_rng(0)
    made = design()

    def mark(rater, method, patch, criterion, showing):
        if criterion == "vessels":
            return 3
        return int(np.clip(worth[method] + random.integers(-1, 1), 1, 5))

    ratings = read_ratings(made, tmp_path / "study", filled(made, tmp_path / "study", mark))
    results = analyse(made, ratings)
    pairs = {(one.one, one.other): one for one in results["realism"].comparisons}
    assert pairs["bicubic", "ours"].effect == -1 and pairs["bicubic", "ours"].pairs == 24
    assert results["realism"].signed_rank_holm[0] < 0.001
    assert all(p == 1 for p in results["vessels"].signed_rank_holm)
    assert results["realism"].alpha > 0.6 and results["realism"].icc > 0.6
    assert all(alpha > 0.3 for alpha in results["realism"].intra_rater.values())
    assert np.isnan(results["vessels"].alpha)


def test_the_analysis_is_written_in_words_numbers_and_pictures(tmp_path):
    made = design()
    marks = {"bicubic": 1, "ours": 3, "micro": 5}
    sheets = filled(made, tmp_path / "study", lambda rater, method, *rest: marks[method])
    write_analysis(made, read_ratings(made, tmp_path / "study", sheets), tmp_path / "out")
    content = json.loads((tmp_path / "out" / "analysis.json").read_text())
    assert content["criteria"]["realism"]["quartiles"]["ours"] == [3, 3, 3, 24]
    told = (tmp_path / "out" / "analysis.md").read_text()
    assert "| ours | 24 | 3 | 3 … 3 |" in told and "esearch" in told
    assert (tmp_path / "out" / "criterion-1.png").stat().st_size > 5000


def test_unfilled_cells_are_no_marks(tmp_path):
    made = design()
    sheets = filled(made, tmp_path / "study", lambda rater, *rest: "" if rater == "a" else 3)
    marks = read_ratings(made, tmp_path / "study", sheets)["realism"].first
    assert np.isnan(marks[0]).all() and (marks[1:] == 3).all()


@pytest.mark.parametrize(
    ("mark", "message"), [(9, "realism is '9'; expected a mark from 1 to 5"), ("good", "realism is 'good'")]
)
def test_impossible_marks_are_refused_with_their_line(tmp_path, mark, message):
    made = design()
    sheets = filled(made, tmp_path / "study", lambda *_: mark)
    with pytest.raises(OptionError, match=rf"ratings-a\.csv: line 2: {message}"):
        read_ratings(made, tmp_path / "study", sheets)


def test_sheets_of_another_study_or_given_twice_are_refused(tmp_path):
    made = design()
    sheets = filled(made, tmp_path / "study", lambda *_: 3)
    with pytest.raises(OptionError, match="is marked twice"):
        read_ratings(made, tmp_path / "study", [sheets[0], sheets[0]])
    other = filled(design(seed=9), tmp_path / "other", lambda *_: 3)
    with pytest.raises(OptionError, match="was not shown to this rater"):
        read_ratings(made, tmp_path / "study", other)
    with pytest.raises(FileError, match=r"nothing\.csv"):
        read_ratings(made, tmp_path / "study", [tmp_path / "nothing.csv"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"methods": ["one"]}, "methods"),
        ({"raters": ["a", "../../b"]}, r"key 'raters\.1': expected a name"),
        ({"raters": ["a", "A"]}, "raters are named twice"),
        ({"raters": ["a", "a"]}, "named twice"),
        ({"repeats": 99}, "more repeats than items"),
        ({"criteria": {"realism": (5, 1)}}, "below its highest"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_design_that_makes_no_sense_is_refused(tmp_path, changes, message):
    content = design().model_dump(mode="json") | changes
    (tmp_path / "design.yaml").write_text(yaml.safe_dump(content))
    with pytest.raises(OptionError, match=message):
        read_design(tmp_path / "design.yaml")


def test_the_command_line_goes_all_the_way(tmp_path, monkeypatch, capsys):
    from ctloupe.cli.main import main

    (tmp_path / "texture.yaml").write_text(yaml.safe_dump(design().model_dump(mode="json")))

    def call(*arguments):
        monkeypatch.setattr("sys.argv", ["ctloupe", "rate", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            main()
        assert not stop.value.code
        return capsys.readouterr().out

    out = call("design", tmp_path / "texture.yaml", "--out", tmp_path / "study")
    assert str(tmp_path / "study" / "key.csv") in out
    sheets = filled(design(), tmp_path / "filled", lambda *_: 4)
    told = call("analyse", tmp_path / "study", *sheets, "--out", tmp_path / "results")
    assert told.startswith("# texture")
