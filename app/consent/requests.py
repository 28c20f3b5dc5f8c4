"""Requests for a confirmation from the mailbox, as they are written down (R6).

A pending line of the ledger says what the person wishes; the request beside it says when to look at it again: to remind
of it, to end it after seven days, to delete whoever is known by nothing else. Written by whoever asks
(`messages/asking.py`) and for what other systems report (`events/record.py`); looked at by `signup/ending.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from sqlalchemy import text
from sqlalchemy.orm import Session

from app.db import as_rows, workspace_of

REMIND_AFTER = timedelta(days=2)
DELETE_AFTER = timedelta(days=30)
"""When the data of somebody who never confirmed, and is known by nothing else, goes (R6, R53)."""
CONFIRMABLE = ("marketing", "profiling", "open_tracking", "feedback")
"""Purposes that a mailbox can be asked to confirm."""
TEMPLATE = "confirm-subscription"
"""The mail, where nobody chose another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """One request to be. The fields are those of `ConsentRequest`."""

    contact_id: int
    lines: tuple[int, ...]
    topics: tuple[str, ...]
    purposes: tuple[str, ...]
    address: str
    channel: str
    method: str
    asked_at: datetime
    next_at: datetime
    reminder: bool
    template: str = ""
    property_id: int | None = None
    mail_due: bool = False


def write(session: Session, wanted: Sequence[Wanted], *, once: bool = False) -> None:
    """Write requests down; one query, none for none.

    Args:
        once: leave out what an open request over the same address asks already, so that one who is reported again and
            again is written to once.
    """
    if wanted:
        rows = as_rows([asdict(one) for one in wanted])
        session.execute(_WRITE, {"ws": workspace_of(session), "rows": rows, "once": once})


_WRITE = text(
    """
    INSERT INTO consent_requests (workspace_id, contact_id, lines, topics, purposes, address, channel, method,
                                  property_id, template, state, reminder, asked_at, next_at, mail_due)
    SELECT :ws, r.contact_id, r.lines, r.topics, r.purposes, r.address, r.channel, r.method, r.property_id, r.template,
           'pending', r.reminder, r.asked_at, r.next_at, r.mail_due
    FROM json_to_recordset(CAST(:rows AS json)) AS r(contact_id bigint, lines bigint[], topics text[], purposes text[],
        address text, channel text, method text, property_id bigint, template text, reminder boolean,
        asked_at timestamptz, next_at timestamptz, mail_due boolean)
    WHERE NOT (:once AND EXISTS (
        SELECT 1 FROM consent_requests q
        WHERE q.workspace_id = :ws AND q.contact_id = r.contact_id AND q.state = 'pending' AND q.address = r.address
          AND q.channel = r.channel AND q.topics @> r.topics AND q.purposes @> r.purposes
          AND (q.template <> '' OR r.template = '')))
    """
)
