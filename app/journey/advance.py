"""One person takes steps: `advance(program, state, facts, now)` gives the new state, what to do, and why.

Deterministic, without clock or I/O, and at most a bounded number of steps per call.

A passage lives on its own *moment* (`State.moment`): the instant at which its present step was due, not the instant at
which a worker came round to it. A wait of 3 days after a step due at 10:00 therefore ends at 10:00 whether the worker
was prompt or an hour behind, and one large hop of the clock plans the same messages as many small ones. What is stale
by then is held back by each send's `latest`.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Literal

from app.journey.condition_tree import Condition
from app.journey.conditions import evaluate, explain, weighed
from app.journey.entry import Event, concerns, exit_by_state, happened_since, hearing
from app.journey.facts import Facts, zone
from app.journey.program import (
    BranchOp,
    Case,
    Dated,
    EndOp,
    ExitOp,
    For,
    Op,
    Program,
    SendOp,
    Sentence,
    SetOp,
    TaskOp,
    Until,
    WaitForOp,
    WaitOp,
)
from app.journey.sentences import both, event_text, late, moment_text, sentence
from app.journey.state import (
    Advanced,
    Decision,
    Effect,
    Left,
    Send,
    SetFields,
    State,
    Task,
    from_json,
    leave,
    start,
    taken,
    to_json,
    written,
)
from app.journey.waits import resolve

__all__ = [
    "ANYTHING",
    "DEFAULT_LATEST",
    "Advanced",
    "Decision",
    "Effect",
    "EndlessError",
    "Left",
    "Send",
    "SetFields",
    "State",
    "Task",
    "advance",
    "binds_to",
    "from_json",
    "hear",
    "leave",
    "rebind",
    "start",
    "taken",
    "to_json",
    "written",
]

DEFAULT_LATEST = timedelta(hours=24)
"""How long a send behind a wait stays good where it does not say; after an outage what is staler is refused (R59)."""

ANYTHING = "*"
"""In `waits_for`: a condition is awaited, so any event of the contact may be the one."""

RECHECK = timedelta(hours=1)
"""How often an awaited condition is looked at where no event says that something changed."""


class EndlessError(RuntimeError):
    """More steps in one call than the program has: a defect of the compiler, never of a person's data."""


def advance(program: Program, state: State, facts: Facts, now: datetime) -> Advanced:
    """Take as many steps as can be taken at `now`.

    Exit conditions without an event are read first, whenever this is called. Called too early, or on a passage that is
    over, it changes nothing.
    """
    if state.status != "active":
        return Advanced(state, (), ())
    walk = _Walk(program, state, facts, now)
    over = exit_by_state(program, walk.facts(), now)
    if over is not None:
        return leave(state, over.reason, over.outcome, over.sentence, now)
    walk.run()
    return walk.done()


def hear(program: Program, state: State, event: Event, facts: Facts, now: datetime) -> Advanced | None:
    """Give an event to a passage that waits for one: the state behind the wait; None where it is not meant.

    The returned state has `wake_at = now`; call `advance` (now or in the next batch) to go on. It has no effects.
    """
    op = _waiting_at(program, state)
    if not isinstance(op, WaitForOp):
        return None
    if op.on and event.type not in op.on:
        return None
    walk = _Walk(program, state, facts, now)
    if op.on and not concerns(program, event, walk.facts(), op.scope):
        return None
    since = state.entered_at if op.since == "entry" else state.moment
    if event.occurred_at < since or (state.until is not None and event.occurred_at > state.until):
        return None
    if evaluate(op.condition, hearing(walk.facts(), event), now) is not True:
        return None
    walk.heard(op, event)
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
    walk = _Walk(program, state, facts, now)
    due = resolve(date, state.moment, walk.facts())
    if due == state.until:
        return None
    if isinstance(op, WaitOp):
        walk.moved(op, due)
    else:
        walk.moved_deadline(date, due)
    return walk.done()


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
    until = op.until if isinstance(op, WaitOp) else op.up_to if isinstance(op, WaitForOp) else None
    return until if isinstance(until, Dated) else None


