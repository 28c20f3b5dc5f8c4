"""A mailroom in the rolled-back database."""

from __future__ import annotations

import pytest
from sqlalchemy.orm import Session

from app.clock import FixedClock
from app.config import Settings
from app.db import Database
from tests.messages.mailroom import Mailroom


@pytest.fixture
def db(db: Database, settings: Settings) -> Database:
    """The rolled-back database, with the settings units of work ask for."""
    db.settings = settings
    return db


@pytest.fixture
def mailroom(db: Database, session: Session, clock: FixedClock) -> Mailroom:
    """A hotel with templates; `clock` stands at 10:00 in Rome."""
    return Mailroom(session, clock)
