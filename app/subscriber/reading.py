"""The mail in a browser, and links that are counted for who allows it."""

from __future__ import annotations

from flask import make_response, redirect, request
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from app.consent import ledger
from app.delivery import track
from app.delivery.track import Arrival
from app.doors import anyone, house, opened_by
from app.messages import compose, links
from app.messages.links import BadTokenError
from app.messages.models import Message
from app.subscriber import visitors
from app.subscriber.pages import bad_link, blueprint, language_of, page, ref_of, secluded, unit


@blueprint.get("/v/<token>")
@opened_by(anyone)
def view(token: str) -> Response:
    """The very mail that was sent."""
    ref = ref_of("view", token)
    if ref is None:
        return bad_link()
    with unit(ref.workspace_id) as session:
        visitor = visitors.of_message(session, ref.message_id)
        if visitor is None:
            return bad_link()
        try:
            mail = compose.again(session, _message(session, ref.message_id))
        except LookupError:
            return page("gone", visitor, language_of(visitor), status=410)
    response = make_response(mail.html)
    # Mails style themselves inline and show pictures; nothing else may run or load.
    response.headers["Content-Security-Policy"] = (
        "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' https: data:; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'; sandbox allow-popups allow-popups-to-escape-sandbox "
        "allow-top-navigation-by-user-activation"
    )
    return secluded(response)


def _message(session: Session, message_id: int) -> Message:
    return session.scalars(select(Message).where(Message.id == message_id)).one()


@blueprint.get("/c/<token>")
@opened_by(anyone)
def follow(token: str) -> Response:
    """Lead on to what a counted link of a mail leads to. The target is looked up in the mail, never taken from the URL.

    Counted only for a person who still allows it, and never for a HEAD, which only scanners send.
    """
    try:
        workspace_id, _, message_id, number = links.read(house().settings, "click", token)
    except (BadTokenError, ValueError):
        return bad_link()
    with unit(workspace_id) as session:
        visitor = visitors.of_message(session, message_id)
        if visitor is None:
            return bad_link()
        try:
            mail = compose.again(session, _message(session, message_id))
        except LookupError:
            return page("gone", visitor, language_of(visitor), status=410)
        target = next((address for one, address in mail.links_used if one == number), None)
        if target is None or not links.host(target):
            return bad_link()
        if request.method == "GET" and _tracked(session, visitor):
            now = house().clock.now()
            data = {"url": target, "link": number, "user_agent": request.user_agent.string[:300]}
            arrival = Arrival("clicked", now, "percorso", f"{number}:{now.isoformat()}", message_id, data=data)
            track.record(session, [arrival], now)
    return secluded(redirect(target, 302))


def _tracked(session: Session, visitor: visitors.Visitor) -> bool:
    person = visitor.person
    states = ledger.current(session, [person.contact_id]).get(person.contact_id, {})
    held = [states.get((address, person.channel, "open_tracking", None)) for address in person.addresses]
    return any(state is not None and state.granted for state in held)
