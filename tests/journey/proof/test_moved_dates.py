"""A date that moves equals one known from the start, wherever no step had rested on it; nobody is buried in mail."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import assume, given
from hypothesis import strategies as st

from app.journey.advance import Send
from app.journey.durations import parse
from app.journey.program import Program
from app.journey.waits import dated
from tests.journey.kit import NOW, begin, facts
from tests.journey.proof.at_random import (
    Life,
    Step,
    Steps,
    acts,
    arrivals,
    compiled,
    document,
    lives,
    sends,
    sequences,
)
from tests.journey.proof.living import Lived, live

ROME = ZoneInfo("Europe/Rome")

Moves = list[tuple[datetime, date]]
far = st.integers(40, 95).map(lambda days: (NOW + timedelta(days=days)).date())
soon = st.integers(0, 60 * 24 * 8).map(lambda minutes: NOW + timedelta(minutes=minutes))
early_waits = st.fixed_dictionaries(
    {
        "until": st.sampled_from(["booking.arrival", "booking.departure"]),
        "offset": st.sampled_from(["-30 days", "-7 days", "-1 day", "-2 business days"]),
        "at": st.sampled_from(["00:30", "02:30", "10:00", "23:45"]),
        "late": st.sampled_from(["go_on", "skip_to_end", "exit"]),
    },
    optional={"zone": st.sampled_from(["contact", "America/New_York"])},
).map(lambda wait: {"wait": wait})


@st.composite
def waiting_first(draw: st.DrawFn) -> Program:
    """Messages and acts that no date decides, then a wait for a date that is far away, then anything."""
    before: Steps = [{"send": "w"}, *draw(st.lists(sends | acts, max_size=3))]
    return compiled(document([*before, draw(early_waits), *draw(sequences())]))


def told(lived: Lived) -> Any:
    """What a person notices, and how it ended."""
    noticed = [effect for effect in lived.effects if not isinstance(effect, Send)]
    return lived.sends, noticed, lived.state.visits, lived.state.status, lived.state.reason


@given(waiting_first(), lives(), far, st.lists(st.tuples(soon, far), min_size=1, max_size=6))
def test_a_date_moved_any_number_of_times_equals_having_known_the_last_from_the_start(
    program: Program, life: Life, first: date, moves: Moves
) -> None:
    moves = sorted(moves)
    nights = life.known["booking"]["nights"]
    known = facts(arrival=moves[-1][1], nights=nights)["booking"]
    began = {**life.known, "booking": facts(arrival=first, nights=nights)["booking"]}
    moved = live(program, replace(life, known=began, moves=tuple(moves)))
    assert told(moved) == told(live(program, life, booking=known))


@st.composite
def ladders(draw: st.DrawFn, rules: tuple[str, ...] = ("go_on", "skip_next")) -> Program:
    """A confirmation, then messages at days before and after arrival, each behind its own wait."""
    days = sorted(draw(st.sets(st.integers(-60, 20), min_size=2, max_size=6)))
    clock = draw(st.sampled_from(["02:30", "10:00", "16:00"]))
    steps: Steps = [{"send": "confirmation"}]
    for place, day in enumerate(days):
        wait: Step = {"until": "booking.arrival", "offset": f"{day} days", "at": clock}
        steps += [{"wait": {**wait, "late": draw(st.sampled_from(rules))}}, {"send": f"m{place}"}]
    return compiled(document([*steps, {"set": {"enrollment.fields.done": True}}]))


def due_by_step(program: Program, arrival: date) -> dict[str, datetime]:
    """When each message of a ladder is due for an arrival: reckoned here, not by a passage."""
    found: dict[str, datetime] = {}
    for wait, send in zip(program.ops[1::2], program.ops[2::2], strict=False):
        until: Any = getattr(wait, "until", None)
        if until is not None:
            found[send.id] = dated(arrival, until.offset, until.at, ROME)
    return found


@given(ladders(), far | arrivals, st.lists(st.tuples(soon, far | arrivals), min_size=1, max_size=5))
def test_every_message_that_had_not_gone_goes_by_the_last_date(program: Program, first: date, moves: Moves) -> None:
    moves = sorted(moves)
    last, arrival = moves[-1]
    life = Life(facts(arrival=first), moves=tuple(moves))
    lived = live(program, life)
    passed = live_until(program, life, last)
    assume(passed.state.status == "active")
    place = program.places[passed.state.step_id or ""]
    ahead = {op.id for op in program.ops[place:]}
    wanted = {step: due for step, due in due_by_step(program, arrival).items() if step in ahead and due >= last}
    assert {send.step_id: send.due for send in lived.sends if send.step_id in wanted} == wanted
    assert len({send.step_id for send in lived.sends}) == len(lived.sends), "none goes twice"
    gone = {send.step_id for send in passed.sends}
    assert [send for send in lived.sends if send.step_id not in gone and send.due < last] == [], "none goes backdated"


def live_until(program: Program, life: Life, last: datetime) -> Lived:
    """The passage just before the last move."""
    stopped = replace(life, moves=life.moves[:-1])
    lived = begin(program, stopped.known)
    run = Lived(program, lived.state, lived.effects, lived.trace, life=stopped)
    for at, arrival in stopped.moves:
        run.later(at, arrival)
    for _ in range(500):
        wakes = [run.state.wake_at] if run.state.wake_at is not None else []
        now = min([*wakes, *(one[0] for one in run.ahead[:1])], default=last)
        if now >= last and not (run.ahead and run.ahead[0][0] <= last):
            return run
        run.happens(now)
        run.work(now)
    raise AssertionError("does not come to the last move")


@given(ladders(("skip_next",)), st.integers(-2, 70))
def test_who_books_late_gets_one_mail_at_once_and_never_what_is_past(program: Program, lead: int) -> None:
    arrival = (NOW + timedelta(days=lead)).date()
    assume(NOW not in due_by_step(program, arrival).values())
    run = begin(program, facts(arrival=arrival))
    assert [send.template for send in run.sends] == ["confirmation"]
    lived = live(program, Life(facts(arrival=arrival)))
    wanted = {step: due for step, due in due_by_step(program, arrival).items() if due >= NOW}
    assert {send.step_id: send.due for send in lived.sends[1:]} == wanted


def test_booked_one_day_before_arrival_gives_one_mail_not_four() -> None:
    steps: Steps = [{"send": "confirmation"}]
    for offset in ("-14 days", "-7 days", "-1 day"):
        wait = {"until": "booking.arrival", "offset": offset, "at": "09:00", "late": "skip_next"}
        steps += [{"wait": wait}, {"send": f"mail{offset.removesuffix(' days')}"}]
    program = compiled(document([*steps, {"set": {}, "add_tags": ["told"]}]))
    tomorrow = (NOW + timedelta(days=1)).date()
    assert [send.template for send in live(program, Life(facts(arrival=tomorrow))).sends] == ["confirmation"]
    later = (NOW + timedelta(days=30)).date()
    assert len(live(program, Life(facts(arrival=later))).sends) == 4


def test_offsets_are_read_as_they_are_meant() -> None:
    """`due_by_step` reckons by hand what the properties above hold passages to."""
    assert dated(date(2026, 7, 10), parse("-7 days"), None, ROME) == datetime(2026, 7, 3, tzinfo=ROME)
