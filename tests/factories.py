"""Builds the smallest valid row of each noun. A test names only what it is about; everything else is a plain default.

    make.contact(language="it")
    make.booking(arrival=date(2026, 5, 1))

Numbers count up from one in every test, so that nothing is random and a failure reads the same twice.
"""

from __future__ import annotations

import itertools
from datetime import timedelta
from typing import Any, TypeVar

from sqlalchemy.orm import Session

from app.clock import Clock
from app.contacts.models import Booking, Contact, Property
from app.db import Base, workspace_of

Row = TypeVar("Row", bound=Base)


class Factory:
    """Adds rows to a unit of work.

    Args:
        session: a unit of work in one workspace.
        clock: gives the instants of creation.
    """

    def __init__(self, session: Session, clock: Clock) -> None:
        self.session = session
        self._clock = clock
        self._numbers = itertools.count(1)

    def add(self, kind: type[Row], /, **given: Any) -> Row:
        """Add a row of any kind, with the workspace and the instants filled in where the table has them."""
        columns = kind.__table__.columns
        filled: dict[str, Any] = {
            name: self._clock.now() for name in ("created_at", "updated_at") if name in columns and name not in given
        }
        row = kind(workspace_id=workspace_of(self.session), **(filled | given))
        self.session.add(row)
        self.session.flush()  # its number is asked for
        return row

    def property(self, **given: Any) -> Property:
        """A hotel on Lago Maggiore."""
        number = next(self._numbers)
        return self.add(
            Property,
            **{
                "code": f"hotel-{number}",
                "name": "Hotel Lago",
                "zone": "Europe/Rome",
                "language": "it",
                "sender_name": "Hotel Lago",
                "sender_email": "ospiti@lago.example",
            }
            | given,
        )

    def contact(self, **given: Any) -> Contact:
        """Somebody with an address."""
        number = next(self._numbers)
        email = given.get("email", f"person{number}@example.com")
        return self.add(
            Contact,
            **{"external_id": f"c-{number}", "email": email, "email_key": email.lower() if email else None} | given,
        )

    def booking(self, contact: Contact | None = None, **given: Any) -> Booking:
        """A confirmed booking of two nights, a month ahead, of a new contact unless one is given."""
        number = next(self._numbers)
        arrival = given.get("arrival", self._clock.now().date() + timedelta(days=30))
        return self.add(
            Booking,
            **{
                "contact_id": (contact or self.contact()).id,
                "kind": "booking",
                "reference": f"B-{number}",
                "status": "confirmed",
                "arrival": arrival,
                "departure": arrival + timedelta(days=2),
                "nights": 2,
                "adults": 2,
                "booked_at": self._clock.now(),
            }
            | given,
        )
