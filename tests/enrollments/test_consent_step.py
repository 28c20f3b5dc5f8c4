"""A workflow asks for consent: the mail with its button, the answer, and what becomes of who may not be asked."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, select

from app.consent.ledger import lock
from app.consent.models import ConsentRecord
from app.enrollments import advance, asking, enrol
from app.enrollments.models import Enrollment, StepVisit
from tests.enrollments.test_effects import codes, passages, publish
from tests.hotel import Hotel

SIGN_UP = """\
workflow: sign-up
name: { en: Sign-up, it: Iscrizione }
phase: awareness
class: marketing
entry:
  - on: custom.newsletter_wished
key: event.ticket
reenter: always
steps:
  - id: ask
    consent: { topic: newsletter, up_to: 7 days }
    then:
      - { id: welcome, send: guest-voices, topic: newsletter }
    timeout:
      - { id: quiet, exit: has not confirmed }
"""
WORDING = {"wording": "Sì.", "wording_version": "1"}


@pytest.fixture
def asked(hotel: Hotel) -> Hotel:
    publish(hotel, SIGN_UP)
    return hotel


def wish(hotel: Hotel, number: int = 1, who: str = "giulia", **contact: Any) -> None:
    person = {"external_id": who, "email": f"{who}@example.com", "language": "it", **contact}
    hotel.report("custom.newsletter_wished", contact=person, data={"ticket": f"w{number}"})
    hotel.work()


def button(hotel: Hotel, to: str = "giulia@example.com") -> str:
    """The path behind the button of the newest confirmation."""
    mail = [one for one in hotel.mails(to) if "/k/" in str(one.get_body(("plain",)))][-1]
    body = mail.get_body(("plain",))
    assert body is not None
    found = re.search(r"http://localhost(\S*/k/\S+)", body.get_content())
    assert found is not None
    return found[1]


def ledger(hotel: Hotel) -> list[tuple[str, str | None, str]]:
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        rows = session.scalars(select(ConsentRecord).order_by(ConsentRecord.line))
        return [(row.state, row.topic, row.method) for row in rows]


def templates(hotel: Hotel) -> list[str]:
    return [row.template for row in hotel.messages(state="accepted")]


def the_passage(hotel: Hotel) -> Enrollment:
    [row] = passages(hotel, "sign-up")
    return row


def reason(hotel: Hotel, row: Enrollment, code: str) -> Any:
    query = select(StepVisit.detail).where(StepVisit.enrollment_id == row.id, StepVisit.code == code)
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        return session.scalars(query).one()["inputs"]["reason"]


def test_the_button_of_the_mail_leads_on_and_pressing_twice_changes_nothing(asked: Hotel) -> None:
    wish(asked)
    assert templates(asked) == ["confirm-subscription"]
    assert ledger(asked) == [("pending", "newsletter", "workflow")]
    asked.after(timedelta(hours=3))
    path = button(asked)
    assert asked.client.get(path).status_code == 200
    asked.work()
    assert the_passage(asked).status == "active"
    for _ in range(2):
        assert asked.client.post(path).status_code == 200
        asked.work()
    assert ledger(asked)[1:] == [("granted", "newsletter", "workflow")]
    assert (the_passage(asked).status, the_passage(asked).end_reason) == ("finished", "finished")
    asked.after(timedelta(days=1))
    assert sorted(templates(asked)) == ["confirm-subscription", "newsletter-welcome"]
    # The passage has led on to its letter, which an event of a team's own has brought about: that is behaviour (R13).
    led = [(row.step_id, row.state, row.reason) for row in asked.messages(template="guest-voices")]
    assert led == [("welcome", "refused", "no_profiling")]


def test_the_mail_that_asks_is_told_with_its_passage(asked: Hotel) -> None:
    wish(asked)
    [mail] = asked.messages(template="confirm-subscription")
    row = the_passage(asked)
    assert (mail.enrollment_id, mail.step_id, mail.class_) == (row.id, "ask", "consent_request")
    assert codes(asked, row) == ["entered", "asked"]


def test_r6_who_never_answers_is_reminded_once_at_most_and_times_out(asked: Hotel) -> None:
    wish(asked)
    asked.after(timedelta(days=8))
    row = the_passage(asked)
    assert (row.status, row.end_reason) == ("exited", "has not confirmed")
    assert codes(asked, row)[-2:] == ["timeout", "exited"]
    assert set(templates(asked)) == {"confirm-subscription"}
    assert 1 <= len(templates(asked)) <= 2


def test_r6_two_workflows_that_ask_send_one_mail_and_one_button_answers_both(asked: Hotel) -> None:
    wish(asked, 1)
    wish(asked, 2)
    assert templates(asked) == ["confirm-subscription"]
    assert asked.client.post(button(asked)).status_code == 200
    asked.work()
    assert [row.status for row in passages(asked, "sign-up")] == ["finished", "finished"]


def test_who_has_given_consent_goes_on_at_once(asked: Hotel) -> None:
    wish(asked)
    asked.client.post(button(asked))
    asked.work()
    wish(asked, 2)
    again = passages(asked, "sign-up")[-1]
    assert (again.status, codes(asked, again)[1]) == ("finished", "heard")
    assert templates(asked).count("confirm-subscription") == 1


def test_r10_who_said_no_is_not_asked_for_180_days_and_then_again(asked: Hotel) -> None:
    wish(asked)
    asked.client.post(button(asked))
    asked.work()
    person = {"external_id": "giulia", "email": "giulia@example.com"}
    asked.report("consent.withdrawn", contact=person, data={"topic": "newsletter"})
    asked.work()
    wish(asked, 2)
    refused = passages(asked, "sign-up")[-1]
    assert (refused.status, refused.end_reason) == ("exited", "has not confirmed")
    assert reason(asked, refused, "not_asked") == "refused"
    assert templates(asked).count("confirm-subscription") == 1
    asked.after(timedelta(days=181))
    wish(asked, 3)
    assert passages(asked, "sign-up")[-1].status == "active"
    assert templates(asked).count("confirm-subscription") == 2


def test_a_no_while_it_waits_ends_the_waiting(asked: Hotel) -> None:
    wish(asked)
    person = {"external_id": "giulia", "email": "giulia@example.com"}
    asked.after(timedelta(hours=1))
    asked.report("consent.withdrawn", contact=person, data={"topic": "newsletter"})
    asked.work()
    assert the_passage(asked).end_reason == "has not confirmed"
    assert "said_no" in codes(asked, the_passage(asked))


def test_who_has_no_address_is_not_asked(asked: Hotel) -> None:
    wish(asked, email=None)
    row = the_passage(asked)
    assert (row.end_reason, reason(asked, row, "not_asked")) == ("has not confirmed", "no_address")
    assert templates(asked) == []


def test_a_yes_reported_by_another_system_is_an_answer_too(asked: Hotel) -> None:
    wish(asked)
    asked.after(timedelta(hours=1))
    given = {"topic": "newsletter", "confirmed_at": asked.clock.now().isoformat(), **WORDING}
    asked.report("consent.granted", data=given)
    asked.work()
    assert the_passage(asked).status == "finished"


def test_while_somebody_writes_the_ledger_the_others_go_on_and_nobody_waits_in_a_circle(asked: Hotel) -> None:
    person = {"external_id": "giulia", "email": "giulia@example.com"}
    asked.report("custom.newsletter_wished", contact=person, data={"ticket": "w1"})
    workspace, now = asked.loaded.workspace_id, asked.clock.now()
    from_recording = asked.house.database
    with from_recording.work(workspace) as session:
        enrol.run(session, now, 500)
    with from_recording.work(workspace) as other:
        lock(other)
        with from_recording.work(workspace) as session:
            assert advance.run(session, now, 500).done == 1
        assert the_passage(asked).state["step_id"] == "ask"
        assert ledger(asked) == []
    asked.work()
    assert ledger(asked) == [("pending", "newsletter", "workflow")]


def test_a_batch_asks_in_a_fixed_number_of_queries(asked: Hotel) -> None:
    assert statements(asked, 2) == statements(asked, 12) <= advance.QUERIES
    assert asking.QUERIES < advance.QUERIES


def statements(hotel: Hotel, people: int) -> int:
    """How many a batch takes in which so many people are asked."""
    now, said = hotel.clock.now(), []
    for number in range(people):
        person = {"external_id": f"p{people}-{number}", "email": f"p{people}-{number}@example.com"}
        hotel.report("custom.newsletter_wished", contact=person, data={"ticket": f"{people}-{number}"})
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        enrol.run(session, now, 500)
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        event.listen(session.connection(), "before_cursor_execute", lambda *given: said.append(given[2]))
        advance.run(session, now, 500)
    hotel.work()
    return len(said)
