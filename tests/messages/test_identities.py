"""Who a mail comes from, domains that are not proven, and a domain that warms up: at the gate and in the mail."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from sqlalchemy import select

from app.delivery import domains, identities, warm_ups
from app.delivery.identities import Given
from app.delivery.models import SenderDomain, SenderIdentity, WarmUp
from app.messages import compose, gate
from app.messages.compose import Composed
from app.messages.models import Message
from app.messages.rows import load_rows
from app.messages.warming import Ramp, Turns, plan
from tests.messages.mailroom import Mailroom

NEWS = "novita@news.lago.example"


def identity(mailroom: Mailroom, **given: Any) -> SenderIdentity:
    fields: dict[str, Any] = {"name": "Lago", "email": NEWS, "stream": "marketing", **given}
    made = identities.save(mailroom.session, Given(**fields), mailroom.now)
    made.verified_at, made.verified_how = mailroom.now, "mail"
    mailroom.session.flush()  # messages are judged by what the row says
    return made


def made(mailroom: Mailroom, template: str, language: str = "it") -> Composed:
    guest = mailroom.guest(language=language)
    mailroom.say(guest)
    rows = load_rows(mailroom.session, [mailroom.plan(guest, template)])
    composed = compose.compose(compose.load(mailroom.session, rows, mailroom.now), rows[0])
    assert isinstance(composed, Composed)
    return composed


def test_r30_marketing_and_service_come_from_different_addresses(mailroom: Mailroom) -> None:
    identity(mailroom, names={"en": "Lago news"}, reply_to="desk@lago.example")
    offer, note = made(mailroom, "offer"), made(mailroom, "note")
    assert (offer.sender_email, offer.sender_name, offer.reply_to) == (NEWS, "Lago", "desk@lago.example")
    assert note.sender_email == "ospiti@lago.example"
    headers = dict(offer.headers)
    assert headers["List-Id"].endswith("news.lago.example>")
    assert offer.message_id.endswith("@news.lago.example>")
    assert made(mailroom, "offer", "en").sender_name == "Lago news"


def test_the_very_mail_is_made_again_with_its_sender_whatever_it_is_called_since(mailroom: Mailroom) -> None:
    one = identity(mailroom)
    composed = made(mailroom, "offer")
    message = mailroom.message(composed.id)
    message.facts, message.language = composed.facts, composed.language
    message.template_version_id = composed.template_version_id
    one.email, one.name = "altri@news.lago.example", "Altri"
    mailroom.session.flush()  # what was said before must not matter
    again = compose.again(mailroom.session, message)
    assert (again.sender_email, again.sender_name) == (NEWS, "Lago")


@pytest.mark.parametrize("how", ["unverified", "aside", "service"])
def test_r24_an_identity_that_may_not_be_used_lets_the_property_speak(mailroom: Mailroom, how: str) -> None:
    one = identity(mailroom, stream="service" if how == "service" else "marketing")
    if how == "unverified":
        one.verified_at = None
    if how == "aside":
        one.active = False
    mailroom.session.flush()  # messages are composed by what the row says
    assert made(mailroom, "offer").sender_email == "ospiti@lago.example"


def test_the_property_of_a_message_goes_before_all_of_them_and_order_decides(mailroom: Mailroom) -> None:
    first = identity(mailroom, email="uno@lago.example")
    second = identity(mailroom, email="due@lago.example")
    assert made(mailroom, "offer").sender_email == "uno@lago.example"
    identities.rise(mailroom.session, second)
    mailroom.session.flush()  # the order is read by Core
    assert (second.position, first.position) == (0, 1)
    assert made(mailroom, "offer").sender_email == "due@lago.example"


def test_r24_a_sender_that_a_step_names_speaks_for_its_own_property_and_no_other(mailroom: Mailroom) -> None:
    """Of two senders with one address, the property's goes before the one of none; another property's never speaks."""
    identity(mailroom, email="uno@lago.example")
    spa = identity(mailroom, email="Spa@lago.example", name="Everybody's")
    own = identity(mailroom, email="spa@lago.example", name="Lago's", property_id=mailroom.hotel.id)
    assert said_by(mailroom) == ("spa@lago.example", "Lago's", None)
    own.active = False
    assert said_by(mailroom) == ("Spa@lago.example", "Everybody's", None)
    spa.property_id = mailroom.make.property().id
    told = {"email": "spa@lago.example", "why": "property"}
    assert said_by(mailroom) == ("uno@lago.example", "Lago", told)


def said_by(mailroom: Mailroom) -> tuple[str, str, Any]:
    """Address and name of an offer whose step names spa@lago.example, and what is kept of why it was another."""
    mailroom.session.flush()  # messages are composed by what the row says
    guest = mailroom.guest()
    mailroom.say(guest)
    number = mailroom.plan(guest, "offer", terms={"sender": "spa@lago.example"})
    rows = load_rows(mailroom.session, [number])
    composed = compose.compose(compose.load(mailroom.session, rows, mailroom.now), rows[0])
    assert isinstance(composed, Composed)
    return composed.sender_email, composed.sender_name, composed.facts["mail"].get("from_instead_of")


@pytest.fixture
def leaving(mailroom: Mailroom) -> Mailroom:
    """The same house where mails really leave."""
    settings = mailroom.session.info["settings"]
    mailroom.session.info["settings"] = replace(settings, demo=False, smtp_url="smtp://post.example")
    return mailroom


def test_r30_marketing_of_a_domain_nobody_proved_waits_and_service_goes(leaving: Mailroom) -> None:
    guest = leaving.guest()
    leaving.say(guest)
    offer, note = leaving.plan(guest, "offer"), leaving.plan(guest, "note")
    leaving.gate()
    held = leaving.message(offer)
    assert (held.state, held.reason, held.rule) == ("deferred", "domain_unproven", "R30")
    assert leaving.message(note).state == "ready"
    domain = domains.add(leaving.session, "lago.example", leaving.now)
    domains.activate(leaving.session, domain, "me", leaving.now, "known to us")
    assert leaving.gate().done == 1
    leaving.session.refresh(held)
    assert held.state == "ready"


def test_r30_the_domain_that_is_asked_is_that_of_the_sender_which_the_step_names(leaving: Mailroom) -> None:
    """The usual sender's domain is proven; that of the one that is named is not, and its marketing waits."""
    identity(leaving, email="uno@lago.example")
    identity(leaving, email="spa@terme.example")
    domain = domains.add(leaving.session, "lago.example", leaving.now)
    domains.activate(leaving.session, domain, "me", leaving.now, "known to us")
    guest = leaving.guest()
    leaving.say(guest)
    usual, named = leaving.plan(guest, "offer"), leaving.plan(guest, "offer", terms={"sender": "spa@terme.example"})
    leaving.gate()
    assert leaving.message(usual).state == "ready"
    held = leaving.message(named)
    assert (held.state, held.reason, held.rule) == ("deferred", "domain_unproven", "R30")
    (stopped,) = [check for check in held.verdict[-1]["checks"] if check["code"] == "domain_unproven"]
    assert stopped["inputs"]["domain"] == "terme.example"


