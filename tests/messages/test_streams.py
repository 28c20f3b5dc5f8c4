"""R38: too many complaints, or too many addresses that do not exist, and the marketing stream pauses itself."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import text

from app.delivery.track import Arrival, record
from app.events.partitions import ensure_partitions
from app.messages import streams
from tests.messages.mailroom import Mailroom


def sent(mailroom: Mailroom, how_many: int, class_: str = "marketing") -> list[int]:
    """So many accepted messages of a class."""
    guest = mailroom.guest()
    return list(
        mailroom.session.scalars(
            text(
                "INSERT INTO messages (workspace_id, contact_id, channel, template, class, state, planned_at, due_at,"
                " accepted_at, address) SELECT :ws, :who, 'email', 'offer', :class, 'accepted', :now, :now, :now,"
                " 'p' || n || '@example.com' FROM generate_series(1, :n) AS n RETURNING id"
            ),
            {"ws": mailroom.workspace_id, "who": guest.id, "class": class_, "now": mailroom.now, "n": how_many},
        )
    )


def comes_back(mailroom: Mailroom, numbers: list[int], kind: str, reason: str) -> None:
    now = mailroom.now
    ensure_partitions(mailroom.session, now)
    for number in numbers:
        record(mailroom.session, [Arrival(kind, now, "test", f"{kind}-{number}-{now}", number, reason=reason)], now)


@pytest.mark.parametrize(("complaints", "pauses"), [(2, False), (3, True)])
def test_r38_three_complaints_in_a_thousand_pause_it_and_two_do_not(
    mailroom: Mailroom, complaints: int, pauses: bool
) -> None:
    comes_back(mailroom, sent(mailroom, 1000)[:complaints], "complained", "abuse")
    assert (streams.paused(mailroom.session) == {"marketing": "complaints: 3 of 1000"}) is pauses


def test_r38_one_complaint_of_a_hundred_readers_pauses_nothing(mailroom: Mailroom) -> None:
    comes_back(mailroom, sent(mailroom, 100)[:1], "complained", "abuse")
    assert streams.paused(mailroom.session) == {}


@pytest.mark.parametrize(("reason", "pauses"), [("hard", True), ("soft", False)])
def test_r38_addresses_that_do_not_exist_pause_it_and_full_mailboxes_do_not(
    mailroom: Mailroom, reason: str, pauses: bool
) -> None:
    comes_back(mailroom, sent(mailroom, 200)[:10], "bounced", reason)
    assert bool(streams.paused(mailroom.session)) is pauses


def test_r38_complaints_about_service_mail_do_not_pause_marketing(mailroom: Mailroom) -> None:
    comes_back(mailroom, sent(mailroom, 1000, "transactional")[:5], "complained", "abuse")
    assert streams.paused(mailroom.session) == {}


def test_r38_while_it_is_paused_offers_wait_service_goes_and_the_reason_is_kept_once(mailroom: Mailroom) -> None:
    comes_back(mailroom, sent(mailroom, 1000)[:3], "complained", "abuse")
    guest = mailroom.guest()
    mailroom.say(guest)
    offer, note = mailroom.plan(guest), mailroom.plan(guest, "note")
    for _ in range(5):
        mailroom.gate()
        mailroom.clock.advance(timedelta(minutes=11))
    assert mailroom.message(note).state == "ready"
    waiting = mailroom.message(offer)
    assert (waiting.state, waiting.reason, waiting.rule) == ("deferred", "paused", "R38")
    assert len(waiting.verdict) == 2
    assert streams.resume(mailroom.session, mailroom.now, "Marta", "the list is cleaned")
    mailroom.gate()
    assert mailroom.message(offer).state == "ready"


def test_r38_started_again_by_a_person_the_past_is_not_held_against_it(mailroom: Mailroom) -> None:
    numbers = sent(mailroom, 1000)
    comes_back(mailroom, numbers[:3], "complained", "abuse")
    mailroom.clock.advance(timedelta(hours=1))
    assert streams.resume(mailroom.session, mailroom.now, "Marta", "the list is cleaned")
    assert not streams.resume(mailroom.session, mailroom.now, "Marta", "the list is cleaned")
    comes_back(mailroom, numbers[3:5], "complained", "abuse")
    assert streams.paused(mailroom.session) == {}
    assert streams.health(mailroom.session, mailroom.now).delivered == 0


@pytest.mark.parametrize(("complaints", "told"), [(0, {}), (1, {"marketing": "complaints: 1 of 1000"})])
def test_r38_one_complaint_in_a_thousand_warns_and_stops_nothing(
    mailroom: Mailroom, complaints: int, told: dict[str, str]
) -> None:
    comes_back(mailroom, sent(mailroom, 1000)[:complaints], "complained", "abuse")
    assert streams.warnings(mailroom.session, mailroom.now) == told
    assert streams.paused(mailroom.session) == {}


@pytest.mark.parametrize(("bounces", "told"), [(3, {}), (4, {"marketing": "bounces: 4 of 200"})])
def test_r38_two_addresses_in_a_hundred_that_do_not_exist_warn(
    mailroom: Mailroom, bounces: int, told: dict[str, str]
) -> None:
    comes_back(mailroom, sent(mailroom, 200)[:bounces], "bounced", "hard")
    assert streams.warnings(mailroom.session, mailroom.now) == told


def test_r38_a_warning_ends_when_what_follows_goes_well(mailroom: Mailroom) -> None:
    comes_back(mailroom, sent(mailroom, 200)[:4], "bounced", "hard")
    sent(mailroom, 100)
    assert streams.warnings(mailroom.session, mailroom.now) == {}


def test_r38_a_warning_gives_way_to_the_pause(mailroom: Mailroom) -> None:
    numbers = sent(mailroom, 1000)
    comes_back(mailroom, numbers[:1], "complained", "abuse")
    comes_back(mailroom, numbers[1:3], "complained", "abuse")
    assert streams.warnings(mailroom.session, mailroom.now) == {}
    assert streams.paused(mailroom.session) == {"marketing": "complaints: 3 of 1000"}


def test_r38_complaints_are_counted_among_what_was_delivered(mailroom: Mailroom) -> None:
    numbers = sent(mailroom, 1001)
    comes_back(mailroom, numbers[:2], "bounced", "soft")
    comes_back(mailroom, numbers[2:5], "complained", "abuse")
    assert streams.health(mailroom.session, mailroom.now).delivered == 999
    assert streams.paused(mailroom.session) == {}


def test_r38_starting_again_asks_for_a_reason_which_is_kept(mailroom: Mailroom) -> None:
    comes_back(mailroom, sent(mailroom, 1000)[:3], "complained", "abuse")
    with pytest.raises(ValueError, match="with a reason"):
        streams.resume(mailroom.session, mailroom.now, "Marta", "  ")
    assert streams.resume(mailroom.session, mailroom.now, "Marta", "The old list is gone.")
    assert [(act.what, act.why, act.by) for act in streams.acts(mailroom.session)] == [
        ("resumed", "The old list is gone.", "Marta"),
        ("paused", "complaints: 3 of 1000", None),
    ]
