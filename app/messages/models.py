"""One message to one recipient over one channel: planned, judged, composed, sent."""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, ForeignKeyConstraint, Index, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.db import PERSONAL, Base, Instant, Json, JsonList, Owned, RowId

STATES = (
    "planned",
    "deferred",
    "ready",
    "leased",
    "handed_over",
    "accepted",
    "unknown",
    "refused",
    "cancelled",
    "failed",
)
"""See `messages/states.py` for the arrows between them."""


class PropertyFacts(Owned, Base):
    """What a property said of itself when mails were composed; see `messages/properties.py`. Never changed."""

    __tablename__ = "property_facts"

    digest: Mapped[str] = mapped_column(primary_key=True)
    facts: Mapped[Json] = mapped_column(JSONB)
    created_at: Mapped[Instant]


class Message(Owned, Base):
    """A message, from the plan to its end. Never deleted; every end has a reason (R61)."""

    __tablename__ = "messages"

    contact_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, sort_order=-1)
    id: Mapped[RowId]
    enrollment_id: Mapped[int | None] = mapped_column(BigInteger)
    workflow_id: Mapped[int | None] = mapped_column(BigInteger)
    version_id: Mapped[int | None] = mapped_column(BigInteger)
    step_id: Mapped[str | None]
    visit: Mapped[int] = mapped_column(server_default=text("1"))
    property_id: Mapped[int | None] = mapped_column(BigInteger)
    booking_id: Mapped[int | None] = mapped_column(BigInteger)
    channel: Mapped[str] = mapped_column(server_default="email")
    template: Mapped[str]
    class_: Mapped[str] = mapped_column("class")
    """transactional, feedback, marketing or consent_request."""
    topic: Mapped[str | None]
    priority: Mapped[int] = mapped_column(server_default=text("50"))
    state: Mapped[str]
    reason: Mapped[str | None]
    """Code of the last verdict or outcome, such as no_consent, cap, quiet_hours, suppressed, too_late."""
    rule: Mapped[str | None]
    """The rule it rests on: R1, R46 ..."""
    verdict: Mapped[JsonList] = mapped_column(JSONB, server_default=text("'[]'::jsonb"))
    """Every judgement in order: [{at, moment, checks: [{check, allowed, code, rule, inputs}], allowed}]."""
    basis: Mapped[str | None]
    """consent, soft_opt_in, contract ...; with `ledger_line` what the decision stood on."""
    ledger_line: Mapped[int | None] = mapped_column(BigInteger)
    planned_at: Mapped[Instant]
    due_at: Mapped[Instant]
    """Not before this instant: the plan's, or where deferring has put it, or the next try."""
    latest: Mapped[Instant | None]
    """Never after this instant (R59)."""
    facts: Mapped[Json | None] = mapped_column(JSONB, info=PERSONAL)
    """What the mail was composed from: with the template version it gives the very mail again."""
    template_version_id: Mapped[int | None] = mapped_column(BigInteger)
    language: Mapped[str | None]
    address: Mapped[str | None] = mapped_column(info=PERSONAL)
    subject: Mapped[str | None] = mapped_column(info=PERSONAL)
    message_id: Mapped[str | None]
    """RFC 5322 Message-ID, the same at every try."""
    lease_until: Mapped[Instant | None]
    lease_token: Mapped[int | None] = mapped_column(BigInteger)
    """Fencing: only who holds the newest token may write the outcome."""
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    handed_over_at: Mapped[Instant | None]
    accepted_at: Mapped[Instant | None]
    ended_at: Mapped[Instant | None]
    provider_id: Mapped[str | None]
    delivered_at: Mapped[Instant | None]
    bounced_at: Mapped[Instant | None]
    complained_at: Mapped[Instant | None]
    clicked_at: Mapped[Instant | None]

    __table_args__ = (
        UniqueConstraint("workspace_id", "contact_id", "enrollment_id", "step_id", "visit", "channel"),
        ForeignKeyConstraint(["workspace_id", "contact_id"], ["contacts.workspace_id", "contacts.id"]),
        CheckConstraint("state IN (" + ", ".join(f"'{state}'" for state in STATES) + ")", name="state"),
        Index(
            "ix_messages_to_judge",
            "workspace_id",
            "due_at",
            postgresql_where=text("state IN ('planned', 'deferred')"),
        ),
        # What somebody waits for goes first: service mail and confirmations, then marketing and feedback.
        Index(
            "ix_messages_to_send",
            "workspace_id",
            text("(class = ANY (ARRAY['marketing'::text, 'feedback'::text]))"),
            "due_at",
            postgresql_where=text("state = 'ready'"),
        ),
        Index(
            "ix_messages_message_id",
            "workspace_id",
            "message_id",
            postgresql_where=text("message_id IS NOT NULL"),
        ),
        Index(
            "ix_messages_leased",
            "workspace_id",
            "lease_until",
            postgresql_where=text("state IN ('leased', 'handed_over')"),
        ),
        Index("ix_messages_list", "workspace_id", "id"),
        Index("ix_messages_workflow", "workspace_id", "workflow_id", "state"),
        # No index of its own for a person's or an enrollment's messages: the keys above begin with both, and each
        # index is paid for at every change of state.
    )
