"""Workspaces and the people who work in them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.db import IMPERSONAL, PERSONAL, Base, Instant, Json, Owned, Plain, RowId


class Workspace(Base):
    """A client of an agency, or a hotel group: the hard boundary of all data."""

    __tablename__ = "workspaces"

    id: Mapped[RowId]
    slug: Mapped[Plain] = mapped_column(unique=True)
    name: Mapped[Plain]
    settings: Mapped[Json] = mapped_column(JSONB, server_default=text("'{}'::jsonb"), info=IMPERSONAL)
    """caps, quiet_hours, tracking policy: overrides of the defaults in `consent/rules.py`."""
    created_at: Mapped[Instant]


class User(Base):
    """A person who signs in to the studio."""

    __tablename__ = "users"

    id: Mapped[RowId]
    email: Mapped[str] = mapped_column(unique=True, info=PERSONAL)
    password: Mapped[str | None] = mapped_column(info=PERSONAL)
    """argon2id hash."""
    name: Mapped[str] = mapped_column(server_default="", info=PERSONAL)
    active: Mapped[bool] = mapped_column(server_default=text("true"))
    fs_uniquifier: Mapped[str] = mapped_column(unique=True, info=PERSONAL)
    """Changes when all sessions of the person must end."""
    language: Mapped[str | None] = mapped_column(info=PERSONAL)
    theme: Mapped[str | None] = mapped_column(info=PERSONAL)
    confirmed_at: Mapped[Instant | None]
    tf_primary_method: Mapped[str | None] = mapped_column(info=PERSONAL)
    tf_totp_secret: Mapped[str | None] = mapped_column(info=PERSONAL)
    mf_recovery_codes: Mapped[list[Any] | None] = mapped_column(JSONB, info=PERSONAL)
    created_at: Mapped[Instant]
    memberships: Mapped[list[Membership]] = relationship(back_populates="user", lazy="raise")


class Membership(Owned, Base):
    """What a person may do in a workspace."""

    __tablename__ = "memberships"

    user_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    role: Mapped[Plain]
    """owner, marketer, front_desk, analyst or privacy_officer."""
    created_at: Mapped[Instant]
    user: Mapped[User] = relationship(back_populates="memberships", lazy="raise")

    __table_args__ = (Index("ix_memberships_user_id", "user_id"),)
