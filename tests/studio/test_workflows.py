"""Workflows: numbers that are true, a pause that can be undone, versions that show what changed."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from flask.testing import FlaskClient
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from app.enrollments.models import Enrollment, StepVisit, Workflow, WorkflowVersion
from app.worker import run_due
from tests.studio.stage import HERE, Stage, token

PRE = f"{HERE}/workflows/pre-arrival"


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
    assert text.count('class="lane"') == 6
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


def test_versions_show_who_is_inside_and_what_changed_between_any_two(owner: FlaskClient) -> None:
    text = owner.get(f"{PRE}/versions").text
    assert re.search(r"l-del[^>]*>\s+wait: 30 minutes", text)
    assert re.search(r"l-add[^>]*>\s+wait: 45 minutes", text)
    assert re.search(r"<b>settle</b> <span[^>]*>changed", text), "and by step, in the words of the file"
    assert re.search(r'people\?version=1">1<', text), "the one person who waits entered on version 1"
    assert "Nothing" not in owner.get(f"{PRE}/versions?from=2&to=1").text
    assert owner.get(f"{PRE}/versions?from=7&to=x").status_code == 200


def test_people_say_on_which_older_version_they_are(owner: FlaskClient) -> None:
    assert "version 1" in owner.get(f"{PRE}/people?version=1").text
    assert "Nobody here" in owner.get(f"{PRE}/people?version=2").text


def draft(owner: FlaskClient, source: str, then: str = "keep") -> TestResponse:
    given = {"csrf_token": token(owner, f"{PRE}/edit"), "source": source, "then": then}
    return owner.post(f"{PRE}/edit", data=given)


def source_of(stage: Stage) -> str:
    with stage.work() as session:
        found: str = session.scalars(
            select(WorkflowVersion.source)
            .join(Workflow, Workflow.live_version_id == WorkflowVersion.id)
            .where(Workflow.name == "pre-arrival")
        ).one()
        return found


def test_a_draft_is_kept_wrong_as_it_is_and_each_fault_told_at_its_line(stage: Stage, owner: FlaskClient) -> None:
    wrong = source_of(stage).replace("send: room-upgrade", "send: room-upgrad")
    line = wrong.splitlines().index("    send: room-upgrad") + 1
    answer = draft(owner, wrong, "publish")
    assert answer.status_code == 422
    assert f"Line {line}</b>" in answer.text
    assert "room-upgrade" in answer.text, "with the nearest right name"
    assert "send: room-upgrad\n" in owner.get(f"{PRE}/edit").text.replace("\r", ""), "what was typed is kept"
    assert owner.post(f"{PRE}/publish", data={"csrf_token": token(owner, f"{PRE}/edit")}).status_code == 303
    assert "Version 3" not in owner.get(f"{PRE}/versions").text, "and nothing was published"


def publishing(owner: FlaskClient, **given: str) -> TestResponse:
    page = owner.get(f"{PRE}/publish" + (f"?version={given['version']}" if "version" in given else "")).text
    mark = re.search(r'name="source_mark" value="([^"]+)"', page)
    assert mark, page
    return owner.post(
        f"{PRE}/publish", data={"csrf_token": token(owner, f"{PRE}/manage"), "source_mark": mark[1], **given}
    )


def test_each_choice_shows_how_many_it_touches_and_a_step_that_is_gone_is_named(
    stage: Stage, owner: FlaskClient
) -> None:
    draft(owner, source_of(stage).replace("id: week-before", "id: a-week-before"), "publish")
    text = owner.get(f"{PRE}/publish").text
    assert "1 person is inside now" in text
    assert "0 people go over; 1 has no step there and stays" in text
    assert "This step is gone" in text
    answer = publishing(owner, choice="map", note="A clearer name", **{"map-week-before": "a-week-before"})
    assert answer.status_code == 303
    run_due(stage.house)
    listed = owner.get(f"{PRE}/versions").text
    assert "A clearer name" in listed
    assert re.search(r'people\?version=3">1<', listed)
    with stage.work() as session:
        (inside,) = session.scalars(
            select(Enrollment.step_id)
            .join(Workflow, Workflow.id == Enrollment.workflow_id)
            .where(Workflow.name == "pre-arrival", Enrollment.status == "active")
        ).all()
    assert inside == "a-week-before"


def test_going_back_asks_the_same_and_publishes_the_old_source_anew(stage: Stage, owner: FlaskClient) -> None:
    answer = publishing(owner, version="1", choice="follow")
    assert answer.status_code == 303
    assert "Back to version 1" not in source_of(stage)
    assert "wait: 30 minutes" in source_of(stage)
    assert "Version 3" in owner.get(f"{PRE}/versions").text


def test_a_draft_that_changed_under_the_eye_is_not_published(stage: Stage, owner: FlaskClient) -> None:
    draft(owner, source_of(stage).replace("45 minutes", "50 minutes"))
    publishing(owner, choice="pin", source_mark="another")
    assert "wait: 45 minutes" in source_of(stage)


def test_a_pause_says_before_it_ends_what_would_go_out(stage: Stage, owner: FlaskClient) -> None:
    owner.post(f"{PRE}/pause", data={"csrf_token": token(owner, f"{PRE}/manage"), "when_resumed": "exit"})
    stage.clock.advance(timedelta(days=30))
    text = owner.get(f"{PRE}/manage").text
    assert re.search(r'value="exit" checked', text), "the rule it was paused with"
    assert "0 messages go out now" in text
    assert "1 person leaves" in text
    owner.post(f"{PRE}/resume", data={"csrf_token": token(owner, f"{PRE}/manage"), "when_resumed": "exit"})
    with stage.work() as session:
        assert session.scalars(select(Workflow.status).where(Workflow.name == "pre-arrival")).one() == "live"


def test_an_archive_is_undone_from_the_toast(stage: Stage, owner: FlaskClient) -> None:
    answer = owner.post(f"{PRE}/archive", data={"csrf_token": token(owner, f"{PRE}/manage"), "inside": "exit"})
    shown = owner.get(answer.location).text
    undo = re.search(r'class="toast-line".*?action="([^"]+)".*?name="csrf_token" value="([^"]+)"', shown, re.DOTALL)
    assert undo
    assert "Pre-arrival updates" not in owner.get(f"{HERE}/workflows").text
    assert "Pre-arrival updates" in owner.get(f"{HERE}/workflows?archived=1").text
    owner.post(undo[1], data={"csrf_token": undo[2]})
    stage.clock.advance(timedelta(hours=1))
    run_due(stage.house)
    with stage.work() as session:
        workflow = session.scalars(select(Workflow).where(Workflow.name == "pre-arrival")).one()
        left = select(func.count()).where(Enrollment.workflow_id == workflow.id, Enrollment.end_reason == "archived")
        assert (workflow.status, session.scalar(left)) == ("live", 0)


def test_a_copy_is_a_draft_to_be_edited(owner: FlaskClient) -> None:
    form = {"csrf_token": token(owner, f"{PRE}/manage"), "new_name": "pre-arrival"}
    refused = owner.post(f"{PRE}/duplicate", data=form)
    assert refused.status_code == 422
    assert "Choose a name that is not taken" in refused.text
    made = owner.post(f"{PRE}/duplicate", data={**form, "new_name": "pre-arrival-2"})
    assert "workflow: pre-arrival-2" in owner.get(made.location).text


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


def test_a_property_set_to_another_zone_moves_the_waits_of_its_guests(stage: Stage, owner: FlaskClient) -> None:
    def until() -> datetime | None:
        with stage.work() as session:
            found: datetime | None = session.scalars(
                select(Enrollment.wake_at)
                .join(Workflow, Workflow.id == Enrollment.workflow_id)
                .where(Workflow.name == "pre-arrival", Enrollment.status == "active")
            ).one()
            return found

    before = until()
    page = owner.get(f"{HERE}/settings").text
    form = {name: value.replace("&#39;", "'") for name, value in re.findall(r'name="([\w.]+)" value="([^"]*)"', page)}
    answer = owner.post(f"{HERE}/settings", data={**form, "language": "it", "zone": "Europe/London"})
    assert answer.status_code == 303
    after = until()
    assert before is not None
    assert after is not None
    assert after - before == timedelta(hours=1), "10:00 of the hotel's own clock, an hour behind"
