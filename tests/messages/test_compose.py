"""Composing: language, blocks by permission, links without trackers, headers, and the very same mail again."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import event, text

from app.contacts.models import Contact
from app.enrollments import decisions
from app.messages import compose
from app.messages.compose import Composed, Failed
from app.messages.rows import load_rows
from tests.messages.mailroom import SITE, Mailroom


def made(mailroom: Mailroom, number: int) -> Composed | Failed:
    """The mail of a message."""
    rows = load_rows(mailroom.session, [number])
    return compose.compose(compose.load(mailroom.session, rows, mailroom.now), rows[0])


def mail(mailroom: Mailroom, contact: Contact, template: str, **given: object) -> Composed:
    """A mail that can be made."""
    composed = made(mailroom, mailroom.plan(contact, template, **given))
    assert isinstance(composed, Composed), composed
    return composed


@pytest.mark.parametrize(("language", "subject"), [("it", "Ciao Anna"), ("en-GB", "Hello Anna"), (None, "Ciao Anna")])
def test_r25_the_mail_speaks_the_persons_language(mailroom: Mailroom, language: str | None, subject: str) -> None:
    assert mail(mailroom, mailroom.guest(language=language), "note").subject == subject


def test_it_comes_from_the_property_and_goes_to_the_person(mailroom: Mailroom) -> None:
    guest = mailroom.guest(email="Anna.B@Example.com")
    composed = mail(mailroom, guest, "note")
    assert (composed.sender_name, composed.sender_email) == ("Hotel Lago", "ospiti@lago.example")
    assert composed.reply_to == "risposte@lago.example"
    assert composed.envelope_to == "Anna.B@Example.com"
    assert composed.message_id.endswith("@lago.example>")


def test_r21_without_permission_the_marketing_block_vanishes_and_the_mail_goes(mailroom: Mailroom) -> None:
    composed = mail(mailroom, mailroom.guest(), "note")
    assert "suite" not in composed.html + composed.text
    assert "List-Unsubscribe" not in dict(composed.headers)
    assert dict(composed.headers)["Auto-Submitted"] == "auto-generated"


def test_r21_with_permission_the_block_is_shown_and_the_mail_can_be_left(mailroom: Mailroom) -> None:
    guest = mailroom.guest()
    mailroom.say(guest)
    composed = mail(mailroom, guest, "note")
    assert "Una suite" in composed.html
    assert "List-Unsubscribe-Post" in dict(composed.headers)


def test_r21_when_only_blocks_are_left_that_may_not_be_shown_nothing_is_sent(mailroom: Mailroom) -> None:
    guest = mailroom.guest()
    failed = made(mailroom, mailroom.plan(guest, "picked-only"))
    assert isinstance(failed, Failed)
    assert (failed.reason, failed.rule, failed.refused) == ("only_marketing_blocks", "R21", True)
    mailroom.say(guest, purpose="profiling")
    assert "for-you" in mail(mailroom, guest, "picked-only", visit=2).html


def test_r21_marketing_blocks_alone_are_no_service_message_whatever_is_permitted(mailroom: Mailroom) -> None:
    guest = mailroom.guest()
    mailroom.say(guest)
    number = mailroom.plan(guest, "note")
    rows = load_rows(mailroom.session, [number])
    materials = compose.load(mailroom.session, rows, mailroom.now)
    published = materials.templates["note"]  # as one that was published before this was checked
    languages = {key: replace(one, gates=("marketing",)) for key, one in published.compiled.languages.items()}
    older = replace(published, compiled=replace(published.compiled, languages=languages))
    failed = compose.compose(replace(materials, templates={"note": older}), rows[0])
    assert isinstance(failed, Failed)
    assert failed.reason == "only_marketing_blocks"


@pytest.mark.parametrize(("minutes", "shown"), [(0, True), (14, True), (15, False), (600, False), (-2, False)])
def test_r48_a_live_block_vanishes_once_its_value_is_older_than_fifteen_minutes(
    mailroom: Mailroom, minutes: int, shown: bool
) -> None:
    guest = mailroom.guest()
    mailroom.say(guest)
    at = mailroom.now - timedelta(minutes=minutes)
    event = {"rooms_left": 2, "occurred_at": at.isoformat(), "type": "rooms.counted"}
    composed = mail(mailroom, guest, "rooms", passage={"event": event, "enrollment": {}})
    assert ("2 at " in composed.html) is ("2 at " in composed.text) is shown


def stop_link(composed: Composed) -> str:
    """The link by which the consent to counting is taken back; empty where there is none."""
    found = re.search(r'href="(http://localhost/m/t/[^"]+)"', composed.html)
    return found[1] if found else ""


@pytest.mark.parametrize(
    ("language", "kind", "words"),
    [
        ("it", "offer", "Non contate i link che apro"),
        ("en", "offer", "Stop counting the links I open"),
        ("it", "ask", "Non contate i link che apro"),
    ],
)
def test_r14_a_mail_whose_links_are_counted_carries_the_link_that_ends_it(
    mailroom: Mailroom, language: str, kind: str, words: str
) -> None:
    guest = mailroom.guest(language=language)
    for purpose in ("marketing", "feedback", "open_tracking"):
        mailroom.say(guest, purpose=purpose)
    composed = mail(mailroom, guest, kind)
    stop = stop_link(composed)
    assert re.search(rf'<a [^>]*href="{re.escape(stop)}"[^>]*>{words}</a>', composed.html)
    assert composed.html.index("/m/u/") < composed.html.index(stop)
    assert f"{words}: {stop}" in composed.text
    assert stop not in {address for _, address in composed.links_used}


def test_r14_a_mail_that_counts_nothing_has_no_such_link(mailroom: Mailroom) -> None:
    guest = mailroom.guest()
    mailroom.say(guest)
    composed = mail(mailroom, guest, "offer")
    assert stop_link(composed) == ""
    assert "/m/t/" not in composed.text


def alias(mailroom: Mailroom) -> Contact:
    """A guest who is known by a booking site's alias alone."""
    return mailroom.guest(email="anna.123@guest.booking.com")


