"""From a filled form to the welcome letter, and to nothing left of who never confirmed (J01, J02, R6)."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from email.message import EmailMessage  # noqa: TID251 - reading, not writing

import pytest
from sqlalchemy import select, text

from app.consent.models import ConsentRecord
from app.contacts.models import Contact
from app.signup import document as documents
from app.signup import forms
from app.signup.models import SignupForm
from tests.hotel import Hotel

FILLED = {"notice": "yes", "newsletter": "yes", "topic": "newsletter", "language": "it", "version": "1"}


@pytest.fixture
def way(hotel: Hotel) -> str:
    """The address of the hotel's form."""
    hotel.house.redis.flushall()
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        return "/f/" + session.scalars(select(SignupForm.public_id)).one()


def send(hotel: Hotel, way: str, email: str, **changes: str) -> None:
    """Send the form, and let the house deal with it."""
    answer = hotel.client.post(way, data=FILLED | {"email": email} | changes)
    assert (answer.status_code, answer.headers["Location"].partition("?")[0]) == (303, f"{way}/thanks")
    hotel.work()


def link_in(mail: EmailMessage) -> str:
    """The confirmation link."""
    body = mail.get_body(("plain",))
    assert body is not None
    found = re.search(r"http://localhost(/m/k/\S+)", body.get_content())
    assert found is not None
    return found[1]


def test_r6_a_sign_up_is_confirmed_from_the_mailbox_and_welcomed(hotel: Hotel, way: str) -> None:
    send(hotel, way, "giulia@example.com", first_name="Giulia")
    (mail,) = hotel.mails("giulia@example.com")
    assert "List-Unsubscribe" not in mail, "it is no mail of a list"
    assert "Giulia" not in mail.as_string(), "the mailbox has not spoken: the name may be anybody's"
    link = link_in(mail)
    for _ in range(2):
        assert "Confermi la Sua iscrizione" in hotel.client.get(link).text
        assert hotel.client.head(link).status_code == 200
    hotel.after(timedelta(minutes=5))
    assert len(hotel.mails("giulia@example.com")) == 1, "looking at the page confirms nothing"
    page = hotel.client.post(link).text
    assert "Grazie, iscrizione confermata" in page
    assert "Lettere dal lago" in page
    preferences = re.search(r'href="http://localhost(/m/p/[^"]+)"', page)
    assert preferences is not None
    assert hotel.client.get(preferences[1]).status_code == 200
    hotel.after(timedelta(hours=1))
    assert [template for template, _ in hotel.sent()] == ["confirm-subscription", "newsletter-welcome"]
    welcome = hotel.mails("giulia@example.com")[1]
    assert "Giulia" in str(welcome["To"])
    hotel.after(timedelta(days=3))
    assert [template for template, _ in hotel.sent()].count("confirm-subscription") == 1, "no reminder to who confirmed"


@pytest.mark.parametrize(
    ("language", "tracking", "profiling"),
    [
        ("en", "seeing which of our mails you open", "choosing what we write to you"),
        ("it", "il controllo di quali nostre e-mail apre", "la scelta di che cosa scriverLe"),
    ],
)
def test_r3_r14_mail_and_page_name_what_was_ticked_and_each_is_confirmed_by_itself(
    hotel: Hotel, way: str, language: str, tracking: str, profiling: str
) -> None:
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        form = session.scalars(select(SignupForm)).one()
        wide = replace(documents.read(form.draft), purposes=("profiling", "open_tracking"), age=True)
        forms.save(form, wide, hotel.house.clock.now())
        number = forms.publish(session, form, "Marta", hotel.house.clock.now())
    ticked = {"version": str(number), "purpose": "open_tracking", "language": language}
    send(hotel, way, "giulia@example.com", **ticked, age="child", guardian="Bruno Bianchi")
    (mail,) = hotel.mails("giulia@example.com")
    link = link_in(mail)
    title = {"en": "Letters from the lake", "it": "Lettere dal lago"}[language]
    shown = [body.get_content() for kind in ("plain", "html") if (body := mail.get_body((kind,))) is not None]
    shown.append(hotel.client.get(link + "?lang=" + language).text)
    assert len(shown) == 3
    for text_ in shown:
        assert title in text_
        assert tracking in text_
        assert profiling not in text_, "nobody ticked it"
    assert tracking in hotel.client.post(link + "?lang=" + language).text
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        granted = select(ConsentRecord).where(ConsentRecord.state == "granted", ConsentRecord.purpose != "notice")
        found = {
            (one.purpose, one.topic): (one.proof["wording"], one.proof["guardian"])
            for one in session.scalars(granted.where(ConsentRecord.address == "giulia@example.com"))
        }
    assert found == {
        ("marketing", "newsletter"): (wide.say("yes", language), "Bruno Bianchi"),
        ("open_tracking", None): (wide.say("open_tracking", language), "Bruno Bianchi"),
    }


