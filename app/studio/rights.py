"""What people may ask of whoever keeps their data: a copy, erasure, a pause in its use; and how long it stays."""

from __future__ import annotations

from typing import Any

import msgspec
from flask import abort, request, url_for
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from app.accounts import settings as kept
from app.contacts import accesses
from app.contacts.models import Contact, display_name
from app.doors import opened_by
from app.rights import notice, paper, requests, retention_periods
from app.rights.models import RetentionMark, RightsRequest
from app.rights.retention import TASKS
from app.rights.retention_periods import LIMITS, PeriodError
from app.studio import access, pages
from app.studio.blueprint import HERE, blueprint
from app.studio.languages import gettext

OFFICERS = access.role("owner", "privacy_officer")
LONGEST = 300


@blueprint.get(f"{HERE}/audience/contacts/<int:contact_id>/data")
@opened_by(OFFICERS)
def person_data(contact_id: int) -> Response:
    """One person's rights: what was asked, what was done, and the buttons."""
    return _person(contact_id)


def _person(contact_id: int, status: int = 200, **more: Any) -> Response:
    with pages.unit() as unit:
        contact = _contact(unit, contact_id)
        if contact.merged_into is not None:
            return pages.gone_to("studio.person_data", contact_id=contact.merged_into)
        asked, looked = requests.of(unit, contact_id), accesses.of(unit, contact_id)[:20]
    context: dict[str, Any] = {"given": {}, "errors": {}} | more
    return pages.answer(
        "person_data.html", status, contact=contact, asked=asked, looked=looked, now_=pages.now(),
        word=_word(contact), at="contacts", **context,
    )  # fmt: skip


def _contact(unit: Session, contact_id: int) -> Contact:
    contact = unit.scalars(select(Contact).where(Contact.id == contact_id)).first()
    if contact is None:
        abort(404)
    return contact


def _word(contact: Contact) -> str:
    """What is typed to erase somebody."""
    return display_name(contact)


def _by() -> str:
    someone = access.person()
    return someone.email if someone else ""


def _identity() -> str:
    return request.form.get("identity", "").strip()[:LONGEST]


@blueprint.post(f"{HERE}/audience/contacts/<int:contact_id>/data/export")
@opened_by(OFFICERS)
def person_export(contact_id: int) -> Response:
    """All data of the person as a file; how we know that it is for them is kept with it (R50)."""
    identity = _identity()
    if len(identity) < 5:
        return _person(contact_id, 422, given=request.form, errors={"export": _missing()})
    with pages.unit() as unit:
        _contact(unit, contact_id)
        made = requests.export_by_team(unit, contact_id, _by(), identity, pages.now())
        data = made.zip()
    name = f"data-{contact_id}-{pages.now():%Y%m%d}.zip"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return Response(data, mimetype="application/zip", headers=headers)


def _missing() -> str:
    return gettext("Say how you know that it is this person, such as: document seen at the desk.")


@blueprint.post(f"{HERE}/audience/contacts/<int:contact_id>/data/restrict")
@opened_by(OFFICERS)
def person_restrict(contact_id: int) -> Response:
    """Restrict the use of the data, or end that (R52)."""
    frozen = request.form.get("frozen") == "yes"
    with pages.unit() as unit:
        _contact(unit, contact_id)
        requests.restrict(unit, contact_id, _by(), pages.now(), frozen=frozen)
    pages.tell(
        gettext("Restricted: nothing goes to this person but what the law asks for.")
        if frozen
        else gettext("The restriction has ended."),
        undo=url_for("studio.person_restrict", contact_id=contact_id),
        frozen="" if frozen else "yes",
    )
    return pages.gone_to("studio.person_data", contact_id=contact_id)