def test_r34_in_an_aliass_mail_links_lose_their_target_and_keep_their_words(mailroom: Mailroom) -> None:
    composed = mail(mailroom, alias(mailroom), "note")
    assert not re.search(r'href="https?://(?!localhost)', composed.html)
    assert "https://" not in composed.text
    assert composed.html.count("Prenota") == composed.text.count("Prenota") == 2
    assert composed.links_dropped == ("ferry.example", "lago.example")
    assert composed.facts["mail"]["links_dropped"] == ["ferry.example", "lago.example"]


def test_r34_the_decisions_of_the_message_say_which_links_lost_their_target(mailroom: Mailroom) -> None:
    guest = alias(mailroom)
    number = mailroom.plan(guest, "note")
    composed = made(mailroom, number)
    assert isinstance(composed, Composed)
    mailroom.change(number, facts=composed.facts, subject=composed.subject, language=composed.language)
    told = decisions.composed(mailroom.message(number), mailroom.now, 1)
    assert told is not None
    assert "links to ferry.example, lago.example lost their target" in told.sentence["en"]
    assert "senza destinazione" in told.sentence["it"]


def test_r34_hosts_that_the_workspace_or_the_property_approves_stay(mailroom: Mailroom) -> None:
    mailroom.session.execute(
        text('UPDATE workspaces SET settings = settings || \'{"relay_links": ["ferry.example"]}\'')
    )
    mailroom.hotel.data = {"relay_links": ["lago.example"]}
    mailroom.session.flush()
    composed = mail(mailroom, alias(mailroom), "note")
    assert "https://ferry.example/times" in composed.html
    assert f"{SITE}/room?b=1" in composed.text
    assert composed.links_dropped == ()


def test_r34_a_persons_own_address_gets_every_link(mailroom: Mailroom) -> None:
    composed = mail(mailroom, mailroom.guest(), "note")
    assert "https://ferry.example/times" in composed.html


def test_r31_marketing_carries_the_one_click_pair(mailroom: Mailroom) -> None:
    guest = mailroom.guest()
    mailroom.say(guest)
    headers = dict(mail(mailroom, guest, "offer").headers)
    assert headers["List-Unsubscribe"].startswith("<http://localhost/m/u/")
    assert headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert headers["Feedback-ID"].startswith("offer:marketing:lago:")


def test_r14_r15_without_tracking_consent_no_link_tells_who_followed_it(mailroom: Mailroom) -> None:
    guest = mailroom.guest()
    mailroom.say(guest)
    composed = mail(mailroom, guest, "offer")
    assert f"{SITE}/room?b=1&amp;utm_source=lago&amp;utm_medium=email&amp;utm_campaign=offer" in composed.html
    assert "https://ferry.example/times" in composed.html
    assert "/m/c/" not in composed.html + composed.text
    assert "<img" not in composed.html


def test_r15_with_tracking_consent_content_links_are_counted_and_functional_ones_are_not(mailroom: Mailroom) -> None:
    guest = mailroom.guest()
    mailroom.say(guest)
    mailroom.say(guest, purpose="open_tracking")
    composed = mail(mailroom, guest, "offer")
    assert composed.html.count("/m/c/") == 3, "two that people see, and the one that only machines follow"
    assert composed.html.count('style="display:none"') == 1
    assert f"{SITE}/privacy" in composed.html
    assert "/m/u/" in composed.html
    assert composed.links_used[0][1] == f"{SITE}/room?b=1"


