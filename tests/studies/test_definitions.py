"""The studies that come with the package, and those of one's own."""

import pytest
import torch

from ctloupe import methods
from ctloupe.foundation.errors import CtLoupeError, FileError, OptionError
from ctloupe.studies.columns import numbers_by_label
from ctloupe.studies.definition import SCALES, Study, load_study, names
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


ONE_MORE = """
extends: jmi-table2
rows:
  - {key: mine, label: with a skip, method: sr-cyclegan, changes: {bicubic_skip: true}}
"""


@pytest.fixture
def write(tmp_path):
    """A function that writes a study's file and returns its path."""

    def written(text, name="mine.yaml"):
        (tmp_path / name).write_text(text, encoding="utf-8")
        return str(tmp_path / name)

    return written


def test_a_row_is_added_to_a_papers_table_without_copying_it(write):
    paper, study = load_study("jmi-table2"), load_study(write(ONE_MORE))
    assert study.rows[:-1] == paper.rows and study.row("mine").changes == {"bicubic_skip": True}
    assert (study.name, study.extends) == ("mine", "jmi-table2")
    assert (study.title, study.reference) == (f"{paper.title}, and mine", "JMI 2022, Table 2, extended")
    for key in ("enlargement", "protocols", "changes", "data", "data_at", "budget", "synthesiser", "claims", "note"):
        assert getattr(study, key) == getattr(paper, key)
    # What is recorded needs neither file any more.
    assert Study.model_validate(study.model_dump(mode="json")) == study


def test_an_extension_has_words_claims_and_repeated_rows_of_its_own(write):
    words = "title: mine\nreference: me\nnote: Trained at night.\n"
    words += "claims: [{text: skip helps, better: mine, worse: M, metric: psnr_db}]\n"
    again = "  - {key: again, label: once more, same_as: M, paper: {psnr_peak_1_db: 17.7}}\n"
    paper, study = load_study("jmi-table3"), load_study(write(words + ONE_MORE.replace("table2", "table3") + again))
    assert (study.title, study.reference) == ("mine", "me")
    assert study.note == f"{paper.note} Trained at night."
    assert study.claims[:-1] == paper.claims and study.claims[-1].better == "mine"
    assert [row.key for row in study.trained(("again",))] == ["M"]


def test_an_extension_may_extend_a_file_beside_it_that_extends_another(write, tmp_path, monkeypatch):
    write(ONE_MORE)
    (tmp_path / "deeper").mkdir()
    path = write(ONE_MORE.replace("jmi-table2", "../mine.yaml").replace("key: mine", "key: more"), "deeper/more.yaml")
    monkeypatch.chdir(tmp_path)
    for name in (path, "deeper/more.yaml"):
        assert [row.key for row in load_study(name).rows][-3:] == ["Network4", "mine", "more"]


def test_a_file_may_have_the_name_of_the_study_it_extends(write):
    assert load_study(write(ONE_MORE, "jmi-table2.yaml")).extends == "jmi-table2"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            ("jmi-table2", "jmi-table9"),
            r"mine.yaml: study: key 'extends': no study is called 'jmi-table9'; there are: .*",
        ),
        (("jmi-table2", "none.yaml"), r"none.yaml: cannot be read"),
        (("jmi-table2", "mine.yaml"), r"mine.yaml: study: key 'extends': mine.yaml leads back to this file"),
        (("key: mine", "key: Network3"), r"mine.yaml: study: row 'Network3' is in jmi-table2 already; give it another"),
        (("rows:", "budget: {tiny: {cases: 1}}\nrows:"), r"key 'budget': .*title.*has its conditions, so that"),
        (("label: with a skip, ", ""), r"mine.yaml: study: key 'rows.0.label': Field required"),
        (("method: sr-cyclegan, changes: {bicubic_skip: true}", "same_as: N"), "same_as N is no row"),
        (("rows:", "none:"), "key 'rows': Field required"),
        (("jmi-table2", "[jmi-table2]"), "key 'extends': Input should be a valid string"),
        (("jmi-table2", '"a\\0.yaml"'), "cannot be read"),
    ],
)
def test_a_wrong_extension_is_refused_in_one_line(write, change, message):
    path = write(ONE_MORE.replace(*change))
    with pytest.raises(FileError, match=message) as error:
        load_study(path)
    assert "\n" not in str(error.value)


def test_studies_that_extend_each_other_are_refused(write):
    first = write(ONE_MORE.replace("jmi-table2", "b.yaml"), "a.yaml")
    write(ONE_MORE.replace("jmi-table2", "a.yaml").replace("mine", "more"), "b.yaml")
    with pytest.raises(FileError, match=r"a.yaml: study: key 'extends': b.yaml leads back to this file"):
        load_study(first)


def test_a_row_that_repeats_one_that_repeats_another_is_refused(write):
    again = ONE_MORE.replace("table2", "table3").replace(
        "method: sr-cyclegan, changes: {bicubic_skip: true}", "same_as: J"
    )
    with pytest.raises(FileError, match="row mine: same_as J is no row that has a method"):
        load_study(write(again))
