"""Lots that never change, and statistics held to the figures printed where they come from."""

from __future__ import annotations

import random
import subprocess
import sys
from math import isclose

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.journey import inference
from app.journey.experiments import Counted, draw, enough, held_out, judge, lot
from app.journey.inference import Amounts

HALVES = (("a", 50), ("b", 50))


def printed(interval: inference.Interval | None) -> tuple[float, float]:
    assert interval is not None
    return round(interval.low, 4), round(interval.high, 4)


# -- lots ------------------------------------------------------------------------------------------------------------


def test_lots_are_the_same_on_every_machine_and_in_every_release() -> None:
    assert [draw(("welcome", "tone", contact), HALVES) for contact in range(1, 13)] == list("babbaaabaaab")
    assert round(lot("welcome", "tone", 1), 9) == 0.708737979


def test_a_lot_outlives_the_process() -> None:
    code = "from app.journey.experiments import lot; print(lot('welcome', 'tone', 7))"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(other.stdout) == lot("welcome", "tone", 7)


@pytest.mark.parametrize("weights", [(50, 50), (90, 10), (33, 33, 34), (1, 99), (0, 100)])
def test_weights_are_met(weights: tuple[int, ...]) -> None:
    people = 20_000
    named = [(str(place), weight) for place, weight in enumerate(weights)]
    drawn = [draw(("shop", "step", contact), named) for contact in range(people)]
    for name, weight in named:
        share = weight / 100
        spread = (share * (1 - share) / people) ** 0.5
        assert abs(drawn.count(name) / people - share) <= 4 * spread


def test_two_splits_of_one_workflow_draw_independently() -> None:
    people = range(20_000)
    both = sum(draw(("w", "one", n), HALVES) == draw(("w", "two", n), HALVES) for n in people)
    assert abs(both / len(people) - 0.5) < 4 * (0.25 / len(people)) ** 0.5


def test_parts_of_a_key_do_not_run_into_each_other() -> None:
    assert lot("ab", "c") != lot("a", "bc")
    assert lot("1", 2) != lot(12)


@given(st.integers(0, 10**9), st.integers(0, 100), st.integers(0, 100))
def test_raising_a_holdout_lets_nobody_in_who_was_out(contact: int, one: int, other: int) -> None:
    low, high = sorted((one, other))
    if held_out(("holdout", "w", contact), low):
        assert held_out(("holdout", "w", contact), high)


def test_a_holdout_of_nought_keeps_nobody_out_and_of_a_hundred_everybody() -> None:
    assert not any(held_out(("holdout", "w", contact), 0) for contact in range(2_000))
    assert all(held_out(("holdout", "w", contact), 100) for contact in range(2_000))


def test_weights_of_nought_cannot_be_drawn_from() -> None:
    with pytest.raises(ValueError, match="above nought"):
        draw(("w",), [("a", 0)])


# -- the formulas, against what is printed ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("counts", "bounds"),
    [((81, 263), (0.2553, 0.3662)), ((15, 148), (0.0624, 0.1605)), ((0, 20), (0, 0.1611)), ((1, 29), (0.0061, 0.1718))],
)
def test_a_share_has_the_interval_of_newcombes_table_1(counts: tuple[int, int], bounds: tuple[float, float]) -> None:
    assert printed(inference.rate(*counts)) == bounds


@pytest.mark.parametrize(
    ("counts", "bounds"),
    [
        ((56, 70, 48, 80), (0.0524, 0.3339)),
        ((9, 10, 3, 10), (0.1705, 0.8090)),
        ((6, 7, 2, 7), (0.0582, 0.8062)),
        ((5, 56, 0, 29), (-0.0381, 0.1926)),
        ((0, 10, 0, 20), (-0.1611, 0.2775)),
        ((10, 10, 0, 20), (0.6791, 1.0)),
        ((10, 10, 0, 10), (0.6075, 1.0)),
    ],
)
def test_a_difference_has_the_interval_of_newcombes_table_2(
    counts: tuple[int, int, int, int], bounds: tuple[float, float]
) -> None:
    assert printed(inference.difference(*counts)) == bounds


def test_relative_lift_is_that_of_the_aspirin_study() -> None:
    """Agresti, Categorical Data Analysis, section 3.1: 1.82, from 1.43 to 2.30 (his working is rounded; else 2.306)."""
    found = inference.relative(189, 11_034, 104, 11_037)
    assert found is not None
    assert [round(1 + each, 2) for each in (found.estimate, found.low, found.high)] == [1.82, 1.43, 2.31]


def test_relative_lift_over_nought_cannot_be_said() -> None:
    assert inference.relative(5, 100, 0, 100) is None


def test_fishers_test_gives_the_lady_and_the_twins_their_known_p() -> None:
    """Tea: 34/70. Convictions of like-sex twins (Fisher 1962): 0.0005367 as R prints it."""
    assert isclose(inference.fisher(3, 4, 1, 4), 34 / 70)
    assert round(inference.fisher(2, 17, 10, 13), 7) == 0.0005367