def test_r15_service_mail_is_not_counted_even_then(mailroom: Mailroom) -> None:
    guest = mailroom.guest()
    mailroom.say(guest, purpose="open_tracking")
    assert "/m/c/" not in mail(mailroom, guest, "note").html


def test_a_missing_field_fails_that_one_message(mailroom: Mailroom) -> None:
    good, bad = mailroom.plan(mailroom.guest(), "note"), mailroom.plan(mailroom.guest(first_name=None), "note")
    rows = load_rows(mailroom.session, [good, bad])
    materials = compose.load(mailroom.session, rows, mailroom.now)
    results = {row.id: compose.compose(materials, row) for row in rows}
    assert isinstance(results[good], Composed)
    failed = results[bad]
    assert isinstance(failed, Failed)
    assert (failed.reason, failed.detail) == ("missing_field", "contact.first_name is missing")


def test_a_template_without_a_version_fails_with_its_name(mailroom: Mailroom) -> None:
    number = mailroom.plan(mailroom.guest(), "note")
    mailroom.change(number, template="nowhere")
    failed = made(mailroom, number)
    assert isinstance(failed, Failed)
    assert failed.reason == "no_template"
    assert "nowhere" in failed.detail


def test_the_very_mail_can_be_made_again_whatever_has_changed_since(mailroom: Mailroom) -> None:
    guest = mailroom.guest()
    mailroom.say(guest)
    number = mailroom.plan(guest, "note")
    composed = made(mailroom, number)
    assert isinstance(composed, Composed)
    mailroom.change(
        number,
        facts=composed.facts,
        language=composed.language,
        template_version_id=composed.template_version_id,
    )
    guest.first_name, guest.language = "Berta", "en"
    mailroom.hotel.name = "Hotel Altrove"
    mailroom.clock.advance(timedelta(days=90))
    mailroom.say(guest, "withdrawn")
    assert compose.again(mailroom.session, mailroom.message(number)) == composed


def test_a_message_not_yet_composed_cannot_be_made_again_but_previewed(mailroom: Mailroom) -> None:
    number = mailroom.plan(mailroom.guest(), "note")
    with pytest.raises(LookupError):
        compose.again(mailroom.session, mailroom.message(number))
    preview = compose.preview(mailroom.session, load_rows(mailroom.session, [number])[0], mailroom.now)
    assert isinstance(preview, Composed)


def test_r39_a_second_try_keeps_the_message_id_through_a_change_of_secret(mailroom: Mailroom) -> None:
    number = mailroom.plan(mailroom.guest(), "note")
    first = made(mailroom, number)
    assert isinstance(first, Composed)
    mailroom.change(number, facts=first.facts)
    settings = mailroom.session.info["settings"]
    mailroom.session.info["settings"] = replace(settings, secret="z" * 40, previous_secrets=(settings.secret,))
    second = made(mailroom, number)
    assert isinstance(second, Composed)
    assert second.message_id == first.message_id


def test_r64_a_test_mail_says_so_in_its_subject(mailroom: Mailroom) -> None:
    composed = mail(mailroom, mailroom.guest(), "note", passage={"test": True})
    assert composed.subject == "[Prova] Ciao Anna"


def test_r6_a_confirmation_leads_to_the_pending_line(mailroom: Mailroom) -> None:
    guest = mailroom.guest()
    mailroom.say(guest, "pending")
    composed = mail(mailroom, guest, "confirm-subscription", topic="offers")
    assert "/m/k/" in composed.html
    assert "List-Unsubscribe" not in dict(composed.headers)


def test_r35_bounces_come_back_to_an_address_of_their_own_where_there_is_an_inbox(mailroom: Mailroom) -> None:
    assert mail(mailroom, mailroom.guest(), "note").envelope_from == "ospiti@lago.example"
    from_settings = load_rows(mailroom.session, [mailroom.plan(mailroom.guest(), "note")])
    materials = compose.load(mailroom.session, from_settings, mailroom.now)
    with_inbox = replace(
        materials, grounds=replace(materials.grounds, workspace={"bounce_inbox": "bounces@lago.example"})
    )
    composed = compose.compose(with_inbox, from_settings[0])
    assert isinstance(composed, Composed)
    assert composed.envelope_from.startswith("bounces+")


@pytest.mark.parametrize("count", [1, 25])
def test_composing_costs_the_same_queries_for_one_and_for_many(mailroom: Mailroom, count: int) -> None:
    numbers = [mailroom.plan(mailroom.guest(), "note") for _ in range(count)]
    rows = load_rows(mailroom.session, numbers)
    asked: list[str] = []
    connection = mailroom.session.connection()
    event.listen(connection, "before_cursor_execute", lambda *given: asked.append(given[2]))
    materials = compose.load(mailroom.session, rows, mailroom.now)
    for row in rows:
        compose.compose(materials, row)
    assert len(asked) == compose.QUERIES
