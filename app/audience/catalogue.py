"""Segments by name: made, changed, renamed, archived; every change is kept with who made it and what it was before.

Whoever changes a definition owes the membership a new look at everybody: that is `due_at`, which the stage reads.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import delete, select, text
from sqlalchemy.orm import Session

from app.audience import definitions
from app.audience.definitions import Definition
from app.audience.models import Segment, SegmentChange, SegmentMember
from app.db import workspace_of
from app.journey.condition_tree import Condition, from_json, to_json
from app.queues import signal

NAME = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")


class UnknownSegmentError(LookupError):
    """There is no such segment in this workspace."""


class RefusedError(ValueError):
    """The change cannot be made; the message says why, `users` which workflows stand in the way."""

    def __init__(self, message: str, users: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.users = tuple(users)


def names(session: Session, *, archived: bool = False) -> tuple[str, ...]:
    """The living segments, which workflows and broadcasts may name, or with the archived all of them; one query."""
    query = select(Segment.name).order_by(Segment.name)
    return tuple(session.scalars(query if archived else query.where(Segment.archived_at.is_(None))))


def named(session: Session, name: str) -> Segment:
    """The segment of this name, archived or not; raises UnknownSegmentError."""
    found = session.scalar(select(Segment).where(Segment.name == name))
    if found is None:
        raise UnknownSegmentError(f"There is no segment {name!r}.")
    return found


def create(
    session: Session,
    name: str,
    title: Mapping[str, str],
    source: str,
    *,
    by: str,
    now: datetime,
    backfill: bool = False,
) -> Segment:
    """A new segment; the next refresh fills it.

    Args:
        name: small letters, digits and dashes; for ever its own in this workspace.
        title: by language.
        source: its document, see `definitions`.
        by: who makes it.
        backfill: tell the workflows of everybody who is in at once (`segment.entered`); else only of who comes later.

    Raises:
        LanguageError: the document has problems.
        RefusedError: the name is none, or taken.
    """
    _free(session, name)
    definition = definitions.read(source, definitions.vocabulary(session))
    row = Segment(workspace_id=workspace_of(session), name=name, title=dict(title), created_at=now, members=0, cursor=0)
    _define(row, definition, now, backfill)
    session.add(row)
    session.flush()  # the change below names its number
    _note(session, row, "created", {}, {"name": name, "title": dict(title), "source": source}, by, now)
    signal(session, "segments")
    return row


def edit(
    session: Session, name: str, source: str, *, by: str, now: datetime, backfill: bool = False
) -> tuple[Segment, bool]:
    """Give a segment another condition, and whether it is another. Everybody is looked at anew.

    Who is in or out by the new words alone is not told to the workflows, unless `backfill` asks for it.

    Raises:
        LanguageError, UnknownSegmentError.
    """
    row = _locked(session, name)
    definition = definitions.read(source, definitions.vocabulary(session))
    if row.source == source:
        return row, False
    before = row.source
    _define(row, definition, now, backfill)
    _note(session, row, "condition", {"source": before}, {"source": source}, by, now)
    signal(session, "segments")
    return row, True


def retitle(session: Session, name: str, title: Mapping[str, str], *, by: str, now: datetime) -> None:
    """Give a segment other titles."""
    row = _locked(session, name)
    if row.title != dict(title):
        before, row.title, row.updated_at = row.title, dict(title), now
        _note(session, row, "title", {"title": before}, {"title": dict(title)}, by, now)


def rename(session: Session, name: str, new: str, *, by: str, now: datetime) -> None:
    """Give a segment another name.

    Raises:
        RefusedError: workflows or broadcasts that run use it, or the new name is none or taken.
    """
    row = _locked(session, name)
    if new == name:
        return
    _unused(session, name, "renamed")
    _free(session, new)
    row.name, row.updated_at = new, now
    _note(session, row, "renamed", {"name": name}, {"name": new}, by, now)


def archive(session: Session, name: str, *, by: str, now: datetime) -> None:
    """Put a segment away: nobody is in it any more, nobody is told.

    Raises:
        RefusedError: workflows or broadcasts that run use it.
    """
    row = _locked(session, name)
    if row.archived_at is not None:
        return
    _unused(session, name, "archived")
    row.archived_at = row.updated_at = now
    row.members, row.cursor, row.due_at = 0, 0, None
    session.execute(delete(SegmentMember).where(SegmentMember.segment_id == row.id))
    _note(session, row, "archived", {}, {}, by, now)


def restore(session: Session, name: str, *, by: str, now: datetime) -> None:
    """Take an archived segment out again; it is filled as if it were new, and nobody is told."""
    row = _locked(session, name)
    if row.archived_at is None:
        return
    row.archived_at, row.updated_at = None, now
    row.due_at, row.cursor, row.silent, row.refreshed_at = now, 0, True, None
    _note(session, row, "restored", {}, {}, by, now)
    signal(session, "segments")


def refresh(session: Session, name: str, now: datetime) -> None:
    """Have everybody looked at anew at the next batch of the stage."""
    row = _locked(session, name)
    if row.archived_at is None and not row.cursor:
        row.due_at = now
        signal(session, "segments")


def duplicate(session: Session, name: str, new: str, *, by: str, now: datetime) -> Segment:
    """The same condition under another name; raises as `create` does."""
    row = named(session, name)
    return create(session, new, row.title, row.source, by=by, now=now)


_WORKFLOWS = text(
    """
    SELECT DISTINCT w.name FROM workflows w
    JOIN workflow_versions v ON v.workspace_id = w.workspace_id AND v.workflow_id = w.id
    WHERE w.workspace_id = :workspace_id
        AND ((w.status IN ('live', 'paused') AND v.id = w.live_version_id) OR EXISTS (
            SELECT 1 FROM enrollments e WHERE e.workspace_id = w.workspace_id AND e.workflow_id = w.id
                AND e.version_id = v.id AND e.status = 'active'))
        AND (jsonb_path_exists(v.program, '$.entry[*] ? (@.segment == $name)',
                jsonb_build_object('name', CAST(:name AS text)))
            OR jsonb_path_exists(v.program,
                '$.** ? (@.field == "contact.segments" || @.field == "event.segment").value.** ? (@.text == $name)',
                jsonb_build_object('name', CAST(:name AS text))))
    ORDER BY 1
    """
)


_BROADCASTS = text(
    """
    SELECT name FROM broadcasts WHERE workspace_id = :workspace_id AND segment = :name AND next_at IS NOT NULL
    ORDER BY name
    """
)


def used_by(session: Session, name: str) -> list[str]:
    """Workflows that take people in or hold somebody on a version that names this segment; one query."""
    return [row.name for row in session.execute(_WORKFLOWS, {"workspace_id": workspace_of(session), "name": name})]


def broadcast_to(session: Session, name: str) -> list[str]:
    """Broadcasts to this segment that are still to go out; one query."""
    return [row.name for row in session.execute(_BROADCASTS, {"workspace_id": workspace_of(session), "name": name})]


def history(session: Session, segment: Segment) -> Sequence[SegmentChange]:
    """Its changes, newest first; one query."""
    return session.scalars(
        select(SegmentChange).where(SegmentChange.segment_id == segment.id).order_by(SegmentChange.id.desc())
    ).all()


def condition_of(segment: Segment) -> Condition:
    """What it asks."""
    return from_json(segment.condition)


def _define(row: Segment, definition: Definition, now: datetime, backfill: bool) -> None:
    row.source, row.condition = definition.source, to_json(definition.condition)
    row.rests_on, row.updated_at = definition.rests_on, now
    row.due_at, row.cursor, row.silent = now, 0, not backfill


def _locked(session: Session, name: str) -> Segment:
    found = session.scalar(select(Segment).where(Segment.name == name).with_for_update())
    if found is None:
        raise UnknownSegmentError(f"There is no segment {name!r}.")
    return found


def _free(session: Session, name: str) -> None:
    if not NAME.fullmatch(name) or len(name) > 80:
        raise RefusedError("A name is small letters and digits, with single dashes between them: past-guests.")
    if session.scalar(select(Segment.id).where(Segment.name == name)) is not None:
        raise RefusedError(f"There is a segment {name!r} already.")


def _unused(session: Session, name: str, what: str) -> None:
    users = [*used_by(session, name), *broadcast_to(session, name)]
    if users:
        raise RefusedError(f"{name} cannot be {what}: {', '.join(users)} rest on it.", users)


def _note(
    session: Session, row: Segment, what: str, before: dict[str, Any], after: dict[str, Any], by: str, now: datetime
) -> None:
    session.add(
        SegmentChange(
            workspace_id=row.workspace_id, segment_id=row.id, what=what, before=before, after=after, by=by, at=now
        )
    )
