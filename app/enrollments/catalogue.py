"""Workflows as files and rows: check, publish, pull, diff, push; pause and resume.

A published version is immutable and numbered; publishing the same source again changes nothing. People inside stay on
the version they entered with.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from app.consent.models import Topic
from app.contacts.models import AttributeDefinition
from app.content import catalogue as templates
from app.content.models import Template
from app.db import workspace_of
from app.enrollments.models import Workflow, WorkflowVersion
from app.events.catalogue import known_events
from app.journey import language
from app.journey import program as programs
from app.journey.compiler import compile_program
from app.journey.known import FACT_FIELDS, FieldType, Known, TemplateInfo
from app.queues import signal

STORIES = ".stories.yaml"
PAUSED_UNTIL = datetime(9999, 1, 1, tzinfo=UTC)
"""Where a paused workflow's unsent messages wait: no judge looks at them before it is resumed."""


class UnknownWorkflowError(LookupError):
    """There is no workflow of that name in this workspace."""


@dataclass(frozen=True)
class Published:
    """What publishing came to. `changed` is False where the live version has this very source already."""

    name: str
    number: int
    changed: bool


def known(session: Session) -> Known:
    """What a workflow of this workspace may speak of; four queries."""
    attributes = session.execute(select(AttributeDefinition.key, AttributeDefinition.type)).all()
    fields: dict[str, FieldType] = dict(FACT_FIELDS)
    fields |= {f"contact.attributes.{row.key}": row.type for row in attributes}
    topics = session.scalars(select(Topic.name)).all()
    return Known(
        events=known_events(),
        fields=fields,
        templates=_templates(session) or None,
        topics=tuple(topics) or None,
        segments=None,
    )


def _templates(session: Session) -> dict[str, TemplateInfo]:
    names = session.scalars(select(Template.name).where(Template.live_version_id.is_not(None))).all()
    return {name: templates.info(published.compiled) for name, published in templates.published(session, names).items()}


def publish(
    session: Session,
    source: str,
    *,
    by: str,
    now: datetime,
    file: str = "workflow.yaml",
    sector: str = "hotel",
    stories: str | None = None,
    allowed: Known | None = None,
) -> Published:
    """Check a document and make it the live version of its workflow.

    Args:
        source: the YAML document.
        by: who publishes; kept with the version.
        file: named in errors.
        stories: the document of its stories, kept beside it.
        allowed: what it may speak of; default: what this workspace knows.

    Raises:
        LanguageError: with every problem, its line, column and cure. Nothing has changed then.
    """
    workflow = language.read(source, file=file, known=allowed or known(session))
    program = compile_program(workflow)
    row = session.scalar(select(Workflow).where(Workflow.name == workflow.workflow).with_for_update())
    if row is None:
        row = Workflow(
            workspace_id=workspace_of(session),
            name=workflow.workflow,
            title=dict(workflow.name),
            phase=workflow.phase,
            status="live",
            created_at=now,
            updated_at=now,
        )
        session.add(row)
        session.flush()  # the version below names its id
    live = session.get(WorkflowVersion, (row.workspace_id, row.live_version_id)) if row.live_version_id else None
    if live is not None and live.source == source:
        row.stories = stories if stories is not None else row.stories
        return Published(row.name, live.number, changed=False)
    last = session.scalar(select(func.max(WorkflowVersion.number)).where(WorkflowVersion.workflow_id == row.id)) or 0
    version = WorkflowVersion(
        workspace_id=row.workspace_id,
        workflow_id=row.id,
        number=last + 1,
        source=source,
        program=programs.to_json(program),
        published_at=now,
        published_by=by,
        note="",
    )
    session.add(version)
    session.flush()  # the workflow's live version is its id
    row.live_version_id = version.id
    row.title, row.phase, row.sector, row.draft, row.updated_at = dict(workflow.name), workflow.phase, sector, None, now
    row.stories = stories if stories is not None else row.stories
    if row.status in {"draft", "archived"}:
        row.status = "live"
    return Published(row.name, version.number, changed=True)


