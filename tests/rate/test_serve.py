"""The rating server: who sees what, and that no answer is ever lost."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from contextlib import contextmanager

import pytest

from ctloupe.foundation.errors import FileError, OptionError
from ctloupe.rate.answers import Answer, Answers, answers_of
from ctloupe.rate.app import desks_of, rating
from ctloupe.rate.design import read_design, read_table
from ctloupe.rate.ratings import read_ratings
from ctloupe.viewer.access import Access
from ctloupe.viewer.serving import listening, port_of, serving
from rate.small_study import small_study

CRITERIA = ["good resolution and low noise level", "good shape and structural information"]
MARKS = dict.fromkeys(CRITERIA, 4)


class Rater:
    """A browser without pages."""

    def __init__(self, port, token):
        self.port = port
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
        self.get(f"?token={token}")

    def get(self, path):
        with self._opener.open(f"http://127.0.0.1:{self.port}/{path}", timeout=30) as answer:
            return answer.read()

    def study(self):
        return json.loads(self.get("api/study"))

    def post(self, path, said, **headers):
        """Status of an answer."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/{path}",
            json.dumps(said).encode(),
            {"Content-Type": "application/json", **headers},
        )
        try:
            with self._opener.open(request, timeout=30) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code

    def mark(self, label, **changes):
        return self.post("api/answer", {"label": label, "marks": MARKS | changes, "seconds": 1.5})


@contextmanager
def at_work(study):
    """Both raters before their pages, served from this process."""
    design = read_design(study / "design.yaml")
    listener = listening(0)
    port = port_of(listener)
    app = rating(design, desks_of(study, design), Access(port, {"token-a": "a", "token-b": "b"}))
    with listener, serving(app, listener):
        yield Rater(port, "token-a"), Rater(port, "token-b")


def status(rater, path):
    try:
        rater.get(path)
    except urllib.error.HTTPError as error:
        return error.code
    return 200


def test_a_rater_sees_the_own_pictures_under_names_that_say_nothing(tmp_path):
    _, study = small_study(tmp_path)
    with at_work(study) as (a, b):
        mine, others = a.study(), b.study()
        assert len(mine["items"]) == 8 and mine["criteria"][0] == {"name": CRITERIA[0], "low": 1, "high": 6}
        labels = [row["label"] for row in read_table(study / "ratings-a.csv")]
        assert [item["label"] for item in mine["items"]] == labels
        for item in mine["items"]:
            assert re.fullmatch(r"[0-9a-f]{16}", item["picture"])
            picture = a.get(f"api/picture/{item['picture']}")
            assert picture == (study / "pictures-a" / f"{item['label']}.png").read_bytes()
        assert status(a, f"api/picture/{others['items'][0]['picture']}") == 404
        told = json.dumps(mine)
        assert not any(word in told for word in ('"one"', "two.mha", "patch-", '"method"', str(tmp_path)))


def test_the_key_and_whatever_else_is_in_the_folder_cannot_be_had(tmp_path):
    _, study = small_study(tmp_path)
    with at_work(study) as (a, _):
        for path in ("key.csv", "design.yaml", "page/../key.csv", "page/..%2f..%2fkey.csv", "api/picture/..%2fkey.csv"):
            assert status(a, path) == 404, path
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(f"http://127.0.0.1:{a.port}/api/study")
        with pytest.raises(urllib.error.HTTPError, match="403"):
            Rater(a.port, "token-c")
        foreign = urllib.request.Request(f"http://127.0.0.1:{a.port}/api/study", headers={"Host": "evil.example"})
        with pytest.raises(urllib.error.HTTPError, match="403"):
            a._opener.open(foreign)


def test_an_answer_is_in_its_file_and_in_the_sheet_that_analyse_reads(tmp_path):
    design, study = small_study(tmp_path)
    with at_work(study) as (a, _):
        items = a.study()["items"]
        for item in items:
            assert a.mark(item["label"]) == 200
        assert a.mark(items[0]["label"], **{CRITERIA[0]: 6}) == 200
        assert a.study()["items"][0]["marks"] == {CRITERIA[0]: 6, CRITERIA[1]: 4}
    lines = [json.loads(line)["answer"] for line in (study / "answers-a.jsonl").read_text().splitlines()]
    assert len(lines) == 9 and lines[-1]["seconds"] == 1.5 and lines[-1]["at"].endswith("+00:00")
    marks = read_ratings(design, study, [study / "ratings-a.csv", study / "ratings-b.csv"])[CRITERIA[1]]
    assert (marks.first[0] == 4).all() and (marks.second[0] == 4).sum() == 2


