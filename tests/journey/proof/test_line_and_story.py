"""The whole line with its database does what a story of the same life says: random workflows, one guest, many weeks."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from app.enrollments import catalogue
from app.enrollments.rehearse import rehearse
from app.journey.simulate import Happening, Scene
from tests.conftest import START
from tests.hotel import Hotel
from tests.journey.proof.at_random import Steps, compiled, document, sequences

DAYS = 100
TEMPLATE = "in-stay-welcome"
Told = tuple[datetime, str, dict[str, Any]]
Sent = tuple[str, datetime]
"""Step and instant."""


def within_the_house(steps: Steps) -> Steps:
    """The steps without what needs another workflow or system, or is settled between several (one request for consent
    to one person, whoever asks), sending a letter that there is."""
    whole = json.dumps(steps)
    for name in ("w", "x", "y", "z"):
        whole = whole.replace(f'"send": "{name}"', f'"send": "{TEMPLATE}"')
    kept: Steps = []
    for step in json.loads(whole):
        if not any(f'"{kind}": ' in json.dumps(step) for kind in ("webhook", "start", "stop", "consent")):
            kept.append(step)
    return kept


workflows = sequences(3, 7).map(lambda steps: document([{"send": TEMPLATE}, *within_the_house(steps)]))


@st.composite
def asking(draw: st.DrawFn) -> dict[str, Any]:
    """A workflow that asks for consent, once or twice."""
    plain = sequences(1, 3).map(within_the_house)
    asks = {"consent": {"topic": "offers", "up_to": draw(st.sampled_from(["1 day", "3 days", "7 days"]))}}
    ways = {"then": [{"send": TEMPLATE}], "timeout": [{"send": TEMPLATE}, *draw(plain)]}
    step: dict[str, Any] = {**asks, **ways}
    later: Steps = [{"wait": draw(st.sampled_from(["2 days", "20 days"]))}, step]
    return document([{"send": TEMPLATE}, *draw(plain), step, *(later if draw(st.booleans()) else [])])


@st.composite
def lives(draw: st.DrawFn) -> list[Told]:
    """A booking that may move twice, and a few things that happen to the guest. No two at one moment."""
    arrival = draw(st.integers(1, 60))
    stay = {"reference": "B-1", "channel": draw(st.sampled_from(["direct", "booking.com"])), "adults": 2}
    told: list[Told] = [(START, "booking.confirmed", {"booking": {**stay, **dates(arrival, draw(st.integers(1, 6)))}})]
    minutes = draw(st.lists(st.integers(60, DAYS * 24 * 60), min_size=1, max_size=5, unique=True))
    for minute in sorted(minutes):
        kind = draw(st.sampled_from(["booking.modified", "booking.checked_in", "page.viewed", "custom.called"]))
        data: dict[str, Any] = {}
        if kind == "booking.modified":
            data = {"booking": {"reference": "B-1", **dates(draw(st.integers(1, 80)), 3)}}
        elif kind == "booking.checked_in":
            data = {"booking": {"reference": "B-1"}}
        # Seconds of their own, so that nothing falls due in the very moment of an event.
        told.append((START + timedelta(minutes=minute, seconds=7), kind, data))
    return told


@st.composite
def answers(draw: st.DrawFn) -> list[Told]:
    """The same guest says yes, or no, or one after the other; or nothing."""
    told = draw(lives())
    said = []
    for kind in draw(st.sampled_from([(), ("granted",), ("withdrawn",), ("granted", "withdrawn")])):
        minute = draw(st.integers(60, 12 * 24 * 60))
        at = START + timedelta(minutes=minute, seconds=29)
        proof = {"confirmed_at": at.isoformat(), "wording": "Sì", "wording_version": "1"} if kind == "granted" else {}
        said.append((at, f"consent.{kind}", {"topic": "offers", **proof}))
    return sorted([*told, *said], key=lambda one: one[0])


def dates(arrival: int, nights: int) -> dict[str, str]:
    first = (START + timedelta(days=arrival)).date()
    return {"arrival": first.isoformat(), "departure": (first + timedelta(days=nights)).isoformat()}


def lived(hotel: Hotel, life: list[Told], documents: list[dict[str, Any]]) -> tuple[int, dict[str, list[Sent]]]:
    """The guest's number, which lots are drawn by, and what the line sent of each workflow."""
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        for written in documents:
            catalogue.publish(session, json.dumps(written), by="test", now=START)
    for at, type_, data in life:
        hotel.until(at)
        hotel.report(type_, data=data)
    hotel.until(START + timedelta(days=DAYS))
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        rows = session.execute(
            text(
                "SELECT w.name AS workflow, m.step_id, m.accepted_at, m.contact_id FROM messages m"
                " JOIN enrollments e ON e.workspace_id = m.workspace_id AND e.id = m.enrollment_id"
                " JOIN workflows w ON w.workspace_id = e.workspace_id AND w.id = e.workflow_id"
                " WHERE m.state = 'accepted' ORDER BY m.accepted_at, m.step_id"
            )
        ).all()
    names = [written["workflow"] for written in documents]
    return rows[0].contact_id, {
        name: [(row.step_id, row.accepted_at) for row in rows if row.workflow == name] for name in names
    }


def told(life: list[Told], contact_id: int, written: dict[str, Any]) -> list[Sent]:
    """What a story of the same life says."""
    happenings = tuple(
        Happening(at=at, type=type_, occurred_at=at, data=data, booking=data.get("booking")) for at, type_, data in life
    )
    scene = Scene(
        now=START,
        contact={"id": contact_id, "external_id": "giulia", "language": "it", "email": "giulia@example.com"},
        property={"zone": "Europe/Rome", "currency": "EUR", "country": "IT"},
        happenings=happenings,
        until=START + timedelta(days=DAYS),
    )
    outcome = rehearse(compiled(written), scene)
    return sorted(((one.step_id, one.at.astimezone(UTC)) for one in outcome.sent), key=lambda one: (one[1], one[0]))


@settings(max_examples=2, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
@given(lives(), st.lists(workflows, min_size=8, max_size=8))
def test_the_line_sends_what_the_story_says(
    hotels: Callable[[], Hotel], life: list[Told], documents: list[dict[str, Any]]
) -> None:
    documents = [{**written, "workflow": f"at-random-{number}"} for number, written in enumerate(documents)]
    contact_id, sent = lived(hotels(), life, documents)
    for written in documents:
        assert sent[written["workflow"]] == told(life, contact_id, written), json.dumps(written)


@settings(max_examples=6, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
@given(answers(), asking())
def test_so_it_does_where_a_workflow_asks_for_consent(
    hotels: Callable[[], Hotel], life: list[Told], document_: dict[str, Any]
) -> None:
    contact_id, sent = lived(hotels(), life, [document_])
    assert sent["at-random"] == told(life, contact_id, document_), json.dumps(document_)
