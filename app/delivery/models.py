"""What happened when a message was handed over, and what became of it."""

from __future__ import annotations

from sqlalchemy import BigInteger, Index, LargeBinary, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.db import IMPERSONAL, PERSONAL, Base, Instant, Json, Owned, Plain, RowId


class Attempt(Owned, Base):
    """One try to hand one message to a transport."""

    __tablename__ = "attempts"

    contact_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, sort_order=-1)
    id: Mapped[RowId]
    message_pk: Mapped[int] = mapped_column(BigInteger)
    number: Mapped[int]
    transport: Mapped[Plain]
    outcome: Mapped[Plain]
    """accepted, transient, permanent or unknown."""
    code: Mapped[Plain | None]
    """SMTP reply and enhanced status, such as 550 5.1.1."""
    detail: Mapped[str | None] = mapped_column(info=PERSONAL)
    at: Mapped[Instant]

    __table_args__ = (Index("ix_attempts_message", "workspace_id", "message_pk"),)


class DeliveryEvent(Owned, Base):
    """What became of a message. Partitioned by month of `received_at`."""

    __tablename__ = "delivery_events"

    contact_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, sort_order=-1)
    id: Mapped[RowId]
    received_at: Mapped[Instant] = mapped_column(primary_key=True)
    message_pk: Mapped[int] = mapped_column(BigInteger)
    kind: Mapped[Plain]
    """accepted, delivered, deferred, bounced, complained, opened, clicked, unsubscribed, rejected or unknown."""
    reason: Mapped[Plain | None]
    occurred_at: Mapped[Instant]
    provider: Mapped[Plain]
    dedupe: Mapped[Plain]
    """The provider's id of this event, or a hash of it."""
    data: Mapped[Json] = mapped_column(JSONB, server_default=text("'{}'::jsonb"), info=PERSONAL)

    __table_args__ = (
        Index("ix_delivery_events_message", "workspace_id", "message_pk"),
        {"postgresql_partition_by": "RANGE (received_at)"},
    )


class Sender(Owned, Base):
    """A way out by a provider, as far as its webhooks are concerned: where they come in and what proves them."""

    __tablename__ = "senders"

    id: Mapped[RowId]
    public_id: Mapped[Plain]
    """Its part of the webhook's address, which nobody guesses."""
    name: Mapped[Plain]
    provider: Mapped[Plain]
    secrets: Mapped[Json] = mapped_column(JSONB, server_default=text("'{}'::jsonb"), info=IMPERSONAL)
    """keys, basic: lists of secrets, sealed."""
    created_at: Mapped[Instant]
    last_at: Mapped[Instant | None]
    last_outcome: Mapped[Plain | None]
    """Of the last request, to the minute: taken, or why it was refused."""

    __table_args__ = (
        UniqueConstraint("workspace_id", "name"),
        Index("uq_senders_public_id", "public_id", unique=True),
    )


class UnmatchedReport(Owned, Base):
    """What a provider said of a mail that is none of this workspace's: kept to be looked at, acted on by nobody."""

    __tablename__ = "unmatched_reports"

    id: Mapped[RowId]
    sender_id: Mapped[int] = mapped_column(BigInteger)
    provider: Mapped[Plain]
    kind: Mapped[Plain]
    reason: Mapped[Plain | None]
    dedupe: Mapped[Plain]
    message_id: Mapped[Plain | None]
    provider_id: Mapped[Plain | None]
    occurred_at: Mapped[Instant]
    received_at: Mapped[Instant]
    data: Mapped[Json] = mapped_column(JSONB, info=PERSONAL)

    __table_args__ = (UniqueConstraint("workspace_id", "sender_id", "dedupe"),)


class CapturedMail(Owned, Base):
    """A mail kept by the `capture` transport instead of being sent."""

    __tablename__ = "captured_mails"

    contact_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, sort_order=-1)
    id: Mapped[RowId]
    message_pk: Mapped[int] = mapped_column(BigInteger)
    envelope_from: Mapped[str] = mapped_column(info=PERSONAL)
    envelope_to: Mapped[str] = mapped_column(info=PERSONAL)
    raw: Mapped[bytes] = mapped_column(LargeBinary, info=PERSONAL)
    """The whole message as it would have gone over the wire."""
    captured_at: Mapped[Instant]

    __table_args__ = (
        Index("uq_captured_mails_message", "workspace_id", "message_pk", unique=True),
        Index("ix_captured_mails_list", "workspace_id", "id"),
    )
