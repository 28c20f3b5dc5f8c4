"""A hotel whose guests have said yes, and a broadcast to them, for the tests of broadcasts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.consent import ledger
from app.consent.ledger import Act
from app.contacts.models import Contact
from app.messages import broadcast_desk as desk
from app.messages.broadcast_desk import Wish
from app.messages.broadcast_preview import count_on
from app.messages.models import Broadcast
from tests.hotel import Hotel

TEMPLATE, TOPIC = "guest-voices", "newsletter"


def people(hotel: Hotel, names: Sequence[str], *, willing: bool = True, **given: Any) -> list[int]:
    """Contacts of these names, with a yes to the newsletter; their numbers."""
    now = hotel.clock.now()
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        made = [
            Contact(
                workspace_id=hotel.loaded.workspace_id,
                external_id=name,
                created_at=now,
                updated_at=now,
                **{"email": f"{name}@example.com", "email_key": f"{name}@example.com", "language": "it"} | given,
            )
            for name in names
        ]
        session.add_all(made)
        session.flush()  # their numbers are asked for
        if willing:
            consent(session, made, now)
        return [one.id for one in made]


def consent(session: Session, contacts: Sequence[Contact], now: datetime) -> None:
    """A yes to the newsletter of each, with its proof."""
    proof = {"wording_version": "1"}
    acts = [
        Act(
            one.id,
            one.email_key or "",
            "email",
            "marketing",
            TOPIC,
            "granted",
            "web",
            now,
            now,
            proof,
        )
        for one in contacts
    ]
    ledger.append(session, acts, now)


def write(hotel: Hotel, **given: Any) -> int:
    """A draft of it."""
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        wish = Wish(**{"name": "Spring", "template": TEMPLATE} | given)
        return desk.write(session, wish, "Marta", hotel.clock.now()).id


def confirm(hotel: Hotel, number: int) -> Broadcast:
    """Count it to the end and confirm it with that number."""
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        found = the(session, number)
        count_on(session, found, hotel.clock.now(), lambda: True)
        desk.confirm(session, found, desk.expected(found), "Marta", hotel.clock.now(), grace=timedelta())
        return found


def send(hotel: Hotel, **given: Any) -> int:
    """Written, counted, confirmed: what is left is work."""
    number = write(hotel, **given)
    confirm(hotel, number)
    return number


def the(session: Session, number: int) -> Broadcast:
    """It, locked."""
    found = desk.find(session, number)
    assert found is not None
    return found


def now_is(hotel: Hotel, number: int) -> Broadcast:
    """It as it is now."""
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        return session.scalars(select(Broadcast).where(Broadcast.id == number)).one()
