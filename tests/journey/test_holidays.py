"""The days on which a country is closed, the movable ones among them."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.journey.holidays import holidays, is_holiday, known

EASTERS = [
    date(2024, 3, 31),
    date(2025, 4, 20),
    date(2026, 4, 5),
    date(2027, 3, 28),
    date(2038, 4, 25),
]
"""As the almanac has them."""


@pytest.mark.parametrize("sunday", EASTERS)
def test_easter_and_the_day_after_close_italy_where_the_almanac_has_them(sunday: date) -> None:
    assert is_holiday(sunday)
    assert is_holiday(sunday + timedelta(days=1))


def test_the_year_2026_has_the_days_that_close_the_country() -> None:
    assert sorted(holidays(2026)) == [
        date(2026, *day)
        for day in (
            *((1, 1), (1, 6), (4, 5), (4, 6), (4, 25), (5, 1), (6, 2), (8, 15), (10, 4), (11, 1), (12, 8)),
            *((12, 25), (12, 26)),
        )
    ]


def test_saint_francis_is_a_holiday_only_since_the_law_says_so() -> None:
    assert not is_holiday(date(2025, 10, 4))
    assert is_holiday(date(2027, 10, 4))


@pytest.mark.parametrize(
    ("country", "day", "closed"),
    [
        ("FR", date(2026, 7, 14), True),
        ("IT", date(2026, 7, 14), False),
        ("DE", date(2026, 10, 3), True),
        ("AT", date(2026, 10, 26), True),
        ("CH", date(2026, 8, 1), True),
        ("DE", date(2026, 6, 4), False),  # Corpus Christi closes some of its lands only
    ],
)
def test_every_country_keeps_its_own_days(country: str, day: date, closed: bool) -> None:
    assert is_holiday(day, country) is closed


@pytest.mark.parametrize("country", ["XX", "", "it"])
def test_a_country_whose_calendar_is_not_known_has_none(country: str) -> None:
    assert not known(country)
    assert not is_holiday(date(2026, 12, 25), country)


@given(st.dates(), st.sampled_from(["IT", "FR", "DE", "US", "JP"]))
def test_any_day_has_an_answer(day: date, country: str) -> None:
    assert is_holiday(day, country) in {True, False}
