"""What steps bring about besides messages: events, calls, tasks, other workflows. All in the transaction of the step.

Whatever concerns another passage travels as an event in the log and is dealt with by `enrol`, in its order and under
its lock; a step never touches the rows of another passage.

    emit    the event itself, about the same contact and booking
    start   workflow.started, with the key and the entry data of the passage that asks
    stop    workflow.stopped
    (end)   workflow.ended, where somebody awaits this passage or any live workflow listens

Every such event says what brought it about (`caused_by`), and how many passages stand between it and the outside world.
Two workflows that start each other are stopped at `DEEPEST`, with the reason on the passage that would have gone on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from app.audience.facts import Facts, Who
from app.consent.calls import is_marketing_call
from app.enrollments import calls, tasks
from app.enrollments.passages import Inside
from app.events.catalogue import is_own
from app.events.record import OwnEvent, record_own
from app.journey.condition_tree import Condition
from app.journey.conditions import evaluate
from app.journey.consents import ERASED
from app.journey.entry import Event, hearing
from app.journey.program import ENDED, Program, WaitForOp
from app.journey.state import CallOut, Decision, Effect, Emit, StartOther, StopOther, Task

QUERIES = 5
"""At most: calls, tasks, and own events (3)."""

STARTED, STOPPED = "workflow.started", "workflow.stopped"

STOPPED_SENTENCE = {"en": "another workflow stopped this one", "it": "un altro percorso ha fermato questo"}

DEEPEST = 8
"""So many passages may follow from each other (A emits, B starts on it and emits ...) before the next is refused."""

_ENTRY = ("id", "type", "occurred_at", "caused_by", "workflow", "by", "key", "entry", "awaited")
"""What a started workflow does not inherit of the entry event of the one that starts it."""


@dataclass(slots=True)
class Done:
    """What the passages of one batch have brought about, to be written together."""

    now: datetime
    events: list[OwnEvent] = field(default_factory=list)
    calls: list[calls.Wanted] = field(default_factory=list)
    tasks: list[tasks.Wanted] = field(default_factory=list)
    visits: list[tuple[Inside, Decision]] = field(default_factory=list)
    """What was refused, for the trace."""

    def take(self, row: Inside, effect: Effect, program: Program, facts: Facts) -> None:
        """Note one effect of a step of `row`; sends and fields are not among those it knows."""
        match effect:
            case Emit():
                if not is_own(effect.type) or effect.type == "task.done":
                    self._event(row, effect, effect.type, effect.data, program, facts)
            case StartOther():
                inherited = {name: value for name, value in row.event.items() if name not in _ENTRY}
                data = {**inherited, **effect.data, "workflow": effect.workflow, "by": "workflow", "key": effect.key}
                if effect.awaited:
                    data["awaited"] = True
                self._event(row, effect, STARTED, data, program, facts)
            case StopOther():
                data = {"workflow": effect.workflow, "reason": effect.reason, "key": effect.key}
                self._event(row, effect, STOPPED, data, program, facts)
            case CallOut():
                self.calls.append(
                    calls.Wanted(
                        contact_id=row.contact_id,
                        enrollment_id=row.id,
                        workflow_id=row.workflow_id,
                        step_id=effect.step_id,
                        visit=effect.visit,
                        endpoint=effect.endpoint,
                        payload=_payload(row, effect, program, facts),
                        shares=effect.shares,
                    )
                )
            case Task():
                self.tasks.append(
                    tasks.Wanted(
                        contact_id=row.contact_id,
                        enrollment_id=row.id,
                        workflow_id=row.workflow_id,
                        step_id=effect.step_id,
                        visit=effect.visit,
                        booking_id=row.booking_id,
                        property_id=row.property_id,
                        team=effect.to,
                        what={**effect.text, "call": "marketing"}
                        if is_marketing_call(program.class_, effect.text)
                        else effect.text,
                        due_at=effect.due,
                    )
                )
            case _:
                pass

    def over(self, row: Inside, program: Program, facts: Facts, listeners: Listeners) -> None:
        """Note that a passage has ended, if anybody wants to know.

        Args:
            facts: of the person and the booking, as they are now.
            listeners: the live workflows that listen to the end of others.
        """
        data = {
            "workflow": program.workflow,
            "key": row.key,
            "status": row.state.status,
            "reason": row.state.reason,
            "outcome": row.state.outcome,
            "enrollment": row.id,
            "caused_by": row.event.get("caused_by"),
        }
        if row.event.get("awaited") or listeners.want(data, facts, self.now):
            reference, id_ = _reference(facts), f"ended:{row.id}"
            self.events.append(_ended(row.contact_id, row.booking_id, reference, row.property_id, self.now, data, id_))

    def write(self, session: Session) -> None:
        """All of it, in bulk; see `QUERIES`."""
        calls.ask(session, self.calls, self.now)
        tasks.ask(session, self.tasks, self.now)
        record_own(session, self.events, self.now)

    def _event(
        self,
        row: Inside,
        effect: Emit | StartOther | StopOther,
        type_: str,
        data: Mapping[str, Any],
        program: Program,
        facts: Facts,
    ) -> None:
        deep = depth(row.event) + 1
        reference = _reference(facts)
        cause = {"enrollment": row.id, "workflow": program.workflow, "step": effect.step_id, "depth": deep}
        if deep > DEEPEST:
            self.visits.append((row, _too_deep(effect.step_id, type_, deep, self.now)))
            if not (isinstance(effect, StartOther) and effect.awaited):
                return
            # Who asked is told at once that it did not start, as by any other refusal, and need not wait for it.
            told = _refused(effect.workflow, effect.key, "too_deep", cause)
            self.events.append(_ended(row.contact_id, row.booking_id, reference, row.property_id, self.now, told, None))
            return
        self.events.append(
            OwnEvent(
                contact_id=row.contact_id,
                type=type_,
                occurred_at=self.now,
                data={**data, "caused_by": cause},
                booking_id=row.booking_id,
                booking_reference=reference,
                property_id=row.property_id,
            )
        )


def not_started(event: Mapping[str, Any], who: Who, reference: str | None, code: str, now: datetime) -> OwnEvent | None:
    """What a passage that awaits another is told where that could not start; None where nobody awaits it.

    Args:
        event: the data of `workflow.started`.
        code: the refusal's.
    """
    if not event.get("awaited"):
        return None
    told = _refused(event.get("workflow"), event.get("key"), code, event.get("caused_by"))
    return _ended(who.contact_id, who.booking_id, reference, who.property_id, now, told, None)


def depth(event: Mapping[str, Any]) -> int:
    """How many passages stand between an event and the outside world: 0 where it came from there."""
    cause = event.get("caused_by")
    found = cause.get("depth") if isinstance(cause, dict) else None
    return found if isinstance(found, int) else 0


def addressed(type_: str, data: Mapping[str, Any], workflow: str) -> bool:
    """Whether an event may mean this workflow at all: those that name one mean no other."""
    return type_ not in {STARTED, STOPPED, "date.reached", "schedule.fired"} or data.get("workflow") == workflow


def stops(type_: str, data: Mapping[str, Any], row: Inside, program: Program) -> str | None:
    """The reason with which `workflow.stopped` ends a passage; None where it does not."""
    if type_ != STOPPED or data.get("workflow") != program.workflow:
        return None
    if data.get("key") is not None and data["key"] != row.key:
        return None
    return str(data.get("reason") or "stopped")


@dataclass(frozen=True, slots=True)
class Listeners:
    """Who wants to know of the end of passages that nobody awaits."""

    always: bool
    """Somebody inside waits for it, leaves on it or scores by it."""
    conditions: Sequence[Condition]
    """Of the ways in that it opens."""

    @classmethod
    def among(cls, programs: Sequence[Program]) -> Listeners:
        """Those of the live workflows that listen."""
        heard = {
            name
            for program in programs
            for names in (
                [rule.on or "" for rule in program.exits],
                [program.goal.on] if program.goal else [],
                *(op.on for op in program.ops if isinstance(op, WaitForOp)),
            )
            for name in names
        }
        rules = [rule for program in programs for rule in program.entry if rule.on == ENDED]
        return cls(ENDED in heard, [rule.condition for rule in rules])

    def want(self, data: Mapping[str, Any], facts: Facts, now: datetime) -> bool:
        """Whether this end may mean anything to any of them.

        Most ends mean nothing to anybody, and an event for each would double the work of the house: so the conditions
        of the ways in are asked beforehand, and only what is surely false is not recorded.
        """
        seen = hearing(facts, Event(ENDED, now, data))
        return self.always or any(evaluate(condition, seen, now) is not False for condition in self.conditions)


def note_ended(
    session: Session,
    rows: Sequence[Inside],
    program_of: Callable[[Inside], Program],
    facts: Mapping[Who, Facts],
    live: Sequence[Program],
    now: datetime,
) -> None:
    """Tell of passages that were ended from outside their steps (a move to another version, a person's hand).

    Args:
        live: the live workflows, any of which may listen.
    """
    done, listeners = Done(now), Listeners.among(live)
    for row in rows:
        if row.state.status != "active" and row.who in facts:
            done.over(row, program_of(row), facts[row.who], listeners)
    done.write(session)


def _refused(workflow: Any, key: Any, reason: str, cause: Any) -> dict[str, Any]:
    return {
        "workflow": workflow,
        "key": key,
        "status": "refused",
        "reason": reason,
        "outcome": None,
        "enrollment": None,
        "caused_by": cause,
    }


def _ended(
    contact_id: int,
    booking_id: int | None,
    reference: str | None,
    property_id: int | None,
    now: datetime,
    data: dict[str, Any],
    id_: str | None,
) -> OwnEvent:
    return OwnEvent(
        contact_id=contact_id,
        type=ENDED,
        occurred_at=now,
        data=data,
        booking_id=booking_id,
        booking_reference=reference,
        property_id=property_id,
        id=id_,
    )


def _reference(facts: Facts) -> str | None:
    booking = facts.get("booking")
    return booking["reference"] if booking else None


def _payload(row: Inside, effect: CallOut, program: Program, facts: Facts) -> dict[str, Any]:
    """What the other house is told: who by number and by the name it gave them itself, and what the step says.

    No address and no name goes out by itself: the step names what is needed, as in
    `data: { email: { from: contact.email } }`.
    """
    contact = facts.get("contact") or {}
    # Who is erased has no id any more; the event brings it, so that the other side knows whom to erase too.
    external_id = row.event.get("external_id") if row.event.get("type") == ERASED else contact.get("external_id")
    return {
        "workflow": program.workflow,
        "step": effect.step_id,
        "visit": effect.visit,
        "enrollment": row.id,
        "key": row.key,
        "contact": {"id": row.contact_id, "external_id": external_id},
        "booking": _reference(facts),
        "property": (facts.get("property") or {}).get("code"),
        **({"data": dict(effect.data)} if effect.data else {}),
    }


def _too_deep(step_id: str, type_: str, deep: int, now: datetime) -> Decision:
    sentence = {
        "en": f"{type_} is held back: {deep - 1} workflows have already started one another, the most allowed",
        "it": f"{type_} trattenuto: {deep - 1} percorsi si sono già avviati l'un l'altro, il massimo",
    }
    return Decision(step_id, "too_deep", sentence, now, {"event": type_, "depth": deep})
