"""The preference centre, by a signed link: topics on every channel, how often, opinions, tracking, language.

Every choice stands beside the sentence that says what it does; after each change the page says what will and what will
not be sent from now on, and one press takes it back. No account, no script.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from babel import dates
from flask import request
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from app.consent import ledger
from app.consent.fold import Key, State, grant
from app.doors import anyone, house, opened_by
from app.messages import choices, links
from app.messages.choices import Chosen, Person, Wish, everything
from app.messages.links import Ref
from app.subscriber import visitors
from app.subscriber.pages import LARGEST_FORM, bad_link, blueprint, language_of, masked, page, ref_of, unit, voice
from app.subscriber.texts import NAMES, SPOKEN, say
from app.subscriber.visitors import Visitor

PACES = ("normal", "monthly", "pause")

_OTHERS = (("feedback", "feedback"), ("open_tracking", "tracking"))
"""Purpose → its field and the stem of its texts: always on offer."""
_ONLY_OFF = (("profiling", "profiling"), ("third_party_sharing", "sharing"))
"""Purposes that are asked for elsewhere; where they stand on, they can be switched off here."""


@dataclass(frozen=True, slots=True)
class Switch:
    """One choice on the page."""

    field: str
    purpose: str
    topic: str | None
    channel: str
    title: str
    hint: str
    on: bool

    @property
    def key(self) -> tuple[str, str | None, str]:
        """What it is about."""
        return (self.purpose, self.topic, self.channel)


@dataclass(frozen=True, slots=True)
class Pace:
    """How often, as it stands."""

    pace: str | None
    paused_until: datetime | None

    def chosen(self, now: datetime) -> str:
        """The choice that is on."""
        if self.paused_until is not None and self.paused_until > now:
            return "pause"
        return "monthly" if self.pace == "monthly" else "normal"


@blueprint.get("/p/<token>")
@opened_by(anyone)
def show_preferences(token: str) -> Response:
    """How things stand, each with its switch. Changes nothing."""
    ref = ref_of("preferences", token)
    if ref is None:
        return bad_link()
    with unit(ref.workspace_id) as session:
        visitor = visitors.of_message(session, ref.message_id)
        if visitor is None:
            return bad_link()
        language = language_of(visitor)
        if not visitor.person.addresses:
            return page("erased", visitor, language, status=410)
        switches = _switches(session, visitor, language)
    return page("preferences", visitor, language, switches=switches, **_about(visitor, ref, language))


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
        if visitor is None:
            return bad_link()
        before = language_of(visitor)
        if not visitor.person.addresses:
            return page("erased", visitor, before, status=410)
        wanted = request.form.get("language")
        language = wanted if wanted in SPOKEN else before
        switches = _switches(session, visitor, language)
        stop = request.form.get("action") == "stop"
        if not stop and request.form.get("action") != "save":
            about = _about(visitor, ref, before)
            return page("preferences", visitor, before, status=400, switches=switches, incomplete=True, **about)
        was = Pace(visitor.pace, visitor.paused_until)
        chosen = _choose(session, visitor, switches, language, now, stop=stop)
        mails_in = _mail_language(visitor)
        changed = not stop and wanted in SPOKEN and wanted != mails_in
        if changed and wanted:
            choices.set_language(session, visitor.person.contact_id, wanted, now)
        pace = was if stop else _paced(session, visitor, was, now)
        after = _switches(session, visitor, language)
    anything = bool(chosen.lines) or changed or pace != was
    return page(
        "saved",
        visitor,
        language,
        **_told(switches, after, chosen, visitor, language),
        **_stands(after, pace, language, now),
        stopped=stop,
        anything=anything,
        language_changed=changed,
        pace_changed=pace != was,
        undo=_undo_url(ref, chosen) if anything else None,
        restore=_restore(was, mails_in, pace != was, changed),
        here=links.url(house().settings, "preferences", ref),
    )


def _undo_url(ref: Ref, chosen: Chosen) -> str:
    return links.url(house().settings, "undo", (ref.workspace_id, ref.message_id, *chosen.lines))


def _choose(
    session: Session, visitor: Visitor, switches: Sequence[Switch], language: str, now: datetime, *, stop: bool
) -> Chosen:
    """Keep what was switched, channel by channel."""
    said = voice("preference_centre", language, visitor)
    lines: list[int] = []
    confirm: list[str] = []
    cancelled = 0
    for channel, address in visitor.ways.items():
        person = _on(visitor.person, channel, address)
        wishes = list(everything()) if stop else _wishes(one for one in switches if one.channel == channel)
        chosen = choices.choose(session, person, wishes, said, now) if wishes else Chosen()
        lines += chosen.lines
        cancelled += chosen.cancelled
        confirm += chosen.confirmation
    return Chosen(tuple(lines), cancelled, tuple(confirm))


def _on(person: Person, channel: str, address: str) -> Person:
    """The same person as reached over a channel."""
    if channel == person.channel:
        return person
    return Person(person.contact_id, (address,), channel, person.message_id)


def _paced(session: Session, visitor: Visitor, was: Pace, now: datetime) -> Pace:
    """Keep how often, and give it as it stands then. A pause that runs is not begun anew by saving once more."""
    wanted = request.form.get("pace")
    if wanted not in PACES or wanted == was.chosen(now):
        return was
    if wanted == "pause":
        pace = Pace(was.pace, now + choices.PAUSE)
    else:
        pace = Pace("monthly" if wanted == "monthly" else None, None)
    choices.set_pace(session, visitor.person.contact_id, pace.pace, pace.paused_until, now)
    return pace


def _restore(was: Pace, language: str, pace: bool, changed: bool) -> dict[str, str]:
    """What an undo puts back besides lines of the ledger, as fields of its form."""
    found = {"language": language} if changed else {}
    if pace:
        until = was.paused_until
        found |= {"pace": was.pace or "", "until": str(int(until.timestamp())) if until else ""}
    return found


def put_back(session: Session, visitor: Visitor, now: datetime) -> bool:
    """Put language and pace back as an undo's form says; whether there was anything to put back."""
    language, pace, until = (request.form.get(name) for name in ("language", "pace", "until"))
    if language in SPOKEN:
        choices.set_language(session, visitor.person.contact_id, language, now)
    if pace in {"", "monthly"}:
        ends = datetime.fromtimestamp(int(until), UTC) if until and until.isdigit() and len(until) < 12 else None
        choices.set_pace(session, visitor.person.contact_id, pace or None, ends, now)
    return language in SPOKEN or pace in {"", "monthly"}


