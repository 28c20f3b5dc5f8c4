"""How often, what we know of somebody, taking it out and being erased: from a link, by the person alone."""

from __future__ import annotations

import io
import re
import zipfile
from datetime import timedelta

import pytest
from sqlalchemy import select, text

from app.contacts.models import Contact
from app.content.catalogue import Library, push
from app.messages.models import Message
from app.rights import requests
from app.rights.models import RightsRequest
from tests.messages.mailroom import _BODY
from tests.subscriber.conftest import Reader


def publish(reader: Reader) -> None:
    """The mails of rights, in as few words as will do."""
    files = {"_layouts/bare.mjml": '<mjml><mj-body><mj-include path="content" /></mj-body></mjml>'}
    for name in ("data-link", "erasure-link", "data-receipt", "erasure-receipt"):
        link = name.endswith("link")
        field = 'event.link: {type: url, sample: "https://x.example"}' if link else ""
        files[f"{name}/template.yaml"] = (
            f"template: {name}\nname: {{en: x, it: x}}\ndescription: {{en: x, it: x}}\nphase: retention\n"
            f"class: transactional\nlayout: bare\nfields: {{{field}}}\n"
        )
        files[f"{name}/body.mjml"] = _BODY.format(inner='<a href="{{ event.link }}">x</a>' if link else name)
        for language in ("en", "it"):
            files[f"{name}/texts.{language}.yaml"] = "subject: x\npreheader: x\n"
    with reader.work() as session:
        changes = push(session, Library(files, frozenset()), reader.clock.now())
        assert all(not change.problems for change in changes), changes


def contact(reader: Reader) -> Contact:
    with reader.work() as session:
        return session.scalars(select(Contact).where(Contact.id == reader.contact_id)).one()


def asked(reader: Reader) -> list[RightsRequest]:
    with reader.work() as session:
        return list(session.scalars(select(RightsRequest).order_by(RightsRequest.id)))


def ask(reader: Reader, want: str) -> str:
    """Press the button of the preference centre; the path of the link that goes out."""
    answer = reader.client.post(f"{reader.path('preferences')}/data", data={"want": want})
    assert answer.status_code == 200
    with reader.work() as session:
        facts = session.scalars(select(Message.facts).order_by(Message.id.desc()).limit(1)).one()
    return str((facts or {}).get("event", {}).get("link", "")).removeprefix("http://localhost")


# -- how often ---------------------------------------------------------------------------------------------------------


def save(reader: Reader, pace: str, **more: str) -> str:
    form = {"action": "save", "language": "it", "topic.offers": "on", "pace": pace, **more}
    return reader.post("preferences", form).text


def test_r46_once_a_month_and_a_pause_are_kept_and_said(reader: Reader) -> None:
    assert "al massimo una volta al mese" in save(reader, "monthly")
    assert contact(reader).pace == "monthly"
    page = save(reader, "pause")
    until = reader.clock.now() + timedelta(days=30)
    assert (contact(reader).pace, contact(reader).paused_until) == ("monthly", until)
    assert "Non arriva nulla prima del" in page
    assert "In pausa fino al" in reader.get("preferences").text
    reader.clock.advance(timedelta(days=5))
    assert "Non è cambiato nulla" in save(reader, "pause")
    assert contact(reader).paused_until == until, "a pause that runs is not begun anew"
    save(reader, "normal")
    assert (contact(reader).pace, contact(reader).paused_until) == (None, None)


def test_r46_a_pause_holds_at_the_gate_and_service_goes(reader: Reader) -> None:
    save(reader, "pause")
    with reader.mailroom() as room:
        room.session.execute(text("DELETE FROM event_work"))
        anna = room.session.scalars(select(Contact).where(Contact.id == reader.contact_id)).one()
        offer, note = room.plan(anna), room.plan(anna, "note")
        room.gate()
        assert (room.message(offer).state, room.message(offer).reason) == ("refused", "own_pause")
        assert room.message(note).state == "ready"


def test_how_often_and_language_are_undone_with_one_press(reader: Reader) -> None:
    page = save(reader, "monthly", language="en")
    assert (contact(reader).pace, contact(reader).language) == ("monthly", "en")
    form = re.search(r'<form method="post" action="http://localhost(/m/z/[^"?]+).*?</form>', page, re.DOTALL)
    assert form is not None
    fields = dict(re.findall(r'name="(\w+)" value="(\w*)"', form[0]))
    assert reader.client.post(form[1], data=fields).status_code == 200
    assert (contact(reader).pace, contact(reader).language) == (None, "it")


def test_every_change_says_what_will_and_will_not_be_sent(reader: Reader) -> None:
    page = save(reader, "normal")
    will = re.search(r"D&#39;ora in poi riceve:</p>\s*<ul>(.*?)</ul>", page, re.DOTALL)
    will_not = re.search(r"Non riceve:</p>\s*<ul>(.*?)</ul>", page, re.DOTALL)
    assert will is not None
    assert will_not is not None
    assert "le offerte" in will[1]
    assert "messaggi sulle Sue prenotazioni" in will[1]
    assert "la newsletter" in will_not[1]


# -- what we know, and taking it out -----------------------------------------------------------------------------------


