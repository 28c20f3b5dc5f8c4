"""docs/compliance.md is complete and true: every rule it must hold has a line, and names real code and real tests."""

from __future__ import annotations

import re
from functools import lru_cache

from tests.conftest import ROOT

HELD = [*range(1, 20), *range(31, 39), *range(46, 54)]
"""The rules that consent stands on; none may lack its line."""

_ROW = re.compile(r"^\| (R\d+) \| (.+?) \| (.+?) \| (.+?) \|$", re.MULTILINE)
_TEST = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")
_NAMED = re.compile(r"^\s*def (test_\w+)\(", re.MULTILINE)


def rows() -> list[tuple[str, str, list[str], list[tuple[str, str]]]]:
    """(rule, what it says, files, tests) of every line."""
    page = (ROOT / "docs" / "compliance.md").read_text(encoding="utf-8")
    found = _ROW.findall(page)
    assert len(found) == len(re.findall(r"^\| R\d+", page, re.MULTILINE)), "a line of the table has another shape"
    return [(rule, says, re.findall(r"`([^`]+)`", where), _TEST.findall(tests)) for rule, says, where, tests in found]


@lru_cache
def named_in(file: str) -> frozenset[str]:
    """The tests in a file."""
    return frozenset(_NAMED.findall((ROOT / file).read_text(encoding="utf-8")))


def rules_of(name: str) -> set[str]:
    """The rules that a test is named after: `test_r5_r7_...` holds R5 and R7."""
    head = re.match(r"test_((?:r\d+_)+)", name)
    return {number.upper() for number in re.findall(r"r\d+", head[1])} if head else set()


def test_every_rule_of_consent_has_one_line() -> None:
    rules = [rule for rule, *_ in rows()]
    assert sorted(rules) == sorted(set(rules)), "a rule has two lines"
    assert {f"R{number}" for number in HELD} <= set(rules)


def test_every_line_names_files_and_tests_that_exist() -> None:
    for rule, says, files, tests in rows():
        assert says.strip(), rule
        assert files, rule
        assert tests, rule
        for file in files:
            assert (ROOT / file).is_file(), (rule, file)
        for file, name in tests:
            assert (ROOT / file).is_file(), (rule, file)
            assert name in named_in(file), (rule, name)


def test_every_test_on_the_page_bears_the_number_of_its_rule() -> None:
    for rule, _, _, tests in rows():
        for _, name in tests:
            assert rule in rules_of(name), (rule, name)


def test_no_rule_that_a_test_is_named_after_lacks_its_line() -> None:
    named: dict[str, str] = {}
    for file in sorted((ROOT / "tests").rglob("test_*.py")):
        for name in named_in(str(file.relative_to(ROOT))):
            named |= dict.fromkeys(rules_of(name), f"{file.name}::{name}")
    assert named.keys() <= {rule for rule, *_ in rows()}, named
