"""Definitions: what may be said, what is answered where it is wrong, and what becomes of the history."""

from __future__ import annotations

import pytest
from sqlalchemy.orm import Session

from app.audience import catalogue, definitions
from app.audience.catalogue import RefusedError
from app.audience.definitions import Definition, Vocabulary
from app.clock import FixedClock
from app.contacts.models import AttributeDefinition
from app.journey.places import LanguageError
from tests.factories import Factory


@pytest.fixture
def words(session: Session, make: Factory) -> Vocabulary:
    """What may be spoken of here: two attributes, one of them of a special category."""
    make.add(AttributeDefinition, key="points", type="number")
    make.add(AttributeDefinition, key="diet", type="text", special_category=True)
    return definitions.vocabulary(session)


@pytest.mark.parametrize(
    ("source", "line", "column", "told"),
    [
        ("all:\n  - contact.langage == it\n", 2, 5, "did you mean contact.language?"),
        ("all:\n  - contact.language == it\n  - any: [ booking.nights >= two ]\n", 3, 30, "write a number"),
        ("all:\n  - booking.nights has 3\n", 2, 20, "one of: =="),
        ("all:\n  - contact.attributes.points > 3\n  - contact.attributes.diet == vegan\n", 3, 5, "R18"),
        ("all:\n  - event.amount > 3\n", 2, 5, "a segment looks at people"),
        ("all:\n  - contact.segments has vip\n", 2, 5, "other segments"),
        ("all:\n  - clicked upsel\n", 2, 13, "does not exist or sends nothing"),
        ("all:\n  - booking.arrival > booking.created_at + 3 business days\n", 2, 44, "business days"),
        ("- contact.language == it\n", 1, 1, "start with all:, any: or none:"),
        ("some:\n  - contact.language == it\n", 1, 1, "one of: all, any, none"),
        ("all:\n  - contact.language ==\n", 2, 24, "a value is missing"),
    ],
)
def test_what_is_wrong_is_told_with_its_place_and_a_cure(
    words: Vocabulary, source: str, line: int, column: int, told: str
) -> None:
    with pytest.raises(LanguageError) as caught:
        definitions.read(source, words)
    (problem,) = caught.value.problems
    assert (problem.line, problem.column) == (line, column), problem
    assert told in f"{problem.message} {problem.cure}"


@pytest.mark.parametrize(
    ("lines", "moves", "rests_on"),
    [
        ("[ contact.language == it ]", "never", ["contact"]),
        ("[ booking.arrival > now ]", "day", ["booking", "contact"]),
        ("[ booking.arrival within next 7 days ]", "day", ["booking", "contact"]),
        ("[ now >= booking.arrival - 7 days ]", "day", ["booking", "contact"]),
        ("[ booking.arrival > now + 2 hours ]", "hour", ["booking", "contact"]),
        ("[ booking.created_at within last 90 days ]", "hour", ["booking", "contact"]),
        ("[ contact.created_at > 2026-01-01 ]", "never", ["contact"]),
        ("[ consent.newsletter == granted ]", "never", ["consent", "contact"]),
        ("[ clicked upsell ]", "never", ["consent", "contact", "engagement"]),
        ("[ none: [ clicked upsell within 7 days ] ]", "hour", ["consent", "contact", "engagement"]),
    ],
)
def test_it_is_known_what_moves_people(words: Vocabulary, lines: str, moves: str, rests_on: list[str]) -> None:
    spoken = Vocabulary(words.known, ["upsell"], words.barred)
    definition: Definition = definitions.read(f"all: {lines}", spoken)
    assert (definition.moves, definition.rests_on) == (moves, rests_on)


def test_every_change_is_kept_with_who_made_it(session: Session, clock: FixedClock) -> None:
    now = clock.now()
    first, second = "all:\n  - contact.language == it\n", "any:\n  - contact.language == de\n"
    catalogue.create(session, "mine", {"en": "Mine"}, first, by="Marta", now=now)
    catalogue.edit(session, "mine", second, by="Luca", now=now)
    catalogue.edit(session, "mine", second, by="Luca", now=now)
    catalogue.rename(session, "mine", "ours", by="Marta", now=now)
    catalogue.retitle(session, "ours", {"en": "Ours"}, by="Marta", now=now)
    catalogue.archive(session, "ours", by="Marta", now=now)
    assert catalogue.names(session) == ()
    catalogue.restore(session, "ours", by="Marta", now=now)
    changes = catalogue.history(session, catalogue.named(session, "ours"))
    told = [(one.what, one.by, one.before.get("source"), one.after.get("source")) for one in reversed(changes)]
    assert told[:2] == [("created", "Marta", None, first), ("condition", "Luca", first, second)]
    assert [what for what, *_ in told[2:]] == ["renamed", "title", "archived", "restored"]


@pytest.mark.parametrize("name", ["", "Mine", "two words", "-dash", "dash-", "a--b", "é", "x" * 81])
def test_a_name_is_one_that_a_workflow_can_write(session: Session, clock: FixedClock, name: str) -> None:
    with pytest.raises(RefusedError):
        catalogue.create(session, name, {"en": "Mine"}, "all: []", by="Marta", now=clock.now())


def test_a_name_is_taken_once_even_by_what_was_put_away(session: Session, clock: FixedClock) -> None:
    catalogue.create(session, "mine", {"en": "Mine"}, "all: []", by="Marta", now=clock.now())
    catalogue.archive(session, "mine", by="Marta", now=clock.now())
    with pytest.raises(RefusedError, match="already"):
        catalogue.create(session, "mine", {"en": "Mine"}, "all: []", by="Marta", now=clock.now())
