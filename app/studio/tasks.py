"""Tasks: what workflows have asked of people; and starting a workflow for one person by hand."""

from __future__ import annotations

from flask import abort, request, url_for
from werkzeug.wrappers import Response

from app.consent.calls import may_call
from app.contacts.models import Contact
from app.doors import opened_by
from app.enrollments import starting, tasks
from app.enrollments.starting import NotStartedError, Wish
from app.enrollments.tasks import BarredError
from app.studio import access, pages
from app.studio.blueprint import HERE, blueprint
from app.studio.languages import gettext, in_words
from app.studio.reading import tasks as reading

DOERS = access.role("owner", "marketer", "front_desk")


@blueprint.get(f"{HERE}/tasks")
@opened_by(access.member)
def task_list() -> Response:
    """Open tasks, or those done; of all teams or of one."""
    is_done = request.args.get("state") == "done"
    team = request.args.get("team", "")[:60]
    with pages.unit() as unit:
        found = reading.listed(unit, pages.wanted(), is_done=is_done, team=team, property_id=pages.property_id())
        teams = tasks.teams(unit)
        colleagues = reading.colleagues(unit)
    return pages.answer(
        "tasks.html",
        found=found,
        teams=teams,
        team=team,
        is_done=is_done,
        colleagues=colleagues,
        barred={
            row[0].id: why
            for row in found.rows
            if row[0].what.get("call") and (why := may_call(row[1].attributes, pages.now().date()))
        },
        at="task_list",
    )


@blueprint.post(f"{HERE}/tasks/<int:task_id>/done")
@opened_by(DOERS)
def task_done(task_id: int) -> Response:
    """Tick a task off, or with `again` put it back."""
    undo = bool(request.form.get("again"))
    with pages.unit() as unit:
        found = tasks.one(unit, task_id)
        if found is None:
            abort(404)
        try:
            changed = tasks.undone(unit, task_id) if undo else tasks.done(unit, task_id, _name(), pages.now())
        except BarredError:
            pages.tell(gettext("Look the number up in the opposition register first."), tone="wrong")
            return pages.back()
        what = in_words(found[0].what)
    if changed and undo:
        pages.tell(gettext("It is on the list again: %(task)s", task=what))
    elif changed:
        where = url_for("studio.task_done", task_id=task_id)
        pages.tell(gettext("Done: %(task)s", task=what), undo=where, again="1", next=request.form.get("next", ""))
    return pages.back()


@blueprint.post(f"{HERE}/tasks/<int:task_id>/register")
@opened_by(DOERS)
def task_register(task_id: int) -> Response:
    """Keep what a look at the opposition register gave: it is good for 15 days (R19)."""
    listed = request.form.get("listed") == "1"
    with pages.unit() as unit:
        found = tasks.one(unit, task_id)
        if found is None:
            abort(404)
        tasks.register_looked_at(unit, found[0].contact_id, listed, pages.now())
    told = gettext("The number is in the register: do not call.") if listed else gettext("Noted: good for 15 days.")
    pages.tell(told, tone="wrong" if listed else "good")
    return pages.back()


@blueprint.post(f"{HERE}/tasks/<int:task_id>/assign")
@opened_by(DOERS)
def task_assign(task_id: int) -> Response:
    """Give a task to a colleague, or to nobody."""
    chosen = request.form.get("user", "")
    with pages.unit() as unit:
        known = {one.id for one in reading.colleagues(unit)}
        user_id = int(chosen) if chosen.isdecimal() and len(chosen) < 19 and int(chosen) in known else None
        if not tasks.assign(unit, task_id, user_id):
            abort(404)
    pages.tell(gettext("Given to them.") if user_id else gettext("Given to nobody."))
    return pages.back()


@blueprint.post(f"{HERE}/audience/contacts/<int:contact_id>/start")
@opened_by(access.role("owner", "marketer"))
def start_for(contact_id: int) -> Response:
    """Start a workflow for this person."""
    workflow, booking = request.form.get("workflow", ""), request.form.get("booking") or None
    with pages.unit() as unit:
        contact = unit.get(Contact, (access.here().workspace_id, contact_id))
        if contact is None:
            abort(404)
        wish = Wish(contact, booking, id=request.form.get("once") or None, asker="studio")
        try:
            starting.start(unit, workflow, wish, "manual", pages.now())
        except NotStartedError as error:
            told = _REFUSED.get(error.about)
            pages.tell(gettext(told) if told else str(error), tone="wrong")
        else:
            pages.tell(gettext("Started. In a moment the timeline shows whether the person came in."))
    return pages.gone_to("studio.contact", contact_id=contact_id)


def _mark(text: str) -> str:
    """A text for the catalogue that is translated where it is shown."""
    return text


_ = _mark
_REFUSED = {
    "workflow": _("This workflow is not live any more."),
    "entry": _("This workflow cannot be started by hand."),
    "contact": _("This contact is no longer there."),
    "booking": _("This workflow is about a booking: choose one."),
}


def _name() -> str:
    someone = access.person()
    return (someone.name or someone.email) if someone else ""
