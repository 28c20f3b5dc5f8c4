"""R50: an export holds everything, says by what words and logic, and can be read by people and by machines."""

from __future__ import annotations

import html
import io
import json
import zipfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from app.clock import FixedClock
from app.contacts.models import AttributeDefinition
from app.db import workspace_of
from app.enrollments import calls, endpoints
from app.events.models import Event, Source
from app.messages import compose
from app.messages.compose import Composed
from app.messages.rows import load_rows
from app.rights import export_page, notice, paper, requests, retention_periods, walk
from app.rights.erasure import erase
from app.rights.export import export
from app.rights.export_texts import TEXTS
from app.rights.retention_periods import PeriodError, Periods
from tests.messages.mailroom import Mailroom
from tests.rights.filling import MARK, fill

Work = Callable[[], AbstractContextManager[Session]]

SEALED = "special_values.sealed"
"""Shown opened, not as it is sealed; a test of its own."""


def test_r50_every_personal_column_of_every_table_is_in_it(work: Work, clock: FixedClock) -> None:
    with work() as session:
        anna = Mailroom(session, clock).guest()
        marks = fill(session, anna, clock.now())
        document = json.loads(export(session, anna.id, clock.now()).json)
    tables = {**document["tables"], "contacts": document["profile"]}
    instants = {"contacts.paused_until"}
    missing = []
    for mark in sorted(marks.keys() - {SEALED} - instants):
        table, _, column = mark.partition(".")
        if not any(MARK in json.dumps(row.get(column)) for row in tables.get(table, ())):
            missing.append(mark)
    assert missing == []


def test_r50_consents_come_with_the_words_that_were_shown(work: Work, clock: FixedClock) -> None:
    with work() as session:
        room = Mailroom(session, clock)
        anna = room.guest()
        room.say(anna, proof={"wording_version": "1", "wording": "Sì, scrivetemi."})
        made = export(session, anna.id, clock.now())
    assert [(one["state"], one["wording"]) for one in made.document["consents"]] == [("granted", "Sì, scrivetemi.")]
    assert "Sì, scrivetemi." in made.html["it"]


def test_r50_mails_are_there_as_they_were_sent(work: Work, clock: FixedClock) -> None:
    with work() as session:
        room = Mailroom(session, clock)
        anna = room.guest()
        room.say(anna)
        clock.advance(timedelta(minutes=1))
        number = room.plan(anna)
        rows = load_rows(session, [number])
        made = compose.compose(compose.load(session, rows, clock.now()), rows[0])
        assert isinstance(made, Composed)
        room.change(number, state="accepted", handed_over_at=clock.now(), facts=made.facts, language=made.language,
                    template_version_id=made.template_version_id, subject=made.subject)  # fmt: skip
        found = export(session, anna.id, clock.now())
    files = zipfile.ZipFile(io.BytesIO(found.zip()))
    assert files.namelist() == ["data.json", "data.en.html", "data.it.html", f"messages/{number}.html"]
    assert files.read(f"messages/{number}.html").decode() == made.html
    assert found.document["messages"][0]["subject"] == made.subject


def test_r50_who_became_part_of_somebody_is_in_it_and_nobody_else(work: Work, clock: FixedClock) -> None:
    with work() as session:
        room = Mailroom(session, clock)
        anna, double = room.guest(), room.guest(email="annina@example.com")
        room.guest(email="bruno@example.com")
        double.merged_into = anna.id
        session.flush()
        told = export(session, anna.id, clock.now()).json.decode()
    assert "annina@example.com" in told
    assert "bruno@example.com" not in told


def test_r50_of_an_erased_person_there_is_the_proof_and_nothing_else_personal(work: Work, clock: FixedClock) -> None:
    with work() as session:
        anna = Mailroom(session, clock).guest()
        fill(session, anna, clock.now())
        erase(session, anna.id, "person", clock.now())
        document = json.loads(export(session, anna.id, clock.now()).json)
    assert {name for name, rows in document["tables"].items() if MARK in json.dumps(rows)} == {"consent_records"}
    assert MARK not in json.dumps(document["profile"])


