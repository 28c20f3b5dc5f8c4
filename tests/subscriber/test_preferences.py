"""The preference centre: what is on, what is changed, and what that means."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from sqlalchemy import select, text

from app.consent import ledger
from app.consent.fold import Key, holds
from app.consent.models import ConsentRecord, Topic
from app.contacts.models import Contact
from app.messages.models import Message
from tests.subscriber.conftest import PHONE, Reader


def save(reader: Reader, *fields: str, language: str = "it") -> str:
    """Save with these switches on."""
    form = {"action": "save", "language": language, **dict.fromkeys(fields, "on")}
    answer = reader.post("preferences", form)
    assert answer.status_code == 200
    return answer.text


def test_it_shows_how_things_stand(reader: Reader) -> None:
    page = reader.get("preferences").text
    assert re.search(r'name="topic.offers" value="on" checked', page)
    assert re.search(r'name="topic.newsletter" value="on">', page)
    assert reader.address not in page
    assert f"{reader.address[0]}•••@example.com" in page


def test_switching_on_is_a_consent_with_the_words_that_were_read(reader: Reader) -> None:
    page = save(reader, "topic.offers", "topic.newsletter")
    assert "D&#39;ora in poi riceverà" in page
    assert reader.consents() == {"offers": "granted", "newsletter": "granted"}
    with reader.work() as session:
        line = session.scalars(select(ConsentRecord).order_by(ConsentRecord.line.desc()).limit(1)).one()
    assert line.proof["wording"] == "Sì, scrivetemi su: la newsletter."
    assert line.proof["wording_version"]
    assert line.confirmed_at == reader.clock.now()


def test_r7_switching_off_works_at_once_and_says_what_stays(reader: Reader) -> None:
    page = save(reader)
    assert "Non riceverà più" in page
    assert "continueranno ad arrivarLe" in page
    assert reader.consents() == {"offers": "withdrawn"}


def test_what_was_never_said_and_is_left_off_is_no_refusal(reader: Reader) -> None:
    before = reader.rows()
    assert "Non è cambiato nulla" in save(reader, "topic.offers")
    assert reader.rows() == before


def test_r14_tracking_is_a_choice_of_its_own(reader: Reader) -> None:
    save(reader, "topic.offers", "tracking")
    assert reader.consents() == {"offers": "granted", "open_tracking": "granted"}
    save(reader, "topic.offers")
    assert reader.consents() == {"offers": "granted", "open_tracking": "withdrawn"}


def test_the_language_of_the_mails_is_kept_and_answered_in(reader: Reader) -> None:
    page = save(reader, "topic.offers", language="en")
    assert "Messages will be in English" in page
    with reader.work() as session:
        assert session.scalars(select(Contact.language).where(Contact.id == reader.contact_id)).one() == "en"


def test_a_change_is_undone_with_one_press(reader: Reader) -> None:
    page = save(reader, "topic.newsletter")
    found = re.search(r'action="http://localhost(/m/z/[^"?]+)', page)
    assert found is not None
    reader.client.post(found[1])
    assert reader.consents() == {"offers": "granted", "newsletter": "withdrawn"}


def test_r37_who_stopped_everything_comes_back_only_by_a_fresh_double_opt_in(reader: Reader) -> None:
    reader.post("preferences", {"action": "stop"})
    reader.clock.advance(timedelta(days=2))
    assert "confermare con l&#39;e-mail" in save(reader, "topic.newsletter")
    assert reader.consents()["newsletter"] == "pending"
    with reader.work() as session:
        asked = session.scalars(select(Message).where(Message.class_ == "consent_request")).one()
        line = session.scalars(select(ConsentRecord.line).where(ConsentRecord.state == "pending")).one()
        barred = session.execute(text("SELECT count(*) FROM suppressions WHERE lifted_at IS NULL")).scalar()
    assert (asked.template, asked.topic, barred) == ("confirm-subscription", "newsletter", 1)
    with reader.mailroom() as room:
        room.session.execute(text("DELETE FROM event_work"))  # the entry rules have looked at what was chosen
        room.gate()
        assert room.message(asked.id).state == "ready"
    path = reader.path("confirm", reader.workspace_id, reader.contact_id, line)
    assert "Confermi la Sua iscrizione" in reader.client.get(path).text
    assert reader.client.post(path).status_code == 200
    assert reader.consents()["newsletter"] == "granted"
    with reader.work() as session:
        assert session.execute(text("SELECT count(*) FROM suppressions WHERE lifted_at IS NULL")).scalar() == 0


def test_r6_a_confirmation_is_single_use_and_ends_after_seven_days(read: Callable[..., Reader]) -> None:
    reader = read("note", granted=())
    with reader.mailroom() as room:
        contact = room.session.scalars(select(Contact).where(Contact.id == reader.contact_id)).one()
        line = room.say(contact, "pending", topic="newsletter", method="web")
        reader.clock.advance(timedelta(minutes=1))
        late = room.say(contact, "pending", topic="offers", method="web")
    path = reader.path("confirm", reader.workspace_id, reader.contact_id, line)
    assert "Grazie" in reader.client.post(path).text
    before = reader.rows()
    assert "Grazie" in reader.client.post(path).text
    assert reader.rows() == before
    reader.clock.advance(timedelta(days=8))
    answer = reader.client.post(reader.path("confirm", reader.workspace_id, reader.contact_id, late))
    assert "non è più valido" in answer.text
    assert reader.consents() == {"newsletter": "granted", "offers": "pending"}


def test_r6_a_no_after_the_request_is_not_lifted_by_the_old_link(read: Callable[..., Reader]) -> None:
    reader = read("note", granted=())
    with reader.mailroom() as room:
        contact = room.session.scalars(select(Contact).where(Contact.id == reader.contact_id)).one()
        line = room.say(contact, "pending", topic="offers", method="web")
    reader.clock.advance(timedelta(hours=1))
    reader.post("unsubscribe", {"leave": "all"})
    reader.client.post(reader.path("confirm", reader.workspace_id, reader.contact_id, line))
    assert reader.consents()["offers"] == "objected"


def test_a_form_without_its_button_changes_nothing(reader: Reader) -> None:
    before = reader.rows()
    assert reader.post("preferences", {"topic.newsletter": "on"}).status_code == 400
    assert reader.rows() == before


def undo(reader: Reader, page: str) -> str:
    """Press the page's undo, with what its form carries."""
    found = re.search(r'action="http://localhost(/m/z/[^"?]+)', page)
    assert found is not None, page
    fields = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', page))
    reader.clock.advance(timedelta(minutes=1))
    answer = reader.client.post(found[1], data=fields)
    assert "Scelta annullata" in answer.text or "Undone" in answer.text
    assert "riceve:" in answer.text or "you receive:" in answer.text
    return answer.text


