"""Merging people with all that hangs on it: their rows, and what they permit. The way in for whoever merges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy.orm import Session

from app.consent import ledger
from app.consent.fold import REFUSALS, Key, State
from app.consent.ledger import Act
from app.consent.models import ConsentRecord
from app.contacts import merge as contacts
from app.events.record import OwnEvent, record_own


def merge(session: Session, winner: int, loser: int, by: str, now: datetime) -> int:
    """Make `loser` part of `winner` (see `contacts.merge`), permission included; gives the number of the merge.

    Permission is never wider than either's (X11): the loser's lines are said again of the winner, with where they
    come from; then every yes that is not newer than a no of either, for the same purpose and topic on whatever
    address, is withdrawn. A newer yes on the same address stands.
    """
    number = contacts.merge(session, winner, loser, by, now)
    record_own(session, _told([winner], number, now), now)
    lines = ledger.history(session, loser)
    ledger.append(session, [_again(line, winner, number) for line in lines], now)
    states = ledger.current(session, [winner]).get(winner, {})
    ledger.append(session, _withdrawals(winner, states, number), now)
    return number


def undo_merge(session: Session, merge_id: int, now: datetime) -> tuple[int, int]:
    """Make two of one again (see `contacts.undo_merge`); gives winner and loser.

    What the winner permitted only through the loser ends. What the merge withdrew stays withdrawn: no system may turn
    a no into a yes (R10). The loser's own lines were never touched.
    """
    winner, loser = contacts.undo_merge(session, merge_id, now)
    record_own(session, _told([winner, loser], merge_id, now), now)
    own: dict[Key, ConsentRecord] = {}
    for line in ledger.history(session, winner):
        newest = own.get(_key(line))
        if line.proof.get("merge_id") != merge_id and (newest is None or _acted(line) >= _acted(newest)):
            own[_key(line)] = line
    over = []
    for key, state in ledger.current(session, [winner]).get(winner, {}).items():
        before = own[key].state if key in own else "expired"
        if state.state in _OPEN and before not in _OPEN:
            over.append(_act(winner, key, before, "merge_undone", now, merge_id))
    ledger.append(session, over, now)
    return winner, loser


def _told(people: Sequence[int], merge_id: int, now: datetime) -> list[OwnEvent]:
    """That these contacts are not what they were: waits by their own clock move with it, as by any other update."""
    return [OwnEvent(one, "contact.updated", now, {"caused_by": {"merge": merge_id}}) for one in people]


_OPEN = frozenset({"granted", "pending"})


def _acted(line: ConsentRecord) -> datetime:
    return line.confirmed_at or line.requested_at


def _key(line: ConsentRecord) -> Key:
    return line.address, line.channel, line.purpose, line.topic


def _again(line: ConsentRecord, winner: int, merge_id: int) -> Act:
    return Act(
        contact_id=winner,
        address=line.address,
        channel=line.channel,
        purpose=line.purpose,
        topic=line.topic,
        state=line.state,
        method=line.method,
        requested_at=line.requested_at,
        confirmed_at=line.confirmed_at,
        proof={**line.proof, "merge_id": merge_id, "merged_line": line.line},
    )


def _withdrawals(winner: int, states: Mapping[Key, State], merge_id: int) -> list[Act]:
    """What must end so that no address of the whole permits what another address of it refused later."""
    acts = []
    for key, state in states.items():
        if state.state not in _OPEN:
            continue
        refused = [
            other.refused_at or other.at
            for about, other in states.items()
            if about[1:3] == key[1:3]
            and about[3] in {None, key[3]}
            and about[0] != key[0]
            and (other.state in REFUSALS or other.refused_at)
        ]
        if refused and max(refused) >= state.at:
            acts.append(_act(winner, key, "withdrawn", "merge", max(refused), merge_id))
    return acts


def _act(winner: int, key: Key, state: str, method: str, at: datetime, merge_id: int) -> Act:
    address, channel, purpose, topic = key
    return Act(winner, address, channel, purpose, topic, state, method, at, None, {"merge_id": merge_id})
