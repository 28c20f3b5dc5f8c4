"""What happened when a message was handed over, and what became of it."""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Index, LargeBinary, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.db import IMPERSONAL, PERSONAL, Base, Day, Instant, Json, JsonList, Owned, Plain, RowId, Words
from app.sealed import SEALED


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


class HitWork(Owned, Base):
    """A mail that was opened or clicked, until it is settled who did; see `delivery/hits.py`."""

    __tablename__ = "hits"

    contact_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, sort_order=-1)
    message_pk: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    due_at: Mapped[Instant]

    __table_args__ = (Index("ix_hits_due", "workspace_id", "due_at"),)


class Sender(Owned, Base):
    """A provider: as a way out, as the one whose webhooks come in, or as both."""

    __tablename__ = "senders"

    id: Mapped[RowId]
    public_id: Mapped[Plain]
    """Its part of the webhook's address, which nobody guesses."""
    name: Mapped[Plain]
    provider: Mapped[Plain]
    secrets: Mapped[Json] = mapped_column(JSONB, server_default=text("'{}'::jsonb"), info=SEALED)
    """keys, basic, networks: lists of what proves its webhooks, sealed."""
    created_at: Mapped[Instant]
    last_at: Mapped[Instant | None]
    last_outcome: Mapped[Plain | None]
    """Of the last webhook, to the minute: taken, or why it was refused."""
    credentials: Mapped[Plain | None] = mapped_column(info=SEALED)
    """What it sends with, as JSON, sealed; None: nothing is sent by it."""
    options: Mapped[Json] = mapped_column(JSONB, server_default=text("'{}'::jsonb"), info=IMPERSONAL)
    """What its provider must be told besides: region, domain ...; see `providers/writers.py`."""
    streams: Mapped[Words] = mapped_column(server_default=text("'{}'::text[]"), info=IMPERSONAL)
    """What goes out by it: service, marketing, or both."""
    position: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    """Its place in the order in which the ways out of a stream are tried."""
    active: Mapped[bool] = mapped_column(server_default=text("true"))
    failures: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    """Requests that came to nothing, one after the other; see `delivery/circuit.py`."""
    open_until: Mapped[Instant | None]
    """While it lies ahead nothing is sent by it; once it has passed, one mail tries."""
    last_error: Mapped[Plain | None]
    """What went wrong last, in the provider's words, without addresses."""
    last_error_at: Mapped[Instant | None]
    last_sent_at: Mapped[Instant | None]
    """When it took a mail last, to the minute."""

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


class SenderIdentity(Owned, Base):
    """Somebody mails come from: a name and an address of the controller's (R24), for one stream."""

    __tablename__ = "sender_identities"

    id: Mapped[RowId]
    name: Mapped[Plain]
    names: Mapped[Json] = mapped_column(JSONB, server_default=text("'{}'::jsonb"), info=IMPERSONAL)
    """Language → the name in it, where it differs."""
    email: Mapped[Plain]
    reply_to: Mapped[Plain | None]
    property_id: Mapped[int | None] = mapped_column(BigInteger)
    """None: of every property that has none of its own."""
    stream: Mapped[Plain]
    """marketing or service."""
    position: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    active: Mapped[bool] = mapped_column(server_default=text("true"))
    verified_at: Mapped[Instant | None]
    """Nothing goes out as it before."""
    verified_how: Mapped[Plain | None]
    """mail (its link was followed and the button pressed), domain (the domain is proven) or given (it was the
    property's sender before)."""
    asked_at: Mapped[Instant | None]
    """When the mail with the link last went to it."""
    created_at: Mapped[Instant]
    updated_at: Mapped[Instant]

    __table_args__ = (Index("ix_sender_identities_list", "workspace_id", "position", "id"),)


