"""One person takes steps: `advance(program, state, facts, now)` gives the new state, what to do, and why.

Deterministic, without clock or I/O, and at most a bounded number of steps per call.

A passage lives on its own *moment* (`State.moment`): the instant at which its present step was due, not the instant at
which a worker came round to it. A wait of 3 days after a step due at 10:00 therefore ends at 10:00 whether the worker
was prompt or an hour behind, and one large hop of the clock plans the same messages as many small ones. What is stale
by then is held back by each send's `latest`.
"""

from __future__ import annotations

from datetime import datetime

from app.journey.conditions import evaluate
from app.journey.entry import Event, concerns, exit_by_state, hearing
from app.journey.facts import Facts
from app.journey.program import (
    BranchOp,
    ConsentOp,
    Dated,
    EmitOp,
    EndOp,
    ExitOp,
    Op,
    Program,
    RepeatOp,
    SendOp,
    SetOp,
    SplitOp,
    StartOp,
    StopOp,
    TaskOp,
    Until,
    WaitForOp,
    WaitOp,
    WebhookOp,
)
from app.journey.sentences import both
from app.journey.state import (
    Advanced,
    AskConsent,
    CallOut,
    Decision,
    Effect,
    Emit,
    Left,
    Round,
    Send,
    SetFields,
    StartOther,
    State,
    StopOther,
    Task,
    from_json,
    leave,
    start,
    taken,
    to_json,
    written,
)
from app.journey.steps import acting, asking, choosing, waiting
from app.journey.steps.acting import DEFAULT_LATEST
from app.journey.steps.waiting import ANYTHING
from app.journey.waits import resolve
from app.journey.walk import Walk

__all__ = [
    "ANYTHING",
    "DEFAULT_LATEST",
    "Advanced",
    "AskConsent",
    "CallOut",
    "Decision",
    "Effect",
    "Emit",
    "EndlessError",
    "Left",
    "Round",
    "Send",
    "SetFields",
    "StartOther",
    "State",
    "StopOther",
    "Task",
    "advance",
    "binds_to",
    "by_contact_clock",
    "from_json",
    "hear",
    "leave",
    "rebind",
    "rezone",
    "start",
    "taken",
    "to_json",
    "turned_down",
    "written",
]


class EndlessError(RuntimeError):
    """More steps in one call than the program has: a defect of the compiler, never of a person's data."""


def advance(program: Program, state: State, facts: Facts, now: datetime, *, traced: bool = True) -> Advanced:
    """Take as many steps as can be taken at `now`.

    Exit conditions without an event are read first, whenever this is called. Called too early, or on a passage that is
    over, it changes nothing. With `traced` False the state and the effects are the same, and why is not put in words.
    """
    if state.status != "active":
        return Advanced(state, (), ())
    walk = Walk(program, state, facts, now, traced=traced)
    over = exit_by_state(program, walk.facts(), now)
    if over is not None:
        return leave(state, over.reason, over.outcome, over.sentence, now)
    _run(walk)
    return walk.done()


def hear(program: Program, state: State, event: Event, facts: Facts, now: datetime) -> Advanced | None:
    """Give an event to a passage that waits for one: the state behind the wait; None where it is not meant.

    The returned state has `wake_at = now`; call `advance` (now or in the next batch) to go on. It has no effects.
    """
    op = _waiting_at(program, state)
    if not isinstance(op, WaitForOp | StartOp | ConsentOp):
        return None
    walk = Walk(program, state, facts, now)
    since = walk.since(op.since) if isinstance(op, WaitForOp) else state.moment
    if event.occurred_at < since or (state.until is not None and event.occurred_at > state.until):
        return None
    if isinstance(op, StartOp):
        if not waiting.is_the_end_of(walk, op, event):
            return None
        waiting.other_ended(walk, op, event)
        return walk.done()
    if isinstance(op, ConsentOp):
        return walk.done() if asking.heard(walk, op, event) else None
    if op.on and (event.type not in op.on or not concerns(program, event, walk.facts(), op.scope)):
        return None
    if evaluate(op.condition, hearing(walk.facts(), event), now) is not True:
        return None
    waiting.heard(walk, op, event)
    return walk.done()


def turned_down(program: Program, state: State, why: str, facts: Facts, now: datetime) -> Advanced | None:
    """What the house says to `AskConsent` where nobody was asked; None where the passage asks for nothing.

    Args:
        why: `granted` (a yes stands already), `refused`, `suppressed`, `no_address` ...

    The returned state is behind the step, due at once; the passage's moment is the one at which it asked.
    """
    op = _waiting_at(program, state)
    if not isinstance(op, ConsentOp):
        return None
    walk = Walk(program, state, facts, now)
    asking.turned_down(walk, op, why)
    return walk.done()


def rebind(program: Program, state: State, facts: Facts, now: datetime) -> Advanced | None:
    """Work out a pending dated wait anew after what it hangs on changed; None where nothing moved.

    Moves in both directions. Where the new moment is already past, the step's `late` rule is applied and the returned
    state is due at once. Steps already taken are never taken again.
    """
    op = _waiting_at(program, state)
    date = _date_of(op)
    if date is None:
        return None
    walk = Walk(program, state, facts, now)
    due = resolve(date, state.moment, walk.facts())
    if due == state.until:
        return None
    if isinstance(op, WaitOp):
        waiting.moved(walk, op, due)
    else:
        waiting.moved_deadline(walk, date, due)
    _brake(walk)
    return walk.done()


