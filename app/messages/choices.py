"""What a person chooses about being written to, from a link in a mail: leave, switch on or off, undo.

Every choice is a line of the ledger first. A withdrawal then takes back what is already queued, at once (R7, X13): the
message that waits is cancelled with the line as its reason. What has been handed over cannot be called back (X14).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import product
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from app.consent import ledger
from app.consent.fold import REFUSALS, Key, Line, State, fold, holds, objected_at, standing
from app.consent.ledger import Act, address_key
from app.consent.policy import Policy
from app.consent.wordings import VERSION, wording
from app.db import as_rows, workspace_of
from app.messages import asking, confirming
from app.messages.asking import Ask
from app.messages.states import states_for
from app.messages.voices import Voice, tell

UNDO_WITHIN = timedelta(hours=24)
"""How long a choice can be taken back by its own link; later the preference centre does the same."""

SAME_ACT = timedelta(minutes=10)
"""A no that is said again within it is the same act: a second press, a mailbox provider's second try. Later it is a new
one with a line of its own: a yes of the time between, of which we may hear only afterwards, must not outweigh it."""


@dataclass(frozen=True, slots=True)
class Person:
    """Whose link it is, and what the link's message was."""

    contact_id: int
    addresses: tuple[str, ...]
    """The address the mail went to, and the present one where it is another."""
    channel: str = "email"
    message_id: int = 0
    class_: str = "marketing"
    topic: str | None = None

    def over(self, channel: str, address: str) -> Person:
        """The same person as reached over a channel."""
        return self if channel == self.channel else replace(self, channel=channel, addresses=(address,))


@dataclass(frozen=True, slots=True)
class Chosen:
    """What a choice did."""

    lines: tuple[int, ...] = ()
    """New lines of the ledger; none: everything was as chosen already."""
    cancelled: int = 0
    """Queued messages taken back."""
    confirmation: tuple[str, ...] = ()
    """Topics that need the person's confirmation from the mailbox first; a mail is on its way."""

    @property
    def span(self) -> tuple[int, ...]:
        """Its first and its last line, by which a link names it: written in one piece, there is nothing of the same
        person between them."""
        return (min(self.lines), max(self.lines)) if self.lines else ()


@dataclass(frozen=True, slots=True)
class Wish:
    """One switch: a purpose (and topic), on or off."""

    purpose: str
    topic: str | None
    on: bool
    title: str = ""
    """What the person read beside it."""
    state: str = field(default="withdrawn")
    """What off means in the ledger: withdrawn, objected (all marketing) or denied."""


def wish_of(person: Person, policy: Policy) -> Wish:
    """What leaving by the link of one message means: its topic; the opinion requests; or, in a service mail, the topic
    of the marketing block that was shown in it (R21)."""
    if person.class_ == "feedback":
        return Wish("feedback", None, False)
    state = "denied" if person.class_ == "consent_request" else "withdrawn"
    return Wish("marketing", person.topic or policy.block_topic, False, state=state)


def everything() -> tuple[Wish, ...]:
    """All marketing (an objection, R10), all requests for an opinion, and the profiling that served them."""
    return (
        Wish("marketing", None, False, state="objected"),
        Wish("feedback", None, False),
        Wish("profiling", None, False),
    )


@dataclass(frozen=True, slots=True)
class Leaving:
    """Somebody takes something back."""

    person: Person
    wishes: tuple[Wish, ...]
    """All of them off."""
    voice: Voice
    said_at: datetime
    """When the person said so; a provider may pass it on later."""
    bar: str | None = None
    """The reason under which the addresses are suppressed too: `complaint`. An objection always is: `unsubscribe`."""
    proof: Mapping[str, Any] = field(default_factory=dict)
    """What the ledger keeps beside how the person spoke, such as the words of a form."""


QUERIES = 11
"""Of `leave`, however many leave: the ledger's state and its lines (5), suppressions, messages, own events (4)."""


