"""Broadcasts: the list, writing one, and one of them counted, confirmed, sent, paused, stopped."""

from __future__ import annotations

import time as clock
from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from typing import Any

from flask import abort, g, request, url_for
from flask_babel import lazy_gettext
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from app.doors import opened_by
from app.journey.waits import at_clock
from app.messages import broadcast_desk as desk
from app.messages.broadcast_audience import UnknownSegmentError
from app.messages.broadcast_desk import BroadcastError, Wish
from app.messages.broadcast_preview import Count, count_on
from app.messages.models import BROADCAST_STATES, Broadcast
from app.studio import access, pages, streams, trials
from app.studio.blueprint import HERE, blueprint
from app.studio.languages import gettext, zone
from app.studio.reading import broadcasts as reading

_ = lazy_gettext

OPERATORS = access.role("owner", "marketer")
COUNT_SECONDS = 0.6
"""How long one request counts before it shows how far it came."""

WRONG: Mapping[tuple[str, str], Any] = {
    ("name", "missing"): _("Give it a name, so that the team finds it again."),
    ("template", "missing"): _("Choose what it says."),
    ("template", "unpublished"): _("This template has no published version."),
    ("template", "needs_booking"): _("This template speaks of a booking; a broadcast has none. Choose another."),
    ("template", "consent_request"): _("Confirmation requests are sent by themselves, never as a broadcast."),
    ("topic", "missing"): _("A promotional mail needs a topic, so that people can leave it. The template names none."),
    ("segment", "unknown"): _("This segment is not there any more. Choose another."),
    ("at", "missing"): _("Say the day and the hour."),
    ("at", "past"): _("This moment has passed. Choose a later one."),
    ("local_day", "missing"): _("Say the day and the hour."),
    ("local_day", "past"): _("At the property this hour has passed. Choose a later one."),
    ("window_hours", "range"): _("Choose between 1 hour and 14 days (336 hours)."),
    ("people", "not_counted"): _("Count first: the number is what you confirm."),
    ("people", "another_number"): _("The number is not the one counted. Type the number shown above."),
    ("waiting", "another_number"): _("The number is not the one shown. Type it to stop for good."),
    ("state", "not_a_draft"): _("It has been confirmed already."),
    ("state", "begun"): _("It has begun. Pause it instead."),
    ("state", "not_sending"): _("It is not being sent just now."),
    ("state", "not_paused"): _("It is not paused."),
    ("state", "not_running"): _("It has ended already."),
}


def _said(problems: Mapping[str, str]) -> dict[str, str]:
    return {field: str(WRONG.get((field, code), code)) for field, code in problems.items()}


@blueprint.get(f"{HERE}/broadcasts")
@opened_by(access.member)
def broadcasts() -> Response:
    """The list."""
    state = request.args.get("state", "")
    with pages.unit() as unit:
        found = reading.listed(unit, pages.wanted(), state if state in BROADCAST_STATES else "", pages.property_id())
        counts = reading.by_state(unit)
        template_titles, segment_titles = reading.titles(unit)
        standing = streams.standing(unit)
    return pages.answer(
        "broadcasts.html", found=found, state=state, counts=counts, template_titles=template_titles,
        segment_titles=segment_titles, standing=standing, at="broadcasts",
    )  # fmt: skip


@blueprint.get(f"{HERE}/broadcasts/new")
@opened_by(OPERATORS)
def broadcast_new() -> Response:
    """An empty form."""
    given = {"timing": "now", "window_hours": "24", "on_hit": "defer", "segment": request.args.get("segment", "")}
    with pages.unit() as unit:
        return _form(unit, given, {}, None)


@blueprint.get(f"{HERE}/broadcasts/<int:number>/edit")
@opened_by(OPERATORS)
def broadcast_edit(number: int) -> Response:
    """A draft in the form."""
    with pages.unit() as unit:
        found = _one(unit, number)
        if found.state != "draft":
            return pages.gone_to("studio.broadcast", number=number)
        return _form(unit, _as_given(found), {}, found)


@blueprint.post(f"{HERE}/broadcasts/new")
@opened_by(OPERATORS)
def broadcast_create() -> Response:
    """Keep a new draft, or show the form again with what is wrong beside each field."""
    return _save(None)


@blueprint.post(f"{HERE}/broadcasts/<int:number>/edit")
@opened_by(OPERATORS)
def broadcast_save(number: int) -> Response:
    """Keep a changed draft."""
    return _save(number)