def test_nobody_has_no_export(work: Work, clock: FixedClock) -> None:
    with work() as session, pytest.raises(walk.NobodyError):
        export(session, 4711, clock.now())


def test_every_table_of_the_page_has_its_title_in_both_languages() -> None:
    titled = {key.removeprefix("table_") for key in TEXTS if key.startswith("table_")}
    shown = {place.name for place in walk.places()} - export_page.LEFT_OUT
    assert {name for name in titled if name not in shown | export_page.LEFT_OUT} == set()
    assert all(len(texts) == len(paper.LANGUAGES) and all(texts) for texts in TEXTS.values())


def test_r53_periods_are_settings_and_strange_ones_are_refused() -> None:
    assert retention_periods.of({}) == Periods()
    assert retention_periods.of({"retention": {"mails": 12}}).mails == 12
    for wrong in ({"mails": 0}, {"mails": "12"}, {"letters": 3}, {"tracks": 13}):
        with pytest.raises(PeriodError, match="retention"):
            retention_periods.of({"retention": wrong})


def test_r55_reading_changes_nothing(work: Work, clock: FixedClock) -> None:
    with work() as session:
        anna = Mailroom(session, clock).guest()
        fill(session, anna, clock.now())
    with work() as session:
        session.execute(text("SET TRANSACTION READ ONLY"))
        export(session, anna.id, clock.now())


def test_r50_the_copy_tells_what_was_worked_out_where_it_is_from_and_who_gets_it_for_what(
    work: Work, clock: FixedClock
) -> None:
    with work() as session:
        room = Mailroom(session, clock)
        anna = room.guest(attributes={"score": 7, "loves": "boats"})
        number = workspace_of(session)
        for key, inferred in (("score", True), ("loves", False)):
            session.add(
                AttributeDefinition(
                    workspace_id=number, key=key, type="text", inferred=inferred, created_at=clock.now()
                )
            )
        source = Source(workspace_id=number, slug="pms", name="Front desk", created_at=clock.now())
        session.add(source)
        session.flush()
        log = {"workspace_id": number, "contact_id": anna.id, "occurred_at": clock.now(), "ordered_at": clock.now()}
        kinds = [("a", "booking.confirmed", source.id, {}), ("b", "contact.imported", None, {"file": "may.csv"})]
        for id_, type_, by, data in kinds:
            session.add(Event(event_id=id_, type=type_, source_id=by, data=data, received_at=clock.now(), **log))
        endpoints.add(session, "partner", "https://partner.example/x", clock.now(), shares=True)
        calls.ask(session, [calls.Wanted(anna.id, None, None, "tell", 1, "partner", {})], clock.now())
        made = requests.export_by_team(session, anna.id, "Carla", "document seen at the desk", clock.now())
    document = made.document
    assert [(one["name"], one["value"]) for one in document["inferred"] if one["what"] == "attribute"] == [("score", 7)]
    assert [(one["who"], one["list"]) for one in document["sources"]] == [("Front desk", False), ("may.csv", True)]
    assert {"who": "partner (partner.example)", "for": "purposes of their own"} in document["recipients"]
    month_later = requests.month_after(clock.now()).isoformat()
    assert (document["asked"]["identity"], document["asked"]["answer_by"]) == ("document seen at the desk", month_later)
    assert "document seen at the desk" in made.html["en"]
    assert "l'elenco may.csv: 1 segnalazioni" in html.unescape(made.html["it"])
    assert "Dati usati per il marketing (interessi, dettagli delle attività): 24 mesi" in html.unescape(made.html["it"])
    assert "Garante" in made.html["it"]


def test_r53_the_notice_says_the_periods_in_force_in_both_languages() -> None:
    periods = retention_periods.of({"retention": {"marketing": 18}})
    english, italian = notice.block(periods, "en"), notice.block(periods, "it")
    assert "18 months after your last contact" in english
    assert "<li>Indirizzi IP e browser: 6 mesi</li>" in italian
    assert italian.startswith('<section lang="it">')
    assert all(name in notice.TEXTS for name in periods.as_json())
