"""How long what is kept (R53): the periods, their defaults, and how a workspace shortens or lengthens them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.accounts.models import Workspace
from app.db import workspace_of


class PeriodError(ValueError):
    """A period of the settings is not usable; the message names it and says what it should be."""


@dataclass(frozen=True, slots=True)
class Periods:
    """Months, counted back from now; `settings.retention` of a workspace changes them."""

    marketing: int = 24
    """Data used for marketing, after the person's last interaction; consent itself stays valid until withdrawn."""
    purchases: int = 12
    """Details of purchases, where the person is profiled."""
    tracks: int = 6
    """IP addresses and browsers in events and deliveries; in a proof of consent they stay with the proof."""
    mails: int = 24
    """Mails as they were sent."""
    logs: int = 12
    """Attempts to send, decisions, unmatched reports, calls."""

    def as_json(self) -> dict[str, int]:
        """Name → months."""
        return asdict(self)


LIMITS: Mapping[str, tuple[int, int]] = {
    "marketing": (1, 120),
    "purchases": (1, 120),
    "tracks": (1, 12),
    "mails": (1, 120),
    "logs": (1, 24),
}
"""Months from, to: who sets more is told to think again."""


def in_force(session: Session) -> Periods:
    """The workspace's periods. One query."""
    return of(session.scalar(select(Workspace.settings).where(Workspace.id == workspace_of(session))) or {})


def of(settings: Mapping[str, Any]) -> Periods:
    """A workspace's periods; raises PeriodError for one that is not usable."""
    given = settings.get("retention") or {}
    if not isinstance(given, Mapping):
        raise PeriodError("retention must hold named months.")
    known = {one.name for one in fields(Periods)}
    for name, value in given.items():
        if name not in known:
            raise PeriodError(f"retention.{name} is not known; there are {', '.join(sorted(known))}.")
        low, high = LIMITS[name]
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise PeriodError(f"retention.{name} must be whole months from {low} to {high}.")
    return Periods(**given)
