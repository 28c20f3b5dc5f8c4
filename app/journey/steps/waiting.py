"""Steps at which a person stays: a moment, something that happens, the end of another workflow."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from app.journey.conditions import evaluate
from app.journey.entry import Event, happened_since, hearing
from app.journey.facts import lookup
from app.journey.ops import ConsentOp, Dated, StartOp, Until, WaitForOp, WaitOp
from app.journey.program import ENDED, Program
from app.journey.sentences import both, event_text, late
from app.journey.state import StartOther
from app.journey.waits import resolve
from app.journey.walk import Walk

ANYTHING = "*"
"""In `waits_for`: a condition is awaited, so any event of the contact may be the one."""

RECHECK = timedelta(hours=1)
"""How often an awaited condition is looked at where no event says that something changed."""


# --- until a moment ---


def wait(walk: Walk, op: WaitOp) -> bool:
    """Stay until a moment; True where the walk goes on."""
    if not walk.inside:
        walk.visit(op.id)
        due = resolve(op.until, walk.moment, walk.facts())
        if due is None:
            _missing(walk, op)
            return True
        if isinstance(op.until, Dated) and due < walk.moment:
            _late(walk, op, due)
            return True
        walk.stay(due)
        if due > walk.now and walk.traced:
            clock = walk.clock(due, op.until)
            text = both(f"waits until {clock}", f"attende fino al {clock}")
            walk.note("waiting", text, due=due.isoformat())
    elif walk.until is not None and walk.until <= walk.now:
        _look_at_the_clock_again(walk, op)
    if walk.until is not None and walk.until > walk.now:
        return False
    walk.moment = max(walk.moment, walk.until or walk.moment)
    if walk.traced:
        clock = walk.clock(walk.moment, op.until)
        text = both(f"waited until {clock}", f"ha atteso fino al {clock}")
        walk.note("waited", text, due=walk.moment.isoformat())
    walk.waited = True
    walk.go(op.next)
    return True


def _look_at_the_clock_again(walk: Walk, op: WaitOp) -> None:
    """Where the rules of a zone were changed since the moment was worked out, the wall clock holds (X7, R58).

    A date whose changes do not move this wait is left as it was, since it may be another date by now.
    """
    if isinstance(op.until, Dated) and not follows(walk.program, op.until):
        return
    due = resolve(op.until, walk.moment, walk.facts())
    if due is not None and due > walk.now:
        before = walk.until.isoformat() if walk.until else None
        walk.wake_at = walk.until = due
        _note_moved(walk, before, due, op.until)


def follows(program: Program, date: Dated) -> bool:
    """Whether a wait for this date moves with it: what nobody follows may be another date by now."""
    root = date.ref.split(".")[0]
    return root == program.follow or root in ("event", "enrollment")


def _missing(walk: Walk, op: WaitOp) -> None:
    ref = op.until.ref if isinstance(op.until, Dated) else ""
    if op.missing == "go_on":
        text = both(f"{ref} is not known: goes on", f"{ref} non è noto: prosegue")
        walk.note("missing", text, ref=ref)
        walk.waited = True
        walk.go(op.next)
        return
    walk.note("exited", both(f"{ref} is not known", f"{ref} non è noto"), ref=ref, reason="date_missing")
    walk.end("exited", "date_missing")


def _late(walk: Walk, op: WaitOp, due: datetime) -> None:
    clock = walk.clock(due, op.until)
    was = both(f"{clock} was already past", f"{clock} era già passato")
    rule = late(op) or was
    text = both(f"{was['en']}: {_tail(rule['en'])}", f"{was['it']}: {_tail(rule['it'])}")
    walk.note("late", text, due=due.isoformat(), late=op.late)
    walk.waited = True
    if op.late == "exit":
        walk.end("exited", "late")
    else:
        walk.go({"go_on": op.next, "skip_next": op.skip, "skip_to_end": op.end}[op.late])


def _tail(text: str) -> str:
    return text.partition(": ")[2] or text


def moved(walk: Walk, op: WaitOp, due: datetime | None) -> None:
    """A pending dated wait got another moment, or none."""
    before = walk.until.isoformat() if walk.until else None
    if due is None:
        _missing(walk, op)
    elif due < walk.now:
        # The wait was begun in time, so its own moment may lie before the new one; what decides is that nobody
        # can keep the new one any more.
        walk.moment = max(walk.moment, walk.now)
        _late(walk, op, due)
    else:
        walk.wake_at = walk.until = due
        _note_moved(walk, before, due, op.until)


def moved_deadline(walk: Walk, up_to: Until, due: datetime | None) -> None:
    """The moment up to which is waited moved; past or unknown, the wait is over at once."""
    before = walk.until.isoformat() if walk.until else None
    walk.until = max(due or walk.moment, walk.moment)
    walk.wake_at = max(walk.until, walk.now)
    _note_moved(walk, before, walk.until, up_to)


def _note_moved(walk: Walk, before: str | None, due: datetime, until: Until) -> None:
    english, italian = (f"{verb} {walk.clock(due, until)}" for verb in ("moved to", "spostato al"))
    walk.note("moved", both(english, italian), before=before, due=due.isoformat())


# --- until something happens ---


def wait_for(walk: Walk, op: WaitForOp) -> bool:
    """Stay until an event or a condition, at most so long; True where the walk goes on."""
    if not walk.inside:
        # Read before the visit: a step that counts since itself means since this time.
        since = walk.since(op.since)
        walk.visit(op.id)
        deadline = limit_of(walk, op)
        facts = walk.facts()
        for event in happened_since(facts, op.scope, op.on, since):
            # A worker that is behind meets events from after the deadline: those came too late all the same.
            in_time = deadline is None or event.occurred_at <= deadline
            if in_time and evaluate(op.condition, hearing(facts, event), walk.now) is True:
                heard(walk, op, event)
                return True
        if not op.on and _condition_met(walk, op):
            return True
        walk.stay(deadline, op.on or (ANYTHING,))
        if deadline is None or deadline > walk.now:
            until = deadline.isoformat() if deadline else None
            walk.note("waiting", walk.said(op), due=until, waits_for=list(walk.waits_for))
    elif not op.on and _condition_met(walk, op):
        return True
    if walk.until is None or walk.until > walk.now:
        walk.wake_at = walk.until
        if not op.on:
            walk.wake_at = min(walk.until or walk.now + RECHECK, walk.now + RECHECK)
        return False
    timed_out(walk, op.timeout)
    return True


def heard(walk: Walk, op: WaitForOp, event: Event) -> None:
    """Go behind a wait_for on an event."""
    walk.moment = max(walk.moment, min(event.occurred_at, walk.now))
    text = both(event_text(event.type, "en"), event_text(event.type, "it"))
    walk.note("heard", text, event=event.type, event_id=event.id, occurred_at=event.occurred_at.isoformat())
    walk.go(op.then)


def limit_of(walk: Walk, op: WaitForOp | StartOp | ConsentOp) -> datetime | None:
    """Up to when a step waits that is reached at the walk's moment; None: without end."""
    if op.up_to is None:
        return None
    # A date that is past when the person comes here ends the wait at once, never before they came.
    return max(resolve(op.up_to, walk.moment, walk.facts()) or walk.moment, walk.moment)


