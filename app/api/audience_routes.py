"""The routes of segments and broadcasts under /api/v1."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from flask import Response, request
from sqlalchemy.orm import Session

from app.api import audience, broadcasting, pages, receiving
from app.api.access import caller, may
from app.api.routes import blueprint, body_of_request, json, kept
from app.doors import house, opened_by
from app.messages.models import BROADCAST_STATES


@blueprint.get("/segments")
@opened_by(may("segments:read"))
def get_segments() -> Response:
    """The segments."""
    pages.only("limit", "cursor")
    asked = pages.wanted(str)
    with house().database.work(caller().workspace_id) as session:
        rows = audience.listed(session, asked)
        return json(pages.page(rows, asked, audience.shown, audience.key))


@blueprint.post("/segments")
@opened_by(may("segments:write"))
def post_segment() -> Response:
    """Make a segment."""
    pages.only()
    given = receiving.read_json(body_of_request())
    return kept(("segment", given), lambda session, by, now: audience.made(session, given, by, now), 201)


@blueprint.get("/segments/<name>")
@opened_by(may("segments:read"))
def get_segment(name: str) -> Response:
    """One segment."""
    pages.only()
    with house().database.work(caller().workspace_id) as session:
        return json(audience.shown(audience.one(session, name)))


@blueprint.get("/segments/<name>/members")
@opened_by(may("segments:read"))
def get_members(name: str) -> Response:
    """Who is in a segment."""
    pages.only("limit", "cursor")
    asked = pages.wanted(int)
    with house().database.work(caller().workspace_id) as session:
        rows = audience.members(session, audience.one(session, name), asked)
    return json(pages.page(rows, asked, audience.shown_member, audience.member_key))


@blueprint.post("/segment-counts")
@opened_by(may("segments:read"))
def post_segment_count() -> Response:
    """Count what rules would find."""
    pages.only()
    given = receiving.read_json(body_of_request())
    with house().database.work(caller().workspace_id) as session:
        return json(audience.counted(session, given, house().clock.now()))


@blueprint.get("/broadcasts")
@opened_by(may("broadcasts:read"))
def get_broadcasts() -> Response:
    """The broadcasts."""
    pages.only("state", "limit", "cursor")
    asked = pages.wanted(int)
    state = pages.one_of("state", BROADCAST_STATES)
    with house().database.work(caller().workspace_id) as session:
        rows = broadcasting.listed(session, asked, state)
        return json(pages.page(rows, asked, broadcasting.shown, broadcasting.key))


@blueprint.post("/broadcasts")
@opened_by(may("broadcasts:write"))
def post_broadcast() -> Response:
    """Write a broadcast."""
    pages.only()
    given = receiving.read_json(body_of_request())
    return kept(("broadcast", given), lambda session, by, now: broadcasting.written(session, given, by, now), 201)


@blueprint.get("/broadcasts/<number>")
@opened_by(may("broadcasts:read"))
def get_broadcast(number: str) -> Response:
    """One broadcast."""
    pages.only()
    with house().database.work(caller().workspace_id) as session:
        return json(broadcasting.told(session, broadcasting.one(session, number)))


@blueprint.post("/broadcasts/<number>/count")
@opened_by(may("broadcasts:write"))
def post_broadcast_count(number: str) -> Response:
    """Count who a draft would reach."""
    pages.only()
    with house().database.work(caller().workspace_id) as session:
        found = broadcasting.one(session, number)
        return json(broadcasting.counted(session, found, house().clock.now()))


@blueprint.post("/broadcasts/<number>/schedule")
@opened_by(may("broadcasts:write"))
def post_broadcast_schedule(number: str) -> Response:
    """Let a broadcast go at its hour."""
    pages.only()
    given = receiving.read_json(body_of_request())

    def work(session: Session, by: str, now: datetime) -> dict[str, Any]:
        return broadcasting.scheduled(session, broadcasting.one(session, number), given, by, now)

    return kept((request.path, given), work, 200)


@blueprint.post("/broadcasts/<number>/cancel")
@opened_by(may("broadcasts:write"))
def post_broadcast_cancel(number: str) -> Response:
    """Cancel a broadcast."""
    pages.only()
    who, now = caller(), house().clock.now()
    with house().database.work(who.workspace_id) as session:
        found = broadcasting.one(session, number)
        return json(broadcasting.cancelled(session, found, f"api:{who.slug}", now))
