"""Segments over the API: listed, made, counted, and who is in them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType
from sqlalchemy import Row, and_, select
from sqlalchemy.orm import Session

from app.api.bodies import read, unfit
from app.api.pages import Wanted
from app.api.problems import ProblemError
from app.audience import catalogue, definitions, segments
from app.audience.catalogue import RefusedError, UnknownSegmentError
from app.audience.models import Segment, SegmentMember
from app.contacts.models import Contact
from app.events.incoming import Problem
from app.journey.places import LanguageError

SEGMENT = ("name", "title", "source", "members", "refreshed_at", "created_at", "updated_at")
COUNT_MS = 2_000
MOST_RULES = 20_000
"""Characters of a segment's rules."""

Rules = Annotated[Any, Meta(description="Groups `all`, `any` and `none` of lines; or the same as a YAML text.")]
Words = Annotated[str, Meta(min_length=1, max_length=200, pattern="^[^\x00]+$")]


class SegmentIn(Struct, forbid_unknown_fields=True):
    """A segment to be made."""

    name: Annotated[str, Meta(min_length=1, max_length=80, pattern="^[a-z][a-z0-9]*(-[a-z0-9]+)*$")]
    rules: Rules
    title: Annotated[dict[str, Words], Meta(description="By language: en, it.")] | UnsetType = UNSET
    backfill: bool = False


class CountIn(Struct, forbid_unknown_fields=True):
    """Rules to be counted."""

    rules: Rules


def listed(session: Session, asked: Wanted[str]) -> Sequence[Segment]:
    """Living segments by name. One query."""
    query = select(Segment).where(Segment.archived_at.is_(None)).order_by(Segment.name).limit(asked.limit + 1)
    return session.scalars(query.where(Segment.name > asked.after) if asked.after is not None else query).all()


def shown(segment: Segment) -> dict[str, Any]:
    """A segment as JSON."""
    return {name: getattr(segment, name) for name in SEGMENT}


def key(segment: Segment) -> str:
    """Where a segment stands in the list."""
    return segment.name


def one(session: Session, name: str) -> Segment:
    """A living segment by its name; raises ProblemError."""
    try:
        found = catalogue.named(session, name) if "\x00" not in name else None
    except UnknownSegmentError:
        found = None
    if found is None or found.archived_at is not None:
        raise ProblemError("not-found", "There is no segment of this name.")
    return found


def made(session: Session, given: Any, by: str, now: datetime) -> dict[str, Any]:
    """A new segment as JSON; raises ProblemError."""
    wanted = read(given, SegmentIn)
    title = {"en": wanted.name} if wanted.title is UNSET or not wanted.title else wanted.title
    if not set(title) <= {"en", "it"}:
        raise unfit("/title", "There are titles in en and it.", "Leave out the others.")
    try:
        row = catalogue.create(
            session, wanted.name, title, _source(wanted.rules), by=by, now=now, backfill=wanted.backfill
        )
    except RefusedError as error:
        raise unfit("/name", str(error), "Choose another name.") from None
    except LanguageError as error:
        raise _wrong(error) from None
    return shown(row)


def counted(session: Session, given: Any, now: datetime) -> dict[str, Any]:
    """How many people rules find now; raises ProblemError, and OperationalError where it takes too long."""
    wanted = read(given, CountIn)
    try:
        definition = definitions.read(_source(wanted.rules), definitions.vocabulary(session))
    except LanguageError as error:
        raise _wrong(error) from None
    found = segments.count(session, definition.condition, now, within_ms=COUNT_MS)
    return {"people": found.people, "inside": found.inside, "unknown": found.unknown, "at": now}


def members(session: Session, segment: Segment, asked: Wanted[int]) -> Sequence[Row[Any]]:
    """Who is in it, in the order of their numbers. One query."""
    same = and_(SegmentMember.workspace_id == Contact.workspace_id, SegmentMember.contact_id == Contact.id)
    query = (
        select(Contact.id, Contact.external_id, Contact.email, SegmentMember.since)
        .join(SegmentMember, same)
        .where(SegmentMember.segment_id == segment.id, SegmentMember.contact_id > (asked.after or 0))
        .order_by(SegmentMember.contact_id)
        .limit(asked.limit + 1)
    )
    return list(session.execute(query))


def shown_member(row: Row[Any]) -> dict[str, Any]:
    """A member as JSON."""
    return {"contact": row.external_id, "email": row.email, "since": row.since}


def member_key(row: Row[Any]) -> int:
    """Where a member stands in the list."""
    return int(row.id)


def _source(rules: Any) -> str:
    """The document that the studio shows, too."""
    if not isinstance(rules, str | dict) or not rules:
        raise unfit("/rules", "Rules are an object or a text.", 'Send {"all": ["contact.language == it"]}.')
    try:
        source = rules if isinstance(rules, str) else "".join(f"{line}\n" for line in _lines(rules, 0))
    except RecursionError:
        raise unfit("/rules", "They are too deeply nested.", "Send less.") from None
    if len(source) > MOST_RULES or "\x00" in source or "\\u0000" in source:
        raise unfit("/rules", f"They are longer than {MOST_RULES} characters, or hold U+0000.", "Send less.")
    return source


_PLAIN = re.compile(r"[A-Za-z][\w .=<>!\[\],-]*")


def _lines(group: Mapping[str, Any], depth: int) -> Iterator[str]:
    """A group as YAML, one line a rule."""
    room = "  " * depth
    for name, rules in group.items():
        yield f"{room}{_quoted(name)}:"
        for rule in rules if isinstance(rules, list) else [rules]:
            if isinstance(rule, dict) and rule:
                first, *rest = _lines(rule, depth + 2)
                yield f"{room}  - {first.strip()}"
                yield from rest
            else:
                yield f"{room}  - {_quoted(rule)}"


def _quoted(word: Any) -> str:
    if isinstance(word, str) and _PLAIN.fullmatch(word) and word == word.strip():
        return word
    return msgspec.json.encode(word).decode()


def _wrong(error: LanguageError) -> ProblemError:
    errors = [
        Problem("/rules", f"Line {one.line}, column {one.column}: {one.message}", one.cure or "See docs/segments.md.")
        for one in error.problems[:20]
    ]
    return ProblemError("invalid", "The rules do not fit.", errors)
