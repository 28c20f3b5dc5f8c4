"""Workflows as files and rows: check, publish, roll back, duplicate; pull, diff and push.

A published version is immutable and numbered; publishing the same source again changes nothing. People inside stay on
the version they entered with, unless the author chooses otherwise (`versions.Choice`).
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.audience import catalogue as segments
from app.consent.models import Topic
from app.contacts.models import AttributeDefinition
from app.content import catalogue as templates
from app.content.models import Template
from app.db import workspace_of
from app.enrollments import enrol, experiments, occasions, versions
from app.enrollments.models import CallEndpoint, Workflow, WorkflowVersion
from app.events.catalogue import known_events
from app.journey import language
from app.journey import program as programs
from app.journey.compiler import compile_program
from app.journey.known import FACT_FIELDS, FieldType, Known, TemplateInfo
from app.messages import identities

STORIES = ".stories.yaml"


class UnknownWorkflowError(LookupError):
    """There is no workflow (or no version) of that name in this workspace."""


class NameTakenError(ValueError):
    """There is a workflow of that name already, or it is no name."""


@dataclass(frozen=True)
class Published:
    """What publishing came to. `changed` is False where the live version has this very source already.

    `inside` says what it means to the people who were inside, step by step.
    """

    name: str
    number: int
    changed: bool
    inside: versions.Preview | None = None


def known(session: Session) -> Known:
    """What a workflow of this workspace may speak of; seven queries."""
    named = select(AttributeDefinition.key, AttributeDefinition.type, AttributeDefinition.special_category)
    attributes = session.execute(named).all()
    fields: dict[str, FieldType] = dict(FACT_FIELDS)
    fields |= {f"contact.attributes.{row.key}": row.type for row in attributes}
    topics = session.scalars(select(Topic.name).where(Topic.archived_at.is_(None))).all()
    called = session.execute(select(CallEndpoint.name, CallEndpoint.shares)).all()
    return Known(
        events=known_events(),
        fields=fields,
        templates=_templates(session) or None,
        topics=tuple(topics) or None,
        segments=segments.names(session),
        # No endpoint or sender set up yet: names are taken as they are, so that a library can be pushed first.
        endpoints=[row.name for row in called] or None,
        sharing=frozenset(row.name for row in called if row.shares),
        senders=identities.addresses(session) or None,
        barred=frozenset(f"contact.attributes.{row.key}" for row in attributes if row.special_category),
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
    note: str = "",
    on_inside: versions.Choice = "pin",
    mapping: Mapping[str, str | None] | None = None,
) -> Published:
    """Check a document and make it the live version of its workflow.

    Args:
        source: the YAML document.
        by: who publishes; kept with the version.
        file: named in errors.
        stories: the document of its stories, kept beside it.
        allowed: what it may speak of; default: what this workspace knows.
        note: why, in a few words; kept with the version.
        on_inside: what becomes of the people inside: they stay on their version (pin), go on in this one at the same
            step (follow), or as `mapping` says (map). They are moved by the stage `carry`, in batches.
        mapping: old step id → new one, or None: they leave.

    Raises:
        LanguageError: with every problem, its line, column and cure. Nothing has changed then.
        versions.MappingError: the mapping names a step that this version does not have.
    """
    workflow = language.read(source, file=file, known=allowed or known(session))
    program = compile_program(workflow)
    if on_inside == "map":
        versions.check_mapping(program, mapping or {})
    if on_inside != "pin":
        # Whoever is being taken in just now still enters on the old version; wait, so that they are found inside.
        enrol.alone(session)
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
        note=note,
    )
    session.add(version)
    session.flush()  # the workflow's live version is its id
    row.live_version_id = version.id
    row.title, row.phase, row.sector, row.draft, row.updated_at = dict(workflow.name), workflow.phase, sector, None, now
    row.stories = stories if stories is not None else row.stories
    if row.status in {"draft", "archived"}:
        row.status, row.archived_at = "live", None
    inside = versions.preview(session, row.id, program, on_inside, mapping or {})
    if on_inside != "pin" and inside.people:
        versions.begin(session, row.id, version.id, on_inside, mapping or {}, by=by, now=now)
    experiments.announce(session, row.id, program, now)
    occasions.register(session, row.id, program, now)
    return Published(row.name, version.number, changed=True, inside=inside)


def rollback(
    session: Session,
    name: str,
    number: int,
    *,
    by: str,
    now: datetime,
    note: str = "",
    on_inside: versions.Choice = "pin",
    mapping: Mapping[str, str | None] | None = None,
) -> Published:
    """Publish the source of an earlier version anew, as the next version. What is wrong with it today is told.

    Raises:
        UnknownWorkflowError: there is no such workflow or version.
        LanguageError: it speaks of something that is no longer there.
        versions.MappingError: as `publish`.
    """
    old = versions.numbered(session, name, number)
    if old is None:
        raise UnknownWorkflowError(f"There is no version {number} of {name!r}.")
    sector = session.scalar(select(Workflow.sector).where(Workflow.name == name)) or "hotel"
    return publish(
        session,
        old.source,
        by=by,
        now=now,
        file=f"{name} version {number}",
        sector=sector,
        note=note or f"Back to version {number}",
        on_inside=on_inside,
        mapping=mapping,
    )


_NAME = re.compile(r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$")


def duplicate(session: Session, name: str, new_name: str, now: datetime) -> Workflow:
    """A draft with the source of another workflow (its draft, else its live version) under a new name.

    Raises:
        UnknownWorkflowError: there is none of that name.
        NameTakenError: the new name is taken, or is not small letters, digits and hyphens.
    """
    row = named(session, name)
    if not _NAME.match(new_name):
        raise NameTakenError("A name is small letters, digits and hyphens, such as pre-arrival-2.")
    if session.scalar(select(Workflow.id).where(Workflow.name == new_name)) is not None:
        raise NameTakenError(f"There is a workflow {new_name!r} already.")
    source = re.sub(r"(?m)^(workflow:\s*)[^\s#]+", rf"\g<1>{new_name}", source_of(session, row), count=1)
    copy = Workflow(
        workspace_id=row.workspace_id,
        name=new_name,
        title=dict(row.title),
        phase=row.phase,
        sector=row.sector,
        status="draft",
        draft=source,
        stories=row.stories,
        created_at=now,
        updated_at=now,
    )
    session.add(copy)
    session.flush()  # the caller may want its number
    return copy


def source_of(session: Session, row: Workflow) -> str:
    """What is edited: the draft, else the live version's source."""
    if row.draft is not None:
        return row.draft
    live = session.get(WorkflowVersion, (row.workspace_id, row.live_version_id)) if row.live_version_id else None
    return live.source if live else ""


