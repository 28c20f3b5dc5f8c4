"""Asking for a confirmation from the mailbox: the first half of a double opt-in (R6).

The one way in which a consent becomes pending by us, whoever asks: a form, a desk, an import, a workflow's step, the
preference centre. A request is one row (`consent_requests`), one or more lines of the ledger, one mail, one link that
confirms them all (`confirming.py`). It is reminded of once at most, ends after seven days, and is confirmed once.

Who may be asked (R10, R37). What the person does themselves, a form with the newsletter ticked or a switch on a page
from their mail, is their newest word: one confirmation goes out whatever they said before, since nothing but the
mailbox can tell whether it was them; while a refusal stands there is no reminder, as it may have been somebody else.
What others wish for them, a workflow, a colleague, an imported list, waits: 180 days after a no, as long after a
request nobody answered, and for ever after an objection, an unsubscription from everything or a complaint.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from app.consent import ledger, requests
from app.consent.ages import is_child
from app.consent.bases import is_relay
from app.consent.fold import Key, State, holds, objected_at
from app.consent.ledger import Act
from app.consent.policy import Policy
from app.consent.requests import REMIND_AFTER, TEMPLATE, Wanted
from app.consent.wordings import VERSION, wording
from app.db import workspace_of
from app.messages.plan import Planned, plan

QUERIES = 13
"""What `ask` needs at most, whatever the number of requests: the ledger's lock, workspace, people, topics, ledger,
suppressions; the ledger's four; the mails; the requests; those to be reminded of at once."""

HOLDS_FOR = timedelta(days=180)
"""How long a no, or a request left unanswered, keeps others from asking again."""

_PATIENCE = timedelta(minutes=10)
"""Who signs up twice within it has pressed the button twice; later, the mail has not come."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """Somebody to be asked whether they want one thing: to be written to about a topic, or another purpose (R3)."""

    contact_id: int
    topic: str | None = None
    """With marketing: which."""
    purpose: str = "marketing"
    """One of `requests.CONFIRMABLE`."""
    address: str | None = None
    """None: the contact's own."""
    channel: str = "email"
    property_id: int | None = None
    template: str | None = None
    """None: the workspace's own (`confirm_template`), else `confirm-subscription`."""
    language: str | None = None
    """What the wording was read in; None: the contact's."""
    proof: Mapping[str, Any] = field(default_factory=dict)
    """What the ledger keeps (R5); without `wording` it is the sentence of the confirmation page."""
    method: str = "web"
    wished: bool = False
    """The person asks for it by an act of their own: a former no does not stand in the way."""
    enrollment_id: int | None = None
    workflow_id: int | None = None
    version_id: int | None = None
    step_id: str | None = None
    visit: int = 1
    booking_id: int | None = None
    passage: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Asked:
    """What became of an `Ask`."""

    line: int | None
    """The pending line of the ledger, new or known already; None: not asked."""
    message: int | None
    """The mail just planned; None where none was."""
    why: str
    """asked; pending (asked before, not again); or why not: granted, refused, unanswered, suppressed, no_address,
    relay_address, minor, frozen, gone, no_sender."""