def leave(session: Session, leavings: Sequence[Leaving], now: datetime) -> list[Chosen]:
    """The one way to withdraw, for whoever hears of it: a link, a button, a mail, a provider, a complaint (R7, R36).

    Off works at once, on the address the mail went to and on the present one: written in the ledger, what waits and
    stood on it is cancelled, and workflows hear of it. The same act is not written twice (`SAME_ACT`); what needs a yes
    of its own and never had one (profiling, tracking) is not refused either. See `QUERIES`.

    Returns:
        What each came to, in order.
    """
    asked = [one for one in leavings if one.wishes]
    states = ledger.current(session, {one.person.contact_id for one in asked}) if asked else {}
    barred: list[ledger.Barred] = []
    acts: list[Act] = []
    whose: list[tuple[int, Wish]] = []
    for place, one in enumerate(leavings):
        held = states.get(one.person.contact_id, {})
        for wish, address in product(one.wishes, one.person.addresses):
            if not _is_off(held, address, one.person.channel, wish, one.said_at):
                acts.append(_off(one, address, wish))
                whose.append((place, wish))
        reason = one.bar or ("unsubscribe" if any(wish.state == "objected" for wish in one.wishes) else None)
        if reason:
            detail = {"message_pk": one.person.message_id} | ({"provider": p} if (p := one.voice.provider) else {})
            barred += [
                ledger.Barred(one.person.channel, address, reason, "marketing", detail)
                for address in one.person.addresses
            ]
    numbers = ledger.append(session, acts, now)
    ledger.suppress(session, barred, now)
    rows = [
        (leavings[place].person.contact_id, wish, number) for (place, wish), number in zip(whose, numbers, strict=True)
    ]
    cancelled = cancel_queued(session, rows, now)
    tell(session, acts, numbers, now)
    found: list[Chosen] = []
    for place, one in enumerate(leavings):
        lines = tuple(number for (at, _), number in zip(whose, numbers, strict=True) if at == place)
        # One person may leave twice in a batch: what was cancelled is told once.
        found.append(Chosen(lines, cancelled.pop(one.person.contact_id, 0) if lines else 0))
    return found


def choose(session: Session, person: Person, wishes: Sequence[Wish], voice: Voice, now: datetime) -> Chosen:
    """Set switches; one that stands as wished already changes nothing.

    Off works at once, on the address the mail went to and on the present one. On counts as a full consent, since the
    link came out of the mailbox; but where the address was once suppressed by its owner or by a complaint, only a fresh
    double opt-in lifts that (R37): the wish is then pending and a confirmation mail goes out.
    """
    left = leave(session, [Leaving(person, tuple(wish for wish in wishes if not wish.on), voice, now)], now)[0]
    wanted = [wish for wish in wishes if wish.on]
    if not wanted:
        return left
    states = ledger.current(session, [person.contact_id]).get(person.contact_id, {})
    barred = ledger.suppressed(session, [(person.channel, address) for address in person.addresses])
    locked = any(one.reason in confirming.LIFTED_BY_CONFIRMING for found in barred.values() for one in found)
    # At the same instant a no outweighs a yes: who takes a no back within it does so an instant later.
    same_instant = any(state.refused_at == now and state.refused_line not in left.lines for state in states.values())
    yes_at = now + timedelta(microseconds=1) if same_instant else now
    acts: list[Act] = []
    confirm: list[Wish] = []
    for wish in wanted:
        if _is_on(states, person.addresses[0], person.channel, wish):
            continue
        if locked and wish.purpose == "feedback":
            continue  # follows once a topic has been confirmed: the page says so
        if locked and wish.purpose == "marketing":
            confirm.append(wish)
        else:
            acts.append(_on(person, wish, voice, yes_at))
    numbers = ledger.append(session, acts, now)
    tell(session, acts, numbers, now)
    asked = asking.ask(session, [_asking(person, wish, voice) for wish in confirm], now) if confirm else []
    pending = [one.line for one in asked if one.line is not None]
    return Chosen((*left.lines, *numbers, *pending), left.cancelled, tuple(wish.topic or "" for wish in confirm))


def undo(
    session: Session, person: Person, lines: Collection[int], titles: Mapping[str, str], voice: Voice, now: datetime
) -> Chosen | None:
    """Take a choice back: what held before its lines holds again, by new lines, on each channel it was about.

    None where it is too late, or something newer has been said since: the person then looks at the preferences.
    What was cancelled stays cancelled (X13).

    Args:
        lines: the choice's lines of the ledger, or the first and the last of them: a choice is written in one piece.
        titles: topic → its title in the language of the page.
    """
    known = ledger.lines(session, [person.contact_id]).get(person.contact_id, [])
    first, last = min(lines, default=0), max(lines, default=0)
    taken = [line for line in known if first <= line.line <= last]
    if not taken or known[-1].line > last or now > max(line.at for line in taken) + UNDO_WITHIN:
        return None
    before, after = fold(line for line in known if line.line < first), fold(known)
    done: list[Chosen] = []
    for on in _where(person, taken, before):
        of_channel = [line for line in taken if line.channel == on.channel]
        # Only what this very choice has stopped: an older stop is lifted by a fresh double opt-in alone (R37).
        if objected_at(before) is None and any(line.state == "objected" for line in of_channel):
            for address in on.addresses:
                ledger.lift(session, on.channel, address, ("unsubscribe",), "taken back by the person at once", now)
        done.append(choose(session, on, _taken_back(on, of_channel, before, after, titles), voice, now))
    return together(done)


