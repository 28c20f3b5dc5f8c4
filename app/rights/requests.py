"""Asking for one's data or for erasure: from the link in a mail to the receipt (R50, R51).

A link in a mail may have been passed on, so it is no proof of who presses a button. What can do harm, taking out all
data or erasing it, therefore begins with a fresh link to the person's own address, good once and for two hours.

    ask → mail with the link → open_ (a page that says what will happen) → fetch, or erase_ → receipt by mail

An erasure stops everything at once and restricts the data; the data itself goes when the receipt has left, an hour
later at most (`finish`, in the stage `retention`): the address is needed for the receipt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from app.contacts import accesses
from app.contacts.models import Contact
from app.db import settings_of, workspace_of
from app.messages import links
from app.messages.plan import Planned, plan
from app.messages.states import ENDS
from app.rights import erasure, walk
from app.rights.erasure import Receipt
from app.rights.export import Export, export
from app.rights.models import RightsRequest

LINK_LIVES = timedelta(hours=2)
AGAIN_AFTER = timedelta(minutes=10)
"""Who presses twice within it has had the mail already; nobody's mailbox is filled with links."""
RECEIPT_WITHIN = timedelta(hours=1)
"""An erasure waits so long for its receipt to leave, and no longer."""
LOOK_AGAIN = timedelta(minutes=1)
TEMPLATES = {"export": ("data-link", "data-receipt"), "erasure": ("erasure-link", "erasure-receipt")}
"""Kind → template of the mail with the link, and of the receipt."""


@dataclass(frozen=True)
class Asked:
    """What became of an asking."""

    request: RightsRequest
    sent: bool
    """A mail with a link is on its way, now or since a moment ago. If not, the team has the request before it."""


def ask(session: Session, contact_id: int, kind: str, language: str, now: datetime) -> Asked:
    """The person wants their data, or to be erased: send the link to their own address.

    A link that was asked for before ends; one that was sent a moment ago stays the only one. Where there is no address,
    or no template to write with, the request stands open for the team, which has a month.
    """
    before = session.scalars(
        select(RightsRequest)
        .where(RightsRequest.contact_id == contact_id, RightsRequest.kind == kind, RightsRequest.state == "asked")
        .with_for_update()
    ).all()
    for one in before:
        if one.message_pk is not None and now - one.asked_at < AGAIN_AFTER:
            return Asked(one, True)
        one.state, one.next_at = "expired", None
    request = _new(session, contact_id, kind, "person", language, now)
    contact = session.scalars(select(Contact).where(Contact.id == contact_id)).one()
    if contact.email_key and _has(session, TEMPLATES[kind][0]):
        numbers = (workspace_of(session), contact_id, request.id)
        link = links.url(settings_of(session), "right", numbers)
        request.message_pk = _mail(session, contact_id, TEMPLATES[kind][0], now, LINK_LIVES, link)
        request.next_at = now + LINK_LIVES
    return Asked(request, request.message_pk is not None)


def open_(session: Session, contact_id: int, number: int, now: datetime) -> RightsRequest | None:
    """The request a link speaks of, locked, while the link is good; None once it is spent or over."""
    request = session.scalars(
        select(RightsRequest)
        .where(RightsRequest.contact_id == contact_id, RightsRequest.id == number)
        .with_for_update()
    ).first()
    if request is None or request.state != "asked" or request.message_pk is None or now > request.asked_at + LINK_LIVES:
        return None
    return request


def fetch(session: Session, request: RightsRequest, now: datetime) -> Export:
    """The person's data, by a link that is spent with it; the receipt goes by mail."""
    _confirmed(request, "mailbox", now)
    made = export(session, request.contact_id, now, request=request)
    request.state, request.done_at, request.next_at = "done", now, None
    _mail(session, request.contact_id, TEMPLATES["export"][1], now, timedelta(days=3))
    return made


def erase_(session: Session, request: RightsRequest, identity: str, now: datetime) -> Receipt | None:
    """Begin an erasure whose asker is known to be the person: everything stops now, the receipt goes by mail.

    Returns:
        What was erased, where there is nobody to write a receipt to and it is done at once; else None: `finish` does
        it when the receipt has left.
    """
    _confirmed(request, identity, now)
    person = walk.whole(session, request.contact_id)
    erasure.stop(session, person, now)
    contact = session.scalars(select(Contact).where(Contact.id == person.contact_id)).one()
    if not contact.email_key or not _has(session, TEMPLATES["erasure"][1]):
        return _finish(session, request, now)
    contact.frozen_at = contact.frozen_at or now
    request.state, request.next_at = "confirmed", now + LOOK_AGAIN
    request.message_pk = _mail(session, person.contact_id, TEMPLATES["erasure"][1], now, RECEIPT_WITHIN)
    return None


