"""Random workflows with every kind of step, and random lives, for properties that hold of all of them.

The documents are valid by construction (a test reads them); `compiled` makes programs of them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from app.journey.compiler import compile_program
from app.journey.entry import Event
from app.journey.language import Workflow
from app.journey.program import Program, RepeatOp
from tests.journey.kit import NOW, facts

Step = dict[str, Any]
Steps = list[Step]

LINES: st.SearchStrategy[Any] = st.sampled_from(
    [
        "booking.channel == direct",
        "booking.nights >= 3",
        "contact.language in [it, de]",
        "contact.tags has seen",
        "contact.segments has vip",
        "contact.attributes.colour == blue",
        "enrollment.fields.way == long",
        "booking.arrival is known",
        {"any": ["contact.language == en", "booking.nights < 2"]},
        {"none": ["contact.tags has vip"]},
    ]
)
"""Conditions that rest on what is known of a person, not on the clock."""
LENGTHS = st.sampled_from(["10 minutes", "1 hour", "1 day", "3 days", "2 weeks", "1 month", "2 business days"])
_SHORT = st.sampled_from(["10 minutes", "1 hour", "1 day", "3 days"])
OFFSETS = st.sampled_from(["-30 days", "-7 days", "-1 day", "3 days", "25 days"])
CLOCKS = st.sampled_from(["00:30", "02:30", "10:00", "23:45"])
ZONES = st.sampled_from(["property", "contact", "America/New_York"])
LATE = st.sampled_from(["go_on", "skip_next", "skip_to_end", "exit"])
EVENTS = ("booking.checked_in", "page.viewed", "custom.called")
YES, NO = "consent.granted", "consent.withdrawn"


def dated(refs: st.SearchStrategy[str]) -> st.SearchStrategy[Step]:
    """Waits for a date."""
    body = {"until": refs, "offset": OFFSETS, "at": CLOCKS, "late": LATE, "missing": st.sampled_from(["exit", "go_on"])}
    return st.fixed_dictionaries(body, optional={"zone": ZONES}).map(lambda wait: {"wait": wait})


dated_waits = dated(st.sampled_from(["booking.arrival", "booking.departure"]))
plain_waits: st.SearchStrategy[Step] = st.one_of(
    LENGTHS.map(lambda length: {"wait": length}),
    CLOCKS.map(lambda at: {"wait": {"for": "2 days", "at": at}}),
    CLOCKS.map(lambda at: {"wait": {"until": at}}),
    st.tuples(st.sampled_from(["monday", "saturday"]), CLOCKS).map(lambda of: {"wait": {"until": of[0], "at": of[1]}}),
    st.just({"wait": {"until": "09:00-18:00", "weekdays": ["monday", "friday"]}}),
)
sends: st.SearchStrategy[Step] = st.fixed_dictionaries(
    {"send": st.sampled_from(["x", "y", "z"])},
    optional={"latest": _SHORT, "priority": st.integers(0, 100)},
)
acts: st.SearchStrategy[Step] = st.sampled_from(
    [
        {"set": {"enrollment.fields.way": "long"}},
        {"set": {"contact.attributes.colour": {"from": "event.colour"}}},
        {"set": {}, "add_tags": ["seen"]},
        {"set": {}, "remove_tags": ["seen"]},
        {"emit": {"type": "custom.passed", "data": {"nights": {"from": "booking.nights"}}}},
        {"webhook": {"endpoint": "desk", "data": {"way": "long"}}},
        {"start": {"workflow": "another"}},
        {"stop": {"workflow": "another", "reason": "enough", "of": "key"}},
        {"task": {"to": "front_desk", "text": {"en": "Call"}, "due_within": "4 hours"}},
    ]
)
_UP_TO: st.SearchStrategy[Any] = st.one_of(_SHORT, st.just({"until": "booking.arrival", "offset": "1 day"}))


@st.composite
def a_step(draw: st.DrawFn, depth: int) -> Step:
    """One step; below two levels those that hold others are left out."""
    kind = draw(st.sampled_from(_KINDS if depth < 2 else _FLAT))

    def inner(least: int = 0) -> Steps:
        return draw(sequences(least, 2, depth + 1))

    match kind:
        case "send":
            return draw(sends)
        case "wait":
            return draw(plain_waits)
        case "dated":
            return draw(dated_waits)
        case "act":
            return draw(acts)
        case "wait_for":
            awaited: Step = {"on": draw(st.sampled_from(EVENTS)), "up_to": draw(_UP_TO)}
            awaited |= {"of": draw(st.sampled_from(["key", "contact"])), "since": draw(st.sampled_from(_SINCE))}
            return {"wait_for": awaited, "then": inner(), "timeout": inner()}
        case "condition":
            return {"wait_for": {"if": draw(LINES), "up_to": draw(_SHORT)}, "then": inner(), "timeout": inner()}
        case "branch":
            ways: Steps = [{"if": draw(LINES), "steps": inner()} for _ in range(draw(st.integers(1, 2)))]
            return {"branch": [*ways, {"else": True, "steps": inner()}]}
        case "clicks":
            within = draw(st.sampled_from(["", " within 7 days"]))
            return {"branch": [{"if": f"clicked a1{within}", "steps": inner()}, {"unknown": True, "steps": inner()}]}
        case "split":
            weights = draw(st.sampled_from([(50, 50), (90, 10), (0, 100), (33, 33, 34)]))
            return {"split": [{"variant": f"v{n}", "weight": w, "steps": inner()} for n, w in enumerate(weights)]}
        case "repeat":
            every, until = draw(st.none() | _SHORT), draw(st.none() | LINES)
            apart: Step = {"every": every} if every else {}
            rest: Steps = [] if every else [{"wait": draw(_SHORT)}]
            rounds: Step = {"steps": [*inner(1), *rest], "max": draw(st.integers(1, 3)), **apart}
            return {"repeat": rounds | ({"until": until} if until else {})}
        case "consent":
            asked = {"topic": "offers"} | ({"up_to": draw(_UP_TO)} if draw(st.booleans()) else {})
            return {"consent": asked, "then": inner(), "timeout": inner()}
        case "start":
            start = {"workflow": "another", "await": True, "up_to": draw(_UP_TO)}
            return {"start": start, "then": inner(), "timeout": inner()}
        case _:
            return {"branch": [{"if": draw(LINES), "steps": [{"exit": "enough"}]}, {"else": True, "steps": inner()}]}


_SINCE = ("entry", "step")
_FLAT = ("send", "send", "send", "wait", "dated", "act")
_KINDS = (*_FLAT, "wait_for", "condition", "branch", "clicks", "split", "repeat", "start", "consent", "leaving")


@st.composite
def sequences(draw: st.DrawFn, least: int = 2, most: int = 6, depth: int = 0) -> Steps:
    """Steps without ids, one behind the other."""
    return [draw(a_step(depth)) for _ in range(draw(st.integers(least, most)))]


_WAYS = ("then", "timeout", "unknown")
_CASES = ("branch", "split")


def named(steps: Steps, number: list[int] | None = None) -> Steps:
    """The steps with ids in the order of the document; what would skip the next step where none follows goes on."""
    number = number if number is not None else [0]
    whole: Steps = []
    for place, step in enumerate(steps):
        number[0] += 1
        fresh: Step = {"id": f"a{number[0]}", **step}
        wait = fresh.get("wait")
        if isinstance(wait, dict) and wait.get("late") == "skip_next" and place == len(steps) - 1:
            fresh["wait"] = {**wait, "late": "skip_to_end"}
        for way in _WAYS:
            if way in step:
                fresh[way] = named(step[way], number)
        for cases in _CASES:
            if cases in step:
                fresh[cases] = [{**case, "steps": named(case.get("steps", []), number)} for case in step[cases]]
        if "repeat" in step:
            fresh["repeat"] = {**step["repeat"], "steps": named(step["repeat"]["steps"], number)}
        whole.append(fresh)
    return whole


def document(steps: Steps, **more: Any) -> dict[str, Any]:
    """A whole workflow of steps without ids."""
    return {
        "workflow": "at-random",
        "name": {"en": "At random"},
        "phase": "retention",
        "class": "transactional",
        "entry": [{"on": "booking.confirmed"}],
        "key": "booking.reference",
        "follow": "booking",
        **more,
        "steps": named(steps),
    }


def compiled(written: Mapping[str, Any]) -> Program:
    """The program of a document."""
    return compile_program(Workflow.model_validate(written))


def timeless(steps: Steps) -> Steps:
    """The same steps, asking whether something was clicked, not whether that was lately."""
    same: Steps = json.loads(json.dumps(steps).replace(" within 7 days", ""))
    return same


EXITS = st.sampled_from(
    [
        [],
        [{"on": "booking.cancelled"}],
        [{"on": "custom.left", "of": "contact", "outcome": "gone"}],
        [{"if": "contact.tags has seen", "reason": "seen"}],
        [{"if": "booking.departure < now"}],
    ]
)
documents: st.SearchStrategy[dict[str, Any]] = st.builds(
    lambda steps, **more: document([{"send": "w"}, *steps], **{key: value for key, value in more.items() if value}),
    sequences(),
    exit=EXITS,
    zone=st.sampled_from([None, "contact", "Asia/Tokyo"]),
    limits=st.sampled_from([None, None, {"max_steps": 7}, {"max_duration": "20 days"}]),
)
"""Workflows whose first step sends (so that clicks have something to be on), with exits and limits."""
plain_documents = sequences().map(lambda steps: document([{"send": "w"}, *timeless(steps)]))
"""The same without what is read by the worker's own clock: exits, limits, and conditions on the present moment."""
programs = documents.map(compiled)
plain_programs = plain_documents.map(compiled)

