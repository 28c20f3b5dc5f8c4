"""What a step has go with its mail: the stay, and files of the template, from the workflow to the mailbox."""

from __future__ import annotations

import base64
from dataclasses import replace
from datetime import timedelta
from email.message import EmailMessage  # noqa: TID251 - the reader that ours is compared with
from pathlib import Path

import pytest

from app.content.catalogue import push, read_library
from app.journey.places import LanguageError
from app.messages import compose
from tests.enrollments.test_effects import enter, publish
from tests.hotel import Hotel

SHIPPED = Path(__file__).parents[2] / "email_templates"
RULES = b"%PDF-1.7\n" + bytes(range(256))
SOURCE = """\
workflow: under-test
name: { en: Under test, it: In prova }
phase: retention
class: transactional
entry:
  - on: booking.confirmed
key: booking.reference
follow: booking
steps:
  - id: hello
    send: booking-confirmation
    attachments: [ calendar, house-rules.pdf ]
    updated: booking-updated
  - { id: pause, wait: 60 days }
"""


def put_rules(hotel: Hotel, there: bool = True) -> None:
    """Publish the confirmation with a file, or without it."""
    library = read_library(SHIPPED)
    file = {"booking-confirmation/files/house-rules.pdf": base64.b64encode(RULES).decode()} if there else {}
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        push(
            session,
            replace(library, files={**library.files, **file}),
            hotel.clock.now(),
            names=["booking-confirmation"],
        )


def letters(hotel: Hotel) -> list[EmailMessage]:
    """The mails of the step, oldest first."""
    names = [one.message_id for one in hotel.messages(state="accepted", step_id="hello")]
    return [mail for mail in hotel.mails() if mail["Message-ID"] in names]


def calendar(mail: EmailMessage) -> dict[str, str]:
    """The properties of the entry that goes with a mail."""
    first = next(iter(mail.iter_attachments()))
    assert (first.get_filename(), first.get_content_type()) == ("calendar.ics", "text/calendar")
    text = first.get_content().replace("\r\n", "\n").replace("\n ", "")
    return dict(line.split(":", 1) for line in text.partition("BEGIN:VEVENT")[2].strip().split("\n"))


def test_the_stay_and_a_file_of_the_template_go_with_the_mail(hotel: Hotel) -> None:
    put_rules(hotel)
    publish(hotel, SOURCE)
    enter(hotel)
    (mail,) = letters(hotel)
    stay = calendar(mail)
    assert (stay["DTSTART;TZID=Europe/Rome"], stay["DTEND;TZID=Europe/Rome"]) == ("20260601T150000", "20260603T110000")
    assert [(one.get_filename(), one.get_content_type()) for one in mail.iter_attachments()][1:] == [
        ("house-rules.pdf", "application/pdf")
    ]
    assert list(mail.iter_attachments())[1].get_content() == RULES
    body = mail.get_body(("html",))
    assert body is not None
    assert "RS-1" in body.get_content()


def test_the_message_that_puts_it_right_replaces_the_entry(hotel: Hotel) -> None:
    put_rules(hotel)
    publish(hotel, SOURCE)
    enter(hotel)
    hotel.after(timedelta(hours=2))
    hotel.report("booking.modified", booking={"reference": "RS-1", "arrival": "2026-06-04", "departure": "2026-06-06"})
    hotel.after(timedelta(hours=2))
    first, second = letters(hotel)
    before, after = calendar(first), calendar(second)
    assert before["UID"] == after["UID"]
    assert int(before["SEQUENCE"]) < int(after["SEQUENCE"])
    assert after["DTSTART;TZID=Europe/Rome"] == "20260604T150000"
    assert [one.get_filename() for one in second.iter_attachments()] == ["calendar.ics"]


def test_a_mail_made_again_carries_what_it_carried_whatever_was_published_since(hotel: Hotel) -> None:
    put_rules(hotel)
    publish(hotel, SOURCE)
    enter(hotel)
    (mail,) = letters(hotel)
    put_rules(hotel, there=False)
    hotel.clock.advance(timedelta(days=1))
    (message,) = hotel.messages(state="accepted", step_id="hello")
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        made = compose.again(session, message)
    assert [(one.name, one.data) for one in made.attachments] == [
        (part.get_filename(), part.get_payload(decode=True)) for part in mail.iter_attachments()
    ]


def test_a_mail_goes_out_without_a_file_that_its_template_no_longer_has(hotel: Hotel) -> None:
    put_rules(hotel)
    publish(hotel, SOURCE)
    put_rules(hotel, there=False)
    enter(hotel)
    (mail,) = letters(hotel)
    assert [one.get_filename() for one in mail.iter_attachments()] == ["calendar.ics"]


def test_a_workflow_is_refused_while_its_template_is_published_without_the_file(hotel: Hotel) -> None:
    with pytest.raises(LanguageError) as refused:
        publish(hotel, SOURCE)
    (problem,) = refused.value.problems
    assert (problem.code, problem.line) == ("unknown-file", 12)
    assert problem.cure.startswith("put it into email_templates/booking-confirmation/files/")
