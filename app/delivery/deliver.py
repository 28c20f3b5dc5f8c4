"""Deliver: lease → judge once more → compose → hand over → write down what came of it.

    transaction 1   lease up to `limit` due messages, judged in this very transaction; load what composing needs.
                    Those that wait at the gate (`through_the_gate`), or those that passed it earlier (`run`)
    no transaction  compose, sign, in groups of 50
    transaction 2   per group or part of it: `handed_over`, for those that may still go
    no transaction  the transport talks to the provider; nobody holds a database connection meanwhile
    transaction 3   per group: outcomes and attempts

Groups go out on several threads, one connection each, while the next ones are composed. A crash before transaction 2
costs nothing: the lease expires and another worker takes over. A crash between 2 and 3 leaves `handed_over`: handed
over once more by the same key where the provider takes one (`doubts.py`), else `unknown`: counted, shown, and never
sent again by itself.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from functools import lru_cache, partial
from pathlib import Path
from queue import SimpleQueue

import structlog
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from app.config import Settings
from app.consent.ledger import suppression_hashes
from app.db import Ran, workspace_of
from app.delivery import keys, leases, outcomes, senders
from app.delivery.dkim import Keyring, Signer
from app.delivery.leases import Lease, Recovered
from app.delivery.mime import HeaderError, Mail, Mailbox, assemble, wire_address
from app.delivery.outcomes import Settled
from app.delivery.paces import Paces, put_off
from app.delivery.providers import Outgoing, Stream
from app.delivery.ways import Way, Ways, admitted, open_ways, stream_of
from app.house import House
from app.messages import compose as composing
from app.messages import gate
from app.messages import grounds as grounds_of
from app.messages.compose import Composed, Failed, Materials
from app.messages.gate import Left
from app.messages.grounds import Moment
from app.messages.lanes import LANES
from app.messages.rows import MessageRow
from app.queues import signal

log = structlog.get_logger()

_STREAM_OF: Mapping[str, Stream] = {lane: "marketing" if lane == "marketing" else "service" for lane in LANES}

GROUP = 50
"""Messages handed over between two commits, at most: what a crash can leave in doubt on one connection."""

FIRST, SMALLEST = 10, 5
DOUBT_SECONDS = 0.25
"""A sender begins with `FIRST` messages and then takes as many as the provider swallows in this time, but never fewer
than `SMALLEST`: a slow provider is no reason to leave more in doubt."""

QUERIES_TO_LEASE = 4 + keys.QUERIES + composing.QUERIES
"""The ways out, claim, the new lease, verdicts, who signs, and what composing needs, the grounds of judging among it;
and what `left` asks (one at most). At the gate its lock besides, and one more where a domain warms up."""

QUERIES_PER_GROUP = 1 + outcomes.QUERIES
"""Hand-over, outcomes, attempts. One more where something could not be composed, one where something may no longer go,
one where a sender's health has changed, and those of `track.record` where an address was refused."""


@dataclass(frozen=True, slots=True)
class _Leased:
    """What transaction 1 gives to the rest."""

    lease: Lease
    rows: Sequence[MessageRow]
    materials: Materials
    signers: Mapping[str, Sequence[Signer]]


@dataclass(frozen=True, slots=True)
class _Ready:
    """A finished mail, and what is kept of it on its row."""

    row: MessageRow
    composed: Composed
    mail: Outgoing


def run(house: House, workspace_id: int, limit: int, left: Left) -> Ran:
    """Deliver up to `limit` messages of one workspace that have passed the gate and are due.

    Args:
        house: settings, clock and database.
        workspace_id: whose messages.
        limit: how many to lease at a time.
        left: whose passage is over (`enrollments.exits.left`).

    Returns:
        How many were taken up (sent, put off or refused), and whether more may be waiting.
    """
    return _take(house, workspace_id, limit, left, "lease")


def through_the_gate(house: House, workspace_id: int, limit: int, left: Left) -> Ran:
    """Judge up to `limit` messages that wait at the gate, and deliver those that may go, as `run` does.

    What `messages.gate.run` and then `run` would do in two stages, with one judgement instead of two: it is made in the
    transaction that takes the lease. For workers that serve both stages.
    """
    return _take(house, workspace_id, limit, left, "gate")


