"""The compiled programs of published versions, kept per process: a version never changes, so it is read once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.accounts.models import Workspace
from app.consent.case import DEFAULT
from app.consent.policy import Policy
from app.db import remembered
from app.enrollments.models import Workflow, WorkflowVersion
from app.journey import program as programs
from app.journey.program import Program


@dataclass(frozen=True, slots=True)
class Live:
    """A workflow that takes people in."""

    workflow_id: int
    version_id: int
    status: str
    program: Program
    policy: Policy = DEFAULT
    """The workspace's, as far as its holdout goes."""


def of_versions(session: Session, version_ids: Iterable[int]) -> Mapping[int, Program]:
    """Programs by version id; at most one query, none where all are known to this process."""
    kept: dict[int, Program] = remembered(session, "programs")
    wanted = set(version_ids)
    missing = wanted - kept.keys()
    if missing:
        query = select(WorkflowVersion.id, WorkflowVersion.program).where(WorkflowVersion.id.in_(missing))
        for version_id, stored in session.execute(query):
            kept[version_id] = programs.from_json(stored)
    return {version: kept[version] for version in wanted if version in kept}


def of_workflow(session: Session, workflow_id: int) -> Mapping[int, Program]:
    """The programs of every published version of one workflow by version id; two queries at most."""
    return of_versions(
        session, session.scalars(select(WorkflowVersion.id).where(WorkflowVersion.workflow_id == workflow_id))
    )


def asks(programs_: Iterable[Program], path: str) -> bool:
    """Whether a condition of any of them reads this path or something below it: what nobody asks is not loaded."""
    return any(read == path or read.startswith(f"{path}.") for program in programs_ for read in program.reads)


def live(session: Session) -> list[Live]:
    """Every published workflow that is live or paused, by name; two queries at most."""
    rows = session.execute(
        select(
            Workflow.id,
            Workflow.live_version_id,
            Workflow.status,
            select(Workspace.settings["holdout"])
            .where(Workspace.id == Workflow.workspace_id)
            .scalar_subquery()
            .label("holdout"),
        )
        .where(Workflow.status.in_(("live", "paused")), Workflow.live_version_id.is_not(None))
        .order_by(Workflow.name)
    ).all()
    known = of_versions(session, {row.live_version_id for row in rows})
    policy = Policy.from_settings({"holdout": rows[0].holdout}) if rows and rows[0].holdout else DEFAULT
    return [Live(row.id, row.live_version_id, row.status, known[row.live_version_id], policy) for row in rows]