def _about(visitor: Visitor, ref: Ref, language: str) -> dict[str, Any]:
    now = house().clock.now()
    pace = Pace(visitor.pace, visitor.paused_until)
    here = links.url(house().settings, "preferences", ref)
    return {
        "address": masked(visitor.person.addresses[0]),
        "mail_language": _mail_language(visitor),
        "languages_of_mails": NAMES,
        "pace": pace.chosen(now),
        "paused_until": day(pace.paused_until, language) if pace.chosen(now) == "pause" else None,
        "channels": len(visitor.ways),
        "here": here,
        "data_url": f"{here}/data",
    }


def day(moment: datetime | None, language: str) -> str:
    """A day as people say it."""
    return dates.format_date(moment, "d MMMM y", locale=language) if moment is not None else ""


def _mail_language(visitor: Visitor) -> str:
    return (visitor.language or visitor.brand.language).partition("-")[0]


def _switches(session: Session, visitor: Visitor, language: str) -> list[Switch]:
    person = visitor.person
    states = ledger.current(session, [person.contact_id]).get(person.contact_id, {})
    found: list[Switch] = []
    for topic in visitor.titles:
        for channel, address in visitor.ways.items():
            on = grant(states, address, channel, topic) is not None
            if topic in visitor.archived and not on:
                continue
            field = f"topic.{topic}" if channel == "email" else f"topic.{topic}.{channel}"
            hint = visitor.descriptions.get(topic, {}).get(language, "")
            found.append(Switch(field, "marketing", topic, channel, visitor.title(topic, language), hint, on))
    address, channel, name = person.addresses[0], person.channel, visitor.brand.name
    for purpose, stem in (*_OTHERS, *_ONLY_OFF):
        on = _granted(states, address, channel, purpose)
        if on or (purpose, stem) in _OTHERS:
            title = say(f"prefs_{stem}", language, brand=name)
            found.append(Switch(stem, purpose, None, channel, title, say(f"prefs_{stem}_hint", language), on))
    return found


def _granted(states: Mapping[Key, State], address: str, channel: str, purpose: str) -> bool:
    held = states.get((address, channel, purpose, None))
    return held is not None and held.granted


def _wishes(switches: Any) -> list[Wish]:
    """What differs from how it stood. A switch left off where nothing was ever said stays unsaid: it is no refusal."""
    return [
        Wish(one.purpose, one.topic, wanted, one.title)
        for one in switches
        if (wanted := request.form.get(one.field) == "on") != one.on
    ]


def _told(
    before: Sequence[Switch], after: Sequence[Switch], chosen: Chosen, visitor: Visitor, language: str
) -> dict[str, Any]:
    """What has changed."""
    was = {one.key: one.on for one in before}
    now_on = {one.key for one in after if one.on}
    many = len(visitor.ways) > 1
    return {
        "on": [_name(one, language, many) for one in after if one.on and not was.get(one.key, False)],
        "off": [_name(one, language, many) for one in before if one.on and one.key not in now_on],
        "confirm": [visitor.title(topic, language) for topic in chosen.confirmation],
        "cancelled": chosen.cancelled,
    }


def _stands(after: Sequence[Switch], pace: Pace, language: str, now: datetime) -> dict[str, Any]:
    """What will and what will not be sent from now on."""
    many = len({one.channel for one in after}) > 1
    wanted = [one for one in after if one.purpose in {"marketing", "feedback"}]
    how = pace.chosen(now)
    until = day(pace.paused_until, language) if how == "pause" else ""
    return {
        "will": [_name(one, language, many) for one in wanted if one.on],
        "will_not": [_name(one, language, many) for one in wanted if not one.on],
        "pace_now": say(f"pace_{how}_now", language, until=until),
    }


def _name(switch: Switch, language: str, many: bool) -> str:
    if switch.purpose != "marketing":
        return say(f"name_{dict((*_OTHERS, *_ONLY_OFF))[switch.purpose]}", language)
    return f"{switch.title} ({say(f'channel_{switch.channel}', language)})" if many else switch.title
