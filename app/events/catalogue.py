"""Every event this house knows by name: its titles, its data, an example, and what it changes.

One list. Recording reads it to type what comes in, the workflow language to check conditions, the API's description and
the studio to show it. Other types are welcome: they are kept, flagged `unmapped`, and change nothing by themselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from app.journey import event_names
from app.journey.known import EventShape, FieldType

About = Literal["booking", "order"]


@dataclass(frozen=True, slots=True)
class Field:
    """One field of an event's data: its name, type, and one line on it."""

    name: str
    type: FieldType
    about: str = ""


@dataclass(frozen=True, slots=True)
class EventKind:
    """One known event.

    `fields` are those of `data`; `projects` says which of `data.booking` or `data.order` is brought up to date;
    `own` events are written by Percorso itself and refused from outside.
    """

    name: str
    title: Mapping[str, str]
    changes: str
    fields: tuple[Field, ...]
    example: Mapping[str, Any]
    projects: About | None = None
    own: bool = False


BOOKING_FIELDS = (
    Field("reference", "text", "what the sender calls the booking; needed"),
    Field("arrival", "date", "first night"),
    Field("departure", "date", "day of leaving"),
    Field("adults", "number"),
    Field("children", "number"),
    Field("amount", "money", "total in minor units: 42000 is EUR 420.00"),
    Field("currency", "text", "ISO 4217"),
    Field("channel", "text", "direct, an OTA's name, agency ..."),
    Field("room_type", "text"),
    Field("rate", "text"),
    Field("language", "text", "what the booking was made in"),
    Field("status", "text", "overrides what the type of the event says"),
    Field("booked_at", "instant", "where it differs from the first confirmation"),
    Field("ota_reference", "text", "the agency's own id, by which a cancel-and-rebook is recognised"),
)
"""Known fields of `data.booking`; any other is kept under the booking's data."""

ORDER_FIELDS = (
    Field("reference", "text", "what the shop calls the order or cart; needed"),
    Field("amount", "money", "total in minor units"),
    Field("currency", "text", "ISO 4217"),
    Field("channel", "text"),
    Field("language", "text"),
    Field("items", "any", "a list of {name, quantity, amount, image, url}"),
    Field("status", "text", "overrides what the type of the event says"),
)
"""Known fields of `data.order`."""

_STAY = {
    "reference": "LAGO-2381",
    "arrival": "2027-05-14",
    "departure": "2027-05-17",
    "adults": 2,
    "children": 0,
    "amount": 54000,
    "currency": "EUR",
    "channel": "direct",
    "room_type": "Doppia vista lago",
}
_ORDER = {"reference": "ORD-7712", "amount": 8900, "currency": "EUR", "items": [{"name": "Olio 0,5 l", "quantity": 2}]}
_REFERENCE = {"reference": "LAGO-2381"}
_BOOKING = (Field("booking", "any", "the booking, see below"),)
_ORDERED = (Field("order", "any", "the order, see below"),)


def _booking(name: str, en: str, it: str, changes: str, example: Mapping[str, Any] = _REFERENCE) -> EventKind:
    title = {"en": en, "it": it}
    return EventKind(f"booking.{name}", title, changes, _BOOKING, {"booking": example}, projects="booking")


def _order(name: str, en: str, it: str, changes: str) -> EventKind:
    title = {"en": en, "it": it}
    return EventKind(f"order.{name}", title, changes, _ORDERED, {"order": _ORDER}, projects="order")


def _other(
    name: str, en: str, it: str, changes: str, fields: tuple[Field, ...], example: Mapping[str, Any], own: bool = False
) -> EventKind:
    return EventKind(name, {"en": en, "it": it}, changes, fields, example, own=own)


