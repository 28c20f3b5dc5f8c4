"""Segments: named, living sets of contacts; who is in them; and whom a change may have moved."""

from __future__ import annotations

from sqlalchemy import BigInteger, ForeignKeyConstraint, Index, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TEXT
from sqlalchemy.orm import Mapped, mapped_column

from app.db import IMPERSONAL, Base, Instant, Json, Owned, Plain, RowId


class Segment(Owned, Base):
    """A named set of contacts, defined by a condition. What it was before is kept in `SegmentChange`."""

    __tablename__ = "segments"

    id: Mapped[RowId]
    name: Mapped[Plain]
    """What workflows and broadcasts call it, such as past-guests."""
    title: Mapped[Json] = mapped_column(JSONB, info=IMPERSONAL)
    source: Mapped[Plain]
    """The condition as a document holds it: YAML, one line a rule."""
    condition: Mapped[Json] = mapped_column(JSONB, info=IMPERSONAL)
    """The condition as `journey.conditions.to_json` writes it."""
    rests_on: Mapped[list[str]] = mapped_column(ARRAY(TEXT), server_default=text("'{}'"), info=IMPERSONAL)
    """What a change of which may move somebody: contact, booking, consent, engagement, event. Triggers read it."""
    members: Mapped[int] = mapped_column(server_default=text("0"))
    refreshed_at: Mapped[Instant | None]
    """When everybody was last looked at; None until the first time is over."""
    due_at: Mapped[Instant | None]
    """When everybody is to be looked at again; None: only changes move anybody."""
    cursor: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    """How far looking at everybody has come: the last contact's number; 0 between two times."""
    silent: Mapped[bool] = mapped_column(server_default=text("true"))
    """The present look at everybody tells nobody: it is the first after the condition was written."""
    archived_at: Mapped[Instant | None]
    created_at: Mapped[Instant]
    updated_at: Mapped[Instant]

    __table_args__ = (
        UniqueConstraint("workspace_id", "name"),
        Index("ix_segments_due", "workspace_id", "due_at", postgresql_where=text("archived_at IS NULL")),
    )


class SegmentChange(Owned, Base):
    """One change of a segment's definition: who, when, what it was and what it became."""

    __tablename__ = "segment_changes"

    id: Mapped[RowId]
    segment_id: Mapped[int] = mapped_column(BigInteger)
    what: Mapped[Plain]
    """created, condition, title, renamed, archived or restored."""
    before: Mapped[Json] = mapped_column(JSONB, info=IMPERSONAL)
    after: Mapped[Json] = mapped_column(JSONB, info=IMPERSONAL)
    by: Mapped[Plain]
    at: Mapped[Instant]

    __table_args__ = (
        Index("ix_segment_changes_segment", "workspace_id", "segment_id", "id"),
        ForeignKeyConstraint(["workspace_id", "segment_id"], ["segments.workspace_id", "segments.id"]),
    )


class SegmentMember(Owned, Base):
    """One person in one segment, since when. Merging does not move it: the next refresh looks at both anew."""

    __tablename__ = "segment_members"

    contact_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, sort_order=-1)
    segment_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    since: Mapped[Instant]

    __table_args__ = (
        Index("ix_segment_members_segment", "workspace_id", "segment_id", "contact_id"),
        ForeignKeyConstraint(["workspace_id", "segment_id"], ["segments.workspace_id", "segments.id"]),
    )


class ContactChange(Owned, Base):
    """Somebody of whom something changed that a segment rests on. Triggers write it, a refresh takes it away.

    A queue without keys of its own: two changes of one person are two rows, so that no writer ever waits for a refresh.
    """

    __tablename__ = "contact_changes"

    id: Mapped[RowId]
    contact_id: Mapped[int] = mapped_column(BigInteger)
    at: Mapped[Instant]

    __table_args__ = (Index("ix_contact_changes_at", "workspace_id", "at"),)
