"""Masked addresses of booking sites, once their time is over (R34)."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.orm import Session

from app.db import workspace_of


def hide(session: Session, now: datetime, suffixes: Collection[str], days: int) -> int:
    """Take masked addresses off contacts whose last stay is over for `days`: nobody can be reached there any more, and
    nobody should read, copy or match it. An address told anew with a new booking comes back with it.

    Args:
        suffixes: domains of masked addresses (`Policy.relay_suffixes`).
        days: how long they last after check-out (`Policy.relay_days`).

    Returns:
        How many were hidden. One query.
    """
    wanted = {"ws": workspace_of(session), "now": now, "days": days, "endings": [f"%.{one}" for one in suffixes]}
    return len(session.execute(_HIDE, wanted).scalars().all())


_HIDE = text(
    """
    UPDATE contacts c SET email = NULL, email_key = NULL, updated_at = :now
    WHERE c.workspace_id = :ws AND c.email_key IS NOT NULL
      AND '.' || split_part(c.email_key, '@', 2) LIKE ANY(CAST(:endings AS text[]))
      AND coalesce(
          (SELECT max(b.departure) FROM bookings b WHERE b.workspace_id = :ws AND b.contact_id = c.id),
          CAST(c.created_at AT TIME ZONE 'UTC' AS date)
      ) + CAST(:days AS int) < CAST(CAST(:now AS timestamptz) AT TIME ZONE 'UTC' AS date)
    RETURNING c.id
    """
)
