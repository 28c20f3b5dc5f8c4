"""A story on a moving clock: what would be sent and when, and why each other thing was not.

Runs the same entry rules and steps as production. What the core does not know comes in as arguments: `judge` is the
gate (production hands in its own rule), `project` is what an event makes of a booking. Writes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any, Literal

from app.journey import advance, entry
from app.journey.advance import Advanced, Decision, Send, SetFields, State, Task, written
from app.journey.entry import Event, NotEntered, Passage, Refresh, Restart
from app.journey.facts import Facts, zone
from app.journey.program import Program, Sentence
from app.journey.sentences import both
from app.journey.waits import add

MOST_TURNS = 20_000


@dataclass(frozen=True, slots=True)
class Happening:
    """One event of a story: received `at`, happened `occurred_at`, with what it says of a booking."""

    at: datetime
    type: str
    occurred_at: datetime
    data: Mapping[str, Any] = field(default_factory=dict)
    booking: Mapping[str, Any] | None = None
    contact: Mapping[str, Any] | None = None

    @property
    def reference(self) -> str | None:
        """Which booking it is about."""
        return None if self.booking is None else str(self.booking.get("reference"))


@dataclass(frozen=True, slots=True)
class Scene:
    """A person and their property at the start, and what then happens."""

    now: datetime
    contact: Mapping[str, Any]
    property: Mapping[str, Any]
    consents: Mapping[str, str] = field(default_factory=dict)
    tracked: bool = False
    happenings: tuple[Happening, ...] = ()
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Judgement:
    """The gate's answer: sent, refused with a code, or put off to `not_before` and judged again then."""

    outcome: Literal["allowed", "refused", "deferred"]
    code: str = "allowed"
    rule: str | None = None
    not_before: datetime | None = None


