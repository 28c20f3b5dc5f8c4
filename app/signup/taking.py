"""What came in through forms becomes people, lines of the ledger, confirmation mails and events; in batches.

Two things keep a form from being used against the person whose address is typed into it. What stands beside the
address, a name or a language, is laid over nobody's profile before the mailbox has confirmed; and that the notice was
read is written down without the right to refuse that a soft opt-in rests on (R8): that takes a sale.
A no counts at once, whoever typed it: of the two ways to be wrong about it, not writing is the harmless one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from app.consent import ledger
from app.consent.ledger import Act
from app.consent.requests import DELETE_AFTER
from app.contacts import identity
from app.contacts.profiles import Person, Profile, person_of
from app.contacts.projection import instant_text
from app.db import as_rows, workspace_of
from app.events import log
from app.events.record import OwnEvent, record_own
from app.messages import asking, choices
from app.messages.asking import HOLDS_FOR, Ask, Asked
from app.messages.choices import Leaving, Wish
from app.messages.voices import Voice
from app.signup import document as documents
from app.signup.document import Document

QUERIES = 9 + 5 + asking.QUERIES + choices.QUERIES + 4
"""However many are taken: the rows, the world, people (7 where some are new), notices, asking, refusing, own events,
the rows again, the forms' counters, and people to be forgotten."""


@dataclass(slots=True)
class _Taken:
    """One submission on its way."""

    row: Row[Any]
    document: Document
    person: Person
    profile: Profile
    is_new: bool
    asked: tuple[Asked, ...] = ()

    @property
    def contact_id(self) -> int:
        return self.profile.id

    @property
    def key(self) -> str:
        return self.person.email.key if self.person.email else ""

    @property
    def version(self) -> str:
        """Which words were shown, as the ledger names them."""
        return f"form-{self.row.public_id}-{self.row.number}-{self.row.language}"

    @property
    def agreed(self) -> list[tuple[str, str, str | None]]:
        """What was said yes to: which of the form's words, purpose, topic."""
        topics = self.row.topics if self.row.wants else ()
        return [("yes", "marketing", topic) for topic in topics] + [(one, one, None) for one in self.row.purposes]

    def proof(self, words: str) -> dict[str, Any]:
        """What the ledger keeps beside a choice (R5)."""
        given = {name: value for name, value in self.row.given.items() if name not in {"first_name", "effort"}}
        return {
            **given,
            "form": self.row.public_id,
            "form_version": self.row.number,
            "language": self.row.language,
            "wording": words,
            "wording_version": self.version,
            "controller": self.row.controller or self.row.place,
            "notice_version": self.document.notice_version,
            "notice_hash": self.document.notice_hash(self.row.language, self.row.notice or ""),
        }


def take(session: Session, now: datetime, limit: int) -> int:
    """Deal with at most so many submissions, in the order they came; how many were looked at."""
    rows = session.execute(_DUE, {"ws": workspace_of(session), "now": now, "limit": limit}).all()
    if not rows:
        return 0
    taken, later = _people(session, rows, now)
    ledger.append(session, [_notice(one) for one in taken], now)
    _refuse(session, [one for one in taken if not one.row.wants], now)
    _ask(session, taken, now)
    record_own(session, [_event(one) for one in taken], now)
    _keep(session, taken, now)
    return len(rows) - len(later)


def _people(session: Session, rows: Sequence[Row[Any]], now: datetime) -> tuple[list[_Taken], list[int]]:
    """Who they are; the ids of rows of somebody who has an earlier one here, whose turn comes next time."""
    connection, workspace_id = session.connection(), workspace_of(session)
    world = log.world(connection, workspace_id)
    people = [person_of({"email": row.address, "language": row.language}, None, world.relays) for row in rows]

    def look_up() -> Sequence[Row[Any]]:
        return identity.candidates(connection, workspace_id, people)

    profiles = identity.settled(connection, workspace_id, people, look_up(), look_up)
    taken: list[_Taken] = []
    later: list[int] = []
    seen: set[int] = set()
    for row, person, profile in zip(rows, people, profiles, strict=True):
        if id(profile) in seen:
            later.append(row.id)
            continue
        seen.add(id(profile))
        if profile.is_new:
            profile.tell(person, f"{instant_text(row.received_at)}|form:{row.id}")
        taken.append(_Taken(row, documents.read(row.document), person, profile, profile.is_new))
    new = [one.profile for one in taken if one.is_new]
    if new:
        numbers, _, _ = log.numbers(connection, len(new), 0, 0)
        for profile, number in zip(new, numbers, strict=True):
            profile.id = number
        identity.write(connection, workspace_id, new, now)
    return taken, later


