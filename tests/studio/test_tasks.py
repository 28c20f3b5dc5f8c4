"""Tasks, calls out and starting by hand, as marketers and the front desk do it."""

from __future__ import annotations

import re

from flask.testing import FlaskClient
from sqlalchemy import select

from app.contacts.models import Contact
from app.enrollments.catalogue import publish
from app.enrollments.models import Call, CallEndpoint, Task
from app.events.models import Event
from app.worker import run_due
from tests.studio.stage import ANALYST, HERE, Stage, token

DESK = """
workflow: desk
name: { en: Desk, it: Banco }
phase: retention
class: transactional
entry:
  - on: manual
reenter: always
steps:
  - id: call
    task: { to: front_desk, text: { en: Call the guest, it: Chiamare l'ospite }, due_within: 1 day }
"""


def started(stage: Stage, owner: FlaskClient) -> int:
    """A task, asked for by a workflow that the owner started on a contact's page."""
    with stage.work() as session:
        publish(session, DESK, by="test", now=stage.clock.now())
    contact = stage.ids(Contact)[0]
    page = f"{HERE}/audience/contacts/{contact}"
    assert "Start a workflow" in owner.get(page).text
    given = {"csrf_token": token(owner, page), "workflow": "desk", "once": "abc"}
    for _ in range(2):
        answer = owner.post(f"{page}/start", data=given)
        assert "Started." in owner.get(answer.location).text
    run_due(stage.house)
    (task,) = stage.ids(Task)
    return task


def test_a_task_is_seen_given_done_and_put_back(stage: Stage, owner: FlaskClient) -> None:
    task = started(stage, owner)
    page = f"{HERE}/tasks"
    seen = owner.get(page).text
    assert "Call the guest" in seen
    assert "Front desk" in seen
    held = token(owner, page)
    user = re.search(r'<option value="(\d+)">', seen)
    assert user
    owner.post(f"{page}/{task}/assign", data={"csrf_token": held, "user": user[1], "next": page})
    owner.post(f"{page}/{task}/assign", data={"csrf_token": held, "user": "999", "next": page})
    with stage.work() as session:
        assert session.scalars(select(Task.assigned_to)).one() is None, "only who may enter here can be given one"
    answer = owner.post(f"{page}/{task}/done", data={"csrf_token": held, "next": page})
    told = owner.get(answer.location).text
    assert "Done: Call the guest" in told
    assert "Undo" in told
    assert "Nothing to do" in told
    assert "Call the guest" in owner.get(f"{page}?state=done").text
    owner.post(f"{page}/{task}/done", data={"csrf_token": held, "again": "1", "next": page})
    assert "Call the guest" in owner.get(page).text
    with stage.work() as session:
        assert len(session.scalars(select(Event).where(Event.type == "task.done")).all()) == 1


def test_a_task_in_italian_and_for_eyes_only(stage: Stage, owner: FlaskClient) -> None:
    task = started(stage, owner)
    italian = stage.signed_in(language="it").get(f"{HERE}/tasks").text.replace("&#39;", "'")
    assert "Chiamare l'ospite" in italian
    assert "Ricevimento" in italian
    analyst = stage.signed_in(ANALYST)
    assert "Call the guest" in analyst.get(f"{HERE}/tasks").text
    held = token(analyst, f"{HERE}/tasks")
    assert analyst.post(f"{HERE}/tasks/{task}/done", data={"csrf_token": held}).status_code == 403


def test_an_endpoint_is_added_tried_rotated_and_switched_off(stage: Stage, owner: FlaskClient) -> None:
    page = f"{HERE}/settings/calls"
    held = token(owner, page)
    wrong = owner.post(page, data={"csrf_token": held, "name": "No!", "url": "ftp://x"})
    assert wrong.status_code == 422
    assert wrong.text.count("field-error") == 2
    made = owner.post(page, data={"csrf_token": held, "name": "pms", "url": "https://10.0.0.1/hook"})
    secret = re.search(r'<code id="secret">(whsec_[^<]+)</code>', made.text)
    assert secret
    assert secret[1] not in owner.get(page).text
    number = stage.ids(CallEndpoint)[0]
    owner.post(f"{page}/{number}/trial", data={"csrf_token": held})
    run_due(stage.house)
    assert "this address must not be called" in owner.get(page).text
    again = owner.post(f"{page}/{number}/rotate", data={"csrf_token": held})
    assert secret[1] not in again.text
    assert "whsec_" in again.text
    call = stage.ids(Call)[0]
    assert owner.post(f"{page}/made/{call}/again", data={"csrf_token": held}).status_code == 303
    owner.post(f"{page}/{number}/switch", data={"csrf_token": held})
    assert "switched off by hand" in owner.get(page).text
