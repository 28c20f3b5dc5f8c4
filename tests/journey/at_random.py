"""Random workflows and random lives, for properties that hold of all of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from app.journey.compiler import compile_program
from app.journey.entry import Event
from app.journey.facts import Facts
from app.journey.language import Workflow
from app.journey.program import Program
from tests.journey.kit import NOW, facts

Step = dict[str, Any]

_LINES = st.sampled_from(
    [
        "booking.channel == direct",
        "booking.nights >= 3",
        "contact.language in [it, de]",
        "contact.tags has seen",
        "enrollment.fields.way == long",
        "booking.arrival is known",
        {"any": ["contact.language == en", "booking.nights < 2"]},
        {"none": ["contact.tags has vip"]},
    ]
)
_LENGTHS = st.sampled_from(["10 minutes", "1 hour", "1 day", "3 days", "2 weeks", "1 month"])
_OFFSETS = st.sampled_from(["-30 days", "-7 days", "-1 day", "3 days", "25 days"])
_CLOCKS = st.sampled_from(["00:30", "02:30", "10:00", "23:45"])
_ZONES = st.sampled_from(["property", "contact", "America/New_York"])
_LATE = st.sampled_from(["go_on", "skip_to_end", "exit"])
_EVENTS = ("booking.checked_in", "page.viewed")


def _dated(refs: st.SearchStrategy[str]) -> st.SearchStrategy[Step]:
    return st.fixed_dictionaries(
        {
            "until": refs,
            "offset": _OFFSETS,
            "at": _CLOCKS,
            "late": _LATE,
            "missing": st.sampled_from(["exit", "go_on"]),
        },
        optional={"zone": _ZONES},
    )


dated_waits = _dated(st.sampled_from(["booking.arrival", "booking.departure"])).map(lambda wait: {"wait": wait})
_WAITS: st.SearchStrategy[Step] = st.one_of(
    _LENGTHS.map(lambda length: {"wait": length}),
    _CLOCKS.map(lambda at: {"wait": {"until": at}}),
    st.tuples(st.sampled_from(["monday", "saturday"]), _CLOCKS).map(lambda of: {"wait": {"until": of[0], "at": of[1]}}),
    st.just({"wait": {"until": "09:00-18:00", "weekdays": ["monday", "friday"]}}),
    dated_waits,
)
_SENDS: st.SearchStrategy[Step] = st.fixed_dictionaries(
    {"send": st.sampled_from(["x", "y", "z"])}, optional={"latest": _LENGTHS}
)
_SETS: st.SearchStrategy[Step] = st.sampled_from(
    [
        {"set": {"enrollment.fields.way": "long"}},
        {"set": {}, "add_tags": ["seen"]},
        {"set": {}, "remove_tags": ["seen"]},
    ]
)
_SIMPLE: st.SearchStrategy[Step] = st.one_of(_SENDS, _SENDS, _WAITS, _WAITS, _SETS)


def _within(inner: st.SearchStrategy[list[Step]]) -> st.SearchStrategy[list[Step]]:
    awaited = st.fixed_dictionaries(
        {
            "on": st.sampled_from(_EVENTS),
            "of": st.just("contact"),
            "up_to": st.one_of(_LENGTHS, st.just({"until": "booking.arrival", "offset": "1 day"})),
            "since": st.sampled_from(["entry", "step"]),
        }
    )
    wait_for: st.SearchStrategy[Step] = st.builds(
        lambda on, then, else_: {"wait_for": on, "then": then, "timeout": else_}, awaited, inner, inner
    )
    branch: st.SearchStrategy[Step] = st.builds(
        lambda line, yes, no: {"branch": [{"if": line, "steps": yes}, {"else": True, "steps": no}]},
        _LINES,
        inner,
        inner,
    )
    clicks: st.SearchStrategy[Step] = st.builds(
        lambda yes, maybe: {"branch": [{"if": "clicked a1", "steps": yes}, {"unknown": True, "steps": maybe}]},
        inner,
        inner,
    )
    return st.lists(st.one_of(_SIMPLE, wait_for, branch, clicks), max_size=4)


_SEQUENCES: st.SearchStrategy[list[Step]] = st.recursive(st.lists(_SIMPLE, max_size=4), _within, max_leaves=12)


def _named(steps: list[Step], number: list[int]) -> list[Step]:
    """Ids in the order of the document."""
    named: list[Step] = []
    for step in steps:
        number[0] += 1
        fresh = {"id": f"a{number[0]}", **step}
        for way in ("then", "timeout"):
            if way in step:
                fresh[way] = _named(step[way], number)
        if "branch" in step:
            fresh["branch"] = [{**case, "steps": _named(case["steps"], number)} for case in step["branch"]]
        named.append(fresh)
    return named


def compiled(steps: list[Step]) -> Program:
    """The program of a list of steps without ids; the first always sends, so that clicks have something to be on."""
    document = {
        "workflow": "at-random",
        "name": {"en": "At random"},
        "phase": "retention",
        "class": "transactional",
        "entry": [{"on": "booking.confirmed"}],
        "key": "booking.reference",
        "follow": "booking",
        "steps": _named([{"send": "w"}, *steps], [0]),
    }
    return compile_program(Workflow.model_validate(document))


def compiled_waiting(wait: Step, rest: list[Step]) -> Program:
    """A program whose first message stands behind a wait for a date."""
    document = {
        "workflow": "waits-first",
        "name": {"en": "Waits first"},
        "phase": "retention",
        "class": "transactional",
        "entry": [{"on": "booking.confirmed"}],
        "key": "booking.reference",
        "follow": "booking",
        "steps": _named([wait, {"send": "w"}, *[step for step in rest if "clicked" not in json.dumps(step)]], [0]),
    }
    return compile_program(Workflow.model_validate(document))


programs: st.SearchStrategy[Program] = _SEQUENCES.map(compiled)
waiting_first: st.SearchStrategy[Program] = st.builds(compiled_waiting, dated_waits, _SEQUENCES)
instants = st.integers(0, 60 * 24 * 120).map(lambda minutes: NOW + timedelta(minutes=minutes))
arrivals = st.integers(-3, 90).map(lambda days: (NOW + timedelta(days=days)).date())


@st.composite
def lives(draw: st.DrawFn) -> Callable[[datetime], Facts]:
    """What is known of one person, the same at every instant."""
    known = facts(
        arrival=draw(arrivals | st.none()),
        nights=draw(st.integers(1, 9)),
        contact={
            "language": draw(st.sampled_from(["it", "de", "fr", None])),
            "zone": draw(st.sampled_from(["Europe/Rome", "Asia/Tokyo", None])),
            "tags": draw(st.sampled_from([[], ["vip"], ["seen"]])),
            "attributes": {},
        },
        engagement=draw(
            st.sampled_from([None, {"tracked": True, "clicked": {}}, {"tracked": True, "clicked": {"a1": NOW}}])
        ),
    )
    return lambda _now: known


@st.composite
def happenings(draw: st.DrawFn) -> list[Event]:
    """A few events of the person."""
    return [
        Event(draw(st.sampled_from(_EVENTS)), at, {}, "B-1") for at in draw(st.lists(instants, max_size=4, unique=True))
    ]