@pytest.mark.parametrize(
    "said",
    [
        {"label": "9", "marks": MARKS, "seconds": 1},
        {"label": None, "marks": MARKS, "seconds": 1},
        {"label": 0, "marks": {CRITERIA[0]: 4}, "seconds": 1},
        {"label": 0, "marks": MARKS | {CRITERIA[0]: 7}, "seconds": 1},
        {"label": 0, "marks": MARKS, "seconds": -1},
        {"label": 0, "marks": MARKS, "seconds": 1, "more": 1},
        [],
    ],
)
def test_an_answer_that_makes_no_sense_is_refused_and_not_kept(tmp_path, said):
    _, study = small_study(tmp_path)
    with at_work(study) as (a, _):
        if isinstance(said, dict) and said["label"] == 0:
            said = said | {"label": a.study()["items"][0]["label"]}
        assert a.post("api/answer", said) == 400
        assert a.post("api/answer", said, **{"Content-Type": "text/plain"}) == 415
        assert a.post("api/answer", {"label": "x" * 30000}) == 413
        assert a.post("api/answer", said, **{"Sec-Fetch-Site": "cross-site"}) == 403
    assert not (study / "answers-a.jsonl").exists()


def test_two_raters_at_once_do_not_disturb_each_other(tmp_path):
    _, study = small_study(tmp_path)
    with at_work(study) as raters:

        def work(rater, mark):
            for item in rater.study()["items"]:
                assert rater.mark(item["label"], **{CRITERIA[0]: mark}) == 200

        threads = [threading.Thread(target=work, args=one) for one in zip(raters, (1, 6), strict=True)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for rater, mark in (("a", "1"), ("b", "6")):
        assert {row[CRITERIA[0]] for row in read_table(study / f"ratings-{rater}.csv")} == {mark}


def started(study):
    command = [sys.executable, "-m", "ctloupe.cli.main", "rate", "serve", str(study)]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    links = dict(server.stdout.readline().split() for _ in range(2))
    return server, links


@pytest.mark.slow
def test_a_killed_server_loses_nothing_and_the_same_links_go_on(tmp_path):
    _, study = small_study(tmp_path)
    server, links = started(study)
    port, token = re.fullmatch(r"http://127\.0\.0\.1:(\d+)/\?token=(.+)", links["a"]).groups()
    try:
        a = Rater(int(port), token)
        items = a.study()["items"]
        for item in items[:3]:
            assert a.mark(item["label"]) == 200
    finally:
        os.kill(server.pid, signal.SIGKILL)
        server.wait()
    assert len((study / "answers-a.jsonl").read_text().splitlines()) == 3
    with (study / "answers-a.jsonl").open("a") as file:
        file.write('{"answer": {"label": "1')
    assert oct((study / "links.json").stat().st_mode & 0o777) == "0o600"
    server, again = started(study)
    try:
        assert again == links
        a = Rater(int(port), token)
        assert [item["marks"] is not None for item in a.study()["items"]] == [True] * 3 + [False] * 5
        assert a.mark(items[3]["label"]) == 200
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(timeout=30)
    assert server.returncode == 0
    with (study / "ratings-a.csv").open(newline="") as file:
        assert [bool(row[CRITERIA[0]]) for row in csv.DictReader(file)] == [True] * 4 + [False] * 4


def test_a_damaged_line_is_named_and_a_sheet_filled_by_hand_is_not_written_over(tmp_path):
    design, study = small_study(tmp_path)
    answers = Answers(study, design, "a")
    answers.add(Answer(label=answers.items[0]["label"], marks=MARKS, seconds=2))
    path = study / answers_of("a")
    path.write_text("nonsense\n" + path.read_text())
    with pytest.raises(FileError, match="line 1 is damaged"):
        Answers(study, design, "a")
    path.unlink()
    with pytest.raises(OptionError, match="filled by hand"):
        Answers(study, design, "a")


def test_a_study_that_raters_have_begun_with_is_never_replaced(tmp_path):
    design, study = small_study(tmp_path)
    answers = Answers(study, design, "a")
    answers.add(Answer(label=answers.items[0]["label"], marks=MARKS, seconds=2))
    with pytest.raises(FileError, match="raters have begun"):
        small_study(tmp_path, overwrite=True)
    assert answers_of("a") in [path.name for path in study.iterdir()]


def test_a_study_without_pictures_cannot_be_served(tmp_path):
    design, study = small_study(tmp_path)
    with pytest.raises(OptionError, match="has sheets only"):
        desks_of(study, design.model_copy(update={"pictures": None}))
