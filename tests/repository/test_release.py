"""What a release is made of says the same everywhere."""

import re
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
KINDS = ["Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"]


def versions():
    """Heading and body of every version in the changelog, the newest first."""
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    return [one.partition("\n")[::2] for one in re.split(r"^## ", text, flags=re.M)[1:]]


def test_the_citation_is_that_of_this_package():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["cff-version"] == "1.2.0" and citation["type"] == "software"
    assert (citation["version"], citation["license"]) == (PROJECT["version"], PROJECT["license"])
    assert citation["title"] and citation["abstract"] and citation["authors"] and citation["message"]
    assert all(one["authors"] and one["title"] and one["year"] for one in citation["references"])


def test_the_changelog_begins_with_what_is_unreleased_and_has_known_kinds_of_changes():
    assert versions()[0][0] == "Unreleased"
    for heading, body in versions():
        assert re.fullmatch(r"Unreleased|\d+\.\d+\.\d+ (- \d{4}-\d\d-\d\d|\(never released\))", heading)
        kinds = re.findall(r"^### (.+)$", body, flags=re.M)
        assert set(kinds) <= set(KINDS) and len(set(kinds)) == len(kinds), heading


def test_every_released_version_has_notes_and_so_has_the_coming_one():
    notes = {path.stem for path in (ROOT / "docs" / "releases").glob("*.md")}
    released = {heading.split()[0] for heading, _ in versions() if " - " in heading}
    assert released <= notes
    assert len(notes - released) <= 1, "one coming version at a time"
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", one) for one in notes)