def _notice(one: _Taken) -> Act:
    return Act(
        contact_id=one.contact_id,
        address=one.key,
        channel="email",
        purpose="notice",
        topic=None,
        state="granted",
        # Shown and acknowledged, by whoever filled the form: no mailbox has to say so.
        method="form_notice",
        requested_at=one.row.received_at,
        proof=one.proof(one.document.say("notice", one.row.language)),
    )


def _refuse(session: Session, taken: Sequence[_Taken], now: datetime) -> None:
    """No grazie: written down, what waits is cancelled, nobody asks again for 180 days."""
    leavings = []
    for one in taken:
        row = one.row
        voice = Voice(row.method, row.language, row.given.get("page", ""), row.given.get("ip"))
        wishes = tuple(Wish("marketing", topic, False, state="denied") for topic in row.topics)
        person = choices.Person(one.contact_id, (one.key,))
        words = one.proof(one.document.say("no", row.language))
        leavings.append(Leaving(person, wishes, voice, now, proof=words))
    if leavings:
        choices.leave(session, leavings, now)


def _ask(session: Session, taken: Sequence[_Taken], now: datetime) -> None:
    asks = [
        Ask(
            contact_id=one.contact_id,
            purpose=purpose,
            topic=topic,
            address=one.key,
            property_id=one.row.property_id,
            language=one.row.language,
            proof=one.proof(one.document.say(words, one.row.language)),
            method=one.row.method,
            wished=True,
        )
        for one in taken
        for words, purpose, topic in one.agreed
    ]
    answers = iter(asking.ask(session, asks, now))
    for one in taken:
        one.asked = tuple(next(answers) for _ in one.agreed)


def _event(one: _Taken) -> OwnEvent:
    row = one.row
    data = {
        "form": row.public_id,
        "name": row.name,
        "newsletter": row.wants,
        "topics": list(row.topics),
        "purposes": list(row.purposes),
        "language": row.language,
        "version": row.number,
        "method": row.method,
    }
    return OwnEvent(
        one.contact_id, "form.submitted", row.received_at, data, property_id=row.property_id, id=f"form:{row.id}"
    )


def _keep(session: Session, taken: Sequence[_Taken], now: datetime) -> None:
    """What waits for a mailbox stays, without what only the ledger had to know (R53); all else goes; whoever is here
    only because of it is forgotten in time."""
    waits, gone, forget = [], [], []
    for one in taken:
        lines = [answer.line for answer in one.asked if answer.line is not None]
        if lines:
            waits.append({"id": one.row.id, "contact_id": one.contact_id, "lines": lines})
        else:
            gone.append(one.row.id)
        if one.is_new and not (lines and one.row.wants):
            after: timedelta = DELETE_AFTER if one.row.wants else HOLDS_FOR
            forget.append({"contact_id": one.contact_id, "address": one.key, "next_at": now + after})
    workspace = {"ws": workspace_of(session)}
    session.execute(_WAIT, {**workspace, "rows": as_rows(waits), "gone": gone})
    counted: dict[int, dict[str, Any]] = {}
    for one in taken:
        row = counted.setdefault(one.row.form_id, {"id": one.row.form_id, "yes": 0, "no": 0})
        row["yes" if one.row.wants else "no"] += 1
    session.execute(_COUNT, {**workspace, "rows": as_rows(list(counted.values()))})
    if forget:
        session.execute(_FORGET, {**workspace, "rows": as_rows(forget), "now": now})


