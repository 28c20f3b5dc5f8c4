"""Messages: everything planned, refused, deferred, sent; one with its chain of decisions; the outbox."""

from __future__ import annotations

from collections.abc import Mapping

from flask import abort, request
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from app.delivery.track import Arrival, record
from app.doors import opened_by
from app.enrollments.explain import explain
from app.studio import access, mails, pages, previews
from app.studio.blueprint import HERE, blueprint
from app.studio.languages import gettext
from app.studio.reading import chain
from app.studio.reading import messages as reading

SIMULATED: Mapping[str, tuple[str | None, Mapping[str, str]]] = {
    "bounced": ("hard", {"status": "5.1.1"}),
    "complained": ("abuse", {}),
    "clicked": (None, {"class": "human", "why": "simulated"}),
}
"""What can be reported of a kept mail, with the reason and data that a provider would give."""


def filters() -> reading.Filters:
    """What the address narrows the list to."""
    given = request.args
    contact, broadcast = given.get("contact", ""), given.get("broadcast", "")
    return reading.Filters(
        state=given.get("state", ""),
        workflow=given.get("workflow", ""),
        class_=given.get("class", ""),
        reason=given.get("reason", ""),
        text=given.get("q", "").strip()[:100],
        contact_id=int(contact) if contact.isdecimal() and len(contact) < 19 else None,
        property_id=pages.property_id(),
        broadcast_id=int(broadcast) if broadcast.isdecimal() and len(broadcast) < 19 else None,
    )


@blueprint.get(f"{HERE}/messages")
@opened_by(access.member)
def messages() -> Response:
    """The list."""
    with pages.unit() as unit:
        narrowed = filters()
        found = reading.listed(unit, narrowed, pages.wanted())
        counts = reading.by_state(unit, narrowed)
        workflows, reasons = reading.choices(unit)
    return pages.answer(
        "messages.html", found=found, filters=narrowed, counts=counts, workflows=workflows, reasons=reasons,
        at="messages",
    )  # fmt: skip


@blueprint.get(f"{HERE}/messages/<int:message_id>")
@opened_by(access.member)
def message(message_id: int) -> Response:
    """One message: what was sent on the left, why on the right."""
    view = request.args.get("view", "html")
    with pages.unit() as unit:
        told = reading.one(unit, message_id)
        if told is None:
            abort(404)
        mail = _mail(unit, told) if told.message.subject else None
        decided = explain(unit, told.contact.id, pages.now(), message_id=message_id).decisions
    return pages.answer(
        "message.html", told=told, message=told.message, links=chain.chain(decided, message_id=message_id), mail=mail,
        view=view if view in mails.VIEWS else "html", at="messages",
    )  # fmt: skip


@blueprint.get(f"{HERE}/messages/<int:message_id>/mail")
@opened_by(access.member)
def message_mail(message_id: int) -> Response:
    """The HTML of a message's mail, for its frame."""
    with pages.unit() as unit:
        told = reading.one(unit, message_id)
        mail = _mail(unit, told) if told is not None else None
    if mail is None:
        abort(404)
    return mails.framed(mail.html)


def _mail(unit: Session, told: reading.Told) -> mails.Opened | None:
    """The mail as it went: as kept in the outbox, else made again from what was kept with the message."""
    if told.captured_id is not None:
        kept = reading.captured(unit, told.captured_id)
        return mails.opened(kept.raw) if kept else None
    return previews.again(unit, told.message)


@blueprint.get(f"{HERE}/messages/outbox")
@opened_by(access.member)
def outbox() -> Response:
    """Mails kept instead of being sent."""
    text = request.args.get("q", "").strip()[:100]
    with pages.unit() as unit:
        found = reading.outbox(unit, pages.wanted(), text, pages.property_id())
    return pages.answer("outbox.html", found=found, text=text, at="messages")


@blueprint.get(f"{HERE}/messages/outbox/<int:captured_id>")
@opened_by(access.member)
def captured(captured_id: int) -> Response:
    """One kept mail."""
    view = request.args.get("view", "html")
    with pages.unit() as unit:
        kept = reading.captured(unit, captured_id)
        if kept is None:
            abort(404)
    return pages.answer(
        "captured.html", kept=kept, mail=mails.opened(kept.raw), view=view if view in mails.VIEWS else "html",
        at="messages",
    )  # fmt: skip


@blueprint.get(f"{HERE}/messages/outbox/<int:captured_id>/mail")
@opened_by(access.member)
def captured_mail(captured_id: int) -> Response:
    """The HTML of a kept mail, for its frame."""
    with pages.unit() as unit:
        kept = reading.captured(unit, captured_id)
    if kept is None:
        abort(404)
    return mails.framed(mails.opened(kept.raw).html)


@blueprint.post(f"{HERE}/messages/outbox/<int:captured_id>/simulate")
@opened_by(access.role("owner", "marketer"))
def simulate(captured_id: int) -> Response:
    """Report a bounce, a complaint or a click for a kept mail, as a provider would."""
    kind = request.form.get("kind", "")
    if kind not in SIMULATED:
        abort(400)
    with pages.unit() as unit:
        kept = reading.captured(unit, captured_id)
        if kept is None or kept.message_pk < 0:
            abort(404)
        now = pages.now()
        reason, data = SIMULATED[kind]
        mark = f"simulated-{kind}-{kept.id}-{now.isoformat()}"
        record(unit, [Arrival(kind, now, "simulated", mark, kept.message_pk, reason=reason, data=data)], now)
    told = {
        "bounced": gettext("A bounce was reported for this mail."),
        "complained": gettext("A spam complaint was reported for this mail."),
        "clicked": gettext("A click was reported for this mail."),
    }
    pages.tell(told[kind])
    return pages.gone_to("studio.message", message_id=kept.message_pk)
