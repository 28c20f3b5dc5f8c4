"""Lives: what a person does, when; drawn by hypothesis, printed as a story that the simulator can run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from io import StringIO
from typing import Any

from hypothesis import strategies as st
from ruamel.yaml import YAML

DOINGS = (
    *("book", "book_by_portal", "cancel", "check_out", "abandon", "read_notice"),
    *("agree", "agree_without_proof", "agree_late", "agree_by_file", "give_feedback_consent"),
    *("withdraw", "withdraw_late", "withdraw_all"),
    *("one_click", "prefer", "stop_everything", "undo", "look_at_links", "press_confirm"),
    *("sign_up", "come_in_a_file", "complain", "bounce", "turn_out_to_be", "be_erased"),
)
"""Everything a person, their systems and their mailbox may do. What cannot be done yet (no mail to click in) passes."""

TOPICS = ("newsletter", "offers")


@dataclass(frozen=True)
class Act:
    """One act: so many hops of the clock after the one before it; `n` says which topic, booking or switches."""

    wait: int
    what: str
    n: int


Life = tuple[Act, ...]


@dataclass(frozen=True)
class World:
    """Some people's lives on one timeline."""

    lives: tuple[Life, ...]
    hops: tuple[int, ...]
    """Hours between one instant and the next."""
    broadcasts: frozenset[int]
    """At which instants the hotel writes to everybody."""
    kills: tuple[int, ...]
    """At each instant: the worker dies before its so-many-eth commit (0: it lives)."""

    def _repr_pretty_(self, printer: Any, _cycle: bool) -> None:
        # How hypothesis writes it. It warns of longer texts, and warnings are errors: whose story went wrong would be
        # hidden by that.
        printer.text(f"<World of {len(self.lives)} lives>")


def _acts(doings: list[str]) -> st.SearchStrategy[Act]:
    return st.builds(Act, wait=st.integers(0, 3), what=st.sampled_from(doings), n=st.integers(0, 7))


LEANINGS = (
    ("agree", "book"),
    ("read_notice", "book"),
    ("read_notice", "book", "book"),
    ("sign_up", "press_confirm"),
    ("give_feedback_consent", "book", "check_out"),
    ("agree", "turn_out_to_be", "stop_everything"),
)
"""What a life leans to: a way of coming to be written to at all, or hardly anybody would be."""


@st.composite
def _lives(draw: st.DrawFn) -> Life:
    # Few kinds of acts a life, so that they meet: among all kinds a no is rarely followed by the very yes that matters.
    some = draw(st.lists(st.sampled_from(DOINGS), min_size=1, max_size=5, unique=True))
    doings = [*draw(st.sampled_from(LEANINGS)), *some]
    return tuple(draw(st.lists(_acts(doings), min_size=2, max_size=7)))


def worlds(people: int, instants: int) -> st.SearchStrategy[World]:
    """Worlds of so many people."""
    return st.builds(
        World,
        lives=st.lists(_lives(), min_size=people, max_size=people).map(tuple),
        hops=st.lists(st.sampled_from([1, 5, 26, 70]), min_size=instants, max_size=instants).map(tuple),
        broadcasts=st.frozensets(st.integers(0, instants - 1), min_size=4, max_size=8),
        kills=st.lists(st.sampled_from([0, 0, 1, 2, 3, 5, 9]), min_size=instants, max_size=instants).map(tuple),
    )


def timeline(world: World) -> list[list[tuple[int, Act]]]:
    """For each instant: who does what, in the order of the people."""
    told: list[list[tuple[int, Act]]] = [[] for _ in world.hops]
    for person, life in enumerate(world.lives):
        at = 0
        for act in life:
            at += act.wait
            if at < len(told):
                told[at].append((person, act))
    return told


def story(name: str, events: Sequence[dict[str, Any]], until: datetime) -> str:
    """What one person went through, as a file for `flask workflows simulate FILE --workflow WORKFLOW`."""
    out = StringIO()
    yaml = YAML()
    yaml.default_flow_style = False
    given = {"contact": {"language": "it"}}
    yaml.dump(
        [{"story": name, "given": given, "events": list(events), "until": f"{until:%Y-%m-%dT%H:%M:%S+00:00}"}], out
    )
    return out.getvalue()
