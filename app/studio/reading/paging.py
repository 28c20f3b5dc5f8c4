"""Pages of a list by key, never by offset: page 10,000 costs what page 1 costs; nothing comes twice or is missed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, Select
from sqlalchemy.orm import Session

SIZE = 50
Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """Some rows, newest first; `newer` and `older` are the keys of the neighbouring pages, None at the ends."""

    rows: Sequence[Row]
    newer: int | None
    older: int | None


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which page: rows before (older than) a key, or after (newer than) it; neither: the newest."""

    before: int | None = None
    after: int | None = None
    size: int = SIZE


def page(
    session: Session,
    query: Select[*tuple[Any, ...]],
    key: ColumnElement[int] | Any,
    wanted: Wanted,
    key_of: Callable[[Any], int],
) -> Page[Any]:
    """One page of `query`, newest first; one query."""
    if wanted.after is not None:
        found = session.execute(query.where(key > wanted.after).order_by(key.asc()).limit(wanted.size + 1)).all()
        rows = list(reversed(found[: wanted.size]))
        more_newer, more_older = len(found) > wanted.size, True
    else:
        if wanted.before is not None:
            query = query.where(key < wanted.before)
        found = session.execute(query.order_by(key.desc()).limit(wanted.size + 1)).all()
        rows = list(found[: wanted.size])
        more_newer, more_older = wanted.before is not None, len(found) > wanted.size
    if not rows:
        return Page((), None, None)
    return Page(rows, key_of(rows[0]) if more_newer else None, key_of(rows[-1]) if more_older else None)
