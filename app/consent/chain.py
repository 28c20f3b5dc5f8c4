"""The chain of the ledger: what a line's fingerprint is made of, and where a chain is broken.

Each line carries the SHA-256 of the line before it and of its own canonical JSON, so that whoever alters a line would
have to alter all that follow. A chain cannot show by itself that lines were cut off its end: for that an `Anchor`, the
number and hash of the last line, is kept where the ledger's owner cannot reach it, and compared later.

`digest` and `genesis` are pure: a proof pack is checked with them without a database.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.consent.models import ChainCheck, ConsentRecord
from app.db import workspace_of

HASHED = (
    *("workspace_id", "line", "contact_id", "address", "channel", "purpose", "topic", "state", "method", "proof"),
    *("requested_at", "confirmed_at", "recorded_at", "previous_state"),
)
"""What of a line its fingerprint covers: all of it but the two fingerprints."""


class Anchor(NamedTuple):
    """The end of a chain at some moment, kept elsewhere."""

    line: int
    hash: str
    """Hexadecimal."""


class Break(NamedTuple):
    """Where a chain is broken first, and what is broken there."""

    line: int
    why: str
    """missing: there is no such line; changed: the line no longer says what was written; out_of_chain: it does not
    follow from the line before it; cut_off: the anchor knows of it, the ledger ends before; other_anchor: it is not
    the line the anchor was taken from."""


def genesis(workspace_id: int) -> bytes:
    """What stands before the first line of a workspace."""
    return hashlib.sha256(f"percorso consent ledger of workspace {workspace_id}".encode()).digest()


def digest(previous: bytes, record: Mapping[str, Any]) -> bytes:
    """The fingerprint of a line: `record` has the fields of `HASHED`, instants as datetimes or in ISO form, UTC."""
    plain = {
        key: value.astimezone(UTC).isoformat() if isinstance(value, datetime) else value
        for key, value in record.items()
    }
    return hashlib.sha256(previous + canonical(plain).encode()).digest()


def canonical(value: Any) -> str:
    """JSON in one form only."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def fields(row: Any) -> dict[str, Any]:
    """What the fingerprint of a stored line covers."""
    return {name: getattr(row, name) for name in HASHED}


def end(session: Session) -> Anchor:
    """The last line of this workspace's chain; line 0 and the genesis where there is none. One query."""
    last = session.execute(
        select(ConsentRecord.line, ConsentRecord.hash).order_by(ConsentRecord.line.desc()).limit(1)
    ).first()
    return Anchor(last.line, last.hash.hex()) if last else Anchor(0, genesis(workspace_of(session)).hex())


def broken(
    session: Session, anchors: Sequence[Anchor] = (), chunk: int = 5000, *, behind: Anchor | None = None
) -> Break | None:
    """Walk this workspace's chain from its beginning; the first break, or None where it is whole.

    Args:
        anchors: ends of this chain taken earlier and kept elsewhere. Without one, lines that were cut off the very end
            leave no trace.
        chunk: lines read at a time.
        behind: walk only what follows this line, which is taken to be as it was.
    """
    wanted = {anchor.line: anchor.hash for anchor in anchors}
    expected, previous = 1, genesis(workspace_of(session))
    if behind is not None:
        expected, previous = behind.line + 1, bytes.fromhex(behind.hash)
    while True:
        rows = session.execute(_LINES.where(ConsentRecord.line >= expected).limit(chunk)).all()
        for row in rows:
            if row.line != expected:
                return Break(expected, "missing")
            if row.hash != digest(row.previous_hash, fields(row)):
                return Break(expected, "changed")
            if row.previous_hash != previous:
                return Break(expected, "out_of_chain")
            if wanted.get(row.line, row.hash.hex()) != row.hash.hex():
                return Break(expected, "other_anchor")
            expected, previous = row.line + 1, row.hash
        if len(rows) < chunk:
            break
    beyond = [line for line in wanted if line >= expected]
    return Break(expected, "cut_off") if beyond else None


class Looked(NamedTuple):
    """What a look at the chain came to that need not begin at its beginning."""

    broken: Break | None
    end: Anchor
    since: Anchor | None
    """The line up to which an earlier look had found it whole; None: there was none, and all of it was walked."""
    since_at: datetime | None


def looked(session: Session, now: datetime) -> Looked:
    """Walk what has been written since the last look, and remember how far it is whole.

    It finds what was altered behind that line, cut off before it, or put in its place; what was altered before it, only
    `broken` finds. So whoever shows single lines of it looks at those besides.
    """
    last = end(session)
    kept = session.scalars(select(ChainCheck)).first()
    since = Anchor(kept.line, kept.hash.hex()) if kept is not None else None
    since_at = kept.at if kept is not None else None
    if since is not None:
        there = session.scalar(select(ConsentRecord.hash).where(ConsentRecord.line == since.line))
        if there is None or there.hex() != since.hash:
            return Looked(Break(since.line, "cut_off" if there is None else "other_anchor"), last, since, since_at)
    found = broken(session, (last,) if last.line else (), behind=since)
    if found is None and last.line and last != since:
        fresh = {"line": last.line, "hash": bytes.fromhex(last.hash), "at": now}
        session.execute(
            insert(ChainCheck)
            .values(workspace_id=workspace_of(session), **fresh)
            .on_conflict_do_update(index_elements=["workspace_id"], set_=fresh)
        )
    return Looked(found, last, since, since_at)


_LINES = select(
    *(getattr(ConsentRecord, name) for name in HASHED), ConsentRecord.previous_hash, ConsentRecord.hash
).order_by(ConsentRecord.line)
"""As plain rows: a chain may have millions."""