def test_r6_a_sign_up_reported_by_a_shop_is_asked_for_once_and_confirmed_from_the_mailbox(hotel: Hotel) -> None:
    yes = {
        "topic": "newsletter",
        "method": "web",
        "wording": "Sì, scrivetemi.",
        "wording_version": "shop-3",
        "ask": True,
    }
    for _ in range(2):
        told = hotel.report("consent.granted", contact={"email": "carla@example.com", "language": "it"}, data=yes)
        assert told["status"] == "accepted"
        hotel.work()
    (mail,) = hotel.mails("carla@example.com")
    link = link_in(mail)
    assert "Sì, scrivetemi." in hotel.client.get(link).text
    assert "Grazie, iscrizione confermata" in hotel.client.post(link).text
    hotel.after(timedelta(hours=1))
    assert [template for template, _ in hotel.sent()] == ["confirm-subscription", "newsletter-welcome"]


def test_r6_who_never_confirms_is_reminded_once_and_gone_after_thirty_days(hotel: Hotel, way: str) -> None:
    send(hotel, way, "nobody@example.com", first_name="Nobody")
    hotel.after(timedelta(days=31))
    assert [template for template, _ in hotel.sent()] == ["confirm-subscription"] * 2
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        assert session.scalars(select(Contact.email).where(Contact.erased_at.is_(None))).all() == []
        states = session.execute(
            text("SELECT state FROM consent_records WHERE purpose = 'marketing' AND topic = 'newsletter' ORDER BY line")
        ).scalars()
        assert list(states)[:2] == ["pending", "expired"]
        assert session.execute(text("SELECT count(*) FROM signup_submissions")).scalar_one() == 0
    send(hotel, way, "nobody@example.com")
    assert len(hotel.mails("nobody@example.com")) == 1, "who was forgotten may begin anew"


def test_r4_no_grazie_leads_to_no_mail_at_all(hotel: Hotel, way: str) -> None:
    send(hotel, way, "giulia@example.com", newsletter="no")
    hotel.after(timedelta(days=10))
    assert hotel.mails("giulia@example.com") == []


def test_r7_a_no_on_a_form_ends_the_newsletter_of_who_had_it_and_no_service_mail(hotel: Hotel, way: str) -> None:
    send(hotel, way, "giulia@example.com")
    hotel.client.post(link_in(hotel.mails("giulia@example.com")[0]))
    hotel.after(timedelta(hours=1))
    send(hotel, way, "giulia@example.com", newsletter="no")
    stay = {"reference": "RS-1", "arrival": "2026-03-20", "departure": "2026-03-22", "amount": 20000}
    hotel.report("booking.confirmed", booking=stay | {"property": "riva-serena"})
    hotel.after(timedelta(days=4))
    assert [template for template, _ in hotel.sent()] == [
        "confirm-subscription",
        "newsletter-welcome",
        "booking-confirmation",
    ]
