"""A page is printed by whatever Chromium there is, or one line says how to print it by hand."""

import os
import sys

import pytest

from ctloupe.evaluate.report import pdf
from ctloupe.evaluate.report.report import Report
from ctloupe.foundation.errors import FileError, OptionError

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the browser that these tests make is a shell script")


def page():
    report = Report("A page with µ, σ and −1 < 0")
    report.section("Numbers")
    report.text("5 < 6 & more")
    report.table(["metric", "mine"], [["PSNR", "17.1"]])
    return report


@pytest.fixture
def path_with(tmp_path, monkeypatch):
    """Make a folder with a browser of the given script the only one of the path."""

    def make(name, script):
        folder = tmp_path / "programs"
        folder.mkdir()
        if name:
            (folder / name).write_text(f"#!/bin/sh\nPATH=/bin:/usr/bin\n{script}\n")
            (folder / name).chmod(0o755)
        monkeypatch.setenv("PATH", str(folder))

    return make


def test_the_first_browser_of_the_path_prints_the_whole_page_with_a_profile_of_its_own(tmp_path, path_with):
    said = tmp_path / "programs" / "arguments"
    path_with(
        "google-chrome",
        f'echo "$@" > {said}; for one; do last=$one; case $one in --print-to-pdf=*) out="${{one#*=}}";; esac; done\n'
        'cp "${last#file://}" "$out"',
    )
    page().write_pdf(tmp_path / "page.pdf")
    assert (tmp_path / "page.pdf").read_text(encoding="utf-8") == page().html()
    arguments = said.read_text().split()
    assert "--headless" in arguments and any(one.startswith("--user-data-dir=") for one in arguments)
    assert ("--no-sandbox" in arguments) == (os.geteuid() == 0)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["page.pdf", "programs"]
    with pytest.raises(FileError, match="overwrite"):
        page().write_pdf(tmp_path / "page.pdf", overwrite=False)


@pytest.mark.parametrize(
    ("script", "said"), [("exit 3", "exit code 3"), ("exit 0", "wrote no file"), ("exec sleep 60", "more than 0.2 s")]
)
def test_a_browser_that_does_not_print_leaves_the_earlier_file_and_says_how_to_go_on(
    script, said, tmp_path, path_with, monkeypatch
):
    if "sleep" in script:
        monkeypatch.setattr(pdf, "PATIENCE_S", 0.2)
    path_with("chromium", script)
    (tmp_path / "page.pdf").write_text("earlier")
    with pytest.raises(FileError, match=rf"page\.pdf: .*chromium did not print it \(.*{said}.*print report\.html"):
        page().write_pdf(tmp_path / "page.pdf")
    assert (tmp_path / "page.pdf").read_text() == "earlier"


def test_without_a_browser_one_line_says_that_any_other_makes_the_pdf(tmp_path, path_with):
    path_with("", "")
    assert pdf.browser() is None
    with pytest.raises(OptionError, match=r"`pdf` needs Chromium or Chrome.*print report.html from any browser"):
        page().write_pdf(tmp_path / "page.pdf")
    assert not (tmp_path / "page.pdf").exists()


@pytest.mark.slow
@pytest.mark.skipif(pdf.browser() is None, reason="no Chromium or Chrome is installed")
def test_an_installed_browser_makes_a_pdf(tmp_path):
    page().write_pdf(tmp_path / "page.pdf")
    assert (tmp_path / "page.pdf").read_bytes().startswith(b"%PDF-")
