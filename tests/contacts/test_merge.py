"""Two contacts become one, with all that hangs on them, and two again within thirty days (X11)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from app.consent import chain, ledger
from app.consent.ledger import Act
from app.contacts.merge import MergeRefusedError
from app.contacts.models import Booking, Contact
from app.enrollments.models import Enrollment, Workflow, WorkflowVersion
from app.events.merging import merge, undo_merge
from app.events.models import Event, EventWork
from tests.events.feed import NOW, event, report, stay
from tests.factories import Factory

OLD = {"external_id": "old", "email": "ada.old@example.com", "first_name": "Ada", "tags": ["vip"]}
NEW = {"external_id": "new", "email": "ada@example.com", "language": "it", "attributes": {"points": 7}}


@pytest.fixture
def pair(session: Session) -> tuple[int, int]:
    """Ada under two ids, the newer one with the newer facts and a booking each."""
    report(
        session,
        [
            stay("e-1", "confirmed", minutes=-90, reference="B-1", contact=OLD),
            stay("e-2", "confirmed", minutes=-30, reference="B-2", contact=NEW),
        ],
    )
    ids = {row.external_id: row.id for row in session.execute(select(Contact.external_id, Contact.id))}
    return ids["old"], ids["new"]


def profile(session: Session, contact_id: int) -> dict[str, Any]:
    names = ("external_id", "email", "first_name", "language", "tags", "attributes", "field_versions", "merged_into")
    session.expire_all()
    row = session.scalars(select(Contact).where(Contact.id == contact_id)).one()
    return {name: getattr(row, name) for name in names}


def owners(session: Session, model: Any) -> set[int]:
    session.expire_all()
    return set(session.scalars(select(model.contact_id)))


def test_rows_names_and_ids_move_and_events_of_the_former_id_still_arrive(
    session: Session, pair: tuple[int, int]
) -> None:
    winner, loser = pair
    merge(session, winner, loser, "marta", NOW)
    whole = profile(session, winner)
    assert (whole["external_id"], whole["email"], whole["first_name"]) == ("old", "ada@example.com", "Ada")
    assert (whole["language"], whole["tags"], whole["attributes"]) == ("it", ["vip"], {"points": 7})
    for model in (Booking, Event, EventWork):
        assert owners(session, model) == {winner}
    assert profile(session, loser)["merged_into"] == winner
    report(session, [stay("e-3", "modified", minutes=5, reference="B-2", adults=3, contact=NEW)])
    assert owners(session, Booking) == {winner}
    assert len(session.scalars(select(Contact)).all()) == 2


def test_undone_everything_is_as_before_and_newer_facts_stay(session: Session, pair: tuple[int, int]) -> None:
    winner, loser = pair
    before = {one: profile(session, one) for one in pair}
    number = merge(session, winner, loser, "marta", NOW)
    assert undo_merge(session, number, NOW + timedelta(days=30)) == (winner, loser)
    assert {one: profile(session, one) for one in pair} == before
    rows = {row.reference: row.contact_id for row in session.execute(select(Booking.reference, Booking.contact_id))}
    assert rows == {"B-1": winner, "B-2": loser}
    again = merge(session, winner, loser, "marta", NOW)
    report(session, [event("e-4", "contact.updated", minutes=1, contact={"external_id": "old", "language": "de"})])
    undo_merge(session, again, NOW)
    assert profile(session, winner)["language"] == "de"


def test_a_merge_is_undone_once_within_thirty_days_and_only_between_two(
    session: Session, pair: tuple[int, int]
) -> None:
    winner, loser = pair
    number = merge(session, winner, loser, "marta", NOW)
    with pytest.raises(MergeRefusedError, match="thirty days"):
        undo_merge(session, number, NOW + timedelta(days=30, seconds=1))
    with pytest.raises(MergeRefusedError, match="merged already"):
        merge(session, winner, loser, "marta", NOW)
    with pytest.raises(MergeRefusedError, match="different"):
        merge(session, winner, winner, "marta", NOW)
    undo_merge(session, number, NOW)
    with pytest.raises(MergeRefusedError, match="no such merge"):
        undo_merge(session, number, NOW)


def test_of_two_running_passages_of_one_scope_the_older_goes_on(
    session: Session, make: Factory, pair: tuple[int, int]
) -> None:
    workflow = make.add(Workflow, name="welcome", title={}, phase="retention", status="live")
    version = make.add(
        WorkflowVersion, workflow_id=workflow.id, number=1, source="", program={}, published_at=NOW, published_by="x"
    )
    for contact_id, hours in ((pair[0], 1), (pair[1], 2)):
        make.add(
            Enrollment,
            contact_id=contact_id,
            workflow_id=workflow.id,
            version_id=version.id,
            key="",
            passage=1,
            event={},
            status="active",
            state={},
            wake_at=NOW + timedelta(days=1),
            entered_at=NOW - timedelta(hours=hours),
        )
    number = merge(session, *pair, "marta", NOW)
    session.expire_all()
    found = session.scalars(select(Enrollment).order_by(Enrollment.entered_at)).all()
    assert [(row.status, row.end_reason, row.contact_id) for row in found] == [
        ("active", None, pair[0]),
        ("exited", "merged", pair[0]),
    ]
    undo_merge(session, number, NOW)
    session.expire_all()
    assert {row.status for row in session.scalars(select(Enrollment))} == {"active"}
    assert owners(session, Enrollment) == set(pair)


def act(contact_id: int, address: str, state: str, hours: int, topic: str = "offers") -> Act:
    at = NOW + timedelta(hours=hours)
    proof = {"wording_version": "1"}
    return Act(contact_id, address, "email", "marketing", topic, state, "web", at, at, proof)


def granted(session: Session, contact_id: int) -> set[str]:
    held = ledger.current(session, [contact_id]).get(contact_id, {})
    return {key[0] for key, state in held.items() if state.granted}


@pytest.mark.parametrize(
    ("of_winner", "of_loser", "left"),
    [
        # A no on either address ends an older yes on the other ...
        (("ada.old@example.com", "withdrawn", -1), ("ada@example.com", "granted", -2), set()),
        (("ada.old@example.com", "granted", -2), ("ada@example.com", "withdrawn", -1), set()),
        # ... and leaves a newer explicit one.
        (("ada.old@example.com", "withdrawn", -2), ("ada@example.com", "granted", -1), {"ada@example.com"}),
        # On the same address the newest act holds.
        (("ada@example.com", "withdrawn", -2), ("ada@example.com", "granted", -1), {"ada@example.com"}),
        (("ada@example.com", "withdrawn", -1), ("ada@example.com", "granted", -2), set()),
    ],
)
def test_permission_after_a_merge_is_the_most_restrictive_but_for_a_newer_yes(
    session: Session, pair: tuple[int, int], of_winner: Any, of_loser: Any, left: set[str]
) -> None:
    winner, loser = pair
    ledger.append(session, [act(winner, *of_winner), act(loser, *of_loser)], NOW)
    before = ledger.current(session, [loser])[loser]
    number = merge(session, winner, loser, "marta", NOW)
    assert granted(session, winner) == left
    undo_merge(session, number, NOW)
    assert ledger.current(session, [loser])[loser] == before
    assert granted(session, winner) <= ({of_winner[0]} if of_winner[1] == "granted" else set())
    assert chain.broken(session) is None


def test_r10_a_mailbox_that_said_no_means_it_whoever_is_found_under_its_address_next(
    session: Session, pair: tuple[int, int], make: Factory
) -> None:
    winner, loser = pair
    ledger.append(session, [act(loser, "ada@example.com", "withdrawn", -3)], NOW)
    merge(session, winner, loser, "marta", NOW)
    again = make.contact(external_id=None, email="ada@example.com").id
    read = act(again, "ada@example.com", "granted", 1)
    ledger.append(session, [replace(read, method="import", proof={**read.proof, "import_file": "list.csv"})], NOW)
    assert granted(session, again) == set()
    ledger.append(session, [act(again, "ada@example.com", "granted", 2)], NOW)
    assert granted(session, again) == {"ada@example.com"}, "their own newer yes"


def test_every_table_that_names_a_contact_is_walked(session: Session) -> None:
    tables = session.execute(
        text(
            "SELECT c.relname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid WHERE a.attname = 'contact_id' "
            "AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relnamespace = 'public'::regnamespace"
        )
    ).scalars()
    from app.contacts.merge import STAY, _tables

    walked = {name for name, _ in _tables(session.connection())} | STAY
    assert set(tables) <= walked
    assert {"bookings", "events", "event_work", "enrollments", "messages", "step_visits"} <= walked
