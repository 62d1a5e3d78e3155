"""The pages of the documentation can all be found from its index, and its links lead somewhere."""

import re
from pathlib import Path
from pkgutil import resolve_name

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md")] + sorted(
    DOCS.rglob("*.md")
)


def targets(page):
    """Pages and pictures of this repository that a page links to."""
    links = re.findall(r"\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    return {(page.parent / link).resolve() for link in links}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_the_links_of_a_page_lead_somewhere(page):
    assert not [target for target in targets(page) if not target.exists()]


@pytest.mark.parametrize("page", PAGES[:2] + PAGES[3:], ids=lambda page: page.relative_to(ROOT).as_posix())
def test_the_files_that_a_page_names_are_there(page):
    named = re.findall(r"`((?:src/ctloupe|tests|benchmarks)/[\w./-]+)`", page.read_text(encoding="utf-8"))
    assert not [path for path in named if not (ROOT / path).exists()]


def test_every_page_is_in_the_index_with_a_line_about_it():
    index = DOCS / "index.md"
    lines = [line for line in index.read_text(encoding="utf-8").splitlines() if line.startswith("* ")]
    assert all(re.fullmatch(r"\* \[[^]]+\]\([^)]+\): \S.*\.", line) for line in lines)
    records = set((DOCS / "decisions").glob("0*.md"))
    assert targets(index) >= set(DOCS.rglob("*.md")) - {index} - records
    assert targets(DOCS / "decisions" / "README.md") == records


@pytest.mark.parametrize("record", sorted((DOCS / "decisions").glob("0*.md")), ids=lambda path: path.stem)
def test_a_decision_says_context_decision_and_consequence(record):
    text = record.read_text(encoding="utf-8")
    assert re.findall(r"^#+ (.+)$", text, flags=re.M)[1:] == ["Context", "Decision", "Consequence"]
    assert len(text.splitlines()) <= 30


def test_the_front_doors_that_the_architecture_names_can_be_imported():
    text = (DOCS / "architecture.md").read_text(encoding="utf-8").partition("| verb | front door |")[2]
    rows = [re.findall(r"`([\w.]+)`", line.split("|")[2]) for line in text.partition("\n\n")[0].splitlines()[2:]]
    assert len(rows) > 10
    for first, *others in rows:
        room = first.rpartition(".")[0]
        for name in (first, *(one if "." in one else f"{room}.{one}" for one in others)):
            assert resolve_name(f"ctloupe.{name}")
