"""Leaving: one-click as RFC 8058 has it, a page with one button for people, and taking it back."""

from __future__ import annotations

import re
from typing import Any

from flask import request
from werkzeug.wrappers import Response

from app.delivery import track
from app.doors import anyone, house, opened_by
from app.messages import choices, reasons
from app.messages.choices import Chosen, Leaving, Wish, everything, wish_of
from app.messages.reasons import REASONS
from app.subscriber.pages import Visit, blueprint, numbers_of, page, visit, visit_of, voice
from app.subscriber.preferences import put_back, undoing
from app.subscriber.standing import stands, switches
from app.subscriber.texts import say
from app.subscriber.visitors import Visitor

_ONE_CLICK = re.compile(
    rb'List-Unsubscribe=One-Click|name="?List-Unsubscribe"?[^\r\n]*\r?\n(?:[^\r\n]+\r?\n)*\r?\n\s*One-Click',
    re.IGNORECASE,
)


def is_one_click(body: bytes) -> bool:
    """Whether a body holds the pair of RFC 8058, urlencoded or multipart.

    Read from the bytes: senders copy the RFC's printed example, whose boundary is off by two dashes, and a strict
    reader would lose their request.
    """
    return _ONE_CLICK.search(body) is not None


@blueprint.get("/u/<token>")
@opened_by(anyone)
def ask_to_leave(token: str) -> Response:
    """A page with one button; it changes nothing (scanners follow links)."""
    with visit("unsubscribe", token) as found:
        return _ask(found)


@blueprint.post("/u/<token>")
@opened_by(anyone)
def leave(token: str) -> Response:
    """Unsubscribe: from a mailbox provider's one-click, or from our own page's button. A spent token answers 200."""
    with visit("unsubscribe", token) as found:
        visitor, language = found.visitor, found.language
        one_click = is_one_click(request.get_data(cache=True))
        scope = request.form.get("leave", "topic" if one_click else "")
        if request.form.get("reason") in REASONS:
            now, person = house().clock.now(), visitor.person
            reasons.note(found.session, person.contact_id, person.message_id, request.form["reason"], now)
            return page("thanks", visitor, language, **_links(found))
        if scope not in {"topic", "all"}:
            return _ask(found, incomplete=True)
        wishes = everything() if scope == "all" else [_wish(visitor)]
        said = voice("one_click" if one_click else "unsubscribe_page", language, visitor)
        now = house().clock.now()
        chosen = track.leave(found.session, Leaving(visitor.person, tuple(wishes), said, now), now)
        return page(
            "left",
            visitor,
            language,
            about=_about(visitor, language, "left")
            if scope == "topic"
            else say("left_all", language, brand=visitor.brand.name),
            chosen=chosen,
            reasons=REASONS,
            **stands(visitor, switches(found.session, visitor, language), language, now),
            **undoing(found, visitor, visitor, chosen),
            **_links(found),
        )


def _ask(found: Visit, *, incomplete: bool = False) -> Response:
    visitor, language = found.visitor, found.language
    about = _about(visitor, language, "leave")
    status = 400 if incomplete else 200
    return page("leave", visitor, language, status=status, incomplete=incomplete, about=about, **_links(found))


def _wish(visitor: Visitor) -> Wish:
    return wish_of(visitor.person, visitor.policy)


def _about(visitor: Visitor, language: str, verb: str) -> str:
    wish, brand = _wish(visitor), visitor.brand.name
    if wish.purpose == "feedback":
        return say(f"{verb}_feedback", language, brand=brand)
    return say(f"{verb}_topic", language, brand=brand, topic=visitor.title(wish.topic or "", language))


def _links(found: Visit) -> dict[str, Any]:
    return {"leave_url": found.url("unsubscribe"), "preferences_url": found.url("preferences")}


@blueprint.route("/z/<token>", methods=["GET", "POST"])
@opened_by(anyone)
def undo(token: str) -> Response:
    """Take a choice back: GET asks, POST does, and can be taken back in its turn."""
    workspace_id, message_id, *lines = numbers_of("undo", token, 2, 200)
    with visit_of(workspace_id, message_id) as found:
        session, visitor, language = found.session, found.visitor, found.language
        if request.method != "POST":
            return page("undo", visitor, language, **_links(found))
        titles = {topic: visitor.title(topic, language) for topic in visitor.titles}
        said = voice("undo", language, visitor)
        now = house().clock.now()
        chosen = choices.undo(session, visitor.person, lines, titles, said, now) if lines else Chosen()
        done = chosen is not None and (put_back(session, visitor, now) or bool(lines))
        if chosen is None or not done:
            return page("undo_late", visitor, language, **_links(found))
        after = found.again()
        return page(
            "undone",
            after,
            language,
            **stands(after, switches(session, after, language), language, now),
            **undoing(found, visitor, after, chosen),
            **_links(found),
        )
