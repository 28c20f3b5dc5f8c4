"""Results of a workflow: true figures, no false precision, and a split that is ended by hand and taken back."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import event, select

from app.contacts.models import Contact
from app.enrollments import catalogue, results
from app.enrollments.models import Enrollment, Workflow
from app.events import incoming, record
from app.events.models import Source
from app.studio.reading import workflows
from app.worker import run_due
from tests.studio.stage import ANALYST, HERE, NOW, Stage, token

PAGE = f"{HERE}/workflows/winback/results"
WINBACK = """
workflow: winback
name: { en: Win back, it: Riconquista }
phase: consideration
class: marketing
goal: { on: booking.confirmed, within: 14 days, value: event.booking.amount }
holdout: 50
entry:
  - on: page.viewed
steps:
  - id: tone
    split:
      - { variant: warm, weight: 50, steps: [ { id: warm-letter, send: newsletter-welcome, topic: newsletter } ] }
      - { variant: brief, weight: 50, steps: [ { id: brief-letter, send: newsletter-welcome, topic: newsletter } ] }
    winner: { by: goal, after: 30 days, min_sample: 2000, confidence: 0.95 }
"""


def lived(stage: Stage, people: int = 120, *, treated: float = 0.5, control: float = 0.1) -> None:
    """So many people look at a page; of those tried on and of those held out, these shares book."""
    with stage.work() as session:
        catalogue.publish(session, WINBACK, by="Marta", now=NOW)
    report(stage, "v", [(f"p-{n}", "page.viewed", {"url": "/"}) for n in range(1, people + 1)])
    with stage.work() as session:
        rows = session.execute(
            select(Contact.external_id, Enrollment.control)
            .join(Contact, Contact.id == Enrollment.contact_id)
            .join(Workflow, Workflow.id == Enrollment.workflow_id)
            .where(Workflow.name == "winback")
            .order_by(Enrollment.id)
        ).all()
    groups: dict[str | None, list[str]] = {None: [], "workflow": []}
    for who, drawn in rows:
        groups[drawn].append(str(who))
    stage.clock.advance(timedelta(hours=1))
    book = groups[None][: round(len(groups[None]) * treated)]
    book += groups["workflow"][: round(len(groups["workflow"]) * control)]
    stay = {"arrival": "2026-06-01", "departure": "2026-06-03", "amount": 10_000, "currency": "EUR"}
    report(stage, "b", [(who, "booking.confirmed", {"booking": {"reference": f"W-{who}", **stay}}) for who in book])


def report(stage: Stage, mark: str, told: list[tuple[str, str, dict[str, Any]]]) -> None:
    """Record events as a source would, and let every stage deal with them."""
    events = [
        incoming.read(
            {
                "id": f"{mark}-{who}",
                "type": type_,
                "occurred_at": stage.clock.now().isoformat(),
                "contact": {"external_id": who},
                "data": data,
            }
        )
        for who, type_, data in told
    ]
    with stage.work() as session:
        source = session.scalars(select(Source.id).order_by(Source.id).limit(1)).one()
        record.record(session, record.Reporter(source), events, stage.clock.now())
    run_due(stage.house)


def plain(html: str) -> str:
    """The words of a page."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).split())


def test_people_tried_on_are_compared_with_people_held_out(stage: Stage, owner: FlaskClient) -> None:
    lived(stage)
    said = plain(owner.get(PAGE).text)
    assert re.search(r"It helps: 5\d% reached the goal, against 1\d% without it\.", said), said
    assert "Tried on" in said
    assert "Held out" in said
    assert re.search(r"Difference: \+4\d points; with 95% confidence between \+2\d and \+5\d\.", said), said
    assert "€50" in said, "value per person of those tried on"


def test_a_difference_that_chance_could_make_is_called_not_settled(stage: Stage, owner: FlaskClient) -> None:
    lived(stage, treated=0.1, control=0.1)
    said = plain(owner.get(PAGE).text)
    assert "Not settled" in said
    assert "Chance alone could make that difference." in said
    assert re.search(r"a difference of 2 points takes about \d,\d00 people held out", said), said
    assert "people may still reach the goal: their 2 weeks are not over." in said
    assert "It helps" not in said


def test_people_held_out_are_not_counted_as_having_entered(stage: Stage, owner: FlaskClient) -> None:
    lived(stage)
    with stage.work() as session:
        row = session.scalars(select(Workflow).where(Workflow.name == "winback")).one()
        found = results.load(session, row, stage.clock.now())
        numbers = workflows.numbers(session, workflow_id=row.id)[row.id]
    assert found
    (lift,) = found.lifts
    assert numbers.entered == lift.treated.people
    assert lift.treated.people + lift.control.people == 120


