"""One reminder of what was left unfinished, to somebody who never agreed to marketing (R9). Pure.

Whoever abandons a booking or a cart has bought nothing, so no contract carries a mail about it, whatever class its
template has: the gate goes by what the booking is at this instant. With permission to send marketing the mail stands
on that. Without, it is the one reminder that the Italian authority bears with: soon after, once, without promotion, to
whoever was told of it when the address was taken and has said no to nothing. That it holds no promotion is R21's:
blocks of marketing are shown only with permission.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from app.consent.case import Basis, Case, Check

ABANDONED = "abandoned"
"""The status of a booking or an order that was begun and left."""
SOONEST, LATEST = timedelta(minutes=30), timedelta(hours=24)
"""How long after it was abandoned: not while the person may still be at it, and not when it is no longer prompt."""


def is_unfinished(case: Case) -> bool:
    """Whether a service message speaks of something that was never concluded."""
    booking = case.facts.booking
    return case.request.class_ == "transactional" and booking is not None and booking.status == ABANDONED


def reminder(case: Case, permission: Basis) -> Basis:
    """What such a message may stand on.

    Args:
        case: a service message about an abandoned booking or cart.
        permission: what marketing to this person would stand on.
    """
    if permission.check.ok:
        return permission
    facts, request = case.facts, case.request
    notice = facts.states.get((facts.address or "", request.channel, "notice", None))
    at = facts.booking.abandoned_at if facts.booking else None
    inputs: dict[str, Any] = {"abandoned": at.isoformat() if at else None, "line": notice.line if notice else None}
    code = _why_not(case)
    if code is not None:
        return Basis(Check("basis", False, code, "R9", inputs), None, notice.line if notice else None)
    line = notice.line if notice else None
    return Basis(Check("basis", True, "recovery", "R9", inputs), "recovery", line)


def _why_not(case: Case) -> str | None:
    request, facts, now, _ = case
    if request.channel != "email":
        return "recovery_not_email"
    if facts.minor:
        return "minor"
    if facts.suppressed or any(key[2] == "marketing" and one.refused_at for key, one in facts.states.items()):
        return "recovery_refused"
    notice = facts.states.get((facts.address or "", request.channel, "notice", None))
    if notice is None or not notice.granted or not notice.recovery_mentioned:
        return "recovery_no_notice"
    booking = facts.booking
    if booking is None or booking.abandoned_at is None or now < booking.abandoned_at + SOONEST:
        return "recovery_too_soon"
    if now > booking.abandoned_at + LATEST:
        return "recovery_too_late"
    if any(
        one.booking_id == booking.booking_id and one.class_ == "transactional" and one.at >= booking.abandoned_at
        for one in facts.contacted
    ):
        return "recovery_sent"
    return None
