"""Who is in which segment: kept up to date, told once, at a stated number of queries."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import event, select, text
from sqlalchemy.orm import Session

from app.audience import catalogue, membership
from app.audience.models import Segment, SegmentMember
from app.clock import FixedClock
from app.consent import ledger
from app.consent.ledger import Act
from app.contacts.models import Contact
from app.events.models import Event
from tests.factories import Factory

ITALIANS = "all:\n  - contact.language == it\n"
Work = Callable[[], AbstractContextManager[Session]]


def refresh(work: Work, clock: FixedClock, limit: int = 500) -> None:
    """Let the stage work until nothing is left."""
    for _ in range(100):
        with work() as session:
            if not membership.run(session, clock.now(), limit).done:
                return
    pytest.fail("the stage never came to an end")


def told(session: Session) -> list[tuple[str, int, str]]:
    """What was recorded of segments, in order."""
    rows = session.scalars(select(Event).where(Event.type.like("segment.%")).order_by(Event.id))
    return [(row.type, row.contact_id, row.data["segment"]) for row in rows]


def members(session: Session, name: str) -> list[int]:
    """Who is in it."""
    query = select(SegmentMember.contact_id).join(Segment, Segment.id == SegmentMember.segment_id)
    return sorted(session.scalars(query.where(Segment.name == name)))


@pytest.fixture
def place(work: Work, clock: FixedClock) -> None:
    """A workspace with a hotel in Rome's zone."""
    with work() as session:
        Factory(session, clock).property(is_default=True)


def new(work: Work, clock: FixedClock, source: str = ITALIANS, name: str = "italians", **more: Any) -> None:
    with work() as session:
        catalogue.create(session, name, {"en": name}, source, by="Marta", now=clock.now(), **more)


def person(work: Work, clock: FixedClock, **given: Any) -> int:
    with work() as session:
        return Factory(session, clock).contact(external_id=None, **given).id


@pytest.mark.usefixtures("place")
def test_the_first_fill_tells_nobody_and_later_changes_are_told_once(work: Work, clock: FixedClock) -> None:
    giulia = person(work, clock, language="it")
    henry = person(work, clock, language="en")
    new(work, clock)
    refresh(work, clock)
    with work() as session:
        assert (members(session, "italians"), told(session)) == ([giulia], [])
        Factory(session, clock).contact(language="it", external_id="sara")
        session.scalars(select(Contact).where(Contact.id == henry)).one().language = "it"
    refresh(work, clock)
    refresh(work, clock)
    with work() as session:
        sara = max(members(session, "italians"))
        assert members(session, "italians") == [giulia, henry, sara]
        assert sorted(told(session)) == [("segment.entered", henry, "italians"), ("segment.entered", sara, "italians")]
        session.scalars(select(Contact).where(Contact.id == giulia)).one().language = "de"
    refresh(work, clock)
    with work() as session:
        assert told(session)[2:] == [("segment.left", giulia, "italians")]
        assert session.scalars(select(Segment.members)).one() == 2


@pytest.mark.usefixtures("place")
def test_a_backfill_tells_of_everybody_who_is_in(work: Work, clock: FixedClock) -> None:
    giulia = person(work, clock, language="it")
    new(work, clock, backfill=True)
    refresh(work, clock)
    with work() as session:
        assert told(session) == [("segment.entered", giulia, "italians")]


@pytest.mark.usefixtures("place")
def test_other_words_move_people_and_tell_nobody(work: Work, clock: FixedClock) -> None:
    giulia, henry = person(work, clock, language="it"), person(work, clock, language="en")
    new(work, clock)
    refresh(work, clock)
    with work() as session:
        source = "all:\n  - contact.language == en\n"
        catalogue.edit(session, "italians", source, by="Marta", now=clock.now())
        # Somebody the silent look has not come to yet changes meanwhile: that look puts him in and says nothing.
        session.scalars(select(Contact).where(Contact.id == henry)).one().first_name = "Henry"
    refresh(work, clock)
    with work() as session:
        assert (members(session, "italians"), told(session)) == ([henry], [])
    assert giulia != henry


