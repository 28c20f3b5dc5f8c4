"""A story on a moving clock: what would be sent and when, and why each other thing was not.

Runs the same entry rules and steps as production. What the core does not know comes in as arguments: `judge` is the
gate (production hands in its own rule), `project` is what an event makes of a booking. Writes nothing.

What steps do beyond this workflow is told, not done: a call is not made, another workflow does not run. How one that
is awaited ended, the story itself tells (`workflow.ended`). Events that steps report are heard. Dates and schedules
that open the workflow come by themselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Literal

from app.journey import advance, consents, entry
from app.journey.advance import (
    Advanced,
    AskConsent,
    CallOut,
    Decision,
    Emit,
    Send,
    SetFields,
    StartOther,
    State,
    StopOther,
    Task,
    written,
)
from app.journey.entry import Enter, Event, NotEntered, Passage, Refresh, Restart
from app.journey.event_names import event_name
from app.journey.facts import Facts, zone
from app.journey.program import Program, Sentence
from app.journey.scenes import (
    TO_CONFIRM,
    Happening,
    Inside,
    Judge,
    Judgement,
    Line,
    Message,
    Outcome,
    Outside,
    Project,
    Scene,
    Waiting,
    Walked,
    allow_all,
    overwrite,
)
from app.journey.sentences import both
from app.journey.upcoming import upcoming
from app.journey.updates import updates
from app.journey.waits import add

__all__ = [
    "MOST_TURNS",
    "EndlessStoryError",
    "Happening",
    "Inside",
    "Judge",
    "Judgement",
    "Line",
    "Message",
    "Outcome",
    "Project",
    "Scene",
    "Stage",
    "Waiting",
    "Walked",
    "allow_all",
    "overwrite",
    "simulate",
]

MOST_TURNS = 20_000

Past = tuple[str, datetime, Mapping[str, Any]]
"""What happened, when, and what was said of it: as `past_events` of the facts has it."""


class EndlessStoryError(RuntimeError):
    """A story that does not come to rest within MOST_TURNS turns of the clock."""


def simulate(program: Program, scene: Scene, *, judge: Judge = allow_all, project: Project = overwrite) -> Outcome:
    """Run one story through one workflow until nothing more happens (or `scene.until`).

    Raises EndlessStoryError where it never comes to rest.
    """
    return Stage(program, scene, judge, project).play()


class Stage:
    """One story while it runs. A replay of recorded history is one too, with `known` and `judged` of its own.

    Where nobody will read the trace (`traced` False) none is kept: all else comes to the same, sooner.
    """

    def __init__(self, program: Program, scene: Scene, judge: Judge, project: Project, *, traced: bool = True) -> None:
        self.program, self.scene = program, scene
        self.judge, self.project = judge, project
        self.traced = traced
        self.now = scene.now.astimezone(UTC)
        self.contact: Mapping[str, Any] = dict(scene.contact)
        self.consents = dict(scene.consents)
        self.said_no: dict[str, datetime] = {}
        self.asked: dict[str, datetime] = {}
        """Topic → when consent to it was last asked for."""
        self.bookings: dict[str, Mapping[str, Any]] = {}
        self.clicked: dict[str, datetime] = {}
        self.log: list[tuple[Event, str | None]] = []
        self.past: tuple[Past, ...] = ()
        self.past_of: dict[str | None, tuple[Past, ...]] = {}
        self.inside: list[Inside] = []
        self.waiting: list[Waiting] = []
        self.messages: list[Message] = []
        self.sent_at: dict[str, datetime] = {}
        self.refused_entries: list[NotEntered] = []
        self.tasks: list[Task] = []
        self.trace: list[Line] = []
        self.outside: list[Outside] = []
        self.segments = set(scene.segments)
        self.ahead = sorted(scene.happenings, key=lambda one: one.at)
        self.opened: set[tuple[int, str | None]] = set()
        self.told: dict[tuple[str, str], Facts] = {}
        self._known: dict[str | None, dict[str, Any]] = {}

    def play(self) -> Outcome:
        """Turn by turn: the next event, wake-up or put-off message, whichever comes first."""
        for _ in range(MOST_TURNS):
            occasion = upcoming(self.program, self.scene, self.known, self.bookings, self.opened, self.now)
            moment = self._next(occasion)
            if moment is None or (self.scene.until is not None and moment > self.scene.until):
                return self._outcome()
            self.now = max(self.now, moment)
            self._known.clear()
            if occasion is not None and occasion.at <= self.now:
                self._happens(occasion)
            while self.ahead and self.ahead[0].at <= self.now:
                self._happens(self.ahead.pop(0))
            for passage in list(self.inside):
                self._wake(passage)
            self._gate()
        raise EndlessStoryError(f"{self.program.workflow}: the story does not come to rest")

    def _next(self, occasion: Happening | None) -> datetime | None:
        moments = [self.ahead[0].at] if self.ahead else []
        moments += [occasion.at] if occasion is not None else []
        moments += [one.state.wake_at for one in self.inside if one.state.wake_at is not None]
        moments += [one.at for one in self.waiting]
        return min(moments, default=None)

    # --- what happens ---

    def _happens(self, happening: Happening) -> None:
        self._bring_up_to_date(happening)
        data = happening.data
        if happening.type == "workflow.started":
            data = {"workflow": self.program.workflow, "by": "manual", **data}
        elif happening.type in ("date.reached", "schedule.fired"):
            self.opened.add((data["entry"], happening.reference))
        event = Event(happening.type, happening.occurred_at, data, happening.reference)
        if self.traced:
            told = both(f"event “{event_name(event.type, 'en')}”", f"evento “{event_name(event.type, 'it')}”")
            at = event.occurred_at.isoformat()
            self._tell("event", told, inputs={"type": event.type, "occurred_at": at, "booking": event.booking})
        self.remember(event)
        for passage in list(self.inside):
            self._scores(passage, event)
            if passage.state.status == "active":
                self._passage_hears(passage, event)
        if event.type in self.program.starts_on:
            self._at_the_door(event)

    def remember(self, event: Event) -> None:
        """From here on the event has happened, to the person and to the booking it is about."""
        self.log.append((event, event.booking))
        past = (event.type, event.occurred_at, event.data)
        self.past = (*self.past, past)
        self.past_of[event.booking] = (*self.past_of.get(event.booking, ()), past)

    def _bring_up_to_date(self, happening: Happening) -> None:
        self._known.clear()
        reference = happening.reference
        if reference is not None:
            self.bookings[reference] = self.project(self.bookings.get(reference), happening)
        if happening.contact:
            self.contact = {**self.contact, **happening.contact}
        topic = happening.data.get("topic") or happening.data.get("purpose") or "marketing"
        if happening.type == "consent.granted":
            waits = happening.data.get("method") in TO_CONFIRM and not happening.data.get("confirmed_at")
            self.consents[topic] = "pending" if waits else "granted"
        elif happening.type == "consent.withdrawn":
            self.consents[topic] = "withdrawn"
            self.said_no[topic] = happening.occurred_at
        elif happening.type == "segment.entered":
            self.segments.add(str(happening.data.get("segment")))
        elif happening.type == "segment.left":
            self.segments.discard(str(happening.data.get("segment")))
        elif happening.type == "message.clicked" and self.scene.tracked:
            self.clicked[str(happening.data.get("step"))] = happening.occurred_at

    def _scores(self, passage: Inside, event: Event) -> None:
        """A goal may come long after the passage is over."""
        if self.program.goal is None or self.program.goal.on != event.type:
            return
        reached = entry.goal_by_event(self.program, event, self.facts_of(passage), self.now)
        if reached is not None and passage.goal is None:
            passage.goal = reached
            self._tell("goal", reached.sentence, passage)

    def _passage_hears(self, passage: Inside, event: Event) -> None:
        program, facts = self.program, self.facts_of(passage)
        ended = entry.exit_by_event(program, event, facts, self.now)
        if ended is not None:
            self._leave(passage, ended)
            return
        heard = advance.hear(program, passage.state, event, facts, self.now)
        if heard is not None:
            self._take(passage, heard)
        elif program.follow == "booking" and event.booking is not None and event.booking == passage.reference:
            self._rebind(passage)
        elif advance.by_contact_clock(program, passage.state):
            moved = advance.rezone(program, passage.state, facts, self.now)
            if moved is not None:
                self._take(passage, moved)
        if event.booking is not None and event.booking == passage.reference:
            self._update(passage)

    def _update(self, passage: Inside) -> None:
        """Where a message has gone out and what it said has changed since, another says so (X1)."""
        told = {step: facts for (key, step), facts in self.told.items() if key == passage.key}
        if told and passage.state.status == "active":
            moved = updates(self.program, passage.state, told, self.facts_of(passage), self.now)
            if moved is not None:
                self._take(passage, moved)

    def _rebind(self, passage: Inside) -> None:
        moved = advance.rebind(self.program, passage.state, self.facts_of(passage), self.now)
        if moved is not None:
            self._take(passage, moved)

    def _at_the_door(self, event: Event) -> None:
        as_fact = {**event.data, "type": event.type, "occurred_at": event.occurred_at}
        fresh = Inside("", event.booking, as_fact, _NOBODY, self.now)
        facts = self.facts_of(fresh)
        earlier = [Passage(one.key, one.state.status, one.entered_at, one.ended_at) for one in self.inside]
        verdict = entry.on_event(self.program, event, facts, earlier, self.now)
        if isinstance(verdict, Enter) and self.scene.held_out and self.program.holdout:
            told = both("kept out, to compare with", "tenuto fuori, per confronto")
            verdict = NotEntered("holdout", told, verdict.key)
        if isinstance(verdict, NotEntered):
            self.refused_entries.append(verdict)
            self._tell("not_entered", verdict.sentence, key=verdict.key, inputs={"code": verdict.code})
            return
        now_inside = [one for one in self.inside if one.key == verdict.key and one.state.status == "active"]
        if isinstance(verdict, Refresh):
            now_inside[0].event = as_fact
            self._tell("refreshed", verdict.sentence, now_inside[0])
            self._rebind(now_inside[0])
            return
        if isinstance(verdict, Restart):
            self._leave(now_inside[0], entry.Exit("restarted", None, verdict.sentence))
        fresh.key = verdict.key
        fresh.state = advance.start(self.program, verdict.key, facts, self.now)
        fixed = {step: name for step, name in self.scene.variants.items() if step in self.program.places}
        if fixed:
            fresh.state = replace(fresh.state, variants=fixed)
        self.inside.append(fresh)
        self._tell("entered", verdict.sentence, fresh)

    def _wake(self, passage: Inside) -> None:
        for _ in range(self.program.longest + 1):
            wake_at = passage.state.wake_at
            if passage.state.status != "active" or wake_at is None or wake_at > self.now:
                return
            facts = self.facts_of(passage)
            ended = entry.exit_by_state(self.program, facts, self.now)
            if ended is not None:
                self._leave(passage, ended)
            else:
                self._take(passage, advance.advance(self.program, passage.state, facts, self.now, traced=self.traced))

    def _leave(self, passage: Inside, ended: entry.Exit) -> None:
        """An exit rule holds: its unsent messages are not sent any more (R60)."""
        passage.by_rule = True
        self._take(passage, advance.leave(passage.state, ended.reason, ended.outcome, ended.sentence, self.now))

    def _take(self, passage: Inside, moved: Advanced) -> None:
        if moved.state.status != "active" and passage.state.status == "active":
            passage.ended_at = self.now
        passage.state = moved.state
        if self.traced:
            self.trace += [_line(decision, passage.key) for decision in moved.trace]
        for effect in moved.effects:
            if isinstance(effect, Send):
                self.waiting.append(Waiting(passage, effect, self.now, self.now))
            elif isinstance(effect, AskConsent):
                self._ask(passage, effect)
            elif isinstance(effect, SetFields) and effect.target == "contact":
                self.contact = written(self.contact, effect.values, effect.add_tags, effect.remove_tags)
                self._known.clear()
            elif isinstance(effect, Task):
                self.tasks.append(effect)
            elif isinstance(effect, Emit | CallOut | StartOther | StopOther):
                self.outside.append(effect)
            if isinstance(effect, Emit):
                booking = {"reference": effect.booking} if effect.booking is not None else None
                self.ahead.insert(0, Happening(self.now, effect.type, self.now, effect.data, booking))

    def _ask(self, passage: Inside, effect: AskConsent) -> None:
        """Put a request for consent on record with its message; or tell the passage why nobody is asked."""
        why = self.turned_down(effect.topic)
        if why is not None:
            told = advance.turned_down(self.program, passage.state, why, self.facts_of(passage), self.now)
            if told is not None:
                self._take(passage, told)
            return
        open_ = self.asked.get(effect.topic)
        self.consents[effect.topic] = "pending"
        self._known.clear()
        if open_ is None or self.now > open_ + consents.PENDING_FOR:
            self.asked[effect.topic] = self.now
            self.outside.append(effect)
            self.waiting.append(Waiting(passage, effect.message, self.now, self.now))

    def turned_down(self, topic: str) -> str | None:
        """Why consent to a topic is not asked for now; None where it may be. Replays go by the ledger."""
        said = consents.word(self.known(None), topic)
        return consents.turned_down(said, self.said_no.get(topic), self.now, self.asked.get(topic))

    # --- the gate ---

    def _gate(self) -> None:
        for one in [one for one in self.waiting if one.at <= self.now]:
            self.waiting.remove(one)
            verdict = self.judged(one)
            if verdict.outcome == "deferred" and verdict.not_before is not None and verdict.not_before > self.now:
                one.at = verdict.not_before
                self.waiting.append(one)
                self._tell_verdict("deferred", one, verdict)
                continue
            outcome: Literal["sent", "refused"] = "sent" if verdict.outcome == "allowed" else "refused"
            self._decide(one, outcome, verdict)

    def judged(self, one: Waiting) -> Judgement:
        """Exits are read again first (R60): who left by a rule since it was planned is not written to."""
        if one.passage.by_rule:
            return Judgement("refused", "exited", "R60")
        within = one.send.skip_if_sent_within
        before = self.sent_at.get(one.send.template)
        if within is not None and before is not None:
            again = add(before, within, zone(self.facts_of(one.passage), "property"))
            if self.now < again:
                return Judgement("refused", "sent_already", "R59")
        return self.judge(one.send, self.facts_of(one.passage), self.now)

    def _decide(self, one: Waiting, outcome: Literal["sent", "refused"], verdict: Judgement) -> None:
        send = one.send
        if outcome == "sent":
            self.sent_at[send.template] = self.now
            if send.step_id in self.program.retold:
                self.told[one.passage.key, send.step_id] = self.facts_of(one.passage)
        self.messages.append(
            Message(
                key=one.passage.key,
                step_id=send.step_id,
                template=send.template,
                class_=send.class_,
                planned_at=one.planned_at,
                outcome=outcome,
                at=self.now,
                code=verdict.code,
                rule=verdict.rule,
            )
        )
        self._tell_verdict(outcome, one, verdict)

    # --- what is known ---

    def facts_of(self, passage: Inside) -> Facts:
        """What a passage sees now. Replays of recorded history lay over it what was known then."""
        enrollment = {"key": passage.key, "entered_at": passage.entered_at, "fields": passage.state.fields}
        known = self._known.get(passage.reference)
        if known is None:
            known = self._known[passage.reference] = self.known(passage.reference)
        return {
            **known,
            "event": passage.event,
            "enrollment": enrollment,
            "past_events": self.past_of.get(passage.reference, ()),
            "contact_events": self.past,
        }

    def known(self, reference: str | None) -> dict[str, Any]:
        """What is known of the person and of one booking, whatever passage it is for."""
        segments = tuple(sorted(self.segments))
        return {
            "now": self.now,
            "contact": {**self.contact, "segments": segments},
            "booking": self.bookings.get(reference) if reference else None,
            "property": self.scene.property,
            "consent": self.consents,
            "engagement": {"tracked": self.scene.tracked, "clicked": self.clicked},
            "segments": frozenset(segments),
            "experiments": self.scene.winners,
        }

    def _tell_verdict(self, outcome: Literal["sent", "refused", "deferred"], one: Waiting, verdict: Judgement) -> None:
        if not self.traced:
            return
        template = one.send.template
        inputs = {**verdict.inputs, "code": verdict.code, "rule": verdict.rule}
        if outcome == "sent":
            text = both(f"{template} sent", f"{template} inviato")
        elif outcome == "refused":
            text = both(f"{template} refused: {verdict.code}", f"{template} rifiutato: {verdict.code}")
        else:
            text = both(f"{template} put off", f"{template} rimandato")
            inputs["until"] = verdict.not_before.isoformat() if verdict.not_before else None
        self._tell(outcome, text, one.passage, one.send.step_id, inputs)

    def _tell(
        self,
        code: str,
        sentence: Sentence,
        passage: Inside | None = None,
        step_id: str = "",
        inputs: Mapping[str, Any] | None = None,
        key: str | None = None,
    ) -> None:
        if self.traced:
            self.trace.append(Line(self.now, code, sentence, passage.key if passage else key, step_id, inputs or {}))

    def _outcome(self) -> Outcome:
        unsent = [
            Message(
                one.passage.key,
                one.send.step_id,
                one.send.template,
                one.send.class_,
                one.planned_at,
                "waiting",
                one.at,
                "deferred",
            )
            for one in self.waiting
        ]
        walked = [
            Walked(
                one.key,
                one.state.status,
                one.state.reason,
                one.entered_at,
                one.ended_at,
                one.state.step_id,
                one.goal,
                one.state.variants,
            )
            for one in self.inside
        ]
        return Outcome(
            (*self.messages, *unsent),
            tuple(walked),
            tuple(self.refused_entries),
            tuple(self.tasks),
            tuple(self.trace),
            tuple(self.outside),
        )


_NOBODY = State("active", "", datetime.min.replace(tzinfo=UTC), datetime.min.replace(tzinfo=UTC))


def _line(decision: Decision, key: str) -> Line:
    return Line(decision.at, decision.code, decision.sentence, key, decision.step_id, decision.inputs)
