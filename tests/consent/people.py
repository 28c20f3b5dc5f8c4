"""Requests and facts for the rules, each the smallest that is valid; a test names only what it is about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from app.consent.case import ConsentFacts, Purchase, Request
from app.consent.fold import Key, State

NOON = datetime(2026, 5, 12, 10, 0, tzinfo=UTC)
"""A Tuesday, 12:00 in Rome."""
JANUARY = NOON.replace(month=1)
ADDRESS = "anna@example.com"


def request(class_: str = "marketing", **given: Any) -> Request:
    """A message of a class; marketing is about offers."""
    topic = "offers" if class_ in {"marketing", "consent_request"} else None
    fields: dict[str, Any] = {"message_id": 100, "class_": class_, "channel": "email", "topic": topic, "due_at": NOON}
    return Request(**fields | given)


def state(word: str = "granted", at: datetime = JANUARY, line: int = 1, **given: Any) -> State:
    """What holds for one key."""
    fields: dict[str, Any] = {"state": word, "line": line, "at": at, "method": "web", "proven": True}
    if word in {"denied", "withdrawn", "objected"}:
        fields |= {"refused_at": at, "refused_state": word, "refused_line": line}
    return State(**fields | given)


def key(purpose: str = "marketing", topic: str | None = "offers", address: str = ADDRESS) -> Key:
    """What a consent is about."""
    return (address, "email", purpose, topic if purpose == "marketing" else None)


def facts(states: Mapping[Key, State] | None = None, **given: Any) -> ConsentFacts:
    """Anna, at noon, near a hotel in Rome's zone; nothing ever said unless given."""
    about = {"offers": frozenset({"stay"}), "shop": frozenset({"goods"})}
    return replace(ConsentFacts(ADDRESS, states or {}, "Europe/Rome", about=about), **given)


def consenting(**given: Any) -> ConsentFacts:
    """Anna with a consent to offers."""
    return facts({key(): state()}, **given)


def purchase(**given: Any) -> Purchase:
    """A paid direct booking, to come."""
    fields: dict[str, Any] = {"booking_id": 7, "status": "confirmed", "amount": 24000, "channel": "direct"}
    return Purchase(**fields | {"departure": None} | given)
