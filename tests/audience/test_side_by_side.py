"""Changes and refreshes beside each other: none is lost, and nobody who writes waits for a refresh."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DataError
from sqlalchemy.orm import Session

from app.accounts.models import Workspace
from app.audience import catalogue, membership
from app.audience.models import ContactChange, SegmentMember
from app.clock import FixedClock
from app.contacts.models import Contact
from app.db import Database, workspace_of
from tests.conftest import START
from tests.factories import Factory


@pytest.fixture
def here(database: Database, clock: FixedClock) -> int:
    """A workspace with one German, and a segment of Italians that has been filled."""
    with database.system() as session:
        workspace = Workspace(slug="lago", name="Hotel Lago", settings={}, created_at=START)
        session.add(workspace)
        session.flush()  # its number is asked for
        number = workspace.id
    with database.work(number) as session:
        make = Factory(session, clock)
        make.property(is_default=True)
        make.contact(language="de")
        source = "all:\n  - contact.language == it\n"
        catalogue.create(session, "italians", {"en": "Italians"}, source, by="Marta", now=START)
    refresh(database, number)
    return number


def refresh(database: Database, workspace_id: int) -> int:
    """Run the stage until it rests; gives how many are in the segment."""
    more = True
    while more:
        with database.work(workspace_id) as session:
            more = membership.run(session, START, 500).more
    with database.work(workspace_id) as session:
        return len(session.scalars(select(SegmentMember)).all())


def turn_italian(session: Session) -> None:
    """Everybody speaks Italian now."""
    session.execute(text("SET LOCAL lock_timeout = '2s'"))
    session.execute(text("UPDATE contacts SET language = 'it', updated_at = :now"), {"now": START})


def test_a_change_that_is_committed_after_a_refresh_began_is_found_by_the_next(database: Database, here: int) -> None:
    with database.work(here) as writer:
        turn_italian(writer)
        assert refresh(database, here) == 0
    assert refresh(database, here) == 1


def come_in(session: Session) -> None:
    """A new Italian."""
    given = {"workspace_id": workspace_of(session), "created_at": START, "updated_at": START}
    session.add(Contact(language="it", **given))


@pytest.mark.parametrize("act", [turn_italian, come_in])
def test_who_writes_does_not_wait_for_a_refresh_and_is_looked_at_afterwards(
    database: Database, here: int, act: Callable[[Session], None]
) -> None:
    with database.work(here) as session:
        session.execute(text("UPDATE contacts SET first_name = 'Anna', updated_at = :now"), {"now": START})
    with database.work(here) as refreshing:
        assert membership.run(refreshing, START, 500).done == 1
        with database.work(here) as writer:
            act(writer)
    assert refresh(database, here) == 1
    with database.work(here) as session:
        assert session.scalars(select(ContactChange)).all() == []


def test_a_refresh_that_fails_leaves_its_changes_for_the_next(database: Database, here: int) -> None:
    with database.work(here) as session:
        turn_italian(session)

    def fail() -> None:
        with database.work(here) as session:
            membership.run(session, START, 500)
            session.execute(text("SELECT 1 / 0"))

    with pytest.raises(DataError):
        fail()
    assert refresh(database, here) == 1
