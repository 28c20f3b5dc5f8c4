"""The second half of a double opt-in: a landing page with a button, and what the button does (R6)."""

from __future__ import annotations

from flask import request
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from app.consent import ledger
from app.doors import anyone, house, opened_by
from app.messages import choices, links
from app.messages.links import BadTokenError
from app.subscriber import visitors
from app.subscriber.pages import bad_link, blueprint, language_of, page, unit, voice
from app.subscriber.visitors import Visitor


@blueprint.route("/k/<token>", methods=["GET", "POST"])
@opened_by(anyone)
def confirm(token: str) -> Response:
    """GET asks, POST confirms; a second press says so and changes nothing."""
    try:
        workspace_id, contact_id, line = links.read(house().settings, "confirm", token)
    except (BadTokenError, ValueError):
        return bad_link()
    with unit(workspace_id) as session:
        visitor = visitors.of_contact(session, contact_id)
        if visitor is None:
            return bad_link()
        language = language_of(visitor)
        topic = _topic(session, visitor, contact_id, line, language)
        if request.method != "POST":
            return page("confirm", visitor, language, topic=topic)
        said = voice("confirm_page", language, visitor)
        outcome = choices.confirm(session, contact_id, line, said, house().clock.now())
    name = "confirmed" if outcome in {"confirmed", "already"} else "confirm_expired"
    return page(name, visitor, language, topic=topic)


def _topic(session: Session, visitor: Visitor, contact_id: int, number: int, language: str) -> str:
    asked = [one for one in ledger.lines(session, [contact_id]).get(contact_id, []) if one.line == number]
    return visitor.title(asked[0].topic or "newsletter", language) if asked else ""