class _Request(NamedTuple):
    """One mail to be: the asks it speaks for, with their places in what was given."""

    address: str
    at: datetime
    asks: list[tuple[int, Ask]]
    reminder: bool


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known of everybody asked."""

    now: datetime
    template: str
    """The mail, where an `Ask` names none."""
    policy: Policy
    people: Mapping[int, Row[Any]]
    titles: Mapping[str, Mapping[str, str]]
    states: Mapping[int, Mapping[Key, State]]
    barred: Mapping[tuple[str, str], Sequence[Any]]

    def address(self, one: Ask) -> str | None:
        """Where the mail would go."""
        person = self.people.get(one.contact_id)
        address = one.address or (person.email_key if person is not None else None)
        return ledger.address_key(address) if address else None


def ask(session: Session, asks: Sequence[Ask], now: datetime) -> list[Asked]:
    """Ask people to confirm from their mailbox; `QUERIES` queries at most.

    Takes the ledger's lock: after locks on contacts, never before.

    Args:
        session: a unit of work of one workspace.
        asks: what is wished for; several of one person over one address make one request and one mail.
        now: when it was wished for.

    Returns:
        One answer for each, in order.
    """
    if not asks:
        return []
    ledger.lock(session)
    known = _known(session, asks, now)
    answers: dict[int, Asked] = {}
    wanted: dict[tuple[int, str, str, str | None], _Request] = {}
    for place, one in enumerate(asks):
        answer = _answer(known, one)
        if answer is not None:
            answers[place] = answer
            continue
        address = known.address(one) or ""
        key = (one.contact_id, one.channel, address, one.template)
        if key not in wanted:
            states = known.states.get(one.contact_id, {})
            # At the same instant a no outweighs a yes: who takes a no back within it does so an instant later.
            tie = any(state.refused_at == now for state in states.values())
            at = now + timedelta(microseconds=1) if tie else now
            left = _refused(known, one, address) is not None or (one.channel, address) in known.barred
            wanted[key] = _Request(address, at, [], not left)
        if all(_about(other) != _about(one) for _, other in wanted[key].asks):
            wanted[key].asks.append((place, one))
        else:
            answers[place] = Asked(None, None, "pending")
    answers |= _write(session, known, list(wanted.values()))
    again = [answers[place].line for place, one in enumerate(asks) if one.wished and answers[place].why == "pending"]
    if any(again):
        _mail_now(session, known, [line for line in again if line], now)
    return [answers[place] for place in range(len(asks))]


def _mail_now(session: Session, known: _Known, lines: Sequence[int], now: datetime) -> None:
    """Who signs up once more has not found the mail: the one reminder goes now instead of later. Where another system
    had reported the request, and whether it wrote to them nobody here can know, the first mail goes."""
    wanted = {"ws": workspace_of(session), "lines": list(lines), "now": now, "before": now - _PATIENCE}
    session.execute(_SOONER, {**wanted, "template": known.template})


def _known(session: Session, asks: Sequence[Ask], now: datetime) -> _Known:
    workspace = {"ws": workspace_of(session)}
    settings: Mapping[str, Any] = session.scalar(_SETTINGS, workspace) or {}
    contact_ids = sorted({one.contact_id for one in asks})
    people = {row.id: row for row in session.execute(_PEOPLE, {**workspace, "contacts": contact_ids})}
    topics = {**workspace, "topics": sorted({one.topic for one in asks if one.topic is not None})}
    titles = {row.name: row.title for row in session.execute(_TOPICS, topics)}
    states = ledger.current(session, contact_ids)
    template = settings.get("confirm_template") or TEMPLATE
    known = _Known(now, template, Policy.from_settings(settings), people, titles, states, {})
    places = {(one.channel, address) for one in asks if (address := known.address(one))}
    return replace(known, barred=ledger.suppressed(session, places))


def _answer(known: _Known, one: Ask) -> Asked | None:
    """What becomes of a wish without a mail; None: it is asked for."""
    person = known.people.get(one.contact_id)
    if person is None or person.erased_at is not None or person.merged_into is not None:
        return Asked(None, None, "gone")
    if person.frozen_at is not None:
        return Asked(None, None, "frozen")
    if is_child(person.birth_date, person.age_band, known.now.date()) and not one.proof.get("guardian"):
        return Asked(None, None, "minor")
    if one.channel not in known.policy.senders:
        return Asked(None, None, "no_sender")
    address = known.address(one)
    if address is None:
        return Asked(None, None, "no_address")
    if is_relay(address, known.policy):
        return Asked(None, None, "relay_address")
    states = known.states.get(one.contact_id, {})
    if holds(states, address, one.channel, *_about(one)):
        return Asked(None, None, "granted")
    barred = known.barred.get((one.channel, address), ())
    if any(found.scope == "all" for found in barred):
        return Asked(None, None, "suppressed")
    held = states.get((address, one.channel, *_about(one)))
    open_since = known.now - known.policy.pending_for
    refused = _refused(known, one, address)
    # A no to all marketing that came after a request has ended it.
    ended = refused is not None and held is not None and refused[0] >= held.at
    if held is not None and held.state == "pending" and held.at >= open_since and not ended:
        return Asked(held.line, None, "pending")
    if one.wished:
        return None
    if refused is not None and (refused[1] == "objected" or refused[0] > known.now - HOLDS_FOR):
        return Asked(None, None, "refused")
    if barred:
        return Asked(None, None, "refused")
    if held is not None and held.state in {"pending", "expired"} and held.at > known.now - HOLDS_FOR:
        return Asked(None, None, "unanswered")
    return None


def _refused(known: _Known, one: Ask, address: str) -> tuple[datetime, str] | None:
    """The newest no that stands against this topic or purpose: when, and which kind."""
    states = known.states.get(one.contact_id, {})
    said: list[tuple[datetime, str]] = []
    for topic in (one.topic, None):
        state = states.get((address, one.channel, one.purpose, topic))
        if state is not None and state.refused_at is not None:
            said.append((state.refused_at, state.refused_state or state.state))
    objection = objected_at(states)
    if objection is not None:
        said.append((objection, "objected"))
    return max(said, default=None)


def _write(session: Session, known: _Known, wanted: Sequence[_Request]) -> dict[int, Asked]:
    if not wanted:
        return {}
    acts = [_pending(known, request, one) for request in wanted for _, one in request.asks]
    lines = iter(ledger.append(session, acts, known.now))
    numbers = [[next(lines) for _ in request.asks] for request in wanted]
    planned = [_mail(request, known) for request in wanted]
    ids: Sequence[int | None] = plan(session, planned, known.now)
    # A step taken twice has its mail already: which of several that was, nobody asks.
    messages = ids if len(ids) == len(wanted) else [None] * len(wanted)
    answers: dict[int, Asked] = {}
    rows = []
    for request, of_request, message in zip(wanted, numbers, messages, strict=True):
        for (place, _), line in zip(request.asks, of_request, strict=True):
            answers[place] = Asked(line, message, "asked")
        rows.append(_row(request, of_request, known.template))
    requests.write(session, rows)
    return answers


def _about(one: Ask) -> tuple[str, str | None]:
    """What a yes would be to: purpose and topic."""
    return one.purpose, one.topic


def _pending(known: _Known, request: _Request, one: Ask) -> Act:
    language = one.language or known.people[one.contact_id].language or "en"
    proof = {"language": language, **one.proof}
    if not proof.get("wording"):
        titles = known.titles.get(one.topic or "", {})
        title = titles.get(language) or titles.get("en") or one.topic or ""
        proof |= {"wording": wording(one.purpose, title, language), "wording_version": f"{VERSION}-{language}"}
    return Act(
        contact_id=one.contact_id,
        address=request.address,
        channel=one.channel,
        purpose=one.purpose,
        topic=one.topic,
        state="pending",
        method=one.method,
        requested_at=request.at,
        proof=proof,
    )


def _mail(request: _Request, known: _Known) -> Planned:
    one = request.asks[0][1]
    return Planned(
        contact_id=one.contact_id,
        enrollment_id=one.enrollment_id,
        workflow_id=one.workflow_id,
        version_id=one.version_id,
        step_id=one.step_id,
        visit=one.visit,
        property_id=one.property_id,
        booking_id=one.booking_id,
        channel=one.channel,
        template=one.template or known.template,
        class_="consent_request",
        topic=next((each.topic for _, each in request.asks if each.topic is not None), None),
        priority=90,
        due_at=known.now,
        latest=request.at + known.policy.pending_for,
        passage=one.passage,
    )


def _row(request: _Request, numbers: Sequence[int], default: str) -> Wanted:
    one = request.asks[0][1]
    asks = [each for _, each in request.asks]
    return Wanted(
        contact_id=one.contact_id,
        lines=tuple(numbers),
        topics=tuple(each.topic for each in asks if each.topic is not None),
        purposes=tuple(each.purpose for each in asks if each.purpose != "marketing"),
        address=request.address,
        channel=one.channel,
        method=one.method,
        property_id=one.property_id,
        template=one.template or default,
        reminder=request.reminder,
        asked_at=request.at,
        next_at=request.at + (REMIND_AFTER if request.reminder else Policy().pending_for),
    )


_SETTINGS = text("SELECT settings FROM workspaces WHERE id = :ws")
_PEOPLE = text(
    """
    SELECT id, email_key, language, erased_at, frozen_at, merged_into, attributes ->> 'birth_date' AS birth_date,
           attributes ->> 'age_band' AS age_band
    FROM contacts WHERE workspace_id = :ws AND id = ANY(:contacts)
    """
)
_TOPICS = text("SELECT name, title FROM topics WHERE workspace_id = :ws AND name = ANY(:topics)")
_SOONER = text(
    """
    UPDATE consent_requests
    SET next_at = :now, template = CASE template WHEN '' THEN :template ELSE template END,
        mail_due = mail_due OR template = '', reminder = true
    WHERE workspace_id = :ws AND lines && CAST(:lines AS bigint[]) AND state = 'pending'
      AND (template = '' OR reminder AND reminded_at IS NULL AND asked_at < :before)
    """
)
