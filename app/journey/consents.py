"""Consent as steps see it: when somebody may be asked, what counts as the answer, and who may be named to others. Pure.

What holds is what the facts say (`consent.<topic>`), since the ledger weighs proof and order; an event only tells when.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from app.journey.durations import Duration
from app.journey.entry import Event
from app.journey.facts import Facts, lookup
from app.journey.program import ANSWERS, SHARING

ANSWERED_WITHIN = Duration(days=7)
"""How long the button of a confirmation works (R6), so also how long an answer is awaited at most."""

PENDING_FOR = timedelta(days=ANSWERED_WITHIN.days)

REFUSED_FOR = timedelta(days=180)
"""Who said no is not asked again for so long."""

REFUSALS = ("denied", "withdrawn", "objected")

GIVEN = "granted"
"""The ledger's word for a yes with its proof."""

YES, NO = ANSWERS

ERASED = "contact.erased"
"""Whoever was told of a person has to hear that they are gone (GDPR 19): of that nobody is asked."""


def may_be_told(facts: Facts) -> bool:
    """Whether a person may be named to somebody who uses it for purposes of their own (R3)."""
    return bool(lookup(facts, SHARING) == GIVEN or lookup(facts, "event.type") == ERASED)


def word(facts: Facts, topic: str) -> str | None:
    """Where consent to a topic stands, in the ledger's word; None where nothing was ever said."""
    found = lookup(facts, f"consent.{topic}") or lookup(facts, "consent.marketing")
    return None if found is None else str(found)


def turned_down(said: str | None, at: datetime | None, now: datetime, asked: datetime | None = None) -> str | None:
    """Why somebody is not asked: `granted`, `refused` or `unanswered`; None where they may be.

    Args:
        said: where their consent stands.
        at: when they last said no, where they did; None: it is not known, which counts as lately.
        asked: when they were last asked, where they were. Who did not answer in time has answered for a while.
    """
    if said == GIVEN:
        return GIVEN
    if said in REFUSALS:
        return "refused" if at is None or now < at + REFUSED_FOR else None
    waited = asked is not None and asked + PENDING_FOR < now < asked + REFUSED_FOR
    return "unanswered" if waited else None


def concerns(event: Event, topic: str) -> bool:
    """Whether an event is about consent to this topic, or to all marketing."""
    about = event.data.get("purpose") in (None, "marketing") and event.data.get("topic") in (None, topic)
    return event.type in ANSWERS and about


def answer(event: Event, topic: str, facts: Facts) -> bool | None:
    """Yes, no, or None where the event leaves it open; `facts` as they are now.

    A yes that was withdrawn before it was dealt with is a no; one that waits for its confirmation is none yet.
    """
    if not concerns(event, topic):
        return None
    if word(facts, topic) == GIVEN:
        return True
    return False if event.type == NO or word(facts, topic) in REFUSALS else None
