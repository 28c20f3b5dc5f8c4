"""Who may hand which message over: leases with a fencing token.

A worker begins a lease (`begin`), is given due messages under it for a while, keeps them while it works (`renew`), and
writes `handed_over` before the first byte leaves (`hand_over`). Every write names its token: a worker that was taken
for dead and lives finds that its rows are no longer its own. `recover` frees what dead workers held. Nothing here waits
for another worker.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from app.db import as_rows, workspace_of
from app.delivery.providers import Outgoing
from app.messages import lanes
from app.messages.states import move


@dataclass(frozen=True, slots=True)
class Lease:
    """What a worker holds: its token, and how far ledger and suppressions had got when it was judged."""

    token: int
    ledger_line: int
    suppression: int


def due(session: Session, now: datetime, limit: int, in_lanes: Sequence[str] = lanes.LANES) -> list[Any]:
    """About `limit` messages that are ready and due, locked, lane by lane (`messages/lanes.py`). One query.

    A contact with events that the entry rules have not looked at yet is passed over: a cancellation that is recorded
    is acted on before anything is sent. Rows that another worker has locked are skipped.
    """
    return lanes.due(session, ("ready",), now, limit, in_lanes)


def begin(session: Session) -> Lease:
    """A new lease, under which `messages.gate.record` puts what may go. One query."""
    return Lease(secrets.randbits(62), *session.execute(_HEADS, {"ws": workspace_of(session)}).one())


def renew(session: Session, lease: Lease, until: datetime) -> None:
    """Keep what the lease still holds until later. One query."""
    session.execute(_RENEW, {"ws": workspace_of(session), "token": lease.token, "until": until})


def hand_over(session: Session, lease: Lease, rows: Sequence[Mapping[str, Any]], now: datetime) -> dict[int, datetime]:
    """Write `handed_over` for those rows that may go: their id → when each was first handed over.

    One query, a second where some may not.

    A row may not go when the lease is no longer ours, or when since it was judged the person's ledger has a new line,
    the address was suppressed, or an event of the person came in that nobody has looked at: it goes back to `ready` and
    is judged anew. So what the person said last counts until the very moment of handing over.

    Args:
        rows: id, contact_id, and what is kept of the mail: address, address_hash, subject, message_id, language,
            template_version_id, facts.
    """
    asked = {"ws": workspace_of(session), "token": lease.token, "now": now}
    written = session.execute(
        _HAND_OVER,
        {**asked, "line": lease.ledger_line, "suppression": lease.suppression, "rows": as_rows(list(rows))},
    )
    going: dict[int, datetime] = {row.id: row.handed_over_at for row in written}
    back = [row for row in rows if row["id"] not in going]
    if back:
        session.execute(
            _GIVE_BACK,
            {**asked, "contacts": [row["contact_id"] for row in back], "ids": [row["id"] for row in back]},
        )
    return going


def release(session: Session, lease: Lease, mails: Sequence[Outgoing]) -> set[int]:
    """Write that these are no longer known again by a key; which of them the lease still holds. One query."""
    rows = [{"contact_id": mail.contact_id, "id": mail.message_pk} for mail in mails]
    asked = {"ws": workspace_of(session), "token": lease.token, "rows": as_rows(rows)}
    return set(session.scalars(_RELEASE, asked))


@dataclass(frozen=True, slots=True)
class Recovered:
    """What dead workers had held."""

    freed: int
    """Ready again: nothing had left the house."""
    unknown: int
    """May have been sent: shown, counted, and never sent again by itself."""


def recover(session: Session, now: datetime) -> Recovered:
    """End expired leases, in all workspaces that this unit of work sees. Two queries.

    What its provider would know again by a key is left to `doubts.run` for as long as the key lives.
    """
    freed = session.execute(_FREE, {"now": now, "to": move("leased", "expire").to}).all()
    unknown = session.execute(_DOUBT, {"now": now, "to": move("handed_over", "expire").to}).all()
    return Recovered(len(freed), len(unknown))


_HEADS = text(
    """
    SELECT coalesce((SELECT max(line) FROM consent_records WHERE workspace_id = :ws), 0),
           coalesce((SELECT max(id) FROM suppressions WHERE workspace_id = :ws), 0)
    """
)
_RENEW = text(
    """
    UPDATE messages SET lease_until = :until
    WHERE workspace_id = :ws AND lease_token = :token AND state IN ('leased', 'handed_over') AND lease_until IS NOT NULL
    """
)
STILL = """
          NOT EXISTS (SELECT 1 FROM consent_records c
                      WHERE c.workspace_id = :ws AND c.contact_id = r.contact_id AND c.line > :line)
      AND NOT EXISTS (SELECT 1 FROM suppressions s
                      WHERE s.workspace_id = :ws AND s.channel = m.channel AND s.lifted_at IS NULL
                        AND s.address_hash = decode(r.address_hash, 'hex') AND s.id > :suppression)
      AND NOT EXISTS (SELECT 1 FROM event_work w
                      WHERE w.workspace_id = :ws AND w.contact_id = r.contact_id AND w.not_before IS NULL)