def together(done: Iterable[Chosen]) -> Chosen:
    """What several choices of one person, made at once, came to."""
    found = list(done)
    return Chosen(
        tuple(line for one in found for line in one.lines),
        sum(one.cancelled for one in found),
        tuple(topic for one in found for topic in one.confirmation),
    )


def _where(person: Person, taken: Sequence[Line], before: Mapping[Key, State]) -> list[Person]:
    """The person as reached over each channel that lines are about, their mail's first; an objection is about all."""
    found = {person.channel: person}
    for line in taken:
        found.setdefault(line.channel, person.over(line.channel, line.address))
    if any(line.state == "objected" for line in taken):
        for address, channel, _, _ in before:
            found.setdefault(channel, person.over(channel, address))
    return list(found.values())


def _taken_back(
    person: Person,
    taken: Sequence[Line],
    before: Mapping[Key, State],
    after: Mapping[Key, State],
    titles: Mapping[str, str],
) -> list[Wish]:
    """What puts one channel back to how it was before these lines."""
    address = person.addresses[0]
    wishes: list[Wish] = []
    for purpose, topic in sorted({(key[2], key[3]) for key in after}, key=str):
        was, is_now = (holds(states, address, person.channel, purpose, topic) for states in (before, after))
        if was != is_now:
            wishes.append(Wish(purpose, topic, was, titles.get(topic or purpose, topic or purpose)))
    # Who had only the customer's exception (R8) comes back by an explicit yes to the topic they had left.
    restored = {(wish.purpose, wish.topic) for wish in wishes}
    for line in taken:
        if line.state in REFUSALS and line.topic is not None and (line.purpose, line.topic) not in restored:
            restored.add((line.purpose, line.topic))
            wishes.append(Wish(line.purpose, line.topic, True, titles.get(line.topic, line.topic)))
    return wishes


def set_language(session: Session, contact_id: int, language: str, now: datetime) -> None:
    """The language the person wants to be written to in; newer than whatever a system has said of it. One query."""
    stamp = f"{now:%Y-%m-%dT%H:%M:%S.%fZ}|preference centre"
    session.execute(
        _LANGUAGE,
        {"ws": workspace_of(session), "contact": contact_id, "language": language, "stamp": stamp, "now": now},
    )


PAUSE = timedelta(days=30)
"""How long a pause lasts that a person asks for."""


def set_pace(session: Session, contact_id: int, pace: str | None, paused_until: datetime | None, now: datetime) -> None:
    """How often marketing may come, as the person wants it (R46); the gate holds it at once. One query.

    Args:
        pace: `monthly`, or None: as it comes.
        paused_until: nothing of it before; None: no pause.
    """
    asked = {"ws": workspace_of(session), "contact": contact_id, "pace": pace, "until": paused_until, "now": now}
    session.execute(_PACE, asked)


def person_of_message(session: Session, message_id: int) -> Person | None:
    """Whose message it is, following merges; None where there is no such message. One query."""
    return people_of_messages(session, [message_id]).get(message_id)


def people_of_messages(session: Session, message_ids: Sequence[int]) -> dict[int, Person]:
    """The same for many: message id → person; one query, none for none."""
    asked = {"ws": workspace_of(session), "messages": list(message_ids)}
    return {row.id: _person(row) for row in session.execute(_PEOPLE, asked)} if message_ids else {}


def _person(row: Row[Any]) -> Person:
    found = [address_key(address) for address in (row.address, row.email_key) if address]
    return Person(row.contact_id, tuple(dict.fromkeys(found)), row.channel, row.id, row.class_, row.topic)


def cancel_queued(session: Session, taken: Sequence[tuple[int, Wish, int]], now: datetime) -> dict[int, int]:
    """Take back what waits for people and stood on what has just been withdrawn; one query.

    Args:
        taken: contact, what was withdrawn, and the line that says so.

    Returns:
        Contact id → how many.
    """
    rows: dict[tuple[int, str, str | None], dict[str, Any]] = {}
    for contact_id, wish, line in taken:
        check = {"check": "basis", "allowed": False, "code": "withdrawn", "rule": "R7", "inputs": {"line": line}}
        entry = {
            "at": now.isoformat(),
            "moment": "withdrawal",
            "outcome": "refused",
            "allowed": False,
            "checks": [check],
        }
        key = (contact_id, wish.purpose, wish.topic)
        rows[key] = {
            "contact_id": contact_id,
            "class": wish.purpose,
            "topic": wish.topic,
            "line": line,
            "verdict": [entry],
        }
    asked = [row for (_, class_, _), row in rows.items() if class_ in {"marketing", "feedback"}]
    if not asked:
        return {}
    given = {"ws": workspace_of(session), "states": list(states_for("withdraw")), "now": now, "rows": as_rows(asked)}
    return dict(Counter(row.contact_id for row in session.execute(_CANCEL, given)))


