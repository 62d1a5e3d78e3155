"""The rating pages in a real browser: two raters, a server killed half-way, and the analysis of what they marked."""

import os
import signal

import pytest

from browser import browser, needs_browser, violations
from ctloupe.cli.main import main
from ctloupe.rate.design import read_table
from rate.small_study import small_study
from rate.test_serve import started

pytestmark = [pytest.mark.slow, needs_browser]


@pytest.fixture(scope="module")
def chromium():
    with browser() as started_browser:
        yield started_browser


def opened(chromium, link, width=1366):
    page = chromium.new_context(viewport={"width": width, "height": 800}).new_page()
    page.goto(link)
    page.wait_for_selector("body[data-ready=yes]")
    return page


def through_the_check(page, squares=None):
    """Answer the display check, with the number of squares that there are."""
    there = page.evaluate("window.rating.squares")
    for name in ("dark", "bright"):
        page.fill(f"#{name}-seen", str(there if squares is None else squares))
    page.click("#checked")
    page.wait_for_selector("body[data-section=read]")


def mark(page, first, second):
    """Mark the picture that is shown with the keyboard alone."""
    before = page.inner_text("#progress-told")
    page.keyboard.press(str(first))
    page.keyboard.press(str(second))
    page.keyboard.press("Enter")
    page.wait_for_function(
        "(before) => document.body.dataset.section === 'done' || "
        "document.getElementById('progress-told').innerText !== before",
        arg=before,
    )


def test_two_raters_mark_through_a_kill_and_their_marks_are_analysed(chromium, tmp_path, monkeypatch, capsys):
    _, study = small_study(tmp_path)
    server, links = started(study)
    try:
        pages = {rater: opened(chromium, link) for rater, link in links.items()}
        for page in pages.values():
            assert "token" not in page.url
            through_the_check(page)
            page.keyboard.press("Enter")
            page.wait_for_selector("body[data-section=item]")
        for number in range(4):
            mark(pages["a"], 1 + number, 6)
            mark(pages["b"], 2, 5)
        os.kill(server.pid, signal.SIGKILL)
        server.wait()
        pages["a"].keyboard.press("3")
        pages["a"].keyboard.press("3")
        pages["a"].keyboard.press("Enter")
        pages["a"].wait_for_selector("#told:not([hidden])")
        assert "not kept" in pages["a"].inner_text("#told")
    finally:
        server.kill()
    server, links = started(study)
    try:
        # One goes on where the page is still open, the other one on another day with the same link.
        pages["a"].keyboard.press("Enter")
        pages["a"].wait_for_function("() => document.getElementById('progress-told').innerText.startsWith('Picture 6')")
        pages["b"] = opened(chromium, links["b"])
        pages["b"].wait_for_selector("body[data-section=read]")
        pages["b"].click("#begin")
        assert pages["b"].inner_text("#progress-told") == "Picture 5 of 8"
        for _ in range(3):
            mark(pages["a"], 3, 3)
        for _ in range(4):
            mark(pages["b"], 2, 5)
        for page in pages.values():
            page.wait_for_selector("body[data-section=done]")
        pages["a"].click("#again")
        mark(pages["a"], 6, 6)
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(timeout=30)
    rows = read_table(study / "ratings-a.csv")
    first, second = list(rows[0])[3:5]
    assert [row[first] for row in rows] == ["6", "2", "3", "4", "3", "3", "3", "3"]
    assert all(row["seconds"] for row in rows) and rows[0][second] == "6"
    assert {row[first] for row in read_table(study / "ratings-b.csv")} == {"2"}
    sheets = [str(study / f"ratings-{rater}.csv") for rater in "ab"]
    monkeypatch.setattr("sys.argv", ["ctloupe", "rate", "analyse", str(study), *sheets, "--out", str(tmp_path / "out")])
    with pytest.raises(SystemExit) as stop:
        main()
    assert not stop.value.code and "α" in capsys.readouterr().out
    page = chromium.new_page()
    page.goto(f"file://{tmp_path / 'out' / 'report.html'}")
    assert page.locator("img").count() == 2 and violations(page) == []


def test_the_display_check_is_kept_and_tells_what_was_not_seen(chromium, tmp_path):
    _, study = small_study(tmp_path)
    server, links = started(study)
    try:
        page = opened(chromium, links["a"])
        page.click("#checked")
        assert "Say for both fields" in page.inner_text("#told")
        pixels = page.evaluate(
            "[...document.getElementById('dark').getContext('2d').getImageData(0, 0, 240, 90).data]"
            ".filter((_, at) => at % 4 === 0)"
        )
        assert len(set(pixels)) == 1 + page.evaluate("window.rating.squares") and max(pixels) <= 11
        page.fill("#card-width", "400")
        assert "4.67 pixels" in page.inner_text("#card-told")
        through_the_check(page, squares=0)
        assert "squares in each field" in page.inner_text("#told")
        kept = (study / "answers-a.jsonl").read_text()
        assert '"dark": 0' in kept and '"pixels_per_mm": 4.67' in kept
        assert opened(chromium, links["a"]).locator("#check").is_hidden()
    finally:
        server.kill()
        server.wait()


@pytest.mark.parametrize(
    ("choice", "width"),
    [
        (False, 1366),
        (True, 390),
        pytest.param(False, 390, marks=pytest.mark.thorough),
        pytest.param(True, 1366, marks=pytest.mark.thorough),
    ],
)
def test_axe_finds_nothing_on_any_screen(chromium, tmp_path, width, choice):
    _, study = small_study(tmp_path, choice=choice, patches=2, repeats=0)
    server, links = started(study)
    try:
        page = opened(chromium, links["a"], width)
        assert violations(page) == []
        through_the_check(page)
        assert violations(page) == []
        page.click("#begin")
        page.wait_for_function("() => document.getElementById('picture').complete")
        assert violations(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        for _ in page.evaluate("window.rating.study.items"):
            mark(page, 1, 2)
        page.wait_for_selector("body[data-section=done]")
        assert violations(page) == []
    finally:
        server.kill()
        server.wait()
