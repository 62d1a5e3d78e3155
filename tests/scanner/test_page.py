"""The example of docs/scanner.md runs, and what it asserts holds."""

import re
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "scanner.md"


def test_the_example_of_the_page_runs():
    (example,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.S)
    names = {}
    exec(compile(example, str(PAGE), "exec"), names)
    assert names["seen"].shape == (2, 20, 20)