def test_a_split_shows_its_variants_and_says_when_it_is_decided(stage: Stage, owner: FlaskClient) -> None:
    lived(stage)
    said = plain(owner.get(PAGE).text)
    assert "It is running: people are being divided." in said
    assert "The rule looks once, when each variant has 2,000 people: by the goal, at 95% confidence" in said
    assert "Nobody has come" not in said


def test_a_split_is_ended_by_hand_and_taken_back(stage: Stage, owner: FlaskClient) -> None:
    lived(stage, 20)
    stage.clock.advance(timedelta(minutes=5))
    given = {"csrf_token": token(owner, PAGE), "variant": "brief"}
    answer = owner.post(f"{PAGE}/tone/choose", data=given)
    assert answer.status_code == 303
    said = plain(owner.get(PAGE).text)
    assert "brief won: everybody who comes here now goes that way." in said
    assert "Nobody has passed since; it can be undone." in said
    owner.post(f"{PAGE}/tone/undo", data={"csrf_token": token(owner, PAGE)})
    assert "people are being divided" in plain(owner.get(PAGE).text)


def test_a_decision_that_people_have_followed_stands(stage: Stage, owner: FlaskClient) -> None:
    lived(stage, 20)
    stage.clock.advance(timedelta(minutes=5))
    held = token(owner, PAGE)
    owner.post(f"{PAGE}/tone/choose", data={"csrf_token": held, "variant": "brief"})
    stage.clock.advance(timedelta(minutes=5))
    report(stage, "v", [(f"q-{n}", "page.viewed", {"url": "/"}) for n in range(20)])
    owner.post(f"{PAGE}/tone/undo", data={"csrf_token": held})
    said = plain(owner.get(PAGE).text)
    assert "It cannot be undone: people have passed since." in said
    assert "brief won" in said


def test_who_only_reads_sees_no_button_and_opens_no_door(stage: Stage) -> None:
    lived(stage, 20)
    analyst = stage.signed_in(ANALYST)
    shown = analyst.get(PAGE)
    assert shown.status_code == 200
    assert "End the split" not in shown.text
    assert analyst.post(f"{PAGE}/tone/choose", data={"csrf_token": token(analyst, PAGE)}).status_code == 403


@pytest.mark.parametrize(("what", "expected"), [("step", "loud"), ("variant", "loud")])
def test_what_is_not_there_is_not_found(stage: Stage, owner: FlaskClient, what: str, expected: str) -> None:
    lived(stage, 4)
    step, variant = ("loud", "warm") if what == "step" else ("tone", expected)
    given = {"csrf_token": token(owner, PAGE), "variant": variant}
    assert owner.post(f"{PAGE}/{step}/choose", data=given).status_code == 404
    assert owner.get(f"{HERE}/workflows/no-such/results").status_code == 404


def test_a_workflow_that_holds_nobody_out_says_what_that_means(stage: Stage, owner: FlaskClient) -> None:
    with stage.work() as session:
        catalogue.publish(session, WINBACK.replace("holdout: 50\n", ""), by="Marta", now=NOW)
    said = plain(owner.get(PAGE).text)
    assert "Nobody is held out, so it cannot be told" in said
    assert "holdout: 10" in said


def test_service_mail_is_never_advised_to_be_held_out(owner: FlaskClient) -> None:
    said = plain(owner.get(f"{HERE}/workflows/abandoned-booking/results").text)
    assert "it sends service mail, which nobody may be denied" in said
    assert "holdout: 10" not in said


def test_it_is_said_in_italian(stage: Stage) -> None:
    lived(stage)
    said = plain(stage.signed_in(language="it").get(PAGE).text)
    assert "Fa la differenza?" in said
    assert "Difference" not in said


def test_the_page_costs_a_fixed_number_of_queries(stage: Stage, owner: FlaskClient) -> None:
    def cost() -> int:
        seen: list[str] = []

        def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
            seen.append(statement)

        event.listen(stage.house.database.engine, "before_cursor_execute", note)
        owner.get(PAGE)
        event.remove(stage.house.database.engine, "before_cursor_execute", note)
        return len(seen)

    lived(stage, 10)
    first = cost()
    report(stage, "v", [(f"q-{n}", "page.viewed", {"url": "/"}) for n in range(100)])
    assert cost() <= first