def _take(house: House, workspace_id: int, limit: int, left: Left, moment: Moment) -> Ran:
    now = house.clock.now()
    with house.database.work(workspace_id) as session:
        ways = senders.ways(session)
        takes = admitted(ways, now)
        if moment == "gate":
            rows = gate.claim(session, now, limit)
        else:
            # What no way would take now stays where it is, and costs nothing; where one is only to be tried, a few do.
            limit = min(limit, FIRST) if "one" in takes.values() else limit
            open_lanes = [lane for lane in LANES if takes[_STREAM_OF[lane]] != "none"]
            rows = leases.due(session, now, limit, open_lanes) if open_lanes else []
        if not rows:
            return Ran(0, False)
        leased = _lease(house, session, rows, now, left, moment, ways)
    if leased.rows:
        release = partial(_release, house, workspace_id, leased.lease)
        with kept(house, workspace_id, leased.lease):
            _send(house, workspace_id, leased, open_ways(house, workspace_id, ways, release))
    return Ran(len(rows), len(rows) >= limit)


def recover(session: Session, now: datetime) -> Recovered:
    """End the leases of workers that are gone: what had not left is ready again, what may have left is in doubt.

    In all workspaces that the unit of work sees; two queries.
    """
    recovered = leases.recover(session, now)
    if recovered.freed or recovered.unknown:
        log.warning("leases_recovered", freed=recovered.freed, unknown=recovered.unknown)
    return recovered


@lru_cache(maxsize=8)
def _keyring(data_dir: Path) -> Keyring:
    return Keyring(data_dir)


def _release(house: House, workspace_id: int, lease: Lease, mails: Sequence[Outgoing]) -> set[int]:
    with house.database.work(workspace_id) as session:
        return leases.release(session, lease, mails)


def _lease(
    house: House,
    session: Session,
    rows: Sequence[MessageRow],
    now: datetime,
    left: Left,
    moment: Moment,
    ways: Sequence[Way],
) -> _Leased:
    """Transaction 1: judge what was claimed, end or put off what may not go or has no turn yet, lease the rest."""
    # First of all, since it says how far the ledger had got: a withdrawal committed while the grounds are being read
    # would else count as seen, and the look at hand-over would miss it.
    lease = leases.begin(session)
    grounds = grounds_of.load(session, rows, now)
    decisions = gate.judge(session, rows, now, moment, left, grounds)
    # At the gate what no way takes is judged all the same, and then ready for when one is tried again.
    takes = admitted(ways, now)
    shut = [row.id for row in rows if moment == "gate" and takes[stream_of(row.class_)] != "all"]
    waits = {number for number in shut if decisions[number].allowed}
    if ways or not house.settings.smtp_url.startswith("capture:"):
        paces = Paces(house.redis, workspace_of(session), grounds.workspace.get("paces"))
        addresses = {number: facts.address for number, facts in grounds.facts.items()}
        waits |= put_off(paces, [row for row in rows if row.id not in waits], decisions, addresses, now)
    until = now + timedelta(seconds=house.settings.lease_seconds)
    gate.record(session, rows, decisions, now, moment, (lease.token, until), waits)
    grounds.write_turns(session)
    allowed = [row for row in rows if decisions[row.id].allowed and row.id not in waits]
    return _Leased(lease, allowed, composing.load(session, allowed, now, grounds), keys.signers(session))