def rezone(program: Program, state: State, facts: Facts, now: datetime) -> Advanced | None:
    """Work out a pending wait anew after a clock that it goes by was set to another zone (R58); None where none moved.

    In both directions, and whatever it waits for: a date, a clock time, a window, so many days.
    """
    op = _waiting_at(program, state)
    until = _ends(op)
    if until is None:
        return None
    walk = Walk(program, state, facts, now)
    due = resolve(until, state.moment, walk.facts())
    if due == state.until:
        return None
    if isinstance(op, WaitOp) and isinstance(until, Dated):
        waiting.moved(walk, op, due)
    else:
        waiting.moved_deadline(walk, until, due)
    _brake(walk)
    return walk.done()


def _ends(op: Op | None) -> Until | None:
    """Up to when a pending step waits."""
    match op:
        case WaitOp():
            return op.until
        case WaitForOp() | StartOp() | ConsentOp():
            return op.up_to
        case _:
            return None


def by_contact_clock(program: Program, state: State) -> bool:
    """Whether a pending wait goes by the person's own clock, and may be worked out anew without another date."""
    until = _ends(_waiting_at(program, state))
    if until is None or until.zone != "contact":
        return False
    return not isinstance(until, Dated) or waiting.follows(program, until)


def binds_to(program: Program, state: State) -> str | None:
    """The path of the date that the pending wait hangs on (`booking.arrival`), or None: what `rebind` would re-read."""
    date = _date_of(_waiting_at(program, state))
    return None if date is None else date.ref


def _waiting_at(program: Program, state: State) -> Op | None:
    if state.status != "active" or not state.inside or state.step_id is None:
        return None
    place = program.places.get(state.step_id)
    return None if place is None else program.ops[place]


def _date_of(op: Op | None) -> Dated | None:
    """The date that a wait hangs on, or the date up to which something is awaited."""
    until = _ends(op)
    return until if isinstance(until, Dated) else None


def _run(walk: Walk) -> None:
    """Take steps until one has to wait or the path ends."""
    if walk.place < 0:
        walk.end("exited", "step_removed")
        walk.note("exited", both("this step is no longer in the workflow", "questo passo non è più nel percorso"))
        return
    for _ in range(walk.program.longest + 1):
        if walk.ended is not None or _stopped(walk):
            return
        if not _step(walk):
            _brake(walk)
            return
    raise EndlessError(f"{walk.program.workflow}: more than {walk.program.longest} steps in one call")


def _stopped(walk: Walk) -> bool:
    """Whether a limit of the workflow ends the passage before its next step, and which."""
    limits = walk.program.limits
    over = walk.limit()
    at = walk.until if walk.inside else walk.moment
    if over is not None and over <= walk.now and (at is None or at >= over):
        walk.moment = max(walk.moment, over)
        text = both("has lasted as long as it may", "è durato quanto poteva")
        walk.note("exited", text, reason="too_long", due=over.isoformat())
        walk.end("exited", "too_long")
    elif limits.max_steps is not None and not walk.inside and not isinstance(walk.program.ops[walk.place], EndOp):
        steps = sum(walk.visits.values())
        if steps >= limits.max_steps:
            text = both(f"has taken {steps} steps, the most allowed", f"ha fatto {steps} passi, il massimo")
            walk.note("exited", text, reason="too_many_steps", steps=steps)
            walk.end("exited", "too_many_steps")
    return walk.ended is not None


def _brake(walk: Walk) -> None:
    """Wake a passage that waits when its time is over, if not sooner."""
    over = walk.limit()
    if over is not None and walk.ended is None and walk.inside:
        walk.wake_at = over if walk.wake_at is None else min(walk.wake_at, max(over, walk.now))


def _step(walk: Walk) -> bool:
    """One operation; True where the walk goes on."""
    op = walk.program.ops[walk.place]
    if (
        op.id in walk.taken
        and not walk.inside
        and isinstance(op, SendOp | WaitOp | SetOp | TaskOp | EmitOp | WebhookOp | StartOp | StopOp)
    ):
        walk.note("done_before", both("was done before: passed over", "già fatto: si prosegue"))
        walk.go(op.next)
        return True
    match op:
        case WaitOp():
            return waiting.wait(walk, op)
        case WaitForOp():
            return waiting.wait_for(walk, op)
        case StartOp():
            return waiting.start(walk, op)
        case ConsentOp():
            return asking.ask(walk, op)
        case RepeatOp():
            return choosing.repeat(walk, op)
        case BranchOp():
            choosing.branch(walk, op)
        case SplitOp():
            choosing.split(walk, op)
        case SendOp():
            acting.send(walk, op)
        case SetOp():
            acting.set_fields(walk, op)
        case EmitOp():
            acting.emit(walk, op)
        case WebhookOp():
            acting.call(walk, op)
        case StopOp():
            acting.stop(walk, op)
        case TaskOp():
            acting.task(walk, op)
        case ExitOp():
            acting.leave(walk, op)
        case EndOp():
            walk.note("finished", both("finished", "concluso"))
            walk.end("finished", "finished")
    return True
