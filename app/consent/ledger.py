"""The ledger of consent: append-only, hash-chained per workspace; and the list of addresses not to be written to.

A line says who, on which address and channel, for what, and on which proof (R5). Nothing is ever changed: what holds
now is a fold over a person's lines (`consent/fold.py`), and each is chained to the one before it (`consent/chain.py`).
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import Row, select, text
from sqlalchemy.orm import Session

from app.config import Settings
from app.consent import chain
from app.consent.case import Suppressed
from app.consent.fold import PURPOSES, REFUSALS, STATES, Key, Line, State, by_key, fold, missing_proof, settle, words
from app.consent.models import ConsentRecord
from app.db import as_rows, settings_of, workspace_of

QUERIES_TO_APPEND = 4
"""The lock, the last line, what held before, and the insert; whatever the number of acts."""

_LOCK = 0x6C656467 << 32


class LedgerError(ValueError):
    """An act that cannot stand in the ledger; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class Act:
    """What a person did, as it will stand in the ledger.

    `address` is normalised (`address_key`, or E.164 for phones). `proof` holds what is known of R5's list: controller,
    wording, wording_version, language, notice_version, notice_hash, page, ip, user_agent, operator_id, import_file,
    scan_id, token_id, message_pk, guardian (the parent who said yes for a child, and how that was checked, R12); for
    purpose `notice`: refusal_offered, recovery_mentioned. Values are texts, whole numbers, truths, lists
    and named values of these.
    """

    contact_id: int
    address: str
    channel: str
    purpose: str
    topic: str | None
    state: str
    method: str
    requested_at: datetime
    confirmed_at: datetime | None = None
    proof: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.purpose not in PURPOSES:
            raise LedgerError(f"{self.purpose!r} is no purpose; it is one of {', '.join(PURPOSES)}.")
        if self.state not in STATES:
            raise LedgerError(f"{self.state!r} is no state; it is one of {', '.join(STATES)}.")
        if self.topic is not None and self.purpose != "marketing":
            raise LedgerError("Only marketing has topics.")
        if not self.address or not self.method:
            raise LedgerError("An act needs an address and a method.")
        for moment in (self.requested_at, self.confirmed_at):
            if moment is not None and moment.tzinfo is None:
                raise LedgerError("Instants in the ledger are aware.")


def address_key(address: str) -> str:
    """An e-mail address as the ledger and suppressions know it: lower case, ASCII domain, no dot at its end (X45)."""
    local, at, domain = address.strip().rpartition("@")
    if not at:
        return address.strip().lower()
    domain = domain.strip().rstrip(".").lower()
    with contextlib.suppress(UnicodeError):  # a domain that IDNA refuses stays as it is: it matches itself
        domain = domain.encode("idna").decode()
    return f"{local.casefold()}@{domain}"


def lock(session: Session) -> None:
    """Keep every other writer out of this workspace's ledger until the unit of work ends; one query.

    For who must read before writing and act on what was read; `append` takes it by itself. Always after the locks on
    contacts, as `events/record.py` does, or two units of work could wait for each other.
    """
    session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK | workspace_of(session)})


def try_lock(session: Session) -> bool:
    """The same for who holds other locks already and so must not wait; False: somebody else is writing just now."""
    asked = text("SELECT pg_try_advisory_xact_lock(:key)")
    return bool(session.scalar(asked, {"key": _LOCK | workspace_of(session)}))


def append(session: Session, acts: Sequence[Act], now: datetime) -> list[int]:
    """Write acts at the end of this workspace's ledger, in the order given.

    Four queries whatever their number. Writers of one workspace wait for one another until commit: lines have no gap
    and the chain no fork.

    Returns:
        The numbers of the new lines.
    """
    if not acts:
        return []
    workspace_id = workspace_of(session)
    lock(session)
    last = session.execute(
        select(ConsentRecord.line, ConsentRecord.hash).order_by(ConsentRecord.line.desc()).limit(1)
    ).first()
    number, previous_hash = (last.line, last.hash) if last else (0, chain.genesis(workspace_id))
    known = {key: by_key(value) for key, value in lines(session, {act.contact_id for act in acts}).items()}
    written: list[dict[str, Any]] = []
    for act in acts:
        number += 1
        proof = _canonical_value(act.proof)
        key: Key = (act.address, act.channel, act.purpose, act.topic)
        before = known.setdefault(act.contact_id, {}).setdefault(key, [])
        record = {
            "workspace_id": workspace_id,
            "line": number,
            "contact_id": act.contact_id,
            "address": act.address,
            "channel": act.channel,
            "purpose": act.purpose,
            "topic": act.topic,
            "state": act.state,
            "method": act.method,
            "proof": proof,
            "requested_at": act.requested_at,
            "confirmed_at": act.confirmed_at,
            "recorded_at": now,
            "previous_state": settle(before).state if before else None,
        }
        digest = chain.digest(previous_hash, record)
        before.append(_line(number, act.confirmed_at, act.requested_at, record, proof))
        written.append({**record, "proof": chain.canonical(proof), "previous_hash": previous_hash, "hash": digest})
        previous_hash = digest
    columns = {name: [line[name] for line in written] for name in _COLUMNS}
    session.execute(_INSERT, columns | {"ws": workspace_id, "now": now, "told": as_rows(_told(acts, known))})
    return [line["line"] for line in written]


