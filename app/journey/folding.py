"""Letters without their case, by a table that SQL's `translate` can be given too.

`str.casefold` and a database's `lower` differ from each other and from version to version; a condition must mean the
same in both. One letter becomes one letter: what has no such partner (ß) stays as it is.
"""

from __future__ import annotations


def _pairs() -> list[tuple[str, str]]:
    every = (chr(code) for code in range(0x41, 0x530))
    return [(letter, letter.lower()) for letter in every if letter != letter.lower() and len(letter.lower()) == 1]


UPPER = "".join(upper for upper, _ in _pairs())
"""Latin, Greek and Cyrillic capitals."""
LOWER = "".join(lower for _, lower in _pairs())
"""The small letter of each, in the same order."""

_TABLE = str.maketrans(UPPER, LOWER)


def folded(text: str) -> str:
    """The text with small letters in place of capitals."""
    return text.translate(_TABLE)
