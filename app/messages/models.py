"""One message to one recipient over one channel: planned, judged, composed, sent; and broadcasts, which are many."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKeyConstraint, Index, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.db import IMPERSONAL, PERSONAL, Base, Day, Instant, Json, JsonList, Owned, Plain, RowId

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

LANE = "\nCASE class\n    WHEN 'feedback'::text THEN 1\n    WHEN 'marketing'::text THEN 2\n    ELSE 0\nEND"
"""The lane of a message as a number; see `messages/lanes.py`. As PostgreSQL writes it, for the indexes' sake."""


class PropertyFacts(Owned, Base):
    """What a property said of itself when mails were composed; see `messages/properties.py`. Never changed."""

    __tablename__ = "property_facts"

    digest: Mapped[Plain] = mapped_column(primary_key=True)
    facts: Mapped[Json] = mapped_column(JSONB, info=IMPERSONAL)
    created_at: Mapped[Instant]


class Message(Owned, Base):
    """A message, from the plan to its end. Never deleted; every end has a reason (R61)."""

    __tablename__ = "messages"

    contact_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, sort_order=-1)
    id: Mapped[RowId]
    enrollment_id: Mapped[int | None] = mapped_column(BigInteger)
    workflow_id: Mapped[int | None] = mapped_column(BigInteger)
    version_id: Mapped[int | None] = mapped_column(BigInteger)
    step_id: Mapped[Plain | None]
    visit: Mapped[int] = mapped_column(server_default=text("1"))
    broadcast_id: Mapped[int | None] = mapped_column(BigInteger)
    """The broadcast it is a copy of; `step_id` is then the recipient's place in it."""
    property_id: Mapped[int | None] = mapped_column(BigInteger)
    booking_id: Mapped[int | None] = mapped_column(BigInteger)
    channel: Mapped[Plain] = mapped_column(server_default="email")
    template: Mapped[Plain]
    class_: Mapped[Plain] = mapped_column("class")
    """transactional, feedback, marketing or consent_request."""
    topic: Mapped[Plain | None]
    priority: Mapped[int] = mapped_column(server_default=text("50"))
    state: Mapped[Plain]
    reason: Mapped[Plain | None]
    """Code of the last verdict or outcome, such as no_consent, cap, quiet_hours, suppressed, too_late."""
    rule: Mapped[Plain | None]
    """The rule it rests on: R1, R46 ..."""
    verdict: Mapped[JsonList] = mapped_column(JSONB, server_default=text("'[]'::jsonb"), info=IMPERSONAL)
    """Every judgement in order: [{at, moment, checks: [{check, allowed, code, rule, inputs}], allowed}]."""
    basis: Mapped[Plain | None]
    """consent, soft_opt_in, contract ...; with `ledger_line` what the decision stood on."""
    ledger_line: Mapped[int | None] = mapped_column(BigInteger)
    planned_at: Mapped[Instant]
    due_at: Mapped[Instant]
    """Not before this instant: the plan's, or where deferring has put it, or the next try."""
    latest: Mapped[Instant | None]
    """Never after this instant (R59)."""
    terms: Mapped[Json | None] = mapped_column(JSONB, info=IMPERSONAL)
    """What its workflow or broadcast asks for in place of the workspace's own: caps, quiet_hours, tracking; and
    `channels`, in the order they are to be tried, where there are several; `attachments`, their names.
    Fixed when it was planned."""
    facts: Mapped[Json | None] = mapped_column(JSONB, info=PERSONAL)
    """What the mail was composed from: with the template version it gives the very mail again."""
    template_version_id: Mapped[int | None] = mapped_column(BigInteger)
    language: Mapped[Plain | None]
    address: Mapped[str | None] = mapped_column(info=PERSONAL)
    subject: Mapped[str | None] = mapped_column(info=PERSONAL)
    message_id: Mapped[Plain | None]
    """RFC 5322 Message-ID, the same at every try."""
    lease_until: Mapped[Instant | None]
    lease_token: Mapped[int | None] = mapped_column(BigInteger)
    """Fencing: only who holds the newest token may write the outcome."""
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    handed_over_at: Mapped[Instant | None]
    accepted_at: Mapped[Instant | None]
    ended_at: Mapped[Instant | None]
    provider_id: Mapped[Plain | None]
    delivered_at: Mapped[Instant | None]
    bounced_at: Mapped[Instant | None]
    complained_at: Mapped[Instant | None]
    clicked_at: Mapped[Instant | None]

    __table_args__ = (
        UniqueConstraint("workspace_id", "contact_id", "enrollment_id", "step_id", "visit", "channel"),
        ForeignKeyConstraint(["workspace_id", "contact_id"], ["contacts.workspace_id", "contacts.id"]),
        CheckConstraint("state IN (" + ", ".join(f"'{state}'" for state in STATES) + ")", name="state"),
        # By lane first: see `messages/lanes.py`.
        Index(
            "ix_messages_to_judge",
            "workspace_id",
            text(f"({LANE})"),
            "due_at",
            postgresql_where=text("state IN ('planned', 'deferred')"),
        ),
        Index(
            "ix_messages_to_send",
            "workspace_id",
            text(f"({LANE})"),
            "due_at",
            postgresql_where=text("state = 'ready'"),
        ),
        Index(
            "ix_messages_message_id",
            "workspace_id",
            "message_id",
            postgresql_where=text("message_id IS NOT NULL"),
        ),
        # A provider that writes its own Message-ID names the mail by its own id only.
        Index(
            "ix_messages_provider_id",
            "workspace_id",
            "provider_id",
            postgresql_where=text("provider_id IS NOT NULL"),
        ),
        Index(
            "ix_messages_leased",
            "workspace_id",
            "lease_until",
            postgresql_where=text("state IN ('leased', 'handed_over')"),
        ),
        # One copy for each recipient; and all of a broadcast, for its page. The step is the recipient's number when it
        # was frozen, so that the copies of two contacts that have become one stay two rows.
        Index(
            "uq_messages_broadcast",
            "workspace_id",
            "broadcast_id",
            "contact_id",
            "step_id",
            unique=True,
            postgresql_where=text("broadcast_id IS NOT NULL"),
        ),
        Index("ix_messages_list", "workspace_id", "id"),
        Index("ix_messages_workflow", "workspace_id", "workflow_id", "state"),
        # No index of its own for a person's or an enrollment's messages: the keys above begin with both, and each
        # index is paid for at every change of state.
    )


