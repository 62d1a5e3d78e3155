"""YAML from others is plain data of bounded size."""

import pytest
import yaml

from ctloupe.foundation.yaml_text import parse_yaml


def test_what_is_plain_is_read_as_yaml_reads_it():
    text = "a: &one [1, 2.5, yes]\nb: *one\nc: {<<: {d: text}}\n"
    assert parse_yaml(text) == yaml.safe_load(text)
    assert parse_yaml("") is None


def bomb():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    return "\n".join(lines)


@pytest.mark.parametrize(
    "text", [bomb(), "a: &a [*a]", "[" * 500, "2021-02-31", "batch_size: [", "!!python/object/apply:os.getcwd []"]
)
def test_what_is_endless_or_no_yaml_is_refused(text):
    with pytest.raises(yaml.YAMLError):
        parse_yaml(text)
