"""Every recipe that comes with the package is whole, invents nothing, and its commands are ones that run."""

import shlex
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import typer
import yaml

from ctloupe.cli.main import app
from ctloupe.datasets.recipe import Recipe, load_recipe, names
from ctloupe.foundation.errors import FileError, OptionError
from ctloupe.volume.formats import read

TERMS = dict(
    title="Two scans",
    content="Two.",
    licence={"name": "CC0"},
    citation="me",
    where="here",
    size="2",
    good_for=["tests"],
)
FILE = {"name": "clinical/one.nii.gz", "address": "https://example.org/one.nii.gz"}


def recipe_file(folder, **changes):
    path = folder / "mine.yaml"
    path.write_text(yaml.safe_dump({**TERMS, "files": [FILE]} | changes), encoding="utf-8")
    return str(path)


def test_every_set_of_the_survey_has_a_recipe():
    surveyed = {"ear-pairs", "ear-multiscale", "human-organ-atlas", "vodasure", "rplhr-ct", "lidc-idri", "luna16"}
    assert set(names()) == surveyed | {"aeropath", "esa29-99-l3", "openear"}


@pytest.mark.parametrize("name", names())
def test_a_recipe_says_its_terms_and_claims_nothing_that_was_not_tried(name):
    recipe = load_recipe(name)
    assert recipe.name == name and not recipe.tried
    assert recipe.licence.name and recipe.citation and recipe.where and recipe.not_for
    assert recipe.by_hand and recipe.then
    for text in (recipe.title, *recipe.good_for, *recipe.not_for, *recipe.steps):
        assert text.isprintable() and text == text.strip()


@pytest.fixture(scope="module")
def ctloupe():
    return typer.main.get_command(app)


@pytest.mark.parametrize("name", names())
def test_the_command_that_follows_takes_what_the_set_holds_and_only_lacks_its_scans(
    name, ctloupe, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    recipe = load_recipe(name)
    for command in recipe.commands(Path(name)):
        words = shlex.split(command)
        assert words[:2] == ["ctloupe", "prepare"]
        assert any(f"{name}/{role.folder}" in words for role in recipe.holds)
        # The settings are checked before any scan is looked for.
        with pytest.raises(FileError, match=r"/clinical: no such file or folder"):
            ctloupe.main(words[1:], standalone_mode=False)
        with pytest.raises(OptionError, match="scale"):
            ctloupe.main([*words[1:], "--scale", "3"], standalone_mode=False)


def test_the_code_for_the_human_organ_atlas_writes_what_prepare_reads(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    asked = []

    class Whole(np.ndarray):
        values = property(np.asarray)

    def data_array(downsample_level):
        asked.append(downsample_level)
        return np.random.default_rng(1).integers(0, 60000, (40, 48, 56), dtype=np.uint16).view(Whole)

    module = ModuleType("hoa_tools.dataset")
    module.get_dataset = lambda name: SimpleNamespace(
        data_array=data_array, data=SimpleNamespace(voxel_size_um=float(name.split("um_")[0].rpartition("_")[2]))
    )
    monkeypatch.setitem(sys.modules, "hoa_tools", ModuleType("hoa_tools"))
    monkeypatch.setitem(sys.modules, "hoa_tools.dataset", module)
    exec(load_recipe("human-organ-atlas").code.replace("256", "8"), {})
    volume = read(tmp_path / "DOWNLOADED" / "micro" / "lung-1.ome.zarr")
    assert asked == [1] and volume.shape == (16, 16, 16) and volume.spacing == pytest.approx((0.05062,) * 3)


def test_a_recipe_of_ones_own_is_read_from_its_file(tmp_path):
    files = [FILE | {"about": "2.1 GB", "checksum": "MD5:" + "A" * 32}, FILE | {"name": "b.zip", "unpack": "b"}]
    recipe = load_recipe(recipe_file(tmp_path, files=files, then=["ctloupe inspect {out}/clinical/one.nii.gz"]))
    assert recipe.name == "mine" and recipe.files[0].expected == 2_100_000_000 and recipe.files[1].expected is None
    assert recipe.files[0].checksum == "md5:" + "a" * 32
    assert recipe.commands(Path("a b")) == ["ctloupe inspect 'a b'/clinical/one.nii.gz"]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"files": []}, "either files or steps"),
        ({"steps": ["go there"]}, "either files or steps"),
        ({"files": [], "steps": ["go there"]}, "says what it holds"),
        ({"files": [FILE | {"name": "../one"}]}, "expected a name"),
        ({"files": [FILE | {"name": "/one"}]}, "expected a name"),
        ({"files": [FILE | {"name": "a//b"}]}, "names inside the folder"),
        ({"files": [FILE | {"name": "dataset.json"}]}, "other than dataset.json"),
        ({"files": [FILE, FILE]}, "one name"),
        ({"files": [FILE, FILE | {"name": "x.zip", "unpack": "Clinical"}]}, "lie in each other"),
        ({"files": [FILE | {"address": "ftp://host/file"}]}, "not an address"),
        ({"files": [FILE | {"checksum": "12"}]}, "expected md5"),
        ({"files": [FILE | {"size": -1}]}, "size"),
        ({"files": [FILE | {"size": "2.1 GB"}]}, "valid integer"),
        ({"then": ["rm -r {out}"]}, "begins with ctloupe"),
        ({"licence": None}, "licence"),
        ({"colour": "red"}, "keys are: name, title"),
    ],
)
def test_a_recipe_that_is_not_one_is_refused_in_one_line(tmp_path, changes, says):
    with pytest.raises(FileError, match=says) as told:
        load_recipe(recipe_file(tmp_path, **changes))
    assert "mine.yaml" in str(told.value) and len(str(told.value).splitlines()) == 1


def test_a_set_that_nobody_knows_names_those_that_are_there():
    with pytest.raises(OptionError, match=r"no data set is called 'mars'; there are: aeropath, .* or give a YAML"):
        load_recipe("mars")
    assert isinstance(load_recipe("ear-pairs"), Recipe)
