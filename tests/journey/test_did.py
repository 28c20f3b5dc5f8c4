"""`did <event>`: what has happened to a person, read, checked, judged and told."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from app.audience.definitions import Definition
from app.events.catalogue import known_events
from app.journey.condition_lines import ConditionError, parse, to_line
from app.journey.condition_tree import Did, from_json, to_json
from app.journey.conditions import check, evaluate, explain, weighed
from app.journey.durations import Duration
from app.journey.known import FACT_FIELDS, Known
from app.journey.program import Program
from tests.journey.kit import NOW, begin, facts, program

KNOWN = Known(known_events(), FACT_FIELDS)


def past(*days: int, kind: str = "booking.confirmed") -> dict[str, Any]:
    """Facts of somebody to whom it happened so many days ago."""
    return facts(contact_events=[(kind, NOW - timedelta(days=day), {}) for day in days])


def did(line: str) -> Did:
    condition = parse(line)
    assert isinstance(condition, Did)
    return condition


@pytest.mark.parametrize(
    ("line", "tree"),
    [
        ("did booking.confirmed", Did("booking.confirmed")),
        ("did booking.confirmed within 365 days", Did("booking.confirmed", 1, Duration(days=365))),
        ("did custom.called at least 2 times", Did("custom.called", 2)),
        ("did page.viewed at least 3 times within 1 hour", Did("page.viewed", 3, Duration(seconds=3600))),
        ("not did booking.confirmed within 1 month", Did("booking.confirmed", 1, Duration(months=1), negated=True)),
        ("not did order.placed at least 2 times", Did("order.placed", 2, negated=True)),
    ],
)
def test_a_line_is_read_and_written_back(line: str, tree: Did) -> None:
    assert parse(line) == tree
    assert to_line(tree) == line
    assert from_json(to_json(tree)) == tree


def test_many_blanks_and_a_single_time_are_read_too() -> None:
    assert parse("  not   did  page.viewed   at  least 1 time  within  2 days ") == Did(
        "page.viewed", 1, Duration(days=2), negated=True
    )


@pytest.mark.parametrize(
    ("line", "column", "cure"),
    [
        ("did", 3, "for example: did booking.confirmed"),
        ("did something", 4, "for example: did booking.confirmed"),
        ("did booking.confirmed twice", 22, "within 365 days"),
        ("did booking.confirmed at least 0 times", 22, "1 to 100"),
        ("did booking.confirmed at least 101 times", 22, "1 to 100"),
        ("did booking.confirmed within soon", 29, "within 7 days"),
        ("not did booking.confirmed within -3 days", 33, "write 3 days"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_column_and_a_cure(line: str, column: int, cure: str) -> None:
    with pytest.raises(ConditionError) as error:
        parse(line)
    assert error.value.column == column
    assert cure in error.value.cure


@pytest.mark.parametrize(
    ("line", "days", "verdict"),
    [
        ("did booking.confirmed", (400,), True),
        ("did booking.confirmed within 365 days", (400,), False),
        ("did booking.confirmed within 365 days", (365,), True),
        ("did booking.confirmed at least 2 times within 365 days", (1, 400), False),
        ("did booking.confirmed at least 2 times within 365 days", (1, 300), True),
        ("not did booking.confirmed within 365 days", (400,), True),
        ("not did booking.confirmed within 365 days", (1,), False),
        ("not did booking.confirmed at least 2 times", (1,), True),
        ("did booking.confirmed", (-1,), False),
        ("did page.viewed", (1,), False),
    ],
    ids=str,
)
def test_it_counts_what_has_happened_up_to_now(line: str, days: tuple[int, ...], verdict: bool) -> None:
    assert evaluate(did(line), past(*days), NOW) is verdict


def test_where_nobody_knows_what_has_happened_it_is_unknown_either_way() -> None:
    assert evaluate(did("did page.viewed"), facts(), NOW) is None
    assert evaluate(did("not did page.viewed"), facts(), NOW) is None
    assert explain(did("did page.viewed"), facts(), NOW, "it").endswith("non si può sapere")


def test_why_is_told_in_both_languages_by_the_event_s_name() -> None:
    line = did("did booking.confirmed at least 2 times within 365 days")
    assert explain(line, past(1), NOW, "en") == (
        "“Booking confirmed” happened at least 2 times within 365 days — it was once"
    )
    assert explain(line, past(1, 2, 3), NOW, "it") == (
        "“Prenotazione confermata” è accaduto almeno 2 volte nell'arco di 365 giorni — 3 volte"
    )
    assert explain(did("not did page.viewed"), past(), NOW, "en") == "“Page viewed” did not happen — it was 0 times"
    assert weighed(line, past(1), NOW) == [{"line": to_line(line), "verdict": False, "found": 1}]


@pytest.mark.parametrize(
    ("line", "code", "cure"),
    [
        ("did booking.confirmd", "unknown-event", "booking.confirmed"),
        ("did message.clicked within 7 days", "engagement", "clicked"),
        ("not did message.opened", "engagement", "opened"),
    ],
)
def test_an_event_that_is_none_or_may_not_be_known_is_told(line: str, code: str, cure: str) -> None:
    [problem] = check(did(line), KNOWN)
    assert problem.code == code
    assert cure in problem.cure


def test_events_of_one_s_own_may_be_asked_for() -> None:
    assert check(did("did custom.called within 2 days"), KNOWN) == []


@pytest.fixture(scope="module")
def asking() -> Program:
    return program(
        "  - id: b\n    branch:\n      - if: did page.viewed at least 2 times within 7 days\n"
        "        steps: [ { id: keen, send: x } ]\n      - else: true\n        steps: [ { id: calm, send: y } ]\n"
    )


def test_a_program_says_what_is_to_be_counted_for_it(asking: Program) -> None:
    assert asking.counted == {"page.viewed"}
    assert "page.viewed" not in asking.listens_to


def test_a_branch_goes_by_it(asking: Program) -> None:
    assert begin(asking, past(1, 2, kind="page.viewed")).sent[0][0] == "keen"
    assert begin(asking, past(1, 9, kind="page.viewed")).sent[0][0] == "calm"


def test_a_wait_for_it_is_woken_by_the_event() -> None:
    waiting = program("  - { id: w, wait_for: { if: did page.viewed at least 2 times, up_to: 2 days } }\n")
    assert "page.viewed" in waiting.listens_to


@pytest.mark.parametrize(
    ("line", "moves"),
    [("did page.viewed", "never"), ("not did page.viewed within 7 days", "hour")],
)
def test_a_segment_rests_on_events_and_moves_with_the_clock_where_a_time_is_named(line: str, moves: str) -> None:
    definition = Definition(line, parse(line))
    assert definition.rests_on == ["contact", "event"]
    assert definition.moves == moves