def test_r30_where_nothing_leaves_the_house_nothing_is_asked(mailroom: Mailroom) -> None:
    guest = mailroom.guest()
    mailroom.say(guest)
    number = mailroom.plan(guest, "offer")
    mailroom.gate()
    assert mailroom.message(number).state == "ready"


# -- warming up --------------------------------------------------------------------------------------------------------


def test_the_advised_plan_grows_every_day_and_ends() -> None:
    days = plan()
    assert (days[0], days[-1], len(days)) == (50, 5000, 11)
    assert all(later > earlier for earlier, later in pairwise(days))
    for wrong in ({"start": 0}, {"growth": 1.0}, {"start": 10, "target": 5}, {"growth": 1.0001, "target": 100_000}):
        with pytest.raises(ValueError, match=r".+"):
            plan(**wrong)


MORNING = datetime(2026, 3, 10, 7, 0, tzinfo=UTC)
"""8:00 in Rome."""


def ramp(**more: Any) -> Ramp:
    fields: dict[str, Any] = {"days": [4, 8], "started_on": date(2026, 3, 10), **more}
    return Ramp(1, 1, "Europe/Rome", **fields)


def test_a_day_is_spread_over_its_hours() -> None:
    turns = Turns({1: ramp()}, MORNING)
    assert turns.held(1, "marketing", waited=False) is None
    turns.take(1, "marketing")
    held = turns.held(1, "marketing", waited=False)
    assert held is not None
    assert (held.code, held.until) == ("warm_up", MORNING + timedelta(hours=3))
    turns.book(1, held.until)
    after = turns.held(1, "marketing", waited=False)
    assert after is not None
    assert after.until == MORNING + timedelta(hours=6)


def test_what_has_no_room_today_waits_for_tomorrow_morning() -> None:
    full = ramp(sent={"2026-03-10": 4})
    held = Turns({1: full}, MORNING + timedelta(hours=10)).held(1, "marketing", waited=True)
    assert held is not None
    assert held.until == MORNING + timedelta(days=1)


