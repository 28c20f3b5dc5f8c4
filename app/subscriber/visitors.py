"""Who holds the link: the person, the property whose mail it was in, the language to speak."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from app.accounts.models import Workspace
from app.consent.models import Topic
from app.consent.policy import Policy
from app.contacts.models import Contact, Property
from app.db import workspace_of
from app.messages.choices import Person, person_of_message
from app.subscriber.texts import SPOKEN


@dataclass(frozen=True, slots=True)
class Brand:
    """The property as its public pages show it."""

    name: str
    controller: str
    address: str
    email: str | None
    phone: str | None
    website: str | None
    notice: str | None
    accent: str
    language: str


@dataclass(frozen=True, slots=True)
class Visitor:
    """The person behind a link, with what its pages need."""

    person: Person
    brand: Brand
    policy: Policy
    titles: Mapping[str, Mapping[str, str]]
    """Topic → its title by language, in the order the workspace shows them."""
    descriptions: Mapping[str, Mapping[str, str]]
    language: str | None
    """What the mail was written in, else the contact's: the page is answered in it."""
    archived: frozenset[str] = frozenset()
    """Topics that are offered to nobody any more; who has them on can still switch them off."""
    phone: str | None = None
    """Where short messages would reach the person."""
    wants: str | None = None
    """The language the contact is written to in, where it is known."""
    pace: str | None = None
    """`monthly`, where the person has chosen so (R46)."""
    paused_until: datetime | None = None

    def title(self, topic: str, language: str) -> str:
        """A topic's title."""
        texts = self.titles.get(topic, {})
        return texts.get(language) or texts.get("en") or topic.replace("_", " ").replace("-", " ")


def of_message(session: Session, message_id: int) -> Visitor | None:
    """The visitor a message's links belong to; None where there is no such message. Six queries."""
    person = person_of_message(session, message_id)
    if person is None:
        return None
    row = session.execute(_MESSAGE, {"ws": workspace_of(session), "message": message_id}).one()
    return _visitor(session, person, row.property_id, row.language or row.contact_language)


def of_contact(session: Session, contact_id: int) -> Visitor | None:
    """The visitor of a link that names a contact; None where there is none, or it has been erased. Five queries."""
    contact = session.scalars(select(Contact).where(Contact.id == contact_id)).first()
    if contact is None or contact.erased_at is not None:
        return None
    person = Person(contact.id, (contact.email_key,) if contact.email_key else ())
    return _visitor(session, person, None, contact.language)


def of_property(session: Session, property_id: int) -> Visitor:
    """Somebody of whom nothing is known, on a page of this property. Four queries."""
    return _visitor(session, Person(0, ()), property_id, None)


def _visitor(session: Session, person: Person, property_id: int | None, language: str | None) -> Visitor:
    places = session.scalars(select(Property).order_by(Property.is_default.desc(), Property.id)).all()
    place = next((one for one in places if one.id == property_id), places[0] if places else None)
    settings = session.scalar(select(Workspace.settings).where(Workspace.id == workspace_of(session))) or {}
    topics = session.scalars(select(Topic).order_by(Topic.position, Topic.name)).all()
    contact = session.execute(_CONTACT, {"ws": workspace_of(session), "contact": person.contact_id}).first()
    return Visitor(
        person,
        _brand(place),
        Policy.from_settings(settings),
        {topic.name: topic.title for topic in topics},
        {topic.name: topic.description for topic in topics},
        language,
        frozenset(topic.name for topic in topics if topic.archived_at is not None),
        contact.phone if contact is not None else None,
        contact.language if contact is not None else None,
        contact.pace if contact is not None else None,
        contact.paused_until if contact is not None else None,
    )


NO_BRAND = Brand("", "", "", None, None, None, None, "#0f5c63", "en")
"""Where a link tells us nothing, no hotel's name is shown."""


def _brand(place: Property | None) -> Brand:
    if place is None:
        return NO_BRAND
    address: Mapping[str, Any] = place.address or {}
    town = " ".join(str(address[part]) for part in ("postcode", "town", "province") if address.get(part))
    return Brand(
        name=place.name,
        controller=place.controller or place.name,
        address=", ".join(part for part in (str(address.get("street") or ""), town) if part),
        email=place.email,
        phone=place.phone,
        website=_web(place.links.get("website")),
        notice=_web(place.links.get("notice")),
        accent=str(place.colours.get("accent") or NO_BRAND.accent),
        language=place.language if place.language in SPOKEN else "en",
    )


def _web(link: Any) -> str | None:
    return link if isinstance(link, str) and link.startswith(("https://", "http://")) else None


_CONTACT = text("SELECT phone, language, pace, paused_until FROM contacts WHERE workspace_id = :ws AND id = :contact")
_MESSAGE = text(
    """
    SELECT m.language, c.language AS contact_language, coalesce(b.property_id, m.property_id) AS property_id
    FROM messages m
    JOIN contacts c ON c.workspace_id = m.workspace_id AND c.id = m.contact_id
    LEFT JOIN bookings b ON b.workspace_id = m.workspace_id AND b.contact_id = m.contact_id AND b.id = m.booking_id
    WHERE m.workspace_id = :ws AND m.id = :message
    """
)
