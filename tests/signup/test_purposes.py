"""What a form asks for besides the newsletter, each by itself; and children, for whom a parent says yes (R3, R12)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select, text

from app.consent.models import ConsentRecord
from app.messages import confirming
from app.messages.models import Message
from app.messages.voices import Voice
from app.signup import forms
from app.signup.models import Submission
from tests.signup.conftest import DOCUMENT, Hall

PRESSED = Voice("confirm_page", "it", "/m/k")
WIDE = replace(DOCUMENT, purposes=("profiling", "open_tracking", "feedback"), age=True)


@pytest.fixture
def wide(hall: Hall) -> Hall:
    """The hotel's hall; its form asks for everything a form can ask for."""
    forms.save(hall.form, WIDE, hall.room.now)
    forms.publish(hall.session, hall.form, "Marta", hall.room.now)
    hall.session.flush()
    return hall


def lines(hall: Hall, state: str) -> list[ConsentRecord]:
    """Lines of the ledger about consents, in this state."""
    found = select(ConsentRecord).where(ConsentRecord.state == state, ConsentRecord.purpose != "notice")
    return list(hall.session.scalars(found.order_by(ConsentRecord.line)))


def press(hall: Hall, number: int = 0) -> confirming.Confirmed:
    """Press the button of the mail that asked for these lines."""
    first = lines(hall, "pending")[number]
    return confirming.confirm(hall.session, first.contact_id, first.line, PRESSED, hall.room.now)


def judged(hall: Hall, number: int) -> Message:
    """A message after the gate has looked, and the entry rules before it."""
    hall.session.execute(text("DELETE FROM event_work"))
    hall.room.gate()
    return hall.room.message(number)


def test_r3_each_purpose_is_a_line_with_its_own_words_and_one_mail_confirms_what_was_ticked(wide: Hall) -> None:
    wide.fill("anna@example.com", purposes=("profiling", "open_tracking"))
    wide.work()
    assert wide.held("anna@example.com") == dict.fromkeys(("newsletter", "profiling", "open_tracking"), "pending")
    words = {(one.purpose, one.topic): one.proof["wording"] for one in lines(wide, "pending")}
    assert words == {
        ("marketing", "newsletter"): WIDE.say("yes", "it"),
        ("profiling", None): WIDE.say("profiling", "it"),
        ("open_tracking", None): WIDE.say("open_tracking", "it"),
    }
    assert len(wide.mails("anna@example.com")) == 1
    assert press(wide).about == (("marketing", "newsletter"), ("profiling", None), ("open_tracking", None))
    assert wide.held("anna@example.com") == dict.fromkeys(("newsletter", "profiling", "open_tracking"), "granted")


def test_r3_who_refuses_the_newsletter_may_still_agree_to_something_else(wide: Hall) -> None:
    wide.fill("anna@example.com", newsletter=False, purposes=("feedback",))
    wide.work()
    assert wide.held("anna@example.com") == {"newsletter": "denied", "feedback": "pending"}
    assert judged(wide, wide.mails("anna@example.com")[0].id).state == "ready"
    assert press(wide).outcome == "confirmed"
    assert wide.held("anna@example.com") == {"newsletter": "denied", "feedback": "granted"}


def test_r6_all_that_nobody_confirms_ends_and_is_reminded_of_once(wide: Hall) -> None:
    wide.fill("anna@example.com", purposes=("profiling",))
    wide.work()
    wide.later(days=3)
    assert len(wide.mails("anna@example.com")) == 2
    wide.later(days=5)
    assert wide.held("anna@example.com") == {"newsletter": "expired", "profiling": "expired"}
    assert press(wide).outcome == "expired"


def test_r4_a_no_typed_beside_a_yes_to_something_else_holds_for_180_days(wide: Hall) -> None:
    wide.fill("anna@example.com", newsletter=False, purposes=("feedback",))
    wide.work()
    for _ in range(2):
        wide.later(days=40)
    assert wide.erased == []
    wide.later(days=101)
    assert wide.erased == [wide.contact("anna@example.com").id]


def test_r12_the_line_names_the_parent_and_a_known_child_gets_no_marketing_before_fourteen(wide: Hall) -> None:
    birthday = wide.room.now.date().replace(year=wide.room.now.year - 14) + timedelta(days=3)
    child = wide.room.guest(attributes={"birth_date": birthday.isoformat()})
    address = child.email or ""
    wide.fill(address)
    wide.work()
    assert "newsletter" not in wide.held(address), "a child's own yes is not asked for"
    wide.fill(address, guardian="Bruno Bianchi")
    wide.work()
    assert judged(wide, wide.mails(address)[0].id).state == "ready"
    assert press(wide).outcome == "confirmed"
    assert {one.proof.get("guardian") for one in lines(wide, "granted")} == {"Bruno Bianchi"}
    early = judged(wide, wide.room.plan(child, topic="newsletter"))
    assert (early.state, early.reason, early.rule) == ("refused", "minor", "R12")
    wide.room.clock.advance(timedelta(days=4))
    late = judged(wide, wide.room.plan(child, topic="newsletter"))
    assert late.state in {"ready", "deferred"}, "the parent's yes holds beyond the birthday"


def test_r53_what_only_the_ledger_needs_is_not_kept_with_the_submission(wide: Hall) -> None:
    wide.fill("anna@example.com", first_name="Anna", guardian="Bruno Bianchi")
    wide.work()
    wide.session.expire_all()
    row = wide.session.scalars(select(Submission)).one()
    assert row.given == {"first_name": "Anna"}
    (line,) = lines(wide, "pending")
    assert (line.proof["ip"], line.proof["guardian"]) == ("203.0.113.7", "Bruno Bianchi")
