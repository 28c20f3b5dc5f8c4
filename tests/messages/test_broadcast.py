"""Broadcasts, from the draft to the outbox: through the same gate and line as every other message."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import event, select, text

from app.consent import ledger
from app.consent.ledger import Act
from app.contacts.merge import merge
from app.messages import broadcast
from app.messages import broadcast_desk as desk
from app.messages.broadcast_desk import BroadcastError, Wish
from app.messages.broadcast_preview import Count, count_on
from app.messages.models import Broadcast, Message
from tests.hotel import Hotel
from tests.messages.broadcasts import TEMPLATE, TOPIC, confirm, now_is, people, send, the, write

ROME = ZoneInfo("Europe/Rome")


def copies(hotel: Hotel, number: int) -> dict[int, Message]:
    """Contact → its copy."""
    return {row.contact_id: row for row in hotel.messages(broadcast_id=number)}


def test_it_reaches_everybody_who_may_be_written_to_and_says_why_not_the_others(hotel: Hotel) -> None:
    willing = people(hotel, ["anna", "bruno"])
    (silent,) = people(hotel, ["carla"], willing=False)
    (unreachable,) = people(hotel, ["dino"], willing=False, email=None, email_key=None)
    number = send(hotel)
    hotel.after(timedelta(minutes=1))
    found = copies(hotel, number)
    assert [found[one].state for one in willing] == ["accepted", "accepted"]
    assert (found[silent].state, found[silent].reason, found[silent].rule) == ("refused", "no_consent", "R1")
    assert found[unreachable].reason == "no_address"
    assert sorted(str(mail["To"]) for mail in hotel.mails()) == ["anna@example.com", "bruno@example.com"]
    done = now_is(hotel, number)
    assert (done.state, done.audience, done.planned) == ("sent", 4, 4)
    assert done.ended_at is not None


def test_the_count_before_it_says_what_the_gate_then_does(hotel: Hotel) -> None:
    people(hotel, ["anna", "bruno"])
    people(hotel, ["carla"], willing=False)
    people(hotel, ["dino"], email=None, email_key=None, willing=False)
    number = write(hotel)
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        counted = count_on(session, the(session, number), hotel.clock.now(), lambda: True)
    assert (counted.people, counted.may, counted.later) == (4, 2, 0)
    assert counted.refused == {"no_consent": 1, "no_address": 1}
    assert hotel.messages() == []
    confirm(hotel, number)
    hotel.after(timedelta(minutes=1))
    assert [row.state for row in hotel.messages()].count("accepted") == counted.may


def test_counting_stops_when_told_and_goes_on_where_it_was(hotel: Hotel, monkeypatch: pytest.MonkeyPatch) -> None:
    people(hotel, [f"p{n}" for n in range(5)])
    monkeypatch.setattr("app.messages.broadcast_preview.PAGE", 2)
    number = write(hotel)
    seen = []
    for _ in range(3):
        with hotel.house.database.work(hotel.loaded.workspace_id) as session:
            counted = count_on(session, the(session, number), hotel.clock.now(), lambda: False)
            seen.append((counted.people, counted.done))
    assert seen == [(2, False), (4, False), (5, True)]
    assert Count.from_json(now_is(hotel, number).preview).may == 5


def test_confirming_needs_the_number_that_was_counted(hotel: Hotel) -> None:
    people(hotel, ["anna"])
    number = write(hotel)
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        found = the(session, number)
        with pytest.raises(BroadcastError, match="not_counted"):
            desk.confirm(session, found, 1, "Marta", hotel.clock.now())
        count_on(session, found, hotel.clock.now(), lambda: True)
        with pytest.raises(BroadcastError, match="another_number"):
            desk.confirm(session, found, 2, "Marta", hotel.clock.now())
        desk.confirm(session, found, 1, "Marta", hotel.clock.now())
        assert (found.state, found.confirmed_by, found.confirmed_for) == ("scheduled", "Marta", 1)


def test_now_leaves_ten_seconds_in_which_it_can_be_taken_back(hotel: Hotel) -> None:
    people(hotel, ["anna"])
    number = write(hotel)
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        found = the(session, number)
        count_on(session, found, hotel.clock.now(), lambda: True)
        desk.confirm(session, found, 1, "Marta", hotel.clock.now())
    hotel.after(timedelta(seconds=9))
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        desk.take_back(the(session, number), hotel.clock.now())
    hotel.after(timedelta(minutes=5))
    assert (hotel.messages(), now_is(hotel, number).state) == ([], "draft")


def test_at_its_hour_and_not_before(hotel: Hotel) -> None:
    people(hotel, ["anna"])
    hour = hotel.clock.now() + timedelta(hours=5)
    number = send(hotel, timing="at", at=hour)
    hotel.until(hour - timedelta(seconds=1))
    assert (hotel.messages(), now_is(hotel, number).state) == ([], "scheduled")
    hotel.until(hour + timedelta(seconds=1))
    assert [row.accepted_at for row in hotel.messages()] == [hour]


def test_each_at_the_same_hour_of_their_own_day(hotel: Hotel) -> None:
    (tokyo,) = people(hotel, ["aiko"], zone="Asia/Tokyo")
    (rome,) = people(hotel, ["anna"])
    (york,) = people(hotel, ["ben"], country="GB")
    (la,) = people(hotel, ["cleo"], zone="America/Los_Angeles")
    number = send(hotel, timing="local", local_day=date(2026, 3, 12), local_time=time(10))
    hotel.until(datetime(2026, 3, 13, 12, tzinfo=UTC))
    sent = {who: row.accepted_at for who, row in copies(hotel, number).items()}
    assert sent == {
        tokyo: datetime(2026, 3, 12, 1, tzinfo=UTC),
        rome: datetime(2026, 3, 12, 9, tzinfo=UTC),
        york: datetime(2026, 3, 12, 10, tzinfo=UTC),
        la: datetime(2026, 3, 12, 17, tzinfo=UTC),
    }
    assert now_is(hotel, number).state == "sent"


def test_who_comes_after_it_was_frozen_is_not_written_to(hotel: Hotel) -> None:
    people(hotel, ["anna"], zone="America/Los_Angeles")
    number = send(hotel, timing="local", local_day=date(2026, 3, 12), local_time=time(10))
    hotel.until(datetime(2026, 3, 12, 1, tzinfo=UTC))
    assert now_is(hotel, number).frozen_at == datetime(2026, 3, 11, 20, tzinfo=UTC)
    people(hotel, ["late"], zone="America/Los_Angeles")
    hotel.until(datetime(2026, 3, 13, 12, tzinfo=UTC))
    assert [row.address for row in hotel.messages(broadcast_id=number)] == ["anna@example.com"]


def test_r46_a_copy_over_the_cap_waits_for_its_window_and_is_then_dropped_with_the_reason(hotel: Hotel) -> None:
    people(hotel, ["anna"])
    first = send(hotel)
    hotel.after(timedelta(minutes=1))
    second, third = send(hotel, window_hours=30), send(hotel, window_hours=4)
    hotel.until(hotel.clock.now() + timedelta(days=2))
    assert [row.state for row in hotel.messages(broadcast_id=first)] == ["accepted"]
    (waited,) = hotel.messages(broadcast_id=second)
    assert (waited.state, waited.accepted_at) == ("accepted", datetime(2026, 3, 11, 7, tzinfo=UTC))
    (dropped,) = hotel.messages(broadcast_id=third)
    assert (dropped.state, dropped.reason, dropped.rule) == ("refused", "cap", "R46")
    assert now_is(hotel, third).state == now_is(hotel, second).state == "sent"


def test_r46_drop_refuses_at_once_where_the_broadcast_says_so(hotel: Hotel) -> None:
    people(hotel, ["anna"])
    send(hotel)
    hotel.after(timedelta(minutes=1))
    number = send(hotel, on_hit="drop")
    hotel.after(timedelta(minutes=1))
    assert [(row.state, row.reason) for row in hotel.messages(broadcast_id=number)] == [("refused", "cap")]


def test_who_withdraws_between_the_count_and_the_hour_gets_nothing(hotel: Hotel) -> None:
    (anna,) = people(hotel, ["anna"])
    number = send(hotel, timing="at", at=hotel.clock.now() + timedelta(hours=3))
    hotel.after(timedelta(hours=1))
    now = hotel.clock.now()
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        act = Act(anna, "anna@example.com", "email", "marketing", TOPIC, "withdrawn", "preference_centre", now)
        ledger.append(session, [act], now)
    hotel.after(timedelta(hours=3))
    assert [(row.state, row.reason) for row in hotel.messages(broadcast_id=number)] == [("refused", "withdrawn")]


def test_x12_one_mailbox_gets_one_copy_and_the_one_who_said_yes_gets_it(hotel: Hotel) -> None:
    people(hotel, ["zoe"], willing=False, email="casa@example.com", email_key="casa@example.com")
    (willing,) = people(hotel, ["anna"], email="casa@example.com", email_key="casa@example.com")
    number = send(hotel)
    hotel.after(timedelta(minutes=1))
    assert [(row.contact_id, row.state) for row in hotel.messages(broadcast_id=number)] == [(willing, "accepted")]
    assert (now_is(hotel, number).audience, now_is(hotel, number).shared) == (1, 1)


def test_two_contacts_that_become_one_while_it_goes_get_one_copy(hotel: Hotel) -> None:
    anna, other = people(hotel, ["anna"], zone="Asia/Tokyo") + people(hotel, ["annina"])
    number = send(hotel, timing="local", local_day=date(2026, 3, 12), local_time=time(10))
    hotel.until(datetime(2026, 3, 12, 2, tzinfo=UTC))
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        merge(session, anna, other, "Marta", hotel.clock.now())
    hotel.until(datetime(2026, 3, 13, 12, tzinfo=UTC))
    assert [(row.contact_id, row.state) for row in hotel.messages(broadcast_id=number)] == [(anna, "accepted")]
    assert now_is(hotel, number).state == "sent"


def test_two_copies_of_contacts_that_become_one_afterwards_are_both_kept(hotel: Hotel) -> None:
    anna, other = people(hotel, ["anna", "annina"])
    number = send(hotel)
    hotel.after(timedelta(minutes=1))
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        merge(session, anna, other, "Marta", hotel.clock.now())
    assert [row.contact_id for row in hotel.messages(broadcast_id=number)] == [anna, anna]


def test_r63_paused_nothing_more_goes_and_resumed_it_goes_on_without_what_is_too_late(hotel: Hotel) -> None:
    people(hotel, ["anna"])
    people(hotel, ["cleo"], zone="America/Los_Angeles")
    number = send(hotel, timing="local", local_day=date(2026, 3, 12), local_time=time(10), window_hours=2)
    hotel.until(datetime(2026, 3, 12, 8, 59, tzinfo=UTC))
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        desk.pause(session, the(session, number), hotel.clock.now())
    hotel.until(datetime(2026, 3, 12, 17, 30, tzinfo=UTC))
    assert hotel.messages(broadcast_id=number) == []
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        desk.resume(session, the(session, number), hotel.clock.now())
    hotel.after(timedelta(minutes=1))
    assert sorted((row.state, row.reason) for row in hotel.messages(broadcast_id=number)) == [
        ("accepted", None),
        ("refused", "too_late"),
    ]


def test_r63_what_is_planned_is_held_while_it_is_paused(hotel: Hotel) -> None:
    people(hotel, ["anna"])
    hotel.clock.set(datetime(2026, 3, 10, 22, tzinfo=ROME).astimezone(UTC))
    number = send(hotel)
    hotel.work()
    assert [row.reason for row in hotel.messages(broadcast_id=number)] == ["quiet_hours"]
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        assert desk.pause(session, the(session, number), hotel.clock.now()) == 1
    hotel.until(datetime(2026, 3, 11, 10, tzinfo=UTC))
    assert [(row.state, row.reason) for row in hotel.messages(broadcast_id=number)] == [("deferred", "paused")]
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        desk.resume(session, the(session, number), hotel.clock.now())
    hotel.after(timedelta(minutes=1))
    assert [row.state for row in hotel.messages(broadcast_id=number)] == ["accepted"]


def test_stopped_it_calls_off_what_waits_and_keeps_what_has_gone(hotel: Hotel) -> None:
    (gone,) = people(hotel, ["aiko"], zone="Asia/Tokyo")
    people(hotel, ["anna"])
    (held,) = people(hotel, ["night"], zone="Asia/Tokyo")
    number = send(hotel, timing="local", local_day=date(2026, 3, 12), local_time=time(10))
    hotel.until(datetime(2026, 3, 12, 2, tzinfo=UTC))
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        session.execute(
            text("UPDATE messages SET state = 'deferred', due_at = due_at + interval '1 day' WHERE contact_id = :held"),
            {"held": held},
        )
        assert desk.stop(session, the(session, number), "Marta", hotel.clock.now()) == 1
    hotel.until(datetime(2026, 3, 14, tzinfo=UTC))
    found = copies(hotel, number)
    assert {who: (row.state, row.reason) for who, row in found.items()} == {
        gone: ("accepted", None),
        held: ("cancelled", "broadcast_stopped"),
    }
    assert (now_is(hotel, number).state, now_is(hotel, number).ended_by) == ("stopped", "Marta")
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        told = desk.results(session, number)
    assert (told.sent, told.ended, told.to_come, dict(told.refused)) == (1, 1, 0, {"broadcast_stopped": 1})


def test_a_copy_of_it_is_a_draft_that_says_the_same(hotel: Hotel) -> None:
    people(hotel, ["anna"])
    number = send(hotel, timing="at", at=hotel.clock.now() + timedelta(hours=1), on_hit="drop")
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        made = desk.copy(session, the(session, number), "Spring again", "Paolo", hotel.clock.now())
        assert (made.state, made.template, made.on_hit, made.timing) == ("draft", TEMPLATE, "drop", "now")
        assert (made.copied_from, made.preview, made.confirmed_at) == (number, None, None)


@pytest.mark.parametrize(
    ("wish", "problems"),
    [
        ({"name": "  "}, {"name": "missing"}),
        ({"template": ""}, {"template": "missing"}),
        ({"template": "nowhere"}, {"template": "unpublished"}),
        ({"template": "booking-confirmation"}, {"template": "needs_booking"}),
        ({"template": "confirm-subscription"}, {"template": "consent_request"}),
        ({"segment": "nobody-knows"}, {"segment": "unknown"}),
        ({"timing": "at"}, {"at": "missing"}),
        ({"timing": "at", "at": datetime(2020, 1, 1, tzinfo=UTC)}, {"at": "past"}),
        ({"timing": "local"}, {"local_day": "missing"}),
        ({"timing": "local", "local_day": date(2026, 3, 10), "local_time": time(9)}, {"local_day": "past"}),
        ({"window_hours": 0}, {"window_hours": "range"}),
        ({"on_hit": "explode"}, {"on_hit": "unknown"}),
    ],
)
def test_a_draft_that_cannot_go_names_each_field(hotel: Hotel, wish: dict[str, Any], problems: dict[str, str]) -> None:
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        with pytest.raises(BroadcastError) as raised:
            desk.write(session, Wish(**{"name": "Spring", "template": TEMPLATE, **wish}), "Marta", hotel.clock.now())
        assert raised.value.problems == problems
        assert session.scalars(select(Broadcast)).all() == []


def test_a_page_costs_the_same_few_queries_whatever_its_size(hotel: Hotel) -> None:
    people(hotel, [f"p{n}" for n in range(40)])
    send(hotel)
    hotel.after(timedelta(seconds=1))
    counts = []
    for size in (5, 30):
        number = send(hotel)
        asked: list[str] = []
        with hotel.house.database.work(hotel.loaded.workspace_id) as session:
            broadcast.freeze(session, the(session, number), hotel.clock.now())
        with hotel.house.database.work(hotel.loaded.workspace_id) as session:
            engine = hotel.house.database.engine

            def count(_c: object, _u: object, statement: str, *_more: object, asked: list[str] = asked) -> None:
                asked.append(statement)

            event.listen(engine, "before_cursor_execute", count)
            broadcast.run(session, hotel.clock.now(), size)
            session.flush()  # the cursor is written within the count
            event.remove(engine, "before_cursor_execute", count)
        counts.append(len(asked))
        with hotel.house.database.work(hotel.loaded.workspace_id) as session:
            desk.stop(session, the(session, number), "Marta", hotel.clock.now())
    assert counts[0] == counts[1] <= broadcast.QUERIES
