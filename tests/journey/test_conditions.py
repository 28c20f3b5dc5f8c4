"""One grammar, three-valued where it must be, and never a surprise."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.journey.condition_tree import Compare, Condition, Engaged, Group, Number, fields, from_json, to_json
from app.journey.conditions import ConditionError, check, evaluate, explain, parse, to_line, weighed
from app.journey.durations import Duration
from tests.journey.kit import EVENTS, NOW, WORLD

FACTS: dict[str, Any] = {
    "contact": {"language": "it", "tags": ["vip", "golf"], "attributes": {"score": 7, "birthday": "1980-02-29"}},
    "booking": {
        "nights": 0,
        "arrival": date(2026, 6, 1),
        "amount": 12_000,
        "currency": "EUR",
        "channel": "direct",
        "created_at": NOW - timedelta(days=3),
    },
    "property": {"zone": "Europe/Rome"},
    "consent": {"newsletter": "granted"},
    "event": {"data": {"product": "Suite"}},
}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("booking.nights >= 1", False),
        ("booking.nights == 0", True),
        ("contact.language in [it, de]", True),
        ("contact.language not in [it, de]", False),
        ("contact.language in []", False),
        ("contact.tags has vip", True),
        ("contact.tags has not vip", False),
        ("contact.tags has not spa", True),
        ("consent.newsletter == granted", True),
        ("consent.offers == granted", False),
        ("consent.offers is unknown", True),
        ("booking.arrival > now", False),  # it is today: a day against now compares days
        ("booking.arrival >= now", True),
        ("booking.arrival == 2026-06-01", True),
        ("booking.arrival before 2026-06-02", True),
        ("booking.arrival within next 7 days", True),
        ("booking.created_at within last 3 days", True),
        ("booking.created_at within last 2 days", False),
        ("booking.created_at within 4 days", True),
        ("now >= booking.arrival - 7 days", True),
        ("booking.arrival < now + 2 hours", False),
        ("booking.amount >= 120 EUR", True),
        ("booking.amount > 120 EUR", False),
        ("booking.amount >= 1 USD", False),
        ("booking.channel starts with DIR", True),
        ("booking.channel contains rect", True),
        ('event.product == "Suite"', True),
        ("contact.attributes.birthday < 1990-01-01", True),
        ("contact.attributes.score >= 7", True),
        ("contact.attributes.nothing is known", False),
    ],
)
def test_a_line_says_what_it_seems_to_say(line: str, expected: bool) -> None:
    assert evaluate(parse(line), FACTS, NOW) is expected


@pytest.mark.parametrize("operator", ["==", "<", "<=", ">", ">=", "in", "has", "contains", "starts with", "within"])
def test_what_is_not_there_is_nothing_in_particular(operator: str) -> None:
    value = {"in": "[1]", "within": "3 days"}.get(operator, "1")
    assert evaluate(parse(f"contact.attributes.gone {operator} {value}"), FACTS, NOW) is False


@pytest.mark.parametrize(("operator", "value"), [("!=", "1"), ("not in", "[1]"), ("has not", "1")])
def test_what_is_not_there_differs_from_everything(operator: str, value: str) -> None:
    assert evaluate(parse(f"contact.attributes.gone {operator} {value}"), FACTS, NOW) is True


def test_a_value_of_another_type_counts_as_not_there() -> None:
    assert evaluate(parse("contact.language > 3"), FACTS, NOW) is False
    assert evaluate(parse("contact.language != 3"), FACTS, NOW) is True


def test_a_day_against_now_is_the_day_of_the_property() -> None:
    late = datetime(2026, 6, 1, 22, 30, tzinfo=UTC)  # already 2 June in Rome
    assert evaluate(parse("booking.arrival < now"), FACTS, late) is True
    assert evaluate(parse("booking.arrival < now"), {**FACTS, "property": {"zone": "UTC"}}, late) is False


# --- engagement ---


def engaged(tracked: bool, **clicked: datetime) -> dict[str, Any]:
    return {**FACTS, "engagement": {"tracked": tracked, "clicked": clicked}}


def test_who_is_not_tracked_has_not_not_clicked() -> None:
    assert evaluate(parse("clicked upsell"), FACTS, NOW) is None
    assert evaluate(parse("clicked upsell"), engaged(tracked=False), NOW) is None
    assert evaluate(parse("clicked upsell"), engaged(tracked=True), NOW) is False


def test_a_click_counts_within_its_time() -> None:
    clicked = engaged(tracked=True, upsell=NOW - timedelta(days=5))
    assert evaluate(parse("clicked upsell within 7 days"), clicked, NOW) is True
    assert evaluate(parse("clicked upsell within 3 days"), clicked, NOW) is False


# --- laws ---

leaves: st.SearchStrategy[Condition] = st.one_of(
    st.builds(
        Compare, st.just("booking.nights"), st.sampled_from(["==", ">=", "<"]), st.builds(Number, st.integers(0, 2))
    ),
    st.builds(
        Compare, st.sampled_from(["contact.language", "contact.gone"]), st.sampled_from(["is known", "is unknown"])
    ),
    st.builds(Engaged, st.just("clicked"), st.sampled_from(["one", "two", "three"])),
)
trees: st.SearchStrategy[Condition] = st.recursive(
    leaves,
    lambda inner: st.builds(Group, st.sampled_from(["all", "any", "none"]), st.lists(inner, max_size=3).map(tuple)),
    max_leaves=8,
)
clicks = st.dictionaries(st.sampled_from(["one", "two", "three"]), st.just(NOW - timedelta(hours=1)))


def of(tree: Condition, tracked: bool, clicked: dict[str, datetime]) -> bool | None:
    return evaluate(tree, engaged(tracked, **clicked), NOW)


@given(st.lists(trees, max_size=3), clicks, st.booleans())
def test_none_is_the_opposite_of_any(parts: list[Condition], clicked: dict[str, datetime], tracked: bool) -> None:
    any_of, none_of = (of(Group(join, tuple(parts)), tracked, clicked) for join in ("any", "none"))
    assert none_of is (None if any_of is None else not any_of)


@given(st.lists(trees, max_size=3), clicks, st.booleans())
def test_none_of_several_is_none_of_each(parts: list[Condition], clicked: dict[str, datetime], tracked: bool) -> None:
    each = Group("all", tuple(Group("none", (part,)) for part in parts))
    assert of(Group("none", tuple(parts)), tracked, clicked) is of(each, tracked, clicked)


@given(trees, clicks)
def test_none_of_none_is_the_thing_itself(tree: Condition, clicked: dict[str, datetime]) -> None:
    assert of(Group("none", (Group("none", (tree,)),)), False, clicked) is of(tree, False, clicked)


@given(st.permutations([0, 1, 2]), st.lists(trees, min_size=3, max_size=3), st.sampled_from(["all", "any", "none"]))
def test_the_order_of_lines_changes_nothing(order: list[int], parts: list[Condition], join: Any) -> None:
    one = Group(join, tuple(parts))
    other = Group(join, tuple(parts[place] for place in order))
    assert of(one, False, {}) is of(other, False, {})


@given(trees, clicks)
def test_of_who_is_tracked_everything_can_be_known(tree: Condition, clicked: dict[str, datetime]) -> None:
    assert of(tree, True, clicked) is not None


@given(trees, clicks, clicks)
def test_what_is_said_without_knowing_stays_true_when_it_is_known(
    tree: Condition, clicked: dict[str, datetime], more: dict[str, datetime]
) -> None:
    before = of(tree, False, clicked)
    assert before is None or before is of(tree, True, {**clicked, **more})


@given(trees)
def test_a_tree_survives_json(tree: Condition) -> None:
    assert from_json(json.loads(json.dumps(to_json(tree)))) == tree


odd = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.dates() | st.datetimes(),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["language", "tags", "x"]), inner, max_size=2)
    ),
    max_leaves=6,
)
LINES = [
    "contact.language == it",
    "contact.tags has 3",
    "contact.language within next 3 days",
    "contact.language >= now - 40 years",
    "contact.x.y in [a, 2, true, 2026-01-01]",
    "contact.language > contact.tags",
    "contact.tags < 12.50 EUR",
    "contact.language contains x",
    "clicked upsell within 3 days",
]


@given(st.sampled_from(LINES), odd, st.sampled_from(["en", "it"]))
def test_nothing_in_the_facts_can_break_it(line: str, contact: Any, language: str) -> None:
    condition = parse(line)
    assert evaluate(condition, {"contact": contact}, NOW) in (True, False, None)
    assert isinstance(explain(condition, {"contact": contact}, NOW, language), str)


# --- lines ---


@pytest.mark.parametrize(
    "line",
    [
        "booking.nights >= 3",
        "contact.language in [it, de]",
        'contact.first_name == "O\'Brien, Pat"',
        'contact.attributes.code == "12"',
        'contact.attributes.code == "true"',
        "booking.arrival > now + 3 days",
        "booking.departure within next 14 days",
        "booking.amount >= 120.50 EUR",
        "booking.created_at > 2026-01-01T10:00:00+01:00",
        "clicked upsell within 7 days",
        "contact.email is known",
        "consent.newsletter == granted",
    ],
)
def test_a_line_is_written_as_it_was_read(line: str) -> None:
    condition = parse(line)
    assert isinstance(condition, (Compare, Engaged))
    assert parse(to_line(condition)) == condition


@pytest.mark.parametrize(
    ("line", "column", "message"),
    [
        (">= 3", 0, "a condition starts with the name of a field"),
        ("booking.nights", 14, "an operator is missing"),
        ("booking.nights = 3", 15, "unknown operator '='"),
        ("booking.nights >=", 17, "a value is missing after >="),
        ("booking.nights like 3", 15, "unknown operator 'like'"),
        ("contact.language in it, de", 20, "in needs a list"),
        ("contact.language in [it, ]", 25, "a value is missing"),
        ('contact.language == "it', 20, "a quote is not closed"),
        ("booking.arrival > 2026-02-30", 18, "'2026-02-30' is no date"),
        ("booking.nights >= 1 and booking.nights < 3", 18, "'1 and booking.nights < 3' is no value"),
        ("clicked upsell after 3 days", 15, "only 'within <time>' may follow clicked upsell"),
        ("booking.arrival within seven days", 23, "'seven days' is no length of time"),
        ("contact.email is known now", 23, "nothing may follow is known"),
    ],
)
def test_a_line_that_cannot_be_read_says_where_and_why(line: str, column: int, message: str) -> None:
    with pytest.raises(ConditionError) as caught:
        parse(line)
    assert (caught.value.column, caught.value.message[: len(message)]) == (column, message)


# --- check ---


@pytest.mark.parametrize(
    ("line", "code", "cure"),
    [
        ("booking.nigths >= 1", "unknown-field", "did you mean booking.nights?"),
        ("nights >= 1", "unknown-field", "did you mean booking.nights?"),
        ("consent.ofers == granted", "unknown-field", "did you mean consent.offers?"),
        ("consent.offers == yes", "wrong-value", "one of: denied, granted, pending, withdrawn"),
        ("booking.nights == three", "wrong-type", "write a number, such as 3"),
        ("booking.amount >= 120", "wrong-type", "write an amount with its currency, such as 120 EUR"),
        ("contact.language == 3", "wrong-type", 'put it in quotes: "12"'),
        ("contact.attributes.vip == yes", "wrong-type", "write true or false"),
        ("booking.arrival contains 3", "wrong-operator", "one of: =="),
        ("contact.tags == vip", "wrong-operator", "one of: has, has not"),
        ("booking.arrival > booking.nights", "wrong-type", "write a day"),
        ("event.amout >= 1 EUR", "unknown-field", "did you mean event.amount?"),
        ("clicked upsel", "unknown-step", "did you mean upsell?"),
    ],
)
def test_a_wrong_name_or_type_is_answered_with_the_right_one(line: str, code: str, cure: str) -> None:
    (problem,) = check(parse(line), WORLD, [EVENTS["upsell.purchased"]], ["upsell", "confirm"])
    assert (problem.code, problem.cure[: len(cure)]) == (code, cure)


def test_open_places_take_any_name() -> None:
    for line in ("contact.attributes.anything == 3", "booking.data.x == y", "enrollment.fields.z == true"):
        assert check(parse(line), WORLD) == []


# --- explain ---


@pytest.mark.parametrize(
    ("line", "english", "italian"),
    [
        ("booking.nights >= 1", "nights is at least 1 — it was 0", "numero di notti è almeno 1 — era 0"),
        (
            "contact.first_name == Anna",
            "guest's first name is Anna — it is not known",
            "nome dell'ospite è Anna — non è noto",
        ),
        (
            "contact.language in [de, fr]",
            "guest's language is one of German, French — it was Italian",
            "lingua dell'ospite è tra tedesco, francese — era italiano",
        ),
        (
            "booking.amount >= 500 EUR",
            "booking amount is at least €500.00 — it was €120.00",
            "importo della prenotazione è almeno 500,00 € — era 120,00 €",
        ),
        (
            "booking.arrival > now",
            "arrival is later than now — it was 1 Jun 2026, now: 1 Jun 2026",
            "arrivo è successivo a adesso — era 1 giu 2026, adesso: 1 giu 2026",
        ),
        (
            "clicked upsell",
            "clicked in “upsell” — it cannot be known",
            "ha cliccato in “upsell” — non si può sapere",
        ),
        (
            "booking.channel contains x",
            "booking channel contains x — it was direct",
            "canale di prenotazione contiene x — era direct",
        ),
    ],
)
def test_it_says_why(line: str, english: str, italian: str) -> None:
    condition = parse(line)
    assert (explain(condition, FACTS, NOW), explain(condition, FACTS, NOW, "it")) == (english, italian)


def test_of_several_lines_it_tells_those_that_decided() -> None:
    both = Group("all", (parse("booking.nights >= 1"), parse("contact.language == it")))
    assert explain(both, FACTS, NOW) == "nights is at least 1 — it was 0"


def test_it_knows_what_it_reads() -> None:
    tree = Group("any", (parse("booking.arrival > now"), Group("none", (parse("booking.nights < booking.adults"),))))
    assert fields(tree) == {"booking.arrival", "booking.nights", "booking.adults"}


def test_a_span_is_kept_as_a_duration() -> None:
    tree = parse("clicked upsell within 1 week")
    assert tree == Engaged("clicked", "upsell", Duration(days=7))


@pytest.mark.parametrize("line", ["contact.segments has wine-lovers", "contact.segments has not wine-lovers"])
def test_r13_whether_somebody_is_in_a_withheld_segment_is_neither_true_nor_false_nor_told(line: str) -> None:
    now = datetime(2026, 5, 1, tzinfo=UTC)
    facts = {"contact": {"segments": ["wine-lovers", "guests"]}, "withheld": frozenset({"wine-lovers"})}
    condition = parse(line)
    assert evaluate(condition, facts, now) is None
    assert "cannot be known without a consent to profiling" in explain(condition, facts, now)
    assert weighed(condition, facts, now)[0]["found"] is None
    assert evaluate(parse("contact.segments has guests"), facts, now) is True
    assert evaluate(condition, {"contact": facts["contact"]}, now) is ("not" not in line)