@contextmanager
def kept(house: House, workspace_id: int, lease: Lease) -> Iterator[None]:
    """Renew the lease every third of its length for as long as the block lasts, however slow a provider is."""
    done = threading.Event()
    length = house.settings.lease_seconds

    def renew() -> None:
        while not done.wait(length / 3):
            try:
                with house.database.work(workspace_id) as session:
                    leases.renew(session, lease, house.clock.now() + timedelta(seconds=length))
            except OperationalError as error:
                # Two more tries fit in before the lease ends; and a lost lease costs doubt, not a double mail.
                log.warning("lease_not_renewed", workspace_id=workspace_id, error=str(error).splitlines()[0])

    thread = threading.Thread(target=renew, name="lease", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _send(house: House, workspace_id: int, leased: _Leased, ways: Ways) -> None:
    """Compose group after group, and have them handed over meanwhile.

    One sender begins; another joins whenever a group is finished while the one before it still waits, up to the number
    of connections. A fast server is served by one thread (threads that do not wait only fight for the interpreter), a
    slow one by all.
    """
    ring = _keyring(house.settings.data_dir).refresh().with_kept(leased.signers)
    now = house.clock.now()
    groups: SimpleQueue[list[_Ready | Failed] | None] = SimpleQueue()
    most = house.settings.smtp_connections
    running: list[Future[None]] = []
    with ThreadPoolExecutor(most, thread_name_prefix="deliver") as threads:
        try:
            for start in range(0, len(leased.rows), GROUP):
                group = leased.rows[start : start + GROUP]
                made = [_make(leased.materials, row, ring, now) for row in group]
                if len(running) < most and (not running or not groups.empty()):
                    running.append(threads.submit(_hand_over, house, workspace_id, leased.lease, ways, groups))
                groups.put(made)
        finally:
            for _ in running:
                groups.put(None)
    for sender in running:
        sender.result()


def _make(materials: Materials, row: MessageRow, ring: Keyring, now: datetime) -> _Ready | Failed:
    """One mail as bytes, signed."""
    composed = composing.compose(materials, row)
    if isinstance(composed, Failed):
        return composed
    try:
        return _Ready(row, composed, outgoing(row, composed, ring, now))
    except HeaderError as error:
        return Failed(row.id, row.contact_id, "bad_header", str(error))


def outgoing(row: MessageRow, composed: Composed, ring: Keyring, now: datetime) -> Outgoing:
    """A composed mail as it is handed over; raises HeaderError where it cannot be one."""
    sender = wire_address(composed.sender_email)
    mail = Mail(
        sender=Mailbox(composed.sender_name, sender),
        recipient=Mailbox(composed.recipient_name, composed.envelope_to),
        subject=composed.subject,
        text=composed.text,
        html=composed.html,
        message_id=composed.message_id,
        date=now,
        reply_to=Mailbox("", composed.reply_to) if composed.reply_to else None,
        headers=composed.headers,
        attachments=composed.attachments,
    )
    raw = assemble(mail)
    envelope = (wire_address(composed.envelope_from), wire_address(composed.envelope_to))
    signed = ring.sign(raw, sender.rpartition("@")[2], now)
    return Outgoing(row.id, row.contact_id, composed.message_id, *envelope, signed, mail, stream_of(row.class_))


def _hand_over(
    house: House,
    workspace_id: int,
    lease: Lease,
    ways: Ways,
    groups: SimpleQueue[list[_Ready | Failed] | None],
) -> None:
    """One sender: transactions 2 and 3 of one group after the other, with the transport's work between them.

    Where the next group is there already, its `handed_over` and the outcomes of the last one are one transaction.
    """
    settled: list[Settled] = []
    left: Sequence[_Ready | Failed] = []
    size, last = FIRST, False
    while not last or left or settled:
        if not left and not last and not (settled and groups.empty()):
            group = groups.get()
            left, last = group or [], group is None
        chunk, left = left[:size], left[size:]
        if not chunk and not settled:
            continue
        with house.database.work(workspace_id) as session:
            now = house.clock.now()
            outcomes.settle(session, lease, settled, now)
            senders.keep(session, ways.heard(), now)
            going = _write_handed_over(session, lease, chunk, house.settings, ways, now)
        sent = [one for one in chunk if isinstance(one, _Ready) and one.row.id in going]
        if sent:
            began = time.monotonic()
            answers = ways.send([one.mail for one in sent])
            pace = (time.monotonic() - began) / len(sent)
            size = max(SMALLEST, min(GROUP, int(DOUBT_SECONDS / max(pace, 1e-6))))
            settled = [
                Settled(one.row, going[one.row.id], answer.outcome, answer.by, answer.before, answer.known)
                for one, answer in zip(sent, answers, strict=True)
            ]
            Paces(house.redis, workspace_id).heard(
                ((one.mail.envelope_to, answer.outcome) for one, answer in zip(sent, answers, strict=True)), now
            )
        else:
            settled = []


def _write_handed_over(
    session: Session, lease: Lease, made: Sequence[_Ready | Failed], settings: Settings, ways: Ways, now: datetime
) -> dict[int, datetime]:
    """Transaction 2: what of a group may go, and since when; what could not be composed ends here."""
    ready = [one for one in made if isinstance(one, _Ready)]
    outcomes.fail(session, lease, [one for one in made if isinstance(one, Failed)], now)
    going = leases.hand_over(session, lease, [_kept_of(one, settings, ways) for one in ready], now) if ready else {}
    if len(going) < len(ready):
        signal(session, "deliver")
    return going


def _kept_of(one: _Ready, settings: Settings, ways: Ways) -> dict[str, object]:
    composed = one.composed
    knows = ways.knows(one.mail.stream)
    return {
        "id": composed.id,
        "contact_id": composed.contact_id,
        "address": composed.envelope_to,
        "address_hash": suppression_hashes(settings, "email", composed.envelope_to)[0].hex(),
        "subject": composed.subject,
        "message_id": composed.message_id,
        "language": composed.language,
        "template_version_id": composed.template_version_id,
        "facts": {**composed.facts, "way": {**asdict(knows), "first": not one.row.attempts}}
        if knows
        else composed.facts,
    }
