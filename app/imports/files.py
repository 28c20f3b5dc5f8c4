"""A file of contacts as rows of text, whatever program wrote it. Pure.

Encodings of real exports (UTF-8 with and without its mark, UTF-16, Windows-1252), `;`, `,`, tabs and bars between
cells, quotes, titles above the header, rows too short or too long; Excel and OpenDocument workbooks. What cannot be
read is refused with where it is and how to mend it; a single bad row never stops the others.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from itertools import islice

from python_calamine import CalamineError, CalamineWorkbook

LARGEST = 64 * 1024 * 1024
"""Bytes of a file of text."""
LARGEST_BOOK = 20 * 1024 * 1024
"""Bytes of a workbook; its reader holds a whole sheet in memory."""
LARGEST_UNPACKED = 300 * 1024 * 1024
"""Bytes a workbook may unpack to: a small file can hide a very large one."""
MOST_ROWS = 500_000
MOST_COLUMNS = 300
LONGEST_CELL = 4_000
"""Characters; no name, address or attribute is longer."""

_BOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
_DELIMITERS = ";,\t|"
_LOOK_AT = 20
"""Rows by which delimiter and header are found."""
_ADDRESS = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_GUARDED = re.compile(r"'[=+\-@0-9]")
"""An apostrophe that a spreadsheet put before a value so that it is not taken for a number or formula."""


class UnreadableError(ValueError):
    """The file cannot be read. `code` names why, `values` fill its sentence; the message is the English one."""

    def __init__(self, code: str, **values: int | str) -> None:
        super().__init__(SENTENCES[code] % values)
        self.code = code
        self.values = values


SENTENCES = {
    "empty": "The file is empty.",
    "no_rows": "There is a header and no row below it.",
    "too_large": "The file is larger than %(limit)s MB. Split it and import the parts one after another.",
    "too_many_rows": "The file has more than %(limit)s rows. Split it and import the parts one after another.",
    "too_many_columns": "The file has more than %(limit)s columns. Remove those that are not needed.",
    "no_table": "No table was found: one column, and no e-mail address in it. Save the list as CSV or Excel (.xlsx).",
    "broken_book": "The workbook cannot be opened. Open it in Excel and save it anew as .xlsx, without a password.",
    "unpacks_too_large": "The workbook unpacks to more than %(limit)s MB. Save the sheet as CSV.",
    "broken_line": "Line %(line)s cannot be read: a quotation mark is opened there and never closed.",
    "binary": "This is no list of contacts: the file holds no text. Save the list as CSV or Excel (.xlsx).",
}


@dataclass(frozen=True, slots=True)
class Sheet:
    """A file's header and rows, which are read as they are asked for."""

    header: tuple[str, ...]
    """Unique names; `Column 3` where a column has none."""
    rows: Iterator[tuple[int, list[str]]]
    """Line in the file and cells; a row may be shorter or longer than the header."""
    digest: str
    """SHA-256 of the file, hexadecimal."""
    shape: str
    """Hash of the header, regardless of case and order of nothing: files of one export share it."""


def read(content: bytes) -> Sheet:
    """A file's header and rows.

    Args:
        content: the file as it came; by its first bytes it is a workbook or text.

    Raises:
        UnreadableError: it is no list; also while the rows are read, where a quote is never closed.
    """
    if not content.strip(b"\x00 \r\n\t"):
        raise UnreadableError("empty")
    is_book = content.startswith(_BOOKS)
    limit = LARGEST_BOOK if is_book else LARGEST
    if len(content) > limit:
        raise UnreadableError("too_large", limit=limit // 1024 // 1024)
    numbered = _of_book(content) if is_book else _of_text(_decoded(content))
    first = list(islice(numbered, _LOOK_AT))
    if not first:
        raise UnreadableError("empty")
    header, below = _header(first)
    if len(header) > MOST_COLUMNS:
        raise UnreadableError("too_many_columns", limit=MOST_COLUMNS)
    if len(header) == 1 and not any(_ADDRESS.fullmatch(cell) for _, row in below[:5] for cell in row):
        raise UnreadableError("no_table")
    if not below:
        raise UnreadableError("no_rows")
    names = _unique(header)
    shape = hashlib.sha256("\x1f".join(name.casefold() for name in names).encode()).hexdigest()[:32]
    return Sheet(names, _limited(below, numbered), hashlib.sha256(content).hexdigest(), shape)


def _limited(
    first: Sequence[tuple[int, list[str]]], rest: Iterator[tuple[int, list[str]]]
) -> Iterator[tuple[int, list[str]]]:
    count = 0
    for source in (first, rest):
        for row in source:
            count += 1
            if count > MOST_ROWS:
                raise UnreadableError("too_many_rows", limit=MOST_ROWS)
            yield row


# -- text ------------------------------------------------------------------------------------------------------------


def _decoded(content: bytes) -> str:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16", errors="replace")
    head = content[:4096]
    if 0 in head:
        # UTF-16 without its mark: of Latin text every other byte is zero, and hardly any of the others.
        for codec, high, low in (("utf-16-le", head[1::2], head[::2]), ("utf-16-be", head[::2], head[1::2])):
            if high.count(0) * 2 > len(high) and low.count(0) * 20 < len(low):
                return content.decode(codec, errors="replace")
        raise UnreadableError("binary")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        # Windows-1252 leaves five bytes undefined; whoever wrote them meant nothing that a name needs.
        return content.decode("cp1252", errors="replace")


def _of_text(text: str) -> Iterator[tuple[int, list[str]]]:
    text = text.replace("\x00", "")
    told = re.match(r"sep=(.)\r?\n", text)
    delimiter = told[1] if told else _delimiter(text)
    reader = csv.reader(io.StringIO(text[told.end() :] if told else text, newline=""), delimiter=delimiter)
    skipped = 1 if told else 0
    before = skipped
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error:
            raise UnreadableError("broken_line", line=before + 1) from None
        line, before = before + 1, reader.line_num + skipped
        cells = [_plain(cell) for cell in row]
        if any(cell.count("\n") > _LOOK_AT for cell in cells):
            raise UnreadableError("broken_line", line=line)
        if any(cells):
            yield line, cells


def _delimiter(text: str) -> str:
    """What stands between cells: what makes the first rows widest and most alike."""
    sample = text[:65_536]

    def weight(delimiter: str) -> tuple[int, int]:
        try:
            rows = list(islice(csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter), _LOOK_AT))
        except csv.Error:
            return 0, 0
        widths = [len(row) for row in rows if any(row)]
        common = max(set(widths), key=lambda width: (widths.count(width), width), default=0)
        return (widths.count(common) if common > 1 else 0), common

    return max(_DELIMITERS, key=weight)