def push(session: Session, folder: Path, *, by: str, now: datetime) -> list[Published]:
    """Publish every workflow file below a folder; all or, where one has a problem, none.

    Raises:
        LanguageError: the first file with problems.
    """
    allowed = known(session)
    done = []
    for path in files(folder):
        beside = path.with_name(path.stem + STORIES)
        done.append(
            publish(
                session,
                path.read_text(encoding="utf-8"),
                by=by,
                now=now,
                file=str(path),
                sector=path.parent.name,
                stories=beside.read_text(encoding="utf-8") if beside.is_file() else None,
                allowed=allowed,
            )
        )
    return done


def files(folder: Path) -> list[Path]:
    """The workflow files below a folder, or the one file that `folder` is; stories are not workflows."""
    if folder.is_file():
        return [folder]
    return sorted(path for path in folder.rglob("*.yaml") if not path.name.endswith(STORIES))


def live_sources(session: Session) -> Mapping[str, tuple[str, str, str | None]]:
    """Workflow name → (sector, live source, stories)."""
    query = (
        select(Workflow.name, Workflow.sector, WorkflowVersion.source, Workflow.stories)
        .join(
            WorkflowVersion,
            (WorkflowVersion.workspace_id == Workflow.workspace_id) & (WorkflowVersion.id == Workflow.live_version_id),
        )
        .order_by(Workflow.name)
    )
    return {row.name: (row.sector, row.source, row.stories) for row in session.execute(query)}


def pull(session: Session, folder: Path) -> list[Path]:
    """Write every live workflow (and its stories) below a folder; returns the files that changed."""
    changed = []
    for name, (sector, source, stories) in live_sources(session).items():
        for path, content in (
            (folder / sector / f"{name}.yaml", source),
            (folder / sector / f"{name}{STORIES}", stories),
        ):
            if content is None or (path.is_file() and path.read_text(encoding="utf-8") == content):
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8")
            changed.append(path)
    return changed


def diff(session: Session, folder: Path) -> str:
    """What `push` would change, as a unified diff from the live versions to the files; empty where nothing would."""
    live = live_sources(session)
    lines: list[str] = []
    seen = set()
    for path in files(folder):
        seen.add(path.stem)
        before = live.get(path.stem, ("", "", None))[1]
        lines += difflib.unified_diff(
            before.splitlines(keepends=True),
            path.read_text(encoding="utf-8").splitlines(keepends=True),
            f"live/{path.stem}" if before else "/dev/null",
            str(path),
        )
    lines += [f"Only live, in no file: {name}\n" for name in sorted(set(live) - seen)] if folder.is_dir() else []
    return "".join(lines)


_HOLD = text(
    """
    UPDATE messages SET due_at = :until, state = 'deferred', reason = 'workflow_paused', rule = 'R63'
    WHERE workspace_id = :workspace_id AND workflow_id = :workflow_id AND state IN ('planned', 'deferred', 'ready')
    """
)
_LET_GO = text(
    """
    UPDATE messages SET due_at = :now
    WHERE workspace_id = :workspace_id AND workflow_id = :workflow_id AND state = 'deferred'
        AND reason = 'workflow_paused'
    """
)


def pause(session: Session, name: str, now: datetime) -> None:
    """Stop a workflow: nobody enters, nobody takes a step, nothing planned goes out (R63).

    Raises:
        UnknownWorkflowError: there is none of that name.
    """
    row = _named(session, name)
    if row.status == "live":
        row.status, row.paused_at, row.updated_at = "paused", now, now
        parameters = {"workspace_id": row.workspace_id, "workflow_id": row.id, "until": PAUSED_UNTIL}
        session.execute(_HOLD, parameters)


def resume(session: Session, name: str, now: datetime) -> None:
    """Let a paused workflow go on. What became too late meanwhile is refused by its `latest` (R59): no burst.

    Raises:
        UnknownWorkflowError: there is none of that name.
    """
    row = _named(session, name)
    if row.status == "paused":
        row.status, row.paused_at, row.updated_at = "live", None, now
        session.execute(_LET_GO, {"workspace_id": row.workspace_id, "workflow_id": row.id, "now": now})
        signal(session, "advance")
        signal(session, "gate")


def _named(session: Session, name: str) -> Workflow:
    row = session.scalar(select(Workflow).where(Workflow.name == name).with_for_update())
    if row is None:
        raise UnknownWorkflowError(f"There is no workflow {name!r}.")
    return row
