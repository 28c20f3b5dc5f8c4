"""The routes of segments and broadcasts under /api/v1."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from flask import Response, request
from sqlalchemy.orm import Session

from app.api import audience, broadcasting, pages
from app.api.offering import body, json, kept, offered, unit
from app.doors import house
from app.messages.models import BROADCAST_STATES


@offered
def get_segments() -> Response:
    """The segments."""
    asked = pages.wanted(str)
    with unit() as session:
        rows = audience.listed(session, asked)
        return json(pages.page(rows, asked, audience.shown, audience.key))


@offered
def post_segment() -> Response:
    """Make a segment."""
    given = body()
    return kept(("segment", given), lambda session, by, now: audience.made(session, given, by, now))


@offered
def get_segment(name: str) -> Response:
    """One segment."""
    with unit() as session:
        return json(audience.shown(audience.one(session, name)))


@offered
def get_members(name: str) -> Response:
    """Who is in a segment."""
    asked = pages.wanted(int)
    with unit() as session:
        rows = audience.members(session, audience.one(session, name), asked)
    return json(pages.page(rows, asked, audience.shown_member, audience.member_key))


@offered
def post_segment_count() -> Response:
    """Count what rules would find."""
    given = body()
    with unit() as session:
        return json(audience.counted(session, given, house().clock.now()))


@offered
def get_broadcasts() -> Response:
    """The broadcasts."""
    asked = pages.wanted(int)
    state = pages.one_of("state", BROADCAST_STATES)
    with unit() as session:
        rows = broadcasting.listed(session, asked, state)
        return json(pages.page(rows, asked, broadcasting.shown, broadcasting.key))


@offered
def post_broadcast() -> Response:
    """Write a broadcast."""
    given = body()
    return kept(("broadcast", given), lambda session, by, now: broadcasting.written(session, given, by, now))


@offered
def get_broadcast(number: str) -> Response:
    """One broadcast."""
    with unit() as session:
        return json(broadcasting.told(session, broadcasting.one(session, number)))


@offered
def post_broadcast_count(number: str) -> Response:
    """Count who a draft would reach."""
    with unit() as session:
        found = broadcasting.one(session, number)
        return json(broadcasting.counted(session, found, house().clock.now()))


@offered
def post_broadcast_schedule(number: str) -> Response:
    """Let a broadcast go at its hour."""
    given = body()

    def work(session: Session, by: str, now: datetime) -> dict[str, Any]:
        return broadcasting.scheduled(session, broadcasting.one(session, number), given, by, now)

    return kept((request.path, given), work)


@offered
def post_broadcast_cancel(number: str) -> Response:
    """Cancel a broadcast."""

    def work(session: Session, by: str, now: datetime) -> dict[str, Any]:
        return broadcasting.cancelled(session, broadcasting.one(session, number), by, now)

    return kept((request.path, None), work)
