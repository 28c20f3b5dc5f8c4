"""docs/compliance.md names real code and real tests, and leaves out no rule that a test is named after."""

from __future__ import annotations

import re

from tests.conftest import ROOT

_ROW = re.compile(r"^\| (R\d+) \| (.+?) \| (.+?) \| `(tests/[\w/]+\.py)::(\w+)` \|$", re.MULTILINE)


def test_the_page_and_the_tests_agree() -> None:
    page = (ROOT / "docs" / "compliance.md").read_text(encoding="utf-8")
    rows = _ROW.findall(page)
    assert len(rows) == len(re.findall(r"^\| R\d+", page, re.MULTILINE))
    for rule, _, places, file, name in rows:
        assert f"def {name}(" in (ROOT / file).read_text(encoding="utf-8"), (rule, name)
        for place in re.findall(r"`([^`]+)`", places):
            assert (ROOT / place).is_file(), (rule, place)
    tested: set[str] = set()
    for folder in ("consent", "messages", "subscriber"):
        for file in (ROOT / "tests" / folder).glob("test_*.py"):
            for name in re.findall(r"^def test_((?:r\d+_)+)", file.read_text(encoding="utf-8"), re.MULTILINE):
                tested |= {number.upper() for number in re.findall(r"r\d+", name)}
    assert tested == {rule for rule, *_ in rows}
