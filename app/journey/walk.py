"""One call's walk of one person through a program: where they are, and what has come of it so far.

`advance` decides how long it goes on, `steps` what each kind of step does to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from app.journey.condition_tree import Condition
from app.journey.conditions import explain, weighed
from app.journey.facts import Facts, as_json, lookup, zone
from app.journey.program import Op, Program, Sentence, Until
from app.journey.sentences import both, moment_text
from app.journey.state import Advanced, Decision, Effect, Left, State
from app.journey.waits import add


class Walk:
    """Collects the new state, the effects and the trace of one call.

    Where nobody will read the trace (`traced` False) no sentence is worded and no line is weighed for it.
    """

    def __init__(self, program: Program, state: State, facts: Facts, now: datetime, *, traced: bool = True) -> None:
        self.program = program
        self.now = now
        self.traced = traced
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
        self.variants = dict(state.variants)
        self.rounds = dict(state.rounds)
        self.marks = dict(state.marks)
        self.contact: dict[str, Any] | None = None
        self._facts: Facts | None = None
        self.ended: Left | None = None
        self.effects: list[Effect] = []
        self.trace: list[Decision] = []

    def facts(self) -> Facts:
        """What was given, with this passage's own fields and what this call has already written of the contact."""
        if self._facts is not None:
            return self._facts
        own = {
            **(self.given.get("enrollment") or {}),
            "key": self.key,
            "entered_at": self.entered_at,
            "fields": self.fields,
        }
        laid: dict[str, Any] = {**self.given, "enrollment": own}
        if self.contact is not None:
            laid["contact"] = self.contact
        self._facts = laid
        return laid

    def write(self, fields: Mapping[str, Any] | None = None, contact: dict[str, Any] | None = None) -> None:
        """Lay fields over those of the passage, and put a contact in the place of the one that was given."""
        self.fields = {**self.fields, **(fields or {})}
        self.contact = contact or self.contact
        self._facts = None

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
            variants=self.variants,
            rounds=self.rounds,
            marks=self.marks,
        )
        return Advanced(state, tuple(self.effects), tuple(self.trace))

    # --- moving ---

    def visit(self, step_id: str) -> int:
        """Count that a step is taken; gives how often it has been, this time included."""
        self.visits[step_id] = self.visits.get(step_id, 0) + 1
        if step_id in self.program.marked:
            self.marks[step_id] = self.moment
        return self.visits[step_id]

    def go(self, place: int) -> None:
        """Arrive at another step."""
        self.place = place
        self.step_id = self.program.ops[place].id
        self.inside, self.waits_for, self.until, self.wake_at = False, (), None, self.now

    def stay(self, until: datetime | None, waits_for: tuple[str, ...] = ()) -> None:
        """Wait at this step until an instant, or for one of some events."""
        self.inside, self.wake_at, self.until, self.waits_for = True, until, until, waits_for

    def end(self, status: Literal["finished", "exited"], reason: str, outcome: str | None = None) -> None:
        """The passage is over."""
        self.ended = Left(status, reason, outcome)
        self.effects.append(self.ended)

    def limit(self) -> datetime | None:
        """When the passage is over whatever it is doing, by `limits: max_duration`."""
        longest = self.program.limits.max_duration
        return None if longest is None else add(self.entered_at, longest, zone(self.given, self.program.zone))

    def since(self, since: str) -> datetime:
        """From when on events count: since entry, this step, or an earlier step (entry, where it was never reached)."""
        if since == "step":
            return self.moment
        return self.marks.get(since, self.entered_at)

    # --- telling ---

    def note(self, code: str, text: Sentence, **inputs: Any) -> None:
        """Keep one decision with what it was read from, as JSON values."""
        if self.traced:
            self.trace.append(Decision(self.step_id or "", code, text, self.now, inputs))

    def explained(self, condition: Condition) -> Sentence:
        """Why a condition is what it is."""
        if not self.traced:
            return both("", "")
        facts = self.facts()
        return both(explain(condition, facts, self.now, "en"), explain(condition, facts, self.now, "it"))

    def lines(self, *conditions: Condition) -> list[dict[str, Any]]:
        """The lines of conditions with what was wanted and what was found."""
        if not self.traced:
            return []
        facts = self.facts()
        return [row for condition in conditions for row in weighed(condition, facts, self.now)]

    def said(self, op: Op) -> Sentence:
        """What a step does, in words."""
        return self.program.sentences[op.id]

    def clock(self, instant: datetime, until: Until) -> str:
        """An instant as the clocks of a wait's zone show it, for a sentence."""
        return moment_text(instant, zone(self.given, until.zone)) if self.traced else ""

    def filled(self, data: Mapping[str, Any], copies: Mapping[str, str]) -> dict[str, Any]:
        """What a step says, with what it copies from the facts; what is not known is left out."""
        facts, whole = self.facts(), dict(data)
        for name, path in copies.items():
            value = lookup(facts, path)
            if value is not None:
                whole[name] = as_json(value)
        return whole
