"""Who may be asked to confirm, how often, and what the confirmation does (R6, R10, R37)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, select, text

from app.consent import ledger
from app.consent.fold import words
from app.consent.models import ConsentRequest
from app.consent.wordings import VERSION
from app.contacts.models import Contact
from app.db import Database
from app.events.merging import merge
from app.events.models import Event
from app.messages.asking import QUERIES, Ask, Asked, ask
from app.messages.confirming import confirm
from app.messages.models import Message
from app.messages.voices import Voice
from tests.messages.mailroom import Mailroom

PRESSED = Voice("confirm_page", "it", "/m/k")


def asked(room: Mailroom, contact: Contact, *topics: str, **given: Any) -> list[Asked]:
    """Ask one person."""
    wishes = [Ask(contact_id=contact.id, topic=topic, **given) for topic in topics or ("newsletter",)]
    return ask(room.session, wishes, room.now)


def mails(room: Mailroom) -> list[Message]:
    """Confirmation mails there are."""
    room.session.expire_all()
    return list(room.session.scalars(select(Message).where(Message.class_ == "consent_request").order_by(Message.id)))


def held(room: Mailroom, contact: Contact) -> dict[str, str]:
    """What the ledger says of a person."""
    return words(ledger.current(room.session, [contact.id]).get(contact.id, {}), contact.email_key or "")


def test_r6_several_topics_are_one_request_one_mail_and_one_confirmation(mailroom: Mailroom) -> None:
    anna = mailroom.guest()
    first, second = asked(mailroom, anna, "newsletter", "offers", wished=True)
    assert (first.why, second.why, first.message) == ("asked", "asked", second.message)
    assert held(mailroom, anna) == {"newsletter": "pending", "offers": "pending"}
    (mail,) = mails(mailroom)
    mailroom.gate()
    assert mailroom.message(mail.id).state == "ready"
    done = confirm(mailroom.session, anna.id, second.line or 0, PRESSED, mailroom.now + timedelta(hours=1))
    assert (done.outcome, sorted(done.about, key=str)) == (
        "confirmed",
        [("marketing", "newsletter"), ("marketing", "offers")],
    )
    assert held(mailroom, anna) == {"newsletter": "granted", "offers": "granted"}
    told = mailroom.session.scalars(select(Event.type).where(Event.type == "consent.granted")).all()
    assert len(told) == 2, "workflows hear of each topic"
    again = confirm(mailroom.session, anna.id, second.line or 0, PRESSED, mailroom.now + timedelta(hours=2))
    assert (again.outcome, again.lines) == ("already", ())


def test_r6_a_request_that_is_pending_is_not_made_twice(mailroom: Mailroom) -> None:
    anna = mailroom.guest()
    first = asked(mailroom, anna, wished=True)[0]
    mailroom.clock.advance(timedelta(days=1))
    assert asked(mailroom, anna, wished=True) == [Asked(first.line, None, "pending")]
    assert len(mails(mailroom)) == 1
    request = mailroom.session.scalars(select(ConsentRequest)).one()
    assert request.next_at == mailroom.now, "who signs up again has not found the mail: the one reminder goes now"


def test_r6_who_has_agreed_is_not_asked(mailroom: Mailroom) -> None:
    anna = mailroom.guest()
    mailroom.say(anna, topic="newsletter")
    assert [one.why for one in asked(mailroom, anna, "newsletter", "offers", wished=True)] == ["granted", "asked"]


@pytest.mark.parametrize("state", ["denied", "withdrawn"])
def test_r10_a_no_keeps_others_from_asking_for_180_days(mailroom: Mailroom, state: str) -> None:
    anna = mailroom.guest()
    mailroom.say(anna, state, topic="newsletter")
    mailroom.clock.advance(timedelta(days=179))
    assert asked(mailroom, anna)[0].why == "refused"
    assert mails(mailroom) == []
    mailroom.clock.advance(timedelta(days=2))
    assert asked(mailroom, anna)[0].why == "asked"


def test_r10_an_objection_keeps_others_from_asking_for_ever(mailroom: Mailroom) -> None:
    anna = mailroom.guest()
    mailroom.say(anna, "objected", topic=None)
    mailroom.clock.advance(timedelta(days=4000))
    assert asked(mailroom, anna)[0].why == "refused"


def test_r37_a_complaint_keeps_others_from_asking_for_ever(mailroom: Mailroom) -> None:
    anna = mailroom.guest()
    barred = ledger.Barred("email", anna.email_key or "", "complaint", "marketing")
    ledger.suppress(mailroom.session, [barred], mailroom.now)
    mailroom.clock.advance(timedelta(days=4000))
    assert asked(mailroom, anna)[0].why == "refused"


def test_r37_the_persons_own_wish_is_asked_once_without_a_reminder_and_lifts_the_bar(mailroom: Mailroom) -> None:
    anna = mailroom.guest()
    mailroom.say(anna, "objected", topic=None)
    address = anna.email_key or ""
    ledger.suppress(mailroom.session, [ledger.Barred("email", address, "unsubscribe", "marketing")], mailroom.now)
    mailroom.clock.advance(timedelta(days=1))
    found = asked(mailroom, anna, wished=True)[0]
    assert found.why == "asked"
    request = mailroom.session.scalars(select(ConsentRequest)).one()
    assert not request.reminder, "somebody else may have typed the address of a person who said no"
    mailroom.gate()
    assert [mail.state for mail in mails(mailroom)] == ["ready"]
    assert confirm(mailroom.session, anna.id, found.line or 0, PRESSED, mailroom.now).outcome == "confirmed"
    assert ledger.suppressed(mailroom.session, [("email", address)]) == {}
    assert held(mailroom, anna)["newsletter"] == "granted"


def test_r37_an_address_that_bounces_is_not_asked(mailroom: Mailroom) -> None:
    anna = mailroom.guest()
    ledger.suppress(mailroom.session, [ledger.Barred("email", anna.email_key or "", "hard_bounce")], mailroom.now)
    assert asked(mailroom, anna, wished=True)[0].why == "suppressed"


def test_r6_who_left_a_request_unanswered_is_not_asked_again_by_others(mailroom: Mailroom) -> None:
    anna = mailroom.guest()
    asked(mailroom, anna, wished=True)
    mailroom.clock.advance(timedelta(days=20))
    assert asked(mailroom, anna)[0].why == "unanswered"
    assert asked(mailroom, anna, wished=True)[0].why == "asked"


@pytest.mark.parametrize(
    ("contact", "why"),
    [
        ({"email": None}, "no_address"),
        ({"email": "x.1@guest.booking.com"}, "relay_address"),
        ({"attributes": {"birth_date": "2020-01-01"}}, "minor"),
    ],
)
def test_r12_r34_who_cannot_be_asked_is_not(mailroom: Mailroom, contact: dict[str, Any], why: str) -> None:
    assert asked(mailroom, mailroom.guest(**contact), wished=True)[0].why == why
    assert mails(mailroom) == []


def test_r6_an_objection_after_the_request_ends_it(mailroom: Mailroom) -> None:
    anna = mailroom.guest()
    found = asked(mailroom, anna, wished=True)[0]
    mailroom.clock.advance(timedelta(hours=1))
    mailroom.say(anna, "objected", topic=None)
    assert confirm(mailroom.session, anna.id, found.line or 0, PRESSED, mailroom.now).outcome == "refused"
    assert held(mailroom, anna)["newsletter"] == "objected"


def test_r6_the_link_ends_after_seven_days(mailroom: Mailroom) -> None:
    anna = mailroom.guest()
    found = asked(mailroom, anna, wished=True)[0]
    mailroom.clock.advance(timedelta(days=7, seconds=1))
    assert confirm(mailroom.session, anna.id, found.line or 0, PRESSED, mailroom.now).outcome == "expired"


def test_x11_the_link_of_a_contact_merged_since_confirms_for_whom_it_has_become(mailroom: Mailroom) -> None:
    anna, annette = mailroom.guest(), mailroom.guest()
    found = asked(mailroom, anna, wished=True)[0]
    address = anna.email_key or ""
    mailroom.clock.advance(timedelta(hours=1))
    merge(mailroom.session, annette.id, anna.id, "test", mailroom.now)
    done = confirm(mailroom.session, anna.id, found.line or 0, PRESSED, mailroom.now)
    assert (done.outcome, done.contact_id) == ("confirmed", annette.id)
    states = ledger.current(mailroom.session, [annette.id])[annette.id]
    assert words(states, address)["newsletter"] == "granted"


def test_asking_a_thousand_takes_as_many_queries_as_asking_one(mailroom: Mailroom, db: Database) -> None:
    people = [mailroom.guest() for _ in range(40)]
    asked(mailroom, people[0], wished=True)
    mailroom.clock.advance(timedelta(hours=1))
    statements: list[str] = []
    event.listen(db.engine, "before_cursor_execute", lambda *given: statements.append(given[2]))
    wishes = [Ask(contact_id=one.id, topic=topic, wished=True) for one in people for topic in ("newsletter", "offers")]
    answers = ask(mailroom.session, wishes, mailroom.now)
    assert len(statements) <= QUERIES, statements
    assert [one.why for one in answers[:2]] == ["pending", "asked"]
    assert {one.why for one in answers[2:]} == {"asked"}
    count = mailroom.session.execute(text("SELECT count(*) FROM consent_requests")).scalar_one()
    assert count == len(people) + 1


def test_r5_the_ledger_keeps_the_words_that_were_shown(mailroom: Mailroom) -> None:
    anna = mailroom.guest()
    ask(mailroom.session, [Ask(contact_id=anna.id, topic="newsletter", method="workflow")], mailroom.now)
    (line,) = mailroom.lines()
    shown = (line.proof["wording"], line.proof["wording_version"])
    assert shown == ("Sì, scrivetemi su: la newsletter.", f"{VERSION}-it")
