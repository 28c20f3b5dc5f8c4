"""What people have asked of us about their data, and how far the keeping periods have been looked after."""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.db import IMPERSONAL, PERSONAL, Base, Instant, Json, Owned, Plain, RowId

KINDS = ("export", "erasure")
STATES = ("asked", "confirmed", "done", "expired")
"""asked: a link has gone to the person's own address. confirmed: it was them; an erasure waits for its receipt to
leave. done. expired: the link was not used in time, or another one has taken its place."""


class RightsRequest(Owned, Base):
    """Somebody asked for their data, or to be erased (R50, R51); the row outlives the data, as it holds none."""

    __tablename__ = "rights_requests"

    contact_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, sort_order=-1)
    id: Mapped[RowId]
    kind: Mapped[Plain]
    state: Mapped[Plain]
    by: Mapped[Plain]
    """`person`, or who of the team did it for them."""
    language: Mapped[Plain]
    """What its mails are written in."""
    identity: Mapped[str | None] = mapped_column(info=PERSONAL)
    """How we know that it was them: `mailbox`, or what a colleague has looked at."""
    why: Mapped[str | None] = mapped_column(info=PERSONAL)
    asked_at: Mapped[Instant]
    answer_by: Mapped[Instant]
    """One month after it was asked (GDPR 12(3))."""
    confirmed_at: Mapped[Instant | None]
    next_at: Mapped[Instant | None]
    """When the stage looks again: the link is over, the receipt has left, or other systems have been told."""
    message_pk: Mapped[int | None] = mapped_column(BigInteger)
    """The mail with the link; of a confirmed erasure, the receipt."""
    done_at: Mapped[Instant | None]
    receipt: Mapped[Json | None] = mapped_column(JSONB, info=IMPERSONAL)
    """What was emptied and what is kept, in numbers, by table; no data of the person."""

    __table_args__ = (
        CheckConstraint("kind IN (" + ", ".join(f"'{kind}'" for kind in KINDS) + ")", name="kind"),
        CheckConstraint("state IN (" + ", ".join(f"'{state}'" for state in STATES) + ")", name="state"),
        Index("ix_rights_requests_list", "workspace_id", "id"),
        Index("ix_rights_requests_due", "workspace_id", "next_at", postgresql_where=text("next_at IS NOT NULL")),
    )


class RetentionMark(Owned, Base):
    """How far one keeping period of a workspace has been looked after today (R53)."""

    __tablename__ = "retention_marks"

    task: Mapped[Plain] = mapped_column(primary_key=True)
    due_at: Mapped[Instant]
    """When it is looked at next."""
    after_id: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    """Within a round that is not finished: the last row dealt with."""
    removed: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    """Rows emptied or deleted in the last whole round."""
    counting: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    """The same in the present one."""
    finished_at: Mapped[Instant | None]
    """When the last whole round ended."""
    begun_at: Mapped[Instant | None]
    """When the present round began: all its batches count back from there."""
    done_until: Mapped[Instant | None]
    """What came of age before this instant has been dealt with."""

    __table_args__ = (Index("ix_retention_marks_due", "workspace_id", "due_at"),)
