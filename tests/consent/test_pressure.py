"""The cap, quiet hours and channels, rule by rule, and one person under the fire of many workflows."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.consent.case import ConsentFacts, Contacted, Decision, Request, Suppressed
from app.consent.fold import Key, State
from app.consent.policy import Policy, PolicyError
from app.consent.rules import decide, decide_among
from app.journey.holidays import is_holiday
from tests.consent.people import ADDRESS, NOON, facts, key, purchase, request, state

ROME = ZoneInfo("Europe/Rome")
BEFORE = NOON - timedelta(days=90)
WILLING = {
    key(purpose, topic): state(at=BEFORE, line=line)
    for line, (purpose, topic) in enumerate([("marketing", "offers"), ("marketing", "newsletter"), ("feedback", None)])
}


def willing(**given_: object) -> ConsentFacts:
    """Somebody who has said yes to everything."""
    return facts(WILLING, **{"zone": "Europe/Rome", **given_})


def went(days_ago: int, class_: str = "marketing", topic: str | None = "offers", at: datetime = NOON) -> Contacted:
    return Contacted(days_ago, class_, at - timedelta(days=days_ago), topic=topic)


# -- limits ------------------------------------------------------------------------------------------------------------


def test_r46_a_promised_monthly_newsletter_comes_once_a_month_and_offers_still_may() -> None:
    policy = Policy.from_settings({"caps": {"day": 9, "week": 9, "month": 9, "topics": {"newsletter": {"month": 1}}}})
    person = willing(contacted=(went(20, topic="newsletter"),))
    held = decide(request(topic="newsletter"), person, NOON, policy)
    assert (held.outcome, held.code) == ("refused", "cap")
    assert dict(held.checks[-2].inputs)["counts"] == "topic newsletter"
    assert decide(request(topic="offers"), person, NOON, policy).allowed


def test_r46_a_limit_on_feedback_alone_does_not_hold_marketing_back() -> None:
    policy = Policy.from_settings({"caps": {"day": 5, "week": 9, "month": 9, "feedback": {"week": 1}}})
    person = willing(contacted=(went(2, "feedback", None),))
    assert decide(request("feedback"), person, NOON, policy).outcome == "refused"
    assert decide(request(), person, NOON, policy).allowed


def test_r46_drop_refuses_at_once_what_defer_would_put_off() -> None:
    person = willing(contacted=(went(0),))
    assert decide(request(), person, NOON).outcome == "deferred"
    dropped = decide(request(), person, NOON, Policy.from_settings({"caps": {"on_hit": "drop"}}))
    assert (dropped.outcome, dropped.code) == ("refused", "cap")


def test_r46_a_workflows_own_cap_replaces_the_workspaces_number_and_keeps_what_a_topic_was_promised() -> None:
    policy = Policy.from_settings({"caps": {"topics": {"newsletter": {"month": 1}}}})
    own = policy.with_terms({"caps": {"day": 3, "week": 5}})
    busy = willing(contacted=(went(0), went(1, topic="newsletter")))
    assert decide(request(), busy, NOON, own).allowed
    assert decide(request(topic="newsletter"), busy, NOON, own).code == "cap"
    assert not decide(request(), busy, NOON, policy).allowed


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"caps": {"year": 3}}, "caps.year"),
        ({"caps": {"day": -1}}, "caps.day"),
        ({"caps": {"day": True}}, "caps.day"),
        ({"caps": {"on_hit": "explode"}}, "caps.on_hit"),
        ({"caps": {"topics": {"newsletter": {"year": 1}}}}, "caps.topics.newsletter"),
        ({"caps": {"marketing": 3}}, "caps.marketing"),
        ({"quiet_hours": {"pigeon": ["21:00", "08:00"]}}, "quiet_hours.pigeon"),
        ({"quiet_hours": {"email": "late"}}, "quiet_hours.email"),
        ({"quiet_hours": {"email": {"from": "25:00"}}}, "quiet_hours.email"),
        ({"quiet_hours": {"email": {"days": ["funday"]}}}, "quiet_hours.email.days"),
        ({"quiet_hours": {"other": {"days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]}}}, "whole week"),
        ({"quiet_hours": {"other": {"holidays": "IT"}}}, "quiet_hours.other.holidays"),
    ],
)
def test_a_setting_that_is_not_usable_is_named(settings: dict[str, object], named: str) -> None:
    with pytest.raises(PolicyError, match=named):
        Policy.from_settings(settings)


# -- hours and days ----------------------------------------------------------------------------------------------------

SMS = Policy(senders=frozenset({"email", "sms"}))


def rome(year: int, month: int, day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(year, month, day, hour, minute, tzinfo=ROME).astimezone(UTC)


def sms(class_: str = "marketing", **given_: object) -> Request:
    return request(class_, channel="sms", **given_)


def by_phone(**given_: object) -> ConsentFacts:
    states: dict[Key, State] = {(ADDRESS, "sms", "marketing", "offers"): state(at=BEFORE)}
    return facts(states, **{"zone": "Europe/Rome", **given_})


@pytest.mark.parametrize(
    ("now", "opens"),
    [
        (rome(2026, 5, 1, 12), rome(2026, 5, 2, 9)),  # 1 May, a Friday
        (rome(2026, 4, 4, 21), rome(2026, 4, 7, 9)),  # Saturday before Easter: past Sunday and Easter Monday
        (rome(2026, 3, 28, 21), rome(2026, 3, 30, 9)),  # over the night in which the clocks go forward
        (rome(2026, 10, 24, 21), rome(2026, 10, 26, 9)),  # and the one in which they go back
    ],
)
def test_r47_sms_waits_for_the_next_working_hour_of_the_persons_own_clock(now: datetime, opens: datetime) -> None:
    decision = decide(sms(), by_phone(), now, SMS)
    assert (decision.outcome, decision.until) == ("deferred", opens)


def test_r47_e_mail_goes_on_a_holiday_unless_the_team_closes_it() -> None:
    liberation = rome(2026, 4, 25, 12)
    assert decide(request(), willing(), liberation).allowed
    closing = Policy.from_settings({"quiet_hours": {"email": {"holidays": True}}})
    held = decide(request(), willing(), liberation, closing)
    assert (held.code, held.until) == ("closed_day", rome(2026, 4, 26, 8))


@pytest.mark.parametrize(
    ("country", "home", "day", "opens"),
    [
        ("FR", "IT", (2026, 7, 14), (2026, 7, 15)),  # a Frenchman keeps the Fourteenth, wherever he is a guest
        ("FR", "IT", (2026, 8, 15), (2026, 8, 17)),
        ("IT", "FR", (2026, 7, 14), None),
        (None, "FR", (2026, 7, 14), (2026, 7, 15)),  # of who is from nowhere we know, the property's
        ("XX", "FR", (2026, 7, 14), (2026, 7, 15)),
        (None, None, (2026, 6, 2), (2026, 6, 3)),  # else Italy's
        ("at", None, (2026, 10, 26), (2026, 10, 27)),
    ],
)
def test_r47_the_holidays_are_those_of_the_persons_country(
    country: str | None, home: str | None, day: tuple[int, int, int], opens: tuple[int, int, int] | None
) -> None:
    noon = rome(*day, 12)
    decision = decide(sms(latest=noon + timedelta(days=9)), by_phone(country=country, property_country=home), noon, SMS)
    assert (decision.until if decision.outcome == "deferred" else None) == (rome(*opens, 9) if opens else None)


def test_r47_service_mail_knows_no_quiet_hours_and_service_sms_only_on_the_day_of_the_stay() -> None:
    night = rome(2026, 5, 13, 2)
    assert decide(request("transactional"), willing(), night).allowed
    today = purchase(arrival=date(2026, 5, 13), departure=date(2026, 5, 15))
    later = purchase(arrival=date(2026, 5, 23), departure=date(2026, 5, 25))
    assert decide(sms("transactional"), by_phone(booking=today), night, SMS).allowed
    assert decide(sms("transactional"), by_phone(booking=later), night, SMS).until == rome(2026, 5, 13, 9)


def test_r47_a_workflows_own_hours_bind_its_messages() -> None:
    own = Policy().with_terms({"quiet_hours": {"from": "18:00", "to": "10:00", "days": ["sat", "sun"]}})
    assert decide(request(), willing(), rome(2026, 5, 15, 19), own).until == rome(2026, 5, 18, 10)
    assert decide(request(), willing(), rome(2026, 5, 15, 19)).allowed


@given(
    st.integers(0, 3 * 366 * 24 * 60).map(lambda minutes: rome(2025, 1, 1, 0) + timedelta(minutes=minutes)),
    st.sampled_from(["Europe/Rome", "America/New_York", "Asia/Tokyo", "Pacific/Apia", "Australia/Lord_Howe"]),
)
def test_r47_no_sms_ever_leaves_at_night_on_a_sunday_or_on_a_holiday(now: datetime, zone: str) -> None:
    decision = decide(sms(latest=now + timedelta(days=30)), by_phone(zone=zone), now, SMS)
    at = (decision.until or now).astimezone(ZoneInfo(zone))
    assert decision.outcome in {"allowed", "deferred"}
    assert at.weekday() != 6
    assert not is_holiday(at.date())
    assert "09:00" <= f"{at:%H:%M}" < "20:30"


# -- channels ----------------------------------------------------------------------------------------------------------


def test_a_channel_without_a_sender_is_refused_and_says_so() -> None:
    decision = decide(sms("transactional"), by_phone(), NOON)
    assert (decision.outcome, decision.code, decision.rule) == ("refused", "no_sender", "R24")


def test_the_first_channel_with_sender_address_and_permission_takes_the_message() -> None:
    channel, decision = decide_among(sms("transactional"), {"sms": by_phone(), "email": willing()}, NOON)
    assert (channel, decision.outcome) == ("email", "allowed")
    assert decision.checks[0].inputs == {"channel": "email", "tried": ["sms: no_sender"]}
    assert decision.basis == "contract"
    channel, _ = decide_among(sms("transactional"), {"sms": by_phone(), "email": willing()}, NOON, SMS)
    assert channel == "sms"


def test_where_no_channel_is_open_each_is_named_with_its_reason() -> None:
    silent = facts({}, address=None)
    _, decision = decide_among(sms(), {"sms": by_phone(), "whatsapp": by_phone(), "email": silent}, NOON)
    assert (decision.outcome, decision.code) == ("refused", "no_channel")
    assert decision.checks[0].inputs["tried"] == ["sms: no_sender", "whatsapp: no_sender", "email: no_address"]


def test_a_suppressed_number_falls_back_to_the_mailbox() -> None:
    barred = by_phone(suppressed=(Suppressed("manual", "all"),))
    assert decide_among(sms("transactional"), {"sms": barred, "email": willing()}, NOON, SMS)[0] == "email"


# -- one person, many workflows ----------------------------------------------------------------------------------------


@st.composite
def wishes(draw: st.DrawFn) -> list[Request]:
    """What a dozen workflows want to tell one person within some days."""
    found = []
    for number in range(draw(st.integers(1, 14))):
        class_ = draw(st.sampled_from(["marketing", "marketing", "feedback", "transactional"]))
        due = NOON + timedelta(hours=draw(st.integers(0, 24 * 6)))
        hours = draw(st.none() | st.integers(0, 24 * 8))
        found.append(
            request(
                class_,
                message_id=number + 1,
                topic=draw(st.sampled_from(["offers", "newsletter"])) if class_ == "marketing" else None,
                due_at=due,
                priority=draw(st.sampled_from([10, 50, 50, 90])),
                latest=None
                if (hours := draw(st.none() | st.integers(0, 24 * 8))) is None
                else due + timedelta(hours=hours),
            )
        )
    return found


def line(
    asking: list[Request], policy: Policy, zone: str
) -> tuple[list[tuple[Request, datetime]], dict[int, Decision]]:
    """The gate over time: whatever is due is judged by rank, what passes counts, what is put off comes again."""
    waiting = {one.message_id: one for one in asking}
    sent: list[tuple[Request, datetime]] = []
    ends: dict[int, Decision] = {}
    while waiting:
        now = min(one.due_at for one in waiting.values())
        due = sorted((one for one in waiting.values() if one.due_at <= now), key=lambda one: one.rank)
        for one in due:
            others = tuple(other for other in waiting.values() if other.message_id != one.message_id)
            gone = tuple(Contacted(done.message_id, done.class_, at, topic=done.topic) for done, at in sent)
            decision = decide(one, willing(zone=zone, contacted=gone, rivals=others), now, policy)
            if decision.until is not None:
                assert decision.until > now
                waiting[one.message_id] = replace(one, due_at=decision.until, since=one.since or now)
                continue
            del waiting[one.message_id]
            ends[one.message_id] = decision
            if decision.allowed:
                sent.append((one, now))
    return sent, ends


policies = st.sampled_from(
    [
        Policy(),
        Policy(day_cap=2, week_cap=4, month_cap=5),
        Policy.from_settings({"caps": {"on_hit": "drop"}}),
        Policy.from_settings({"caps": {"day": 3, "week": 9, "topics": {"newsletter": {"week": 1}}}}),
    ]
)
zones = st.sampled_from(["Europe/Rome", "America/New_York", "Asia/Tokyo", "Pacific/Apia"])


@given(wishes(), policies, zones)
def test_r46_whatever_many_workflows_want_no_window_holds_more_than_its_limit(
    asking: list[Request], policy: Policy, zone: str
) -> None:
    sent, ends = line(asking, policy, zone)
    assert ends.keys() == {one.message_id for one in asking}
    counted = [(one, at.astimezone(ZoneInfo(zone)).date()) for one, at in sent if one.class_ != "transactional"]
    for length, limit in ((1, policy.day_cap), (7, policy.week_cap), (30, policy.month_cap)):
        for _, first in counted:
            assert sum(1 for _, day in counted if 0 <= (day - first).days < length) <= limit
    for topic, limits in policy.topic_caps.items():
        days = [day for one, day in counted if one.topic == topic]
        assert all(sum(1 for day in days if 0 <= (day - first).days < 7) <= (limits.week or 99) for first in days)


@given(wishes(), policies, zones)
def test_r46_service_messages_all_go_at_their_minute_however_full_the_week_is(
    asking: list[Request], policy: Policy, zone: str
) -> None:
    sent, _ = line(asking, policy, zone)
    service = {one.message_id: one.due_at for one in asking if one.class_ == "transactional" and not one.latest}
    assert service.items() <= {one.message_id: at for one, at in sent}.items()


@given(wishes(), policies, zones)
def test_r46_r59_each_loser_ends_with_its_reason_and_none_goes_after_its_window(
    asking: list[Request], policy: Policy, zone: str
) -> None:
    sent, ends = line(asking, policy, zone)
    for one, at in sent:
        assert at <= (one.latest or one.due_at + policy.defer_for)
    for decision in ends.values():
        if not decision.allowed:
            assert decision.code in {"cap", "outranked", "quiet_hours", "closed_day", "too_late"}
            assert decision.rule in {"R46", "R47", "R59"}


@given(st.permutations([10, 30, 50, 70, 90]))
def test_r46_x42_of_five_due_together_the_most_important_goes_today_and_the_next_ones_on_the_days_after(
    priorities: list[int],
) -> None:
    asking = [request(message_id=number + 1, priority=one, due_at=NOON) for number, one in enumerate(priorities)]
    sent, ends = line(asking, Policy(), "Europe/Rome")
    assert [one.priority for one, _ in sent] == [90, 70, 50]
    assert [at.date().day for _, at in sent] == [12, 13, 14]
    assert sum(not decision.allowed for decision in ends.values()) == 2


def test_r46_a_person_who_asked_for_a_pause_gets_no_marketing_before_its_end_and_all_service() -> None:
    until = NOON + timedelta(days=2)
    paused = willing(paused_until=until)
    decision = decide(request(), paused, NOON)
    assert (decision.outcome, decision.code, decision.until) == ("deferred", "own_pause", until)
    assert decide(request(), willing(paused_until=NOON + timedelta(days=30)), NOON).outcome == "refused"
    assert decide(request("transactional"), paused, NOON).allowed
    assert decide(request(), willing(paused_until=NOON), NOON).allowed


def test_r46_who_wants_one_a_month_gets_one_a_month_and_all_service() -> None:
    had = Contacted(99, "marketing", NOON - timedelta(days=20))
    monthly = willing(pace="monthly", contacted=(had,))
    assert (decide(request(), monthly, NOON).outcome, decide(request(), monthly, NOON).code) == ("refused", "own_pace")
    assert decide(request("transactional"), monthly, NOON).allowed
    assert decide(request(), willing(contacted=(had,)), NOON).allowed
    later = willing(pace="monthly", contacted=(Contacted(99, "marketing", NOON - timedelta(days=30)),))
    assert decide(request(), later, NOON).allowed
