"""Who we know: contacts, their bookings and orders, and the properties that speak to them."""

from __future__ import annotations

from datetime import date
from typing import Any

from sqlalchemy import BigInteger, ForeignKeyConstraint, Index, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TEXT
from sqlalchemy.orm import Mapped, mapped_column

from app.db import IMPERSONAL, PERSONAL, Base, Instant, Json, JsonList, Owned, Plain, RowId

EMPTY = text("'{}'::jsonb")


class Property(Owned, Base):
    """The hotel, shop or brand that a message speaks for."""

    __tablename__ = "properties"

    id: Mapped[RowId]
    code: Mapped[Plain]
    """What senders of events call it."""
    name: Mapped[Plain]
    zone: Mapped[Plain]
    """IANA zone, such as Europe/Rome."""
    language: Mapped[Plain]
    currency: Mapped[Plain] = mapped_column(server_default="EUR")
    sender_name: Mapped[Plain]
    sender_email: Mapped[Plain]
    reply_to: Mapped[Plain | None]
    email: Mapped[Plain | None]
    phone: Mapped[Plain | None]
    city: Mapped[Plain | None]
    country: Mapped[Plain | None]
    checkin_from: Mapped[Plain | None]
    checkout_until: Mapped[Plain | None]
    cin: Mapped[Plain | None]
    """Codice Identificativo Nazionale (R23)."""
    vat: Mapped[Plain | None]
    controller: Mapped[Plain | None]
    """Legal name of the data controller (R22)."""
    address: Mapped[Json] = mapped_column(JSONB, server_default=EMPTY, info=IMPERSONAL)
    """street, postcode, town, province."""
    links: Mapped[Json] = mapped_column(JSONB, server_default=EMPTY, info=IMPERSONAL)
    """website, booking, directions, notice, review links by platform."""
    colours: Mapped[Json] = mapped_column(JSONB, server_default=EMPTY, info=IMPERSONAL)
    data: Mapped[Json] = mapped_column(JSONB, server_default=EMPTY, info=IMPERSONAL)
    """Anything more that its templates use (tourist tax, activities ...)."""
    is_default: Mapped[bool] = mapped_column(server_default=text("false"))
    """Speaks where an event names no property."""
    created_at: Mapped[Instant]
    updated_at: Mapped[Instant]

    __table_args__ = (UniqueConstraint("workspace_id", "code"),)


class AttributeDefinition(Owned, Base):
    """A typed attribute of contacts: values are coerced when written, so conditions never meet a wrong type."""

    __tablename__ = "attribute_definitions"

    key: Mapped[Plain] = mapped_column(primary_key=True)
    type: Mapped[Plain]
    """text, number, money, bool, date, instant or list."""
    label: Mapped[Json] = mapped_column(JSONB, server_default=EMPTY, info=IMPERSONAL)
    special_category: Mapped[bool] = mapped_column(server_default=text("false"))
    """Health, diet, religion and the like (R18): values are kept in `special_values`, never on the contact."""
    inferred: Mapped[bool] = mapped_column(server_default=text("false"))
    """Past behaviour, or something worked out from it: a score, a predicted interest. Marketing may rest on it only
    for who has granted `profiling` (R13)."""
    created_at: Mapped[Instant]


class SpecialValue(Owned, Base):
    """One person's value of an attribute of a special category (R18), sealed under the house's key.

    The newest `version` of a key holds; older rows of it are deleted as it is written, and a merge may bring a second.
    """

    __tablename__ = "special_values"

    id: Mapped[RowId]
    contact_id: Mapped[int] = mapped_column(BigInteger)
    """0 where nobody knows yet whose it is: see `event_key`."""
    key: Mapped[Plain]
    booking_id: Mapped[int | None] = mapped_column(BigInteger)
    """The booking or order that told it: each has its own values."""
    event_key: Mapped[Plain | None]
    """Source and id of an event that is kept aside (dated ahead, contradicting another), whose value it is."""
    sealed: Mapped[str] = mapped_column(info={**PERSONAL, "sealed": True})
    """The value as JSON, sealed (`app/sealed.py`)."""
    version: Mapped[Plain]
    """Order key of the fact, as in `Contact.field_versions`."""
    keep: Mapped[bool] = mapped_column(server_default=text("false"))
    """The guest has asked to keep it beyond the stay."""
    recorded_at: Mapped[Instant]

    __table_args__ = (Index("ix_special_values_contact", "workspace_id", "contact_id", "key"),)


class DataAccess(Owned, Base):
    """Somebody of the team read or took out a person's data as a whole (R55). Never changed."""

    __tablename__ = "data_accesses"

    id: Mapped[RowId]
    contact_id: Mapped[int] = mapped_column(BigInteger)
    what: Mapped[Plain]
    """proof, export, special ..."""
    by: Mapped[Plain]
    """Who it was: the address they sign in with, or `cli`."""
    at: Mapped[Instant]

    __table_args__ = (Index("ix_data_accesses_contact", "workspace_id", "contact_id", "id"),)


