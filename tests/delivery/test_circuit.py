"""A way out that is down is left alone for a while, tried with one mail, and taken up again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from app.delivery.circuit import FAILURES, LONGEST, LONGEST_ASKED, SHORTEST, Circuit, Standing, after
from app.delivery.providers import Accepted, Outcome, Permanent, Transient, Unknown

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
DOWN = Transient(None, "refused", elsewhere=True)
LATER = Transient("451", "greylisted")
FINE = Accepted("1")


def heard(*outcomes: Outcome, now: datetime = NOON) -> Circuit:
    circuit = Circuit(Standing())
    circuit.heard(outcomes, now)
    return circuit


def test_it_opens_after_failures_in_a_row_and_not_before() -> None:
    assert heard(*[DOWN] * (FAILURES - 1)).admits(NOON) == "all"
    opened = heard(*[DOWN] * FAILURES)
    assert opened.admits(NOON) == "none"
    assert opened.standing.open_until == NOON + SHORTEST


def test_a_success_in_between_starts_the_count_anew() -> None:
    assert heard(*[DOWN] * (FAILURES - 1), FINE, *[DOWN] * (FAILURES - 1)).admits(NOON) == "all"


def test_what_is_wrong_with_mails_or_readers_says_nothing_of_the_way() -> None:
    refused = Permanent("550 5.1.1", "no such user", "recipient")
    assert heard(*[LATER] * 20, *[refused] * 20).standing == Standing()


def test_silences_open_it_too_for_each_leaves_a_mail_in_doubt() -> None:
    assert heard(*[Unknown("silence")] * FAILURES).admits(NOON) == "none"


def test_when_its_time_is_over_one_mail_tries_and_the_others_wait_for_it() -> None:
    circuit = heard(*[DOWN] * FAILURES)
    then = NOON + SHORTEST
    assert [circuit.admits(then) for _ in range(3)] == ["one", "none", "none"]
    circuit.heard([FINE], then)
    assert circuit.admits(then) == "all"
    assert circuit.standing == Standing()


def test_it_stays_open_twice_as_long_each_time_up_to_a_limit() -> None:
    circuit, now, waits = heard(*[DOWN] * FAILURES), NOON, []
    for _ in range(8):
        until = circuit.standing.open_until
        assert until is not None
        waits.append(until - now)
        now = until
        assert circuit.admits(now) == "one"
        circuit.heard([DOWN], now)
    assert waits[:3] == [SHORTEST, SHORTEST * 2, SHORTEST * 4]
    assert waits[-1] == LONGEST
    assert waits == sorted(waits)


def test_a_provider_that_names_a_time_is_left_alone_till_then() -> None:
    circuit = heard(Transient("429", "slow down", elsewhere=True, wait=90))
    assert circuit.standing.open_until == NOON + timedelta(seconds=90)
    asked_much = after(Standing(), Transient("429", "", elsewhere=True, wait=86_000), NOON)
    assert asked_much.open_until == NOON + LONGEST_ASKED


def test_what_was_under_way_when_it_opened_makes_it_no_longer() -> None:
    assert heard(*[DOWN] * 50).standing == heard(*[DOWN] * FAILURES).standing


def test_what_another_process_found_out_is_taken_over_but_not_while_a_mail_tries() -> None:
    circuit = Circuit(Standing())
    circuit.learn(Standing(7, NOON + SHORTEST))
    assert circuit.admits(NOON) == "none"
    assert circuit.admits(NOON + SHORTEST) == "one"
    circuit.learn(Standing())
    assert circuit.admits(NOON + SHORTEST) == "none"