@pytest.mark.usefixtures("place")
def test_a_day_that_passes_moves_people_at_the_midnight_of_the_property(work: Work, clock: FixedClock) -> None:
    with work() as session:
        make = Factory(session, clock)
        guest = make.contact(external_id=None)
        make.booking(guest, arrival=date(2026, 3, 11))
        guest_id = guest.id
    new(work, clock, "all:\n  - booking.arrival within next 0 days\n", "arriving")
    refresh(work, clock)
    with work() as session:
        assert members(session, "arriving") == []
        due = session.scalars(select(Segment.due_at)).one()
        assert due is not None
        assert due.isoformat() == "2026-03-10T23:00:00+00:00"  # midnight in Rome
    clock.set(due)
    refresh(work, clock)
    with work() as session:
        assert told(session) == [("segment.entered", guest_id, "arriving")]
    clock.advance(timedelta(days=1))
    refresh(work, clock)
    with work() as session:
        assert told(session)[1:] == [("segment.left", guest_id, "arriving")]


@pytest.mark.usefixtures("place")
def test_instants_are_looked_at_every_hour_and_constants_never(work: Work, clock: FixedClock) -> None:
    new(work, clock, "all:\n  - contact.created_at within last 2 hours\n", "fresh")
    new(work, clock, "all:\n  - contact.created_at > 2026-01-01\n", "later")
    refresh(work, clock)
    with work() as session:
        found = {row.name: row.due_at for row in session.execute(select(Segment.name, Segment.due_at))}
    assert found == {"fresh": clock.now().replace(hour=10), "later": None}


@pytest.mark.usefixtures("place")
def test_a_yes_and_a_no_in_the_ledger_move_a_person(work: Work, clock: FixedClock) -> None:
    giulia = person(work, clock, email="giulia@example.com")
    new(work, clock, "all:\n  - consent.newsletter == granted\n", "readers")
    refresh(work, clock)

    def say(state: str) -> None:
        clock.advance(timedelta(minutes=1))
        with work() as session:
            proof = {"wording_version": "1"}
            act = Act(giulia, "giulia@example.com", "email", "marketing", "newsletter", state, "web", clock.now(),
                      clock.now(), proof)  # fmt: skip
            ledger.append(session, [act], clock.now())
        refresh(work, clock)

    say("granted")
    say("withdrawn")
    with work() as session:
        assert [kind for kind, *_ in told(session)] == ["segment.entered", "segment.left"]


@pytest.mark.usefixtures("place")
def test_who_is_erased_leaves_without_a_word(work: Work, clock: FixedClock) -> None:
    giulia = person(work, clock, language="it")
    new(work, clock)
    refresh(work, clock)
    with work() as session:
        session.scalars(select(Contact).where(Contact.id == giulia)).one().erased_at = clock.now()
    refresh(work, clock)
    with work() as session:
        assert (members(session, "italians"), told(session)) == ([], [])


@pytest.mark.usefixtures("place")
def test_many_people_are_looked_at_in_pages_and_none_is_forgotten(work: Work, clock: FixedClock) -> None:
    with work() as session:
        make = Factory(session, clock)
        wanted = [make.contact(language="it" if at % 3 else "de", external_id=None).id for at in range(65)]
    new(work, clock)
    refresh(work, clock, limit=2)
    with work() as session:
        assert members(session, "italians") == [one for at, one in enumerate(wanted) if at % 3]
        assert session.scalars(select(Segment.members)).one() == 43


@pytest.mark.usefixtures("place")
def test_without_a_living_segment_no_change_is_noted(work: Work, clock: FixedClock) -> None:
    new(work, clock)
    with work() as session:
        catalogue.archive(session, "italians", by="Marta", now=clock.now())
    person(work, clock, language="it")
    with work() as session:
        assert session.execute(text("SELECT count(*) FROM contact_changes")).scalar() == 0


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize("people", [1, 40])
def test_a_batch_is_a_fixed_number_of_queries(work: Work, clock: FixedClock, people: int) -> None:
    for number in range(3):
        new(work, clock, name=f"italians-{number}")
    refresh(work, clock)
    with work() as session:
        make = Factory(session, clock)
        for _ in range(people):
            make.contact(language="it", external_id=None)
    asked: list[str] = []
    with work() as session:
        engine = session.connection().engine
        session.execute(text("SELECT 1"))

        def note(*given: Any) -> None:
            asked.append(given[2])

        event.listen(engine, "before_cursor_execute", note)
        try:
            assert membership.run(session, clock.now(), 500).done == people
        finally:
            event.remove(engine, "before_cursor_execute", note)
        assert len(told(session)) == 3 * people
    assert len([one for one in asked if "SAVEPOINT" not in one]) == membership.QUERIES