def _told(acts: Sequence[Act], known: Mapping[int, Mapping[Key, list[Line]]]) -> list[dict[str, Any]]:
    """Rows of `consent_words` for everybody these acts speak of: one for each of their e-mail addresses."""
    rows: list[dict[str, Any]] = []
    for contact_id in sorted({act.contact_id for act in acts}):
        states = {key: settle(said) for key, said in known[contact_id].items() if said}
        addresses = sorted({address for address, channel, _, _ in states if channel == "email"})
        rows += [{"contact_id": contact_id, "address": one, "words": words(states, one)} for one in addresses]
    return rows


def lines(session: Session, contact_ids: Iterable[int]) -> dict[int, list[Line]]:
    """What the fold reads, by contact, oldest first; one query. Contacts without a line are left out.

    Every no that was said on an address a contact has now counts, whoever said it: it may have been the same person
    under another number (merged since, or read from a list), and a mailbox that said "no more" means it until a newer
    yes from it. What a merge wrote speaks of its winner alone, or undoing it would leave traces on the other.
    """
    wanted = sorted(set(contact_ids))
    if not wanted:
        return {}
    found: dict[int, list[Line]] = {}
    for row in session.execute(_CURRENT, {"ws": workspace_of(session), "contacts": wanted}):
        found.setdefault(row.contact_id, []).append(_read(row))
    return found


def current(session: Session, contact_ids: Iterable[int]) -> dict[int, dict[Key, State]]:
    """What holds now for these contacts, in one query; contacts without a line are left out."""
    return {contact_id: fold(of_contact) for contact_id, of_contact in lines(session, contact_ids).items()}


def history(session: Session, contact_id: int) -> list[ConsentRecord]:
    """Every line of one contact, oldest first. One query."""
    statement = select(ConsentRecord).where(ConsentRecord.contact_id == contact_id).order_by(ConsentRecord.line)
    return list(session.scalars(statement))


_COLUMNS = (*chain.HASHED[1:], "previous_hash", "hash")
_INSERT = text(
    """
    WITH told AS (
        INSERT INTO consent_words AS w (workspace_id, contact_id, address, words, updated_at)
        SELECT :ws, r.contact_id, r.address, r.words, :now
        FROM json_to_recordset(CAST(:told AS json)) AS r(contact_id bigint, address text, words jsonb)
        ON CONFLICT (workspace_id, contact_id, address) DO UPDATE SET words = excluded.words, updated_at = :now
    )
    INSERT INTO consent_records (workspace_id, line, contact_id, address, channel, purpose, topic, state, method, proof,
                                 requested_at, confirmed_at, recorded_at, previous_state, previous_hash, hash)
    SELECT :ws, a.*
    FROM unnest(CAST(:line AS bigint[]), CAST(:contact_id AS bigint[]), CAST(:address AS text[]),
                CAST(:channel AS text[]), CAST(:purpose AS text[]), CAST(:topic AS text[]), CAST(:state AS text[]),
                CAST(:method AS text[]), CAST(:proof AS jsonb[]), CAST(:requested_at AS timestamptz[]),
                CAST(:confirmed_at AS timestamptz[]), CAST(:recorded_at AS timestamptz[]),
                CAST(:previous_state AS text[]), CAST(:previous_hash AS bytea[]), CAST(:hash AS bytea[])) AS a
    """
)
_CURRENT = text(
    """
    WITH said AS (
        SELECT contact_id AS of_contact, * FROM consent_records
        WHERE workspace_id = :ws AND contact_id = ANY(:contacts)
        UNION ALL
        SELECT c.id, r.*
        FROM contacts c CROSS JOIN LATERAL (VALUES (c.email_key), (c.phone)) AS a(address)
        JOIN consent_records r ON r.workspace_id = :ws AND r.address = a.address AND r.contact_id <> c.id
            AND r.state IN ('denied', 'withdrawn', 'objected') AND r.proof ->> 'merge_id' IS NULL
        JOIN contacts o ON o.workspace_id = :ws AND o.id = r.contact_id AND o.erased_at IS NULL
        WHERE c.workspace_id = :ws AND c.id = ANY(:contacts)
    )
    SELECT of_contact AS contact_id, line, address, channel, purpose, topic, state, method, requested_at, confirmed_at,
           proof ->> 'wording_version' AS wording_version, proof ->> 'scan_id' AS scan_id,
           proof ->> 'import_file' AS import_file, proof ->> 'refusal_offered' AS refusal_offered,
           proof ->> 'recovery_mentioned' AS recovery_mentioned,
           proof ->> 'guardian' AS guardian
    FROM said ORDER BY of_contact, line
    """
)


