"""The second half of a double opt-in: a landing page with a button, and what the button does (R6)."""

from __future__ import annotations

from flask import request
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from app.consent.wordings import named
from app.doors import anyone, house, opened_by
from app.messages import confirming, links
from app.messages.confirming import Pending
from app.messages.links import Ref
from app.signup import taking
from app.subscriber import visitors
from app.subscriber.pages import bad_link, blueprint, language_of, numbers_of, page, unit, voice
from app.subscriber.visitors import Visitor


@blueprint.route("/k/<token>", methods=["GET", "POST"])
@opened_by(anyone)
def confirm(token: str) -> Response:
    """GET asks, POST confirms; a second press says so and changes nothing."""
    workspace_id, contact_id, line = numbers_of("confirm", token, 3)
    with unit(workspace_id) as session:
        asked = confirming.look(session, contact_id, line)
        visitor = _visitor(session, asked)
        if visitor is None or not visitor.person.addresses:
            return bad_link()
        language = language_of(visitor)
        titles = [
            named(purpose, visitor.titles.get(topic or "", {}), topic, language) for purpose, topic in asked.about
        ]
        if request.method != "POST":
            return page("confirm", visitor, language, titles=titles, wordings=asked.wordings)
        said = voice("confirm_page", language, visitor)
        now = house().clock.now()
        done = confirming.confirm(session, contact_id, line, said, now)
        if done.outcome == "confirmed":
            taking.confirmed(session, done.contact_id, done.asked, now)
    name = "confirmed" if done.outcome in {"confirmed", "already"} else "confirm_expired"
    return page(name, visitor, language, titles=titles, preferences=_preferences(workspace_id, asked))


def _visitor(session: Session, asked: Pending) -> Visitor | None:
    """Whose link it is, in the brand of the property whose mail asked."""
    if asked.message_id is not None:
        return visitors.of_message(session, asked.message_id)
    return visitors.of_contact(session, asked.contact_id)


def _preferences(workspace_id: int, asked: Pending) -> str | None:
    if asked.message_id is None:
        return None
    return links.url(house().settings, "preferences", Ref(workspace_id, asked.contact_id, asked.message_id))
