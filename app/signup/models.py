"""Sign-up forms, their published wordings, and what came in through them until it has been dealt with."""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Index, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.db import IMPERSONAL, PERSONAL, Base, Instant, Json, Owned, Plain, RowId

FORM_STATES = ("draft", "live", "closed")
"""draft: never shown to anybody; live: takes sign-ups; closed: says so, and takes none."""


class SignupForm(Owned, Base):
    """A form, and the wording that is being worked on."""

    __tablename__ = "signup_forms"

    id: Mapped[RowId]
    public_id: Mapped[Plain]
    """What its address ends in; random, so that forms cannot be counted or guessed."""
    name: Mapped[Plain]
    """What the team calls it."""
    property_id: Mapped[int] = mapped_column(BigInteger)
    state: Mapped[Plain]
    draft: Mapped[Json] = mapped_column(JSONB, info=IMPERSONAL)
    """The document as it is in the editor (`signup/document.py`)."""
    version: Mapped[int | None] = mapped_column(BigInteger)
    """The wording that is shown; None: none was published yet."""
    origins: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'"), info=IMPERSONAL)
    """Sites whose scripts may use it, and that may frame it: https://www.example.com."""
    said_yes: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    said_no: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    confirmed: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    """How many came in, and how many of the yeses were confirmed from the mailbox."""
    created_by: Mapped[Plain]
    created_at: Mapped[Instant]
    updated_at: Mapped[Instant]

    __table_args__ = (
        CheckConstraint("state IN (" + ", ".join(f"'{state}'" for state in FORM_STATES) + ")", name="state"),
        UniqueConstraint("public_id"),
    )


class SignupFormVersion(Owned, Base):
    """A wording as it was shown to people: never changed, for the ledger names it (R5). A trigger sees to it."""

    __tablename__ = "signup_form_versions"

    form_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    number: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    document: Mapped[Json] = mapped_column(JSONB, info=IMPERSONAL)
    published_by: Mapped[Plain]
    published_at: Mapped[Instant]


class Submission(Owned, Base):
    """What somebody sent through a form: received by the web, dealt with by the stage `signups`.

    It stays while a confirmation is awaited, for what was typed beside the address belongs to nobody until the mailbox
    has spoken; then it goes.
    """

    __tablename__ = "signup_submissions"

    id: Mapped[RowId]
    form_id: Mapped[int] = mapped_column(BigInteger)
    number: Mapped[int] = mapped_column(BigInteger)
    """The version whose words were shown."""
    contact_id: Mapped[int | None] = mapped_column(BigInteger)
    """Who it is; None until it was dealt with."""
    lines: Mapped[list[int]] = mapped_column(ARRAY(BigInteger), server_default=text("'{}'"), info=IMPERSONAL)
    """Pending lines of the ledger that a confirmation would name."""
    received_at: Mapped[Instant]
    due_at: Mapped[Instant | None]
    """When the stage takes it; None: it waits for the mailbox."""
    address: Mapped[str] = mapped_column(info=PERSONAL)
    language: Mapped[Plain]
    wants: Mapped[bool]
    """Yes to the newsletter; False: "No grazie"."""
    topics: Mapped[list[str]] = mapped_column(ARRAY(Text), info=IMPERSONAL)
    """What the yes, or the no, is about."""
    purposes: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'"), info=IMPERSONAL)
    """What was ticked besides: profiling, open_tracking, feedback (R3)."""
    method: Mapped[Plain]
    """web, desk_tablet or paper."""
    given: Mapped[Json] = mapped_column(JSONB, info=PERSONAL)
    """first_name; until it was dealt with also page, ip, user_agent, origin; effort (what held robots off); guardian;
    operator_id, scan_id at a desk. The ledger keeps of these what is proof."""

    __table_args__ = (
        Index("ix_signup_submissions_due", "workspace_id", "due_at", postgresql_where=text("due_at IS NOT NULL")),
        Index("ix_signup_submissions_form", "workspace_id", "form_id", "received_at"),
        Index("ix_signup_submissions_contact", "workspace_id", "contact_id"),
    )
