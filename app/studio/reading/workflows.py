"""Workflows with their live numbers; one workflow's flow, people and versions."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import and_, distinct, func, select
from sqlalchemy.orm import Session

from app.contacts.models import Contact
from app.content.models import Template
from app.enrollments.models import Enrollment, StepVisit, Workflow, WorkflowVersion
from app.journey import flow, program
from app.studio.reading.paging import Page, Wanted, page
from app.studio.words import PHASES

STAYS = ("waiting", "moved", "exited", "entered", "refreshed", "goal", "restarted", "carried", "handed_on")
"""Decisions at a step that are not the step being passed."""


@dataclass(frozen=True, slots=True)
class Numbers:
    """People of a workflow: ever entered, inside now, reached the goal, stuck on an error."""

    entered: int = 0
    inside: int = 0
    goal: int = 0
    stuck: int = 0


@dataclass(frozen=True, slots=True)
class Listed:
    """A line of the list."""

    workflow: Workflow
    version: int | None
    has_goal: bool
    numbers: Numbers


@dataclass(frozen=True, slots=True)
class StepNumbers:
    """People at a step: here now, passed it, dropped out at it."""

    here: int = 0
    passed: int = 0
    dropped: int = 0


@dataclass(frozen=True, slots=True)
class Flow:
    """A published version, drawn: what starts it, its cards, what ends it, and the numbers of each step."""

    beginning: Sequence[Mapping[str, str]]
    cards: Sequence[flow.Card]
    endings: Sequence[Mapping[str, str]]
    steps: Mapping[str, StepNumbers]
    finished: int
    problem: str = ""
    terms: Sequence[Mapping[str, str]] = ()


@dataclass(frozen=True, slots=True)
class Change:
    """Two published versions and what the newer changed, as lines (sign, text)."""

    before: WorkflowVersion
    after: WorkflowVersion
    lines: Sequence[tuple[str, str]]


def numbers(session: Session, property_id: int | None = None, workflow_id: int | None = None) -> dict[int, Numbers]:
    """Numbers by workflow id; one query."""
    query = select(
        Enrollment.workflow_id,
        func.count(),
        func.count().filter(Enrollment.status == "active"),
        func.count().filter(Enrollment.goal_at.is_not(None)),
        func.count().filter(and_(Enrollment.status == "active", Enrollment.error.is_not(None))),
    ).group_by(Enrollment.workflow_id)
    # Whom the workflow holds out never went through it.
    query = query.where(Enrollment.control.is_distinct_from("workflow"))
    if property_id is not None:
        query = query.where(Enrollment.property_id == property_id)
    if workflow_id is not None:
        query = query.where(Enrollment.workflow_id == workflow_id)
    return {row[0]: Numbers(*row[1:]) for row in session.execute(query)}


def listed(session: Session, property_id: int | None = None, *, archived: bool = False) -> dict[str, list[Listed]]:
    """Every workflow that is archived, or is not, by phase in the order of phases; two queries."""
    rows = session.execute(
        select(Workflow, WorkflowVersion.number, WorkflowVersion.program["goal"])
        .outerjoin(WorkflowVersion, WorkflowVersion.id == Workflow.live_version_id)
        .where(Workflow.status == "archived" if archived else Workflow.status != "archived")
        .order_by(Workflow.name)
    ).all()
    counted = numbers(session, property_id)
    by_phase: dict[str, list[Listed]] = {phase: [] for phase in PHASES}
    for workflow, version, goal in rows:
        line = Listed(workflow, version, bool(goal), counted.get(workflow.id, Numbers()))
        by_phase.setdefault(workflow.phase, []).append(line)
    return {phase: lines for phase, lines in by_phase.items() if lines}


def one(session: Session, name: str) -> tuple[Workflow, WorkflowVersion | None] | None:
    """A workflow by name with its live version; one query."""
    row = session.execute(
        select(Workflow, WorkflowVersion)
        .outerjoin(WorkflowVersion, WorkflowVersion.id == Workflow.live_version_id)
        .where(Workflow.name == name)
    ).first()
    return (row[0], row[1]) if row else None


def drawn(session: Session, workflow: Workflow, version: WorkflowVersion | None) -> Flow:
    """The live version as cards with numbers; two queries. People on older versions are counted at their step too."""
    if version is None:
        return Flow((), (), (), {}, 0)
    compiled = program.from_json(version.program)
    here = session.execute(
        select(Enrollment.step_id, Enrollment.status, func.count())
        .where(Enrollment.workflow_id == workflow.id, Enrollment.status.in_(("active", "finished")))
        .group_by(Enrollment.step_id, Enrollment.status)
    ).all()
    gone = session.execute(
        select(
            StepVisit.step_id,
            func.count(distinct(StepVisit.enrollment_id)).filter(StepVisit.code.not_in(STAYS)),
            func.count(distinct(StepVisit.enrollment_id)).filter(StepVisit.code == "exited"),
        )
        .where(StepVisit.workflow_id == workflow.id)
        .group_by(StepVisit.step_id)
    ).all()
    active = {str(row[0]): row[2] for row in here if row[1] == "active" and row[0]}
    passed = {row[0]: (row[1], row[2]) for row in gone if row[0]}
    steps = {step: StepNumbers(active.get(step, 0), *passed.get(step, (0, 0))) for step in {*active, *passed}}
    finished = sum(row[2] for row in here if row[1] == "finished")
    told = flow.beginning(compiled), flow.flow(compiled), flow.endings(compiled)
    return Flow(*told, steps, finished, terms=flow.terms(compiled))


def template_titles(session: Session) -> dict[str, Mapping[str, str]]:
    """Template name → its title by language; one query."""
    return {row[0]: row[1] for row in session.execute(select(Template.name, Template.title)).all()}


def people(
    session: Session,
    workflow: Workflow,
    wanted: Wanted,
    *,
    status: str | None,
    step: str | None,
    text: str,
    version_id: int | None = None,
) -> Page[Any]:
    """Passages with who they are of, newest first; one query."""
    query = (
        select(Enrollment, Contact)
        .join(Contact, and_(Contact.workspace_id == Enrollment.workspace_id, Contact.id == Enrollment.contact_id))
        .where(Enrollment.workflow_id == workflow.id)
    )
    if status == "stuck":
        query = query.where(Enrollment.status == "active", Enrollment.error.is_not(None))
    elif status:
        query = query.where(Enrollment.status == status)
    if step:
        query = query.where(Enrollment.step_id == step)
    if version_id is not None:
        query = query.where(Enrollment.version_id == version_id)
    if text:
        like = f"%{text}%"
        query = query.where(
            Contact.email.ilike(like)
            | func.concat_ws(" ", Contact.first_name, Contact.last_name).ilike(like)
            | Enrollment.key.ilike(like)
        )
    return page(session, query, Enrollment.id, wanted, lambda row: int(row[0].id))


def step_sentences(version: WorkflowVersion | None) -> dict[str, Mapping[str, str]]:
    """Step id → what it does, for every step of a version."""
    if version is None:
        return {}
    told: dict[str, Mapping[str, str]] = {}

    def walk(cards: Sequence[flow.Card]) -> None:
        for card in cards:
            told[card.id] = card.sentence
            for way in card.ways:
                walk(way.cards)

    walk(flow.flow(program.from_json(version.program)))
    return told


def versions(session: Session, workflow: Workflow) -> Sequence[WorkflowVersion]:
    """Published versions, newest first; one query."""
    query = select(WorkflowVersion).where(WorkflowVersion.workflow_id == workflow.id)
    return session.scalars(query.order_by(WorkflowVersion.number.desc())).all()


def numbers_of(session: Session, workflow_ids: Iterable[int]) -> dict[int, int]:
    """Version id → its number, of all versions of these workflows; one query."""
    query = select(WorkflowVersion.id, WorkflowVersion.number).where(WorkflowVersion.workflow_id.in_(set(workflow_ids)))
    return {row[0]: row[1] for row in session.execute(query)}


def compared(before: str, after: str) -> list[tuple[str, str]]:
    """What turned one source into the other, as lines (sign, text); @ stands where something is left out."""
    found = list(difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=2))[2:]
    return [("@", "") if line.startswith("@@") else (line[:1], line[1:]) for line in found]
