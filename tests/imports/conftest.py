"""Imports are tested in a workspace with two topics and a property in Italy."""

from __future__ import annotations

import pytest
from sqlalchemy.orm import Session

from app.config import Settings
from tests.factories import Factory
from tests.imports.lists import topics


@pytest.fixture
def hall(session: Session, settings: Settings, make: Factory) -> Session:
    """A unit of work in which files can be handed in."""
    session.info["settings"] = settings
    make.property(code="lago", country="IT", is_default=True)
    topics(session, "newsletter", "offers")
    return session