def held(reader: Reader) -> tuple[set[Key], str | None, str | None, datetime | None]:
    """Everything that a choice may change, on every channel."""
    with reader.work() as session:
        states = ledger.current(session, [reader.contact_id]).get(reader.contact_id, {})
        contact = session.scalars(select(Contact).where(Contact.id == reader.contact_id)).one()
        return ({key for key in states if holds(states, *key)}, contact.language, contact.pace, contact.paused_until)


STANDS = {
    "topic.offers": "on",
    "topic.offers.sms": "on",
    "tracking": "on",
    "profiling": "on",
    "pace": "normal",
    "language": "it",
}


@pytest.mark.parametrize(
    "change",
    [
        {"topic.offers": ""}, {"topic.newsletter": "on"}, {"topic.offers.sms": ""}, {"topic.newsletter.sms": "on"},
        {"tracking": ""}, {"profiling": ""}, {"feedback": "on"}, {"pace": "monthly"}, {"pace": "pause"},
        {"language": "en"}, {"action": "stop"},
        {"topic.offers": "", "topic.offers.sms": "", "tracking": "", "pace": "pause", "language": "en"},
    ],
)  # fmt: skip
def test_every_change_says_what_still_comes_is_undone_and_the_undoing_is_undone(
    reader: Reader, change: dict[str, str]
) -> None:
    reader.reached_by_sms()
    before = held(reader)
    wanted = {key: value for key, value in ({"action": "save"} | STANDS | change).items() if value}
    page = reader.post("preferences", wanted).text
    assert "riceve:" in page or "you receive:" in page
    after = held(reader)
    assert after != before
    undone = undo(reader, page)
    assert held(reader) == before
    undo(reader, undone)
    assert held(reader) == after


