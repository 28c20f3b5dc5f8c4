"""One grammar, two back ends: what a condition means in Python and in SQL is the same, of everybody."""

from __future__ import annotations

import itertools
from datetime import UTC, date, datetime, timedelta
from typing import Any

from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy.orm import Session

from app.audience import person, segments
from app.clock import FixedClock
from app.consent import ledger
from app.consent.ledger import Act
from app.contacts.models import Booking, Contact
from app.delivery.models import DeliveryEvent
from app.events.models import Event
from app.journey.condition_tree import (
    Compare,
    Condition,
    Day,
    Did,
    Engaged,
    Group,
    Many,
    Moment,
    Money,
    Number,
    Ref,
    Span,
    Text,
    Truth,
)
from app.journey.durations import Duration
from app.messages.models import Message
from tests.conftest import START
from tests.factories import Factory

NOW = START

# -- lives -----------------------------------------------------------------------------------------------------------

_words = st.sampled_from(
    ["", "it", "IT", "de", "vip", "Vip", "È", "è", "straße", "a", "Z", "z", "EUR", "0", "12", "true"]
)
FIRST, LAST = datetime(2026, 2, 20), datetime(2026, 4, 10)  # noqa: DTZ001 - hypothesis adds the zone
_days = st.dates(date(2026, 2, 20), date(2026, 4, 10))
_instants = st.datetimes(FIRST, LAST, timezones=st.just(UTC)) | st.sampled_from(
    [
        NOW,
        NOW - timedelta(days=7),
        datetime(2026, 3, 29, 0, 30, tzinfo=UTC),  # around the change of the clocks in Rome
        datetime(2026, 3, 29, 1, 0, tzinfo=UTC),
        datetime(2026, 3, 9, 23, 30, tzinfo=UTC),
        datetime(2025, 10, 26, 0, 30, tzinfo=UTC),
        datetime(2025, 10, 26, 1, 30, tzinfo=UTC),
    ]
)
_texts_in_time = st.one_of(
    _days.map(str),
    _instants.map(lambda at: at.isoformat()),
    _instants.map(lambda at: at.strftime("%Y-%m-%d %H:%M")),
    _instants.map(lambda at: at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")),
    st.sampled_from(
        ["2026-02-30", "2026-2-3", "20260301", "2026-W10-2", "2026-03-01T25:00", "1850-01-01", "2026-03-01T10"]
    ),
)
_numbers = st.sampled_from([0, 1, 2, 7, -1, 0.5, 12.25, 100_000, 12_000])
_simple = st.one_of(st.none(), _words, _numbers, st.booleans(), _texts_in_time)
_json = st.one_of(
    _simple, st.lists(_simple, max_size=3), st.dictionaries(st.sampled_from(["a", "b"]), _simple, max_size=2)
)
_bag = st.dictionaries(st.sampled_from(["x", "y", "currency", "score"]), _json, max_size=3)

_bookings = st.fixed_dictionaries(
    {
        "status": st.sampled_from(["confirmed", "cancelled", "checked_out"]),
        "arrival": st.none() | _days,
        "departure": st.none() | _days,
        "nights": st.none() | st.integers(0, 3),
        "amount": st.none() | st.sampled_from([0, 12_000, 12_001]),
        "currency": st.sampled_from([None, "", "EUR", "CHF"]),
        "channel": st.sampled_from([None, "", "direct", "Booking.com"]),
        "booked_at": st.none() | _instants,
        "cancelled_at": st.none() | _instants,
        "data": _bag,
        "place": st.integers(0, 2),
    }
)
_people = st.fixed_dictionaries(
    {
        "language": st.sampled_from([None, "", "it", "de", "IT"]),
        "country": st.sampled_from([None, "IT"]),
        "first_name": st.none() | _words,
        "tags": st.lists(_words, max_size=3),
        "attributes": _bag,
        "created_at": _instants,
        "bookings": st.lists(_bookings, max_size=3),
        "acts": st.lists(
            st.tuples(
                st.sampled_from(["marketing", "open_tracking", "profiling"]),
                st.sampled_from([None, "newsletter", "offers"]),
                st.sampled_from(["granted", "withdrawn", "denied", "pending"]),
                st.integers(0, 5),
            ),
            max_size=4,
        ),
        "clicks": st.lists(
            st.tuples(
                st.sampled_from(["upsell", "welcome"]),
                st.sampled_from(["clicked", "clicked", "opened", "delivered"]),
                _instants,
                st.booleans(),
            ),
            max_size=3,
        ),
        "happened": st.lists(
            st.tuples(
                st.sampled_from(["booking.confirmed", "page.viewed", "custom.called"]),
                _instants,
                st.sampled_from([False, False, False, True]),
            ),
            max_size=4,
        ),
        "alive": st.sampled_from([True, True, True, False]),
    }
)

# -- conditions ------------------------------------------------------------------------------------------------------

_fields = st.sampled_from(
    [
        *("contact.language", "contact.country", "contact.first_name", "contact.tags", "contact.created_at"),
        *("contact.attributes.x", "contact.attributes.y", "contact.attributes.x.a", "contact.attributes.score"),
        *("contact.attributes", "contact.nothing", "contact.email.x", "contact.id", "contact", "now", "event.x"),
        *("booking", "booking.status", "booking.arrival", "booking.departure", "booking.nights", "booking.amount"),
        *(
            "booking.channel",
            "booking.replaced",
            "booking.created_at",
            "booking.cancelled_at",
            "booking.data.x",
            "booking.data.y",
        ),
        *("property.code", "property.zone", "property.links.website", "property.currency", "property.city"),
        *("consent.newsletter", "consent.offers", "consent.marketing", "consent.open_tracking", "consent"),
    ]
)
_lengths = st.sampled_from(
    [Duration(days=1), Duration(days=-1), Duration(days=7), Duration(months=1), Duration(months=-5),
     Duration(seconds=3600), Duration(days=-19), Duration(days=1, seconds=1800), Duration(seconds=-86_400 * 3)]
)  # fmt: skip
_spans = st.sampled_from(
    [Duration(days=1), Duration(days=7), Duration(months=1), Duration(seconds=7200), Duration(days=19)]
)
_values = st.one_of(
    _words.map(Text),
    _texts_in_time.map(Text),
    st.sampled_from(["granted", "withdrawn", "pending", "direct", "confirmed", "Europe/Rome"]).map(Text),
    _numbers.map(Number),
    st.booleans().map(Truth),
    _days.map(Day),
    _instants.map(Moment),
    st.builds(Money, st.sampled_from([0, 12_000, 7]), st.sampled_from(["EUR", "CHF"])),
    st.builds(Ref, st.just("now"), st.just(Duration()) | _lengths),
    st.builds(Ref, _fields.filter(lambda path: path != "now"), st.just(Duration()) | _lengths),
)
_lines = st.one_of(
    st.builds(Compare, _fields, st.sampled_from(["==", "!=", "<", "<=", ">", ">=", "before", "after"]), _values),
    st.builds(Compare, _fields, st.sampled_from(["has", "has not", "contains", "starts with"]), _values),
    st.builds(Compare, _fields, st.sampled_from(["is known", "is unknown"])),
    st.builds(Compare, _fields, st.sampled_from(["in", "not in"]), st.lists(_values, max_size=3).map(tuple).map(Many)),
    st.builds(Compare, _fields, st.sampled_from(["within", "within next", "within last"]), _spans.map(Span)),
    st.builds(
        Engaged,
        st.sampled_from(["clicked", "clicked", "opened"]),
        st.sampled_from(["upsell", "gone"]),
        st.none() | _spans,
    ),
    st.builds(
        Did,
        st.sampled_from(["booking.confirmed", "page.viewed", "custom.never"]),
        st.sampled_from([1, 1, 2, 3]),
        st.none() | _spans,
        st.booleans(),
    ),
)
_conditions: st.SearchStrategy[Condition] = st.recursive(
    _lines,
    lambda inner: st.builds(Group, st.sampled_from(["all", "any", "none"]), st.lists(inner, max_size=3).map(tuple)),
    max_leaves=6,
)

_numbers_of_people = itertools.count(1)


def live(session: Session, make: Factory, lives: list[dict[str, Any]], zones: tuple[str, str]) -> list[int]:
    """Put these lives into the database."""
    number = next(_numbers_of_people)
    places = [
        make.property(code=f"lago-{number}-{at}", zone=zone, currency=currency, links=links, is_default=at == 1).id
        for at, (zone, currency, links) in enumerate(
            [(zones[0], "EUR", {}), (zones[1], "CHF", {"website": "direct"}), ("Europe/Rome", "EUR", {})]
        )
    ]
    ids: list[int] = []
    for life in lives:
        given = {name: life[name] for name in ("language", "country", "first_name", "tags", "attributes", "created_at")}
        contact = make.contact(external_id=f"p-{number}-{len(ids)}", **given)
        contact.frozen_at = None if life["alive"] else NOW
        ids.append(contact.id)
        _book(make, contact, life, places)
        _click(make, contact, life)
        _happen(make, contact, life)
        acts = [_act(contact, *given) for given in life["acts"]]
        ledger.append(session, acts, NOW)
    session.flush()  # what follows reads with plain SQL
    return ids


def _book(make: Factory, contact: Contact, life: dict[str, Any], places: list[int]) -> None:
    for at, booking in enumerate(life["bookings"]):
        given = {name: value for name, value in booking.items() if name != "place"}
        reference = f"{contact.external_id}-{at}"
        place = [*places[:2], 999_999][booking["place"]]
        make.add(Booking, contact_id=contact.id, kind="booking", reference=reference, property_id=place, **given)


def _click(make: Factory, contact: Contact, life: dict[str, Any]) -> None:
    for at, (step, kind, when, machine) in enumerate(life["clicks"]):
        message = make.add(
            Message, contact_id=contact.id, step_id=step, template="t", class_="marketing", state="accepted",
            planned_at=NOW, due_at=NOW, visit=at + 1,
        )  # fmt: skip
        make.add(
            DeliveryEvent, contact_id=contact.id, message_pk=message.id, kind=kind, occurred_at=when, received_at=NOW,
            provider="test", dedupe=str(at), data={"machine": machine} if machine else {},
        )  # fmt: skip


def _happen(make: Factory, contact: Contact, life: dict[str, Any]) -> None:
    for at, (kind, when, quarantined) in enumerate(life["happened"]):
        make.add(
            Event, contact_id=contact.id, event_id=f"{contact.external_id}-{at}", type=kind, occurred_at=when,
            ordered_at=when, received_at=NOW, data={}, quarantined="future" if quarantined else None,
        )  # fmt: skip


def _act(contact: Contact, purpose: str, topic: str | None, state: str, day: int) -> Act:
    at = NOW - timedelta(days=day)
    proof = {"wording_version": "1"}
    topic = topic if purpose == "marketing" else None
    return Act(contact.id, str(contact.email), "email", purpose, topic, state, "web", at, at, proof)


@settings(max_examples=80, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(
    lives=st.lists(_people, min_size=1, max_size=4),
    asked=st.lists(_conditions, min_size=6, max_size=14),
    zones=st.tuples(*[st.sampled_from(["Europe/Rome", "America/New_York", "Pacific/Auckland", "no/zone", ""])] * 2),
)
def test_sql_says_of_everybody_what_python_says(
    session: Session, clock: FixedClock, lives: list[dict[str, Any]], asked: list[Condition], zones: tuple[str, str]
) -> None:
    nested = session.begin_nested()
    try:
        ids = live(session, Factory(session, clock), lives, zones)
        people = person.people(session, ids, NOW)
        in_python = {
            contact_id: {at: person.judge(condition, people[contact_id], NOW) for at, condition in enumerate(asked)}
            for contact_id in people
        }
        in_sql = segments.judged(session, dict(enumerate(asked)), ids, NOW)
        assert in_sql.keys() == in_python.keys()
        differ = [
            f"{asked[at]} of {people[contact_id]}: SQL {in_sql[contact_id][at]}, Python {verdict}"
            for contact_id, verdicts in in_python.items()
            for at, verdict in verdicts.items()
            if in_sql[contact_id][at] is not verdict
        ]
        assert not differ, differ[0]
        for at, condition in enumerate(asked):
            members = [contact_id for contact_id, verdicts in in_python.items() if verdicts[at] is True]
            assert segments.inside(session, condition, NOW, limit=100) == sorted(members)
            counted = segments.count(session, condition, NOW)
            assert (counted.people, counted.inside) == (len(people), len(members))
            assert counted.unknown == sum(verdicts[at] is None for verdicts in in_python.values())
    finally:
        nested.rollback()
