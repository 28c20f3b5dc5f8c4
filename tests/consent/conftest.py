"""A ledger in a test's workspace."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from sqlalchemy.orm import Session

from app.clock import FixedClock
from app.config import Settings
from app.consent import ledger
from app.consent.ledger import Act
from app.db import Database


@pytest.fixture
def db(db: Database, settings: Settings) -> Database:
    """The rolled-back database, with the settings units of work ask for."""
    db.settings = settings
    return db


def act(contact_id: int = 1, state: str = "granted", *, at: datetime, **given: Any) -> Act:
    """What somebody did on our own page, with its proof."""
    fields: dict[str, Any] = {
        "address": "anna@example.com",
        "channel": "email",
        "purpose": "marketing",
        "topic": "offers",
        "method": "preference_centre",
        "requested_at": at,
        "proof": {"wording_version": "1", "wording": "Sì, scrivetemi."},
    }
    return Act(contact_id=contact_id, state=state, **fields | given)


class Book:
    """Writes to the ledger of one unit of work at the clock's instant."""

    def __init__(self, session: Session, clock: FixedClock) -> None:
        self.session = session
        self.clock = clock

    def write(self, contact_id: int = 1, state: str = "granted", **given: Any) -> list[int]:
        """One act now."""
        now = self.clock.now()
        return ledger.append(self.session, [act(contact_id, state, **{"at": now} | given)], now)


@pytest.fixture
def book(db: Database, session: Session, clock: FixedClock) -> Book:
    """The ledger of the test's workspace."""
    return Book(session, clock)
