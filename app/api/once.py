"""The same request under the same Idempotency-Key is done once and answered the same."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import text
from sqlalchemy.orm import Session

from app.api.problems import ProblemError
from app.db import settings_of, workspace_of
from app.events import log
from app.events.incoming import Problem
from app.events.sources import Caller

KEPT = timedelta(days=30)
"""How long a key is remembered; a request that is sent again comes within minutes."""


def once(
    session: Session,
    caller: Caller,
    key: str | None,
    asked: tuple[str, Any],
    now: datetime,
    work: Callable[[], dict[str, Any]],
) -> dict[str, Any]:
    """The answer of `work`, or what was answered before. Three queries at most; none without a key.

    A second request that comes while the first is at work waits for it.

    Args:
        key: the header, or None: then it is simply done.
        asked: the operation and its body.

    Raises:
        ProblemError: the key stands for something else.
    """
    if key is None:
        return work()
    digest = hashlib.sha256(msgspec.json.encode(asked, order="sorted")).digest()
    hidden = log.keyed(log.body_key(settings_of(session).secret), digest)
    given = {"ws": workspace_of(session), "source": caller.source_id, "key": key, "now": now}
    fresh = session.execute(_TAKE, {**given, "asked": hidden, "old": now - KEPT}).first()
    if fresh is None:
        row = session.execute(_FIND, given).one()
        if not log.is_of(session, row.asked, digest):
            errors = [Problem("", "This Idempotency-Key stands for another request.", "Send a new key.")]
            raise ProblemError("invalid", "The request does not fit its key.", errors)
        kept: dict[str, Any] = row.answer
        return kept
    answer: dict[str, Any] = msgspec.to_builtins(work())
    session.execute(_KEEP, {**given, "answer": msgspec.json.encode(answer).decode()})
    return answer


# A key whose time is over is taken anew; one statement cannot delete a row and write it again, so it is left out above.
_TAKE = text(
    """
    WITH old AS (
        DELETE FROM api_answers WHERE workspace_id = :ws AND at < :old AND (source_id, key) <> (:source, :key)
    )
    INSERT INTO api_answers AS known (workspace_id, source_id, key, asked, at) VALUES (:ws, :source, :key, :asked, :now)
    ON CONFLICT (workspace_id, source_id, key) DO UPDATE SET asked = excluded.asked, answer = NULL, at = excluded.at
        WHERE known.at < :old
    RETURNING key
    """
)
_FIND = text("SELECT asked, answer FROM api_answers WHERE workspace_id = :ws AND source_id = :source AND key = :key")
_KEEP = text(
    """
    UPDATE api_answers SET answer = CAST(:answer AS jsonb)
    WHERE workspace_id = :ws AND source_id = :source AND key = :key
    """
)
