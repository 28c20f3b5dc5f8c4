"""Files as other programs write them become rows; what is no list is refused with where and how to mend it."""

from __future__ import annotations

import io
import zipfile

import pytest

from app.imports import files
from app.imports.files import UnreadableError, read, safe, written
from tests.imports.books import Day, book

TEXT = "Nome;E-mail\nLéa;lea@example.com\nJürgen;j@example.com\n"


def rows(content: bytes) -> list[list[str]]:
    """A file's cells."""
    return [cells for _, cells in read(content).rows]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16", "utf-16-le", "utf-16-be"])
def test_any_encoding_of_real_exports_is_read(encoding: str) -> None:
    assert rows(TEXT.encode(encoding)) == [["Léa", "lea@example.com"], ["Jürgen", "j@example.com"]]


@pytest.mark.parametrize("delimiter", [";", ",", "\t", "|"])
@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_delimiter_and_line_ends_are_found(delimiter: str, ending: str) -> None:
    text = TEXT.replace(";", delimiter).replace("\n", ending)
    assert rows(text.encode())[0] == ["Léa", "lea@example.com"]


def test_excels_own_hint_of_the_delimiter_is_no_row() -> None:
    sheet = read(b"sep=;\r\n" + TEXT.encode())
    assert sheet.header == ("Nome", "E-mail")
    assert next(sheet.rows)[0] == 3, "lines count as an editor counts them"


def test_quotes_hold_delimiters_and_line_breaks_and_lines_are_still_counted() -> None:
    content = b'Email,Note\nada@example.com,"one\ntwo, three"\nbob@example.com,"say ""hi"""\n'
    assert list(read(content).rows) == [
        (2, ["ada@example.com", "one\ntwo, three"]),
        (4, ["bob@example.com", 'say "hi"']),
    ]


def test_titles_above_the_header_and_empty_rows_are_passed_over() -> None:
    content = b"Ospiti 2024;;\n;;\nE-mail;Nome;Cognome\nada@example.com;Ada;L\n;;\nbob@example.com;Bob;K\n"
    sheet = read(content)
    assert sheet.header == ("E-mail", "Nome", "Cognome")
    assert [line for line, _ in sheet.rows] == [4, 6]


def test_a_list_without_a_header_gets_plain_names_and_loses_no_row() -> None:
    sheet = read(b"ada@example.com,Ada\nbob@example.com,Bob\n")
    assert sheet.header == ("Column 1", "Column 2")
    assert len(list(sheet.rows)) == 2


def test_columns_of_one_name_are_told_apart() -> None:
    assert read(b"Email,Reason,Reason,\na@example.com,x,y,z\n").header == ("Email", "Reason", "Reason (2)", "Column 4")


def test_a_spreadsheets_guard_before_a_number_is_no_part_of_it() -> None:
    assert rows(b"Email,Zip\na@example.com,'40202\n") == [["a@example.com", "40202"]]


def test_files_of_one_shape_are_known_by_their_header_alone() -> None:
    one, two = read(b"Email;Nome\na@example.com;A\n"), read(b"email,NOME\nb@example.com,B\n")
    assert one.shape == two.shape
    assert one.digest != two.digest


def test_a_workbook_gives_what_a_person_sees_in_it() -> None:
    content = book(
        ["E-mail", "Telefono", "Nascita", "Newsletter", "Punti"],
        ["ada@example.com", 393331234567, Day(29_221), True, 12.5],
    )
    assert rows(content) == [["ada@example.com", "393331234567", "1980-01-01", "yes", "12.5"]]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "empty"),
        (b" \r\n \n", "empty"),
        (b"Email,Nome\n", "no_rows"),
        (b"just\nsome\nwords\n", "no_table"),
        (b"\x89PNG\x0d\x0a\x00\x00\x00\x01" * 50, "binary"),
        (b"PK\x03\x04 no zip at all", "broken_book"),
        (b"\xd0\xcf\x11\xe0" + b"x" * 600, "broken_book"),
        (b'Email,Nome\n"ada@example.com,Ada\n' + b"bob@example.com,Bob\n" * 60, "broken_line"),
        (b"a@example.com," + b"x," * 400 + b"\n", "too_many_columns"),
    ],
)
def test_what_is_no_list_is_refused_with_its_reason(content: bytes, code: str) -> None:
    with pytest.raises(UnreadableError) as refused:
        list(read(content).rows)
    assert refused.value.code == code


def test_a_quote_never_closed_is_named_by_its_line() -> None:
    content = b'Email,Nome\nbob@example.com,Bob\n"ada@example.com,Ada\n' + b"bob@example.com,Bob\n" * 60
    with pytest.raises(UnreadableError, match="Line 3 "):
        list(read(content).rows)


def test_too_many_rows_are_refused_while_they_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MOST_ROWS", 3)
    with pytest.raises(UnreadableError, match="more than 3 rows"):
        list(read(b"Email,N\n" + b"a@example.com,1\n" * 4).rows)


def test_a_small_workbook_that_unpacks_to_a_huge_one_is_refused_before_it_is_unpacked() -> None:
    held = io.BytesIO()
    with (
        zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as packed,
        packed.open("xl/x.xml", "w", force_zip64=True) as x,
    ):
        for _ in range(301):
            x.write(b" " * 1024 * 1024)
    assert len(held.getvalue()) < 1024 * 1024
    with pytest.raises(UnreadableError) as refused:
        read(held.getvalue())
    assert refused.value.code == "unpacks_too_large"


@pytest.mark.parametrize("cell", ["=1+1", "+39 0323", "-1", "@SUM(A1)", "\tx", "\rx", "|x", "%x"])
def test_no_cell_of_ours_is_a_formula(cell: str) -> None:
    assert safe(cell) == "'" + cell
    assert safe("ada@example.com") == "ada@example.com"


def test_what_we_write_can_be_handed_in_again() -> None:
    content = "".join(written([["E-mail", "Telefono"], ["ada@example.com", "+39 0323 30416"]])).encode()
    assert rows(content) == [["ada@example.com", "+39 0323 30416"]]
