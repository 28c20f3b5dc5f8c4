"""Workflows: numbers that are true, a pause that can be undone, versions that show what changed."""

from __future__ import annotations

import re

from flask.testing import FlaskClient
from sqlalchemy import func, select

from app.enrollments.models import Enrollment, StepVisit, Workflow
from tests.studio.stage import HERE, Stage, token


def _card(text: str, step: str) -> dict[str, int]:
    card = re.search(rf'id="step-{step}".*?<div class="numbers">(.*?)</div>', text, re.DOTALL)
    assert card, step
    plain = re.sub(r"<[^>]+>", " ", card[1])
    return {name: int(count) for count, name in re.findall(r"(\d+)\s+(here|passed|dropped)", plain)}


def test_each_card_counts_who_is_here_has_passed_and_has_left(stage: Stage, owner: FlaskClient) -> None:
    text = owner.get(f"{HERE}/workflows/pre-arrival").text
    with stage.work() as session:
        workflow = session.scalars(select(Workflow.id).where(Workflow.name == "pre-arrival")).one()
        here = session.scalar(
            select(func.count()).where(
                Enrollment.workflow_id == workflow, Enrollment.status == "active", Enrollment.step_id == "week-before"
            )
        )
        sent = session.scalar(
            select(func.count()).where(
                StepVisit.workflow_id == workflow, StepVisit.step_id == "confirm", StepVisit.code == "send"
            )
        )
    assert _card(text, "week-before")["here"] == here == 1
    assert _card(text, "confirm")["passed"] == sent == 3
    assert _card(text, "week-before")["dropped"] == 1


def test_the_flow_reads_in_plain_sentences_with_the_ways_side_by_side(owner: FlaskClient) -> None:
    text = owner.get(f"{HERE}/workflows/pre-arrival").text
    assert "Wait until 16:00, 1 day before arrival, hotel&#39;s time" in text
    assert "Send “Booking confirmation”" in text
    assert text.count('class="lane"') == 4
    assert "Leaves when the booking is cancelled" in text


def test_pausing_says_what_it_means_and_is_undone_from_the_toast(stage: Stage, owner: FlaskClient) -> None:
    page = f"{HERE}/workflows/pre-arrival"
    answer = owner.post(f"{page}/pause", data={"csrf_token": token(owner, page)})
    shown = owner.get(answer.location).text
    assert "nobody enters, nobody moves on" in shown
    undo = re.search(r'class="toast-line".*?action="([^"]+)".*?name="csrf_token" value="([^"]+)"', shown, re.DOTALL)
    assert undo
    assert "Pre-arrival updates is paused" in owner.get(f"{HERE}/").text
    owner.post(undo[1], data={"csrf_token": undo[2]})
    with stage.work() as session:
        assert session.scalars(select(Workflow.status).where(Workflow.name == "pre-arrival")).one() == "live"


def test_the_source_is_shown_with_its_lines(owner: FlaskClient) -> None:
    text = owner.get(f"{HERE}/workflows/pre-arrival/yaml").text
    assert '<span class="y-key">workflow</span>: pre-arrival' in text
    assert '<span class="y-comment">' in text


def test_versions_show_what_each_changed(owner: FlaskClient) -> None:
    text = owner.get(f"{HERE}/workflows/pre-arrival/versions").text
    assert re.search(r"l-del[^>]*>\s+wait: 30 minutes", text)
    assert re.search(r"l-add[^>]*>\s+wait: 45 minutes", text)
    assert "Version 2" in text
    assert "The first version." in text


def test_home_names_what_needs_somebody(owner: FlaskClient) -> None:
    text = owner.get(f"{HERE}/").text
    assert "1 event of an unknown kind: kiosk.touched" in text
    assert "Everything runs" not in text


def test_a_template_says_which_steps_send_it(owner: FlaskClient) -> None:
    text = owner.get(f"{HERE}/templates/booking-confirmation/used-in").text
    assert "Pre-arrival updates" in text
    assert "confirm" in text


def test_a_template_is_previewed_in_the_property_s_name_and_the_language_asked_for(owner: FlaskClient) -> None:
    italian = owner.get(f"{HERE}/templates/booking-confirmation/preview?lang=it").text
    english = owner.get(f"{HERE}/templates/booking-confirmation/preview?lang=en").text
    assert "Albergo Riva Serena" in italian
    assert 'lang="it"' in italian
    assert 'lang="en"' in english


def test_a_preview_wears_the_paper_asked_for(owner: FlaskClient) -> None:
    page = f"{HERE}/templates/booking-confirmation/preview"
    assert "prefers-color-scheme: dark" in owner.get(page).text
    assert "@media all" in owner.get(f"{page}?paper=dark").text
    assert "@media not all" in owner.get(f"{page}?paper=light").text
