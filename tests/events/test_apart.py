"""R18, R12: the walk that takes out of a payload what may not lie in the open."""

from __future__ import annotations

import copy
import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.contacts.sensitive_names import Says, says
from app.events import apart

DAY = date(2026, 5, 1)
SECRET = "qxzallergy"
NONE: frozenset[str] = frozenset()

WORDS = "room board guests extras code name value type items booking reference children age rate channel data list"
_words = st.sampled_from(WORDS.split())
_special = st.sampled_from(["allergies", "DietaryRequirements", "esigenze alimentari", "religione", "wheelchair"])
_wishes = st.sampled_from(["notes", "customerNotes", "remarks", "richieste", "comments"])
_plain = st.none() | st.booleans() | st.integers(0, 99) | st.text(alphabet="abc xyz", max_size=8)
_leaves = st.dictionaries(_special, st.just(SECRET) | st.lists(st.just(SECRET), max_size=2), max_size=1).flatmap(
    lambda secret: st.dictionaries(_words, _plain, max_size=3).map(lambda more: {**more, **secret})
) | st.dictionaries(_wishes, st.just(SECRET) | st.none(), max_size=1)
_nested = st.recursive(
    _plain | _leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_words, inner, max_size=3)
)
payloads = st.dictionaries(_words, _nested, max_size=4)


@given(payloads)
def test_r18_whatever_the_shape_nothing_stays_and_nothing_is_lost(data: dict[str, Any]) -> None:
    before = copy.deepcopy(data)
    found = apart.of_data(data, "custom.thing", NONE, DAY)
    assert data == before, "what was sent is not changed under its sender's hands"
    assert SECRET not in json.dumps(found.left)
    if not found.children:
        assert json.dumps([value for _, value in found.special]).count(SECRET) == json.dumps(data).count(SECRET)
    kept = apart.by_field(found.special, None)
    assert json.dumps(kept).count(SECRET) >= bool(SECRET in json.dumps(data))
    again = apart.of_data(found.left, "custom.thing", NONE, DAY)
    assert (again.left, again.special, again.children) == (found.left, [], [])


@given(payloads)
def test_r18_a_whole_event_is_searched_wherever_its_sender_put_it(data: dict[str, Any]) -> None:
    raw = {"id": "e", "type": "x", "data": data, "extra": data, "contact": {"extra": data, "tags": [f"vegan {SECRET}"]}}
    assert SECRET not in json.dumps(apart.of_body(raw, "x", NONE, DAY).left)


_born = st.sampled_from(["2019-08-11", "2019-08-11T00:00:00Z", "11/08/2019"])
_child = st.fixed_dictionaries(
    {}, optional={"name": st.just("Luca"), "birthDate": _born, "dob": _born, "firstName": st.just("Luca")}
)
_children = st.dictionaries(
    st.sampled_from(["children", "kids", "bambini", "child_list"]), _child | st.lists(_child, max_size=3), max_size=2
) | st.fixed_dictionaries({"guests": st.lists(_child.filter(lambda one: {"dob", "birthDate"} & one.keys()))})
_stays = st.recursive(_children, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_words, inner, max_size=3))


@given(st.dictionaries(_words, _stays, max_size=3))
def test_r12_no_child_has_a_name_or_a_birth_date_wherever_it_stands(data: dict[str, Any]) -> None:
    found = apart.of_data(data, "custom.thing", NONE, DAY)
    left = json.dumps(found.left)
    assert not [mark for mark in ("Luca", "2019", "08") if mark in left]
    assert apart.of_data(found.left, "custom.thing", NONE, DAY).left == found.left


@pytest.mark.shared_data
def test_r18_of_payloads_that_engines_really_send_free_text_is_taken_and_nothing_else(shared: Path) -> None:
    taken = set()
    for path in sorted((shared / "data" / "booking_commerce_payloads").glob("*/*.json")):
        raw = json.loads(path.read_text())
        found = apart.of_data({"payload": raw}, "custom.payload", NONE, DAY)
        assert found.children == [], path
        taken |= {(path.parent.name, str(where[-1])) for where, value in found.special if value is not None}
    assert taken == {
        ("mews", "Notes"), ("oracle_ohip", "comments"), ("shopify", "note"), ("woocommerce", "note"),
    }  # fmt: skip


def test_r18_a_field_that_the_house_needs_is_never_taken_for_an_attribute_of_its_name() -> None:
    data = {"booking": {"reference": "B-1", "status": "confirmed", "pillow": "soft"}}
    found = apart.of_data(data, "booking.confirmed", frozenset({"reference", "status", "booking", "pillow"}), DAY)
    assert found.left == {"booking": {"reference": "B-1", "status": "confirmed"}}


def test_r18_what_the_catalogue_names_stays_free_text_or_not() -> None:
    data = {"survey": "stay", "score": 3, "comment": "slow lift"}
    assert apart.of_data(data, "survey.answered", NONE, DAY).left == data
    assert "comment" not in apart.of_data(data, "custom.survey", NONE, DAY).left


def test_r18_more_levels_than_anybody_sends_are_refused() -> None:
    deep: dict[str, Any] = {}
    for _ in range(apart.DEEPEST + 2):
        deep = {"a": [deep]}
    with pytest.raises(apart.TooDeepError):
        apart.of_data(deep, "x", NONE, DAY)


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("notes", Says.WISH), ("credit_note", Says.NOTHING), ("language_preferences", Says.NOTHING),
        ("cancellation_policy", Says.NOTHING), ("politica_cancellazione", Says.NOTHING), ("Celia", Says.NOTHING),
        ("accessibilità", Says.SPECIAL), ("minor_units", Says.NOTHING), ("children_count", Says.NOTHING),
        ("children", Says.CHILDREN), ("childAges", Says.CHILDRENS_AGES), ("nome_bambino", Says.CHILDRENS_NAMES),
        ("child_age_band", Says.NOTHING), ("age_band", Says.NOTHING), ("BirthDate", Says.BIRTH), ("Età", Says.AGE),
    ],
)  # fmt: skip
def test_r18_r12_what_names_say(name: str, what: Says) -> None:
    assert says(name) is what
