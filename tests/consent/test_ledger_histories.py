"""Random lives of a ledger on the real database, held against a model too small to be wrong."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from app.consent import chain, ledger
from app.consent.case import ConsentFacts
from app.consent.rules import decide
from tests.conftest import START
from tests.consent.conftest import Book, act
from tests.consent.people import request

TOPICS = ("offers", "newsletter")
NOES = {"denied", "withdrawn", "objected"}


@dataclass(frozen=True)
class Said:
    """One step of a history: who says what, when, how; `late` days pass before it is written down."""

    who: int
    state: str
    topic: str | None
    imported: bool
    proven: bool
    late: int


steps = st.builds(
    Said,
    who=st.integers(1, 2),
    state=st.sampled_from(["granted", "granted", "denied", "withdrawn", "objected", "pending"]),
    topic=st.sampled_from([*TOPICS, None]),
    imported=st.integers(0, 4).map(lambda number: number == 0),
    proven=st.integers(0, 4).map(lambda number: number > 0),
    late=st.integers(0, 4),
)


def may(history: list[tuple[datetime, Said]], who: int, topic: str) -> bool:
    """The model: a proven yes to the topic or to all, with no later or equal no to either, nor any such objection to
    all; and a system's yes only where nobody ever said no."""
    mine = [(at, said) for at, said in history if said.who == who]
    noes = [at for at, said in mine if said.state in NOES and said.topic in {topic, None}]
    return any(
        said.state == "granted" and said.proven and (not noes or (at > max(noes) and not said.imported))
        for at, said in mine
        if said.topic in {topic, None}
    )


@given(st.lists(steps, min_size=1, max_size=10))
def test_what_the_rules_allow_is_what_the_history_allows(book: Book, history: list[Said]) -> None:
    # Rolled back whatever happens: what a failed example left behind would mislead the search for a smaller one.
    with book.session.begin_nested() as nested:
        _live(book, history)
        nested.rollback()


def _live(book: Book, history: list[Said]) -> None:
    told: list[tuple[datetime, Said]] = []
    now = START
    for step, said in enumerate(history):
        now = START + timedelta(days=step, hours=1)
        at = now - timedelta(days=said.late, minutes=step)
        told.append((at, said))
        proof = {"wording_version": "1"} if said.proven else {}
        proof |= {"import_file": "guests.csv"} if said.imported else {}
        method = "import" if said.imported else "preference_centre"
        one = act(said.who, said.state, at=at, topic=said.topic, method=method, proof=proof)
        ledger.append(book.session, [one], now)
        known = ledger.current(book.session, [1, 2])
        for who in (1, 2):
            for topic in TOPICS:
                facts = ConsentFacts("anna@example.com", known.get(who, {}), "Europe/Rome")
                decision = decide(request(topic=topic), facts, now)
                assert decision.allowed == may(told, who, topic), (told, decision)
    assert chain.broken(book.session) is None
