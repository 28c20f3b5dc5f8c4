"""Imports in the studio: a file handed in, its columns, the dry run, taken in, looked into, taken back."""

from __future__ import annotations

import io
import re

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from app.contacts.models import Contact
from app.imports import columns, notes
from app.imports.desk import REFUSALS
from app.imports.files import SENTENCES, UnreadableError
from app.imports.models import STATES, Import
from app.studio import import_words
from app.worker import run_due
from tests.studio.stage import ANALYST, HERE, Stage, token

LIST = (
    "E-mail;Nome;Newsletter;Fonte;Versione testo;Data consenso;Data conferma\n"
    "ada@example.com;Ada;sì;modulo sul sito;v3;14/03/2024;14/03/2024\n"
    "grace@example.com;Grace;sì;;;;\n"
    "=cmd|' /C calc'!A0;Mallory;;;;;\n"
).encode()
PAGE = f"{HERE}/audience/imports"


def hand_in(client: FlaskClient, content: bytes = LIST, name: str = "ospiti.csv") -> TestResponse:
    """Post a file through the form."""
    given = {"csrf_token": token(client, PAGE), "file": (io.BytesIO(content), name)}
    return client.post(PAGE, data=given, content_type="multipart/form-data")


def form_of(page: str) -> dict[str, str]:
    """What the form of the columns would send as it stands."""
    given = dict(re.findall(r'<input type="hidden" name="(csrf_token)" value="([^"]+)"', page)[-1:])
    for name, inside in re.findall(r'<select [^>]*name="([^"]+)"[^>]*>(.*?)</select>', page, re.DOTALL):
        chosen = re.search(r'<option value="([^"]*)" selected', inside)
        given[name] = chosen[1] if chosen else ""
    given |= dict(re.findall(r'<input class="form-control" id="(all-[a-z_]+)" name="\1|x" value="([^"]*)"', page))
    return given


def on_the_way(stage: Stage, client: FlaskClient) -> int:
    """Hand the list in as it is guessed and let it be tried; its number."""
    answer = hand_in(client)
    assert answer.status_code == 303, answer.text
    page = client.get(answer.location)
    assert page.status_code == 200
    sent = client.post(answer.location, data=form_of(page.text))
    assert sent.status_code == 303, sent.text
    run_due(stage.house)
    return stage.ids(Import)[-1]


def test_a_list_goes_from_file_to_people_and_back(stage: Stage, owner: FlaskClient) -> None:
    number = on_the_way(stage, owner)
    tried = owner.get(f"{PAGE}/{number}").text
    assert "Import 2 people" in tried
    assert "may get marketing mail: their yes has its proof" in tried
    with stage.work() as session:
        assert session.scalars(select(Contact).where(Contact.email == "ada@example.com")).first() is None
    taken = owner.post(f"{PAGE}/{number}/take", data={"csrf_token": token(owner, PAGE)})
    assert taken.status_code == 303
    assert "Being imported" in owner.get(f"{PAGE}/{number}").text, "the page can be left and looked at meanwhile"
    run_due(stage.house)
    done = owner.get(f"{PAGE}/{number}").text
    assert "Imported" in done
    with stage.work() as session:
        assert session.scalars(select(Contact).where(Contact.email == "ada@example.com")).one().first_name == "Ada"
    owner.post(f"{PAGE}/{number}/undo", data={"csrf_token": token(owner, PAGE), "people": "3"})
    assert stage.ids(Import, state="done"), "another number confirms nothing"
    owner.post(f"{PAGE}/{number}/undo", data={"csrf_token": token(owner, PAGE), "people": "2"})
    run_due(stage.house)
    assert "people removed whom only this import brought" in owner.get(f"{PAGE}/{number}").text
    with stage.work() as session:
        assert session.scalars(select(Contact).where(Contact.email == "ada@example.com")).first() is None


def test_rows_left_out_can_be_downloaded_and_hold_no_formula(stage: Stage, owner: FlaskClient) -> None:
    number = on_the_way(stage, owner)
    answer = owner.get(f"{PAGE}/{number}/rows.csv")
    assert answer.mimetype == "text/csv"
    header, row = answer.get_data().decode("utf-8-sig").splitlines()
    assert header.startswith("line,verdict,permission,reason,cure,column,E-mail,Nome")
    assert row.startswith("4,refused,,")
    assert "'=cmd" in row
    assert ",=cmd" not in row


