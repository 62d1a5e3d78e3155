"""A real browser for tests of pages; they are skipped, by name, where there is none."""

import shutil
from contextlib import contextmanager
from importlib.util import find_spec

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
ARGUMENTS = [
    "--no-sandbox",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

HAS_BROWSER = CHROMIUM is not None and find_spec("playwright") is not None

needs_browser = pytest.mark.skipif(
    not HAS_BROWSER,
    reason="no Chromium, or no Playwright: the pages are not tested in a browser",
)


@contextmanager
def browser():
    """A Chromium that is installed on this machine, without a window."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield started
        started.close()


def violations(page):
    """What axe finds wrong with a page: rule and elements."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response["violations"]
    return [(one["id"], [node["target"] for node in one["nodes"]]) for one in found]
