"""The preference centre, by a signed link: topics on every channel, how often, opinions, tracking, language.

Every choice stands beside the sentence that says what it does; after each change the page says what will and what will
not be sent from now on, and one press takes it back. No account, no script.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

from flask import request
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from app.doors import anyone, house, opened_by
from app.messages import choices
from app.messages.choices import Chosen, Wish, everything
from app.subscriber.pages import Visit, blueprint, masked, page, visit, voice
from app.subscriber.standing import Switch, day, mail_language, name, pace_of, stands, switches
from app.subscriber.texts import NAMES, SPOKEN, say
from app.subscriber.visitors import Visitor

PACES = ("normal", "monthly", "pause")


@blueprint.get("/p/<token>")
@opened_by(anyone)
def show_preferences(token: str) -> Response:
    """How things stand, each with its switch. Changes nothing."""
    with visit("preferences", token, living=True) as found:
        return _form(found)


@blueprint.post("/p/<token>")
@opened_by(anyone)
def save_preferences(token: str) -> Response:
    """Keep the choices and say what will and will not be sent from now on."""
    now = house().clock.now()
    with visit("preferences", token, living=True) as found:
        session, visitor = found.session, found.visitor
        stop = request.form.get("action") == "stop"
        if not stop and request.form.get("action") != "save":
            return _form(found, incomplete=True)
        wanted = request.form.get("language")
        # Who asks for mails in another language is answered in it; who does not, in that of the page they look at.
        language = wanted if wanted in SPOKEN and wanted != mail_language(visitor) else found.language
        before = switches(session, visitor, language)
        chosen = _choose(session, visitor, before, language, now, stop=stop)
        if not stop:
            _keep(session, visitor, now)
        after = found.again()
        standing = switches(session, after, language)
    return page(
        "saved",
        after,
        language,
        **_told(before, standing, chosen, after, language),
        **stands(after, standing, language, now),
        **undoing(found, visitor, after, chosen),
        stopped=stop,
        here=found.url("preferences"),
    )


def undoing(found: Visit, before: Visitor, after: Visitor, chosen: Chosen) -> dict[str, Any]:
    """What was changed besides lines of the ledger, and how one press takes all of it back: for `_undo.html`."""
    was, language = pace_of(before), mail_language(before)
    changed, paced = mail_language(after) != language, pace_of(after) != was
    restore = {"language": language} if changed else {}
    if paced:
        until = was.paused_until
        restore |= {"pace": was.pace or "", "until": str(int(until.timestamp())) if until else ""}
    anything = bool(chosen.lines) or changed or paced
    return {
        "anything": anything,
        "language_changed": changed,
        "pace_changed": paced,
        "undo": found.url("undo", *chosen.span) if anything else None,
        "restore": restore,
    }


def put_back(session: Session, visitor: Visitor, now: datetime) -> bool:
    """Put language and pace back as an undo's form says; whether there was anything to put back."""
    language, pace, until = (request.form.get(name) for name in ("language", "pace", "until"))
    if language in SPOKEN:
        choices.set_language(session, visitor.person.contact_id, language, now)
    if pace in {"", "monthly"}:
        ends = datetime.fromtimestamp(int(until), UTC) if until and until.isdigit() and len(until) < 12 else None
        choices.set_pace(session, visitor.person.contact_id, pace or None, ends, now)
    return language in SPOKEN or pace in {"", "monthly"}


def _form(found: Visit, *, incomplete: bool = False) -> Response:
    visitor, language, now = found.visitor, found.language, house().clock.now()
    every = switches(found.session, visitor, language)
    pace, here = pace_of(visitor), found.url("preferences")
    channels = list(dict.fromkeys(one.channel for one in every if one.topic))
    unsent = [one for one in channels if one not in visitor.policy.senders]
    return page(
        "preferences",
        visitor,
        language,
        status=400 if incomplete else 200,
        incomplete=incomplete,
        switches=[one for one in every if not one.topic],
        topics=[list(of_one) for _, of_one in groupby((one for one in every if one.topic), lambda one: one.topic)],
        channels=channels,
        unsent=[say(f"channel_{one}", language) for one in unsent],
        address=masked(visitor.person.addresses[0]),
        mail_language=mail_language(visitor),
        languages_of_mails=NAMES,
        pace=pace.chosen(now),
        paused_until=day(pace.paused_until, language) if pace.chosen(now) == "pause" else None,
        here=here,
        data_url=f"{here}/data",
    )


def _choose(
    session: Session, visitor: Visitor, every: Sequence[Switch], language: str, now: datetime, *, stop: bool
) -> Chosen:
    """Keep what was switched, channel by channel."""
    said = voice("preference_centre", language, visitor)
    addresses = {one.channel: one.address for one in every} | {visitor.person.channel: visitor.person.addresses[0]}
    done = []
    for channel, address in addresses.items():
        wishes = list(everything()) if stop else _wishes(one for one in every if one.channel == channel)
        if wishes:
            done.append(choices.choose(session, visitor.person.over(channel, address), wishes, said, now))
    return choices.together(done)


def _keep(session: Session, visitor: Visitor, now: datetime) -> None:
    """Keep language and pace. A pause that runs is not begun anew by saving once more."""
    contact_id, was = visitor.person.contact_id, pace_of(visitor)
    language, pace = request.form.get("language"), request.form.get("pace")
    if language in SPOKEN and language != mail_language(visitor):
        choices.set_language(session, contact_id, language, now)
    if pace in PACES and pace != was.chosen(now):
        # What held before a pause holds after it.
        how, until = (was.pace, now + choices.PAUSE) if pace == "pause" else (None if pace == "normal" else pace, None)
        choices.set_pace(session, contact_id, how, until, now)


def _wishes(every: Iterable[Switch]) -> list[Wish]:
    """What differs from how it stood. A switch left off where nothing was ever said stays unsaid: it is no refusal."""
    return [
        Wish(one.purpose, one.topic, wanted, one.title)
        for one in every
        if (wanted := request.form.get(one.field) == "on") != one.on
    ]


def _told(
    before: Sequence[Switch], after: Sequence[Switch], chosen: Chosen, visitor: Visitor, language: str
) -> dict[str, Any]:
    """What has changed."""
    was = {one.key: one.on for one in before}
    now_on = {one.key for one in after if one.on}
    many = len({one.channel for one in before}) > 1
    return {
        "on": [name(one, language, many) for one in after if one.on and not was.get(one.key, False)],
        "off": [name(one, language, many) for one in before if one.on and one.key not in now_on],
        "confirm": [visitor.title(topic, language) for topic in chosen.confirmation],
        "cancelled": chosen.cancelled,
    }
