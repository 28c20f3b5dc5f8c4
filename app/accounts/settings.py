"""A workspace's own settings: read whole, and written section by section."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from app.accounts.models import Workspace
from app.db import workspace_of


def read(session: Session) -> Mapping[str, Any]:
    """All of them. One query."""
    return session.scalar(select(Workspace.settings).where(Workspace.id == workspace_of(session))) or {}


def lay(session: Session, sections: Mapping[str, Any]) -> None:
    """Put these sections in the place of what they were; None takes one away. What somebody else writes into another
    section meanwhile stays. One query.

    Args:
        sections: name → JSON value. That they are usable is the caller's to check.
    """
    given = {name: value for name, value in sections.items() if value is not None}
    gone = [name for name, value in sections.items() if value is None]
    session.execute(_LAY, {"ws": workspace_of(session), "given": msgspec.json.encode(given).decode(), "gone": gone})


_LAY = text(
    """
    UPDATE workspaces SET settings = (settings || CAST(:given AS jsonb)) - CAST(:gone AS text[]) WHERE id = :ws
    """
)