_ACT = (
    Field("purpose", "text", "marketing (default), profiling, open_tracking, feedback, third_party_sharing, notice"),
    Field("topic", "text", "for marketing: which topic; none means all"),
    Field("channel", "text", "email (default), sms, whatsapp, push"),
    Field("method", "text", "web (default of a yes), desk_tablet, paper, phone, staff, import, pms_sync, api ..."),
    Field("requested_at", "instant", "when the person acted; default: occurred_at"),
)
_PROOF = (
    Field("controller", "text", "legal name of who asked"),
    Field("source", "text", "where it was given: which site, desk, fair"),
    Field("wording", "text", "the very words shown"),
    Field("wording_version", "text", "without it a yes permits nothing"),
    Field("language", "text", "of the words"),
    Field("notice_version", "text", "of the privacy notice"),
    Field("notice_hash", "text", "SHA-256 of the notice's text"),
    Field("form", "text", "its id"),
    Field("page", "text", "path of the page it stood on"),
    Field("ip", "text"),
    Field("user_agent", "text"),
    Field("operator_id", "text", "who took it, where staff did"),
    Field("scan_id", "text", "of the signed paper; stands for a confirmation"),
    Field("import_file", "text", "for import and pms_sync: the file it was copied from"),
    Field("guardian", "text", "for a child: the parent who said yes, and how that was checked"),
)
_CONFIRMED = (
    Field("confirmed_at", "instant", "when the link in the mailbox was used; without it the consent is pending"),
    Field("confirmed_ip", "text"),
    Field("confirmed_user_agent", "text"),
    Field("token_id", "text", "of the link that was used"),
)
_ASK = Field("ask", "bool", "true: nobody has asked for a confirmation yet, Percorso is to ask the mailbox (R6)")
_CONSENT = (*_ACT, *_PROOF, *_CONFIRMED, _ASK)
_CONSENT_EXAMPLE = {
    "topic": "newsletter",
    "method": "web",
    "wording": "Sì, voglio ricevere la newsletter.",
    "wording_version": "2026-1",
    "language": "it",
    "page": "/newsletter",
    "confirmed_at": "2026-11-22T09:31:00Z",
}
_MESSAGE = (
    Field("message_id", "number", "our number of the message"),
    Field("workflow", "text"),
    Field("step", "text"),
    Field("template", "text"),
)
_MESSAGE_EXAMPLE = {"message_id": 4711, "workflow": "pre-arrival", "step": "eve", "template": "pre-arrival-direct"}

_CAUSE = Field("caused_by", "any", "the passage that brought it about: {enrollment, workflow, step, depth}")

