"""What a property said of itself when it spoke: kept once, not in every message.

A mail is kept as its facts. Those of the property are the larger part and the same in thousands of messages, so a
message holds only their digest; the row of `property_facts` is written once and never changes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from app.db import after_commit, as_rows, remembered, workspace_of
from app.messages.models import PropertyFacts
from app.messages.snapshot import freeze, thaw

MARK = "$property"

_INSERT = text(
    """
    INSERT INTO property_facts (workspace_id, digest, facts, created_at)
    SELECT :workspace_id, digest, facts, :now
    FROM json_to_recordset(CAST(:rows AS json)) AS r(digest text, facts jsonb)
    ON CONFLICT DO NOTHING
    """
)


def keep(session: Session, places: Iterable[Mapping[str, Any]], now: datetime) -> dict[int, str]:
    """Make sure the facts of these properties are kept; the identity of each mapping → its digest.

    One query, none where this process has kept them all before.
    """
    workspace_id = workspace_of(session)
    kept = remembered(session, "property facts")
    digests: dict[int, str] = {}
    missing: dict[str, Any] = {}
    for place in {id(one): one for one in places}.values():
        frozen = freeze(place)
        digest = hashlib.sha256(msgspec.json.encode(frozen, order="deterministic")).hexdigest()[:32]
        digests[id(place)] = digest
        if digest not in kept:
            missing[digest] = frozen
    if missing:
        rows = as_rows([{"digest": digest, "facts": frozen} for digest, frozen in missing.items()])
        session.execute(_INSERT, {"workspace_id": workspace_id, "rows": rows, "now": now})
        after_commit(session, lambda: kept.update(dict.fromkeys(missing, True)))
    return digests


def restore(session: Session, place: Any) -> Any:
    """The facts behind a mark; what is no mark is given back as it is. One query at most.

    Raises:
        LookupError: nothing is kept under it.
    """
    if not isinstance(place, dict) or set(place) != {MARK}:
        return place
    facts = session.scalar(select(PropertyFacts.facts).where(PropertyFacts.digest == place[MARK]))
    if facts is None:
        raise LookupError(f"The facts of the property under {place[MARK]} are gone.")
    return thaw(facts)