def keep_draft(session: Session, name: str, source: str, now: datetime) -> None:
    """Keep what somebody is writing, right or wrong; a source equal to the live one is no draft.

    Raises:
        UnknownWorkflowError: there is none of that name.
    """
    row = named(session, name)
    live = session.get(WorkflowVersion, (row.workspace_id, row.live_version_id)) if row.live_version_id else None
    row.draft = None if live is not None and live.source == source else source
    row.updated_at = now


def named(session: Session, name: str) -> Workflow:
    """A workflow by name, its row locked; UnknownWorkflowError where there is none."""
    row = session.scalar(select(Workflow).where(Workflow.name == name).with_for_update())
    if row is None:
        raise UnknownWorkflowError(f"There is no workflow {name!r}.")
    return row


def push(
    session: Session,
    folder: Path,
    *,
    by: str,
    now: datetime,
    note: str = "",
    on_inside: versions.Choice = "pin",
    mapping: Mapping[str, str | None] | None = None,
) -> list[Published]:
    """Publish every workflow file below a folder; all or, where one has a problem, none. See `publish`.

    Raises:
        LanguageError: the first file with problems.
        versions.MappingError: the mapping names a step that a file does not have.
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
                note=note,
                on_inside=on_inside,
                mapping=mapping,
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


def difference(before: str, after: str, names: tuple[str, str]) -> str:
    """Two sources as a unified diff; empty where they are the same."""
    return "".join(difflib.unified_diff(before.splitlines(keepends=True), after.splitlines(keepends=True), *names))


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