# -- workbooks -------------------------------------------------------------------------------------------------------


def _of_book(content: bytes) -> Iterator[tuple[int, list[str]]]:
    if content.startswith(b"PK"):
        try:
            with zipfile.ZipFile(io.BytesIO(content)) as packed:
                unpacked = sum(one.file_size for one in packed.infolist())
        except zipfile.BadZipFile:
            raise UnreadableError("broken_book") from None
        if unpacked > LARGEST_UNPACKED:
            raise UnreadableError("unpacks_too_large", limit=LARGEST_UNPACKED // 1024 // 1024)
    try:
        book = CalamineWorkbook.from_filelike(io.BytesIO(content))
        sheet = book.get_sheet_by_index(0)
        rows = sheet.iter_rows()
    except (CalamineError, OSError, ValueError, IndexError):
        raise UnreadableError("broken_book") from None
    for place, row in enumerate(rows, start=1):
        cells = [_plain(_cell(value)) for value in row]
        if any(cells):
            yield place, cells


def _cell(value: object) -> str:
    """A cell of a workbook as a person would type it: no `.0` behind a number, dates as ISO."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == time() else value.isoformat(sep=" ", timespec="seconds")
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return str(value)
    return str(value)


def _plain(cell: str) -> str:
    cell = cell.replace("\xa0", " ").strip()
    if _GUARDED.match(cell):
        cell = cell[1:]
    return cell[: LONGEST_CELL + 1]


# -- header ----------------------------------------------------------------------------------------------------------


def _header(first: list[tuple[int, list[str]]]) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """The header and the rows below it. Titles above it are passed over; a list without one gets plain names."""
    width = max(len(row) for _, row in first)
    for place, (_, row) in enumerate(first[:10]):
        if any(_ADDRESS.fullmatch(cell) for cell in row):
            # Somebody's address: the rows begin here, and what would be the header is none.
            return [f"Column {number}" for number in range(1, width + 1)], first[place:]
        if sum(map(bool, row)) * 2 >= width and (width == 1 or len(row) > 1):
            return row, first[place + 1 :]
    return first[0][1], first[1:]


def _unique(header: Iterable[str]) -> tuple[str, ...]:
    names: list[str] = []
    taken: set[str] = set()
    for number, name in enumerate(header, start=1):
        plain, again = " ".join(name.split())[:200] or f"Column {number}", 2
        free = plain
        while free.casefold() in taken:
            free, again = f"{plain} ({again})", again + 1
        taken.add(free.casefold())
        names.append(free)
    return tuple(names)


# -- on the way out --------------------------------------------------------------------------------------------------


def safe(cell: object) -> str:
    """A cell of a file of ours: what a spreadsheet would take for a formula is made plain text (CWE-1236)."""
    text = "" if cell is None else str(cell)
    return "'" + text if text[:1] in {"=", "+", "-", "@", "\t", "\r", "|", "%"} else text


def written(rows: Iterable[Sequence[object]]) -> Iterator[str]:
    """Lines of a CSV that Excel opens with its accents: UTF-8 with its mark, every cell safe."""
    held = io.StringIO(newline="")
    writer = csv.writer(held)
    held.write("\ufeff")
    for row in rows:
        writer.writerow([safe(cell) for cell in row])
        yield held.getvalue()
        held.seek(0)
        held.truncate()
