"""The preference centre, first version: topics, opinion requests, tracking and language, by a signed link."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flask import request
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from app.consent import ledger
from app.consent.fold import Key, State, grant
from app.doors import anyone, house, opened_by
from app.messages import choices, links
from app.messages.choices import Chosen, Wish, everything
from app.messages.links import Ref
from app.subscriber import visitors
from app.subscriber.pages import LARGEST_FORM, bad_link, blueprint, language_of, masked, page, ref_of, unit, voice
from app.subscriber.texts import SPOKEN, say
from app.subscriber.visitors import Visitor


@dataclass(frozen=True, slots=True)
class Switch:
    """One choice on the page."""

    field: str
    purpose: str
    topic: str | None
    title: str
    hint: str
    on: bool


@blueprint.get("/p/<token>")
@opened_by(anyone)
def show_preferences(token: str) -> Response:
    """How things stand, each with its switch. Changes nothing."""
    ref = ref_of("preferences", token)
    if ref is None:
        return bad_link()
    with unit(ref.workspace_id) as session:
        visitor = visitors.of_message(session, ref.message_id)
        if visitor is None or not visitor.person.addresses:
            return bad_link()
        language = language_of(visitor)
        switches = _switches(session, visitor, language)
    return page("preferences", visitor, language, switches=switches, **_about(visitor, ref))


@blueprint.post("/p/<token>")
@opened_by(anyone)
def save_preferences(token: str) -> Response:
    """Keep the choices and say what will and will not be sent from now on."""
    ref = ref_of("preferences", token)
    if ref is None:
        return bad_link()
    if (request.content_length or 0) > LARGEST_FORM:
        return bad_link(413)
    now = house().clock.now()
    with unit(ref.workspace_id) as session:
        visitor = visitors.of_message(session, ref.message_id)
        if visitor is None or not visitor.person.addresses:
            return bad_link()
        before = language_of(visitor)
        wanted = request.form.get("language")
        language = wanted if wanted in SPOKEN else before
        switches = _switches(session, visitor, language)
        stop = request.form.get("action") == "stop"
        if not stop and request.form.get("action") != "save":
            return page(
                "preferences", visitor, before, status=400, switches=switches, incomplete=True, **_about(visitor, ref)
            )
        wishes = list(everything()) if stop else _wishes(switches)
        chosen = choices.choose(session, visitor.person, wishes, voice("preference_centre", language, visitor), now)
        changed = not stop and wanted in SPOKEN and wanted != _mail_language(visitor)
        if changed and wanted:
            choices.set_language(session, visitor.person.contact_id, wanted, now)
        after = _switches(session, visitor, language)
    return page("saved", visitor, language, **_told(switches, after, chosen, visitor, language),
                stopped=stop, language_changed=changed, undo=_undo_url(ref, chosen),
                here=links.url(house().settings, "preferences", ref))  # fmt: skip


def _about(visitor: Visitor, ref: Ref) -> dict[str, Any]:
    return {
        "address": masked(visitor.person.addresses[0]),
        "mail_language": _mail_language(visitor),
        "here": links.url(house().settings, "preferences", ref),
    }


def _mail_language(visitor: Visitor) -> str:
    return (visitor.language or visitor.brand.language).partition("-")[0]


def _undo_url(ref: Ref, chosen: Chosen) -> str | None:
    if not chosen.lines:
        return None
    return links.url(house().settings, "undo", (ref.workspace_id, ref.message_id, *chosen.lines))


def _switches(session: Session, visitor: Visitor, language: str) -> list[Switch]:
    person = visitor.person
    states = ledger.current(session, [person.contact_id]).get(person.contact_id, {})
    address, channel = person.addresses[0], person.channel
    found = [
        Switch(
            f"topic.{topic}",
            "marketing",
            topic,
            visitor.title(topic, language),
            visitor.descriptions.get(topic, {}).get(language, ""),
            grant(states, address, channel, topic) is not None,
        )
        for topic in visitor.titles
    ]
    name = visitor.brand.name
    for field, purpose, title, hint in (
        ("feedback", "feedback", say("prefs_feedback", language), say("prefs_feedback_hint", language)),
        (
            "tracking",
            "open_tracking",
            say("prefs_tracking", language, brand=name),
            say("prefs_tracking_hint", language),
        ),
    ):
        found.append(Switch(field, purpose, None, title, hint, _granted(states, address, channel, purpose)))
    return found


def _granted(states: Mapping[Key, State], address: str, channel: str, purpose: str) -> bool:
    held = states.get((address, channel, purpose, None))
    return held is not None and held.granted


def _wishes(switches: Sequence[Switch]) -> list[Wish]:
    """What differs from how it stood. A switch left off where nothing was ever said stays unsaid: it is no refusal."""
    return [
        Wish(one.purpose, one.topic, wanted, one.title)
        for one in switches
        if (wanted := request.form.get(one.field) == "on") != one.on
    ]


def _told(
    before: Sequence[Switch], after: Sequence[Switch], chosen: Chosen, visitor: Visitor, language: str
) -> dict[str, Any]:
    pairs = list(zip(before, after, strict=True))
    return {
        "on": [_name(now, language) for was, now in pairs if now.on and not was.on],
        "off": [_name(now, language) for was, now in pairs if was.on and not now.on],
        "confirm": [visitor.title(topic, language) for topic in chosen.confirmation],
        "cancelled": chosen.cancelled,
    }


def _name(switch: Switch, language: str) -> str:
    names = {"feedback": "name_feedback", "open_tracking": "name_tracking"}
    return say(names[switch.purpose], language) if switch.purpose in names else switch.title