instants = st.integers(0, 60 * 24 * 120).map(lambda minutes: NOW + timedelta(minutes=minutes))
arrivals = st.integers(-3, 90).map(lambda days: (NOW + timedelta(days=days)).date())


@dataclass(frozen=True)
class Life:
    """What is known of a person at the start, what happens to them, how their booking moves, and how long another
    workflow takes that is started for them (None: it never ends)."""

    known: Mapping[str, Any]
    events: tuple[Event, ...] = ()
    moves: tuple[tuple[datetime, date], ...] = ()
    other_takes: timedelta | None = None


@st.composite
def lives(
    draw: st.DrawFn,
    *,
    moving: bool = False,
    types: tuple[str, ...] = (*EVENTS, YES),
    consents: tuple[str | None, ...] = (None, "pending"),
) -> Life:
    """A life; `consents` is where consent to offers may stand at its beginning."""
    consent = draw(st.sampled_from(consents))
    known = facts(
        arrival=draw(arrivals | st.none()),
        nights=draw(st.integers(1, 9)),
        contact={
            "id": draw(st.integers(1, 9)),
            "language": draw(st.sampled_from(["it", "de", "fr", None])),
            "zone": draw(st.sampled_from(["Europe/Rome", "Asia/Tokyo", None])),
            "tags": draw(st.sampled_from([[], ["vip"], ["seen"]])),
            "attributes": {},
        },
        event={"type": "booking.confirmed", "occurred_at": NOW, "colour": draw(st.sampled_from(["blue", "red", None]))},
        segments=draw(st.sampled_from([set(), {"vip"}])),
        consent={"offers": consent} if consent else {},
        engagement=draw(
            st.sampled_from([None, {"tracked": True, "clicked": {}}, {"tracked": True, "clicked": {"a1": NOW}}])
        ),
    )
    times = draw(st.lists(instants, max_size=4, unique=True))
    keys = st.sampled_from(["B-1", "B-1", "B-2", None])
    return Life(
        known,
        tuple(_event(draw(st.sampled_from(types)), at, draw(keys)) for at in sorted(times)),
        tuple(sorted(draw(st.lists(st.tuples(instants, arrivals), max_size=5)))) if moving else (),
        draw(st.sampled_from([None, timedelta(hours=5), timedelta(days=2)])),
    )


def _event(type_: str, at: datetime, booking: str | None) -> Event:
    return Event(type_, at, {"topic": "offers"}) if type_ in (YES, NO) else Event(type_, at, {}, booking)


eventful = lives(
    moving=True,
    types=(*EVENTS, YES, NO, "booking.cancelled", "custom.left"),
    consents=(None, "pending", "granted", "withdrawn"),
)
"""Lives in which anything may happen."""


def most_visits(program: Program) -> dict[str, int]:
    """How often each step can be taken: once, or once a round of every repeat around it."""
    most = dict.fromkeys(program.places, 1)
    for op in program.ops:
        if isinstance(op, RepeatOp):
            for inner in program.ops[op.body : op.end]:
                most[inner.id] *= op.max
    return most