def test_the_rows_behind_a_figure_name_the_column_and_the_cure(stage: Stage, owner: FlaskClient) -> None:
    number = on_the_way(stage, owner)
    assert "grace@example.com" in owner.get(f"{PAGE}/{number}/rows?permission=service_only").text
    refused = owner.get(f"{PAGE}/{number}/rows?verdict=refused").text
    assert "<b>E-mail</b>: This is no e-mail address" in refused
    assert owner.get(f"{PAGE}/{number}/rows?code=no_source").text.count("grace@example.com") == 1


def test_a_column_meant_twice_is_said_beside_it_and_nothing_is_lost(stage: Stage, owner: FlaskClient) -> None:
    answer = hand_in(owner)
    given = form_of(owner.get(answer.location).text) | {"c1": "email", "all-source": "fair 2024"}
    sent = owner.post(answer.location, data=given)
    assert sent.status_code == 422
    assert "Two columns mean the same" in sent.text
    assert 'value="fair 2024"' in sent.text
    assert stage.ids(Import, state="uploaded")


@pytest.mark.parametrize(
    ("content", "name", "said"),
    [
        (b"", "", "Choose a file first"),
        (b"\x00\x01\x02\x03" * 300, "x.csv", "no list of contacts"),
        (b"PK\x03\x04nothing", "x.xlsx", "The workbook cannot be opened"),
        (b"Email,Name\n", "x.csv", "no row below it"),
    ],
)
def test_what_is_no_list_is_refused_beside_the_field(owner: FlaskClient, content: bytes, name: str, said: str) -> None:
    answer = hand_in(owner, content, name)
    assert answer.status_code == 422
    assert said in answer.text


def test_a_file_larger_than_other_requests_is_taken_from_who_is_signed_in(owner: FlaskClient, stage: Stage) -> None:
    big = b"Email,Note\n" + b"".join(b"p%d@example.com,%s\n" % (n, b"x" * 3000) for n in range(3200))
    assert len(big) > 9 * 1024 * 1024
    form = b'--x\r\nContent-Disposition: form-data; name="csrf_token"\r\n\r\n%s\r\n' % token(owner, PAGE).encode()
    form += b'--x\r\nContent-Disposition: form-data; name="file"; filename="x.csv"\r\n\r\n%s\r\n--x--\r\n' % big
    sent = owner.post(PAGE, data=form, content_type="multipart/form-data; boundary=x")
    assert sent.status_code == 303
    assert "/columns" in sent.location
    sent = stage.app.test_client().post(PAGE, data=form, content_type="multipart/form-data; boundary=x")
    assert "/sign-in" in sent.location


def test_only_who_runs_marketing_hands_lists_in(stage: Stage, owner: FlaskClient) -> None:
    number = on_the_way(stage, owner)
    analyst = stage.signed_in(ANALYST)
    assert analyst.get(PAGE).status_code == 200
    assert "Read the file" not in analyst.get(PAGE).text
    for act in ("take", "undo", "discard", "columns"):
        given = {"csrf_token": token(analyst, f"{HERE}/audience/contacts")}
        assert analyst.post(f"{PAGE}/{number}/{act}", data=given).status_code == 403
    assert analyst.get(f"{PAGE}/{number}/rows.csv").status_code == 403


def test_a_file_thrown_away_leaves_nothing(stage: Stage, owner: FlaskClient) -> None:
    number = on_the_way(stage, owner)
    owner.post(f"{PAGE}/{number}/discard", data={"csrf_token": token(owner, PAGE)})
    assert "No such row" in owner.get(f"{PAGE}/{number}/rows").text


def test_every_code_has_its_words() -> None:
    assert set(notes.SENTENCES) == set(import_words.NOTES)
    assert {"none", *SENTENCES} == set(import_words.UNREADABLE)
    assert set(columns.SENTENCES) == set(import_words.PROBLEMS)
    assert set(REFUSALS) - {"unknown"} == set(import_words.REFUSED)
    assert set(STATES) == set(import_words.STATES)
    assert set(columns.PROOFS) == set(import_words.PROOF)
    for code in SENTENCES:
        assert str(UnreadableError(code, limit=1, line=1))