def test_a_channel_on_which_anything_was_said_has_its_own_control_and_says_that_nothing_is_sent_there_yet(
    reader: Reader,
) -> None:
    assert 'name="topic.offers.sms"' not in reader.get("preferences").text
    reader.reached_by_sms()
    page = reader.get("preferences").text
    assert re.search(r'name="topic.offers.sms" value="on" checked', page)
    assert re.search(r'name="topic.newsletter.sms" value="on">', page)
    assert "Per ora non scriviamo via SMS." in page
    told = save(reader, "topic.offers", "topic.offers.sms", "tracking", "profiling")
    assert "Scelto, ma non ancora inviato via SMS" in told
    assert "le offerte (SMS)" in told[told.index("Scelto, ma non ancora") :]


def test_a_channel_that_the_workspace_asks_about_is_offered(reader: Reader) -> None:
    with reader.work() as session:
        session.execute(text("""UPDATE workspaces SET settings = settings || '{"consent_channels": ["whatsapp"]}'"""))
        session.execute(text("UPDATE contacts SET phone = :phone"), {"phone": PHONE})
    assert 'name="topic.offers.whatsapp"' in reader.get("preferences").text
    save(reader, "topic.offers", "topic.newsletter.whatsapp")
    with reader.work() as session:
        line = session.scalars(select(ConsentRecord).order_by(ConsentRecord.line.desc()).limit(1)).one()
    assert (line.channel, line.address, line.topic, line.state) == ("whatsapp", PHONE, "newsletter", "granted")


def test_r10_an_objection_by_mail_ends_every_channel_and_so_does_its_undoing_bring_back_every_channel(
    reader: Reader,
) -> None:
    reader.reached_by_sms()
    before = held(reader)
    page = reader.post("unsubscribe", {"leave": "all"}).text
    assert not any(key[2] == "marketing" for key in held(reader)[0])
    undo(reader, page)
    assert held(reader) == before


def test_r37_taking_a_small_choice_back_does_not_lift_an_older_stop(reader: Reader) -> None:
    reader.post("preferences", {"action": "stop"})
    reader.clock.advance(timedelta(days=2))
    undo(reader, save(reader, "tracking"))
    with reader.work() as session:
        assert session.execute(text("SELECT count(*) FROM suppressions WHERE lifted_at IS NULL")).scalar() == 1


def test_who_reads_the_page_in_another_language_is_answered_in_it(reader: Reader) -> None:
    form = {"action": "save", "language": "it", "topic.offers": "on", "topic.newsletter": "on"}
    answer = reader.client.post(reader.path("preferences") + "?lang=en", data=form)
    assert "Your choices are saved" in answer.text
    assert "Messages will be in" not in answer.text


def test_the_language_once_chosen_stands_on_the_page_of_an_older_mail(reader: Reader) -> None:
    save(reader, "topic.offers", language="en")
    assert re.search(r'name="language" value="en" checked', reader.get("preferences").text)
    assert "Non è cambiato nulla" in save(reader, "topic.offers", language="en")


def test_a_long_list_of_choices_still_fits_into_its_undo(reader: Reader) -> None:
    with reader.mailroom() as room:
        for number in range(40):
            title = {"it": f"Altro {number}"}
            place = {"workspace_id": reader.workspace_id, "position": number, "created_at": reader.clock.now()}
            room.session.add(Topic(name=f"more-{number}", title=title, description={}, **place))
    before = held(reader)
    page = save(reader, *(f"topic.more-{number}" for number in range(40)))
    undo(reader, page)
    assert held(reader) == before