@blueprint.post(f"{HERE}/audience/contacts/<int:contact_id>/data/erase")
@opened_by(OFFICERS)
def person_erase(contact_id: int) -> Response:
    """Erase the person: everything stops now, the data goes when the receipt has left (R51). The name is typed."""
    identity, errors, done = _identity(), dict[str, str](), False
    with pages.unit() as unit:
        contact = _contact(unit, contact_id)
        if len(identity) < 5:
            errors["erase"] = _missing()
        if request.form.get("name", "").strip() != _word(contact):
            errors["name"] = gettext("Type the name exactly as it stands above: this cannot be undone.")
        if not errors:
            asked = requests.erase_by_team(unit, contact_id, _by(), identity, pages.now())
            done = asked.state == "done"
    if errors:
        return _person(contact_id, 422, given=request.form, errors=errors)
    pages.tell(
        gettext("Erased.")
        if done
        else gettext("Everything is stopped. The data goes when the receipt has left, within an hour.")
    )
    return pages.gone_to("studio.person_data", contact_id=contact_id)


@blueprint.get(f"{HERE}/consent/requests")
@opened_by(OFFICERS)
def rights_requests() -> Response:
    """What people have asked for: first what waits for us, then the latest."""
    with pages.unit() as unit:
        waiting = requests.waiting(unit)
        latest = unit.scalars(select(RightsRequest).order_by(RightsRequest.id.desc()).limit(100)).all()
        ids = {one.contact_id for one in (*waiting, *latest)}
        people = {one.id: one for one in unit.scalars(select(Contact).where(Contact.id.in_(ids)))}
    return pages.answer(
        "rights_requests.html", waiting=waiting, latest=latest, people=people, now_=pages.now(), tab="requests",
        at="ledger",
    )  # fmt: skip


# -- how long data stays -----------------------------------------------------------------------------------------------


@blueprint.get(f"{HERE}/settings/retention")
@opened_by(access.member)
def retention() -> Response:
    """The periods, and what the last round came to."""
    with pages.unit() as unit:
        given = {name: str(months) for name, months in retention_periods.of(kept.read(unit)).as_json().items()}
        return _periods(unit, given, {})


def _periods(unit: Session, given: dict[str, str], errors: dict[str, str], status: int = 200) -> Response:
    marks = {mark.task: mark for mark in unit.scalars(select(RetentionMark))}
    removed = {
        name: sum(mark.removed for task, mark in marks.items() if task in TASKS and TASKS[task].period == name)
        for name in LIMITS
    }
    last = max((mark.finished_at for mark in marks.values() if mark.finished_at), default=None)
    return pages.answer(
        "settings_retention.html", status, given=given, errors=errors, limits=LIMITS, removed=removed, last=last,
        blocks={one: notice.block(retention_periods.in_force(unit), one) for one in paper.LANGUAGES},
        tab="retention", at="settings",
    )  # fmt: skip


@blueprint.post(f"{HERE}/settings/retention")
@opened_by(OFFICERS)
def retention_save() -> Response:
    """Keep the form, or show it again with what is wrong beside each field."""
    given = {name: request.form.get(name, "").strip()[:4] for name in LIMITS}
    errors: dict[str, str] = {}
    for name, (low, high) in LIMITS.items():
        if not given[name].isdigit() or not low <= int(given[name]) <= high:
            errors[name] = gettext("A whole number from %(low)s to %(high)s.", low=low, high=high)
    with pages.unit() as unit:
        if errors:
            return _periods(unit, given, errors, 422)
        before = kept.read(unit).get("retention") or {}
        kept.lay(unit, {"retention": {name: int(months) for name, months in given.items()}})
    pages.tell(
        gettext("Saved. It holds from tonight on, and stands in every notice that names the periods."),
        undo=url_for("studio.retention_undo"),
        before=msgspec.json.encode(before).decode(),
    )
    return pages.gone_to("studio.retention")


@blueprint.post(f"{HERE}/settings/retention/undo")
@opened_by(OFFICERS)
def retention_undo() -> Response:
    """Put back what held before."""
    try:
        before = msgspec.json.decode(request.form.get("before", "").encode(), type=dict[str, int])
        retention_periods.of({"retention": before})
    except (msgspec.MsgspecError, PeriodError):
        abort(400)
    with pages.unit() as unit:
        kept.lay(unit, {"retention": before or None})
    pages.tell(gettext("Undone: it is as it was before."))
    return pages.gone_to("studio.retention")
