"""What was reported, by whom, and what is still to be looked at by the entry rules."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Index, LargeBinary, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TEXT
from sqlalchemy.orm import Mapped, mapped_column

from app.db import IMPERSONAL, PERSONAL, Base, Instant, Json, JsonList, Owned, Plain, RowId
from app.sealed import SEALED


class Source(Owned, Base):
    """A backend system that reports events: a booking engine, a PMS, a shop."""

    __tablename__ = "sources"

    id: Mapped[RowId]
    slug: Mapped[Plain]
    name: Mapped[Plain]
    property_id: Mapped[int | None] = mapped_column(BigInteger)
    """The property its events speak of where they name none."""
    webhook_secrets: Mapped[JsonList] = mapped_column(JSONB, server_default=text("'[]'::jsonb"), info=SEALED)
    """At most two live: {secret (encrypted), created_at, expires_at}."""
    active: Mapped[bool] = mapped_column(server_default=text("true"))
    last_event_at: Mapped[Instant | None]
    clock_ahead_at: Mapped[Instant | None]
    """When it last dated an event more than five minutes into the future (X15)."""
    created_at: Mapped[Instant]

    __table_args__ = (UniqueConstraint("workspace_id", "slug"),)


class ApiKey(Owned, Base):
    """A bearer key of a source; only its SHA-256 is kept."""

    __tablename__ = "api_keys"

    id: Mapped[RowId]
    source_id: Mapped[int] = mapped_column(BigInteger)
    prefix: Mapped[Plain] = mapped_column(unique=True)
    """The first, public part of the key: finds the row."""
    secret_hash: Mapped[bytes] = mapped_column(LargeBinary, info=IMPERSONAL)
    scopes: Mapped[list[str]] = mapped_column(ARRAY(TEXT), info=IMPERSONAL)
    """events:write, contacts:read, contacts:write, messages:read ..."""
    label: Mapped[Plain] = mapped_column(server_default="")
    created_at: Mapped[Instant]
    last_used_at: Mapped[Instant | None]
    revoked_at: Mapped[Instant | None]


class ApiAnswer(Owned, Base):
    """What a request with an Idempotency-Key was answered, so that the same request again changes nothing."""

    __tablename__ = "api_answers"

    source_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    key: Mapped[Plain] = mapped_column(primary_key=True)
    asked: Mapped[bytes] = mapped_column(LargeBinary, info=IMPERSONAL)
    """A hash of the operation and the body: the same key for something else is refused."""
    answer: Mapped[Json | None] = mapped_column(JSONB, info=IMPERSONAL)
    at: Mapped[Instant]

    __table_args__ = (Index("ix_api_answers_at", "workspace_id", "at"),)


class EventKey(Owned, Base):
    """Once per (source, id) for ever: outlives the events themselves, whose partitions may be dropped."""

    __tablename__ = "event_keys"

    source_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    event_id: Mapped[Plain] = mapped_column(primary_key=True)
    body_hash: Mapped[bytes] = mapped_column(LargeBinary, info=IMPERSONAL)
    received_at: Mapped[Instant]


class EventConflict(Owned, Base):
    """The same id came again with another body (X18): kept to be looked at."""

    __tablename__ = "event_conflicts"

    id: Mapped[RowId]
    source_id: Mapped[int] = mapped_column(BigInteger)
    event_id: Mapped[Plain]
    body: Mapped[Json] = mapped_column(JSONB, info=PERSONAL)
    received_at: Mapped[Instant]


class Event(Owned, Base):
    """An immutable fact. Partitioned by month of `received_at`."""

    __tablename__ = "events"

    contact_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, sort_order=-1)
    """0 while quarantined."""
    id: Mapped[RowId]
    received_at: Mapped[Instant] = mapped_column(primary_key=True)
    source_id: Mapped[int | None] = mapped_column(BigInteger)
    """None: our own event (a click, a change of consent)."""
    event_id: Mapped[Plain]
    type: Mapped[Plain]
    occurred_at: Mapped[Instant]
    """As claimed."""
    ordered_at: Mapped[Instant]
    """What it is ordered by: `occurred_at`, or `received_at` where the claim lies in the future (X15)."""
    sequence: Mapped[int | None] = mapped_column(BigInteger)
    property_id: Mapped[int | None] = mapped_column(BigInteger)
    booking_id: Mapped[int | None] = mapped_column(BigInteger)
    booking_reference: Mapped[str | None] = mapped_column(info=PERSONAL)
    unmapped: Mapped[bool] = mapped_column(server_default=text("false"))
    """Its type is not in the catalogue."""
    quarantined: Mapped[Plain | None]
    """Why the event is kept but not acted on (X15: dated more than a day ahead)."""
    data: Mapped[dict[str, Any]] = mapped_column(JSONB, info=PERSONAL)

    __table_args__ = (
        Index("ix_events_contact", "workspace_id", "contact_id", "ordered_at"),
        Index(
            "ix_events_booking",
            "workspace_id",
            "booking_id",
            "type",
            postgresql_where=text("booking_id IS NOT NULL"),
        ),
        {"postgresql_partition_by": "RANGE (received_at)"},
    )


class EventWork(Owned, Base):
    """An event that the entry rules have not looked at yet; the row goes when they have."""

    __tablename__ = "event_work"

    contact_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, sort_order=-1)
    event_pk: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    received_at: Mapped[Instant]
    not_before: Mapped[Instant | None]
    """Set when looking at it failed: it steps aside for an hour so that it never stops the line."""
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    error: Mapped[str | None] = mapped_column(info=PERSONAL)

    __table_args__ = (Index("ix_event_work_order", "workspace_id", "event_pk"),)
