"""Jinja marks in a text: found, hidden from an HTML reader, turned into opaque tokens and back.

MRML reads Jinja as if it were words of the mail, and breaks or loses some of it. So marks are taken out before the
compile and put back after it; nothing here knows MJML.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

FILLER: Final = "\ue000"
"""Stands in for a mark, one for each of its characters; from the private use area, so no template holds it."""

_BODY = r"""(?:[^"'%s]|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|%s(?!\}))*"""
_MARK: Final = re.compile(
    r"(?P<expression>\{\{" + _BODY % ("}", r"\}") + r"\}\})"
    r"|(?P<statement>\{%" + _BODY % ("%", "%") + r"%\})"
    r"|(?P<comment>\{#.*?#\})",
    re.DOTALL,
)
_OPENING: Final = re.compile(r"\{\{|\{%|\{#")
_WORD: Final = re.compile(r"\{%[-+]?\s*(\w+)")

CLOSERS: Final = {"endif": "if", "endfor": "for", "endset": "set", "endwith": "with", "endfilter": "filter"}
MIDDLES: Final = {"elif": ("if",), "else": ("if", "for")}


@dataclass(frozen=True, slots=True)
class Mark:
    """One mark as it stands in the text, from `start` up to `end`."""

    kind: Literal["expression", "statement", "comment"]
    text: str
    start: int
    end: int

    @property
    def inner(self) -> str:
        """What stands between the braces, without white-space control."""
        return self.text[2:-2].strip("+-").strip()

    @property
    def word(self) -> str:
        """The first word of a statement: `if`, `endif`; empty for the others."""
        found = _WORD.match(self.text)
        return found[1] if found else ""

    @property
    def opens(self) -> bool:
        """Whether it begins a block that must be closed."""
        if self.word == "set":
            return re.match(r"\{%[-+]?\s*set\s+[\w.]+\s*(\|[^=]*)?[-+]?%\}", self.text) is not None
        return self.word in {"if", "for", "with", "filter"}


def find(text: str) -> list[Mark]:
    """All marks in order. A mark that is never closed is not among them (`unclosed` finds it)."""
    return list(_found(text))


@lru_cache(maxsize=128)
def _found(text: str) -> tuple[Mark, ...]:
    """Remembered, since a check asks for the marks of one text again and again."""
    return tuple(Mark(_kind(m), m[0], m.start(), m.end()) for m in _MARK.finditer(text))


def _kind(match: re.Match[str]) -> Literal["expression", "statement", "comment"]:
    if match.lastgroup == "expression":
        return "expression"
    return "statement" if match.lastgroup == "statement" else "comment"


def unclosed(text: str) -> Iterator[int]:
    """Where a mark opens and no end is found."""
    for opening in _OPENING.finditer(mask(text)):
        yield opening.start()


def mask(text: str) -> str:
    """The same text with every mark hidden, of the same length and with the same lines."""
    return _MARK.sub(lambda m: re.sub(r"[^\n]", FILLER, m[0]), text)


def without(text: str, gate: re.Pattern[str]) -> str:
    """The text less what stands behind an `if` or `elif` whose condition matches; its other branches stay."""
    return _parted(text, gate)[0]


def within(text: str, gate: re.Pattern[str]) -> list[str]:
    """What stands behind each such condition, and nothing else."""
    return _parted(text, gate)[1]


def _parted(text: str, gate: re.Pattern[str]) -> tuple[str, list[str]]:
    out: list[str] = []
    inside: list[str] = []
    hidden: list[bool] = []
    position = 0
    for mark in (*find(text), None):
        if mark is not None and mark.kind != "statement":
            continue
        piece = text[position : mark.start if mark is not None else len(text)]
        if any(hidden):
            inside[-1] += piece
        else:
            out.append(piece)
        if mark is None:
            break
        position = mark.end
        out.append(mark.text)
        was = any(hidden)
        if mark.opens:
            hidden.append(mark.word == "if" and gate.search(mark.inner) is not None)
        elif mark.word in CLOSERS and hidden:
            hidden.pop()
        elif mark.word in MIDDLES and hidden:
            hidden[-1] = mark.word == "elif" and gate.search(mark.inner) is not None
        if any(hidden) and not was:
            inside.append("")
    return "".join(out), inside


class Tokens:
    """Opaque stand-ins for pieces of a text. One name for each piece, and each piece its own name."""

    def __init__(self, text: str) -> None:
        letter = "J"
        while re.search(rf"{letter}{letter}\d+{letter}{letter}", text):
            letter += "J"
        self._edge = letter * 2
        self._pieces: list[str] = []
        self.pattern = re.compile(rf"{self._edge}(\d+){self._edge}")

    def make(self, piece: str) -> str:
        """A token that stands for `piece`."""
        self._pieces.append(piece)
        return f"{self._edge}{len(self._pieces) - 1}{self._edge}"

    def piece(self, number: int) -> str:
        """What the token of that number stands for."""
        return self._pieces[number]

    def hide(self, text: str) -> str:
        """Every mark of the text as a token; Jinja comments vanish."""
        return _MARK.sub(lambda m: "" if m.lastgroup == "comment" else self.make(m[0]), text)

    def restore(self, text: str) -> str:
        """All tokens as what they stand for."""
        return self.pattern.sub(lambda m: self._pieces[int(m[1])], text)

    def piece_only(self, text: str) -> bool:
        """Whether a text holds statements and nothing to read."""
        rest = self.pattern.sub(lambda m: "" if self._pieces[int(m[1])].startswith("{%") else "x", text)
        return not rest.strip()

    def numbers(self, text: str) -> list[int]:
        """The numbers of the tokens in a text, in order."""
        return [int(m[1]) for m in self.pattern.finditer(text)]
