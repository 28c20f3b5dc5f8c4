"""May we write: topics, the ledger of consent, requests for a confirmation, and suppressed addresses."""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, ForeignKeyConstraint, Index, LargeBinary, Text, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.db import IMPERSONAL, PERSONAL, Base, Instant, Json, Owned, Plain, RowId


class Topic(Owned, Base):
    """What a person can subscribe to."""

    __tablename__ = "topics"

    name: Mapped[Plain] = mapped_column(primary_key=True)
    title: Mapped[Json] = mapped_column(JSONB, info=IMPERSONAL)
    description: Mapped[Json] = mapped_column(JSONB, server_default=text("'{}'::jsonb"), info=IMPERSONAL)
    position: Mapped[int] = mapped_column(server_default=text("0"))
    about: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'"), info=IMPERSONAL)
    """What it speaks of: `stay`, `goods`. A paying customer's exception (R8) reaches a topic that speaks of the kind of
    thing they bought, and no other; empty: the exception never reaches it."""
    archived_at: Mapped[Instant | None]
    """No longer offered to anybody. The ledger goes on knowing it, so a topic is never deleted."""
    created_at: Mapped[Instant]


class ConsentRecord(Owned, Base):
    """One line of the ledger (R5): append-only, hash-chained per workspace. A trigger refuses UPDATE and DELETE."""

    __tablename__ = "consent_records"

    line: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    """1, 2, 3 ... in each workspace, without a gap."""
    contact_id: Mapped[int] = mapped_column(BigInteger)
    address: Mapped[str] = mapped_column(info=PERSONAL)
    """Normalised address the act is about."""
    channel: Mapped[Plain]
    purpose: Mapped[Plain]
    """marketing, profiling, open_tracking, feedback, third_party_sharing or notice (acknowledged; not a consent)."""
    topic: Mapped[Plain | None]
    """For purpose marketing: which topic; None: all of them."""
    state: Mapped[Plain]
    """pending, granted, denied, withdrawn, expired or objected (R10)."""
    method: Mapped[Plain]
    """web, desk_tablet, paper, phone, import, api, one_click, preference_centre, complaint, staff ..."""
    proof: Mapped[Json] = mapped_column(JSONB, info=PERSONAL)
    """controller, wording, wording_version, language, notice_version, notice_hash, page, ip, user_agent, operator_id,
    import_file, token_id, message_pk: what is known of R5's list."""
    requested_at: Mapped[Instant]
    confirmed_at: Mapped[Instant | None]
    recorded_at: Mapped[Instant]
    previous_state: Mapped[Plain | None]
    previous_hash: Mapped[bytes] = mapped_column(LargeBinary, info=IMPERSONAL)
    hash: Mapped[bytes] = mapped_column(LargeBinary, info=IMPERSONAL)
    """SHA-256 over the previous hash and this line's canonical JSON."""

    __table_args__ = (
        Index("ix_consent_records_contact", "workspace_id", "contact_id", "line"),
        Index(
            "ix_consent_records_refusals",
            "workspace_id",
            "address",
            postgresql_where=text("state IN ('denied', 'withdrawn', 'objected')"),
        ),
    )


class ChainCheck(Owned, Base):
    """How far the chain of a workspace was last found whole, so that a proof need not walk it from its beginning.

    `flask consent verify` knows nothing of it: whoever can alter the ledger could alter this too.
    """

    __tablename__ = "chain_checks"

    workspace_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    line: Mapped[int] = mapped_column(BigInteger)
    hash: Mapped[bytes] = mapped_column(LargeBinary, info=IMPERSONAL)
    """Of that line."""
    at: Mapped[Instant]


class ConsentWords(Owned, Base):
    """What conditions call `consent` of one address (`fold.words`): the ledger folded, for SQL to read.

    Written by `ledger.append` in the statement that writes the lines, so the two never differ. It belongs to the
    contact whose lines it folds and is not moved when contacts are merged: the winner's is folded anew.
    """

    __tablename__ = "consent_words"

    contact_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, sort_order=-1)
    address: Mapped[str] = mapped_column(primary_key=True, info=PERSONAL)
    words: Mapped[Json] = mapped_column(JSONB, info=PERSONAL)
    """topic or purpose -> granted, pending, denied, withdrawn, objected or expired."""
    updated_at: Mapped[Instant]


REQUEST_STATES = ("pending", "confirmed", "refused", "expired", "deleted")


class ConsentRequest(Owned, Base):
    """A request for a confirmation from the mailbox (R6): what its one reminder, its end and the deletion go by.

    The ledger says what holds; this says only when to look at it again.
    """

    __tablename__ = "consent_requests"

    contact_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, sort_order=-1)
    id: Mapped[RowId]
    lines: Mapped[list[int]] = mapped_column(ARRAY(BigInteger), info=IMPERSONAL)
    """The pending lines of the ledger."""
    topics: Mapped[list[str]] = mapped_column(ARRAY(Text), info=IMPERSONAL)
    purposes: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'"), info=IMPERSONAL)
    """What else the person is to confirm: profiling, open_tracking, feedback (R3)."""
    address: Mapped[str] = mapped_column(info=PERSONAL)
    channel: Mapped[Plain]
    method: Mapped[Plain]
    property_id: Mapped[int | None] = mapped_column(BigInteger)
    template: Mapped[Plain]
    """Empty: the mail is another system's affair, which reported the request."""
    mail_due: Mapped[bool] = mapped_column(server_default=text("false"))
    """The first mail has still to be planned, by the stage: the request was reported by who cannot plan mails."""
    state: Mapped[Plain]
    reminder: Mapped[bool]
    """Whether it may be reminded of; not where a refusal stands, as somebody else may have typed the address."""
    reminded_at: Mapped[Instant | None]
    asked_at: Mapped[Instant]
    next_at: Mapped[Instant | None]
    """When the stage `signups` looks at it: to remind, to end it, to delete; None: nothing more comes of it."""
    ended_at: Mapped[Instant | None]

    __table_args__ = (
        CheckConstraint("state IN (" + ", ".join(f"'{state}'" for state in REQUEST_STATES) + ")", name="state"),
        ForeignKeyConstraint(["workspace_id", "contact_id"], ["contacts.workspace_id", "contacts.id"]),
        Index("ix_consent_requests_due", "workspace_id", "next_at", postgresql_where=text("next_at IS NOT NULL")),
    )


class Suppression(Owned, Base):
    """An address that must not be written to, whatever else says yes (R37)."""

    __tablename__ = "suppressions"

    id: Mapped[RowId]
    channel: Mapped[Plain]
    address_hash: Mapped[bytes] = mapped_column(LargeBinary, info=IMPERSONAL)
    """Keyed hash of the normalised address: survives erasure."""
    reason: Mapped[Plain]
    """unsubscribe, complaint, hard_bounce, soft_bounces, erased, manual."""
    scope: Mapped[Plain]
    """all: nothing at all may go; marketing: marketing and feedback may not."""
    detail: Mapped[Json] = mapped_column(JSONB, server_default=text("'{}'::jsonb"), info=PERSONAL)
    recorded_at: Mapped[Instant]
    lifted_at: Mapped[Instant | None]
    lifted_why: Mapped[str | None] = mapped_column(info=PERSONAL)

    __table_args__ = (
        Index(
            "uq_suppressions_live",
            "workspace_id",
            "channel",
            "address_hash",
            "reason",
            unique=True,
            postgresql_where=text("lifted_at IS NULL"),
        ),
    )
