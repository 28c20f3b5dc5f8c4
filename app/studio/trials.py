"""Test mails: a template with its sample guest, sent to the team or to a verified address, marked, counted nowhere
(R64)."""

from __future__ import annotations

from flask import abort, request
from sqlalchemy.orm import Session

from app.contacts.models import Property
from app.content.models import TemplateVersion
from app.content.render import RenderError
from app.delivery.identities import trials
from app.delivery.mime import HeaderError
from app.delivery.proof import Proof, send
from app.delivery.providers import Accepted
from app.doors import house
from app.messages import identities
from app.studio import access, pages, previews
from app.studio.languages import gettext, language


def addresses(session: Session) -> list[str]:
    """Where a test mail may go: whoever asks first, then the team and the verified addresses. Two queries."""
    someone = access.person()
    found = trials(session)
    mine = someone.email if someone else ""
    return [one for one in found if one == mine] + [one for one in found if one != mine]


def post(session: Session, version: TemplateVersion, place: Property, wanted: str = "") -> None:
    """Send it to the address that the form asks for, and say what came of it; 403 for any other than `addresses`.

    Args:
        wanted: the language; else the reader's own, else the first there is.
    """
    someone = access.person()
    to = request.form.get("to") or (someone.email if someone else "")
    if to not in trials(session):
        abort(403)
    spoken = sorted(version.compiled["languages"])
    tongue = next((one for one in (wanted, language()) if one in spoken), spoken[0])
    facts = {
        "code": place.code,
        "sender_name": place.sender_name,
        "sender_email": place.sender_email,
        "reply_to": place.reply_to,
    }
    speaks = identities.load(session).of(version.compiled["class_"], facts)
    try:
        shown = previews.of_version(version, tongue, place)
        proof = Proof(
            to, tongue, shown.subject, shown.html, shown.text, speaks.in_language(tongue), speaks.email, speaks.reply_to
        )
        outcome = send(house(), access.here().workspace_id, proof)
    except (RenderError, HeaderError) as error:
        pages.tell(gettext("The test mail could not be made: %(why)s", why=str(error)), tone="wrong")
        return
    if isinstance(outcome, Accepted):
        text = gettext("A test mail is on its way to %(address)s.", address=to)
        if pages.captures():
            text = gettext("The test mail to %(address)s is in the outbox.", address=to)
        pages.tell(text)
    else:
        pages.tell(gettext("The provider did not take the test mail: %(why)s", why=outcome.text), tone="wrong")