def confirmed(session: Session, contact_id: int, lines: Sequence[int], now: datetime) -> None:
    """The mailbox has spoken: what was typed beside the address is the person's own now. At most four queries.

    Args:
        contact_id: whose request was confirmed.
        lines: its pending lines.
    """
    wanted = {"ws": workspace_of(session), "contact": contact_id, "lines": list(lines)}
    rows = session.execute(_TYPED, wanted).all()
    if not rows:
        return
    rows = sorted(rows, key=lambda row: row.id)
    name: Mapping[str, Any] = next((row.given for row in reversed(rows) if row.given.get("first_name")), {})
    connection, workspace_id = session.connection(), workspace_of(session)
    profile = next(iter(identity.locked_profiles(connection, workspace_id, [contact_id])), None)
    if profile is not None:
        given = {"language": rows[-1].language} | ({"first_name": name["first_name"]} if name else {})
        profile.tell(person_of(given, None), f"{instant_text(now)}|form confirmed")
        identity.write(connection, workspace_id, [profile], now)
    counted = [{"id": form_id} for form_id in sorted({row.form_id for row in rows if row.wants})]
    session.execute(_CONFIRMED, {"ws": workspace_id, "rows": as_rows(counted)})


_DUE = text(
    """
    SELECT s.id, s.form_id, s.number, s.received_at, s.address, s.language, s.wants, s.topics, s.purposes, s.method,
           s.given,
           f.public_id, f.name, f.property_id, v.document, p.name AS place, p.controller,
           p.links ->> 'notice' AS notice
    FROM signup_submissions s
    JOIN signup_forms f ON f.workspace_id = s.workspace_id AND f.id = s.form_id
    JOIN signup_form_versions v ON v.workspace_id = s.workspace_id AND v.form_id = s.form_id AND v.number = s.number
    LEFT JOIN properties p ON p.workspace_id = s.workspace_id AND p.id = f.property_id
    WHERE s.workspace_id = :ws AND s.due_at <= :now
    ORDER BY s.id LIMIT :limit FOR UPDATE OF s SKIP LOCKED
    """
)
_WAIT = text(
    """
    WITH gone AS (DELETE FROM signup_submissions WHERE workspace_id = :ws AND id = ANY(:gone)),
         r AS (SELECT * FROM json_to_recordset(CAST(:rows AS json)) AS r(id bigint, contact_id bigint, lines bigint[]))
    UPDATE signup_submissions s
    SET contact_id = r.contact_id, lines = r.lines, due_at = NULL,
        given = CASE WHEN s.given ? 'first_name' THEN jsonb_build_object('first_name', s.given -> 'first_name')
                     ELSE '{}' END
    FROM r WHERE s.workspace_id = :ws AND s.id = ANY(ARRAY(SELECT id FROM r)) AND s.id = r.id
    """
)
_COUNT = text(
    """
    UPDATE signup_forms f SET said_yes = said_yes + r.yes, said_no = said_no + r.no
    FROM json_to_recordset(CAST(:rows AS json)) AS r(id bigint, yes integer, no integer)
    WHERE f.workspace_id = :ws AND f.id = r.id
    """
)
_CONFIRMED = text(
    """
    UPDATE signup_forms f SET confirmed = confirmed + 1
    FROM json_to_recordset(CAST(:rows AS json)) AS r(id bigint) WHERE f.workspace_id = :ws AND f.id = r.id
    """
)
_FORGET = text(
    """
    INSERT INTO consent_requests (workspace_id, contact_id, lines, topics, address, channel, method, template, state,
                                  reminder, asked_at, next_at, ended_at)
    SELECT :ws, r.contact_id, '{}', '{}', r.address, 'email', 'web', '', 'refused', false, :now, r.next_at, :now
    FROM json_to_recordset(CAST(:rows AS json)) AS r(contact_id bigint, address text, next_at timestamptz)
    """
)
_TYPED = text(
    """
    DELETE FROM signup_submissions
    WHERE workspace_id = :ws AND contact_id = :contact AND lines && CAST(:lines AS bigint[])
    RETURNING form_id, id, given, language, wants
    """
)
