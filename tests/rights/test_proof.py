"""The proof pack: whole, signed, readable without a database, and of one person only."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from apiflask import APIFlask
from flask.testing import FlaskCliRunner
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from app.cli.consent import group
from app.clock import FixedClock
from app.config import Settings
from app.consent import chain, ledger
from app.consent.ledger import Act
from app.contacts.merge import merge
from app.contacts.models import DataAccess
from app.db import Database
from app.messages.models import Message
from app.rights import proof, sealing, walk
from tests.conftest import START
from tests.factories import Factory

WORDS = "Sì, scrivetemi con <novità> & offerte."


@pytest.fixture
def db(db: Database, settings: Settings) -> Database:
    """The rolled-back database, with the settings units of work ask for."""
    db.settings = settings
    return db


@pytest.fixture
def make(db: Database, session: Session, clock: FixedClock) -> Factory:
    """Rows for this test."""
    return Factory(session, clock)


def said(contact_id: int, state: str, **given: object) -> Act:
    """An act of a person."""
    fields: dict[str, object] = {
        "address": "anna@example.com",
        "channel": "email",
        "purpose": "marketing",
        "topic": "offers",
        "method": "web",
        "requested_at": START,
        "proof": {"wording": WORDS, "wording_version": "f-3", "language": "it", "ip": "192.0.2.7"},
    }
    return Act(contact_id=contact_id, state=state, **{**fields, **given})  # type: ignore[arg-type]


def confirmed(contact_id: int) -> list[Act]:
    """A sign-up with its confirmation, two hours later."""
    request = said(contact_id, "pending")
    proven = {**request.proof, "confirmed": {"ip": "192.0.2.8", "user_agent": "Mail/1.0"}, "token_id": "line 1"}
    later = START + timedelta(hours=2)
    return [request, said(contact_id, "granted", confirmed_at=later, proof=proven)]


def sent(make: Factory, contact_id: int, line: int, **given: object) -> Message:
    """A marketing message that left."""
    fields = {
        "contact_id": contact_id,
        "template": "spring",
        "class_": "marketing",
        "topic": "offers",
        "state": "accepted",
        "basis": "consent",
        "rule": "R1",
        "ledger_line": line,
        "planned_at": START,
        "due_at": START,
        "handed_over_at": START + timedelta(days=1),
        "accepted_at": START + timedelta(days=1),
        "message_id": f"<m{line}@lago.example>",
        "address": "anna@example.com",
    }
    return make.add(Message, **{**fields, **given})


def test_r5_every_line_stands_with_its_words_its_confirmation_and_what_relied_on_it(
    session: Session, make: Factory
) -> None:
    anna = make.contact(email="anna@example.com", first_name="Anna")
    other = make.contact()
    ledger.append(session, [*confirmed(anna.id), said(other.id, "denied")], START)
    ledger.append(session, [said(anna.id, "withdrawn", requested_at=START + timedelta(days=2))], START)
    relied = sent(make, anna.id, 2)
    sent(make, anna.id, 2, state="refused", handed_over_at=None, accepted_at=None)
    made = proof.pack(session, anna.id, START)
    lines = made.document["lines"]
    assert [(one["record"]["line"], one["record"]["state"], one["record"]["previous_state"]) for one in lines] == [
        (1, "pending", None),
        (2, "granted", "pending"),
        (4, "withdrawn", "granted"),
    ]
    yes = lines[1]
    assert yes["record"]["proof"]["wording"] == WORDS
    assert yes["wording_hash"].startswith("sha256:")
    assert yes["record"]["proof"]["confirmed"] == {"ip": "192.0.2.8", "user_agent": "Mail/1.0"}
    assert yes["previous_hash"] == lines[0]["hash"]
    assert yes["next"]["previous_hash"] == yes["hash"]
    assert [one["message"] for one in yes["messages"]] == [relied.id]
    assert yes["messages"][0]["basis"] == "consent"
    assert made.document["now"] == [
        {
            "contact": anna.id,
            "address": "anna@example.com",
            "channel": "email",
            "purpose": "marketing",
            "topic": "offers",
            "state": "withdrawn",
            "line": 4,
        }
    ]
    assert made.document["chain"] == {
        "lines": 4, "end": chain.end(session).hash, "looked_before": None, "whole": True, "broken": None,
    }  # fmt: skip
    for language, word in (("en", "The words shown"), ("it", "Testo mostrato")):
        page = made.html[language]
        assert word in page
        assert "Sì, scrivetemi con &lt;novità&gt; &amp; offerte." in page
        assert "192.0.2.8" in page
        assert "&lt;m2@lago.example&gt;" in page


def test_r5_a_yes_without_its_proof_is_shown_as_none(session: Session, make: Factory) -> None:
    anna = make.contact()
    ledger.append(session, [said(anna.id, "granted", method="api", proof={"ip": "192.0.2.7"})], START)
    made = proof.pack(session, anna.id, START)
    assert (made.document["lines"][0]["counts"], made.document["lines"][0]["missing"]) == (False, ["wording_version"])
    assert made.document["now"][0]["state"] == "no_proof"
    assert "It counts as no consent, for it lacks: the version of the words." in made.html["en"]


def test_r3_the_notice_is_shown_as_read_and_as_no_consent(session: Session, make: Factory) -> None:
    anna = make.contact()
    ledger.append(session, [said(anna.id, "granted", purpose="notice", topic=None, method="api")], START)
    assert "Non è un consenso." in proof.pack(session, anna.id, START).html["it"]


def test_x11_a_pack_follows_merges_whichever_number_it_is_asked_by(session: Session, make: Factory) -> None:
    anna = make.contact(email="anna@example.com", first_name="Anna")
    double = make.contact(email="a.rossi@example.com", first_name="Anna")
    ledger.append(session, [*confirmed(anna.id), said(double.id, "denied", address="a.rossi@example.com")], START)
    merge(session, anna.id, double.id, "test", START)
    session.expire_all()
    for asked in (anna.id, double.id):
        document = proof.pack(session, asked, START).document
        assert document["person"]["contact"] == anna.id
        assert document["person"]["merged"] == [double.id]
        assert [one["record"]["line"] for one in document["lines"]] == [1, 2, 3]


def test_a_broken_chain_is_told_in_the_pack(session: Session, make: Factory) -> None:
    anna = make.contact()
    ledger.append(session, [*confirmed(anna.id), said(anna.id, "withdrawn")], START)
    session.execute(text("ALTER TABLE consent_records DISABLE TRIGGER append_only"))
    session.execute(text("UPDATE consent_records SET state = 'denied' WHERE line = 2"))
    session.expire_all()
    made = proof.pack(session, anna.id, START)
    assert made.document["chain"]["broken"] == {"line": 2, "why": "changed"}
    assert "broken at line 2: it no longer says what was written" in made.html["en"]
    assert proof.checked(proof.sealed(_SETTINGS, made)).problems == (
        "Line 2 does not have the fingerprint of what it says.",
    )


def altered(session: Session, sql: str) -> None:
    """What somebody does who has the database's password."""
    session.execute(text("ALTER TABLE consent_records DISABLE TRIGGER append_only"))
    session.execute(text(sql))
    session.expire_all()


