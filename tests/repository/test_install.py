"""What `.ci/install.py` tells uv is what pip's own settings say, and pip does what uv cannot."""

import runpy
import sys
from pathlib import Path

import pytest

FILE = Path(__file__).resolve().parents[2] / ".ci" / "install.py"


@pytest.fixture
def install(monkeypatch):
    """Names of the script, in an environment where neither pip nor uv has settings."""
    for name in ("INDEX_URL", "EXTRA_INDEX_URL", "FIND_LINKS", "NO_INDEX", "TRUSTED_HOST", "CONSTRAINT", "CERT"):
        monkeypatch.delenv(f"PIP_{name}", raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    return runpy.run_path(str(FILE))


def test_nothing_is_told_where_pip_has_no_settings(install):
    assert install["settings_of_pip"]() == {}


def test_indexes_links_and_constraints_of_pip_are_told_and_a_variable_goes_before_a_file(
    install, tmp_path, monkeypatch
):
    settings = tmp_path / "pip.conf"
    settings.write_text(
        "[global]\nindex-url = https://one.invalid/simple\nextra-index-url = https://two.invalid/simple\n"
        "    https://three.invalid/simple\n[install]\nfind-links = /wheels\nno-compile = true\n",
        encoding="utf-8",
    )
    monkeypatch.setenv("PIP_CONFIG_FILE", str(settings))
    monkeypatch.setenv("PIP_INDEX_URL", "https://four.invalid/simple")
    monkeypatch.setenv("PIP_FIND_LINKS", "/more /most")
    monkeypatch.setenv("PIP_CONSTRAINT", "/capped.txt")
    told = install["settings_of_pip"]()
    assert told["UV_DEFAULT_INDEX"] == "https://four.invalid/simple"
    # Behind what a file of the whole machine may say.
    assert told["UV_INDEX"].endswith("https://two.invalid/simple https://three.invalid/simple")
    assert told["UV_FIND_LINKS"].endswith("/wheels,/more,/most")
    assert told["UV_CONSTRAINT"].endswith("/capped.txt")
    assert "UV_NO_INDEX" not in told


@pytest.mark.parametrize("program", [None, "false"])
def test_pip_is_asked_for_the_same_where_uv_is_absent_or_fails(program, install, monkeypatch, capfd):
    names = install["main"].__globals__
    monkeypatch.setitem(names, "uv", lambda: program)
    monkeypatch.setitem(names, "settings_of_pip", dict)
    monkeypatch.setitem(names, "PIP", [sys.executable, "-Sc", "import sys; print(*sys.argv[1:])"])
    monkeypatch.setattr(sys, "argv", ["install.py", "-c", "constraints.txt", "-e", "."])
    assert install["main"]() == 0
    assert capfd.readouterr().out.split()[-4:] == ["-c", "constraints.txt", "-e", "."]