class SenderDomain(Owned, Base):
    """A domain that mails come from, and what DNS said of it when somebody last looked (R30)."""

    __tablename__ = "sender_domains"

    id: Mapped[RowId]
    name: Mapped[Plain]
    """Lower case, ASCII."""
    spf: Mapped[Plain | None]
    """The SPF mechanism that names our way out, such as include:spf.example.net or ip4:192.0.2.7."""
    selectors: Mapped[Words] = mapped_column(server_default=text("'{}'::text[]"), info=IMPERSONAL)
    """Selectors under which the provider signs for the domain by itself."""
    checks: Mapped[Json] = mapped_column(JSONB, server_default=text("'{}'::jsonb"), info=IMPERSONAL)
    """Name of a check → what `dns_check.Result` says, and since when."""
    checked_at: Mapped[Instant | None]
    next_check_at: Mapped[Instant | None]
    """None: not by itself (a name that is in no public DNS)."""
    failing_since: Mapped[Instant | None]
    """Since when a check that is needed has not passed, in a domain in use."""
    marketing_at: Mapped[Instant | None]
    """Since when it may be used for marketing."""
    marketing_how: Mapped[Plain | None]
    """checks (they passed), in_use (it was used before there were checks) or insisted (a person answers for it)."""
    marketing_by: Mapped[Plain | None]
    marketing_note: Mapped[Plain | None]
    created_at: Mapped[Instant]

    __table_args__ = (
        UniqueConstraint("workspace_id", "name"),
        Index("ix_sender_domains_due", "next_check_at", postgresql_where=text("next_check_at IS NOT NULL")),
    )


DKIM_PHASES = ("new", "active", "retiring", "withdrawn")
"""new: made, to be published. active: seen in DNS, signs. retiring: signs no more, its record stays for mails on their
way. withdrawn: its record may go."""


class DkimKey(Owned, Base):
    """A key that signs mails of a domain; its private half is sealed under the house's secret."""

    __tablename__ = "dkim_keys"

    id: Mapped[RowId]
    domain_id: Mapped[int] = mapped_column(BigInteger)
    selector: Mapped[Plain]
    algorithm: Mapped[Plain]
    """rsa-sha256 or ed25519-sha256."""
    bits: Mapped[int] = mapped_column(BigInteger)
    public: Mapped[Plain]
    """What follows p= in the record."""
    sealed: Mapped[str] = mapped_column(info=SEALED)
    phase: Mapped[Plain] = mapped_column(server_default="new")
    seen_at: Mapped[Instant | None]
    """When its record was first seen in DNS; never used before."""
    lost_at: Mapped[Instant | None]
    """Since when the record of a key that signs is not seen any more: shown, and the key goes on signing."""
    used_from: Mapped[Instant | None]
    used_until: Mapped[Instant | None]
    withdrawn_at: Mapped[Instant | None]
    created_at: Mapped[Instant]

    __table_args__ = (
        UniqueConstraint("workspace_id", "domain_id", "selector"),
        CheckConstraint("phase IN (" + ", ".join(f"'{phase}'" for phase in DKIM_PHASES) + ")", name="phase"),
    )


class WarmUp(Owned, Base):
    """A new domain that mailbox providers are to get used to: so many mails a day, more each day."""

    __tablename__ = "warm_ups"

    id: Mapped[RowId]
    domain_id: Mapped[int] = mapped_column(BigInteger)
    zone: Mapped[Plain]
    """Whose days it counts."""
    started_on: Mapped[Day] = mapped_column(info=IMPERSONAL)
    plan: Mapped[JsonList] = mapped_column(JSONB, info=IMPERSONAL)
    """What is allowed on the first day, the second ...; after the last it is over."""
    service: Mapped[bool] = mapped_column(server_default=text("false"))
    """Whether service mails count and wait too."""
    skipped: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    """Days that a person has skipped (positive) or that passed in a pause (negative)."""
    paused_at: Mapped[Instant | None]
    ended_at: Mapped[Instant | None]
    sent: Mapped[Json] = mapped_column(JSONB, server_default=text("'{}'::jsonb"), info=IMPERSONAL)
    """Day → how many were let go on it."""
    booked: Mapped[Instant | None]
    """The last instant that has been promised to a mail that waits."""
    created_at: Mapped[Instant]
    created_by: Mapped[Plain]

    __table_args__ = (Index("ix_warm_ups_domain", "workspace_id", "domain_id"),)


class TrialAddress(Owned, Base):
    """An address of the house's own that test mails may go to beside the team's (R64)."""

    __tablename__ = "test_addresses"

    id: Mapped[RowId]
    email: Mapped[str] = mapped_column(info=PERSONAL)
    verified_at: Mapped[Instant | None]
    asked_at: Mapped[Instant | None]
    created_at: Mapped[Instant]
    created_by: Mapped[Plain]

    __table_args__ = (UniqueConstraint("workspace_id", "email"),)