Judge = Callable[[Send, Facts, datetime], Judgement]
Project = Callable[[Mapping[str, Any] | None, Happening], Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Message:
    """A message that was planned, and what became of it."""

    key: str
    step_id: str
    template: str
    class_: str
    planned_at: datetime
    outcome: Literal["sent", "refused", "waiting"]
    at: datetime
    code: str
    rule: str | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """One line of what happened: an event, an entry, a decision, a message."""

    at: datetime
    code: str
    sentence: Sentence
    key: str | None = None
    step_id: str = ""
    inputs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Walked:
    """One passage of the story and how it ended (`active` where it did not)."""

    key: str
    status: Literal["active", "finished", "exited"]
    reason: str | None
    entered_at: datetime
    ended_at: datetime | None
    step_id: str | None
    goal: entry.Reached | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """Everything a story came to."""

    messages: tuple[Message, ...]
    passages: tuple[Walked, ...]
    not_entered: tuple[NotEntered, ...]
    tasks: tuple[Task, ...]
    trace: tuple[Line, ...]

    @property
    def sent(self) -> tuple[Message, ...]:
        """What went out, in order."""
        return tuple(message for message in self.messages if message.outcome == "sent")


class EndlessStoryError(RuntimeError):
    """A story that does not come to rest within MOST_TURNS turns of the clock."""


def allow_all(send: Send, _facts: Facts, now: datetime) -> Judgement:
    """The gate that lets everything through that is not too late (R59)."""
    if send.latest is not None and now > send.latest:
        return Judgement("refused", "too_late", "R59")
    return Judgement("allowed")


_STATUS = {
    "booking.confirmed": "confirmed",
    "booking.reinstated": "confirmed",
    "booking.requested": "pending",
    "booking.abandoned": "abandoned",
    "booking.cancelled": "cancelled",
    "booking.checked_in": "checked_in",
    "booking.checked_out": "checked_out",
    "booking.no_show": "no_show",
}


_TO_CONFIRM = ("web", "desk_tablet", "staff", "phone")
"""Ways of saying yes that wait for a confirmation from the mailbox (R6)."""


def overwrite(before: Mapping[str, Any] | None, happening: Happening) -> Mapping[str, Any]:
    """The simple projection: what happened later overwrites; an event that arrives late only fills what is missing.

    The status follows the type of the event; a booking that was cancelled stays so until it is reinstated.
    """
    old = dict(before or {})
    given = {name: _dated(name, value) for name, value in (happening.booking or {}).items()}
    newest = old.get("_at")
    late = newest is not None and happening.occurred_at < newest
    after = {**given, **old} if late else {**old, **given}
    status = _STATUS.get(happening.type)
    if status and not late and not (old.get("status") == "cancelled" and status == "abandoned"):
        after["status"] = status
    if happening.type == "booking.cancelled":
        after["cancelled_at"] = happening.occurred_at
    if happening.type == "booking.confirmed":
        after.setdefault("created_at", happening.occurred_at)
    arrival, departure = after.get("arrival"), after.get("departure")
    if isinstance(arrival, date) and isinstance(departure, date) and "nights" not in given:
        after["nights"] = (departure - arrival).days
    after["_at"] = max(newest or happening.occurred_at, happening.occurred_at)
    return after


def _dated(name: str, value: Any) -> Any:
    if name in ("arrival", "departure") and isinstance(value, str):
        return date.fromisoformat(value)
    return value


def simulate(program: Program, scene: Scene, *, judge: Judge = allow_all, project: Project = overwrite) -> Outcome:
    """Run one story through one workflow until nothing more happens (or `scene.until`).

    Raises EndlessStoryError where it never comes to rest.
    """
    return Stage(program, scene, judge, project).play()


@dataclass(slots=True)
class Inside:
    """One passage on the stage."""

    key: str
    reference: str | None
    event: Mapping[str, Any]
    state: State
    entered_at: datetime
    ended_at: datetime | None = None
    goal: entry.Reached | None = None
    by_rule: bool = False


@dataclass(slots=True)
class Waiting:
    """A planned message that has not been decided on yet."""

    passage: Inside
    send: Send
    planned_at: datetime
    at: datetime


class Stage:
    """One story while it runs. A replay of recorded history is one too, with `facts_of` and `judged` of its own."""

    def __init__(self, program: Program, scene: Scene, judge: Judge, project: Project) -> None:
        self.program, self.scene = program, scene
        self.judge, self.project = judge, project
        self.now = scene.now.astimezone(UTC)
        self.contact: Mapping[str, Any] = dict(scene.contact)
        self.consents = dict(scene.consents)
        self.bookings: dict[str, Mapping[str, Any]] = {}
        self.clicked: dict[str, datetime] = {}
        self.log: list[tuple[Event, str | None]] = []
        self.inside: list[Inside] = []
        self.waiting: list[Waiting] = []
        self.messages: list[Message] = []
        self.sent_at: dict[str, datetime] = {}
        self.refused_entries: list[NotEntered] = []
        self.tasks: list[Task] = []
        self.trace: list[Line] = []

    def play(self) -> Outcome:
        """Turn by turn: the next event, wake-up or put-off message, whichever comes first."""
        ahead = sorted(self.scene.happenings, key=lambda one: one.at)
        for _ in range(MOST_TURNS):
            moment = self._next(ahead)
            if moment is None or (self.scene.until is not None and moment > self.scene.until):
                return self._outcome()
            self.now = max(self.now, moment)
            while ahead and ahead[0].at <= self.now:
                self._happens(ahead.pop(0))
            for passage in list(self.inside):
                self._wake(passage)
            self._gate()
        raise EndlessStoryError(f"{self.program.workflow}: the story does not come to rest")

    def _next(self, ahead: Sequence[Happening]) -> datetime | None:
        moments = [ahead[0].at] if ahead else []
        moments += [one.state.wake_at for one in self.inside if one.state.wake_at is not None]
        moments += [one.at for one in self.waiting]
        return min(moments, default=None)

    # --- what happens ---

    def _happens(self, happening: Happening) -> None:
        self._bring_up_to_date(happening)
        event = Event(happening.type, happening.occurred_at, happening.data, happening.reference)
        told = both(f"event {event.type}", f"evento {event.type}")
        self._tell("event", told, inputs={"occurred_at": event.occurred_at.isoformat(), "booking": event.booking})
        self.log.append((event, happening.reference))
        for passage in list(self.inside):
            if passage.state.status == "active":
                self._passage_hears(passage, event)
        if event.type in self.program.starts_on:
            self._at_the_door(event)

    def _bring_up_to_date(self, happening: Happening) -> None:
        reference = happening.reference
        if reference is not None:
            self.bookings[reference] = self.project(self.bookings.get(reference), happening)
        if happening.contact:
            self.contact = {**self.contact, **happening.contact}
        topic = happening.data.get("topic") or happening.data.get("purpose") or "marketing"
        if happening.type == "consent.granted":
            waits = happening.data.get("method") in _TO_CONFIRM and not happening.data.get("confirmed_at")
            self.consents[topic] = "pending" if waits else "granted"
        elif happening.type == "consent.withdrawn":
            self.consents[topic] = "withdrawn"
        elif happening.type == "message.clicked" and self.scene.tracked:
            self.clicked[str(happening.data.get("step"))] = happening.occurred_at

    def _passage_hears(self, passage: Inside, event: Event) -> None:
        program, facts = self.program, self.facts_of(passage)
        reached = entry.goal_by_event(program, event, facts, self.now)
        if reached is not None and passage.goal is None:
            passage.goal = reached
            self._tell("goal", reached.sentence, passage)
        ended = entry.exit_by_event(program, event, facts, self.now)
        if ended is not None:
            self._leave(passage, ended)
            return
        heard = advance.hear(program, passage.state, event, facts, self.now)
        if heard is not None:
            self._take(passage, heard)
        elif program.follow == "booking" and event.booking is not None and event.booking == passage.reference:
            self._rebind(passage)

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
        self.inside.append(fresh)
        self._tell("entered", verdict.sentence, fresh)

    def _wake(self, passage: Inside) -> None:
        for _ in range(len(self.program.ops) + 1):
            wake_at = passage.state.wake_at
            if passage.state.status != "active" or wake_at is None or wake_at > self.now:
                return
            facts = self.facts_of(passage)
            ended = entry.exit_by_state(self.program, facts, self.now)
            if ended is not None:
                self._leave(passage, ended)
            else:
                self._take(passage, advance.advance(self.program, passage.state, facts, self.now))

    def _leave(self, passage: Inside, ended: entry.Exit) -> None:
        """An exit rule holds: its unsent messages are not sent any more (R60)."""
        passage.by_rule = True
        self._take(passage, advance.leave(passage.state, ended.reason, ended.outcome, ended.sentence, self.now))

    def _take(self, passage: Inside, moved: Advanced) -> None:
        if moved.state.status != "active" and passage.state.status == "active":
            passage.ended_at = self.now
        passage.state = moved.state
        self.trace += [_line(decision, passage.key) for decision in moved.trace]
        for effect in moved.effects:
            if isinstance(effect, Send):
                self.waiting.append(Waiting(passage, effect, self.now, self.now))
            elif isinstance(effect, SetFields) and effect.target == "contact":
                self.contact = written(self.contact, effect.values, effect.add_tags, effect.remove_tags)
            elif isinstance(effect, Task):
                self.tasks.append(effect)

    # --- the gate ---

    def _gate(self) -> None:
        for one in [one for one in self.waiting if one.at <= self.now]:
            self.waiting.remove(one)
            verdict = self.judged(one)
            if verdict.outcome == "deferred" and verdict.not_before is not None and verdict.not_before > self.now:
                one.at = verdict.not_before
                self.waiting.append(one)
                until = verdict.not_before.isoformat()
                text = both(f"{one.send.template} put off", f"{one.send.template} rimandato")
                self._tell("deferred", text, one.passage, one.send.step_id, {"code": verdict.code, "until": until})
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
        text = both(f"{send.template} sent", f"{send.template} inviato")
        if outcome == "refused":
            text = both(f"{send.template} refused: {verdict.code}", f"{send.template} rifiutato: {verdict.code}")
        self._tell(outcome, text, one.passage, send.step_id, {"code": verdict.code, "rule": verdict.rule})

    # --- what is known ---

    def facts_of(self, passage: Inside) -> Facts:
        """What a passage sees now. Replays of recorded history lay over it what was known then."""
        booking = self.bookings.get(passage.reference) if passage.reference else None
        key = passage.key
        enrollment = {"key": key, "entered_at": passage.entered_at, "fields": passage.state.fields}
        return {
            "now": self.now,
            "contact": self.contact,
            "booking": booking,
            "property": self.scene.property,
            "event": passage.event,
            "enrollment": enrollment,
            "consent": self.consents,
            "engagement": {"tracked": self.scene.tracked, "clicked": self.clicked},
            "past_events": [(e.type, e.occurred_at, e.data) for e, of in self.log if of == passage.reference],
            "contact_events": [(e.type, e.occurred_at, e.data) for e, _ in self.log],
        }

    def _tell(
        self,
        code: str,
        sentence: Sentence,
        passage: Inside | None = None,
        step_id: str = "",
        inputs: Mapping[str, Any] | None = None,
        key: str | None = None,
    ) -> None:
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
                one.key, one.state.status, one.state.reason, one.entered_at, one.ended_at, one.state.step_id, one.goal
            )
            for one in self.inside
        ]
        return Outcome(
            (*self.messages, *unsent), tuple(walked), tuple(self.refused_entries), tuple(self.tasks), tuple(self.trace)
        )


_NOBODY = State("active", "", datetime.min.replace(tzinfo=UTC), datetime.min.replace(tzinfo=UTC))


def _line(decision: Decision, key: str) -> Line:
    return Line(decision.at, decision.code, decision.sentence, key, decision.step_id, decision.inputs)
