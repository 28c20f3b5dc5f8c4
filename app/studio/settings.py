"""Settings: the property, sources with their keys and secrets, the demo's clock."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

from flask import abort, request
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from app import hops
from app.clock import DatabaseClock
from app.contacts.models import Property
from app.doors import house, opened_by
from app.enrollments import follow
from app.events.models import ApiKey, Source
from app.events.sources import SCOPES, new_key, new_webhook_secret, revoke_key
from app.studio import access, pages
from app.studio.blueprint import HERE, blueprint
from app.studio.languages import gettext, said
from app.studio.property_form import GROUPS, apply, of_property, problems
from app.studio.reading import sources as reading

OWNERS = access.role("owner")
HOPS = {"hour": timedelta(hours=1), "day": timedelta(days=1), "3-days": timedelta(days=3)}


@blueprint.get(f"{HERE}/settings")
@opened_by(access.member)
def settings() -> Response:
    """The property's form."""
    with pages.unit():
        chosen = pages.spoken_property()
    given = of_property(chosen) if chosen is not None else {}
    return pages.answer(
        "settings_property.html", chosen=chosen, given=given, errors={}, groups=GROUPS, tab="property", at="settings"
    )


@blueprint.post(f"{HERE}/settings")
@opened_by(OWNERS)
def settings_save() -> Response:
    """Keep the form, or show it again with what is wrong beside each field."""
    given = {name: text.strip() for name, text in request.form.items()}
    with pages.unit() as unit:
        chosen = pages.spoken_property()
        if chosen is None:
            abort(404)
        errors = problems(given)
        if not errors:
            place = unit.get_one(Property, (chosen.workspace_id, chosen.id))
            zone = place.zone
            apply(place, given, pages.now())
            if place.zone != zone:
                unit.flush()  # waits are worked out anew by what the row now says
                follow.rezone(unit, place.id, place.is_default, pages.now())
    if errors:
        return pages.answer(
            "settings_property.html", 422, chosen=chosen, given=given, errors=errors, groups=GROUPS, tab="property",
            at="settings",
        )  # fmt: skip
    pages.tell(gettext("Saved. Mails composed from now on use it."))
    return pages.gone_to("studio.settings")


@blueprint.get(f"{HERE}/settings/sources")
@opened_by(access.member)
def sources() -> Response:
    """Systems that report events, and how they prove who they are."""
    return _sources()


def _sources(status: int = 200, **more: Any) -> Response:
    with pages.unit() as unit:
        listed = reading.listed(unit, pages.now())
    context: dict[str, Any] = {"given": {}, "errors": {}, "shown": None, "revoking": None} | more
    return pages.answer(
        "settings_sources.html", status, sources=listed, scopes=SCOPES, tab="sources", at="settings", **context
    )


@blueprint.post(f"{HERE}/settings/sources")
@opened_by(OWNERS)
def source_create() -> Response:
    """Add a system, with a first key that is shown this once."""
    name, slug = request.form.get("name", "").strip()[:80], request.form.get("slug", "").strip().lower()[:60]
    slug = slug or re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    errors, key = {}, ""
    if not name:
        errors["name"] = gettext("Give it a name, such as Booking engine.")
    elif not re.fullmatch(r"[a-z0-9][a-z0-9-]*", slug):
        errors["slug"] = gettext("Use lower-case letters, figures and dashes, such as booking-engine.")
    with pages.unit() as unit:
        if not errors and unit.scalar(select(Source.id).where(Source.slug == slug)) is not None:
            errors["slug"] = gettext("Another source has this short name. Choose a different one.")
        if not errors:
            speaks = pages.spoken_property()
            source = Source(
                workspace_id=access.here().workspace_id,
                name=name,
                slug=slug,
                created_at=pages.now(),
                webhook_secrets=[],
                property_id=speaks.id if speaks else None,
            )
            unit.add(source)
            unit.flush()  # the key hangs on its id
            key = new_key(unit, source.id, ["events:write"], pages.now(), gettext("First key"))
    if errors:
        return _sources(422, given=request.form, errors=errors)
    return _sources(shown={"kind": "key", "secret": key, "source": name})


def _source(unit: Session, source_id: int) -> Source:
    source = unit.scalar(select(Source).where(Source.id == source_id))
    if source is None:
        abort(404)
    return source


@blueprint.post(f"{HERE}/settings/sources/<int:source_id>/keys")
@opened_by(OWNERS)
def key_create(source_id: int) -> Response:
    """Make a key; it is shown this once and only its hash is kept."""
    scopes = [scope for scope in request.form.getlist("scope") if scope in SCOPES] or ["events:write"]
    with pages.unit() as unit:
        source = _source(unit, source_id)
        key = new_key(unit, source.id, scopes, pages.now(), request.form.get("label", "").strip()[:80])
    return _sources(shown={"kind": "key", "secret": key, "source": source.name})


@blueprint.post(f"{HERE}/settings/keys/<int:key_id>/revoke")
@opened_by(OWNERS)
def key_revoke(key_id: int) -> Response:
    """End a key for good, once its first letters have been typed."""
    with pages.unit() as unit:
        key = unit.scalar(select(ApiKey).where(ApiKey.id == key_id, ApiKey.revoked_at.is_(None)))
        if key is None:
            abort(404)
        right = request.form.get("confirm", "").strip() == key.prefix
        if right:
            revoke_key(unit, key_id, pages.now())
    if not right:
        error = gettext("Type %(prefix)s to revoke it.", prefix=key.prefix)
        return _sources(422, revoking=key_id, errors={"confirm": error}, given=request.form)
    pages.tell(gettext("The key %(prefix)s is revoked: it opens nothing from now on.", prefix=key.prefix))
    return pages.gone_to("studio.sources")


@blueprint.post(f"{HERE}/settings/sources/<int:source_id>/secret")
@opened_by(OWNERS)
def secret_rotate(source_id: int) -> Response:
    """Make a new webhook secret; the one before goes on verifying for a day."""
    with pages.unit() as unit:
        source = _source(unit, source_id)
        secret = new_webhook_secret(unit, source, pages.now())
    return _sources(shown={"kind": "secret", "secret": secret, "source": source.name})


@blueprint.get(f"{HERE}/settings/clock")
@opened_by(access.member)
def clock() -> Response:
    """Where the demo's clock stands."""
    if not pages.movable():
        abort(404)
    with pages.unit():
        pass
    return pages.answer("settings_clock.html", tab="clock", at="settings")


@blueprint.post(f"{HERE}/settings/clock")
@opened_by(access.role("owner", "marketer"))
def clock_move() -> Response:
    """Move the demo's clock, stopping wherever something falls due."""
    hop = request.form.get("hop", "")
    if not pages.movable() or hop not in {*HOPS, "next", "real"}:
        abort(404)
    with pages.unit():
        pass
    parts = house()
    try:
        if hop == "real" and isinstance(parts.clock, DatabaseClock):
            parts.clock.reset()
            text = gettext("The clock is back to real time.")
        else:
            before = parts.clock.now()
            moved = hops.to_next(parts) if hop == "next" else hops.advance(parts, HOPS[hop])
            text = (
                gettext("Nothing is waiting for a later time.")
                if moved is None
                else gettext("It is now %(time)s. What fell due on the way was done.", time=said(moved.now, before))
            )
        pages.tell(text)
    except hops.NobodyWorks:
        pages.tell(
            gettext("The clock stopped on its way: no worker took up what fell due. Is one running?"), tone="wrong"
        )
    return pages.back()
