"""Lanes: what somebody waits for goes before what nobody waits for, and nobody waits for ever.

    service     transactional messages and confirmation requests
    feedback    surveys, review requests
    marketing   everything that promotes, broadcasts among it

A batch takes service messages first, as many as are due, then feedback, then marketing, each the longest due first. A
lane behind a full one still gets a tenth of a batch, so that a flood of one kind slows the others and stops none. A
confirmation that comes due while a broadcast of any size waits is therefore in the very next batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import exists, func, literal_column, select, union_all
from sqlalchemy.orm import Session

from app.db import workspace_of
from app.events.models import EventWork
from app.messages.models import LANE, Message
from app.messages.rows import MESSAGE_COLUMNS

LANES: Final = ("service", "feedback", "marketing")
SHARE: Final = 10
"""A lane that waits gets at least one in so many of a batch, on top of it where the lanes before have filled it."""

UNSEEN = exists().where(
    EventWork.workspace_id == Message.workspace_id,
    EventWork.contact_id == Message.contact_id,
    # Set on what has failed, which holds nobody up, and on a portal's cancellation that is held for its own booking.
    EventWork.not_before.is_(None),
)


def due(session: Session, states: Sequence[str], now: datetime, limit: int, lanes: Sequence[str] = LANES) -> list[Any]:
    """About `limit` due messages in these states, locked, lane by lane; at most a fifth more. One query.

    Only these `lanes` are looked at: what of the others is due stays where it is.

    A contact with events that the entry rules have not looked at yet is passed over: a cancellation that is recorded
    is acted on before any message is judged or sent. Rows that another worker has locked are skipped.
    """
    share = limit // SHARE
    # Written out, not bound: the indexes of waiting messages are partial, and hang on these very words.
    in_state = literal_column("messages.state").in_([literal_column(f"'{state}'") for state in states])
    taken: list[Any] = []
    for number, name in enumerate(LANES):
        if name not in lanes:
            continue
        room: Any = limit
        if taken:
            before = sum(
                (select(func.count()).select_from(one).scalar_subquery() for one in taken[1:]),
                start=select(func.count()).select_from(taken[0]).scalar_subquery(),
            )
            room = func.greatest(limit - before, share)
        taken.append(
            select(*MESSAGE_COLUMNS)
            .where(
                Message.workspace_id == workspace_of(session),
                in_state,
                literal_column(f"({LANE})") == literal_column(str(number)),
                Message.due_at <= now,
                ~UNSEEN,
            )
            # By nothing else: a broadcast's copies are due at one instant, and whoever sorts them further reads all of
            # them for each batch. Those of one instant come about as they were planned; rank is the gate's business.
            .order_by(Message.due_at)
            .limit(room)
            .with_for_update(skip_locked=True, of=Message)
            .cte(name)
        )
    return list(session.execute(union_all(*(select(one) for one in taken))).all())
