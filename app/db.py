"""The one database: engine, unit of work, column types, workspace scoping, after-commit actions.

A unit of work is a transaction opened in one visible `with`. Functions that query never commit. Scoping to a workspace
is one mechanism in two layers: ORM statements get a criterion, and row-level security refuses whatever slipped past it.
A row of another workspace is therefore invisible even to raw SQL.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Any, ClassVar

import msgspec
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Identity,
    Integer,
    MetaData,
    Text,
    create_engine,
    event,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    ORMExecuteState,
    Session,
    declared_attr,
    mapped_column,
    sessionmaker,
    with_loader_criteria,
)

from app.config import Settings

Id = Annotated[int, mapped_column(BigInteger)]
RowId = Annotated[int, mapped_column(BigInteger, Identity(always=False), primary_key=True)]
Instant = Annotated[datetime, mapped_column(DateTime(timezone=True))]
Day = Annotated[date, mapped_column(Date)]
Json = Annotated[dict[str, Any], mapped_column(JSONB)]
JsonList = Annotated[list[Any], mapped_column(JSONB)]
Words = Annotated[list[str], mapped_column(ARRAY(Text))]

PERSONAL: dict[Any, Any] = {"personal": True}
"""`mapped_column(info=PERSONAL)` marks a column that holds data of a person: exports and erasure walk these."""
IMPERSONAL: dict[Any, Any] = {"personal": False}
"""`mapped_column(info=IMPERSONAL)`: it says nothing of anybody once the personal columns of its row are empty."""
Plain = Annotated[str, mapped_column(Text, info=IMPERSONAL)]
"""A text that is impersonal: a code, a state, a name that we or the team gave."""


def is_marked(column: Column[Any]) -> bool:
    """Whether a column says, by itself or by its type, if it is personal.

    Numbers, truths and instants are impersonal unless marked: ids, counts, times of our own doing. Everything that can
    hold what a person said or was called (texts, dates, JSON, lists, bytes) has to be marked by hand; a test holds it.
    """
    return "personal" in column.info or isinstance(column.type, Integer | Boolean | DateTime)


ALL_WORKSPACES = "*"


class Base(DeclarativeBase):
    """Declarative base; constraint names are fixed from the first migration on."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar = {str: Text}


class Owned:
    """Mixin of every table that belongs to a workspace: `workspace_id` leads its primary key."""

    @declared_attr
    def workspace_id(cls) -> Mapped[int]:
        return mapped_column(BigInteger, primary_key=True, sort_order=-2)


@dataclass(frozen=True)
class Ran:
    """What one run of a stage did: how many rows, and whether more were waiting."""

    done: int
    more: bool


class Database:
    """The engine and its units of work.

    Args:
        url: `postgresql+psycopg://…`
        pool_size: connections this process may hold.
    """

    def __init__(self, url: str, pool_size: int = 10) -> None:
        self.engine = create_engine(
            url,
            pool_size=pool_size,
            max_overflow=pool_size,
            pool_pre_ping=True,
            # A failed statement is told without its parameters: they hold what people sent.
            hide_parameters=True,
            json_deserializer=msgspec.json.decode,
            connect_args={"application_name": "percorso", "options": "-c timezone=UTC -c lock_timeout=30s"},
        )
        self._sessions = sessionmaker(self.engine, expire_on_commit=False)
        self._memory: dict[tuple[str, int | None], dict[Any, Any]] = {}
        self.settings: Settings | None = None
        """What units of work know of the configuration (secrets of links, public address); `furnish` sets it."""

    @contextmanager
    def work(self, workspace_id: int) -> Iterator[Session]:
        """A unit of work inside one workspace: commits at the end, rolls back on an error, then acts on signals."""
        with self._scoped(str(int(workspace_id)), workspace_id) as session:
            yield session

    @contextmanager
    def system(self) -> Iterator[Session]:
        """A unit of work over all workspaces: for sign-in, key look-up, the timer's sweep and migrations of data."""
        with self._scoped(ALL_WORKSPACES, None) as session:
            yield session

    @contextmanager
    def _scoped(self, scope: str, workspace_id: int | None) -> Iterator[Session]:
        with self._sessions() as session:
            session.info["workspace_id"] = workspace_id
            session.info["settings"] = self.settings
            session.info["after_commit"] = []
            session.info["memory"] = self._memory
            with session.begin():
                session.execute(text("SELECT set_config('percorso.workspace', :scope, true)"), {"scope": scope})
                yield session
            actions: list[Callable[[], None]] = session.info["after_commit"]
            for action in actions:
                action()

    def close(self) -> None:
        """Close every pooled connection."""
        self.engine.dispose()


def after_commit(session: Session, action: Callable[[], None]) -> None:
    """Do `action` once the unit of work has committed; a rollback forgets it."""
    session.info["after_commit"].append(action)


def workspace_of(session: Session) -> int:
    """The workspace of this unit of work; raises LookupError in a system one, where asking is a mistake."""
    workspace_id = session.info.get("workspace_id")
    if workspace_id is None:
        raise LookupError("This unit of work belongs to no single workspace.")
    return int(workspace_id)


def settings_of(session: Session) -> Settings:
    """The configuration of the house this unit of work runs in; raises LookupError where no house was furnished."""
    settings: Settings | None = session.info.get("settings")
    if settings is None:
        raise LookupError("This unit of work's database has no settings: set `database.settings`, as `furnish` does.")
    return settings


def remembered(session: Session, what: str, limit: int = 2_000) -> dict[Any, Any]:
    """What this process keeps under a name of the rows of this workspace in this database that never change.

    It hangs on the database, not on a module: a process that works on two would else take one's rows for the other's.
    Once it holds more than `limit` it starts anew; who still holds the old one may go on reading it.
    """
    memory: dict[tuple[str, int | None], dict[Any, Any]] = session.info["memory"]
    key = (what, session.info["workspace_id"])
    kept = memory.get(key)
    if kept is None or len(kept) > limit:
        kept = memory[key] = {}
    return kept


def as_rows(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows for one bulk statement: `... FROM json_to_recordset(CAST(:rows AS json)) AS r(id bigint, at timestamptz)`.

    One parameter whatever the number of rows and the types of their columns (JSON and arrays among them, which
    `unnest` cannot take), so a batch is one statement and one plan.

    An UPDATE of such rows names their keys twice: `WITH r AS (SELECT * FROM json_to_recordset(...)) UPDATE t ... FROM r
    WHERE t.contact_id = ANY(ARRAY(SELECT contact_id FROM r)) AND t.contact_id = r.contact_id ...`. The planner knows
    nothing of how many rows a workspace has, and by the join alone would read all of them to find fifty.
    """
    return msgspec.json.encode(rows).decode()


@event.listens_for(Session, "do_orm_execute")
def _scope_to_workspace(state: ORMExecuteState) -> None:
    workspace_id = state.session.info.get("workspace_id")
    if workspace_id is not None and not state.is_column_load and not state.is_relationship_load:
        state.statement = state.statement.options(
            with_loader_criteria(Owned, lambda cls: cls.workspace_id == workspace_id, include_aliases=True)
        )
