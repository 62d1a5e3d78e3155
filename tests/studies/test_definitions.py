"""The studies that come with the package, and those of one's own."""

import pytest
import torch

from ctloupe import methods
from ctloupe.foundation.errors import CtLoupeError, FileError, OptionError
from ctloupe.studies.columns import numbers_by_label
from ctloupe.studies.definition import SCALES, load_study, names
from ctloupe.studies.runner import StudyRequest

OWN = """
title: my table
reference: me
protocols: [paired-phantom]
rows:
  - {key: one, label: first, method: unet}
"""


@pytest.mark.parametrize("name", names())
def test_every_row_of_a_study_can_be_configured_at_every_scale(name):
    study = load_study(name)
    assert study.title and study.reference and study.rows
    for scale in SCALES:
        for row in study.trained():
            kind = methods.get(row.method)
            fields = kind.Config.model_fields
            assert all(key.partition(".")[0] in fields for key in row.changes), row.key
            changes = {k: v for k, v in study.configuration(row, scale).items() if k.partition(".")[0] in fields}
            kind.configure(study.preset(row, scale) if kind.trainable else None, changes)


def test_the_study_of_all_methods_has_all_methods():
    used = {row.method for row in load_study("all").trained()} | {"bicubic"}
    assert used == {name for name in methods.names()}


def test_the_ablation_switches_exactly_the_papers_terms():
    study = load_study("jmi-table3")
    terms = {"upsample": "up", "downsample": "down", "ssim_clinical": "s1", "ssim_micro": "s2"}
    expected = {
        "A": (False, ""),
        "B": (False, "up down s1 s2"),
        "C": (True, ""),
        "D": (True, "up"),
        "E": (True, "down"),
        "F": (True, "s1"),
        "G": (True, "s2"),
        "H": (True, "up down"),
        "I": (True, "s1 s2"),
        "K": (True, "down s1 s2"),
        "L": (True, "up s1 s2"),
        "M": (True, "up down s1 s2"),
    }
    for row in study.trained():
        for preset in ("tiny", "paper"):
            scale = "tiny" if preset == "tiny" else "paper"
            config = methods.get("sr-cyclegan").configure(preset, study.configuration(row, scale))
            on = {short for name, short in terms.items() if getattr(config.weights, name) > 0}
            modified, wanted = expected[row.key]
            assert (config.generator == "subpixel", on) == (modified, set(wanted.split())), row.key
            assert not config.bicubic_skip
    assert study.row("J").same_as == "B" and len(study.trained()) == 12


def test_the_papers_numbers_are_those_of_the_papers():
    paper = {row.key: row.paper for row in load_study("jmi-table3").rows}
    assert paper["A"] == {"psnr_peak_1_db": 13.64, "ssim_one_window": 0.05}
    assert paper["M"] == {"psnr_peak_1_db": 17.71, "ssim_one_window": 0.54}
    assert load_study("jmi-table5").row("SR-CycleGAN").paper["parameters"] == 19_264_369
    assert load_study("isbi-table2").row("Bayes-CycleGAN").paper == {"m_hum": 0.28}


def test_numbers_of_a_paper_stand_under_keys_or_labels_of_metrics_that_exist():
    wanted = {"SSIM one window": 0.4, "inference (s)": 2}
    assert numbers_by_label({"ssim_one_window": 0.4, "inference (s)": 2}, "one") == wanted
    with pytest.raises(OptionError, match=r"row one: no metric has the key 'psnr'; keys are: .*ssim"):
        numbers_by_label({"psnr": 1.0}, "one")


@pytest.mark.parametrize("name", names())
def test_every_number_of_a_paper_in_the_studies_belongs_to_a_metric(name):
    for row in load_study(name).rows:
        assert len(numbers_by_label(row.paper, row.key)) == len(row.paper)