def test_a_second_pack_walks_only_what_was_written_since_and_says_so(session: Session, make: Factory) -> None:
    anna, other = make.contact(email="anna@example.com"), make.contact()
    ledger.append(session, [*confirmed(anna.id), said(other.id, "denied")], START)
    proof.pack(session, anna.id, START)
    ledger.append(session, [said(other.id, "withdrawn", requested_at=START)], START)
    later = START + timedelta(days=1)
    made = proof.pack(session, anna.id, later)
    assert made.document["chain"]["looked_before"] == {"line": 3, "at": START.isoformat()}
    assert made.document["chain"]["whole"]
    assert "Up to line 3 this was found on 10 March 2026, 09:00:00 UTC" in made.html["en"]
    altered(session, "UPDATE consent_records SET state = 'granted' WHERE line = 4")
    ledger.append(session, [said(other.id, "denied", requested_at=later)], later)
    altered(session, "UPDATE consent_records SET method = 'paper' WHERE line = 5")
    assert proof.pack(session, anna.id, later).document["chain"]["broken"] == {"line": 5, "why": "changed"}


@pytest.mark.parametrize(
    ("sql", "found"),
    [
        ("UPDATE consent_records SET state = 'denied' WHERE line = 2", {"line": 2, "why": "changed"}),
        ("UPDATE consent_records SET previous_hash = '\\x00' WHERE line = 3", {"line": 2, "why": "out_of_chain"}),
        ("DELETE FROM consent_records WHERE line > 3", {"line": 4, "why": "cut_off"}),
        ("UPDATE consent_records SET hash = '\\x00' WHERE line = 4", {"line": 4, "why": "other_anchor"}),
    ],
)
def test_r5_what_was_looked_at_before_hides_nothing_that_was_done_to_the_persons_own_lines_since(
    session: Session, make: Factory, sql: str, found: dict[str, Any]
) -> None:
    anna, other = make.contact(email="anna@example.com"), make.contact()
    ledger.append(session, [*confirmed(anna.id), said(other.id, "denied"), said(other.id, "withdrawn")], START)
    proof.pack(session, anna.id, START)
    altered(session, sql)
    assert proof.pack(session, anna.id, START).document["chain"]["broken"] == found


