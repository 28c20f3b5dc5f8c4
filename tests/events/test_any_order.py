"""Real booking histories end in the same rows, however late, often, mixed and batched their events come (X15-X28)."""

from __future__ import annotations

import itertools
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from app.accounts.models import Workspace
from app.contacts.models import Booking, Contact
from app.db import Database
from app.demo.history import SLICE, events_of, read
from app.events.models import Event
from tests.events.feed import NOW, report

ZONE = ZoneInfo("Europe/Rome")
STAYS = list(read(SLICE))
_numbers = itertools.count(1)

BOOKING = (
    *("kind", "reference", "status", "arrival", "departure", "nights", "adults", "children", "amount", "currency"),
    *("channel", "language", "room_type", "rate", "data", "booked_at", "cancelled_at", "checked_in_at"),
    *("checked_out_at",),
)
CONTACT = (
    *("external_id", "email", "email_key", "phone", "first_name", "last_name", "language", "zone", "country", "tags"),
    *("attributes", "field_versions"),
)


def after(told: list[dict[str, Any]], hours: float, name: str, fields: dict[str, Any]) -> None:
    """One more event on the same booking, `hours` after its last."""
    last = told[-1]
    reference = last["data"]["booking"]["reference"]
    told.append(
        {
            "id": f"{reference}-{len(told) + 1}",
            "type": f"booking.{name}",
            "occurred_at": (datetime.fromisoformat(last["occurred_at"]) + timedelta(hours=hours)).isoformat(),
            "contact": last["contact"],
            "data": {"booking": {"reference": reference, **fields}},
            "sequence": len(told) + 1,
        }
    )


def lived(stay_number: int, twist: str) -> list[dict[str, Any]]:
    """A real history, with one of the turns that life and booking systems take."""
    told = events_of(STAYS[stay_number], "r", ZONE)
    match twist:
        case "reinstated":
            after(told, 5, "reinstated", {})
        case "confirmed again":
            after(told, 5, "confirmed", {"adults": 3})
        case "auto check-out":
            after(told, 2, "no_show", {})
        case "extended":
            after(told, 0, "modified", {"departure": "2019-12-31"})
        case "moved":
            after(told, 1, "modified", {"room_type": "Suite", "amount": None})
        case "cancelled at the same instant":
            after(told, 0, "cancelled", {})
        case "introduced himself":
            told[-1] = {**told[-1], "contact": {**told[-1]["contact"], "first_name": "Ada", "phone": "+390323304160"}}
        case _:
            pass
    return told


TWISTS = (
    *("none", "reinstated", "confirmed again", "auto check-out", "extended", "moved"),
    *("cancelled at the same instant", "introduced himself"),
)
histories = st.lists(
    st.tuples(st.integers(0, len(STAYS) - 1), st.sampled_from(TWISTS)), min_size=1, max_size=3, unique_by=lambda h: h[0]
)


def rows_after(db: Database, batches: list[list[dict[str, Any]]]) -> tuple[Any, Any, Any]:
    """Bookings, contacts and event ids of a new workspace once these batches were recorded."""
    with db.system() as session:
        workspace = Workspace(slug=f"any-order-{next(_numbers)}", name="", settings={}, created_at=NOW)
        session.add(workspace)
        session.flush()
        number = workspace.id
    for batch in batches:
        with db.work(number) as session:
            verdicts = report(session, batch)
            assert {verdict.status for verdict in verdicts} <= {"accepted", "duplicate"}
            assert not any(verdict.conflict for verdict in verdicts)
    with db.work(number) as session:
        people = {row.id: row for row in session.scalars(select(Contact))}
        bookings = sorted(
            [
                {**{n: getattr(row, n) for n in BOOKING}, "of": people[row.contact_id].external_id}
                for row in session.scalars(select(Booking))
            ],
            key=lambda row: row["reference"],
        )
        contacts = sorted(
            ({n: getattr(row, n) for n in CONTACT} for row in people.values()), key=lambda row: row["external_id"]
        )
        return bookings, contacts, sorted(session.scalars(select(Event.event_id)))


@settings(max_examples=30)
@given(chosen=histories, numbered=st.booleans(), data=st.data())
def test_any_order_doubling_and_batching_gives_the_rows_of_the_right_order(
    db: Database, chosen: list[tuple[int, str]], numbered: bool, data: st.DataObject
) -> None:
    told = [raw for number, twist in chosen for raw in lived(number, twist)]
    if not numbered:
        told = [{key: value for key, value in raw.items() if key != "sequence"} for raw in told]
    in_order = rows_after(db, [[raw] for raw in sorted(told, key=lambda raw: raw["occurred_at"])])
    again = data.draw(st.lists(st.sampled_from(told), max_size=5))
    mixed = data.draw(st.permutations(told + again))
    cuts = sorted(data.draw(st.sets(st.integers(1, len(mixed)), max_size=6)))
    batches = [mixed[a:b] for a, b in itertools.pairwise([0, *cuts, len(mixed)]) if a < b]
    assert rows_after(db, batches) == in_order