KINDS: tuple[EventKind, ...] = (
    _booking("enquired", "Booking enquired", "Richiesta di preventivo", "Status enquired, unless already sold."),
    _booking("abandoned", "Booking abandoned", "Prenotazione abbandonata", "Status abandoned, unless sold.", _STAY),
    _booking("requested", "Booking requested", "Prenotazione richiesta", "Status pending, until confirmed.", _STAY),
    _booking("confirmed", "Booking confirmed", "Prenotazione confermata", "Creates it; status confirmed.", _STAY),
    _booking(
        "modified",
        "Booking modified",
        "Prenotazione modificata",
        "The fields given replace the older ones; status stays.",
        {"reference": "LAGO-2381", "departure": "2027-05-18"},
    ),
    _booking("reinstated", "Booking reinstated", "Prenotazione ripristinata", "A cancelled booking is active again."),
    _booking("cancelled", "Booking cancelled", "Prenotazione cancellata", "Status cancelled."),
    _booking("checked_in", "Guest checked in", "Check-in effettuato", "Status checked_in."),
    _booking(
        "checked_out",
        "Guest checked out",
        "Check-out effettuato",
        "Status checked_out; leaving early moves the departure.",
    ),
    _booking("no_show", "Guest did not come", "Mancato arrivo", "Status no_show; wins over an automatic check-out."),
    _order("abandoned", "Cart abandoned", "Carrello abbandonato", "Status abandoned, unless placed."),
    _order("placed", "Order placed", "Ordine effettuato", "Creates it; status placed."),
    _order("paid", "Order paid", "Ordine pagato", "Status paid."),
    _order("modified", "Order modified", "Ordine modificato", "The fields given replace the older ones."),
    _order("shipped", "Order shipped", "Ordine spedito", "Status shipped."),
    _order("delivered", "Order delivered", "Ordine consegnato", "Status delivered."),
    _order("cancelled", "Order cancelled", "Ordine annullato", "Status cancelled."),
    _order("refunded", "Order refunded", "Ordine rimborsato", "Status refunded."),
    _other(
        "page.viewed",
        "Page viewed",
        "Pagina visitata",
        "Nothing; it is kept for conditions.",
        (Field("url", "text"), Field("title", "text"), Field("referrer", "text")),
        {"url": "https://www.example.com/camere", "title": "Camere"},
    ),
    _other("contact.updated", "Contact updated", "Contatto aggiornato", "The contact's fields, newest wins.", (), {}),
    _other(
        "upsell.purchased",
        "Extra purchased",
        "Servizio aggiuntivo acquistato",
        "Nothing; counts as a goal where a workflow says so.",
        (Field("amount", "money"), Field("currency", "text"), Field("product", "text")),
        {"booking": _REFERENCE, "product": "Camera superiore", "amount": 9000, "currency": "EUR"},
    ),
    _other(
        "consent.requested",
        "Consent asked for",
        "Consenso richiesto",
        "A line of the ledger: pending, until confirmed, for seven days.",
        (*_ACT, *_PROOF, _ASK),
        {name: value for name, value in _CONSENT_EXAMPLE.items() if name != "confirmed_at"},
    ),
    _other(
        "consent.granted",
        "Consent given",
        "Consenso dato",
        "A line of the ledger: granted if confirmed, else pending, for seven days.",
        _CONSENT,
        _CONSENT_EXAMPLE,
    ),
    _other(
        "consent.withdrawn",
        "Consent withdrawn",
        "Consenso revocato",
        "A line of the ledger: withdrawn.",
        (*_ACT, *_PROOF),
        {"topic": "newsletter", "method": "phone"},
    ),
    _other(
        "consent.denied",
        "Consent refused",
        "Consenso negato",
        "A line of the ledger: denied. Nobody is asked again for 180 days.",
        (*_ACT, *_PROOF),
        {"topic": "newsletter", "method": "desk_tablet", "wording": "No grazie, non voglio ricevere la newsletter."},
    ),
    _other(
        "consent.objected",
        "Objection to all marketing",
        "Opposizione al marketing",
        "A line of the ledger: objected. It ends all marketing on every address and channel (R10).",
        (*_ACT[2:], *_PROOF),
        {"method": "phone", "operator_id": "marta"},
    ),
    _other(
        "survey.answered",
        "Survey answered",
        "Questionario compilato",
        "Nothing; answers are kept for conditions.",
        (Field("survey", "text"), Field("score", "number"), Field("comment", "text")),
        {"booking": _REFERENCE, "survey": "after-stay", "score": 9},
    ),
    _other(
        "review.posted",
        "Review posted",
        "Recensione pubblicata",
        "Nothing; it is kept for conditions.",
        (Field("platform", "text"), Field("score", "number"), Field("url", "text")),
        {"booking": _REFERENCE, "platform": "google", "score": 5},
    ),
    *(
        _other(f"message.{name}", en, it, changes, _MESSAGE + more, {**_MESSAGE_EXAMPLE, **example}, own=True)
        for name, en, it, changes, more, example in (
            ("sent", "Message sent", "Messaggio inviato", "Nothing further.", (), {}),
            ("delivered", "Message delivered", "Messaggio consegnato", "Nothing further.", (), {}),
            ("opened", "Message opened", "Messaggio aperto", "Only where tracking was granted.", (), {}),
            (
                "clicked",
                "Link clicked",
                "Link cliccato",
                "Only where tracking was granted.",
                (Field("url", "text"),),
                {"url": "https://www.example.com/offerte"},
            ),
            (
                "bounced",
                "Message bounced",
                "Messaggio respinto",
                "A hard bounce suppresses the address.",
                (Field("reason", "text"), Field("hard", "bool")),
                {"reason": "550 5.1.1", "hard": True},
            ),
            ("complained", "Marked as spam", "Segnalato come spam", "Marketing consent is withdrawn.", (), {}),
            ("unsubscribed", "Unsubscribed", "Disiscrizione", "Consent is withdrawn.", (Field("topic", "text"),), {}),
        )
    ),
    *(
        _other(name, en, it, "May start a workflow.", fields, example, own=True)
        for name, en, it, fields, example in (
            (
                "form.submitted",
                "Form sent",
                "Modulo inviato",
                (
                    Field("form", "text", "what the form's public address ends in"),
                    Field("name", "text", "what the team calls the form"),
                    Field("newsletter", "bool", "whether the newsletter was wanted; not confirmed yet"),
                    Field("topics", "list"),
                    Field("purposes", "list", "what was ticked besides: profiling, open_tracking, feedback"),
                    Field("language", "text"),
                    Field("version", "number", "which of the form's wordings was shown"),
                    Field("method", "text", "web, desk_tablet or paper"),
                ),
                {"form": "k7m2p9x4w3ta", "name": "Newsletter", "newsletter": True, "topics": ["newsletter"]},
            ),
            (
                "segment.entered",
                "Came into a segment",
                "Entrata in un segmento",
                (Field("segment", "text"),),
                {"segment": "returning-guests"},
            ),
            (
                "segment.left",
                "Left a segment",
                "Uscita da un segmento",
                (Field("segment", "text"),),
                {"segment": "returning-guests"},
            ),
            (
                "date.reached",
                "A date came",
                "Data raggiunta",
                (
                    Field("workflow", "text"),
                    Field("entry", "number", "which entry of the workflow, from 0"),
                    Field("ref", "text", "whose date: booking.arrival, contact.attributes.birthday ..."),
                    Field("date", "date", "the date itself, before the offset"),
                ),
                {"workflow": "birthday", "entry": 0, "ref": "contact.attributes.birthday", "date": "2027-03-02"},
            ),
            (
                "schedule.fired",
                "A planned time came",
                "Momento pianificato",
                (
                    Field("workflow", "text"),
                    Field("entry", "number", "which entry of the workflow, from 0"),
                    Field("segment", "text"),
                    Field("occurrence", "instant"),
                ),
                {"workflow": "monthly", "entry": 0, "segment": "everybody", "occurrence": "2027-03-01T09:00:00Z"},
            ),
            (
                "workflow.started",
                "Workflow started for this person",
                "Percorso avviato per questa persona",
                (
                    Field("workflow", "text"),
                    Field("by", "text", "manual, api or workflow"),
                    Field("key", "text", "of the passage, where another one asked for it"),
                    _CAUSE,
                ),
                {"workflow": "win-back", "by": "manual"},
            ),
            (
                "workflow.stopped",
                "Workflow stopped for this person",
                "Percorso fermato per questa persona",
                (
                    Field("workflow", "text"),
                    Field("key", "text", "of the passages that end; none: of all"),
                    Field("reason", "text"),
                    _CAUSE,
                ),
                {"workflow": "win-back", "reason": "booked again"},
            ),
            (
                "workflow.ended",
                "Workflow ended for this person",
                "Percorso terminato per questa persona",
                (
                    Field("workflow", "text"),
                    Field("key", "text"),
                    Field("status", "text", "finished or exited"),
                    Field("reason", "text"),
                    Field("outcome", "text"),
                    Field("enrollment", "number"),
                    _CAUSE,
                ),
                {"workflow": "win-back", "key": "", "status": "finished", "reason": "finished", "enrollment": 815},
            ),
            (
                "task.done",
                "Task done",
                "Attività svolta",
                (Field("task", "number"), Field("workflow", "text"), Field("step", "text"), Field("to", "text")),
                {"task": 12, "workflow": "pre-arrival", "step": "desk", "to": "front_desk"},
            ),
            (
                "contact.erased",
                "Person erased",
                "Persona cancellata",
                (
                    Field("by", "text", "person or staff"),
                    Field("external_id", "text", "the id your systems gave, kept 30 days so that they can be told"),
                    Field("also", "list", "ids of whoever was found to be the same person"),
                ),
                {"by": "person", "external_id": "guest-1093"},
            ),
            (
                "contact.imported",
                "Came with an import",
                "Arrivato con un'importazione",
                (Field("import", "number"), Field("file", "text"), Field("source", "text", "where it says it is from")),
                {"import": 7, "file": "newsletter-2024.csv", "source": "website form"},
            ),
        )
    ),
)

