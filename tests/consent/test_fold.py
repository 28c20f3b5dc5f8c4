"""From lines to what holds now: X43, X44 and R10, in any order of arrival."""

from __future__ import annotations

from datetime import timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.consent.fold import Line, fold, grant, missing_proof, standing, words
from tests.consent.people import ADDRESS, NOON

DAY = timedelta(days=1)


def line(
    number: int, state: str, day: int, *, topic: str | None = "offers", method: str = "web", **given: object
) -> Line:
    """Something Anna said on a day; proven unless said otherwise."""
    proven = bool(given.get("proven", True))
    return Line(number, ADDRESS, "email", "marketing", topic, state, method, NOON + day * DAY, proven)


def where(*lines: Line) -> str:
    """Where offers stand."""
    return standing(fold(lines), ADDRESS, "email", "offers")[0]


def test_x43_the_newest_explicit_act_wins_either_way() -> None:
    assert where(line(1, "denied", 1), line(2, "granted", 2)) == "granted"
    assert where(line(1, "granted", 1), line(2, "denied", 2)) == "denied"


def test_x44_an_old_yes_that_arrives_after_a_no_does_not_count() -> None:
    assert where(line(1, "withdrawn", 5), line(2, "granted", 1)) == "withdrawn"
    assert where(line(1, "withdrawn", 5), line(2, "granted", 5)) == "withdrawn"


def test_r10_an_import_never_lifts_a_no_whatever_date_it_claims() -> None:
    for method in ("import", "pms_sync"):
        for said in ("withdrawn", "objected", "denied"):
            assert where(line(1, said, 1), line(2, "granted", 9, method=method)) == said


def test_an_import_may_bring_a_first_yes() -> None:
    assert where(line(1, "granted", 1, method="import")) == "granted"


def test_a_yes_to_a_topic_counts_against_an_older_no_to_all() -> None:
    assert where(line(1, "objected", 1, topic=None), line(2, "granted", 2)) == "granted"
    assert where(line(1, "granted", 1), line(2, "objected", 2, topic=None)) == "objected"


def test_a_new_request_does_not_make_a_no_forgotten() -> None:
    states = fold([line(1, "objected", 1, topic=None), line(2, "pending", 2, topic=None)])
    held = states[ADDRESS, "email", "marketing", None]
    assert (held.state, held.refused_state) == ("pending", "objected")
    assert grant(states, ADDRESS, "email", "offers") is None


def test_a_new_request_does_not_take_away_a_yes() -> None:
    assert where(line(1, "granted", 1), line(2, "pending", 2)) == "granted"


def test_an_unproven_yes_lifts_nothing() -> None:
    assert where(line(1, "withdrawn", 1), line(2, "granted", 2, proven=False)) == "withdrawn"


def test_a_yes_that_lapsed_is_none() -> None:
    assert where(line(1, "granted", 1), line(2, "expired", 30)) == "expired"
    assert grant(fold([line(1, "granted", 1), line(2, "expired", 30)]), ADDRESS, "email", "offers") is None


def test_words_say_what_conditions_see() -> None:
    states = fold(
        [
            line(1, "granted", 1),
            line(2, "granted", 1, topic="newsletter", proven=False),
            line(3, "pending", 2, topic="x"),
        ]
    )
    assert words(states, ADDRESS) == {"offers": "granted", "x": "pending"}
    assert words(states, "other@example.com") == {}


@pytest.mark.parametrize("method", ["web", "desk_tablet", "staff", "phone", "paper"])
def test_r6_these_ways_need_the_mailbox_or_a_scan(method: str) -> None:
    proof = {"wording_version": "1", "import_file": None}
    assert missing_proof("granted", method, confirmed=False, scan_id=None, **proof) in {("confirmation",), ("scan",)}
    assert not missing_proof("granted", method, confirmed=True, scan_id=None, **proof)
    assert not missing_proof("granted", method, confirmed=False, scan_id="scan-1", **proof)


def test_r5_a_yes_without_wording_version_is_unproven() -> None:
    def lacking(method: str, version: str | None) -> tuple[str, ...]:
        return missing_proof("granted", method, wording_version=version, confirmed=True, scan_id=None, import_file=None)

    assert lacking("api", None) == ("wording_version",)
    assert lacking("", "1") == ("method",)
    assert lacking("api", "1") == ()


said = st.tuples(
    st.sampled_from(["granted", "denied", "withdrawn", "objected", "pending", "expired"]),
    st.integers(1, 6),
    st.sampled_from(["offers", None]),
    st.sampled_from(["web", "import"]),
    st.booleans(),
)


@given(st.lists(said, max_size=8))
def test_a_yes_is_always_newer_than_every_no(history: list[tuple[str, int, str | None, str, bool]]) -> None:
    lines = [
        line(number, state, day, topic=topic, method=method, proven=proven)
        for number, (state, day, topic, method, proven) in enumerate(history, 1)
    ]
    held = grant(fold(lines), ADDRESS, "email", "offers")
    if held is not None:
        source = next(one for one in lines if one.line == held.line)
        assert source.state == "granted"
        assert source.proven
        refusals = [one for one in lines if one.state in {"denied", "withdrawn", "objected"}]
        assert all(one.at < held.at for one in refusals)
        assert source.method != "import" or not refusals


@given(st.lists(said, min_size=1, max_size=8))
def test_a_no_that_is_newest_always_holds(history: list[tuple[str, int, str | None, str, bool]]) -> None:
    lines = [
        line(number, state, day, topic=topic, method=method, proven=proven)
        for number, (state, day, topic, method, proven) in enumerate(history, 1)
    ]
    last = line(len(lines) + 1, "withdrawn", 7)
    assert grant(fold([*lines, last]), ADDRESS, "email", "offers") is None


@given(st.lists(said, max_size=7), st.randoms(use_true_random=False))
def test_the_order_of_arrival_decides_nothing(
    history: list[tuple[str, int, str | None, str, bool]], random: Random
) -> None:
    # One thing said a day: at the same instant the order on paper must decide, as nothing else can.
    lines = [
        line(number, state, number * 7 + day, topic=topic, method=method, proven=proven)
        for number, (state, day, topic, method, proven) in enumerate(history, 1)
    ]
    shuffled = list(lines)
    random.shuffle(shuffled)
    assert standing(fold(shuffled), ADDRESS, "email", "offers") == standing(fold(lines), ADDRESS, "email", "offers")
    assert grant(fold(shuffled), ADDRESS, "email", "offers") == grant(fold(lines), ADDRESS, "email", "offers")