def test_r50_the_page_of_the_mail_shows_no_name_and_no_stay(reader: Reader) -> None:
    page = reader.client.get(f"{reader.path('preferences')}/data").text
    assert "Anna" not in page.replace("Annamaria", "")
    assert reader.address not in page
    assert "le offerte: sì" in page


def test_r50_taking_data_out_needs_the_persons_own_mailbox_and_works_once(reader: Reader) -> None:
    publish(reader)
    path = ask(reader, "export")
    assert reader.client.get(path).status_code == 200
    assert [one.state for one in asked(reader)] == ["asked"], "looking spends nothing: scanners follow links"
    answer = reader.client.post(path)
    assert answer.headers["Content-Type"] == "application/zip"
    files = zipfile.ZipFile(io.BytesIO(answer.data))
    assert reader.address in files.read("data.json").decode()
    assert [(one.state, one.identity) for one in asked(reader)] == [("done", "mailbox")]
    assert reader.client.post(path).status_code == 410
    assert reader.client.get(path).status_code == 410
    with reader.work() as session:
        assert session.scalars(select(Message.template).order_by(Message.id)).all()[1:] == ["data-link", "data-receipt"]


def test_r50_days_are_written_as_people_write_them(reader: Reader) -> None:
    publish(reader)
    save(reader, "pause")
    page = reader.client.get(ask(reader, "export")).text
    assert re.search(r"<dt>In pausa fino a</dt><dd>9 aprile 2026</dd>", page), page


def test_r50_a_link_ends_after_two_hours_and_when_another_is_asked_for(reader: Reader) -> None:
    publish(reader)
    first = ask(reader, "export")
    assert ask(reader, "export") == first, "pressing twice sends one mail"
    reader.clock.advance(timedelta(minutes=11))
    second = ask(reader, "export")
    assert second != first
    assert reader.client.get(first).status_code == 410
    reader.clock.advance(timedelta(hours=2, seconds=1))
    assert reader.client.post(second).status_code == 410


def test_r50_without_a_template_the_team_has_the_request_and_a_month(reader: Reader) -> None:
    answer = reader.client.post(f"{reader.path('preferences')}/data", data={"want": "export"})
    assert "Una persona Le risponderà entro il 10 aprile 2026" in answer.text
    with reader.work() as session:
        assert [one.answer_by.isoformat()[:10] for one in requests.waiting(session)] == ["2026-04-10"]


# -- erasure -----------------------------------------------------------------------------------------------------------


def test_r51_erasing_oneself_stops_all_at_once_and_erases_when_the_receipt_has_left(reader: Reader) -> None:
    publish(reader)
    with reader.mailroom() as room:
        anna = room.session.scalars(select(Contact).where(Contact.id == reader.contact_id)).one()
        offer, note = room.plan(anna), room.plan(anna, "note")
    path = ask(reader, "erasure")
    assert reader.client.post(path, data={}).status_code == 400, "not without saying that one is sure"
    page = reader.client.post(path, data={"sure": "yes"}).text
    assert "Ricevuta" in page
    with reader.mailroom() as room:
        assert {room.message(offer).state, room.message(note).state} == {"cancelled"}
        receipt = asked(reader)[0].message_pk or 0
        room.session.execute(text("DELETE FROM event_work"))
        room.gate()
        assert room.message(receipt).state == "ready", "the receipt goes although all else is restricted"
        reader.clock.advance(timedelta(minutes=2))
        requests.finish(room.session, room.now, 100)
        assert contact(reader).email is not None, "the address is kept until the receipt has left"
        room.change(receipt, state="accepted")
    reader.clock.advance(timedelta(minutes=2))
    with reader.work() as session:
        requests.finish(session, reader.clock.now(), 100)
    gone = contact(reader)
    assert (gone.email, gone.first_name, gone.erased_at) == (None, None, reader.clock.now())
    assert asked(reader)[0].state == "done"
    assert (asked(reader)[0].receipt or {})["kept"]["proof"] >= 2
    assert reader.client.post(path, data={"sure": "yes"}).status_code == 410


def test_r51_a_receipt_that_does_not_leave_holds_an_erasure_up_for_an_hour_and_no_longer(reader: Reader) -> None:
    publish(reader)
    reader.client.post(ask(reader, "erasure"), data={"sure": "yes"})
    reader.clock.advance(timedelta(hours=1))
    with reader.work() as session:
        requests.finish(session, reader.clock.now(), 100)
    assert contact(reader).erased_at is not None


@pytest.mark.parametrize("purpose", ["preferences", "unsubscribe"])
def test_r51_links_of_an_erased_person_say_so_and_change_nothing(reader: Reader, purpose: str) -> None:
    publish(reader)
    reader.client.post(ask(reader, "erasure"), data={"sure": "yes"})
    reader.clock.advance(timedelta(hours=1))
    with reader.work() as session:
        requests.finish(session, reader.clock.now(), 100)
    before = reader.rows()
    if purpose == "preferences":
        assert reader.get("preferences").status_code == 410
        assert reader.post("preferences", {"action": "stop"}).status_code == 410
    else:
        assert reader.post("unsubscribe", {"List-Unsubscribe": "One-Click"}).status_code == 200  # RFC 8058, R32
    assert reader.rows() == before
