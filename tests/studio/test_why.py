"""Why / why not on a page: reached from a person and a message, in both languages, also where nothing happened."""

from __future__ import annotations

import re

from flask.testing import FlaskClient
from sqlalchemy import select

from app.contacts.models import Contact
from app.enrollments.models import Workflow
from app.messages.models import Message
from tests.studio.stage import HERE, Stage


def _contact(stage: Stage, external_id: str) -> int:
    with stage.work() as session:
        found: int = session.scalars(select(Contact.id).where(Contact.external_id == external_id)).one()
        return found


def test_a_persons_page_leads_to_the_why_of_every_workflow(stage: Stage, owner: FlaskClient) -> None:
    henry = _contact(stage, "henry")
    page = owner.get(f"{HERE}/audience/contacts/{henry}").text
    led = re.findall(rf"{HERE}/audience/contacts/{henry}/why/([\w-]+)", page)
    with stage.work() as session:
        assert set(led) == set(session.scalars(select(Workflow.name)))
    for name in led:
        assert owner.get(f"{HERE}/audience/contacts/{henry}/why/{name}").status_code == 200


def test_the_page_tells_decisions_in_order_with_their_rules(stage: Stage, owner: FlaskClient) -> None:
    text = owner.get(f"{HERE}/audience/contacts/{_contact(stage, 'henry')}/why/pre-arrival").text
    told = re.findall(r'<span class="stage">([^<]+)</span>', text)
    assert told[:2] == ["Event", "Entry"]
    assert {"Gate", "Composed", "Handed over", "Step"} <= set(told)
    assert "Entered the workflow for RS-2, version 1" in text
    assert re.search(r'<span class="rule">R\d+</span>', text)


def test_a_person_who_never_met_a_workflow_hears_what_it_waits_for(stage: Stage, owner: FlaskClient) -> None:
    text = owner.get(f"{HERE}/audience/contacts/{_contact(stage, 'elena')}/why/abandoned-booking").text
    assert "They have not met yet" in text
    assert "No event that could start it was ever recorded for this person" in text


def test_it_speaks_italian(stage: Stage) -> None:
    client = stage.signed_in(language="it")
    text = client.get(f"{HERE}/audience/contacts/{_contact(stage, 'henry')}/why/pre-arrival").text
    assert "È entrato nel percorso per RS-2, versione 1" in text
    assert "Può partire" in text
    assert "It may go" not in text


def test_a_message_leads_to_the_whole_passage(stage: Stage, owner: FlaskClient) -> None:
    sent = stage.ids(Message, state="accepted")[0]
    page = owner.get(f"{HERE}/messages/{sent}").text
    (address,) = set(re.findall(rf"{HERE}/audience/contacts/\d+/why/[\w-]+", page))
    assert owner.get(address).status_code == 200


def test_nobody_elses_people_and_no_made_up_workflow(stage: Stage, owner: FlaskClient) -> None:
    with stage.house.database.work(stage.elsewhere_id) as session:
        other = session.scalars(select(Contact.id)).one()
    assert owner.get(f"{HERE}/audience/contacts/{other}/why/pre-arrival").status_code == 404
    assert owner.get(f"{HERE}/audience/contacts/{_contact(stage, 'henry')}/why/nothing").status_code == 404