class _Walk:
    """One call's walk through the program: collects the new state, the effects and the trace."""

    def __init__(self, program: Program, state: State, facts: Facts, now: datetime) -> None:
        self.program = program
        self.now = now
        self.given = facts
        self.key, self.entered_at = state.key, state.entered_at
        self.place = program.places.get(state.step_id or "", -1)
        self.step_id = state.step_id
        self.moment = state.moment
        self.wake_at, self.until = state.wake_at, state.until
        self.waits_for = state.waits_for
        self.inside = state.inside
        self.waited = state.waited
        self.visits = dict(state.visits)
        self.taken = state.done
        self.fields = dict(state.fields)
        self.contact: dict[str, Any] | None = None
        self.ended: Left | None = None
        self.effects: list[Effect] = []
        self.trace: list[Decision] = []

    def facts(self) -> Facts:
        """What was given, with this passage's own fields and what this call has already written of the contact."""
        own = {
            **(self.given.get("enrollment") or {}),
            "key": self.key,
            "entered_at": self.entered_at,
            "fields": self.fields,
        }
        laid: dict[str, Any] = {**self.given, "enrollment": own}
        if self.contact is not None:
            laid["contact"] = self.contact
        return laid

    def run(self) -> None:
        """Take steps until one has to wait or the path ends."""
        if self.place < 0:
            self._end("exited", "step_removed", None)
            self._note("exited", both("this step is no longer in the workflow", "questo passo non è più nel percorso"))
            return
        for _ in range(len(self.program.ops) + 1):
            if self.ended is not None or not self._step():
                return
        raise EndlessError(f"{self.program.workflow}: more than {len(self.program.ops)} steps in one call")

    def done(self) -> Advanced:
        """The state, the effects and the trace so far."""
        ended = self.ended
        state = State(
            status=ended.status if ended else "active",
            key=self.key,
            entered_at=self.entered_at,
            moment=self.moment,
            step_id=None if ended else self.step_id,
            wake_at=None if ended else self.wake_at,
            waits_for=() if ended else self.waits_for,
            until=None if ended else self.until,
            inside=not ended and self.inside,
            waited=self.waited,
            visits=self.visits,
            fields=self.fields,
            done=self.taken,
            reason=ended.reason if ended else None,
            outcome=ended.outcome if ended else None,
        )
        return Advanced(state, tuple(self.effects), tuple(self.trace))

    def heard(self, op: WaitForOp, event: Event) -> None:
        """Go behind a wait_for on an event."""
        self.moment = max(self.moment, min(event.occurred_at, self.now))
        text = both(event_text(event.type, "en"), event_text(event.type, "it"))
        self._note("heard", text, event=event.type, event_id=event.id, occurred_at=event.occurred_at.isoformat())
        self._go(op.then)

    def moved(self, op: WaitOp, due: datetime | None) -> None:
        """A pending dated wait got another moment, or none."""
        before = self.until.isoformat() if self.until else None
        if due is None:
            self._missing(op)
        elif due < self.now:
            # The wait was begun in time, so its own moment may lie before the new one; what decides is that nobody
            # can keep the new one any more.
            self.moment = max(self.moment, self.now)
            self._late(op, due)
        else:
            self.wake_at = self.until = due
            self._note_moved(before, due, op.until)

    def moved_deadline(self, date: Dated, due: datetime | None) -> None:
        """The date up to which something is awaited moved; past or unknown, the time-out comes at once."""
        before = self.until.isoformat() if self.until else None
        self.until = max(due or self.moment, self.moment)
        self.wake_at = max(self.until, self.now)
        self._note_moved(before, self.until, date)

    def _note_moved(self, before: str | None, due: datetime, until: Until) -> None:
        english, italian = (f"{verb} {self._clock(due, until)}" for verb in ("moved to", "spostato al"))
        self._note("moved", both(english, italian), before=before, due=due.isoformat())

    # --- one step ---

    def _step(self) -> bool:
        """One operation; True where the walk goes on."""
        op = self.program.ops[self.place]
        if op.id in self.taken and not self.inside and isinstance(op, SendOp | WaitOp | SetOp | TaskOp):
            self._note("done_before", both("was done before: passed over", "già fatto: si prosegue"))
            self._go(op.next)
            return True
        match op:
            case WaitOp():
                return self._wait(op)
            case WaitForOp():
                return self._wait_for(op)
            case BranchOp():
                self._branch(op)
            case SendOp():
                self._send(op)
            case SetOp():
                self._set(op)
            case TaskOp():
                self._task(op)
            case ExitOp():
                self._visit(op.id)
                self._note("exited", sentence(op), reason=op.reason)
                self._end("exited", op.reason, op.outcome)
            case EndOp():
                self._note("finished", both("finished", "concluso"))
                self._end("finished", "finished", None)
        return True

    def _send(self, op: SendOp) -> None:
        visit = self._visit(op.id)
        latest = self._latest(op)
        self.effects.append(
            Send(
                step_id=op.id,
                visit=visit,
                template=op.template,
                class_=op.class_,
                topic=op.topic,
                channels=op.channels,
                priority=op.priority,
                due=self.moment,
                latest=latest,
                skip_if_sent_within=op.skip_if_sent_within,
                sender=op.sender,
                attachments=op.attachments,
            )
        )
        text = both(f"message planned: {op.template}", f"messaggio pianificato: {op.template}")
        until = latest.isoformat() if latest else None
        self._note("send", text, template=op.template, due=self.moment.isoformat(), latest=until)
        self._go(op.next)

    def _latest(self, op: SendOp) -> datetime | None:
        written = resolve(op.latest, self.moment, self.facts()) if op.latest is not None else None
        if written is not None:
            return written
        return self.moment + DEFAULT_LATEST if self.waited else None

    def _wait(self, op: WaitOp) -> bool:
        if not self.inside:
            self._visit(op.id)
            due = resolve(op.until, self.moment, self.facts())
            if due is None:
                self._missing(op)
                return True
            if isinstance(op.until, Dated) and due < self.moment:
                self._late(op, due)
                return True
            self.inside, self.wake_at, self.until, self.waits_for = True, due, due, ()
            if due > self.now:
                clock = self._clock(due, op.until)
                text = both(f"waits until {clock}", f"attende fino al {clock}")
                self._note("waiting", text, due=due.isoformat())
        if self.until is not None and self.until > self.now:
            return False
        self.moment = max(self.moment, self.until or self.moment)
        clock = self._clock(self.moment, op.until)
        text = both(f"waited until {clock}", f"ha atteso fino al {clock}")
        self._note("waited", text, due=self.moment.isoformat())
        self.waited = True
        self._go(op.next)
        return True

    def _missing(self, op: WaitOp) -> None:
        ref = op.until.ref if isinstance(op.until, Dated) else ""
        if op.missing == "go_on":
            text = both(f"{ref} is not known: goes on", f"{ref} non è noto: prosegue")
            self._note("missing", text, ref=ref)
            self.waited = True
            self._go(op.next)
            return
        self._note("exited", both(f"{ref} is not known", f"{ref} non è noto"), ref=ref, reason="date_missing")
        self._end("exited", "date_missing", None)

    def _late(self, op: WaitOp, due: datetime) -> None:
        was = both(f"{self._clock(due, op.until)} was already past", f"{self._clock(due, op.until)} era già passato")
        rule = late(op) or was
        text = both(f"{was['en']}: {_tail(rule['en'])}", f"{was['it']}: {_tail(rule['it'])}")
        self._note("late", text, due=due.isoformat(), late=op.late)
        self.waited = True
        if op.late == "exit":
            self._end("exited", "late", None)
        else:
            self._go({"go_on": op.next, "skip_next": op.skip, "skip_to_end": op.end}[op.late])

    def _wait_for(self, op: WaitForOp) -> bool:
        if not self.inside:
            self._visit(op.id)
            since = self.entered_at if op.since == "entry" else self.moment
            facts = self.facts()
            deadline = None
            if op.up_to is not None:
                # A date that is past when the person comes here ends the wait at once, never before they came.
                deadline = max(resolve(op.up_to, self.moment, facts) or self.moment, self.moment)
            for event in happened_since(facts, op.scope, op.on, since):
                # A worker that is behind meets events from after the deadline: those came too late all the same.
                in_time = deadline is None or event.occurred_at <= deadline
                if in_time and evaluate(op.condition, hearing(facts, event), self.now) is True:
                    self.heard(op, event)
                    return True
            if not op.on and self._condition_met(op):
                return True
            self.inside, self.until = True, deadline
            self.waits_for = op.on or (ANYTHING,)
            if deadline is None or deadline > self.now:
                until = deadline.isoformat() if deadline else None
                self._note("waiting", sentence(op), due=until, waits_for=list(self.waits_for))
        elif not op.on and self._condition_met(op):
            return True
        if self.until is None or self.until > self.now:
            self.wake_at = self.until
            if not op.on:
                self.wake_at = min(self.until or self.now + RECHECK, self.now + RECHECK)
            return False
        self.moment = max(self.moment, self.until)
        self._note("timeout", both("did not happen in time", "non è accaduto in tempo"), due=self.moment.isoformat())
        self.waited = True
        self._go(op.timeout)
        return True

    def _condition_met(self, op: WaitForOp) -> bool:
        """A wait for a condition alone: gone on by where it holds, or by `unknown` where it never can be known."""
        facts = self.facts()
        verdict = evaluate(op.condition, facts, self.now)
        if verdict is False:
            return False
        self.moment = max(self.moment, min(self.now, self.until or self.now))
        code, goto = ("heard", op.then) if verdict else ("unknown", op.unknown)
        self._note(code, self._explained(op.condition))
        self._go(goto)
        return True

    def _branch(self, op: BranchOp) -> None:
        self._visit(op.id)
        facts = self.facts()
        unknown: Case | None = None
        for number, case in enumerate(op.cases, 1):
            verdict = evaluate(case.condition, facts, self.now)
            if verdict is True:
                self._note("branch", self._explained(case.condition), case=number, lines=self._lines(case))
                self._go(case.goto)
                return
            if verdict is None and unknown is None:
                unknown = case
        if unknown is not None:
            self._note("branch", self._explained(unknown.condition), case="unknown", lines=self._lines(unknown))
            self._go(op.unknown)
            return
        told = [explain(case.condition, facts, self.now, "en") for case in op.cases]
        detto = [explain(case.condition, facts, self.now, "it") for case in op.cases]
        text = both("else: " + "; ".join(told), "altrimenti: " + "; ".join(detto))
        self._note("branch", text, case="else", lines=self._lines(*op.cases))
        self._go(op.otherwise)

    def _set(self, op: SetOp) -> None:
        visit = self._visit(op.id)
        own = {p.removeprefix(_OWN): v for p, v in op.values.items() if p.startswith(_OWN)}
        contact = {p.removeprefix("contact."): v for p, v in op.values.items() if p.startswith("contact.")}
        if own:
            self.fields = {**self.fields, **own}
            self.effects.append(SetFields(op.id, visit, "enrollment", own))
        if contact or op.add_tags or op.remove_tags:
            self.contact = written(self.facts().get("contact") or {}, contact, op.add_tags, op.remove_tags)
            self.effects.append(SetFields(op.id, visit, "contact", contact, op.add_tags, op.remove_tags))
        self._note("set", sentence(op), values=dict(op.values), add=list(op.add_tags), remove=list(op.remove_tags))
        self._go(op.next)

    def _task(self, op: TaskOp) -> None:
        visit = self._visit(op.id)
        due = resolve(For(op.due_within, self.program.zone), self.moment, self.facts()) if op.due_within else None
        self.effects.append(Task(op.id, visit, op.to, dict(op.text), due))
        self._note("task", sentence(op), to=op.to)
        self._go(op.next)

    # --- small things ---

    def _visit(self, step_id: str) -> int:
        self.visits[step_id] = self.visits.get(step_id, 0) + 1
        return self.visits[step_id]

    def _go(self, place: int) -> None:
        self.place = place
        self.step_id = self.program.ops[place].id
        self.inside, self.waits_for, self.until, self.wake_at = False, (), None, self.now

    def _end(self, status: Literal["finished", "exited"], reason: str, outcome: str | None) -> None:
        self.ended = Left(status, reason, outcome)
        self.effects.append(self.ended)

    def _note(self, code: str, text: Sentence, **inputs: Any) -> None:
        self.trace.append(Decision(self.step_id or "", code, text, self.now, inputs))

    def _lines(self, *cases: Case) -> list[dict[str, Any]]:
        facts = self.facts()
        return [row for case in cases for row in weighed(case.condition, facts, self.now)]

    def _explained(self, condition: Condition) -> Sentence:
        facts = self.facts()
        return both(explain(condition, facts, self.now, "en"), explain(condition, facts, self.now, "it"))

    def _clock(self, instant: datetime, until: Until) -> str:
        return moment_text(instant, zone(self.given, until.zone))


_OWN = "enrollment.fields."


def _tail(text: str) -> str:
    return text.partition(": ")[2] or text
