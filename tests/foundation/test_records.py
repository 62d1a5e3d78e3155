"""Records are written whole and read with a schema; a refusal is one line with file, key and what to do."""

import json
import math

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from ctloupe.foundation.errors import FileError, IntensityError, OptionError
from ctloupe.foundation.records import fault, load_record, read_plain, save_record, validated


class Coil(BaseModel):
    """Part of a record."""

    model_config = ConfigDict(extra="forbid")
    turns: int = Field(ge=1)


class Machine(BaseModel):
    """A record with a nested part."""

    model_config = ConfigDict(extra="forbid")
    name: str
    coils: list[Coil] = []

    @field_validator("name")
    @classmethod
    def _not_blank(cls, value):
        if not value.strip():
            raise ValueError("must not be blank")
        return value


def refusal(path):
    with pytest.raises(FileError) as caught:
        load_record(path, Machine, "machine card", "write it again")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_record_comes_back_as_it_was_saved(tmp_path):
    machine = Machine(name="µCT", coils=[Coil(turns=3)])
    save_record(tmp_path / "card.json", machine)
    assert load_record(tmp_path / "card.json", Machine, "machine card", "") == machine
    assert (tmp_path / "card.json").read_text(encoding="utf-8").endswith("}\n")


def test_yaml_is_read_by_its_suffix(tmp_path):
    for name in ("card.yaml", "card.yml"):
        (tmp_path / name).write_text("name: one\ncoils:\n  - turns: 2\n", encoding="utf-8")
        assert load_record(tmp_path / name, Machine, "machine card", "").coils == [Coil(turns=2)]


def test_plain_data_may_be_anything_that_json_can_say(tmp_path):
    save_record(tmp_path / "list.json", [1, {"a": None}])
    assert read_plain(tmp_path / "list.json", "list", "") == [1, {"a": None}]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ('{"coils": []}', "not a valid machine card: key 'name': Field required; write it again"),
        ('{"name": "a", "colour": 1}', "key 'colour': Extra inputs are not permitted (found 1); keys are: name, coils"),
        ('{"name": "a", "coils": [{"turns": 0}]}', "key 'coils.0.turns': Input should be greater than or equal to 1"),
        ('{"name": " "}', "key 'name': must not be blank (found ' ')"),
        ("[]", "not a valid machine card: Input should be a valid dictionary"),
        ("{", "not a valid machine card: Expecting property name"),
        ("", "not a valid machine card: Expecting value"),
    ],
)
def test_each_fault_is_one_line_with_file_and_key(tmp_path, content, told):
    (tmp_path / "card.json").write_text(content)
    message = refusal(tmp_path / "card.json")
    assert message.startswith(f"{tmp_path / 'card.json'}: not a valid machine card: ")
    assert told in message and message.endswith("; write it again")


def test_the_keys_of_a_nested_part_are_not_mistaken_for_those_of_the_record(tmp_path):
    (tmp_path / "card.json").write_text('{"name": "a", "coils": [{"turns": 1, "colour": 2}]}')
    message = refusal(tmp_path / "card.json")
    assert "key 'coils.0.colour'" in message and "keys are" not in message


def test_a_long_value_is_shortened():
    with pytest.raises(ValidationError) as caught:
        Machine.model_validate({"name": "a", "coils": "x" * 500})
    assert len(fault(caught.value)) < 160 and "..." in fault(caught.value)


def test_a_missing_record_and_broken_text_are_told_apart(tmp_path):
    assert refusal(tmp_path / "card.json") == f"{tmp_path / 'card.json'}: no machine card is here; write it again"
    (tmp_path / "card.json").write_bytes(b"\xff\xfe\x00")
    assert "not a valid machine card: 'utf-8' codec" in refusal(tmp_path / "card.json")
    (tmp_path / "card.yaml").write_text("a: [1,")
    assert "not a valid machine card: while parsing" in refusal(tmp_path / "card.yaml")
    (tmp_path / "deep.json").write_text("[" * 100_000)
    assert "not a valid machine card" in refusal(tmp_path / "deep.json")


def test_options_are_refused_as_options_unless_told_otherwise():
    with pytest.raises(OptionError, match=r"^settings: key 'name': Field required$"):
        validated(Machine, {}, "settings")
    with pytest.raises(IntensityError):
        validated(Machine, {}, "settings", IntensityError)


def test_what_json_has_not_got_is_refused_and_leaves_the_old_record(tmp_path):
    save_record(tmp_path / "card.json", {"value": 1})
    with pytest.raises(ValueError, match="JSON"):
        save_record(tmp_path / "card.json", {"value": math.nan})
    assert json.loads((tmp_path / "card.json").read_text()) == {"value": 1}
    assert [one.name for one in tmp_path.iterdir()] == ["card.json"]


def test_a_record_may_be_kept_from_being_replaced(tmp_path):
    save_record(tmp_path / "card.json", {"value": 1}, overwrite=False)
    with pytest.raises(FileError, match="exists already"):
        save_record(tmp_path / "card.json", {"value": 2}, overwrite=False)


def test_the_suffix_says_in_which_of_the_two_languages_a_record_is_written(tmp_path):
    values = {"name": "one", "lines": [1, 2.5, None]}
    for name in ("card.yaml", "card.yml", "card.json", "card.other"):
        save_record(tmp_path / name, values)
    assert (tmp_path / "card.yml").read_text() == (tmp_path / "card.yaml").read_text()
    assert (tmp_path / "card.yaml").read_text() == "name: one\nlines:\n- 1\n- 2.5\n- null\n"
    assert json.loads((tmp_path / "card.json").read_text()) == json.loads((tmp_path / "card.other").read_text())
