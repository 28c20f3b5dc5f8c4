"""Files of contacts on their way in: the file, its rows with their verdicts, and how its columns are to be read."""

from __future__ import annotations

from sqlalchemy import BigInteger, Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.db import IMPERSONAL, PERSONAL, Base, Instant, Json, JsonList, Owned, Plain, RowId

STATES = ("uploaded", "checking", "checked", "taking", "done", "undoing", "undone", "discarded")
"""uploaded → checking ⇄ checked → taking → done → undoing → undone; before `taking` it can be discarded."""

VERDICTS = ("new", "changed", "same", "repeat", "refused")
"""Of a row: it makes somebody, changes somebody, says what is known, speaks of an earlier row's person, is left out."""

EMPTY = text("'{}'::jsonb")


class Import(Owned, Base):
    """One file."""

    __tablename__ = "imports"

    id: Mapped[RowId]
    file_name: Mapped[Plain]
    file_hash: Mapped[Plain]
    """SHA-256 of the file, hexadecimal: with the number of the import it is what lines of the ledger name (R5)."""
    size: Mapped[int] = mapped_column(BigInteger)
    """Bytes."""
    header: Mapped[JsonList] = mapped_column(JSONB, info=IMPERSONAL)
    shape: Mapped[Plain]
    """Hash of the header: files of one shape are mapped alike."""
    rows: Mapped[int] = mapped_column(BigInteger)
    state: Mapped[Plain]
    mapping: Mapped[Json] = mapped_column(JSONB, server_default=EMPTY, info=IMPERSONAL)
    """What each column means, as `columns.Mapping` writes it; empty: not looked at yet."""
    place: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    """How many rows of the present pass are behind it."""
    expected: Mapped[Json] = mapped_column(JSONB, server_default=EMPTY, info=IMPERSONAL)
    """What the dry run counted: `verdict` and `permission` → rows."""
    tally: Mapped[Json] = mapped_column(JSONB, server_default=EMPTY, info=IMPERSONAL)
    """What the pass that writes has counted so far; after an undoing also what that did."""
    created_at: Mapped[Instant]
    """The instant its facts are ordered by, unless a column says when each was changed."""
    created_by: Mapped[Plain]
    begun_at: Mapped[Instant | None]
    """When the present pass began: rate and time left are told from it."""
    finished_at: Mapped[Instant | None]
    next_at: Mapped[Instant | None]
    """When the stage is to take it up again; None: it waits for a person, or for nothing."""

    __table_args__ = (Index("ix_imports_next_at", "next_at", postgresql_where=text("next_at IS NOT NULL")),)


class ImportRow(Owned, Base):
    """One row of a file: as it stood there, and what became of it. Emptied 30 days after the import."""

    __tablename__ = "import_rows"

    import_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    position: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    """1, 2, 3 ... below the header."""
    line: Mapped[int] = mapped_column(BigInteger)
    """Its line in the file, as a text editor or Excel counts."""
    cells: Mapped[JsonList] = mapped_column(JSONB, info=PERSONAL)
    key: Mapped[str | None] = mapped_column(info=PERSONAL)
    """Import and address, id or number: what it is found by among the rows of its file. One text, so that the planner
    has one index to find it by, statistics or none."""
    who: Mapped[Json | None] = mapped_column(JSONB, info=PERSONAL)
    """Names and ids of whom the dry run would have made: a later row of the file may be the same person."""
    verdict: Mapped[Plain | None]
    """new, changed, same, repeat or refused."""
    permission: Mapped[Plain | None]
    """granted, pending, refused, kept_no, as_before or service_only."""
    notes: Mapped[JsonList] = mapped_column(JSONB, server_default=text("'[]'::jsonb"), info=IMPERSONAL)
    """Pairs of a code and the column it is about (None: the row)."""
    contact_id: Mapped[int | None] = mapped_column(BigInteger)
    made: Mapped[bool] = mapped_column(server_default=text("false"))
    """This row made the contact."""
    before: Mapped[Json | None] = mapped_column(JSONB, info=PERSONAL)
    """What its fields were before this row, with their versions: what an undoing goes by."""

    __table_args__ = (
        Index("ix_import_rows_key", "workspace_id", "key", postgresql_where=text("key IS NOT NULL")),
        Index(
            "ix_import_rows_contact",
            "workspace_id",
            "contact_id",
            postgresql_where=text("contact_id IS NOT NULL"),
        ),
        Index("ix_import_rows_verdict", "workspace_id", "import_id", "verdict", "position"),
    )


class ImportMapping(Owned, Base):
    """How files of one shape were read last: the next one begins with it."""

    __tablename__ = "import_mappings"

    shape: Mapped[Plain] = mapped_column(primary_key=True)
    mapping: Mapped[Json] = mapped_column(JSONB, info=IMPERSONAL)
    used_at: Mapped[Instant]
