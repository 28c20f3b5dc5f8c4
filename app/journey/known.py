"""What a workflow may speak of: events, fields, templates, topics and segments, as one plain value.

The catalogues themselves live above this package; whoever reads a workflow hands in what it knows. `None` for
templates, topics, segments, other workflows, endpoints or senders means "not known here": names are then taken as they
are.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Literal

FieldType = Literal["text", "number", "money", "bool", "date", "instant", "list", "any"]
"""Money is an integer of minor units (cents) with a `currency` beside it; an instant is an aware datetime."""

CALENDAR = "calendar"
"""The attachment that is the stay itself; every other name is a file that was published with the template."""

MessageClass = Literal["transactional", "feedback", "marketing", "consent_request"]

ROOTS = ("contact", "booking", "property", "event", "enrollment", "consent", "engagement")
"""The first words of every path that a condition, a wait or a key may name."""


@dataclass(frozen=True, slots=True)
class EventShape:
    """One kind of event: the fields of its `data`, seen in conditions as `event.<name>`.

    `open` data may hold more than what is listed, so an unlisted `event.x` is taken as type any. `carries` says which
    objects it brings (`booking`); None: not known, and not checked.
    """

    name: str
    fields: Mapping[str, FieldType] = field(default_factory=dict)
    title: Mapping[str, str] = field(default_factory=dict)
    open: bool = False
    carries: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class TemplateInfo:
    """What a workflow needs to know of a template: class (R20), topic, languages, and the facts it cannot do without.

    `review_request` marks an invitation to review, which R40 to R42 bind.
    """

    name: str
    class_: MessageClass = "transactional"
    topic: str | None = None
    languages: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    review_request: bool = False
    files: tuple[str, ...] = ()
    """Names of the files that were published with it."""


@dataclass(frozen=True, slots=True)
class Known:
    """Everything a workflow is checked against."""

    events: Mapping[str, EventShape]
    fields: Mapping[str, FieldType]
    templates: Mapping[str, TemplateInfo] | None = None
    topics: Collection[str] | None = None
    segments: Collection[str] | None = None
    workflows: Collection[str] | None = None
    endpoints: Collection[str] | None = None
    sharing: Collection[str] = frozenset()
    """Endpoints whose owner uses what it is told for purposes of its own (R3)."""
    senders: Collection[str] | None = None
    """Addresses that mails come from, in small letters."""
    barred: Collection[str] = frozenset()
    """Paths of special categories (R18): nothing may be decided by them, and no step writes them."""


CUSTOM = "custom."
"""Event types that begin so are a team's own: they need no entry in the catalogue, and may hold anything."""


OWN_EVENTS = ("segment.entered", "segment.left", "workflow.started", "workflow.ended")
"""Events that only this house writes and that a story may tell of."""


def event_shape(name: str, events: Mapping[str, EventShape]) -> EventShape | None:
    """The shape of an event, or None where there is no such event."""
    shape = events.get(name)
    if shape is None and name.startswith(CUSTOM) and len(name) > len(CUSTOM):
        return EventShape(name, open=True)
    return shape


FACT_FIELDS: Mapping[str, FieldType] = {
    "contact.id": "number",
    "contact.external_id": "text",
    "contact.email": "text",
    "contact.phone": "text",
    "contact.first_name": "text",
    "contact.last_name": "text",
    "contact.language": "text",
    "contact.zone": "text",
    "contact.country": "text",
    "contact.tags": "list",
    "contact.segments": "list",
    "contact.created_at": "instant",
    "booking.reference": "text",
    "booking.status": "text",
    "booking.kind": "text",
    "booking.channel": "text",
    "booking.arrival": "date",
    "booking.departure": "date",
    "booking.nights": "number",
    "booking.adults": "number",
    "booking.children": "number",
    "booking.amount": "money",
    "booking.currency": "text",
    "booking.room_type": "text",
    "booking.rate": "text",
    "booking.language": "text",
    "booking.created_at": "instant",
    "booking.cancelled_at": "instant",
    "booking.revision": "number",
    "property.code": "text",
    "property.name": "text",
    "property.zone": "text",
    "property.language": "text",
    "property.city": "text",
    "property.country": "text",
    "property.currency": "text",
    "event.type": "text",
    "event.occurred_at": "instant",
    "enrollment.key": "text",
    "enrollment.entered_at": "instant",
}
"""The fields every workspace has (the facts of one person and passage); attribute definitions add
`contact.attributes.<name>`."""

PURPOSES = ("marketing", "profiling", "open_tracking", "feedback", "third_party_sharing")
"""What consent is asked for beside topics: `consent.profiling == granted`."""

OPEN_FIELDS = ("contact.attributes.", "booking.data.", "enrollment.fields.", "property.links.")
"""Below these anything may stand; unlisted paths there have type any."""