def _save(number: int | None) -> Response:
    given = {name: text.strip() for name, text in request.form.items()}
    with pages.unit() as unit:
        found = _locked(unit, number) if number is not None else None
        try:
            kept = desk.write(unit, _wish(given), _me(), pages.now(), found)
        except BroadcastError as error:
            return _form(unit, given, _said(error.problems), found, 422)
    return pages.gone_to("studio.broadcast", number=kept.id)


def _wish(given: Mapping[str, str]) -> Wish:
    """The form as the desk takes it; what cannot be read counts as not given."""
    spoken = next((one for one in g.properties if one.code == given.get("speaks")), None)
    local = spoken or pages.spoken_property()
    at = _read(datetime.fromisoformat, given.get("at", ""))
    home = zone()
    return Wish(
        name=given.get("name", ""),
        template=given.get("template", ""),
        segment=given.get("segment") or None,
        property_id=spoken.id if spoken else (local.id if local and len(g.properties) > 1 else None),
        timing=given.get("timing", "now"),
        at=at_clock(at.date(), at.time(), home) if at and at.tzinfo is None else None,
        local_day=_read(date.fromisoformat, given.get("local_day", "")),
        local_time=_read(time.fromisoformat, given.get("local_time", "")),
        window_hours=_read(int, given.get("window_hours", "")) or 0,
        on_hit=given.get("on_hit", "defer"),
    )


def _read(reader: Callable[[str], Any], text: str) -> Any:
    try:
        return reader(text)
    except ValueError:
        return None


def _as_given(found: Broadcast) -> dict[str, str]:
    code = next((one.code for one in g.properties if one.id == found.property_id), "")
    at = found.starts_at.astimezone(zone()).strftime("%Y-%m-%dT%H:%M") if found.starts_at else ""
    return {
        "name": found.name,
        "template": found.template,
        "segment": found.segment or "",
        "speaks": code,
        "timing": found.timing,
        "at": at if found.timing == "at" else "",
        "local_day": str(found.local_day or ""),
        "local_time": found.local_time or "",
        "window_hours": str(found.window_hours),
        "on_hit": found.on_hit,
    }


def _form(
    unit: Session, given: Mapping[str, str], errors: Mapping[str, str], found: Broadcast | None, status: int = 200
) -> Response:
    return pages.answer(
        "broadcast_form.html", status, given=given, errors=errors, broadcast=found, templates=reading.templates(unit),
        segments=reading.segments(unit), home_zone=zone().key, at="broadcasts",
    )  # fmt: skip


def _one(unit: Session, number: int) -> Broadcast:
    found = reading.one(unit, number)
    if found is None:
        abort(404)
    return found


def _locked(unit: Session, number: int) -> Broadcast:
    found = desk.find(unit, number)
    if found is None:
        abort(404)
    return found


def _me() -> str:
    someone = access.person()
    return (someone.name or someone.email) if someone else ""


@blueprint.get(f"{HERE}/broadcasts/<int:number>")
@opened_by(access.member)
def broadcast(number: int) -> Response:
    """One of them: what it says, whom it reaches, and what has become of it."""
    with pages.unit() as unit:
        return _shown(unit, _one(unit, number), {})


def _shown(unit: Session, found: Broadcast, errors: Mapping[str, str], status: int = 200) -> Response:
    template_titles, segment_titles = reading.titles(unit)
    results = desk.results(unit, found.id)
    return pages.answer(
        "broadcast.html", status, broadcast=found, counted=Count.from_json(found.preview), results=results,
        template_titles=template_titles, segment_titles=segment_titles, errors=errors,
        expected=desk.expected(found), to_stop=_to_stop(found, results), home_zone=zone().key, at="broadcasts",
        trials=trials.addresses(unit) if found.state == "draft" else [],
    )  # fmt: skip


def _to_stop(found: Broadcast, results: desk.Results) -> int:
    """How many people would still have been written to."""
    return max(0, found.audience - found.planned) * (found.all_planned_at is None) + results.to_come


@blueprint.post(f"{HERE}/broadcasts/<int:number>/count")
@opened_by(OPERATORS)
def broadcast_count(number: int) -> Response:
    """Count a little further with the gate's own rules; the page asks again until it is done."""
    until = clock.monotonic() + COUNT_SECONDS
    with pages.unit() as unit:
        found = _locked(unit, number)
        if found.state == "draft":
            try:
                count_on(unit, found, pages.now(), lambda: clock.monotonic() < until)
            except UnknownSegmentError:
                return _shown(unit, found, _said({"segment": "unknown"}), 422)
        if request.headers.get("HX-Request"):
            return _shown(unit, found, {})
    return pages.gone_to("studio.broadcast", number=number)


