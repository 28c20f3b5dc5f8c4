"""Templates and their published versions."""

from __future__ import annotations

from sqlalchemy import BigInteger, ForeignKeyConstraint, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.db import IMPERSONAL, Base, Instant, Json, Owned, Plain, RowId


class Template(Owned, Base):
    """A template by its name; what is sent is its live version."""

    __tablename__ = "templates"

    id: Mapped[RowId]
    name: Mapped[Plain]
    title: Mapped[Json] = mapped_column(JSONB, info=IMPERSONAL)
    class_: Mapped[Plain] = mapped_column("class")
    topic: Mapped[Plain | None]
    phase: Mapped[Plain]
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
    source: Mapped[Json] = mapped_column(JSONB, info=IMPERSONAL)
    """file name -> text, with every layout and block it includes."""
    compiled: Mapped[Json] = mapped_column(JSONB, info=IMPERSONAL)
    """content.compile.Compiled as JSON."""
    content_hash: Mapped[Plain]
    published_at: Mapped[Instant]
    published_by: Mapped[Plain]

    __table_args__ = (
        UniqueConstraint("workspace_id", "template_id", "number"),
        ForeignKeyConstraint(["workspace_id", "template_id"], ["templates.workspace_id", "templates.id"]),
    )