class Contact(Owned, Base):
    """A person we may write to."""

    __tablename__ = "contacts"

    id: Mapped[RowId]
    external_id: Mapped[str | None] = mapped_column(info=PERSONAL)
    email: Mapped[str | None] = mapped_column(info=PERSONAL)
    email_key: Mapped[str | None] = mapped_column(info=PERSONAL)
    """Lower-cased address with an ASCII domain: what addresses are matched by (X45)."""
    phone: Mapped[str | None] = mapped_column(info=PERSONAL)
    """E.164."""
    first_name: Mapped[str | None] = mapped_column(info=PERSONAL)
    last_name: Mapped[str | None] = mapped_column(info=PERSONAL)
    language: Mapped[str | None] = mapped_column(info=PERSONAL)
    zone: Mapped[str | None] = mapped_column(info=PERSONAL)
    country: Mapped[str | None] = mapped_column(info=PERSONAL)
    tags: Mapped[list[str]] = mapped_column(ARRAY(TEXT), server_default=text("'{}'"), info=PERSONAL)
    attributes: Mapped[Json] = mapped_column(JSONB, server_default=EMPTY, info=PERSONAL)
    field_versions: Mapped[Json] = mapped_column(JSONB, server_default=EMPTY, info=PERSONAL)
    """field -> order key of the event that last set it; the newest fact wins whatever order facts arrive in."""
    pace: Mapped[str | None] = mapped_column(info=PERSONAL)
    """How often marketing and requests for an opinion may come, where the person has said so: monthly (R46)."""
    paused_until: Mapped[Instant | None] = mapped_column(info=PERSONAL)
    """None of them before this instant: the person asked for a pause."""
    merged_into: Mapped[int | None] = mapped_column(BigInteger)
    frozen_at: Mapped[Instant | None]
    """Restriction of processing (R52)."""
    erased_at: Mapped[Instant | None]
    created_at: Mapped[Instant]
    updated_at: Mapped[Instant]

    __table_args__ = (
        Index(
            "uq_contacts_external_id",
            "workspace_id",
            "external_id",
            unique=True,
            postgresql_where=text("external_id IS NOT NULL"),
        ),
        Index("ix_contacts_email_key", "workspace_id", "email_key", postgresql_where=text("email_key IS NOT NULL")),
        Index("ix_contacts_phone", "workspace_id", "phone", postgresql_where=text("phone IS NOT NULL")),
    )


class ContactAlias(Owned, Base):
    """A former external id of a merged contact: events that still carry it reach the survivor."""

    __tablename__ = "contact_aliases"

    external_id: Mapped[str] = mapped_column(primary_key=True, info=PERSONAL)
    contact_id: Mapped[int] = mapped_column(BigInteger)
    merge_id: Mapped[int] = mapped_column(BigInteger)


class ContactMerge(Owned, Base):
    """One merge, with what is needed to undo it for 30 days (X11)."""

    __tablename__ = "contact_merges"

    id: Mapped[RowId]
    winner_id: Mapped[int] = mapped_column(BigInteger)
    loser_id: Mapped[int] = mapped_column(BigInteger)
    moved: Mapped[Json] = mapped_column(JSONB, info=PERSONAL)
    """Both profiles as they were and the ids of the rows that moved, by table."""
    merged_at: Mapped[Instant]
    merged_by: Mapped[Plain]
    undone_at: Mapped[Instant | None]


class Booking(Owned, Base):
    """A booking, or a shop's order: a projection of events, newest revision wins.

    `claims` keeps what each event said; the other columns are a pure fold of it, so late, doubled and out-of-order
    deliveries end in the same row (X15-X21, X25-X28).
    """

    __tablename__ = "bookings"

    contact_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, sort_order=-1)
    id: Mapped[RowId]
    kind: Mapped[Plain]
    """booking or order."""
    reference: Mapped[str] = mapped_column(info=PERSONAL)
    property_id: Mapped[int | None] = mapped_column(BigInteger)
    status: Mapped[Plain]
    """See `projection.BOOKING_STATUSES` and `ORDER_STATUSES`."""
    arrival: Mapped[date | None] = mapped_column(info=IMPERSONAL)
    departure: Mapped[date | None] = mapped_column(info=IMPERSONAL)
    nights: Mapped[int | None]
    adults: Mapped[int | None]
    children: Mapped[int | None]
    amount: Mapped[int | None] = mapped_column(BigInteger)
    """Minor currency units."""
    currency: Mapped[Plain | None]
    channel: Mapped[Plain | None]
    language: Mapped[str | None] = mapped_column(info=PERSONAL)
    room_type: Mapped[Plain | None]
    rate: Mapped[Plain | None]
    data: Mapped[Json] = mapped_column(JSONB, server_default=EMPTY, info=PERSONAL)
    """Everything else that was reported of it, flat."""
    claims: Mapped[JsonList] = mapped_column(JSONB, server_default=text("'[]'::jsonb"), info=PERSONAL)
    revision: Mapped[int] = mapped_column(server_default=text("0"))
    """Grows each time the folded state really changed."""
    booked_at: Mapped[Instant | None]
    cancelled_at: Mapped[Instant | None]
    checked_in_at: Mapped[Instant | None]
    checked_out_at: Mapped[Instant | None]
    replaced_by: Mapped[int | None] = mapped_column(BigInteger)
    """The booking that an OTA made in place of this one, which it cancelled (X25): the pair is one modification."""
    created_at: Mapped[Instant]
    updated_at: Mapped[Instant]

    __table_args__ = (
        UniqueConstraint("workspace_id", "kind", "reference"),
        ForeignKeyConstraint(["workspace_id", "contact_id"], ["contacts.workspace_id", "contacts.id"]),
        Index("ix_bookings_id", "workspace_id", "id"),
        Index("ix_bookings_arrival", "workspace_id", "arrival"),
    )


class IdentityLock(Owned, Base):
    """Rows that exist only to be locked: 64-bit hashes of what names a person or booking nobody knows yet.

    Two requests that bring the same new person at once meet here, so that one creates and the other finds.
    Unlogged, no key to anybody, and free to be emptied at any time.
    """

    __tablename__ = "identity_locks"

    key: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)

    __table_args__ = ({"prefixes": ["UNLOGGED"]},)


def display_name(contact: Any) -> str:
    """The name the studio shows: first and last name, else address, else external id, else its number."""
    name = " ".join(part for part in (contact.first_name, contact.last_name) if part)
    return name or contact.email or contact.external_id or f"#{contact.id}"
