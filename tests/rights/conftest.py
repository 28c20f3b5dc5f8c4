"""A database that knows the house's secrets, as erasing and telling people need them."""

from __future__ import annotations

import pytest

from app.config import Settings
from app.db import Database


@pytest.fixture(autouse=True)
def furnished(db: Database, settings: Settings) -> None:
    """The database of the test knows its settings."""
    db.settings = settings