BY_NAME: Mapping[str, EventKind] = {kind.name: kind for kind in KINDS}
event_names.learn({kind.name: kind.title for kind in KINDS})

_FIELDS_OF: Mapping[About, tuple[Field, ...]] = {"booking": BOOKING_FIELDS, "order": ORDER_FIELDS}
FIELD_TYPES: Mapping[About, Mapping[str, FieldType]] = {
    about: {field.name: field.type for field in fields} for about, fields in _FIELDS_OF.items()
}
"""Types of the known fields of `data.booking` and `data.order`."""


def is_own(type_: str) -> bool:
    """Whether only Percorso itself may write events of this type."""
    return type_.startswith("message.") or (type_ in BY_NAME and BY_NAME[type_].own)


_BRINGS: Mapping[str, tuple[str, ...]] = {"workflow.ended": ("booking",)}
"""Kinds that change no booking and yet tell of one: a passage that ended brings along what it was about."""


def known_events() -> Mapping[str, EventShape]:
    """The catalogue as the workflow language reads it. All data is open: an unlisted field has type any."""
    return {
        kind.name: EventShape(
            name=kind.name,
            fields={field.name: field.type for field in kind.fields},
            title=kind.title,
            open=True,
            carries=(kind.projects,) if kind.projects else _BRINGS.get(kind.name, ()),
        )
        for kind in KINDS
    }