def test_a_study_may_be_a_file_of_ones_own(tmp_path):
    (tmp_path / "mine.yaml").write_text(OWN)
    study = load_study(str(tmp_path / "mine.yaml"))
    assert (study.name, study.title, [row.key for row in study.rows]) == ("mine", "my table", ["one"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("method: unet", "method: unet, same_as: two"), "either a method or same_as"),
        (("key: one", "key: bicubic"), "added by the runner"),
        (("key: one", "key: a/b"), "expected a name of 1 to 100 letters"),
        (("paired-phantom", "guess"), "protocols"),
        (("title: my table", "titel: my table"), "titel|title"),
        (("rows:", "rows: ["), "not valid YAML"),
        (("rows:", "synthesiser: two\nrows:"), "synthesiser two is no row"),
        (("[paired-phantom]", "[synth]"), "needs a synthesiser"),
        (("rows:", "data: {clinical_window: wide}\nrows:"), "wide"),
        (("rows:", "budget: {tiny: {cases: 0}}\nrows:"), "cases"),
        (("rows:", "claims: [{text: x, better: one, worse: none, metric: psnr_db}]\nrows:"), "none is no row"),
    ],
)
def test_a_wrong_definition_is_refused_in_one_line(tmp_path, change, message):
    (tmp_path / "mine.yaml").write_text(OWN.replace(*change))
    with pytest.raises(CtLoupeError, match=message) as error:
        load_study(str(tmp_path / "mine.yaml"))
    assert "\n" not in str(error.value)


def test_an_unknown_study_or_row_is_named(tmp_path):
    with pytest.raises(OptionError, match="jmi-table3"):
        load_study("jmi-table9")
    with pytest.raises(FileError, match="cannot be read"):
        load_study(str(tmp_path / "none.yaml"))
    with pytest.raises(OptionError, match="no row 'Z'"):
        load_study("jmi-table3").trained(("Z",))


def test_a_study_is_asked_for_at_one_of_its_scales():
    with pytest.raises(OptionError, match="`scale` huge: expected one of tiny, small, paper"):
        StudyRequest(scale="huge")
    assert StudyRequest(scale="small", seeds=7).budget(load_study("all")).seeds == 7


def test_at_scale_paper_windows_cases_and_test_images_are_the_papers():
    jmi, synth, isbi = (load_study(name) for name in ("jmi-table3", "synth-table1", "isbi-table2"))
    assert jmi.recipe("paper").clinical_window == (-1000, 2500) and jmi.recipe("paper").micro_window == (0, 15000)
    budget = jmi.planned("paper")
    assert (budget.cases, budget.micros, budget.per_case) == (5, 5, 2000)
    assert (budget.test_cases, budget.test_patches) == (5, 1544)
    budget = synth.planned("paper")
    assert (budget.cases, budget.micros, budget.test_cases) == (8, 6, 2)
    recipe, budget = isbi.recipe("paper"), isbi.planned("paper")
    assert (recipe.anatomy, recipe.clinical_mask, recipe.micro_mask) == ("temporal-bone", "box", "box")
    assert (recipe.stride, recipe.enhance["median"], recipe.enhance["match_histograms"]) == (128, 3, True)
    assert isbi.row("Bayes-CycleGAN").enhance["paper"] == {"samples": 100}
    assert budget.cases * budget.per_case == pytest.approx(5000, rel=0.001)
    table6 = load_study("jmi-table6").recipe("tiny")
    assert table6.reduced.noise == 0.05 and table6.reduced.share == 0.1
    assert table6.clinical_window == table6.micro_window == (-1000, 500)


def test_the_networks_with_down_and_upblocks_have_three_of_the_papers_text():
    for name, keys in (("jmi-table2", ("Network1", "Network3")), ("jmi-table3", ("A", "B"))):
        study = load_study(name)
        for key in keys:
            config = methods.get("sr-cyclegan").configure("paper", study.configuration(study.row(key), "paper"))
            network = methods.get("sr-cyclegan").make_enhancer(config)
            strided = [one for one in network.modules() if isinstance(one, torch.nn.Conv2d) and one.stride == (2, 2)]
            assert len(strided) == 3


def test_the_row_whose_network_makes_all_inputs_is_trained_first_whatever_is_asked_for():
    study = load_study("synth-table1")
    assert [row.key for row in study.trained(("SR-CycleGAN",))] == ["synth-SRGAN", "SR-CycleGAN"]