def _done(number: int, act: Callable[[Session, Broadcast], str], undo: str | None = None) -> Response:
    """Do something with one of them and say so, or show it again with what is in the way."""
    with pages.unit() as unit:
        found = _locked(unit, number)
        try:
            text = act(unit, found)
        except BroadcastError as error:
            return _shown(unit, found, _said(error.problems), 422)
    pages.tell(text, undo=url_for(undo, number=number) if undo else None)
    return pages.gone_to("studio.broadcast", number=number)


@blueprint.post(f"{HERE}/broadcasts/<int:number>/confirm")
@opened_by(OPERATORS)
def broadcast_confirm(number: int) -> Response:
    """Let it go at its hour, for the number of people that was counted and typed."""
    people = _read(int, request.form.get("people", "").strip())

    def confirm(unit: Session, found: Broadcast) -> str:
        desk.confirm(unit, found, -1 if people is None else people, _me(), pages.now())
        if found.timing == "now":
            return gettext("%(name)s begins in a few seconds.", name=found.name)
        return gettext("%(name)s is scheduled.", name=found.name)

    return _done(number, confirm, undo="studio.broadcast_take_back")


@blueprint.post(f"{HERE}/broadcasts/<int:number>/take-back")
@opened_by(OPERATORS)
def broadcast_take_back(number: int) -> Response:
    """Make a draft of a scheduled one again."""

    def take_back(_unit: Session, found: Broadcast) -> str:
        desk.take_back(found, pages.now())
        return gettext("%(name)s is a draft again. Nothing has been sent.", name=found.name)

    return _done(number, take_back)


@blueprint.post(f"{HERE}/broadcasts/<int:number>/pause")
@opened_by(OPERATORS)
def broadcast_pause(number: int) -> Response:
    """Hold it where it is."""

    def pause(unit: Session, found: Broadcast) -> str:
        desk.pause(unit, found, pages.now())
        return gettext("%(name)s is paused.", name=found.name)

    return _done(number, pause, undo="studio.broadcast_resume")


@blueprint.post(f"{HERE}/broadcasts/<int:number>/resume")
@opened_by(OPERATORS)
def broadcast_resume(number: int) -> Response:
    """Go on."""

    def resume(unit: Session, found: Broadcast) -> str:
        desk.resume(unit, found, pages.now())
        return gettext("%(name)s goes on.", name=found.name)

    return _done(number, resume, undo="studio.broadcast_pause")


@blueprint.post(f"{HERE}/broadcasts/<int:number>/stop")
@opened_by(OPERATORS)
def broadcast_stop(number: int) -> Response:
    """End it for good; the number of people who will not hear of it is typed."""
    typed = _read(int, request.form.get("waiting", "").strip())

    def stop(unit: Session, found: Broadcast) -> str:
        if found.state != "paused" or typed != _to_stop(found, desk.results(unit, found.id)):
            raise BroadcastError({"waiting": "another_number"})
        desk.stop(unit, found, _me(), pages.now())
        return gettext("%(name)s is stopped.", name=found.name)

    return _done(number, stop)


@blueprint.post(f"{HERE}/broadcasts/<int:number>/copy")
@opened_by(OPERATORS)
def broadcast_copy(number: int) -> Response:
    """A draft that says the same, opened in the form."""
    with pages.unit() as unit:
        found = _one(unit, number)
        name = gettext("%(name)s, again", name=found.name)
        made = desk.copy(unit, found, name, _me(), pages.now())
    return pages.gone_to("studio.broadcast_edit", number=made.id)


@blueprint.post(f"{HERE}/broadcasts/<int:number>/test")
@opened_by(OPERATORS)
def broadcast_test(number: int) -> Response:
    """Send it to the team or a verified address, with the sample guest, marked in its subject (R64)."""
    with pages.unit() as unit:
        found = _one(unit, number)
        version = reading.version(unit, found.template)
        place = next((one for one in g.properties if one.id == found.property_id), None) or pages.spoken_property()
        if version is None or place is None:
            abort(404)
        trials.post(unit, version, place)
    return pages.gone_to("studio.broadcast", number=number)
