"""Templates and their published versions."""

from __future__ import annotations

from sqlalchemy import BigInteger, ForeignKeyConstraint, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base, Instant, Json, Owned, RowId


class Template(Owned, Base):
    """A template by its name; what is sent is its live version."""

    __tablename__ = "templates"

    id: Mapped[RowId]
    name: Mapped[str]
    title: Mapped[Json] = mapped_column(JSONB)
    class_: Mapped[str] = mapped_column("class")
    topic: Mapped[str | None]
    phase: Mapped[str]
    live_version_id: Mapped[int | None] = mapped_column(BigInteger)
    created_at: Mapped[Instant]
    updated_at: Mapped[Instant]

    __table_args__ = (UniqueConstraint("workspace_id", "name"),)


class TemplateVersion(Owned, Base):
    """An immutable published version: sources as written, languages as compiled."""

    __tablename__ = "template_versions"

    id: Mapped[RowId]
    template_id: Mapped[int] = mapped_column(BigInteger)
    number: Mapped[int]
    source: Mapped[Json] = mapped_column(JSONB)
    """file name -> text, with every layout and block it includes."""
    compiled: Mapped[Json] = mapped_column(JSONB)
    """content.compile.Compiled as JSON."""
    content_hash: Mapped[str]
    published_at: Mapped[Instant]
    published_by: Mapped[str]

    __table_args__ = (
        UniqueConstraint("workspace_id", "template_id", "number"),
        ForeignKeyConstraint(["workspace_id", "template_id"], ["templates.workspace_id", "templates.id"]),
    )