def test_who_waited_goes_before_who_comes_new() -> None:
    queue = ramp(booked=MORNING + timedelta(hours=9))
    later = MORNING + timedelta(hours=3)
    assert Turns({1: queue}, later).held(1, "marketing", waited=True) is None
    assert Turns({1: queue}, later).held(1, "marketing", waited=False) is not None


def test_service_waits_only_where_it_was_asked_for_and_nothing_after_the_last_day() -> None:
    full = ramp(sent={"2026-03-10": 4})
    assert Turns({1: full}, MORNING).held(1, "transactional", waited=False) is None
    assert Turns({1: replace(full, service=True)}, MORNING).held(1, "transactional", waited=False) is not None
    assert Turns({1: full}, MORNING + timedelta(days=2)).held(1, "marketing", waited=False) is None


def warmed(mailroom: Mailroom, days: list[int]) -> WarmUp:
    domain = domains.add(mailroom.session, "lago.example", mailroom.now)
    return warm_ups.begin(mailroom.session, domain, "Europe/Rome", "me", mailroom.now, days)


def test_a_domain_that_warms_up_lets_its_number_go_and_no_more(mailroom: Mailroom) -> None:
    """The mailroom's clock stands at 10:00 in Rome: a sixth of the day's hours has passed."""
    row = warmed(mailroom, [12, 24])
    guests = [mailroom.guest() for _ in range(6)]
    for guest in guests:
        mailroom.say(guest)
    numbers = [mailroom.plan(guest, "offer") for guest in guests]
    service = mailroom.plan(guests[0], "note")
    mailroom.gate()
    states = [(mailroom.message(number).state, mailroom.message(number).reason) for number in numbers]
    assert states == [("ready", None)] * 3 + [("deferred", "warm_up")] * 3
    assert mailroom.message(service).state == "ready"
    waiting = [mailroom.message(number) for number in numbers[3:]]
    assert [one.due_at - mailroom.now for one in waiting] == [timedelta(hours=hours) for hours in (1, 2, 3)]
    assert {check["code"] for check in waiting[0].verdict[-1]["checks"] if not check["allowed"]} == {"warm_up"}
    mailroom.session.refresh(row)
    assert row.sent == {mailroom.now.date().isoformat(): 3}
    mailroom.clock.advance(timedelta(hours=1))
    assert mailroom.gate().done == 1
    mailroom.session.refresh(waiting[0])
    assert waiting[0].state == "ready"


def test_the_same_row_is_judged_at_the_lease_without_being_counted_again(mailroom: Mailroom) -> None:
    row = warmed(mailroom, [12, 24])
    guest = mailroom.guest()
    mailroom.say(guest)
    number = mailroom.plan(guest, "offer")
    mailroom.gate()
    decisions = gate.judge(
        mailroom.session, load_rows(mailroom.session, [number]), mailroom.now, "lease", lambda *_: {}
    )
    assert decisions[number].allowed
    mailroom.session.refresh(row)
    assert row.sent == {mailroom.now.date().isoformat(): 1}


def test_a_person_pauses_skips_begins_anew_and_ends(mailroom: Mailroom) -> None:
    row = warmed(mailroom, [12, 24, 48])
    session, clock = mailroom.session, mailroom.clock

    def today() -> int:
        return next(day.allowed for day in warm_ups.days(row, clock.now()) if day.today)

    assert today() == 12
    warm_ups.skip(session, row, clock.now())
    assert today() == 24
    warm_ups.pause(row, clock.now())
    clock.advance(timedelta(days=5))
    assert today() == 24
    warm_ups.resume(row, clock.now())
    assert today() == 24
    clock.advance(timedelta(days=1))
    assert today() == 48
    warm_ups.reset(session, row, clock.now())
    assert today() == 12
    warm_ups.end(session, row, clock.now())
    assert warm_ups.running(session, row.domain_id) is None


def test_ending_it_wakes_what_waited(mailroom: Mailroom) -> None:
    row = warmed(mailroom, [12])
    guests = [mailroom.guest() for _ in range(5)]
    for guest in guests:
        mailroom.say(guest)
        mailroom.plan(guest, "offer")
    mailroom.gate()
    warm_ups.end(mailroom.session, row, mailroom.now)
    mailroom.gate()
    assert set(mailroom.session.scalars(select(Message.state))) == {"ready"}
    assert mailroom.session.scalars(select(SenderDomain.name)).all() == ["lago.example"]
