"""R51: nothing personal of an erased person is left, in any column of any table."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from app.clock import FixedClock
from app.rights import walk
from app.rights.erasure import KEPT, erase
from tests.messages.mailroom import Mailroom
from tests.rights.filling import ADDRESS, MARK, everything, fill

Work = Callable[[], AbstractContextManager[Session]]
HEX = MARK.encode().hex()


def left(session: Session) -> dict[str, int]:
    """Table → how often the person's mark stands in it, as text or as bytes."""
    found = {name: rows.count(MARK) + rows.count(HEX) for name, rows in everything(session).items()}
    return {name: count for name, count in found.items() if count}


def test_r51_every_personal_column_of_every_table_is_emptied(work: Work, clock: FixedClock) -> None:
    with work() as session:
        room = Mailroom(session, clock)
        anna, bruno = room.guest(), room.guest(email="bruno@example.com", first_name="Bruno")
        marks = fill(session, anna, clock.now())
        session.flush()
        before = left(session)
    assert {name.partition(".")[0] for name in marks} <= set(before), "a place was not filled"
    with work() as session:
        receipt = erase(session, anna.id, "person", clock.now())
        after = left(session)
        others = session.execute(text("SELECT first_name FROM contacts WHERE id = :id"), {"id": bruno.id}).scalar()
    assert set(after) == set(KEPT), "personal data is left: mark the column, or say in app/rights how it is emptied"
    assert others == "Bruno"
    assert receipt.kept["proof"] >= 1
    assert receipt.kept["suppressed"] >= 1


def test_r51_an_erased_person_keeps_a_hash_that_bars_marketing_and_no_service(work: Work, clock: FixedClock) -> None:
    with work() as session:
        room = Mailroom(session, clock)
        anna = room.guest(email=ADDRESS)
        room.say(anna)
        offer = room.plan(anna)
        erase(session, anna.id, "person", clock.now())
        assert (room.message(offer).state, room.message(offer).rule) == ("cancelled", "R51")
        session.execute(text("DELETE FROM event_work"))
        again = room.guest(email=ADDRESS)
        room.say(again, method="import", proof={"wording_version": "1", "import_file": "1:abc"})
        offer, note = room.plan(again), room.plan(again, "note")
        room.gate()
        assert (room.message(offer).state, room.message(offer).reason) == ("refused", "suppressed")
        assert room.message(note).state == "ready"


def test_r51_no_line_is_made_of_who_never_said_anything(work: Work, clock: FixedClock) -> None:
    with work() as session:
        room = Mailroom(session, clock)
        anna = room.guest()
        erase(session, anna.id, "person", clock.now())
        assert room.lines() == []


def test_r51_what_was_granted_ends_in_the_ledger_which_stays_whole(work: Work, clock: FixedClock) -> None:
    with work() as session:
        room = Mailroom(session, clock)
        anna = room.guest()
        room.say(anna)
        erase(session, anna.id, "person", clock.now())
        assert [(line.state, line.method) for line in room.lines()] == [
            ("granted", "preference_centre"),
            ("withdrawn", "erasure"),
        ]


def test_r51_done_twice_it_does_nothing_more(work: Work, clock: FixedClock) -> None:
    with work() as session:
        room = Mailroom(session, clock)
        anna = room.guest()
        erase(session, anna.id, "person", clock.now())
        before = everything(session)
        assert erase(session, anna.id, "person", clock.now()).emptied == {}
        assert everything(session) == before


def test_r51_the_house_tells_that_somebody_was_erased(work: Work, clock: FixedClock) -> None:
    with work() as session:
        room = Mailroom(session, clock)
        anna = room.guest()
        erase(session, anna.id, "Carla", clock.now())
        told = session.execute(text("SELECT type, data FROM events WHERE type = 'contact.erased'")).one()
    assert told.data == {"by": "staff"}


def test_r51_who_became_part_of_somebody_is_erased_with_them(work: Work, clock: FixedClock) -> None:
    with work() as session:
        room = Mailroom(session, clock)
        anna, double = room.guest(), room.guest(email="annina@example.com")
        double.merged_into = anna.id
        session.flush()
        erase(session, double.id, "person", clock.now())
        rows = session.execute(text("SELECT email, erased_at FROM contacts WHERE id = ANY(:ids)"),
                               {"ids": [anna.id, double.id]}).all()  # fmt: skip
    assert [(row.email, row.erased_at) for row in rows] == [(None, clock.now())] * 2


def test_nobody_cannot_be_erased(work: Work, clock: FixedClock) -> None:
    with work() as session, pytest.raises(walk.NobodyError):
        erase(session, 4711, "person", clock.now())