def test_r5_verifying_the_chain_knows_nothing_of_earlier_looks(session: Session, make: Factory) -> None:
    anna, other = make.contact(email="anna@example.com"), make.contact()
    ledger.append(session, [said(other.id, "denied"), *confirmed(anna.id)], START)
    proof.pack(session, anna.id, START)
    altered(session, "UPDATE consent_records SET state = 'granted' WHERE line = 1")
    assert chain.broken(session) == chain.Break(1, "changed")


def test_nobody_has_no_proof(db: Database, session: Session) -> None:
    with pytest.raises(walk.NobodyError):
        proof.pack(session, 99, START)


# the file

_SETTINGS = Settings(
    database_url="postgresql://unused", redis_url="redis://unused", secret="a secret of at least 32 characters!"
)


@pytest.fixture
def file(session: Session, make: Factory) -> bytes:
    """A sealed pack."""
    anna = make.contact(email="anna@example.com", first_name="Anna")
    ledger.append(session, confirmed(anna.id), START)
    return proof.sealed(_SETTINGS, proof.pack(session, anna.id, START))


def test_a_file_is_checked_without_a_database_and_names_whose_it_is(file: bytes) -> None:
    found = proof.checked(file, sealing.public_keys(_SETTINGS))
    assert (found.problems, found.known) == ((), True)
    assert found.document is not None
    assert found.document["person"]["name"] == "Anna"
    with zipfile.ZipFile(io.BytesIO(file)) as opened:
        assert opened.testzip() is None
        assert sorted(opened.namelist()) == ["proof.en.html", "proof.it.html", "proof.json", "signature.json"]


def test_a_file_stays_checkable_after_the_secret_has_changed(file: bytes) -> None:
    turned = replace(_SETTINGS, secret="another secret of at least 32 chars", previous_secrets=(_SETTINGS.secret,))
    assert proof.checked(file, sealing.public_keys(turned)).known


def test_a_file_signed_by_somebody_else_is_whole_and_not_ours(file: bytes) -> None:
    documents = sealing.opened(file, ()).documents
    assert documents is not None
    forged = sealing.sealed(replace(_SETTINGS, secret="the forger's own 32 characters ......"), documents)
    found = proof.checked(forged, sealing.public_keys(_SETTINGS))
    assert (found.problems, found.known) == ((), False)


@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_one_changed_bit_is_found_wherever_it_lies(place: float, bit: int) -> None:
    at = int(place * len(_SMALL))
    changed = bytearray(_SMALL)
    changed[at] ^= 1 << bit
    assert sealing.opened(bytes(changed), ()).problems, at


_SMALL = sealing.sealed(_SETTINGS, {"proof.json": b'{"format": "x"}', "proof.en.html": b"<p>Anna</p>"})


def test_a_document_put_in_or_left_out_is_found(file: bytes) -> None:
    documents = dict(sealing.opened(file, ()).documents or {})
    with zipfile.ZipFile(io.BytesIO(file)) as opened:
        signature = opened.read("signature.json")
    for changed in (documents | {"more.txt": b"x"}, {k: v for k, v in documents.items() if k != "proof.it.html"}):
        made = io.BytesIO()
        with zipfile.ZipFile(made, "w") as archive:
            for name, data in (changed | {"signature.json": signature}).items():
                archive.writestr(name, data)
        assert sealing.opened(made.getvalue(), ()).problems


def test_what_is_no_zip_is_said_to_be_none() -> None:
    assert sealing.opened(b"hello", ()).problems


# the command


def test_a_proof_is_taken_out_and_checked_at_a_terminal_and_the_access_is_kept(
    app: APIFlask,
    work: Callable[[], AbstractContextManager[Session]],
    clock: FixedClock,
    tmp_path: Path,
) -> None:
    with work() as session:
        anna = Factory(session, clock).contact(email="anna@example.com", first_name="Anna")
        ledger.append(session, confirmed(anna.id), START)
    runner: FlaskCliRunner = app.test_cli_runner()
    out = tmp_path / "anna.zip"
    taken = runner.invoke(group, ["proof", "anna@example.com", "--out", str(out)])
    assert taken.exit_code == 0, taken.output
    with work() as session:
        assert session.scalars(select(DataAccess.what)).all() == ["proof"]
    whole = runner.invoke(group, ["check-proof", str(out)])
    assert whole.exit_code == 0
    assert "nothing was changed" in whole.output
    key = runner.invoke(group, ["proof-key"]).output.strip()
    assert json.loads(zipfile.ZipFile(out).read("signature.json"))["public_key"] == key
    out.write_bytes(out.read_bytes().replace(b"granted", b"Granted", 1))
    changed = runner.invoke(group, ["check-proof", str(out)])
    assert changed.exit_code == 1
    assert changed.output.startswith(f"{out}: ")
