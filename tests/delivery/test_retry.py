"""When a mail that was put off is tried again, and what a server's refusal means."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.delivery.retry import STANDARD, Schedule
from app.delivery.status import enhanced, verdict

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


@given(st.integers(1, 2**62), st.integers(0, 4000))
def test_r39_delays_grow_from_a_minute_and_end_within_three_days(message_pk: int, latest_minutes: int) -> None:
    latest = NOON + timedelta(minutes=latest_minutes) if latest_minutes else None
    now, tries, delays = NOON, 1, []
    while (at := STANDARD.following(message_pk, tries, NOON, now, latest)) is not None:
        delays.append(at - now)
        assert at <= NOON + timedelta(hours=72)
        assert latest is None or at <= latest
        now, tries = at, tries + 1
    assert delays[:1] == [] or timedelta(minutes=1) <= delays[0] <= timedelta(minutes=1.2)
    assert all(later >= sooner * 0.8 for sooner, later in itertools.pairwise(delays))
    assert latest is not None or len(delays) >= 20


@given(st.integers(1, 2**62), st.integers(1, 50))
def test_the_same_history_gives_the_same_instants(message_pk: int, tries: int) -> None:
    first, second = (STANDARD.following(message_pk, tries, NOON, NOON, None) for _ in range(2))
    assert first == second


def test_mails_put_off_together_do_not_come_back_together() -> None:
    assert len({STANDARD.following(pk, 1, NOON, NOON, None) for pk in range(1000)}) > 990


@pytest.mark.parametrize(
    "wrong", [{"delays": ()}, {"delays": (timedelta(0),)}, {"spread": 2.0}, {"delays": (timedelta(2), timedelta(1))}]
)
def test_a_schedule_that_cannot_be_meant_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="schedule"):
        Schedule(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("550 5.1.1 <a@b>: Recipient address rejected: User unknown", "hard"),
        ("550-5.1.1 The email account that you tried to reach does not exist.", "hard"),
        ("550 5.1.10 RESOLVER.ADR.RecipientNotFound", "hard"),
        ("550 5.2.1 The email account that you tried to reach is disabled.", "hard"),
        ("550 No such user here", "hard"),
        ("552 5.2.2 Mailbox full", "soft"),
        ("552 5.3.4 Message too big", "soft"),
        ("550 5.4.316 Message expired", "soft"),
        ("550 nope", "soft"),
        ("550 5.7.1 Service unavailable; client blocked using zen.spamhaus.org", "blocked"),
        ("550 5.7.26 This message does not pass authentication checks (SPF and DKIM both do not pass)", "blocked"),
        ("550 5.7.515 Access denied, sending domain does not meet the required authentication level", "blocked"),
        ("554 5.1.1 Your IP is on a block list", "blocked"),
        ("554 Message rejected as spam", "blocked"),
    ],
)
def test_a_refusal_means_what_rule_35_says(said: str, meant: str) -> None:
    assert verdict(said) == meant


def test_the_status_is_found_among_addresses_and_versions() -> None:
    assert enhanced("550-5.1.1 x\n5.2.2") == "5.1.1"
    assert enhanced("550 mail from 10.5.1.1 refused") is None
