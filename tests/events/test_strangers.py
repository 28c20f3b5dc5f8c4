"""R17: a friend's address is not stored, whatever door it comes to."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from app.contacts.models import Contact
from app.db import Base
from app.events import strangers
from app.events.incoming import CONTACT_FIELDS, Incoming, read
from app.events.models import Event
from app.events.record import OwnEvent, record_own
from tests.events.feed import NOW, event, report
from tests.factories import Factory

FRIEND = "bruno@friends.example"


@pytest.mark.parametrize(
    "data",
    [
        {"friend_email": FRIEND},
        {"referral": {"friend": {"name": "Bruno", "email": FRIEND}}},
        {"friends": [FRIEND]},
        {"invitee_phone": "+393331234567", "note": "x"},
        {"amico_email": FRIEND},
        {"Referred_Email": FRIEND},
        {"email_of_friend": FRIEND},
        {"friendEmail": FRIEND},
        {"Friend-Email": FRIEND},
    ],
)
def test_r17_an_event_gives_no_friends_address_away(session: Session, data: dict[str, Any]) -> None:
    verdicts = report(session, [event("e1", "custom.referral", data={**data, "stars": 5})])
    assert verdicts[0].status == "accepted"
    assert any("R17" in one.detail for one in verdicts[0].warnings)
    tables = [table.name for table in Base.metadata.sorted_tables if "workspace_id" in table.columns]
    for table in tables:
        kept = session.execute(
            text(f"SELECT coalesce(string_agg(to_jsonb(t)::text, ''), '') FROM \"{table}\" t")
        ).scalar()
        assert "bruno" not in (kept or "").lower(), table
        assert "3331234567" not in (kept or ""), table


def test_r17_neither_does_a_workflow_that_is_started_for_somebody(session: Session, make: Factory) -> None:
    guest = make.contact()
    record_own(session, [OwnEvent(guest.id, "workflow.started", NOW, {"friend_email": FRIEND, "stars": 5})], NOW)
    assert session.query(Event.data).one()[0] == {"stars": 5}


def test_r17_neither_as_an_attribute_of_the_guest_nor_in_a_body_that_contradicts_another(session: Session) -> None:
    guest = {"external_id": "g-1", "attributes": {"friend_email": FRIEND, "vip": True}}
    report(session, [event("e1", "contact.updated", contact=guest)])
    report(session, [event("e1", "contact.updated", contact=guest, data={"friend": FRIEND})])
    assert session.query(Contact.attributes).one()[0] == {"vip": True}
    kept = session.execute(text("SELECT string_agg(body::text, '') FROM event_conflicts")).scalar() or ""
    assert "bruno" not in kept


@pytest.mark.parametrize(
    ("key", "somebody"),
    [
        ("friend_email", True), ("friend", True), ("friends", True), ("referred_name", True), ("amica", True),
        ("invitati", True), ("referred_by", False), ("friend_count", False), ("invited_at", False),
        ("friendly_note", False), ("friend_code", False), ("friendsgiving", False), ("email", False),
        ("friendEmail", True), ("referredBy", False), ("FriendCode", False),
    ],
)  # fmt: skip
def test_r17_what_names_a_friend_and_what_does_not(key: str, somebody: bool) -> None:
    assert strangers.names_one(key) is somebody


def test_r17_a_contact_has_no_field_for_anybody_else() -> None:
    assert not [name for name in CONTACT_FIELDS if strangers.names_one(name)]
    assert not [
        f"{table.name}.{column.name}"
        for table in Base.metadata.sorted_tables
        for column in table.columns
        if strangers.names_one(column.name)
    ]


def test_an_event_that_speaks_of_nobody_else_is_read_as_it_was_sent() -> None:
    raw = event("e1", "custom.visit", data={"friendly_note": "x", "referred_by": "g-9"})
    found = read(raw)
    assert isinstance(found, Incoming)
    assert (found.data, found.warnings) == (raw["data"], [])
    assert msgspec.json.decode(found.body) == raw
