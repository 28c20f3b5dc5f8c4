"""Trying a workflow on recorded history, on its page: numbers, chart, table, refusals, people; nothing is written."""

from __future__ import annotations

import re

from flask.testing import FlaskClient
from sqlalchemy import func, select

from app.enrollments.models import Enrollment, StepVisit, Workflow, WorkflowVersion
from app.messages.models import Message
from tests.studio.stage import HERE, Stage

PAGE = f"{HERE}/workflows/pre-arrival/try"


def _figures(text: str) -> dict[str, str]:
    return dict(re.findall(r"<div><dt>([^<]+)</dt><dd>([^<]+)</dd></div>", text))


def test_it_asks_first_and_runs_only_when_told(owner: FlaskClient) -> None:
    text = owner.get(PAGE).text
    assert "Try it on what really happened" in text
    assert '<svg class="day-chart"' not in text
    assert 'aria-current="page"' in text


def test_the_live_version_comes_out_as_it_did(stage: Stage, owner: FlaskClient) -> None:
    figures = _figures(owner.get(f"{PAGE}?days=30").text)
    with stage.work() as session:
        row = session.scalars(select(Workflow).where(Workflow.name == "pre-arrival")).one()
        entered = session.scalar(select(func.count()).select_from(Enrollment).where(Enrollment.workflow_id == row.id))
    assert figures["Would enter"] == str(entered)


def test_every_number_of_the_chart_stands_in_the_table_too(owner: FlaskClient) -> None:
    text = owner.get(f"{PAGE}?days=30").text
    figures = _figures(text)
    rows = re.findall(r'<th scope="row">[^<]+</th>((?:<td class="number">[^<]*</td>)+)', text)
    cells = [[re.sub(r"\D", "", one) or "0" for one in re.findall(r"<td[^>]*>([^<]*)</td>", row)] for row in rows]
    assert sum(int(row[1]) for row in cells) == int(figures["Messages out"])
    assert text.count('<rect class="sent"') == sum(row[1] != "0" for row in cells)
    assert 'role="img"' in text


def test_a_draft_is_tried_in_the_place_of_what_is_live(stage: Stage, owner: FlaskClient) -> None:
    with stage.work() as session:
        row = session.scalars(select(Workflow).where(Workflow.name == "pre-arrival")).one()
        row.draft = _longer(stage)
    text = owner.get(f"{PAGE}?days=30").text
    assert "The draft is run" in text
    assert _figures(text)["Would enter"] == "0"
    assert "nights is at least 90" in text


def _longer(stage: Stage) -> str:
    with stage.work() as session:
        source: str = session.scalars(
            select(WorkflowVersion.source)
            .join(Workflow, Workflow.live_version_id == WorkflowVersion.id)
            .where(Workflow.name == "pre-arrival")
        ).one()
    assert "booking.nights >= 1" in source
    return source.replace("booking.nights >= 1", "booking.nights >= 90")


def test_a_draft_that_cannot_run_says_where_it_is_wrong(stage: Stage, owner: FlaskClient) -> None:
    with stage.work() as session:
        session.scalars(select(Workflow).where(Workflow.name == "pre-arrival")).one().draft = "workflow: pre-arrival\n"
    text = owner.get(f"{PAGE}?days=30").text
    assert "It cannot be tried yet" in text
    assert "Line 1" in text


def test_nothing_is_written_by_looking(stage: Stage, owner: FlaskClient) -> None:
    def count() -> list[int]:
        with stage.work() as session:
            kinds = (Enrollment, Message, StepVisit)
            return [session.scalar(select(func.count()).select_from(kind)) or 0 for kind in kinds]

    before = count()
    assert owner.get(f"{PAGE}?days=365").status_code == 200
    assert count() == before


def test_it_speaks_italian(stage: Stage) -> None:
    text = stage.signed_in(language="it").get(f"{PAGE}?days=30").text
    assert "Provalo su ciò che è successo davvero" in text
    assert "Messaggi partiti" in text
    assert "Nulla viene inviato" in text