def timed_out(walk: Walk, goto: int) -> None:
    """What was awaited has not happened in time."""
    walk.moment = max(walk.moment, walk.until or walk.moment)
    walk.note("timeout", both("did not happen in time", "non è accaduto in tempo"), due=walk.moment.isoformat())
    walk.waited = True
    walk.go(goto)


def _condition_met(walk: Walk, op: WaitForOp) -> bool:
    """A wait for a condition alone: gone on by where it holds, or by `unknown` where it never can be known."""
    verdict = evaluate(op.condition, walk.facts(), walk.now)
    if verdict is False:
        return False
    if walk.inside:
        # It came to hold while it was awaited; where it holds on arrival, a worker that is behind has no part in it.
        walk.moment = max(walk.moment, min(walk.now, walk.until or walk.now))
    code, goto = ("heard", op.then) if verdict else ("unknown", op.unknown)
    walk.note(code, walk.explained(op.condition), lines=walk.lines(op.condition))
    walk.go(goto)
    return True


# --- until another workflow has ended ---


def start(walk: Walk, op: StartOp) -> bool:
    """Start another workflow; where its end is awaited, stay until then. True where the walk goes on."""
    if not walk.inside:
        visit = walk.visit(op.id)
        data = walk.filled(op.data, op.copies)
        walk.effects.append(StartOther(op.id, visit, op.workflow, walk.key, op.awaited, data))
        deadline = limit_of(walk, op) if op.awaited else None
        until = deadline.isoformat() if deadline else None
        walk.note("start", walk.said(op), workflow=op.workflow, due=until)
        if not op.awaited:
            walk.go(op.next)
            return True
        walk.stay(deadline, (ENDED,))
    if walk.until is None or walk.until > walk.now:
        return False
    timed_out(walk, op.timeout)
    return True


def is_the_end_of(walk: Walk, op: StartOp, event: Event) -> bool:
    """Whether the event tells the end of the passage that this step has started."""
    if event.type != ENDED or event.data.get("workflow") != op.workflow:
        return False
    cause: Any = event.data.get("caused_by")
    if isinstance(cause, dict) and cause.get("step") is not None:
        own = lookup(walk.given, "enrollment.id")
        same = own is None or cause.get("enrollment") is None or cause["enrollment"] == own
        return bool(cause["step"] == op.id and same)
    return event.data.get("key") in (None, "", walk.key) or walk.key == ""


def other_ended(walk: Walk, op: StartOp, event: Event) -> None:
    """Go on behind an awaited start; what it came to stands in the passage's fields under the step's id."""
    came_to = str(event.data.get("outcome") or event.data.get("status") or "finished")
    walk.moment = max(walk.moment, min(event.occurred_at, walk.now))
    walk.write(fields={op.id: came_to})
    text = both(f"{op.workflow} has ended: {came_to}", f"{op.workflow} è concluso: {came_to}")
    walk.note("heard", text, event=event.type, event_id=event.id, outcome=came_to)
    walk.go(op.next)
