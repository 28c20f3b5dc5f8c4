"""Templates with their live versions; where one is used; its versions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import and_, func, select
from sqlalchemy.orm import Session

from app.content import catalogue
from app.content.compiled import Compiled
from app.content.models import Template, TemplateVersion
from app.enrollments.models import Workflow, WorkflowVersion
from app.messages.models import Message
from app.studio.words import PHASES


@dataclass(frozen=True, slots=True)
class Listed:
    """A card of the gallery."""

    template: Template
    version: int | None
    languages: Sequence[str]
    sent: int


@dataclass(frozen=True, slots=True)
class Use:
    """A step of a live workflow that sends a template."""

    workflow: str
    title: Mapping[str, str]
    status: str
    step: str
    class_: str


def listed(session: Session) -> dict[str, list[Listed]]:
    """Every template by phase, with how many mails were sent from it; two queries."""
    rows = session.execute(
        select(Template, TemplateVersion.number, TemplateVersion.compiled["languages"])
        .outerjoin(TemplateVersion, TemplateVersion.id == Template.live_version_id)
        .order_by(Template.name)
    ).all()
    counted = select(Message.template, func.count()).where(Message.state == "accepted").group_by(Message.template)
    sent = {name: count for name, count in session.execute(counted).all()}  # noqa: C416 - a Result has keys(): dict() errs
    by_phase: dict[str, list[Listed]] = {phase: [] for phase in PHASES}
    for template, number, languages in rows:
        card = Listed(template, number, tuple(sorted(languages or ())), int(sent.get(template.name, 0)))
        by_phase.setdefault(template.phase, []).append(card)
    return {phase: cards for phase, cards in by_phase.items() if cards}


def one(session: Session, name: str) -> tuple[Template, TemplateVersion | None] | None:
    """A template by name with its live version; one query."""
    row = session.execute(
        select(Template, TemplateVersion)
        .outerjoin(TemplateVersion, TemplateVersion.id == Template.live_version_id)
        .where(Template.name == name)
    ).first()
    return (row[0], row[1]) if row else None


def compiled(session: Session, version_id: int) -> Compiled | None:
    """A version as compiled; at most one query."""
    return catalogue.versions(session, [version_id]).get(version_id)


def uses(session: Session, name: str) -> list[Use]:
    """Steps that send the template in workflows as published; one query."""
    rows = session.execute(
        select(Workflow, WorkflowVersion.program)
        .join(WorkflowVersion, WorkflowVersion.id == Workflow.live_version_id)
        .where(
            Workflow.status != "archived", WorkflowVersion.program.contains({"ops": [{"op": "send", "template": name}]})
        )
        .order_by(Workflow.name)
    ).all()
    return [
        Use(workflow.name, workflow.title, workflow.status, op["id"], op["class_"])
        for workflow, program in rows
        for op in program["ops"]
        if op.get("template") == name
    ]


def versions(session: Session, template_id: int) -> list[Any]:
    """(TemplateVersion without its body, mails sent from it), newest first; one query."""
    return list(
        session.execute(
            select(
                TemplateVersion.id,
                TemplateVersion.number,
                TemplateVersion.published_at,
                TemplateVersion.published_by,
                TemplateVersion.content_hash,
                func.count(Message.id),
            )
            .outerjoin(
                Message,
                and_(
                    Message.workspace_id == TemplateVersion.workspace_id,
                    Message.template_version_id == TemplateVersion.id,
                    Message.state == "accepted",
                ),
            )
            .where(TemplateVersion.template_id == template_id)
            .group_by(TemplateVersion.workspace_id, TemplateVersion.id)
            .order_by(TemplateVersion.number.desc())
        ).all()
    )
