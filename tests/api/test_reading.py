"""What the API shows: contacts, timelines, bookings, messages; page by page without a gap."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from app.clock import FixedClock
from app.contacts.models import Contact
from app.db import Database
from app.enrollments.models import Workflow
from app.messages.models import Message
from tests.api.conftest import Door, problem
from tests.events.feed import NOW, event, stay
from tests.factories import Factory

PLANNED: dict[str, Any] = {"planned_at": NOW, "due_at": NOW, "verdict": [], "channel": "email"}


def test_a_contact_is_put_read_and_put_again_field_by_field(door: Door, clock: FixedClock) -> None:
    first = {"email": "Giulia@Example.com", "first_name": "Giulia", "attributes": {"points": 3}, "zone": "nowhere"}
    answer = door.ask("PUT", "/contacts/g-1", json=first)
    assert answer.status_code == 200
    assert [warning["pointer"] for warning in answer.get_json()["warnings"]] == ["/zone"]
    clock.advance(timedelta(seconds=1))
    door.ask("PUT", "/contacts/g-1", json={"first_name": None, "language": "it", "external_id": "g-1"})
    shown = door.ask("GET", "/contacts/g-1").get_json()
    assert (shown["email"], shown["first_name"], shown["language"]) == ("Giulia@example.com", None, "it")
    assert shown["attributes"] == {"points": 3}
    (put, again) = door.ask("GET", "/contacts/g-1/timeline").get_json()["data"]
    assert put["what"] == again["what"] == "contact.updated"


@pytest.mark.parametrize(
    ("body", "pointer"),
    [([], ""), ({"external_id": "other"}, "/external_id"), ({"tags": 5}, "/tags"), ({"first_name": 5}, "/first_name")],
)
def test_a_contact_that_does_not_fit_is_told_where(door: Door, body: object, pointer: str) -> None:
    answer = door.ask("PUT", "/contacts/g-1", json=body)
    assert problem(answer, 422, "invalid")["errors"][0]["pointer"] == pointer


def test_what_is_not_there_is_not_found(door: Door) -> None:
    for path in ("/contacts/x", "/contacts/x/timeline", "/bookings/x", "/contacts/%00", "/bookings/%00"):
        problem(door.ask("GET", path), 404, "not-found")


def test_a_booking_shows_what_everything_reported_comes_to(door: Door) -> None:
    door.report(
        stay("e-1", "confirmed", minutes=-9, arrival="2026-05-01", departure="2026-05-04", adults=2, spa=True),
        stay("e-2", "cancelled", minutes=-3),
        event("e-3", "order.placed", data={"order": {"reference": "B-1", "amount": 990, "currency": "EUR"}}),
    )
    shown = door.ask("GET", "/bookings/B-1").get_json()
    assert (shown["status"], shown["arrival"], shown["nights"], shown["contact"]) == (
        "cancelled",
        "2026-05-01",
        3,
        "g-1",
    )
    assert shown["data"] == {"spa": True}
    order = door.ask("GET", "/bookings/B-1?kind=order").get_json()
    assert (order["status"], order["amount"]) == ("placed", 990)
    problem(door.ask("GET", "/bookings/B-1?kind=table"), 422, "invalid")


def test_a_timeline_in_pages_is_the_whole_timeline_even_while_it_grows(door: Door) -> None:
    door.report(*(event(f"e-{n}", "page.viewed", minutes=-(n // 2)) for n in range(25)))
    path, seen = "/contacts/g-1/timeline?limit=4", []
    cursor = ""
    while True:
        page = door.ask("GET", path + cursor).get_json()
        seen += [(row["at"], row["what"]) for row in page["data"]]
        door.report(event(f"new-{len(seen)}", "page.viewed", minutes=1))
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"
    assert len(seen) == 25
    assert seen == sorted(seen, reverse=True)


def test_a_timeline_tells_events_messages_and_consent(door: Door, db: Database, clock: FixedClock) -> None:
    consent = {"topic": "newsletter", "method": "web", "wording_version": "1", "confirmed_at": NOW.isoformat()}
    door.report(event("e-1", "consent.granted", minutes=-1, data=consent))
    with db.work(door.workspace_id) as session:
        person = session.scalars(select(Contact)).one()
        make = Factory(session, clock)
        make.add(Message, contact_id=person.id, template="welcome", class_="marketing", state="refused", **PLANNED)
    kinds = [(row["kind"], row["what"]) for row in door.ask("GET", "/contacts/g-1/timeline").get_json()["data"]]
    assert sorted(kinds) == [("consent", "granted"), ("event", "consent.granted"), ("message", "welcome")]


def test_messages_are_found_by_contact_workflow_state_and_reason(door: Door, db: Database, clock: FixedClock) -> None:
    with db.work(door.workspace_id) as session:
        make = Factory(session, clock)
        workflow = make.add(Workflow, name="welcome", title={}, phase="retention", status="live")
        ada, bruno = make.contact(external_id="ada"), make.contact(external_id="bruno")
        for person, state, reason, of in (
            (ada, "refused", "no_consent", workflow.id),
            (ada, "planned", None, None),
            (bruno, "refused", "cap", workflow.id),
        ):
            make.add(
                Message,
                contact_id=person.id,
                template="t",
                class_="marketing",
                state=state,
                reason=reason,
                workflow_id=of,
                **PLANNED,
            )

    def found(query: str) -> list[tuple[str, str]]:
        page = door.ask("GET", f"/messages{query}").get_json()
        return [(row["contact"], row["state"]) for row in page["data"]]

    assert found("") == [("bruno", "refused"), ("ada", "planned"), ("ada", "refused")]
    assert found("?contact=ada") == [("ada", "planned"), ("ada", "refused")]
    assert found("?contact=ada&workflow=welcome") == [("ada", "refused")]
    assert found("?state=refused&reason=cap") == [("bruno", "refused")]
    first = door.ask("GET", "/messages?limit=2").get_json()
    assert found(f"?limit=2&cursor={first['next']}") == [("ada", "refused")]


@pytest.mark.parametrize(
    "query",
    ["?limit=0", "?limit=201", "?limit=x", "?cursor=x", "?cursor=Ing", "?cursor=%C3%A9", "?state=lost", "?reason=%00"],
)
def test_parameters_that_do_not_fit_are_told(door: Door, query: str) -> None:
    body = problem(door.ask("GET", f"/messages{query}"), 422, "invalid")
    assert body["errors"][0]["pointer"] == "?" + query[1:].partition("=")[0]