def _off(one: Leaving, address: str, wish: Wish) -> Act:
    return Act(
        one.person.contact_id,
        address,
        one.person.channel,
        wish.purpose,
        wish.topic,
        wish.state,
        one.voice.method,
        one.said_at,
        proof=one.voice.proof(**one.proof),
    )


def _on(person: Person, wish: Wish, voice: Voice, now: datetime) -> Act:
    return Act(
        person.contact_id,
        person.addresses[0],
        person.channel,
        wish.purpose,
        wish.topic,
        "granted",
        voice.method,
        now,
        now,
        voice.proof(**_wording(wish, voice)),
    )


def _asking(person: Person, wish: Wish, voice: Voice) -> Ask:
    return Ask(
        contact_id=person.contact_id,
        topic=wish.topic or "",
        address=person.addresses[0],
        channel=person.channel,
        language=voice.language,
        proof=voice.proof(**_wording(wish, voice)),
        method=voice.method,
        wished=True,
    )


def _wording(wish: Wish, voice: Voice) -> dict[str, str]:
    words = wording(wish.purpose, wish.title or wish.topic or "", voice.language)
    return {"wording": words, "wording_version": f"{VERSION}-{voice.language}"}


def _is_off(states: Mapping[Key, State], address: str, channel: str, wish: Wish, said_at: datetime) -> bool:
    held = states.get((address, channel, wish.purpose, wish.topic))
    if wish.purpose not in {"marketing", "feedback"}:
        # These rest on a yes and on nothing else: where there is none, there is nothing to take back.
        return held is None or held.state not in {"granted", "pending"}
    if wish.purpose == "marketing" and wish.topic is not None:
        word, _ = standing(states, address, channel, wish.topic)
        off = word in REFUSALS
    else:
        # An objection says more than a withdrawal: where only the latter stands, the former is still written.
        off = held is not None and held.state in REFUSALS and (wish.state != "objected" or held.state == "objected")
    general = states.get((address, channel, wish.purpose, None))
    noes = [one.refused_at for one in (held, general) if one is not None and one.refused_at is not None]
    return off and max(noes, default=said_at) >= said_at - SAME_ACT


def _is_on(states: Mapping[Key, State], address: str, channel: str, wish: Wish) -> bool:
    return holds(states, address, channel, wish.purpose, wish.topic)


_PEOPLE = text(
    """
    SELECT m.id, coalesce(c.merged_into, m.contact_id) AS contact_id, m.channel, m.address, m.class AS class_, m.topic,
           CASE WHEN m.channel = 'email' THEN coalesce(w.email_key, c.email_key) ELSE coalesce(w.phone, c.phone) END
               AS email_key
    FROM messages m
    JOIN contacts c ON c.workspace_id = m.workspace_id AND c.id = m.contact_id
    LEFT JOIN contacts w ON w.workspace_id = m.workspace_id AND w.id = c.merged_into
    WHERE m.workspace_id = :ws AND m.id = ANY(CAST(:messages AS bigint[]))
    """
)
_CANCEL = text(
    """
    WITH r AS (
        SELECT * FROM json_to_recordset(CAST(:rows AS json)) AS given(contact_id bigint, class text, topic text,
            line bigint, verdict jsonb)
    )
    UPDATE messages m
    SET state = 'cancelled', reason = 'withdrawn', rule = 'R7', ledger_line = r.line, ended_at = :now,
        verdict = m.verdict || r.verdict
    FROM r
    WHERE m.workspace_id = :ws AND m.contact_id = ANY(ARRAY(SELECT contact_id FROM r))
      AND m.contact_id = r.contact_id AND m.class = r.class AND m.state = ANY(:states)
      AND (r.topic IS NULL OR m.topic = r.topic)
    RETURNING m.contact_id
    """
)
_LANGUAGE = text(
    """
    UPDATE contacts
    SET language = :language, updated_at = :now,
        field_versions = field_versions || jsonb_build_object('language', CAST(:stamp AS text))
    WHERE workspace_id = :ws AND id = :contact
    """
)
_PACE = text(
    """
    UPDATE contacts SET pace = :pace, paused_until = CAST(:until AS timestamptz), updated_at = :now
    WHERE workspace_id = :ws AND id = :contact
    """
)
