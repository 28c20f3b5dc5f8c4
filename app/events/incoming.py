"""One reported event, read from what a sender sent: checked for shape, hashed, dated. Pure.

Only what cannot be understood or attributed to anybody is rejected; anything else that is wrong is recorded with a
warning. Every problem points at its place (RFC 6901) and says what to do.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from app.events import strangers
from app.events.catalogue import BY_NAME, is_own

MOST = 1_000
"""Events in one request or one call of `record`."""
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = datetime(9000, 1, 1, tzinfo=UTC)

Key = Annotated[str, Meta(min_length=1, max_length=200)]
Short = Annotated[str, Meta(max_length=200)]
Unset = UnsetType | None

_ATTRIBUTES = "Typed by their definitions; a new key gets one from its first value."
_SEQUENCE = "Your revision number of the booking or order, where you count them."


class ContactIn(Struct, omit_defaults=True):
    """Whom an event is about: external_id, email or phone at least. A field left out stays as it is; null clears it."""

    external_id: Annotated[Key, Meta(description="Your id of the person.", examples=["guest-1093"])] | Unset = UNSET
    email: Annotated[Short, Meta(description="E-mail address.", examples=["giulia@example.com"])] | Unset = UNSET
    phone: Annotated[Short, Meta(description="E.164, or as dialled at the property.")] | Unset = UNSET
    first_name: Annotated[Short, Meta(examples=["Giulia"])] | Unset = UNSET
    last_name: Annotated[Short, Meta(examples=["Bianchi"])] | Unset = UNSET
    language: Annotated[Short, Meta(description="BCP 47: it, en-GB ...", examples=["it"])] | Unset = UNSET
    zone: Annotated[Short, Meta(description="IANA time zone.", examples=["Europe/Rome"])] | Unset = UNSET
    country: Annotated[Short, Meta(description="ISO 3166-1 alpha-2.", examples=["IT"])] | Unset = UNSET
    tags: Annotated[list[Key], Meta(max_length=100, description="Added to those the person has.")] | UnsetType = UNSET
    attributes: Annotated[dict[str, Any], Meta(description=_ATTRIBUTES)] | UnsetType = UNSET


class EventIn(Struct, omit_defaults=True):
    """One event as a sender reports it."""

    id: Annotated[Key, Meta(description="Your id of it, unique for ever in your system.", examples=["evt_20931"])]
    type: Annotated[
        str,
        Meta(
            pattern=r"^[A-Za-z][A-Za-z0-9_]*([.:-][A-Za-z0-9_]+)*$",
            max_length=100,
            description="What happened; see the event catalogue. Unknown types are kept too.",
            examples=["booking.confirmed"],
        ),
    ]
    occurred_at: Annotated[datetime, Meta(tz=True, description="With offset.", examples=["2026-11-22T10:15:00+01:00"])]
    contact: ContactIn | UnsetType = UNSET
    data: Annotated[dict[str, Any], Meta(description="A booking, an order, or anything.")] | UnsetType = UNSET
    sequence: Annotated[int, Meta(ge=0, le=2**53, description=_SEQUENCE)] | UnsetType = UNSET
    property: Annotated[Key, Meta(description="Code of the property.", examples=["lago"])] | UnsetType = UNSET


CONTACT_FIELDS = frozenset(ContactIn.__struct_fields__)
EVENT_FIELDS = frozenset(EventIn.__struct_fields__)


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong with an event: where (a JSON Pointer into the request), what, and the cure."""

    pointer: str
    detail: str
    cure: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one event."""

    id: str | None
    status: Literal["accepted", "duplicate", "rejected"]
    problems: tuple[Problem, ...] = ()
    """Why it was rejected."""
    warnings: tuple[Problem, ...] = ()
    """What was left out or put right; the rest of the event counts."""
    conflict: bool = False
    """A duplicate by its id, but with another body: the first is kept, this one noted."""
    unmapped: bool = False
    """The type is not in the catalogue: kept, changes nothing by itself."""
    quarantined: str | None = None
    """Kept but not acted on, and why."""


@dataclass(slots=True)
class Incoming:
    """A readable event. `at` is its place in the request; `warnings` grows while it is recorded."""

    at: str
    id: str
    type: str
    occurred_at: datetime
    contact: ContactIn | None
    data: dict[str, Any]
    sequence: int | None
    property_code: str | None
    body: bytes
    """As it was sent, but for what tells of somebody else."""
    body_hash: bytes
    """SHA-256 of it, which is kept under a key only: without one, whoever reads the table could try values out."""
    warnings: list[Problem] = field(default_factory=list)

    @property
    def mapped(self) -> bool:
        """Whether the catalogue knows its type."""
        return self.type in BY_NAME

    def warn(self, where: str, detail: str, cure: str) -> None:
        """Note that a part of the event was left out."""
        self.warnings.append(Problem(self.at + where, detail, cure))

    def rejected(self, where: str, detail: str, cure: str) -> Verdict:
        """The verdict that this event cannot be used."""
        return Verdict(self.id, "rejected", (Problem(self.at + where, detail, cure),), tuple(self.warnings))


_encoder = msgspec.json.Encoder(order="deterministic")
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
_PATH = re.compile(r" - at `(?:key in )?\$([^`]*)`$")
_STEP = re.compile(r"\.([^.\[]+)|\[(\d+|\.\.\.)\]")


def read(raw: Any, at: str = "") -> Incoming | Verdict:
    """An event from decoded JSON, or the verdict that it is rejected.

    Args:
        raw: what the sender sent for this event.
        at: JSON Pointer of the event in the request, such as `/events/3`; empty for a request of one event.
    """
    given = raw.get("id") if isinstance(raw, dict) else None
    name = given if isinstance(given, str) and 0 < len(given) <= 200 else None

    def refuse(where: str, detail: str, cure: str) -> Verdict:
        return Verdict(name, "rejected", (Problem(at + where, detail, cure),))

    try:
        body = _encoder.encode(raw)
        strangers_at: list[strangers.Path] = []
        if isinstance(raw, dict) and strangers.may_hold(body):
            raw, strangers_at = strangers.without(raw)
            body = _encoder.encode(raw)
        event = msgspec.convert(raw, EventIn)
    except msgspec.ValidationError as error:
        where, detail = _told(str(error))
        return refuse(where, detail, _CURES.get(where, "Send the field as the API description says."))
    except (OverflowError, RecursionError, ValueError) as error:
        return refuse("", f"The event cannot be kept: {error}.", "Send numbers below 2^63 and fewer levels.")
    if b"\\u0000" in body and _NUL.search(body):
        return refuse("", "A text holds the character U+0000.", "Remove it: no database text can hold it.")
    if is_own(event.type):
        return refuse("/type", f"{event.type} is an event that only Percorso writes.", "Choose a name of your own.")
    try:
        occurred_at = event.occurred_at.astimezone(UTC)
    except OverflowError:
        occurred_at = EARLIEST.replace(year=1)
    if not EARLIEST <= occurred_at <= LATEST:
        return refuse("/occurred_at", "The instant lies before 1970 or after 9000.", "Send when it really happened.")
    incoming = Incoming(
        at=at,
        id=event.id,
        type=event.type,
        occurred_at=occurred_at,
        contact=event.contact or None,
        data=event.data or {},
        sequence=None if event.sequence is UNSET else event.sequence,
        property_code=event.property or None,
        body=body,
        body_hash=hashlib.sha256(body).digest(),
    )
    for path in strangers_at:
        cure = "Give your guest a link to share."
        incoming.warn(pointer(path), "It tells of somebody else; it was left out (R17).", cure)
    if raw.keys() - EVENT_FIELDS:
        for key in sorted(raw.keys() - EVENT_FIELDS):
            incoming.warn("/" + escaped(key), "No such field; it was left out.", "Put your own fields under data.")
    if incoming.contact is not None and raw["contact"].keys() - CONTACT_FIELDS:
        for key in sorted(raw["contact"].keys() - CONTACT_FIELDS):
            cure = "Put your own fields under contact.attributes."
            incoming.warn("/contact/" + escaped(key), "No such field; it was left out.", cure)
    return incoming


def placed(verdict: Verdict, **changes: Any) -> Verdict:
    """A copy of a verdict with some fields changed."""
    return replace(verdict, **changes)


def escaped(key: str) -> str:
    """A key as a step of a JSON Pointer."""
    return key.replace("~", "~0").replace("/", "~1")


def pointer(path: Iterable[str | int]) -> str:
    """The JSON Pointer of a path."""
    return "".join("/" + escaped(str(step)) for step in path)


def _told(message: str) -> tuple[str, str]:
    """Pointer and sentence from msgspec's own message."""
    found = _PATH.search(message)
    detail = message[: found.start()] if found else message
    missing = re.search(r"missing required field `(\w+)`", detail)
    steps = [a or b for a, b in _STEP.findall(found.group(1))] if found else []
    if missing:
        steps.append(missing.group(1))
        detail = "The field is missing"
    return "".join("/" + escaped(step) for step in steps if step != "..."), detail.replace("`", "") + "."


_CURES = {
    "": "Send an object with id, type, occurred_at and contact.",
    "/id": "Give every event an id of its own, 1 to 200 characters, that never changes when you send it again.",
    "/type": "Name what happened, such as booking.confirmed.",
    "/occurred_at": "Send an instant with its offset, such as 2026-11-22T10:15:00+01:00.",
    "/contact": "Send an object with external_id, email or phone.",
    "/data": "Send an object.",
    "/sequence": "Send a whole number from 0, or leave it out.",
    "/property": "Send the property's code as text, or leave it out.",
    "/contact/external_id": "Send your id of the person as text, 1 to 200 characters.",
    "/contact/tags": "Send a list of texts.",
    "/contact/attributes": "Send an object of attribute names and values.",
}
