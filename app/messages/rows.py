"""A message row as the hot paths read it: Core columns, no ORM objects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import ColumnElement, DateTime, cast, select
from sqlalchemy.orm import Session

from app.messages.models import Message


class MessageRow(Protocol):
    """What judging and composing need of a message; rows of `MESSAGE_COLUMNS` fit, and so does a Message."""

    @property
    def id(self) -> int: ...
    @property
    def contact_id(self) -> int: ...
    @property
    def enrollment_id(self) -> int | None: ...
    @property
    def workflow_id(self) -> int | None: ...
    @property
    def version_id(self) -> int | None: ...
    @property
    def step_id(self) -> str | None: ...
    @property
    def visit(self) -> int: ...
    @property
    def property_id(self) -> int | None: ...
    @property
    def booking_id(self) -> int | None: ...
    @property
    def channel(self) -> str: ...
    @property
    def template(self) -> str: ...
    @property
    def class_(self) -> str: ...
    @property
    def topic(self) -> str | None: ...
    @property
    def priority(self) -> int: ...
    @property
    def state(self) -> str: ...
    @property
    def planned_at(self) -> datetime: ...
    @property
    def due_at(self) -> datetime: ...
    @property
    def latest(self) -> datetime | None: ...
    @property
    def attempts(self) -> int: ...
    @property
    def broadcast_id(self) -> int | None: ...
    @property
    def terms(self) -> Mapping[str, Any] | None: ...
    @property
    def facts(self) -> dict[str, Any] | None: ...


_PLAIN = (
    *("id", "contact_id", "enrollment_id", "workflow_id", "version_id", "step_id", "visit", "property_id"),
    *("booking_id", "channel", "template", "class_", "topic", "priority", "state", "planned_at", "due_at"),
    *("latest", "attempts", "facts", "broadcast_id", "terms", "reason"),
)
MESSAGE_COLUMNS: tuple[ColumnElement[Any], ...] = (
    *(getattr(Message, name).label(name) for name in _PLAIN),
    cast(Message.verdict[0]["at"].astext, DateTime(timezone=True)).label("first_judged"),
)
"""Select these to get MessageRow-like rows; with them come `first_judged`, the instant of the first verdict, and
`reason`, that of the last."""


def load_rows(session: Session, message_ids: Sequence[int]) -> list[Any]:
    """The rows of these messages, in the order of their ids. One query."""
    statement = select(*MESSAGE_COLUMNS).where(Message.id.in_(message_ids)).order_by(Message.id)
    return list(session.execute(statement).all())
