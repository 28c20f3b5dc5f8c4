"""The mail in a browser, and links that are counted for who allows it."""

from __future__ import annotations

from typing import Any

from flask import make_response, redirect, request
from sqlalchemy import select
from werkzeug.wrappers import Response

from app.consent import ledger
from app.delivery import track
from app.delivery.engagement import of_proxies
from app.delivery.track import Arrival
from app.doors import anyone, house, opened_by
from app.messages import compose, links
from app.messages.mail_links import HIDDEN_LINK
from app.messages.models import Message
from app.subscriber.pages import Instead, Visit, bad_link, blueprint, numbers_of, page, secluded, visit, visit_of


@blueprint.get("/v/<token>")
@opened_by(anyone)
def view(token: str) -> Response:
    """The very mail that was sent."""
    with visit("view", token) as found:
        mail = _mail(found)
    response = make_response(mail.html)
    # Mails style themselves inline and show pictures; nothing else may run or load.
    response.headers["Content-Security-Policy"] = (
        "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' https: data:; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'; sandbox allow-popups allow-popups-to-escape-sandbox "
        "allow-top-navigation-by-user-activation"
    )
    return secluded(response)


def _mail(found: Visit) -> compose.Composed:
    """The mail as it was made; who was erased, or whose mail went, is told that it is gone."""
    message = found.session.scalars(select(Message).where(Message.id == found.ref.message_id)).one()
    try:
        return compose.again(found.session, message)
    except LookupError as error:
        raise Instead(page("gone", found.visitor, found.language, status=410)) from error


@blueprint.get("/c/<token>")
@opened_by(anyone)
def follow(token: str) -> Response:
    """Lead on to what a counted link of a mail leads to. The target is looked up in the mail, never taken from the URL.

    Counted only for a person who still allows it. Who it was is sorted out later (`delivery/hits.py`), from what is
    noted here: the program, the method, whether it came from a network of mail proxies, never the address itself. The
    hidden link leads nowhere, and whoever sees no page of it stays where they are.
    """
    workspace_id, _, message_id, number = numbers_of("click", token, 4)
    with visit_of(workspace_id, message_id) as found:
        mail = _mail(found)
        target = next((address for one, address in mail.links_used if one == number), None)
        hidden = number == HIDDEN_LINK
        if not hidden and (target is None or not links.host(target)):
            return bad_link()
        if _tracked(found):
            now = house().clock.now()
            arrival = Arrival(
                "clicked", now, "percorso", f"{number}:{now.isoformat()}", message_id, data=_visit(mail, number)
            )
            track.record(found.session, [arrival], now)
    return secluded(make_response("", 204) if target is None else redirect(target, 302))


def _visit(mail: compose.Composed, number: int) -> dict[str, Any]:
    """What is kept of somebody, or something, following a link."""
    ours = f"{house().settings.base_url}/m/"
    found: dict[str, Any] = {
        "link": number,
        "links": len({one for one, address in mail.links_used if links.host(address) and not address.startswith(ours)}),
        "user_agent": request.user_agent.string[:300],
    }
    if number == HIDDEN_LINK:
        found["hidden"] = True
    else:
        found["url"] = next(address for one, address in mail.links_used if one == number)
    if request.method != "GET":
        found["method"] = request.method
    if of_proxies(request.remote_addr):
        found["proxy_network"] = True
    return found


def _tracked(found: Visit) -> bool:
    person = found.visitor.person
    states = ledger.current(found.session, [person.contact_id]).get(person.contact_id, {})
    held = [states.get((address, person.channel, "open_tracking", None)) for address in person.addresses]
    return any(state is not None and state.granted for state in held)
