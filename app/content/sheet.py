"""A text that knows where each of its characters was written, through includes and replacements."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from app.content.problems import Lines, Problem, Severity


@lru_cache(maxsize=512)
def _lines(text: str) -> Lines:
    return Lines(text)


@dataclass(frozen=True, slots=True)
class Piece:
    """From `start` on the text is that of `file` from `offset` on; a `fixed` piece stands for one place as a whole."""

    start: int
    file: str
    offset: int
    fixed: bool


@dataclass(frozen=True, slots=True)
class Sheet:
    """A text put together from files."""

    text: str
    pieces: tuple[Piece, ...]
    files: Mapping[str, str]

    def at(self, offset: int) -> tuple[str, int, int]:
        """File, line and column (from 1) of an offset."""
        piece = self.pieces[max(bisect_right(self.pieces, offset, key=lambda p: p.start) - 1, 0)]
        within = 0 if piece.fixed else offset - piece.start
        return (piece.file, *_lines(self.files.get(piece.file, "")).at(piece.offset + within))

    def place(self, line: int, column: int) -> tuple[str, int, int]:
        """Where the line and column (both from 1) of the whole text were written."""
        return self.at(_lines(self.text).offset(line, column - 1))

    def problem(self, offset: int, code: str, severity: Severity, message: str, cure: str = "") -> Problem:
        """A problem at an offset, told with the place where its author wrote it."""
        file, line, column = self.at(offset)
        return Problem(file, line, column, code, severity, message, cure)


@dataclass(slots=True)
class Builder:
    """Puts a sheet together."""

    files: Mapping[str, str]
    _parts: list[str] = field(default_factory=list)
    _pieces: list[Piece] = field(default_factory=list)
    _length: int = 0

    def write(self, text: str, file: str, offset: int, *, fixed: bool = True) -> None:
        """Text that comes from one place of a file; not `fixed` if it stands there character by character."""
        if text:
            self._pieces.append(Piece(self._length, file, offset, fixed))
            self._parts.append(text)
            self._length += len(text)

    def copy(self, sheet: Sheet, start: int, end: int) -> None:
        """A stretch of another sheet, with its places."""
        if start >= end:
            return
        index = max(bisect_right(sheet.pieces, start, key=lambda p: p.start) - 1, 0)
        while index < len(sheet.pieces) and sheet.pieces[index].start < end:
            piece = sheet.pieces[index]
            begin = max(piece.start, start)
            shift = 0 if piece.fixed else begin - piece.start
            self._pieces.append(Piece(self._length + begin - start, piece.file, piece.offset + shift, piece.fixed))
            index += 1
        self._parts.append(sheet.text[start:end])
        self._length += end - start

    def insert(self, text: str, sheet: Sheet, offset: int) -> None:
        """New text standing for the place of `offset` in another sheet."""
        index = max(bisect_right(sheet.pieces, offset, key=lambda p: p.start) - 1, 0)
        piece = sheet.pieces[index]
        self.write(text, piece.file, piece.offset + (0 if piece.fixed else offset - piece.start))

    def sheet(self) -> Sheet:
        """What was put together."""
        return Sheet("".join(self._parts), tuple(self._pieces) or (Piece(0, "", 0, True),), self.files)
