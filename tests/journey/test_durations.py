"""Lengths of time as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.journey.durations import Duration, DurationError, parse, say, write

lengths = st.builds(Duration, st.integers(0, 60), st.integers(0, 800), st.integers(0, 200_000))


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("3 days", Duration(days=3)),
        ("-7 days", Duration(days=-7)),
        ("+2 hours", Duration(seconds=7200)),
        ("1 hour 30 minutes", Duration(seconds=5400)),
        ("2 weeks", Duration(days=14)),
        ("1 year", Duration(months=12)),
    ],
)
def test_it_reads_what_people_write(text: str, duration: Duration) -> None:
    assert parse(text) == duration


@pytest.mark.parametrize("text", ["", "soon", "3", "days", "3 fortnights", "2 business days", "900 years"])
def test_it_says_what_is_wrong(text: str) -> None:
    with pytest.raises(DurationError) as caught:
        parse(text)
    assert len(str(caught.value)) > 20


@given(lengths, st.booleans())
def test_what_it_writes_it_reads_back(duration: Duration, negative: bool) -> None:
    signed = -duration if negative else duration
    assert parse(write(signed)) == signed


def test_it_speaks_both_languages() -> None:
    assert say(Duration(days=-1), "it") == "1 giorno"
    assert say(Duration(days=14, seconds=5400), "en") == "2 weeks 1 hour 30 minutes"
