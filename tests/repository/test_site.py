"""The documentation as a site: it builds without a warning, says of the program what is there, and loads nothing."""

import re
import subprocess
import sys
from functools import partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from threading import Thread
from urllib.parse import unquote, urlsplit

import pytest
import typer

import ctloupe
from browser import browser, needs_browser
from ctloupe.cli.main import app

ROOT = Path(__file__).resolve().parents[2]
LOADING = {
    "script": "src",
    "img": "src",
    "iframe": "src",
    "source": "src",
    "video": "src",
    "audio": "src",
    "link": "href",
}
"""Attributes of elements by which a page loads something."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not all(map(find_spec, ("sphinx", "furo", "myst_parser", "sphinx_copybutton"))),
        reason="the extra docs is not installed: the site is not built",
    ),
]


class Page(HTMLParser):
    """What the tests ask of one page: its words, what it loads, where it links to, and where one can link to in it."""

    def __init__(self, file):
        super().__init__()
        self.words, self.loads, self.links, self.anchors = [], [], [], set()
        self.feed(file.read_text(encoding="utf-8"))
        self.text = " ".join("".join(self.words).split())

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.anchors |= {found[key] for key in ("id", "name") if found.get(key)}
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        if tag in LOADING and found.get(LOADING[tag]):
            self.loads.append(found[LOADING[tag]])

    def handle_data(self, data):
        self.words.append(data)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The built site; a warning would have failed it."""
    out = tmp_path_factory.mktemp("site") / "site"
    command = [sys.executable, ROOT / "docs" / "site" / "build.py", "--out", out]
    built = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert built.returncode == 0, built.stdout + built.stderr
    assert "WARNING" not in built.stdout + built.stderr
    return out


@pytest.fixture(scope="module")
def pages(site):
    """Every page by its place."""
    return {file.relative_to(site).as_posix(): Page(file) for file in sorted(site.rglob("*.html"))}


def commands(command, words=()):
    """Every command below one, with the words that call it."""
    for name, one in getattr(command, "commands", {}).items():
        yield (*words, name), one
        yield from commands(one, (*words, name))


def test_every_page_of_the_docs_is_on_the_site(pages):
    for page in (ROOT / "docs").rglob("*.md"):
        assert page.relative_to(ROOT / "docs").with_suffix(".html").as_posix() in pages
    assert {
        "index.html",
        "tutorial.html",
        "readme.html",
        "security.html",
        "changelog.html",
        "search.html",
    } <= pages.keys()


def test_every_verb_and_each_of_its_options_stand_in_the_reference(pages):
    found = list(commands(typer.main.get_command(app)))
    assert len(found) > 15
    for words, command in found:
        text = pages[f"command-line/{words[0]}.html"].text
        assert f"ctloupe {' '.join(words)}" in text
        for one in command.params:
            for option in (*one.opts, *one.secondary_opts) if one.param_type_name == "option" else ():
                assert re.search(rf"(?<![\w-]){re.escape(option)}(?![\w-])", text), (words, option)


def test_every_public_name_has_its_docstring_in_the_reference(pages):
    names = {one for one in ctloupe.__all__ if not one.startswith("__")}
    assert {f"ctloupe.{name}" for name in names} <= pages["python.html"].anchors
    # Those whose modules need no torch, which would take longer to import than all else here.
    for name in ("CtLoupeError", "IntensityWindow", "PatchBank", "Volume", "read", "write"):
        first = getattr(ctloupe, name).__doc__.strip().split("\n\n")[0].replace("`", "")
        assert " ".join(first.split()) in pages["python.html"].text
    for door in (
        "ctloupe.phantom.phantom.make_phantom",
        "ctloupe.rate.session.serve_study",
        "ctloupe.train.loop.train",
    ):
        assert door in pages["front-doors.html"].anchors


def test_no_page_loads_anything_from_elsewhere(site, pages):
    for name, page in pages.items():
        assert not [one for one in page.loads if urlsplit(one).netloc or urlsplit(one).scheme not in ("", "data")], name
    for style in site.rglob("*.css"):
        assert not re.search(r"url\(\s*['\"]?(https?:)?//|@import", style.read_text(encoding="utf-8")), style


def test_every_link_and_anchor_within_the_site_leads_somewhere(site, pages):
    for name, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            file = ((site / name).parent / unquote(parts.path)).resolve() if parts.path else site / name
            assert file.is_file(), (name, link)
            if parts.fragment and file.suffix == ".html":
                assert unquote(parts.fragment) in pages[file.relative_to(site).as_posix()].anchors, (name, link)


@pytest.fixture
def address(site):
    """Address of a server of this machine that has the site."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=site)) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@needs_browser
def test_a_browser_asks_nobody_else_and_finds_what_it_searches(site, address):
    asked = []
    with browser() as started:
        page = started.new_page(viewport={"width": 390, "height": 800})
        page.on("request", lambda request: asked.append(request.url))
        for name in ("index", "readme", "python", "command-line/enhance", "methods/sr-cyclegan", "gallery"):
            page.goto(f"{address}/{name}.html")
            assert page.evaluate("document.documentElement.scrollWidth") <= 390, name
            assert page.evaluate("[...document.images].every(one => one.loading == 'lazy' || one.naturalWidth > 0)")
        # From a server and from the disk.
        for start in (address, site.as_uri()):
            page.goto(f"{start}/search.html?q=halo")
            page.wait_for_selector("#search-results li a")
            assert "Architecture" in page.inner_text("#search-results")
    assert not [url for url in asked if not url.startswith((address, "data:", site.as_uri()))]
