"""Foreign text stays on its line, steers no terminal and makes no Markdown."""

import pytest

from ctloupe.foundation.foreign_text import in_markdown, printable


@pytest.mark.parametrize(
    ("foreign", "shown"),
    [
        ("scan\n2.nii", "scan\\n2.nii"),
        ("\x1b[31mred\x07", "\\x1b[31mred\\x07"),
        ("\x9b31m", "\\x9b31m"),
        ("scan\u202egnp.exe", "scan\\u202egnp.exe"),
        ("bytes \udcff", "bytes \\udcff"),
        ("two\u2028lines", "two\\u2028lines"),
    ],
)
def test_what_is_neither_visible_nor_a_space_is_written_as_its_escape(foreign, shown):
    assert printable(foreign) == shown


@pytest.mark.parametrize("text", ["µCT 0.5 × 0.5 mm, 3 °C", "脑部 CT", "1\u202f000\u00a0HU", "Kopf–Hals ▲"])
def test_what_people_can_read_stays(text):
    assert printable(text) == text


def test_no_table_link_code_or_html_comes_of_a_name():
    assert in_markdown("a|b\n<i>[x](y)*`") == "a\\|b\\\\n\\<i\\>\\[x\\](y)\\*\\`"
