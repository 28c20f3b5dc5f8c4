"""Broadcasts in the studio: from an empty list to a mail in the outbox, each act by its form."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select, text

from app.accounts.models import Workspace
from app.consent import ledger
from app.consent.ledger import Act
from app.contacts.models import Contact
from app.delivery.models import CapturedMail
from app.messages.models import Broadcast, Message
from app.worker import run_due
from tests.studio.stage import ANALYST, HERE, Stage, token

PAGE = f"{HERE}/broadcasts"
DRAFT = {"name": "Spring", "template": "guest-voices", "timing": "now", "window_hours": "24", "on_hit": "defer"}


def written(client: FlaskClient, **more: str) -> str:
    """A draft by the form; its address."""
    answer = client.post(f"{PAGE}/new", data={**DRAFT, **more, "csrf_token": token(client, f"{PAGE}/new")})
    assert answer.status_code == 303, answer.text
    return str(answer.location)


def act(client: FlaskClient, at: str, what: str, **fields: str) -> str:
    """Press a button of its page; the page afterwards."""
    answer = client.post(f"{at}/{what}", data={"csrf_token": token(client, at), **fields})
    return client.get(answer.location).text if answer.status_code == 303 else answer.text


@pytest.fixture
def stage(stage: Stage) -> Stage:
    """Giulia wants the newsletter; nobody else may be sent it."""
    now = stage.clock.now()
    with stage.work() as session:
        giulia = session.scalars(select(Contact.id).where(Contact.email == "giulia@example.com")).one()
        proof = {"wording_version": "1"}
        act = Act(giulia, "giulia@example.com", "email", "marketing", "newsletter", "granted", "web", now, now, proof)
        ledger.append(session, [act], now)
    return stage


def the(stage: Stage) -> Broadcast:
    with stage.work() as session:
        return session.scalars(select(Broadcast).order_by(Broadcast.id.desc())).first() or Broadcast()


def test_an_empty_list_teaches_and_leads_to_the_form(owner: FlaskClient) -> None:
    text = owner.get(PAGE).text
    assert "No broadcast yet" in text
    assert f'href="{PAGE}/new"' in text
    assert "Everybody" in owner.get(f"{PAGE}/new").text


def test_a_form_that_cannot_be_kept_says_so_beside_each_field_and_keeps_what_was_typed(owner: FlaskClient) -> None:
    given = {**DRAFT, "name": "", "template": "booking-confirmation", "timing": "at", "at": "", "window_hours": "900"}
    answer = owner.post(f"{PAGE}/new", data={**given, "csrf_token": token(owner, f"{PAGE}/new")})
    assert answer.status_code == 422
    for field in ("name", "template", "at", "window_hours"):
        assert f'id="wrong-{field}"' in answer.text
    assert 'value="900"' in answer.text
    assert 'value="booking-confirmation" selected' in answer.text


def test_it_is_counted_confirmed_by_its_number_and_goes_through_the_gate(stage: Stage, owner: FlaskClient) -> None:
    at = written(owner)
    text = act(owner, at, "count")
    people = re.search(r"Type (\d+) to confirm", text)
    assert people
    assert int(people[1]) == 1
    assert "There is no consent" in text
    assert "The number is not the one counted" in act(owner, at, "confirm", people="7")
    assert the(stage).state == "draft"
    assert "begins in a few seconds" in act(owner, at, "confirm", people=people[1])
    stage.clock.advance(timedelta(seconds=11))
    run_due(stage.house)
    with stage.work() as session:
        rows = session.scalars(select(Message).where(Message.broadcast_id == the(stage).id)).all()
    assert [row.address for row in rows if row.state == "accepted"] == ["giulia@example.com"]
    text = owner.get(at).text
    assert "Why not everybody" in text
    assert f"{HERE}/messages?broadcast={the(stage).id}&amp;reason=no_consent" in text
    listed = owner.get(f"{HERE}/messages?broadcast={the(stage).id}&reason=no_consent").text
    assert "There is no consent" in listed
    assert "Giulia" not in listed


def test_a_confirmation_can_be_undone_from_its_toast(stage: Stage, owner: FlaskClient) -> None:
    at = written(owner)
    act(owner, at, "count")
    shown = act(owner, at, "confirm", people="1")
    undo = re.search(r'class="toast-line".*?action="([^"]+)".*?name="csrf_token" value="([^"]+)"', shown, re.DOTALL)
    assert undo
    owner.post(undo[1], data={"csrf_token": undo[2]})
    stage.clock.advance(timedelta(minutes=5))
    run_due(stage.house)
    assert the(stage).state == "draft"
    with stage.work() as session:
        assert session.scalars(select(Message).where(Message.broadcast_id.is_not(None))).all() == []


def test_paused_it_can_be_stopped_for_good_by_typing_how_many_will_not_get_it(stage: Stage, owner: FlaskClient) -> None:
    at = written(owner, timing="local", local_day="2026-03-21", local_time="10:00")
    act(owner, at, "count")
    act(owner, at, "confirm", people="1")
    stage.clock.set(the(stage).next_at or stage.clock.now())
    run_due(stage.house)
    assert the(stage).state == "sending"
    text = act(owner, at, "pause")
    waiting = re.search(r"Type (\d+): so many people will not get it", text)
    assert waiting
    assert int(waiting[1]) == the(stage).audience
    assert "The number is not the one shown" in act(owner, at, "stop", waiting="0")
    assert "is stopped" in act(owner, at, "stop", waiting=waiting[1])
    assert the(stage).state == "stopped"


def test_a_test_mail_goes_to_who_asks_is_marked_and_counts_nowhere(stage: Stage, owner: FlaskClient) -> None:
    before = len(stage.ids(Message))
    at = written(owner)
    assert "The test mail to owner@riva.example is in the outbox" in act(owner, at, "test")
    with stage.work() as session:
        kept = session.scalars(select(CapturedMail).order_by(CapturedMail.id.desc())).first()
    assert kept is not None
    assert kept.envelope_to == "owner@riva.example"
    assert b"Subject: [Test] " in kept.raw
    assert kept.message_pk < 0
    assert len(stage.ids(Message)) == before
    assert "Sent by the team to itself" in owner.get(f"{HERE}/messages/outbox").text
    shown = owner.get(f"{HERE}/messages/outbox/{kept.id}").text
    assert "Simulate a bounce" not in shown


def test_a_copy_opens_in_the_form(owner: FlaskClient) -> None:
    text = act(owner, written(owner), "copy")
    assert "Change the draft" in text
    assert 'value="Spring, again"' in text


def test_who_may_only_look_sees_no_button_and_may_press_none(stage: Stage, owner: FlaskClient) -> None:
    at = written(owner)
    analyst = stage.signed_in(ANALYST)
    text = analyst.get(at).text
    assert "Spring" in text
    assert "/confirm" not in text
    assert "/test" not in text
    field = token(analyst, at)
    for what in ("count", "confirm", "pause", "stop", "test", "copy"):
        assert analyst.post(f"{at}/{what}", data={"csrf_token": field}).status_code == 403
    assert analyst.get(f"{PAGE}/new").status_code == 403


@pytest.mark.parametrize("language", ["en", "it"])
def test_every_state_of_a_broadcast_is_a_page_in_both_languages(stage: Stage, language: str) -> None:
    client = stage.signed_in(language=language)
    at = written(client)
    act(client, at, "count")
    with stage.work() as session:
        number = session.scalars(select(Broadcast.id)).one()
    for state in ("draft", "scheduled", "sending", "paused", "sent", "stopped"):
        with stage.work() as session:
            found = session.scalars(select(Broadcast).where(Broadcast.id == number)).one()
            found.state, found.confirmed_by, found.confirmed_for, found.ended_by = state, "Marta", 1, "Marta"
            found.starts_at = found.next_at = stage.clock.now()
            if state not in {"draft", "scheduled"}:
                found.frozen_at, found.audience = stage.clock.now(), 1
        assert client.get(at).status_code == 200
        assert client.get(f"{PAGE}?state={state}").status_code == 200


def test_r38_a_stream_that_paused_itself_says_so_and_a_person_starts_it_again(stage: Stage, owner: FlaskClient) -> None:
    with stage.house.database.system() as session:
        workspace = session.get_one(Workspace, stage.workspace_id)
        workspace.settings = {**workspace.settings, "paused": {"marketing": "complaints: 3 of 1000"}}
    assert "Marketing has paused itself" in owner.get(f"{HERE}/").text
    figures = "3 spam complaints among the last 1,000 mails delivered"
    assert figures in owner.get(PAGE).text
    assert "/stream/resume" not in stage.signed_in(ANALYST).get(PAGE).text
    given = {"csrf_token": token(owner, PAGE), "reason": " "}
    without = owner.post(f"{PAGE}/stream/resume", data=given)
    assert without.status_code == 422
    assert "Say what has been done about it" in without.text
    answer = owner.post(f"{PAGE}/stream/resume", data=given | {"reason": "The old list is gone."})
    assert "Marketing goes out again" in owner.get(answer.location).text
    assert "The old list is gone." in owner.get(PAGE).text
    assert figures not in owner.get(f"{HERE}/").text


def test_r38_a_stream_near_its_limit_is_warned_of(stage: Stage, owner: FlaskClient) -> None:
    with stage.house.database.system() as session:
        workspace = session.get_one(Workspace, stage.workspace_id)
        workspace.settings = {**workspace.settings, "stream_warned": {"marketing": "bounces: 9 of 200"}}
    # The figures have moved on: what was warned of once is looked at anew before anybody is told.
    assert "comes near the limit" not in owner.get(PAGE).text
    with stage.house.database.work(stage.workspace_id) as session:
        message = session.scalars(select(Message).limit(1)).one()
        columns = (
            "workspace_id, contact_id, channel, template, class, state, planned_at, due_at, accepted_at, complained_at"
        )
        session.execute(
            text(
                f"INSERT INTO messages ({columns}) SELECT :ws, :who, 'email', 'offer', 'marketing', 'accepted', :now,"
                " :now, :now, CASE WHEN n = 7 THEN CAST(:now AS timestamptz) END FROM generate_series(1, 1000) AS n"
            ),
            {"ws": stage.workspace_id, "who": message.contact_id, "now": stage.clock.now()},
        )
    for page in (PAGE, f"{HERE}/"):
        assert "Marketing comes near the limit at which it pauses itself." in owner.get(page).text
