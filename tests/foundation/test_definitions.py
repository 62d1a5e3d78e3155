"""Definitions come by name from a package, or from a user's own file."""

import sys

import pytest
from pydantic import BaseModel, ConfigDict

from ctloupe.foundation.definitions import definition_names, load_definition
from ctloupe.foundation.errors import FileError, OptionError


class Recipe(BaseModel):
    """What the definitions of these tests hold."""

    model_config = ConfigDict(extra="forbid")
    name: str
    grams: int


@pytest.fixture
def load(tmp_path, monkeypatch):
    """A function that loads a recipe where a package has two of them."""
    folder = tmp_path / "kitchen" / "recipes"
    folder.mkdir(parents=True)
    (tmp_path / "kitchen" / "__init__.py").touch()
    (folder / "bread.yaml").write_text("grams: 500\n")
    (folder / "apple-pie.yaml").write_text("name: pie\ngrams: 900\n")
    (folder / "notes.txt").write_text("buy apples")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "kitchen", raising=False)
    return lambda name: load_definition(name, Recipe, "recipe", "kitchen", "recipes")


def test_the_named_ones_are_listed_and_called_as_their_files(load):
    assert definition_names("kitchen", "recipes") == ["apple-pie", "bread"]
    assert load("bread") == Recipe(name="bread", grams=500)
    assert load("apple-pie").name == "pie"


def test_a_file_of_ones_own_is_called_by_its_stem(load, tmp_path):
    (tmp_path / "soup.yml").write_text("grams: 300\n")
    assert load(str(tmp_path / "soup.yml")) == Recipe(name="soup", grams=300)


def test_an_unknown_name_lists_the_known_ones(load):
    with pytest.raises(OptionError, match=r"no recipe is called 'cake'; there are: apple-pie, bread; or give a YAML"):
        load("cake")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("grams: [", "own.yaml: recipe: not valid YAML"),
        ("- 1", "own.yaml: recipe: expected a mapping"),
        ("grams: 1\nsalt: 2", "own.yaml: recipe: key 'salt': Extra inputs are not permitted .*keys are: name, grams"),
    ],
)
def test_a_faulty_file_is_one_line(load, tmp_path, content, told):
    (tmp_path / "own.yaml").write_text(content)
    with pytest.raises(FileError, match=told):
        load(str(tmp_path / "own.yaml"))


def test_a_missing_file_is_named(load, tmp_path):
    with pytest.raises(FileError, match=r"none\.yaml: cannot be read"):
        load(str(tmp_path / "none.yaml"))