BROADCAST_STATES = ("draft", "scheduled", "sending", "paused", "sent", "stopped")
"""draft → scheduled → sending → sent; back from scheduled to draft; paused and resumed while sending; stopped for good
from scheduled, sending or paused. `sent`: everybody it was frozen for has been planned, and no message waits."""

TIMINGS = ("now", "at", "local")


class Broadcast(Owned, Base):
    """One template to one segment, once."""

    __tablename__ = "broadcasts"

    id: Mapped[RowId]
    name: Mapped[Plain]
    state: Mapped[Plain]
    template: Mapped[Plain]
    class_: Mapped[Plain] = mapped_column("class")
    """marketing, feedback or transactional; the template's own (R20)."""
    topic: Mapped[Plain | None]
    segment: Mapped[Plain | None]
    """None: everybody."""
    property_id: Mapped[int | None] = mapped_column(BigInteger)
    timing: Mapped[Plain]
    """now, at (an instant), or local (a clock time of each person's own day)."""
    starts_at: Mapped[Instant | None]
    """`at`: when. `now`: when it was confirmed. `local`: when the clock shows the hour first, anywhere on earth."""
    local_day: Mapped[Day | None] = mapped_column(info=IMPERSONAL)
    local_time: Mapped[Plain | None]
    """HH:MM."""
    window_hours: Mapped[int] = mapped_column(server_default=text("24"))
    """Nothing of it goes later than so long after its hour (R59)."""
    priority: Mapped[int] = mapped_column(server_default=text("40"))
    on_hit: Mapped[Plain] = mapped_column(server_default="defer")
    """defer or drop: what becomes of a copy that the frequency cap has no room for (R46)."""
    next_at: Mapped[Instant | None]
    """When the stage looks again; None: there is nothing for it to do."""
    frozen_at: Mapped[Instant | None]
    """When the segment was looked at: who enters it later is not written to, who leaves it later still is."""
    audience: Mapped[int] = mapped_column(server_default=text("0"))
    """People it was frozen for."""
    shared: Mapped[int] = mapped_column(server_default=text("0"))
    """People left out since somebody else in it reads the same address: one copy for each address (X12)."""
    planned: Mapped[int] = mapped_column(server_default=text("0"))
    all_planned_at: Mapped[Instant | None]
    cursor_at: Mapped[Instant | None]
    cursor_place: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    """Everybody due up to here has been planned; moves in the transaction of their messages."""
    preview: Mapped[Json | None] = mapped_column(JSONB, info=IMPERSONAL)
    """The last count made with the gate's own rules; see `messages/broadcast_preview.py`."""
    copied_from: Mapped[int | None] = mapped_column(BigInteger)
    created_by: Mapped[Plain]
    created_at: Mapped[Instant]
    updated_at: Mapped[Instant]
    confirmed_by: Mapped[Plain | None]
    confirmed_at: Mapped[Instant | None]
    confirmed_for: Mapped[int | None]
    """How many people were shown to who confirmed."""
    started_at: Mapped[Instant | None]
    paused_at: Mapped[Instant | None]
    ended_at: Mapped[Instant | None]
    """When the last of it had gone or been refused, or it was stopped."""
    ended_by: Mapped[Plain | None]

    @property
    def terms(self) -> dict[str, Any] | None:
        """What of it its messages carry to the gate; None: the workspace's own terms."""
        return {"caps": {"on_hit": self.on_hit}} if self.on_hit != "defer" else None

    __table_args__ = (
        CheckConstraint("state IN (" + ", ".join(f"'{state}'" for state in BROADCAST_STATES) + ")", name="state"),
        CheckConstraint("timing IN (" + ", ".join(f"'{timing}'" for timing in TIMINGS) + ")", name="timing"),
        Index("ix_broadcasts_list", "workspace_id", "id"),
        Index("ix_broadcasts_due", "workspace_id", "next_at", postgresql_where=text("next_at IS NOT NULL")),
    )


class BroadcastRecipient(Owned, Base):
    """Somebody a broadcast was frozen for, until all of it has been planned; then its messages tell."""

    __tablename__ = "broadcast_recipients"

    contact_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, sort_order=-1)
    broadcast_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    place: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    """The contact's number when it was frozen: it stays when two contacts become one, so that the rows of both fit."""
    due_at: Mapped[Instant]

    __table_args__ = (Index("ix_broadcast_recipients_next", "workspace_id", "broadcast_id", "due_at", "place"),)


class LeavingReason(Owned, Base):
    """Why somebody left, as they said afterwards, and by what mail: for figures alone. It names nobody."""

    __tablename__ = "leaving_reasons"

    id: Mapped[RowId]
    reason: Mapped[Plain]
    """One of `reasons.REASONS`."""
    template: Mapped[Plain]
    workflow_id: Mapped[int | None] = mapped_column(BigInteger)
    broadcast_id: Mapped[int | None] = mapped_column(BigInteger)
    at: Mapped[Instant]

    __table_args__ = (Index("ix_leaving_reasons_at", "workspace_id", "at"),)
