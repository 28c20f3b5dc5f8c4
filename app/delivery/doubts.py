"""What may have left, handed over once more where the provider knows it again: the same key, the very same mail.

    handed_over, its lease over or no answer → judged → same way, same key → accepted, failed
                                                      └ no answer → later again, until the key's life ends → unknown

A crash between the provider's yes and our commit leaves nobody who knows. With any other provider that is `unknown`,
for a person to find out. One that takes idempotency keys answers the same request as it did the first time, and sends
nothing: so asking it again settles the doubt, and cannot send twice.

That holds for the same account and the same words only. So the mail is made from what is kept of it, it goes by the
sender that stands on the message and by no other, and not where that sends by another account since, or where the
mail had been let go by another way (`ways.Release`). Should the first request never have arrived, this one is the
first: so it is judged like any other, and of who has withdrawn or moved meanwhile the doubt stays a doubt.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import func, literal_column, select, text
from sqlalchemy.orm import Session

from app.consent.case import Decision
from app.consent.ledger import address_key, suppression_hashes
from app.db import Ran, as_rows, settings_of, workspace_of
from app.delivery import leases, outcomes, senders
from app.delivery.deliver import GROUP, kept, outgoing
from app.delivery.dkim import Keyring
from app.delivery.leases import Lease
from app.delivery.mime import HeaderError
from app.delivery.outcomes import Settled
from app.delivery.providers import Outgoing
from app.delivery.ways import STREAMS, Way, knows_again, open_ways
from app.house import House
from app.messages import compose as composing
from app.messages import gate, lanes
from app.messages import grounds as grounds_of
from app.messages.gate import Left
from app.messages.models import Message
from app.messages.rows import MESSAGE_COLUMNS
from app.messages.states import move

log = structlog.get_logger()

PATIENCE = timedelta(minutes=1)
"""After so long it is looked at again where its sender is switched off, or nobody can say until when it waits."""

QUERIES = 4 + grounds_of.QUERIES
"""Claim, the ways out, the new lease, the grounds, and what goes and what does not (one more where there is some); what
`left` asks; and for each mail two at most, to make it again."""


@dataclass(frozen=True, slots=True)
class _Going:
    """A message that goes once more, by this way."""

    row: Any
    mail: Outgoing
    way: Way


def run(house: House, workspace_id: int, left: Left) -> Ran:
    """Hand over once more what is in doubt and due, up to `GROUP` messages of one workspace.

    Args:
        house: settings, clock and database.
        workspace_id: whose messages.
        left: whose passage is over.
    """
    now = house.clock.now()
    with house.database.work(workspace_id) as session:
        rows = session.execute(_due(session, now)).all()
        if not rows:
            return Ran(0, False)
        lease = leases.begin(session)
        going = _judged(session, rows, now, left)
        taken = _take(session, lease, going, now + timedelta(seconds=house.settings.lease_seconds))
    going = [one for one in going if one.row.id in taken]
    with kept(house, workspace_id, lease):
        for way in {one.way.id: one.way for one in going}.values():
            _ask(house, workspace_id, lease, way, [one for one in going if one.way.id == way.id])
    return Ran(len(rows), len(rows) >= GROUP)


def _ask(house: House, workspace_id: int, lease: Lease, way: Way, going: Sequence[_Going]) -> None:
    """Hand these over by this way alone, and write down what came of it."""
    ways = open_ways(house, workspace_id, [replace(way, streams=frozenset(STREAMS))])
    answers = ways.send([one.mail for one in going])
    settled = [
        Settled(one.row, one.row.handed_over_at, answer.outcome, answer.by, known=True, again=True)
        for one, answer in zip(going, answers, strict=True)
    ]
    with house.database.work(workspace_id) as session:
        now = house.clock.now()
        outcomes.settle(session, lease, settled, now)
        senders.keep(session, ways.heard(), now)
    log.info("asked_again", workspace_id=workspace_id, sender=way.name, mails=len(going))


def _judged(session: Session, rows: Sequence[Any], now: datetime, left: Left) -> list[_Going]:
    """Which of them go once more; the others are put off, or left in doubt for good."""
    ways = {way.id: way for way in senders.ways(session)}
    grounds = grounds_of.load(session, rows, now)
    decisions = gate.judge(session, rows, now, "lease", left, grounds)
    going: list[_Going] = []
    others: list[dict[str, Any]] = []
    for row in rows:
        mark, decision = row.facts["way"], decisions[row.id]
        way = ways.get(mark["sender"])
        facts = grounds.facts[row.id]
        until: datetime | None = None
        mail: Outgoing | None = None
        if not decision.allowed:
            until = (decision.until or now + PATIENCE) if decision.outcome == "deferred" else None
        elif way is None:
            until = now + PATIENCE
        elif way.standing.state(now) == "open":
            until = way.standing.open_until
        elif facts.address == address_key(row.address) and _same(session, way, mark):
            mail = _again(session, row, mark, now)
        if mail is not None and way is not None:
            going.append(_Going(row, mail, way))
        else:
            others.append(_other(row, decision, until, now))
    if others:
        session.execute(_OTHERS, {"ws": workspace_of(session), "rows": as_rows(others)})
    return going


def _same(session: Session, way: Way, mark: Mapping[str, Any]) -> bool:
    """Whether the way still sends by the account that was given the key."""
    knows = knows_again(settings_of(session), way)
    return knows is not None and asdict(knows)["account"] == mark["account"]


def _again(session: Session, row: Any, mark: Mapping[str, Any], now: datetime) -> Outgoing | None:
    """The very mail; None where it cannot be made any more, as after an erasure.

    That the key came before says that this mail was taken only where no try under it had been refused earlier.
    """
    settings = settings_of(session)
    try:
        composed = composing.again(session, row)
        # No provider that takes keys takes our bytes, so nobody sees whether they are signed.
        return replace(outgoing(row, composed, Keyring(settings.data_dir), now), again=bool(mark.get("first")))
    except (LookupError, HeaderError):
        return None


def _other(row: Any, decision: Decision, until: datetime | None, now: datetime) -> dict[str, Any]:
    """What becomes of one that does not go now: later, or never."""
    known_until = row.handed_over_at + timedelta(seconds=row.facts["way"]["seconds"])
    waits = until is not None and until < known_until
    return {
        "contact_id": row.contact_id,
        "id": row.id,
        "state": move("handed_over", "ask_again" if waits else "expire").to,
        "until": until if waits else None,
        "verdict": [] if decision.allowed or waits else [decision.as_json(now, "lease")],
    }


def _take(session: Session, lease: Lease, going: Sequence[_Going], until: datetime) -> set[int]:
    """Lease those that still may go, as at every hand-over: which they are."""
    rows = [
        {
            "contact_id": one.row.contact_id,
            "id": one.row.id,
            "address_hash": suppression_hashes(settings_of(session), "email", one.row.address)[0].hex(),
        }
        for one in going
    ]
    asked = {"ws": workspace_of(session), "token": lease.token, "until": until}
    line = {"line": lease.ledger_line, "suppression": lease.suppression}
    return set(session.scalars(_TAKE, {**asked, **line, "rows": as_rows(rows)})) if rows else set()


def _due(session: Session, now: datetime) -> Any:
    return (
        select(
            *MESSAGE_COLUMNS,
            Message.language,
            Message.template_version_id,
            Message.address,
            Message.handed_over_at,
        )
        .where(
            Message.workspace_id == workspace_of(session),
            # Written out, not bound: the index hangs on these very words.
            literal_column("messages.state") == literal_column("'handed_over'"),
            Message.lease_until <= now,
            func.jsonb_exists(Message.facts, "way"),
            ~lanes.UNSEEN,
        )
        .order_by(Message.lease_until)
        .limit(GROUP)
        .with_for_update(skip_locked=True, of=Message)
    )


_TAKE = text(
    f"""
    WITH r AS (
        SELECT * FROM json_to_recordset(CAST(:rows AS json)) AS given(contact_id bigint, id bigint, address_hash text)
    )
    UPDATE messages m SET lease_token = :token, lease_until = :until
    FROM r
    WHERE m.workspace_id = :ws AND m.contact_id = ANY(ARRAY(SELECT contact_id FROM r))
      AND m.contact_id = r.contact_id AND m.id = r.id AND m.state = 'handed_over' AND {leases.STILL}
    RETURNING m.id
    """
)
_OTHERS = text(
    """
    WITH r AS (
        SELECT * FROM json_to_recordset(CAST(:rows AS json)) AS given(contact_id bigint, id bigint, state text,
            until timestamptz, verdict jsonb)
    )
    UPDATE messages m SET state = r.state, lease_until = r.until, lease_token = NULL, verdict = m.verdict || r.verdict,
        facts = CASE WHEN r.state = 'unknown' THEN m.facts - 'way' ELSE m.facts END,
        reason = coalesce(m.reason, 'worker_lost'), rule = 'R39'
    FROM r
    WHERE m.workspace_id = :ws AND m.contact_id = ANY(ARRAY(SELECT contact_id FROM r))
      AND m.contact_id = r.contact_id AND m.id = r.id AND m.state = 'handed_over'
    """
)
