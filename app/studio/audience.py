"""Audience: contacts, and one person with all that happened to them."""

from __future__ import annotations

from secrets import token_hex

from flask import abort, request
from werkzeug.wrappers import Response

from app.contacts import special
from app.doors import opened_by
from app.enrollments import starting
from app.studio import access, pages
from app.studio.blueprint import HERE, blueprint
from app.studio.reading import people as reading


@blueprint.get(f"{HERE}/audience/contacts")
@opened_by(access.member)
def contacts() -> Response:
    """The list, searched by name, address, telephone or id."""
    text = request.args.get("q", "").strip()[:100]
    with pages.unit() as unit:
        found = reading.listed(unit, text, pages.wanted())
        latest, inside = reading.beside(unit, [row[0].id for row in found.rows])
    return pages.answer(
        "contacts.html", found=found, text=text, latest=latest, inside=inside, tab="contacts", at="contacts"
    )


@blueprint.get(f"{HERE}/audience/contacts/<int:contact_id>")
@opened_by(access.member)
def contact(contact_id: int) -> Response:
    """One person."""
    with pages.unit() as unit:
        told = reading.one(unit, contact_id)
        startable = starting.startable(unit, "manual") if access.may("owner", "marketer") else ()
        has_special = special.kept(unit, contact_id) if access.may(*special.ROLES) else False
    if told is None:
        abort(404)
    if told.contact.merged_into is not None:
        return pages.gone_to("studio.contact", contact_id=told.contact.merged_into)
    return pages.answer(
        "contact.html", told=told, contact=told.contact, startable=startable, once=token_hex(8),
        has_special=has_special, at="contacts",
    )  # fmt: skip