def _canonical_value(value: Any) -> Any:
    """A proof as PostgreSQL's jsonb gives it back; raises LedgerError for what would come back different."""
    if isinstance(value, Mapping):
        return {str(key): _canonical_value(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_canonical_value(one) for one in value]
    if isinstance(value, str):
        if "\x00" in value or any("\ud800" <= letter <= "\udfff" for letter in value):
            raise LedgerError("A proof holds a character that cannot be stored.")
        return value
    if value is None or isinstance(value, bool | int):
        return value
    raise LedgerError(f"A proof holds texts, whole numbers and truths, not {type(value).__name__}.")


def _line(number: int, confirmed: datetime | None, requested: datetime, record: Mapping[str, Any], proof: Any) -> Line:
    return Line(
        number,
        record["address"],
        record["channel"],
        record["purpose"],
        record["topic"],
        record["state"],
        record["method"],
        confirmed or requested,
        not missing_proof(
            record["state"],
            record["method"],
            wording_version=proof.get("wording_version"),
            confirmed=confirmed is not None,
            scan_id=proof.get("scan_id"),
            import_file=proof.get("import_file"),
        ),
        proof.get("refusal_offered") in (True, "true"),
        proof.get("recovery_mentioned") in (True, "true"),
        bool(proof.get("guardian")),
    )


def _read(row: Row[Any]) -> Line:
    fields: dict[str, Any] = dict(row._mapping)
    return _line(row.line, row.confirmed_at, row.requested_at, fields, fields)


# Suppressions


def suppression_hashes(settings: Settings, channel: str, address: str) -> list[bytes]:
    """The keyed hashes an address may be suppressed under: the newest secret's first (R37).

    Keyed, so that nobody without the secret can try addresses against it; a plus-tag is joined with its plain address
    (X45), since who suppresses one means the mailbox.
    """
    plain = address_key(address) if "@" in address else address
    if "@" in plain:
        local, _, domain = plain.rpartition("@")
        plain = f"{local.partition('+')[0] or local}@{domain}"
    hashes = []
    for secret in (settings.secret, *settings.previous_secrets):
        keyed = _suppression_key(secret).copy()
        keyed.update(f"{channel}:{plain}".encode())
        hashes.append(keyed.digest())
    return hashes


@lru_cache(maxsize=16)
def _suppression_key(secret: str) -> hmac.HMAC:
    # Copied for each use: setting a key up costs a hundred times what the hash of an address does.
    return hmac.new(hmac.digest(secret.encode(), b"percorso:suppression", "sha256"), digestmod=hashlib.sha256)


@dataclass(frozen=True, slots=True)
class Barred:
    """An address to be suppressed, and why."""

    channel: str
    address: str
    reason: str
    """unsubscribe, complaint, hard_bounce, soft_bounces, erased or manual."""
    scope: str = "all"
    """`all`, or `marketing`: marketing and feedback only."""
    detail: Mapping[str, Any] = field(default_factory=dict)


SCOPE_OF_REASON = {"unsubscribe": "marketing", "complaint": "marketing"}
"""What a reason stops where nothing else is said; all others stop everything."""


def suppress(session: Session, barred: Sequence[Barred], now: datetime) -> int:
    """Suppress addresses; one that already is, for that reason, stays as it is. One query.

    Returns:
        How many were not suppressed for that reason before.
    """
    if not barred:
        return 0
    settings = settings_of(session)
    rows = session.execute(
        _SUPPRESS,
        {
            "ws": workspace_of(session),
            "channel": [one.channel for one in barred],
            "hash": [suppression_hashes(settings, one.channel, one.address)[0] for one in barred],
            "reason": [one.reason for one in barred],
            "scope": [one.scope for one in barred],
            "detail": [chain.canonical(dict(one.detail)) for one in barred],
            "now": now,
        },
    ).all()
    return len(rows)


def lift(session: Session, channel: str, address: str, reasons: Sequence[str], why: str, now: datetime) -> int:
    """Lift live suppressions of an address; one query. `why` is kept.

    `unsubscribe` and `complaint` may only be lifted by a fresh double opt-in of the person (R37): callers see to that.

    Returns:
        How many were lifted.
    """
    rows = session.execute(
        _LIFT,
        {
            "ws": workspace_of(session),
            "channel": channel,
            "hashes": suppression_hashes(settings_of(session), channel, address),
            "reasons": list(reasons),
            "why": why,
            "now": now,
        },
    ).all()
    return len(rows)


LIFTABLE = frozenset({"hard_bounce", "soft_bounces", "manual"})
"""Reasons that the team may lift, saying why. What a person stopped, only that person starts again (R37)."""


def lift_one(session: Session, suppression_id: int, why: str, now: datetime) -> bool:
    """Lift one suppression by its number, for a reason that is kept; False where there is no live one that the team may
    lift. One query."""
    wanted = {"ws": workspace_of(session), "id": suppression_id, "why": why, "now": now, "reasons": sorted(LIFTABLE)}
    return session.execute(_LIFT_ONE, wanted).first() is not None


def suppressed(session: Session, addresses: Iterable[tuple[str, str]]) -> dict[tuple[str, str], tuple[Suppressed, ...]]:
    """(channel, address) → its live suppressions, for the addresses that have any. One query."""
    settings = settings_of(session)
    wanted: dict[bytes, list[tuple[str, str]]] = {}
    for channel, address in dict.fromkeys(addresses):
        for digest in suppression_hashes(settings, channel, address):
            wanted.setdefault(digest, []).append((channel, address))
    if not wanted:
        return {}
    found: dict[tuple[str, str], tuple[Suppressed, ...]] = {}
    for row in session.execute(_SUPPRESSED, {"ws": workspace_of(session), "hashes": list(wanted)}):
        for place in wanted[row.address_hash]:
            if place[0] == row.channel:
                found[place] = (*found.get(place, ()), Suppressed(row.reason, row.scope))
    return found


_SUPPRESS = text(
    """
    INSERT INTO suppressions (workspace_id, channel, address_hash, reason, scope, detail, recorded_at)
    SELECT :ws, b.*, :now
    FROM unnest(CAST(:channel AS text[]), CAST(:hash AS bytea[]), CAST(:reason AS text[]), CAST(:scope AS text[]),
                CAST(:detail AS jsonb[])) AS b
    ON CONFLICT DO NOTHING RETURNING id
    """
)
_LIFT = text(
    """
    UPDATE suppressions SET lifted_at = :now, lifted_why = :why
    WHERE workspace_id = :ws AND channel = :channel AND address_hash = ANY(:hashes) AND reason = ANY(:reasons)
      AND lifted_at IS NULL
    RETURNING id
    """
)
_LIFT_ONE = text(
    """
    UPDATE suppressions SET lifted_at = :now, lifted_why = :why
    WHERE workspace_id = :ws AND id = :id AND reason = ANY(:reasons) AND lifted_at IS NULL
    RETURNING id
    """
)
_SUPPRESSED = text(
    """
    SELECT channel, address_hash, reason, scope FROM suppressions
    WHERE workspace_id = :ws AND address_hash = ANY(:hashes) AND lifted_at IS NULL ORDER BY scope, reason
    """
)

__all__ = [
    "REFUSALS",
    "Act",
    "Barred",
    "LedgerError",
    "address_key",
    "append",
    "current",
    "fold",
    "history",
    "lift",
    "lift_one",
    "lines",
    "suppress",
    "suppressed",
]
