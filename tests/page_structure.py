"""What the structure of a report page lacks, whoever made the page: for the tests of all rooms that write one."""

from html.parser import HTMLParser

from ctloupe.foundation.notice import RESEARCH_NOTICE

VOID = {"meta", "img", "br", "link", "input"}


class _Elements(HTMLParser):
    """Gathers every element in order: its name, attributes, own and inner text, and the elements around it."""

    def __init__(self, page):
        super().__init__()
        self.elements, self._open = [], []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        element = {"tag": tag, "text": "", "around": list(self._open), **dict(attrs)}
        self.elements.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_endtag(self, tag):
        assert self._open and self._open[-1]["tag"] == tag, f"</{tag}> closes nothing"
        self._open.pop()

    def handle_data(self, data):
        for element in self._open:
            element["text"] += data


def elements(page, tag):
    """All elements of a name, as dictionaries of their attributes with ``tag``, ``text`` and ``around``."""
    return [one for one in _Elements(page).elements if one["tag"] == tag]


def faults(page):
    """Everything that a page lacks to be read by keyboard, screen reader, phone and printer, as sentences."""
    everything = _Elements(page).elements
    named = {tag: [one for one in everything if one["tag"] == tag] for tag in {one["tag"] for one in everything}}
    return [
        *_of_the_whole(everything, named),
        *_of_contents(named),
        *_of_tables(named),
        *(f"a picture of {one.get('src', '')[:40]} has no words" for one in named.get("img", []) if not one.get("alt")),
        *(f"{one['text']} is explained, but not shown" for one in _unshown(named)),
    ]


def _of_the_whole(everything, named):
    for tag in ("h1", "main", "nav", "header", "footer", "script"):
        if len(named.get(tag, [])) != 1:
            yield f"there are {len(named.get(tag, []))} {tag}"
    ids = [one["id"] for one in everything if "id" in one]
    if len(set(ids)) < len(ids):
        yield f"an id is used twice: {sorted(one for one in ids if ids.count(one) > 1)}"
    for link in named.get("a", []):
        if not link["href"].startswith("#") or link["href"][1:] not in ids:
            yield f"the link {link['href']} leads nowhere in the page"
    if sum(one["tag"] == "p" and one["text"] == RESEARCH_NOTICE for one in everything) != 2:
        yield "the research notice does not stand at both ends"
    labels = [one["aria-label"] for one in everything if one.get("role") == "region"]
    if len(set(labels)) < len(labels):
        yield f"two regions have one label: {labels}"


def _of_contents(named):
    around = [one for one in named.get("a", []) if any(outer["tag"] == "nav" for outer in one["around"])]
    headings = [one for one in named.get("h2", []) if any(outer["tag"] == "main" for outer in one["around"])]
    listed = [(one["href"], one["text"]) for one in around]
    if listed != [(f"#{one.get('id')}", one["text"]) for one in headings]:
        yield f"the contents are not the sections: {listed}"
    for section in named.get("section", []):
        if not [
            one for tag in ("p", "figure", "table", "dl") for one in named.get(tag, []) if section in one["around"]
        ]:
            yield f"a section is empty: {section['text']}"


def _of_tables(named):
    for cell in named.get("th", []):
        if cell.get("scope") not in ("col", "row") or not cell["text"].strip():
            yield f"a heading has no scope or no text: {cell.get('scope')} {cell['text']!r}"
    for table in named.get("table", []):
        if not (
            table["around"][-1].get("class", "").startswith("scroll") and table["around"][-1].get("tabindex") == "0"
        ):
            yield "a table does not scroll by keyboard"
    for row in named.get("tr", []):
        if not [one for one in named["th"] if one["around"][-1] is row]:
            yield f"a row has no heading: {row['text']}"


def _unshown(named):
    shown = {one["text"] for one in named.get("th", [])}
    return [one for one in named.get("dt", []) if one["text"] not in shown]