def test_holm_adjusts_as_in_the_worked_example() -> None:
    assert inference.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_sample_size_is_that_of_the_tables() -> None:
    """Fleiss without continuity: 10 % against 12 %, 80 % power. Nine times as many in the larger group need fewer."""
    assert inference.needed(0.10, 0.02) == 3_841
    assert 2_000 < inference.needed(0.10, 0.02, times=9) < 2_300


def test_as_many_people_as_the_hint_says_do_find_the_difference() -> None:
    random_ = random.Random(7)
    people = inference.needed(0.10, 0.05)
    found = 0
    for _ in range(300):
        one = sum(random_.random() < 0.15 for _ in range(people))
        other = sum(random_.random() < 0.10 for _ in range(people))
        found += inference.difference(one, people, other, people).low > 0
    assert 0.73 <= found / 300 <= 0.88


def test_value_per_person_is_compared_as_welch_does() -> None:
    one = Amounts(4, 20, 120)
    other = Amounts(5, 15, 55)
    found = inference.gained(one, other)
    assert found.estimate == 2
    assert round(found.high - found.estimate, 4) == round(1.959964 * ((20 / 3) / 4 + (10 / 4) / 5) ** 0.5, 4)


counts = st.integers(1, 400).flatmap(lambda people: st.tuples(st.integers(0, people), st.just(people)))


@given(counts, counts)
def test_intervals_hold_their_estimate_and_turn_with_their_sides(one: tuple[int, int], other: tuple[int, int]) -> None:
    there = inference.difference(*one, *other)
    back = inference.difference(*other, *one)
    assert -1 <= there.low <= there.estimate <= there.high <= 1
    assert isclose(there.low, -back.high, abs_tol=1e-12)
    p = inference.fisher(*one, *other)
    assert 0 < p <= 1
    assert isclose(p, inference.fisher(*other, *one), rel_tol=1e-6)


# -- the verdict -----------------------------------------------------------------------------------------------------


def simulated(rates: tuple[float, ...], people: int, times: int, confidence: float, seed: int) -> list[str | None]:
    random_ = random.Random(seed)
    winners = []
    for _ in range(times):
        variants = [
            Counted(str(place), people, sum(random_.random() < rate for _ in range(people)))
            for place, rate in enumerate(rates)
        ]
        winners.append(judge(variants, confidence).winner)
    return winners


@pytest.mark.parametrize("rates", [(0.2, 0.2), (0.05, 0.05), (0.2, 0.2, 0.2), (0.3, 0.3, 0.05), (0.1,) * 5])
def test_equal_variants_have_a_winner_no_more_often_than_was_accepted(rates: tuple[float, ...]) -> None:
    """A/A: 5 % accepted; four spreads of the simulation above it would be a broken promise."""
    times = 500
    winners = simulated(rates, 200, times, 0.95, seed=11)
    best = max(rates)
    false = sum(winner is not None and rates.count(best) > 1 for winner in winners)
    assert false / times <= 0.05 + 4 * (0.05 * 0.95 / times) ** 0.5


def test_a_better_variant_wins_when_there_are_enough_people() -> None:
    winners = simulated((0.10, 0.20), 500, 100, 0.95, seed=3)
    assert winners.count("1") >= 95
    assert winners.count("0") == 0


def test_looking_until_it_says_yes_would_break_the_promise() -> None:
    """Why the rule looks once: twenty looks at equal variants raise the alarm far more often than 5 %."""
    random_ = random.Random(5)
    alarms = 0
    for _ in range(150):
        one = other = 0
        for look in range(1, 21):
            one += sum(random_.random() < 0.2 for _ in range(50))
            other += sum(random_.random() < 0.2 for _ in range(50))
            if judge([Counted("a", look * 50, one), Counted("b", look * 50, other)], 0.95).winner:
                alarms += 1
                break
    assert alarms / 150 > 0.10


def test_two_that_lead_alike_have_no_best() -> None:
    verdict = judge([Counted("a", 100, 10), Counted("b", 100, 10), Counted("c", 100, 1)], 0.95)
    assert (verdict.best, verdict.winner) == (None, None)


def test_the_best_must_beat_every_other_one() -> None:
    verdict = judge([Counted("a", 500, 100), Counted("b", 500, 95), Counted("c", 500, 5)], 0.95)
    assert verdict.best == "a"
    assert verdict.winner is None, "c is beaten, b is not"
    assert [each.against for each in verdict.comparisons] == ["b", "c"]


def test_the_rule_waits_for_people_and_never_for_an_outcome() -> None:
    few = [Counted("a", 99, 99), Counted("b", 100, 0)]
    assert not enough(few, 100)
    assert enough([Counted("a", 100, 0), Counted("b", 100, 0)], 100)
