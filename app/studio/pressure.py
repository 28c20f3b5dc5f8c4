"""Settings: how often people are written to, at what hour, and who is kept out to measure what it brings."""

from __future__ import annotations

from typing import Any

import msgspec
from babel.dates import get_day_names
from flask import abort, request, url_for
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from app.accounts import settings as kept
from app.consent.ledger import address_key
from app.consent.models import Topic
from app.consent.policy import Policy, PolicyError
from app.contacts.models import Contact
from app.doors import opened_by
from app.studio import access, pages
from app.studio import pressure_form as form
from app.studio.blueprint import HERE, blueprint
from app.studio.languages import gettext, language

OPERATORS = access.role("owner", "marketer")
_COUNTED = 20_000
"""Up to so many people the control group is counted; beyond, its size is worked out."""


@blueprint.get(f"{HERE}/settings/pressure")
@opened_by(access.member)
def pressure() -> Response:
    """The form, and who is in the control group."""
    with pages.unit() as unit:
        policy = Policy.from_settings(kept.read(unit))
        return _page(unit, policy, form.of_policy(policy), {}, who=request.args.get("who", "").strip()[:200])


@blueprint.post(f"{HERE}/settings/pressure")
@opened_by(OPERATORS)
def pressure_save() -> Response:
    """Keep the form, or show it again with what is wrong beside each field."""
    given = {name: " ".join(request.form.getlist(name)).strip()[:60] for name in request.form}
    with pages.unit() as unit:
        before = kept.read(unit)
        policy = Policy.from_settings(before)
        topics = [topic.name for topic in _topics(unit)]
        errors = form.problems(given, topics)
        if errors:
            return _page(unit, policy, given, errors, status=422)
        salt = pages.now().isoformat() if given.get("holdout.anew") else policy.holdout_salt
        sections = form.sections(given, topics, salt)
        Policy.from_settings({**before, **sections})
        kept.lay(unit, sections)
    was = msgspec.json.encode({name: before.get(name) for name in form.SECTIONS}).decode()
    pages.tell(
        gettext("Saved. It holds for everything judged from now on, what waits among it."),
        undo=url_for("studio.pressure_undo"),
        before=was,
    )
    return pages.gone_to("studio.pressure")


@blueprint.post(f"{HERE}/settings/pressure/undo")
@opened_by(OPERATORS)
def pressure_undo() -> Response:
    """Put back what held before."""
    try:
        before = msgspec.json.decode(request.form.get("before", "").encode(), type=dict[str, Any])
        Policy.from_settings({name: value for name, value in before.items() if value is not None})
    except (msgspec.MsgspecError, PolicyError):
        abort(400)
    if set(before) != set(form.SECTIONS):
        abort(400)
    with pages.unit() as unit:
        kept.lay(unit, before)
    pages.tell(gettext("Undone: it is as it was before."))
    return pages.gone_to("studio.pressure")


def _page(
    unit: Session, policy: Policy, given: form.Given, errors: dict[str, str], *, status: int = 200, who: str = ""
) -> Response:
    found = None
    if who:
        found = unit.scalars(select(Contact).where(Contact.email_key == address_key(who)).limit(1)).first()
    return pages.answer(
        "settings_pressure.html", status, given=given, errors=errors, topics=_topics(unit), policy=policy, who=who,
        found=found, inside=found is not None and policy.keeps_out(found.id) is not None, group=_group(unit, policy),
        windows=form.WINDOWS, days=form.DAYS,
        day_names=get_day_names("wide", locale=language()), tab="pressure", at="settings",
    )  # fmt: skip


def _topics(unit: Session) -> list[Topic]:
    return list(unit.scalars(select(Topic).where(Topic.archived_at.is_(None)).order_by(Topic.position, Topic.name)))


def _group(unit: Session, policy: Policy) -> tuple[int, int, bool]:
    """How many people are kept out, of how many, and whether they were counted one by one."""
    living = Contact.merged_into.is_(None) & Contact.erased_at.is_(None)
    people = unit.scalar(select(func.count()).select_from(Contact).where(living)) or 0
    if not policy.holdout_percent or people > _COUNTED:
        return people * policy.holdout_percent // 100, people, not policy.holdout_percent
    numbers = unit.scalars(select(Contact.id).where(living))
    return sum(1 for number in numbers if policy.keeps_out(number)), people, True
