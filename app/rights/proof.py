"""The proof of what one person agreed to and refused: every line with its words, and every message that relied on it.

For a guest who doubts, a lawyer or the authority (GDPR 5(2), 7(1)). A pack follows merges, so it tells of the person
and of whoever has become part of them; it holds the lines of nobody else, only the fingerprints that stand before and
after each in the chain. `sealed` makes it one signed file, `checked` reads that file without a database.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Row, select, text
from sqlalchemy.orm import Session

from app.accounts.models import Workspace
from app.config import Settings
from app.consent import chain, ledger
from app.consent.fold import missing_proof, standing
from app.consent.models import ConsentRecord, Topic
from app.contacts.models import display_name
from app.db import workspace_of
from app.rights import paper, proof_page, sealing, walk

FORMAT = "percorso-consent-proof-1"


@dataclass(frozen=True, slots=True)
class Pack:
    """One person's proof."""

    document: Mapping[str, Any]
    """As plain JSON; `docs/compliance.md` says how to read it."""
    html: Mapping[str, str]
    """The same for reading, by language."""

    @property
    def json(self) -> bytes:
        """The document as a file."""
        return paper.plain(self.document)


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check of a proof file found."""

    problems: tuple[str, ...]
    """Empty: nothing of it was changed since the house signed it, and its lines are chained."""
    key: str
    known: bool
    """Whether it was signed by a key the reader trusts."""
    document: Mapping[str, Any] | None


def pack(session: Session, contact_id: int, now: datetime) -> Pack:
    """Everything that proves what a person has agreed to.

    The chain is walked from where it was last found whole; the person's own lines, and the links to their neighbours,
    are looked at each time.

    Raises:
        NobodyError: there is no such contact.
    """
    people = walk.people_of(session, contact_id)
    workspace = session.execute(
        select(Workspace.slug, Workspace.name).where(Workspace.id == workspace_of(session))
    ).one()
    seen = chain.looked(session, now)
    numbers = [row.id for row in people]
    titles = {row.name: row.title for row in session.execute(select(Topic.name, Topic.title))}
    relied: dict[int, list[dict[str, Any]]] = {}
    for row in session.execute(_MESSAGES, {"ws": workspace_of(session), "contacts": numbers}):
        relied.setdefault(row.ledger_line, []).append(_message(row))
    records = session.scalars(
        select(ConsentRecord).where(ConsentRecord.contact_id.in_(numbers)).order_by(ConsentRecord.line)
    ).all()
    beside = _beside(session, records)
    broken = seen.broken or _broken(records, beside)
    document = {
        "format": FORMAT,
        "made_at": _instant(now),
        "workspace": {"id": workspace_of(session), "slug": workspace.slug, "name": workspace.name},
        "person": _person(people),
        "chain": {
            "lines": seen.end.line,
            "end": seen.end.hash,
            "looked_before": {"line": seen.since.line, "at": _instant(seen.since_at)} if seen.since else None,
            "whole": broken is None,
            "broken": {"line": broken.line, "why": broken.why} if broken else None,
        },
        "now": _now(session, numbers),
        "topics": titles,
        "lines": [_line(record, beside.get(record.line + 1), relied.get(record.line, [])) for record in records],
    }
    return Pack(document, {language: proof_page.page(document, language) for language in paper.LANGUAGES})


def sealed(settings: Settings, made: Pack) -> bytes:
    """The pack as one signed file (zip): proof.json, and a page for each language."""
    pages = {f"proof.{language}.html": page.encode() for language, page in made.html.items()}
    return sealing.sealed(settings, {"proof.json": made.json, **pages})


def checked(data: bytes, trusted: Collection[str] = ()) -> Checked:
    """Check a proof file, without a database: the signature, every byte, and the chain of its lines.

    Args:
        data: the file.
        trusted: public keys of the house, in hexadecimal, known from elsewhere.
    """
    found = sealing.opened(data, trusted)
    if found.problems or found.documents is None:
        return Checked(found.problems, found.key, found.known, None)
    document = json.loads(found.documents.get("proof.json", b"{}"))
    if document.get("format") != FORMAT:
        return Checked(("It is no proof of consent.",), found.key, found.known, None)
    return Checked(tuple(_unchained(document["lines"])), found.key, found.known, document)


def _unchained(lines: Sequence[Mapping[str, Any]]) -> list[str]:
    """Lines whose fingerprint is not that of their content, or that do not follow from one another."""
    problems = []
    before: Mapping[str, Any] | None = None
    for line in lines:
        number = line["record"]["line"]
        if chain.digest(bytes.fromhex(line["previous_hash"]), line["record"]).hex() != line["hash"]:
            problems.append(f"Line {number} does not have the fingerprint of what it says.")
        is_next = before is not None and before["record"]["line"] == number - 1
        if before is not None and is_next and before["hash"] != line["previous_hash"]:
            problems.append(f"Line {number} does not follow from line {number - 1}.")
        before = line
    return problems


def _person(people: Sequence[Any]) -> dict[str, Any]:
    whole = people[0]
    return {
        "contact": whole.id,
        "merged": [row.id for row in people[1:]],
        "name": display_name(whole),
        "email": whole.email,
        "phone": whole.phone,
        "erased_at": _instant(whole.erased_at),
    }


def _now(session: Session, numbers: Sequence[int]) -> list[dict[str, Any]]:
    """Where each purpose stands now, by the same fold that the gate reads. What was said by each of several merged
    contacts is told apart: the gate reads the survivor's."""
    found = []
    for contact_id, states in sorted(ledger.current(session, numbers).items()):
        for (address, channel, purpose, topic), state in sorted(states.items(), key=str):
            word, line = state.state, state.line
            if purpose == "marketing":
                said, by = standing(states, address, channel, topic)
                word, line = said, by or line
            elif not state.proven:
                word = "no_proof"
            found.append(
                {
                    "contact": contact_id,
                    "address": address,
                    "channel": channel,
                    "purpose": purpose,
                    "topic": topic,
                    "state": word,
                    "line": line,
                }
            )
    return found


