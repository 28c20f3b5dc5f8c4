"""What a booking is, folded from what was said of it: the odd cases of life and of booking systems."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.contacts.projection import STATUS_OF, Claim, Folded, fold, instant_text, together

START = datetime(2026, 5, 1, 12, tzinfo=UTC)


def said(what: str, hours: float = 0, sequence: int | None = None, source: int = 1, **fields: Any) -> Claim:
    """`booking.<what>`, so many hours after START."""
    at = instant_text(START + timedelta(hours=hours))
    name = f"{source}:{what}-{hours}-{sequence}-{sorted(fields.items())}"
    claim = Claim(id=name, type=f"booking.{what}", at=at, occurred_at=at, source=source, contact=1, fields=fields)
    if sequence is not None:
        claim["sequence"] = sequence
    if what == "checked_out":
        claim["day"] = at[:10]
    return claim


def come_to(*claims: Claim) -> Folded:
    """The fold of the claims, the same in every order and with each of them doubled."""
    results = [
        fold(together(together([], order[:1]), order[1:] + order[:1])) for order in itertools.permutations(claims)
    ]
    assert all(result == results[0] for result in results)
    return results[0]


def test_x19_a_cancellation_that_came_before_its_booking_stays_one() -> None:
    row = come_to(said("cancelled", 5), said("confirmed", 1, arrival="2026-06-01"))
    assert (row["status"], row["arrival"]) == ("cancelled", "2026-06-01")
    assert row["cancelled_at"] == instant_text(START + timedelta(hours=5))
    assert row["booked_at"] == instant_text(START + timedelta(hours=1))


def test_x20_a_later_number_wins_over_a_later_clock() -> None:
    row = come_to(said("modified", 1, sequence=2, adults=3), said("confirmed", 2, sequence=1, adults=2, children=1))
    assert (row["status"], row["adults"], row["children"]) == ("confirmed", 3, 1)


def test_numbers_of_different_sources_are_not_compared() -> None:
    row = come_to(
        said("confirmed", 1, sequence=9, source=1, adults=2), said("modified", 2, sequence=1, source=2, adults=4)
    )
    assert row["adults"] == 4


def test_x21_a_cancelled_booking_comes_alive_again() -> None:
    for how in ("reinstated", "confirmed"):
        row = come_to(said("confirmed"), said("cancelled", 1), said(how, 2))
        assert (row["status"], row["cancelled_at"], row["booked_at"]) == ("confirmed", None, instant_text(START))


def test_a_change_of_a_cancelled_booking_does_not_bring_it_back() -> None:
    assert come_to(said("confirmed"), said("cancelled", 1), said("modified", 2, adults=3))["status"] == "cancelled"


@pytest.mark.parametrize(("hours", "status"), [(24, "no_show"), (24.1, "checked_out"), (-24, "no_show")])
def test_x26_a_no_show_wins_over_a_check_out_within_a_day(hours: float, status: str) -> None:
    row = come_to(said("confirmed", -99), said("no_show", 0), said("checked_out", hours))
    assert row["status"] == status
    assert (row["checked_out_at"] is None) == (status == "no_show")


def test_x26_a_guest_who_came_after_all_is_no_no_show() -> None:
    row = come_to(said("confirmed", -99), said("no_show", 0), said("checked_in", 1), said("checked_out", 20))
    assert row["status"] == "checked_out"


def test_x27_leaving_early_moves_the_departure_and_a_late_report_does_not() -> None:
    stay: dict[str, Any] = {"arrival": "2026-05-01", "departure": "2026-05-06"}
    early = come_to(said("confirmed", -9, **stay), said("checked_out", 48))
    assert (early["departure"], early["nights"]) == ("2026-05-03", 2)
    late = come_to(said("confirmed", -9, **stay), said("checked_out", 24 * 8))
    assert (late["departure"], late["nights"]) == ("2026-05-06", 5)


def test_x27_an_extension_moves_the_departure_and_the_nights() -> None:
    stay: dict[str, Any] = {"arrival": "2026-05-01", "departure": "2026-05-06"}
    row = come_to(said("confirmed", -9, **stay), said("checked_in", 4), said("modified", 30, departure="2026-05-09"))
    assert (row["status"], row["departure"], row["nights"]) == ("checked_in", "2026-05-09", 8)


def test_x28_a_move_within_the_group_keeps_the_stay() -> None:
    moved = said("modified", 2, room_type="Suite")
    moved["property"] = 8
    first = said("confirmed", 1, room_type="Doppia")
    first["property"] = 7
    row = come_to(first, moved, said("checked_in", 3))
    assert (row["property_id"], row["room_type"], row["status"]) == (8, "Suite", "checked_in")


def test_what_came_before_the_sale_never_undoes_it() -> None:
    row = come_to(said("enquired", -2), said("confirmed", -1), said("abandoned", 1))
    assert row["status"] == "confirmed"


def test_a_null_clears_and_what_has_no_column_is_kept() -> None:
    row = come_to(said("confirmed", rate="BAR", spa=True, dog=1), said("modified", 1, rate=None, dog=None))
    assert (row["rate"], row["data"]) == (None, {"spa": True})


claims = st.lists(
    st.builds(
        said,
        st.sampled_from(
            [name.removeprefix("booking.") for name in STATUS_OF if name.startswith("booking.")] + ["modified"]
        ),
        st.integers(-30, 30),
        st.none() | st.integers(0, 3),
        st.integers(1, 2),
        adults=st.integers(1, 3),
    ),
    min_size=1,
    max_size=7,
)


@given(claims, st.data())
def test_any_claims_in_any_batches_come_to_the_same(told: list[Claim], data: st.DataObject) -> None:
    whole = fold(together([], told))
    mixed = data.draw(st.permutations(told + told[:2]))
    cut = data.draw(st.integers(0, len(mixed)))
    first = together([], mixed[:cut])
    assert fold(together(first, mixed[cut:])) == whole
