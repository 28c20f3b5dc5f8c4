"""The ledger: append-only, without gaps, chained; and the addresses that are kept out."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from app.accounts.models import Workspace
from app.clock import FixedClock
from app.config import Settings
from app.consent import chain, ledger
from app.consent.fold import fold
from app.consent.ledger import Barred, LedgerError
from app.consent.models import ConsentRecord
from app.db import Database
from tests.conftest import START
from tests.consent.conftest import Book, act

KEY = ("anna@example.com", "email", "marketing", "offers")


def test_lines_count_up_without_a_gap_and_chain(book: Book) -> None:
    assert book.write(1) == [1]
    assert ledger.append(book.session, [act(n, at=START) for n in (1, 2, 3)], START) == [2, 3, 4]
    rows = book.session.scalars(select(ConsentRecord).order_by(ConsentRecord.line)).all()
    assert [row.previous_hash for row in rows[1:]] == [row.hash for row in rows[:-1]]
    assert chain.broken(book.session) is None


def test_every_line_knows_what_held_before(book: Book) -> None:
    now = book.clock.now()
    acts = [act(state="pending", at=now), act(state="granted", at=now), act(state="withdrawn", at=now)]
    ledger.append(book.session, acts, now)
    rows = book.session.scalars(select(ConsentRecord.previous_state).order_by(ConsentRecord.line)).all()
    assert rows == [None, "pending", "granted"]


def test_r5_a_line_keeps_everything_that_proves_it(book: Book) -> None:
    proof = {
        "controller": "Riva Serena S.n.c.",
        "wording": "Sì, voglio ricevere la newsletter.",
        "wording_version": "2026-1",
        "language": "it",
        "notice_version": "7",
        "notice_hash": "9f86d081884c7d65",
        "form": "newsletter-footer",
        "page": "/newsletter",
        "ip": "192.0.2.7",
        "user_agent": "Mozilla/5.0",
        "confirmed": {"ip": "192.0.2.8", "user_agent": "Mail/1.0", "page": "/s/confirm"},
        "token_id": "line 1",
        "operator_id": 4,
        "scan_id": "scan-77",
        "import_file": "sha256:ab",
        "boxes": ["newsletter", "no_thanks"],
        "prechecked": False,
    }
    book.write(state="pending", method="web")
    requested, confirmed = book.clock.now(), book.clock.now() + timedelta(hours=2)
    book.write(proof=proof, requested_at=requested, confirmed_at=confirmed, method="web")
    row = book.session.scalars(select(ConsentRecord).order_by(ConsentRecord.line.desc()).limit(1)).one()
    assert row.proof == proof
    assert (row.contact_id, row.address, row.channel, row.purpose) == (1, "anna@example.com", "email", "marketing")
    assert (row.state, row.previous_state, row.method) == ("granted", "pending", "web")
    assert (row.requested_at, row.confirmed_at) == (requested, confirmed)
    assert chain.broken(book.session) is None


def test_current_is_the_fold_of_the_lines_in_one_query(book: Book) -> None:
    for contact_id in (1, 2, 3):
        book.write(contact_id)
    book.clock.advance(timedelta(days=1))
    book.write(2, "withdrawn")
    asked: list[str] = []
    connection = book.session.connection()
    event.listen(connection, "before_cursor_execute", lambda *given: asked.append(given[2]))
    current = ledger.current(book.session, [1, 2, 99])
    assert len(asked) == 1
    assert {contact: states[KEY].state for contact, states in current.items()} == {1: "granted", 2: "withdrawn"}
    assert current[2] == fold(ledger.lines(book.session, [2])[2])


@pytest.mark.parametrize("count", [1, 60])
def test_appending_costs_the_same_queries_for_one_act_and_for_many(book: Book, count: int) -> None:
    asked: list[str] = []
    connection = book.session.connection()
    event.listen(connection, "before_cursor_execute", lambda *given: asked.append(given[2]))
    ledger.append(book.session, [act(number, at=START) for number in range(count)], START)
    assert len(asked) == ledger.QUERIES_TO_APPEND


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE consent_records SET state = 'granted'",
        "DELETE FROM consent_records",
        "TRUNCATE consent_records",
    ],
)
def test_the_database_refuses_to_change_a_line(
    work: Callable[[], AbstractContextManager[Session]], db: Database, clock: FixedClock, statement: str
) -> None:
    with work() as session:
        Book(session, clock).write(1, "withdrawn")
    with pytest.raises(DBAPIError, match="append-only"), work() as session:
        session.execute(text(statement))
    with work() as session:
        assert chain.broken(session) is None


@pytest.mark.parametrize(
    ("tamper", "line", "why"),
    [
        ("UPDATE consent_records SET state = 'granted' WHERE line = 3", 3, "changed"),
        ("UPDATE consent_records SET requested_at = requested_at - interval '1 second' WHERE line = 2", 2, "changed"),
        ("""UPDATE consent_records SET proof = proof || '{"wording": "more"}' WHERE line = 4""", 4, "changed"),
        ("DELETE FROM consent_records WHERE line = 2", 2, "missing"),
        ("UPDATE consent_records SET contact_id = 9 WHERE line = 1", 1, "changed"),
    ],
)
def test_r5_the_first_line_that_somebody_altered_is_named_and_how(book: Book, tamper: str, line: int, why: str) -> None:
    for contact_id in range(1, 6):
        book.write(contact_id, "withdrawn")
    # Whoever owns the table can put the trigger to sleep: the chain is what then still tells.
    book.session.execute(text("ALTER TABLE consent_records DISABLE TRIGGER append_only"))
    book.session.execute(text(tamper))
    book.session.expire_all()
    assert chain.broken(book.session) == (line, why)


def test_r5_a_line_written_anew_with_a_fitting_fingerprint_does_not_follow_from_the_one_before(book: Book) -> None:
    for contact_id in range(1, 4):
        book.write(contact_id, "withdrawn")
    row = book.session.scalars(select(ConsentRecord).where(ConsentRecord.line == 2)).one()
    forged = {**chain.fields(row), "state": "granted"}
    book.session.execute(text("ALTER TABLE consent_records DISABLE TRIGGER append_only"))
    book.session.execute(
        text("UPDATE consent_records SET state = 'granted', hash = :hash WHERE line = 2"),
        {"hash": chain.digest(row.previous_hash, forged)},
    )
    book.session.expire_all()
    assert chain.broken(book.session) == (3, "out_of_chain")


def test_r5_lines_cut_off_the_end_are_found_by_an_anchor_kept_elsewhere(book: Book) -> None:
    for contact_id in range(1, 6):
        book.write(contact_id, "withdrawn")
    anchor = chain.end(book.session)
    book.write(6)
    assert chain.broken(book.session, [anchor]) is None
    book.session.execute(text("ALTER TABLE consent_records DISABLE TRIGGER append_only"))
    book.session.execute(text("DELETE FROM consent_records WHERE line > 3"))
    book.session.expire_all()
    assert chain.broken(book.session) is None
    assert chain.broken(book.session, [anchor]) == (4, "cut_off")
    book.write(7)
    book.write(8)
    assert chain.broken(book.session, [anchor]) == (5, "other_anchor")


def test_verify_walks_in_chunks(book: Book) -> None:
    ledger.append(book.session, [act(n, at=START) for n in range(23)], START)
    assert chain.broken(book.session, chunk=5) is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"purpose": "spam"},
        {"state": "maybe"},
        {"purpose": "feedback", "topic": "offers"},
        {"address": ""},
        {"method": ""},
    ],
)
def test_an_act_that_means_nothing_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(LedgerError):
        replace(act(at=START), **wrong)


@pytest.mark.parametrize("value", [1.5, b"x", "a\x00b", "\ud800", {"deep": [1.5]}])
def test_a_proof_that_would_not_come_back_the_same_is_refused(book: Book, value: object) -> None:
    with pytest.raises(LedgerError):
        book.write(proof={"wording_version": "1", "odd": value})


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("Anna@Example.COM", "anna@example.com"),
        ("anna+shop@example.com.", "anna+shop@example.com"),
        ("Anna@Bücher.example", "anna@xn--bcher-kva.example"),
        ("  x@y.example ", "x@y.example"),
    ],
)
def test_x45_addresses_have_one_form(written: str, kept: str) -> None:
    assert ledger.address_key(written) == kept


def test_writers_at_the_same_time_leave_no_gap_and_no_fork(database: Database, settings: Settings) -> None:
    database.settings = settings
    with database.system() as session:
        workspace = Workspace(slug="busy", name="Busy", settings={}, created_at=START)
        session.add(workspace)
        session.flush()  # its number is asked for
        workspace_id = workspace.id

    def write(contact_id: int) -> None:
        for _ in range(8):
            with database.work(workspace_id) as session:
                ledger.append(session, [act(contact_id, at=START), act(contact_id, "withdrawn", at=START)], START)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.work(workspace_id) as session:
        assert session.scalars(select(ConsentRecord.line).order_by(ConsentRecord.line)).all() == list(range(1, 65))
        assert chain.broken(session) is None


def test_r37_a_suppressed_address_is_found_by_its_keyed_hash_alone(book: Book) -> None:
    now = book.clock.now()
    assert ledger.suppress(book.session, [Barred("email", "Anna+x@Example.com", "hard_bounce")], now) == 1
    assert ledger.suppress(book.session, [Barred("email", "anna@example.com", "hard_bounce")], now) == 0
    found = ledger.suppressed(book.session, [("email", "anna@example.com"), ("email", "b@example.com")])
    assert found == {("email", "anna@example.com"): (("hard_bounce", "all"),)}
    kept = book.session.execute(text("SELECT * FROM suppressions")).mappings().one()
    assert "anna" not in str(dict(kept))


def test_r37_a_suppression_can_be_lifted_and_says_why(book: Book) -> None:
    now = book.clock.now()
    ledger.suppress(book.session, [Barred("email", "a@example.com", "hard_bounce")], now)
    assert ledger.lift(book.session, "email", "a@example.com", ["unsubscribe"], "mistaken", now) == 0
    assert ledger.lift(book.session, "email", "a@example.com", ["hard_bounce"], "mailbox is back", now) == 1
    assert ledger.suppressed(book.session, [("email", "a@example.com")]) == {}
    assert ledger.suppress(book.session, [Barred("email", "a@example.com", "hard_bounce")], now) == 1


def test_a_new_secret_does_not_forget_old_suppressions(
    work: Callable[[], AbstractContextManager[Session]], db: Database, settings: Settings, clock: FixedClock
) -> None:
    with work() as session:
        ledger.suppress(session, [Barred("email", "a@example.com", "complaint", "marketing")], clock.now())
    db.settings = replace(
        settings, secret="another secret of at least 32 characters", previous_secrets=(settings.secret,)
    )
    with work() as session:
        assert ledger.suppressed(session, [("email", "a@example.com")])


def test_ledgers_of_workspaces_are_apart(db: Database, clock: FixedClock) -> None:
    numbers = []
    with db.system() as session:
        for slug in ("one", "two"):
            workspace = Workspace(slug=slug, name=slug, settings={}, created_at=clock.now())
            session.add(workspace)
            session.flush()  # its number is asked for
            numbers.append(workspace.id)
    for number in numbers:
        with db.work(number) as session:
            assert Book(session, clock).write(1) == [1]
            assert len(ledger.history(session, 1)) == 1
            assert chain.broken(session) is None
