"""A hotel with a few templates and people, and messages on their way: for the gate, composing and the public pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.clock import FixedClock
from app.consent import ledger
from app.consent.ledger import Act
from app.consent.models import ConsentRecord, Topic
from app.contacts.models import Contact, Property
from app.content.catalogue import Library, push
from app.db import Ran, workspace_of
from app.messages import gate
from app.messages.models import Message
from app.messages.plan import Planned, plan
from tests.factories import Factory

SITE = "https://lago.example"
_BODY = "<mj-section><mj-column><mj-text>{inner}</mj-text></mj-column></mj-section>"
_FOOT = """<!-- block: foot; class: marketing, feedback -->
<mj-section><mj-column><mj-text>{{ property.name }} {{ property.address.street }} {{ property.vat }} {{ property.cin }}
<a href="{{ unsubscribe_url }}">{{ t.leave }}</a> <a href="{{ notice_url }}">{{ t.notice }}</a>
</mj-text></mj-column></mj-section>
"""
_UPSELL = """<!-- block: upsell; class: marketing -->
<mj-section><mj-column><mj-text>{{ t.upsell }} <a href="https://lago.example/suite">{{ t.upsell }}</a></mj-text>
</mj-column></mj-section>
"""
_PICKED = _UPSELL.replace("upsell; class: marketing", "picked; class: profiling").replace("/suite", "/for-you")
_SAME = _PICKED.replace("picked; class: profiling", "same; class: generic").replace("/for-you", "/for-all")
_ROOMS = """<!-- block: rooms; class: live -->
<mj-section><mj-column><mj-text>{{ event.rooms_left }} at {{ event.occurred_at|time }}</mj-text></mj-column>
</mj-section>
"""
_LAYOUT = """<mjml><mj-body><mj-include path="content" />
<mj-include path="_blocks/foot.mjml" for="marketing feedback" /></mj-body></mjml>
"""
_LINKS = (
    '{{ t.hello }} {{ contact.first_name }} <a href="https://lago.example/room?b=1">{{ t.book }}</a>'
    ' <a href="https://ferry.example/times">{{ t.book }}</a>'
)
_TEMPLATES: Mapping[str, tuple[str, str, str]] = {
    "note": ("transactional", "", _BODY.format(inner=_LINKS) + '<mj-include path="_blocks/upsell.mjml" />'),
    "picked-only": ("transactional", "", '<mj-include path="_blocks/picked.mjml" />'),
    "rooms": ("marketing", "offers", _BODY.format(inner=_LINKS) + '<mj-include path="_blocks/rooms.mjml" />'),
    "offer": ("marketing", "offers", _BODY.format(inner=_LINKS)),
    "picks": (
        "marketing",
        "offers",
        _BODY.format(inner="{{ t.hello }} {{ contact.attributes.taste }}")
        + '<mj-include path="_blocks/picked.mjml" /><mj-include path="_blocks/same.mjml" />',
    ),
    "ask": ("feedback", "", _BODY.format(inner="{{ t.hello }}")),
    "confirm-subscription": (
        "consent_request",
        "",
        _BODY.format(inner='<a href="{{ confirm_url }}">{{ t.book }}</a>'),
    ),
}


def library() -> Library:
    """The templates, in English and Italian."""
    files = {
        "_layouts/plain.mjml": _LAYOUT,
        "_blocks/foot.mjml": _FOOT,
        "_blocks/upsell.mjml": _UPSELL,
        "_blocks/picked.mjml": _PICKED,
        "_blocks/same.mjml": _SAME,
        "_blocks/rooms.mjml": _ROOMS,
        "_texts/en.yaml": "leave: Leave\nnotice: Privacy\nupsell: A suite\n",
        "_texts/it.yaml": "leave: Annulla\nnotice: Privacy\nupsell: Una suite\n",
    }
    for name, (class_, topic, body) in _TEMPLATES.items():
        field = "contact.first_name: {type: text, sample: Anna}"
        if name == "picks":
            field += ", contact.attributes.taste: {type: text, sample: wine, fallback: {en: the lake, it: the lake}}"
        if name == "rooms":
            field += ", event.rooms_left: {type: number, sample: 2}"
            field += ", event.occurred_at: {type: datetime, sample: 2026-05-01T10:00:00Z}"
        files[f"{name}/template.yaml"] = (
            f"template: {name}\nname: {{en: {name}, it: {name}}}\ndescription: {{en: x, it: x}}\nphase: retention\n"
            f"class: {class_}\n{f'topic: {topic}' if topic else ''}\nlayout: plain\nfields: {{{field}}}\n"
        )
        files[f"{name}/body.mjml"] = body
        for language, hello, book in (("en", "Hello", "Book"), ("it", "Ciao", "Prenota")):
            files[f"{name}/texts.{language}.yaml"] = (
                f"subject: {hello} {{{{ contact.first_name }}}}\npreheader: {hello}\nhello: {hello}\nbook: {book}\n"
            )
    return Library(files, frozenset())


class Mailroom:
    """One unit of work in a workspace with a hotel.

    Args:
        session: the unit of work.
        clock: the test's.
    """

    def __init__(self, session: Session, clock: FixedClock) -> None:
        self.session, self.clock = session, clock
        self.make = Factory(session, clock)
        self.hotel: Property = self.make.property(
            code="lago",
            is_default=True,
            controller="Riva Serena S.n.c.",
            cin="IT103001A1",
            vat="IT01234567890",
            email="ciao@lago.example",
            reply_to="risposte@lago.example",
            address={"street": "Via Lago 1", "postcode": "28838", "town": "Stresa"},
            links={"website": SITE, "notice": f"{SITE}/privacy"},
            colours={"accent": "#0f5c63"},
        )
        for position, (name, english, italian) in enumerate(
            (("newsletter", "our newsletter", "la newsletter"), ("offers", "offers", "le offerte"))
        ):
            title, about = {"en": english, "it": italian}, ["stay"] if name == "offers" else []
            self.make.add(Topic, name=name, title=title, description={}, position=position, about=about)
        changes = push(session, library(), clock.now())
        assert {change.outcome for change in changes} == {"published"}, [change.problems for change in changes]

    @property
    def now(self) -> datetime:
        """The clock's instant."""
        return self.clock.now()

    def guest(self, **given: Any) -> Contact:
        """Anna, who reads Italian."""
        return self.make.contact(**{"first_name": "Anna", "last_name": None, "language": "it"} | given)

    def say(self, contact: Contact, state: str = "granted", **given: Any) -> int:
        """A line of the ledger, now, with its proof; about offers unless said otherwise."""
        purpose = given.get("purpose", "marketing")
        fields: dict[str, Any] = {
            "address": contact.email_key,
            "channel": "email",
            "purpose": purpose,
            "topic": "offers" if purpose == "marketing" else None,
            "method": "preference_centre",
            "requested_at": self.now,
            "proof": {"wording_version": "1"},
        }
        return ledger.append(self.session, [Act(contact_id=contact.id, state=state, **fields | given)], self.now)[0]

    def plan(self, contact: Contact, template: str = "offer", **given: Any) -> int:
        """A message planned for now."""
        class_, topic, _ = _TEMPLATES[template]
        fields: dict[str, Any] = dict.fromkeys(
            ("enrollment_id", "workflow_id", "version_id", "step_id", "property_id", "booking_id")
        )
        fields |= {"visit": 1, "channel": "email", "template": template, "class_": class_, "topic": topic or None}
        fields |= {"priority": 50, "due_at": self.now}
        return plan(self.session, [Planned(contact_id=contact.id, **fields | given)], self.now)[0]

    def gate(self, limit: int = 500) -> Ran:
        """One batch of the gate, with nobody's passage over."""
        return gate.run(self.session, self.now, limit, lambda *_: {})

    def message(self, number: int) -> Message:
        """A message as it is now."""
        self.session.expire_all()
        return self.session.scalars(select(Message).where(Message.id == number)).one()

    def change(self, number: int, **fields: Any) -> None:
        """Write to a message past every rule."""
        message = self.message(number)
        for name, value in fields.items():
            setattr(message, name, value)
        self.session.flush()  # other statements of the test are Core

    def lines(self) -> Sequence[ConsentRecord]:
        """The whole ledger."""
        return self.session.scalars(select(ConsentRecord).order_by(ConsentRecord.line)).all()

    @property
    def workspace_id(self) -> int:
        """The workspace."""
        return workspace_of(self.session)