"""
"""SQL: whether the message `m`, with the hash of its address in `r`, may still go since it was judged."""
_HAND_OVER = text(
    f"""
    WITH r AS (
        SELECT * FROM json_to_recordset(CAST(:rows AS json)) AS given(contact_id bigint, id bigint,
            address text, address_hash text, subject text, message_id text, language text,
            template_version_id bigint, facts jsonb)
    )
    UPDATE messages m SET
        state = 'handed_over', handed_over_at = coalesce(m.handed_over_at, :now), address = r.address,
        subject = r.subject, message_id = coalesce(m.message_id, r.message_id), language = r.language,
        template_version_id = r.template_version_id, facts = r.facts
    FROM r
    WHERE m.workspace_id = :ws AND m.contact_id = ANY(ARRAY(SELECT contact_id FROM r))
      AND m.contact_id = r.contact_id AND m.id = r.id
      AND m.state = 'leased' AND m.lease_token = :token AND {STILL}
    RETURNING m.id, m.handed_over_at
    """
)
_GIVE_BACK = text(
    """
    WITH r AS (
        SELECT * FROM unnest(CAST(:contacts AS bigint[]), CAST(:ids AS bigint[])) AS given(contact_id, id)
    )
    UPDATE messages m SET state = 'ready', lease_token = NULL, lease_until = NULL
    FROM r
    WHERE m.workspace_id = :ws AND m.contact_id = ANY(ARRAY(SELECT contact_id FROM r))
      AND m.contact_id = r.contact_id AND m.id = r.id
      AND m.state = 'leased' AND m.lease_token = :token
    """
)
_FREE = text(
    """
    UPDATE messages SET state = :to, lease_token = NULL, lease_until = NULL
    WHERE state = 'leased' AND lease_until < :now RETURNING id
    """
)
KNOWN_UNTIL = "handed_over_at + make_interval(secs => CAST(facts #>> '{way,seconds}' AS integer))"
"""SQL: until when a message's provider knows it again by its key; NULL where it does not."""

# The token stays: should the worker be only slow, its late answer still settles what is in doubt.
_DOUBT = text(
    f"""
    UPDATE messages SET state = :to, lease_until = NULL, reason = coalesce(reason, 'worker_lost'), rule = 'R39'
    WHERE state = 'handed_over' AND lease_until < :now AND NOT coalesce({KNOWN_UNTIL} > :now, false) RETURNING id
    """
)
_RELEASE = text(
    """
    WITH r AS (
        SELECT * FROM json_to_recordset(CAST(:rows AS json)) AS given(contact_id bigint, id bigint)
    )
    UPDATE messages m SET facts = m.facts - 'way'
    FROM r
    WHERE m.workspace_id = :ws AND m.contact_id = ANY(ARRAY(SELECT contact_id FROM r))
      AND m.contact_id = r.contact_id AND m.id = r.id
      AND m.state = 'handed_over' AND m.lease_token = :token
    RETURNING m.id
    """
)