def finish(session: Session, now: datetime, limit: int) -> int:
    """Erase whose receipt has left, or has had its hour; end links that were not used; drop what was kept of the erased
    so that other systems could be told. How many requests."""
    due = session.scalars(
        select(RightsRequest)
        .where(RightsRequest.next_at <= now)
        .order_by(RightsRequest.next_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()
    for request in due:
        if request.state == "asked":
            request.state, request.next_at = "expired", None
        elif request.state == "done":
            request.next_at = None
            erasure.forget(session, request.contact_id, now)
        elif _left(session, request) or now >= (request.confirmed_at or request.asked_at) + RECEIPT_WITHIN:
            _finish(session, request, now)
        else:
            request.next_at = now + LOOK_AGAIN
    return len(due)


# -- the team ----------------------------------------------------------------------------------------------------------


def export_by_team(session: Session, contact_id: int, by: str, identity: str, now: datetime) -> Export:
    """A copy of somebody's data, made by a colleague who says how they know that it is for that person (R50, R55)."""
    request = _new(session, walk.whole(session, contact_id).contact_id, "export", by, "", now)
    _confirmed(request, identity, now)
    made = export(session, request.contact_id, now, request=request)
    request.state, request.done_at = "done", now
    accesses.note(session, request.contact_id, "export", by, now)
    return made


def erase_by_team(session: Session, contact_id: int, by: str, identity: str, now: datetime) -> RightsRequest:
    """The same for an erasure, receipt by mail and all; whoever asks for the person has said how they know them."""
    person = walk.whole(session, contact_id)
    request = _new(session, person.contact_id, "erasure", by, "", now)
    if person.erased:
        request.state, request.done_at = "done", now
        request.receipt = Receipt(person.contact_id, now).as_json()
        return request
    accesses.note(session, person.contact_id, "erasure", by, now)
    erase_(session, request, identity, now)
    return request


def restrict(session: Session, contact_id: int, by: str, now: datetime, *, frozen: bool) -> None:
    """Restrict the use of a person's data, or end that (R52): nothing goes meanwhile but what the law asks for."""
    person = walk.whole(session, contact_id)
    contact = session.scalars(select(Contact).where(Contact.id == person.contact_id)).one()
    if person.erased or (contact.frozen_at is not None) == frozen:
        return
    contact.frozen_at = now if frozen else None
    contact.updated_at = now
    accesses.note(session, contact.id, "restricted" if frozen else "restriction ended", by, now)


def of(session: Session, contact_id: int) -> Sequence[RightsRequest]:
    """Everything a person has asked for, the newest first; one query."""
    return session.scalars(
        select(RightsRequest).where(RightsRequest.contact_id == contact_id).order_by(RightsRequest.id.desc())
    ).all()


def waiting(session: Session, limit: int = 100) -> Sequence[RightsRequest]:
    """What the team must still answer, the most urgent first; one query."""
    return session.scalars(
        select(RightsRequest)
        .where(RightsRequest.state == "asked", RightsRequest.message_pk.is_(None))
        .order_by(RightsRequest.answer_by)
        .limit(limit)
    ).all()


def month_after(asked_at: datetime) -> datetime:
    """The same day of the next month, or its last (GDPR 12(3), Regulation 1182/71)."""
    month, year = (asked_at.month % 12) + 1, asked_at.year + asked_at.month // 12
    day = asked_at.day
    while True:
        try:
            return asked_at.replace(year=year, month=month, day=day)
        except ValueError:
            day -= 1


def _new(session: Session, contact_id: int, kind: str, by: str, language: str, now: datetime) -> RightsRequest:
    request = RightsRequest(
        workspace_id=workspace_of(session),
        contact_id=contact_id,
        kind=kind,
        state="asked",
        by=by,
        language=language,
        asked_at=now,
        answer_by=month_after(now),
    )
    session.add(request)
    session.flush()
    return request


def _confirmed(request: RightsRequest, identity: str, now: datetime) -> None:
    request.identity, request.confirmed_at = identity, now


def _finish(session: Session, request: RightsRequest, now: datetime) -> Receipt:
    receipt = erasure.erase(session, request.contact_id, request.by, now, tell=True)
    # What the walk emptied of this very row is read anew.
    session.refresh(request)
    request.state, request.done_at, request.receipt = "done", now, receipt.as_json()
    request.next_at = receipt.forget_at
    return receipt


def _mail(
    session: Session, contact_id: int, template: str, now: datetime, lives: timedelta, link: str | None = None
) -> int:
    planned = Planned(
        contact_id=contact_id,
        enrollment_id=None,
        workflow_id=None,
        version_id=None,
        step_id=None,
        visit=1,
        property_id=None,
        booking_id=None,
        channel="email",
        template=template,
        class_="transactional",
        topic=None,
        priority=95,
        due_at=now,
        latest=now + lives,
        passage={"event": {"type": "rights", "link": link}} if link else {},
        terms={"needed": True},
    )
    return plan(session, [planned], now)[0]


def _has(session: Session, template: str) -> bool:
    return session.scalar(_LIVE, {"ws": workspace_of(session), "name": template}) is not None


def _left(session: Session, request: RightsRequest) -> bool:
    state = session.scalar(_STATE, {"ws": workspace_of(session), "id": request.message_pk})
    return state is None or state in ENDS


_LIVE = text("SELECT id FROM templates WHERE workspace_id = :ws AND name = :name AND live_version_id IS NOT NULL")
_STATE = text("SELECT state FROM messages WHERE workspace_id = :ws AND id = :id")
