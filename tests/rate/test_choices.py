"""Studies in which the better one of two is chosen."""

from collections import Counter

import numpy as np
import pytest
from PIL import Image
from scipy.stats import binom

from ctloupe.foundation.errors import OptionError
from ctloupe.rate.answers import Answer, Answers
from ctloupe.rate.choices import pairs_of, read_choices, with_oneself, write_choices
from ctloupe.rate.design import Design, presentation, read_table
from rate.small_study import small_study


def planned(**changes):
    content = {
        "name": "choice",
        "methods": ["one", "two", "three"],
        "patches": 40,
        "criteria": {"better": (1, 2)},
        "raters": ["a", "b"],
        "choice": True,
        "repeats": 10,
    }
    return Design.model_validate(content | changes)


def test_every_pair_is_shown_on_every_patch_with_sides_that_the_seed_swaps():
    rows = presentation(planned())
    mine = [row for row in rows if row["rater"] == "a" and row["showing"] == "1"]
    shown = Counter((row["patch"], frozenset((row["method"], row["other"]))) for row in mine)
    assert len(shown) == 40 * 3 and set(shown.values()) == {1}
    left = np.mean([row["method"] < row["other"] for row in mine])
    assert 0.3 < left < 0.7
    assert presentation(planned()) == rows and presentation(planned(seed=1)) != rows


def test_the_criteria_are_left_or_right():
    with pytest.raises(ValueError, match=r"1 \(left\) to 2 \(right\)"):
        planned(criteria={"better": (1, 6)})


def answered(study, design, better):
    """Both raters choose by a rule of method and criterion."""
    key = {(row["rater"], row["label"]): row for row in read_table(study / "key.csv")}
    for rater in design.raters:
        answers = Answers(study, design, rater)
        for item in answers.items:
            shown = key[rater, item["label"]]
            marks = {name: 1 if shown["method"] == better(name, rater) else 2 for name in design.criteria}
            answers.add(Answer(label=item["label"], marks=marks, seconds=1))
    return [study / f"ratings-{rater}.csv" for rater in design.raters]


def test_what_was_chosen_is_counted_whichever_side_it_was_on(tmp_path):
    design, study = small_study(tmp_path, choice=True, patches=6, repeats=4)
    first, second = design.criteria
    sheets = answered(study, design, lambda name, rater: "two" if name == first or rater == "a" else "one")
    choices = read_choices(design, study, sheets)
    (pair,) = pairs_of(design, choices, first)
    assert (pair.one, pair.other, pair.wins, pair.losses) == ("one", "two", 0, 12)
    assert pair.p == pytest.approx(2 * binom.cdf(0, 12, 0.5))
    (even,) = pairs_of(design, choices, second)
    assert (even.wins, even.losses) == (6, 6) and even.p == pytest.approx(1)
    assert with_oneself(choices, first) == {"a": (4, 4), "b": (4, 4)}
    content = write_choices(design, choices, tmp_path / "results", False, [study])
    assert content["criteria"][first]["pairs"][0]["holm"] == pytest.approx(2 * pair.p)
    page = (tmp_path / "results" / "report.html").read_text(encoding="utf-8")
    assert page.count("data:image/png;base64,") == 2 and 'scope="row"' in page and "Research use only" in page


def test_a_picture_shows_the_original_and_both_sides(tmp_path):
    _, study = small_study(tmp_path, choice=True)
    row = read_table(study / "key.csv")[0]
    with Image.open(study / "pictures-a" / f"{row['label']}.png") as picture:
        wide = picture.size
    other = tmp_path / "other"
    other.mkdir()
    _, marks = small_study(other)
    with Image.open(next((marks / "pictures-a").glob("*.png"))) as picture:
        narrow = picture.size
    assert wide[1] == narrow[1] and wide[0] > 1.4 * narrow[0]
    assert "Beside it two pictures" in (study / "instructions.txt").read_text()


def test_a_side_that_is_none_is_refused(tmp_path):
    design, study = small_study(tmp_path, choice=True)
    answers = Answers(study, design, "a")
    with pytest.raises(OptionError, match="from 1 to 2"):
        answers.add(Answer(label=answers.items[0]["label"], marks=dict.fromkeys(design.criteria, 3), seconds=1))
