"""One page about several studies."""

import pytest

from ctloupe.foundation.errors import FileError
from ctloupe.foundation.records import save_record
from ctloupe.studies.definition import load_study
from ctloupe.studies.results import result_path, study_path
from ctloupe.studies.summary import summary_of


def study_of(folder, name, numbers):
    """A folder of a study with a PSNR for each of its rows."""
    study = load_study(name)
    budget = {"size": [8, 64, 64], "cases": 1, "per_case": 2, "steps": 1}
    save_record(
        study_path(folder), {"study": study.model_dump(mode="json"), "scale": "tiny", "budget": budget, "volumes": None}
    )
    for (key, seed), value in numbers.items():
        found = {
            "protocol": "jmi, version 1",
            "rows": {"bicubic": {"PSNR peak 1 (dB)": 9.0}, key: {"PSNR peak 1 (dB)": value}},
            "definitions": {"PSNR peak 1 (dB)": "a number"},
            "better": {"PSNR peak 1 (dB)": "more"},
        }
        record = {"row": key, "seed": seed, "state": "done", "protocols": {"jmi": found}}
        save_record(result_path(folder, key, seed), record)
    return folder


def test_the_page_begins_with_what_agrees_and_what_does_not(tmp_path):
    rows = {"Network1": (5.0, 5.1), "Network2": (6.0, 6.1), "Network3": (4.0, 4.1), "Network4": (6.0, 7.0)}
    numbers = {(key, seed): values[seed] for key, values in rows.items() for seed in (0, 1)}
    text = summary_of([study_of(tmp_path / "one", "jmi-table2", numbers | {("bicubic", 0): 9.0})])
    assert text.startswith("## Summary\n\n4 sentences of the papers about two of their rows")
    seen, rest = text.split("### Seen the other way round")
    opposite, rest = rest.split("### Not decided")
    assert "sub-pixel steps are better than down- and upblocks without MMSR loss" in seen
    assert "with MMSR loss sub-pixel steps are better" in seen or "with MMSR loss sub-pixel" in rest
    assert "the MMSR loss improves down- and upblocks" in opposite
    assert "the MMSR loss improves sub-pixel steps" in rest.split("###")[0]
    assert "### Orders of rows" in text and "Kendall's τ" in text
    assert "### Never run\n\nall, isbi-table2" in text
    assert "## jmi-table2: network modification and MMSR loss" in text
    assert "| Network1 | CycleGAN with down- and upblocks | 5.050 ± 0.071 |" in text


def test_what_is_no_study_is_refused(tmp_path):
    with pytest.raises(FileError, match="no study is here"):
        summary_of([tmp_path])
