"""A line about what has happened is one row of the rule builder, and comes back from it as it was."""

from __future__ import annotations

import pytest

from app.audience.definitions import Vocabulary
from app.events.catalogue import known_events
from app.journey.known import FACT_FIELDS, Known
from app.studio import segment_form

WORDS = Vocabulary(Known(known_events(), FACT_FIELDS), (), frozenset())


@pytest.mark.parametrize(
    ("line", "row"),
    [
        ("did booking.confirmed", ("did booking.confirmed", "ever", "")),
        ("did page.viewed within 7 days", ("did page.viewed", "within", "7 days")),
        ("did order.placed at least 2 times", ("did order.placed", "at least", "2 times")),
        (
            "did order.placed at least 2 times within 365 days",
            ("did order.placed", "at least", "2 times within 365 days"),
        ),
        ("not did booking.confirmed", ("did booking.confirmed", "never", "")),
        ("not did booking.confirmed within 30 days", ("did booking.confirmed", "not within", "30 days")),
        ("not did page.viewed at least 3 times", ("did page.viewed", "fewer than", "3 times")),
    ],
)
def test_a_line_is_a_row_and_a_row_a_line(line: str, row: tuple[str, str, str]) -> None:
    form = segment_form.of_source(f"all:\n  - {line}\n")
    assert form is not None
    [shown] = form.rows
    assert (shown.field, shown.operator, shown.value) == row
    source, places = segment_form.to_source(form, WORDS)
    assert source == f"all:\n  - {line}\n"
    assert places == {2: shown}