def _beside(session: Session, records: Sequence[ConsentRecord]) -> dict[int, Any]:
    """The fingerprints of the lines before and after each, by line. One query.

    Asked for by their numbers: beneath row security no index is used for a number that has to be reckoned first.
    """
    near = sorted({record.line + step for record in records for step in (-1, 1)})
    chosen = select(ConsentRecord.line, ConsentRecord.previous_hash, ConsentRecord.hash)
    return {row.line: row for row in session.execute(chosen.where(ConsentRecord.line.in_(near)))}


def _broken(records: Sequence[ConsentRecord], beside: Mapping[int, Any]) -> chain.Break | None:
    """The first of these lines that is not what was written, or no longer stands between its neighbours."""
    for record in records:
        if record.hash != chain.digest(record.previous_hash, chain.fields(record)):
            return chain.Break(record.line, "changed")
        before, after = beside.get(record.line - 1), beside.get(record.line + 1)
        expected = before.hash if before else chain.genesis(record.workspace_id)
        if expected != record.previous_hash or (after and after.previous_hash != record.hash):
            return chain.Break(record.line, "out_of_chain")
    return None


def _line(record: ConsentRecord, after: Row[Any] | None, relied: list[dict[str, Any]]) -> dict[str, Any]:
    plain = {key: _instant(one) if isinstance(one, datetime) else one for key, one in chain.fields(record).items()}
    proof = record.proof
    wording = proof.get("wording")
    missing = missing_proof(
        record.state,
        record.method,
        wording_version=proof.get("wording_version"),
        confirmed=record.confirmed_at is not None,
        scan_id=proof.get("scan_id"),
        import_file=proof.get("import_file"),
    )
    return {
        "record": plain,
        "wording_hash": f"sha256:{hashlib.sha256(wording.encode()).hexdigest()}" if isinstance(wording, str) else None,
        "counts": not missing,
        "missing": list(missing),
        "previous_hash": record.previous_hash.hex(),
        "hash": record.hash.hex(),
        "next": {"line": after.line, "previous_hash": after.previous_hash.hex(), "hash": after.hash.hex()}
        if after
        else None,
        "messages": relied,
    }


def _message(row: Any) -> dict[str, Any]:
    return {
        "message": row.id,
        "message_id": row.message_id,
        "class": row.class_,
        "topic": row.topic,
        "channel": row.channel,
        "address": row.address,
        "template": row.template,
        "template_version": row.version,
        "basis": row.basis,
        "rule": row.rule,
        "handed_over_at": _instant(row.handed_over_at),
        "accepted_at": _instant(row.accepted_at),
        "state": row.state,
    }


def _instant(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).isoformat() if moment is not None else None


# What left, or may have: a message that was refused or taken back relied on nothing.
_MESSAGES = text(
    """
    SELECT m.id, m.message_id, m.class AS class_, m.topic, m.channel, m.address, m.template, v.number AS version,
           m.basis, m.rule, m.handed_over_at, m.accepted_at, m.state, m.ledger_line
    FROM messages m
    LEFT JOIN template_versions v ON v.workspace_id = m.workspace_id AND v.id = m.template_version_id
    WHERE m.workspace_id = :ws AND m.contact_id = ANY(:contacts) AND m.ledger_line IS NOT NULL AND m.basis IS NOT NULL
      AND (m.handed_over_at IS NOT NULL OR m.accepted_at IS NOT NULL)
    ORDER BY m.id
    """
)
