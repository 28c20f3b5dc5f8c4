"""What becomes of a filled form: lines, one mail, one reminder, an end, deletion (R4-R6, R8, R10)."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import event, select, text

from app.consent.models import ConsentRecord, ConsentRequest
from app.db import Database
from app.events.models import Event
from app.messages import asking, confirming
from app.messages.voices import Voice
from app.signup import ending, taking
from app.signup.receiving import Where
from tests.signup.conftest import Hall

PRESSED = Voice("confirm_page", "it", "/m/k")


def confirm(hall: Hall, address: str) -> confirming.Confirmed:
    """Press the button of the mail."""
    contact = hall.contact(address)
    lines = hall.session.scalars(
        select(ConsentRecord.line).where(ConsentRecord.contact_id == contact.id, ConsentRecord.state == "pending")
    ).all()
    done = confirming.confirm(hall.session, contact.id, lines[-1], PRESSED, hall.room.now)
    taking.confirmed(hall.session, done.contact_id, done.asked, hall.room.now)
    return done


def test_j01_a_sign_up_is_pending_gets_one_mail_and_tells_the_log(hall: Hall) -> None:
    hall.fill("Anna@Example.com")
    hall.work()
    assert hall.held("anna@example.com") == {"newsletter": "pending"}
    (mail,) = hall.mails("anna@example.com")
    assert (mail.template, mail.topic, mail.property_id) == ("confirm-subscription", "newsletter", hall.room.hotel.id)
    hall.session.execute(text("DELETE FROM event_work"))  # the entry rules have looked at what was sent in
    hall.room.gate()
    assert hall.room.message(mail.id).state == "ready"
    told = hall.session.scalars(select(Event).where(Event.type == "form.submitted")).one()
    assert (told.data["form"], told.data["newsletter"]) == (hall.form.public_id, True)
    assert hall.contact("anna@example.com").language == "it"


def test_r5_the_line_names_the_form_its_version_and_the_words(hall: Hall) -> None:
    hall.fill("anna@example.com")
    hall.work()
    line = hall.session.scalars(select(ConsentRecord).where(ConsentRecord.state == "pending")).one()
    assert line.proof["wording"] == "Sì, desidero ricevere la newsletter."
    assert line.proof["wording_version"] == f"form-{hall.form.public_id}-1-it"
    assert (line.proof["notice_version"], len(line.proof["notice_hash"])) == ("2026-05", 64)
    assert (line.proof["ip"], line.proof["user_agent"], line.proof["page"]) == ("203.0.113.7", "Mozilla", "/f/x")
    assert line.proof["controller"] == "Riva Serena S.n.c."
    assert "first_name" not in line.proof


def test_r6_one_reminder_after_two_days_then_the_end_as_a_line_of_its_own(hall: Hall) -> None:
    hall.fill("anna@example.com")
    hall.work()
    asked = hall.room.now
    hall.later(days=1, hours=23)
    assert len(hall.mails("anna@example.com")) == 1
    hall.later(hours=2)
    assert len(hall.mails("anna@example.com")) == 2
    hall.later(days=4)
    assert len(hall.mails("anna@example.com")) == 2, "one reminder at most"
    hall.later(days=2)
    assert len(hall.mails("anna@example.com")) == 2
    assert hall.held("anna@example.com")["newsletter"] == "expired"
    line = hall.session.scalars(select(ConsentRecord).where(ConsentRecord.state == "expired")).one()
    assert (line.previous_state, line.requested_at) == ("pending", asked + timedelta(days=7))


def test_r6_who_was_away_for_a_week_is_not_reminded_of_what_is_over(hall: Hall) -> None:
    hall.fill("anna@example.com")
    hall.work()
    hall.later(days=8)
    assert len(hall.mails("anna@example.com")) == 1
    assert hall.held("anna@example.com")["newsletter"] == "expired"


def test_r6_unconfirmed_people_are_deleted_after_thirty_days(hall: Hall) -> None:
    hall.fill("anna@example.com")
    hall.work()
    hall.later(days=8)
    assert hall.count("signup_submissions") == 0, "what was typed beside the address goes with its link"
    hall.later(days=21)
    assert hall.erased == []
    hall.later(days=2)
    assert hall.erased == [hall.contact("anna@example.com").id]


def test_r6_who_is_known_by_something_else_is_not_deleted(hall: Hall) -> None:
    guest = hall.room.guest(external_id="pms-1")
    visitor = hall.room.guest(external_id=None)
    hall.room.make.booking(visitor)
    for contact in (guest, visitor):
        hall.fill(contact.email or "")
    hall.work()
    hall.later(days=8)
    hall.later(days=30)
    assert hall.erased == []


def test_confirmed_the_reminder_does_not_come_and_the_typed_name_becomes_the_persons(hall: Hall) -> None:
    known = hall.room.guest(first_name="Anna", language="de")
    address = known.email or ""
    hall.fill(address, first_name="Buy at evil.example")
    hall.work()
    contact = hall.contact(address)
    assert (contact.first_name, contact.language) == ("Anna", "de"), "the mailbox has not spoken yet"
    hall.room.clock.advance(timedelta(hours=1))
    assert confirm(hall, address).outcome == "confirmed"
    contact = hall.contact(address)
    assert (contact.first_name, contact.language) == ("Buy at evil.example", "it")
    hall.later(days=3)
    assert len(hall.mails(address)) == 1
    hall.session.refresh(hall.form)
    assert (hall.form.said_yes, hall.form.confirmed) == (1, 1)


def test_r4_no_grazie_is_recorded_and_nobody_is_written_to(hall: Hall) -> None:
    hall.fill("anna@example.com", newsletter=False)
    hall.work()
    assert hall.held("anna@example.com") == {"newsletter": "denied"}
    assert hall.mails("anna@example.com") == []
    line = hall.session.scalars(select(ConsentRecord).where(ConsentRecord.state == "denied")).one()
    assert line.proof["wording"] == "No grazie, non voglio ricevere la newsletter."
    hall.session.refresh(hall.form)
    assert (hall.form.said_yes, hall.form.said_no) == (0, 1)


def test_r10_no_grazie_holds_for_180_days_against_all_but_the_person(hall: Hall) -> None:
    hall.fill("anna@example.com", newsletter=False)
    hall.work()
    anna = hall.contact("anna@example.com")
    hall.room.clock.advance(timedelta(days=100))
    wish = asking.Ask(contact_id=anna.id, topic="newsletter", method="workflow")
    assert asking.ask(hall.session, [wish], hall.room.now)[0].why == "refused"
    hall.fill("anna@example.com")
    hall.work()
    assert len(hall.mails("anna@example.com")) == 1, "her own new sign-up is asked for, once"
    hall.later(days=3)
    assert len(hall.mails("anna@example.com")) == 1, "and not reminded of: it may have been somebody else"


def test_r4_who_is_here_only_by_a_no_is_forgotten_when_it_no_longer_holds(hall: Hall) -> None:
    hall.fill("anna@example.com", newsletter=False)
    hall.work()
    hall.later(days=179)
    assert hall.erased == []
    hall.later(days=2)
    assert hall.erased == [hall.contact("anna@example.com").id]


def test_r8_a_form_gives_no_ground_for_a_soft_opt_in(hall: Hall) -> None:
    guest = hall.room.guest()
    hall.room.make.booking(guest, amount=10_000)
    hall.fill(guest.email or "")
    hall.work()
    line = hall.session.scalars(select(ConsentRecord).where(ConsentRecord.purpose == "notice")).one()
    assert "refusal_offered" not in line.proof


def test_a_no_and_a_yes_in_one_batch_count_in_their_order(hall: Hall) -> None:
    hall.fill("anna@example.com", newsletter=False)
    hall.fill("anna@example.com")
    hall.fill("bruno@example.com")
    hall.fill("bruno@example.com", newsletter=False)
    hall.work()
    assert hall.held("anna@example.com")["newsletter"] == "pending"
    assert hall.held("bruno@example.com")["newsletter"] == "denied"


def test_r6_at_a_desk_the_operator_is_kept_and_the_mailbox_is_asked_all_the_same(hall: Hall) -> None:
    desk = Where("/desk", method="paper", operator_id=7, scan_id="sheet-12")
    hall.fill("anna@example.com", where=desk)
    hall.work()
    line = hall.session.scalars(select(ConsentRecord).where(ConsentRecord.purpose == "marketing")).one()
    assert (line.state, line.method, line.proof["operator_id"], line.proof["scan_id"]) == (
        "pending",
        "paper",
        7,
        "sheet-12",
    )
    assert len(hall.mails("anna@example.com")) == 1


def test_many_take_as_many_queries_as_one(hall: Hall, db: Database) -> None:
    for number in range(30):
        hall.fill(f"person{number}@example.com", newsletter=number % 3 > 0)
    statements: list[str] = []
    event.listen(db.engine, "before_cursor_execute", lambda *given: statements.append(given[2]))
    assert taking.take(hall.session, hall.room.now, 500) == 30
    assert len(statements) <= taking.QUERIES, len(statements)
    requests = hall.session.scalars(select(ConsentRequest).where(ConsentRequest.state == "pending")).all()
    assert len(requests) == 20


def test_many_requests_end_in_as_many_queries_as_one(hall: Hall, db: Database) -> None:
    for number in range(20):
        hall.fill(f"person{number}@example.com")
    hall.work()
    hall.room.clock.advance(timedelta(days=2, minutes=1))
    statements: list[str] = []
    event.listen(db.engine, "before_cursor_execute", lambda *given: statements.append(given[2]))
    assert ending.remind_and_end(hall.session, hall.room.now, 500) == 20
    hall.room.clock.advance(timedelta(days=6))
    assert ending.remind_and_end(hall.session, hall.room.now, 500) == 20
    assert len(statements) <= 2 * ending.QUERIES, len(statements)
