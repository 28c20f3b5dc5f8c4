"""Leaving: one-click as RFC 8058 has it, a page with one button for people, and taking it back."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from flask import request
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from app.delivery import track
from app.doors import anyone, house, opened_by
from app.events.record import OwnEvent, record_own
from app.messages import choices, links
from app.messages.choices import Chosen, Leaving, Wish, everything, wish_of
from app.messages.links import BadTokenError
from app.subscriber import visitors
from app.subscriber.pages import LARGEST_FORM, bad_link, blueprint, language_of, page, ref_of, unit, voice
from app.subscriber.preferences import put_back
from app.subscriber.texts import say
from app.subscriber.visitors import Visitor

REASONS = ("too_often", "not_relevant", "never_asked", "other")

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
    ref = ref_of("unsubscribe", token)
    if ref is None:
        return bad_link()
    with unit(ref.workspace_id) as session:
        visitor = visitors.of_message(session, ref.message_id)
    if visitor is None:
        return bad_link()
    language = language_of(visitor)
    return page("leave", visitor, language, about=_about(visitor, language, "leave"), **_links(ref))


@blueprint.post("/u/<token>")
@opened_by(anyone)
def leave(token: str) -> Response:
    """Unsubscribe: from a mailbox provider's one-click, or from our own page's button. A spent token answers 200."""
    ref = ref_of("unsubscribe", token)
    if ref is None:
        return bad_link()
    if (request.content_length or 0) > LARGEST_FORM:
        return bad_link(413)
    one_click = is_one_click(request.get_data(cache=True))
    scope = request.form.get("leave", "topic" if one_click else "")
    with unit(ref.workspace_id) as session:
        visitor = visitors.of_message(session, ref.message_id)
        if visitor is None:
            return bad_link()
        language = language_of(visitor)
        if request.form.get("reason") in REASONS:
            _note_reason(session, visitor, request.form["reason"])
            return page("thanks", visitor, language, **_links(ref))
        if scope not in {"topic", "all"}:
            return page("leave", visitor, language, status=400, incomplete=True,
                        about=_about(visitor, language, "leave"), **_links(ref))  # fmt: skip
        method = "one_click" if one_click else "unsubscribe_page"
        chosen = _leave(session, visitor, everything() if scope == "all" else [_wish(visitor)], method, language)
    return page(
        "left",
        visitor,
        language,
        about=say("left_all", language, brand=visitor.brand.name)
        if scope == "all"
        else _about(visitor, language, "left"),
        chosen=chosen,
        undo=links.url(house().settings, "undo", (ref.workspace_id, ref.message_id, *chosen.lines)),
        reasons=REASONS,
        **_links(ref),
    )


def _wish(visitor: Visitor) -> Wish:
    return wish_of(visitor.person, visitor.policy)


def _leave(session: Session, visitor: Visitor, wishes: Sequence[Wish], method: str, language: str) -> Chosen:
    now = house().clock.now()
    said = voice(method, language, visitor)
    return track.leave(session, Leaving(visitor.person, tuple(wishes), said, now), now)


def _note_reason(session: Session, visitor: Visitor, reason: str) -> None:
    now = house().clock.now()
    data = {"reason": reason, "message_id": visitor.person.message_id}
    record_own(session, [OwnEvent(visitor.person.contact_id, "unsubscribe.explained", now, data)], now)


def _about(visitor: Visitor, language: str, verb: str) -> str:
    wish, brand = _wish(visitor), visitor.brand.name
    if wish.purpose == "feedback":
        return say(f"{verb}_feedback", language, brand=brand)
    return say(f"{verb}_topic", language, brand=brand, topic=visitor.title(wish.topic or "", language))


def _links(ref: links.Ref) -> dict[str, Any]:
    settings = house().settings
    return {
        "leave_url": links.url(settings, "unsubscribe", ref),
        "preferences_url": links.url(settings, "preferences", ref),
    }


@blueprint.route("/z/<token>", methods=["GET", "POST"])
@opened_by(anyone)
def undo(token: str) -> Response:
    """Take a choice back: GET asks, POST does."""
    try:
        workspace_id, message_id, *lines = links.read(house().settings, "undo", token)
    except (BadTokenError, ValueError):
        return bad_link()
    with unit(workspace_id) as session:
        visitor = visitors.of_message(session, message_id)
        if visitor is None:
            return bad_link()
        language = language_of(visitor)
        ref = links.Ref(workspace_id, visitor.person.contact_id, message_id)
        if request.method != "POST":
            return page("undo", visitor, language, **_links(ref))
        titles = {topic: visitor.title(topic, language) for topic in visitor.titles}
        said = voice("undo", language, visitor)
        now = house().clock.now()
        taken_back = choices.undo(session, visitor.person, lines, titles, said, now) if lines else Chosen()
        done = taken_back is not None and (put_back(session, visitor, now) or bool(lines))
    return page("undone" if done else "undo_late", visitor, language, **_links(ref))
