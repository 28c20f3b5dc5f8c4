"""One person's data of special categories (R18): for those who care for the guest, each look written down."""

from __future__ import annotations

from flask import abort, request
from sqlalchemy import select
from werkzeug.wrappers import Response

from app.contacts import accesses
from app.contacts import special as kept
from app.contacts.models import Contact
from app.doors import opened_by
from app.studio import access, pages
from app.studio.blueprint import HERE, blueprint
from app.studio.languages import gettext

CARERS = access.role(*kept.ROLES)


@blueprint.get(f"{HERE}/audience/contacts/<int:contact_id>/special")
@opened_by(CARERS)
def special(contact_id: int) -> Response:
    """What is kept, and who has looked."""
    with pages.unit() as unit:
        contact = unit.scalar(select(Contact).where(Contact.id == contact_id))
        if contact is None:
            abort(404)
        values = kept.of(unit, contact_id)
        someone = access.person()
        accesses.note(unit, contact_id, "special", someone.email if someone else "", pages.now())
        looked = accesses.of(unit, contact_id)[:20]
    return pages.answer(
        "special.html", contact=contact, values=values, looked=looked, days=kept.KEPT_DAYS, at="contacts"
    )


@blueprint.post(f"{HERE}/audience/contacts/<int:contact_id>/special")
@opened_by(CARERS)
def special_keep(contact_id: int) -> Response:
    """The guest asks to keep a value beyond the stay, or no longer."""
    with pages.unit() as unit:
        kept.keep(unit, contact_id, request.form.get("key", ""), request.form.get("keep") == "1")
    pages.tell(gettext("Noted."))
    return pages.gone_to("studio.special", contact_id=contact_id)
