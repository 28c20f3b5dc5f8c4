"""Mails made for looking at: a template with its sample guest, a message again from what was kept with it."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from app.contacts.models import Property
from app.content import catalogue
from app.content.compiled import Compiled
from app.content.models import TemplateVersion
from app.content.render import Rendered, render
from app.doors import house
from app.messages import compose
from app.messages.models import Message
from app.studio.mails import Opened, links_of

HERE = "#"
"""Where the links of a preview lead that only a real message has."""


def _urls() -> dict[str, str]:
    names = ("unsubscribe_url", "preferences_url", "view_url", "notice_url", "confirm_url")
    base = house().settings.base_url
    return {"assets": f"{base}/assets/mail", **dict.fromkeys(names, f"{base}/{HERE}")}


def of_version(version: TemplateVersion, language: str, property_: Property | None) -> Rendered:
    """A version with the sample facts of its own source, every block shown; raises RenderError."""
    compiled = Compiled.from_json(version.compiled)
    library = catalogue.Library(files=version.source, assets=frozenset())
    facts = catalogue.sample_facts(compiled.template, library)
    if property_ is not None:
        facts["property"] = _worn(facts.get("property", {}), property_)
    facts["contact"] = {**facts["contact"], "language": language}
    return render(
        compiled.languages[language],
        facts,
        link=lambda _number, address: address,
        urls=_urls(),
        allows=lambda _class: True,
        locale=language,
        zone=property_.zone if property_ else "Europe/Rome",
    )


def _worn(sample: dict[str, Any], property_: Property) -> dict[str, Any]:
    """The sample's property with what the real one says of itself."""
    own = {
        name: getattr(property_, name)
        for name in (
            "code",
            "name",
            "zone",
            "email",
            "phone",
            "city",
            "country",
            "cin",
            "vat",
            "checkin_from",
            "checkout_until",
        )
        if getattr(property_, name)
    }
    for name in ("address", "links", "colours"):
        own[name] = {**(sample.get(name) or {}), **(getattr(property_, name) or {})}
    return {**sample, **own}


def again(session: Session, message: Message) -> Opened | None:
    """A message's mail made again from what was kept with it, exactly; None where it was not kept."""
    try:
        made = compose.again(session, message)
    except LookupError:
        return None
    sender = f"{made.sender_name} <{made.sender_email}>"
    to = f"{made.recipient_name} <{made.envelope_to}>" if made.recipient_name else made.envelope_to
    headers = [("From", sender), ("To", to), ("Subject", made.subject), ("Message-ID", made.message_id), *made.headers]
    attached = [one.name for one in made.attachments]
    return Opened(made.subject, sender, to, headers, made.html, made.text, "", links_of(made.html), attached)
