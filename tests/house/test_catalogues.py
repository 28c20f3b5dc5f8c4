"""Every text of ours is there in Italian: no entry empty, fuzzy, or with other placeholders than the English one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from babel.messages.pofile import read_po

from tests.conftest import ROOT

CATALOGUES = sorted((ROOT / "app").glob("**/translations/*/LC_MESSAGES/*.po"))
_PLACEHOLDER = re.compile(r"%\((\w+)\)|\{(\w+)\}")


def _placeholders(text: str) -> set[str]:
    return {one or other for one, other in _PLACEHOLDER.findall(text)}


def _forms(text: object) -> tuple[str, ...]:
    """Singular and plural, or the one form there is."""
    return tuple(str(form or "") for form in (text if isinstance(text, (tuple, list)) else (text,)))


@pytest.mark.parametrize("path", CATALOGUES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_catalogue_is_complete(path: Path) -> None:
    with path.open("rb") as file:
        catalogue = read_po(file)
    faults = []
    for message in catalogue:
        if not message.id:
            continue
        asked, given = _forms(message.id), _forms(message.string)
        if message.fuzzy or not all(given):
            faults.append(f"line {message.lineno}: {asked[0]!r} is {'fuzzy' if message.fuzzy else 'empty'}")
        elif any(_placeholders(text) - set().union(*map(_placeholders, asked)) for text in given):
            faults.append(f"line {message.lineno}: {asked[0]!r} has other placeholders")
    assert not faults, "\n".join(faults)
