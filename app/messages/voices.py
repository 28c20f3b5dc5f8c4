"""How a person spoke, for the ledger; and telling the log what was said, so that workflows hear of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from app.consent.ledger import Act
from app.events.record import OwnEvent, record_own


@dataclass(frozen=True, slots=True)
class Voice:
    """How a person spoke: what the ledger keeps beside every act (R5)."""

    method: str
    """one_click, unsubscribe_page, tracking_page, preference_centre, undo or confirm_page."""
    language: str
    page: str
    ip: str | None = None
    user_agent: str | None = None
    message_pk: int | None = None
    controller: str | None = None
    provider: str | None = None
    """Who passed it on, where the person spoke through a mailbox or mail provider."""

    def proof(self, **more: Any) -> dict[str, Any]:
        """The record's proof, without what is not known."""
        known = {
            "language": self.language or None,
            "page": self.page,
            "ip": self.ip,
            "user_agent": (self.user_agent or "")[:300] or None,
            "message_pk": self.message_pk,
            "controller": self.controller,
            "provider": self.provider,
            **more,
        }
        return {name: value for name, value in known.items() if value is not None}


def tell(session: Session, acts: Sequence[Act], numbers: Sequence[int], now: datetime) -> None:
    """Record what was said as own events, so that workflows hear of it; once for each person and purpose, not for each
    address. What is only asked for is not told.

    Args:
        session: a unit of work of one workspace.
        acts: what stands in the ledger now.
        numbers: its lines, one for each act.
        now: when it was said.
    """
    told: dict[tuple[int, str, str | None], OwnEvent] = {}
    for act, number in zip(acts, numbers, strict=True):
        if act.state == "pending":
            continue
        type_ = "consent.granted" if act.state == "granted" else "consent.withdrawn"
        data = {
            "purpose": act.purpose,
            "topic": act.topic,
            "channel": act.channel,
            "method": act.method,
            "state": act.state,
            "line": number,
        }
        told[act.contact_id, act.purpose, act.topic] = OwnEvent(act.contact_id, type_, now, data)
    record_own(session, list(told.values()), now)
