"""A checked model becomes a flat program. Purely mechanical: what could be wrong was said by `checks`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import time
from typing import Any

from app.journey.condition_source import read as read_condition
from app.journey.consents import ANSWERED_WITHIN
from app.journey.durations import NO_TIME
from app.journey.model import Caps, Entry, Limits, QuietHours, Workflow
from app.journey.model_steps import (
    Branch,
    BranchCase,
    Consent,
    Emit,
    Exit,
    Moment,
    Renewed,
    Repeat,
    Send,
    Set,
    Split,
    Start,
    Step,
    Stop,
    Task,
    Wait,
    WaitFor,
    Waiting,
    Webhook,
    lanes_of,
)
from app.journey.model_types import From, Value, read_clock
from app.journey.moments import WEEKDAYS, shape_of
from app.journey.ops import (
    WATCHED,
    BranchOp,
    Case,
    Clock,
    ConsentOp,
    Dated,
    EmitOp,
    EndOp,
    ExitOp,
    For,
    Latest,
    Op,
    RepeatOp,
    SendOp,
    SetOp,
    SplitOp,
    StartOp,
    StopOp,
    TaskOp,
    Until,
    Updated,
    Variant,
    WaitForOp,
    WaitOp,
    WebhookOp,
    Window,
    Winner,
)
from app.journey.program import EntryRule, ExitRule, Goal, Lane, LaneKind, Node, Program, Reenter, loose_ends
from app.journey.program import Limits as ProgramLimits

_HANDS: Mapping[str, tuple[str, ...]] = {"manual": ("manual",), "api": ("api", "workflow")}
"""Who may start a passage through an entry `on: manual` or `on: api`, as `workflow.started` says it."""


class ProgramError(ValueError):
    """A program that might never end, or holds steps that nobody reaches."""


def compile_program(workflow: Workflow) -> Program:
    """The program of a checked workflow; raises ProgramError where a way is endless or a step unreachable."""
    writer = _Writer(workflow)
    end = sum(_size(step) for step in workflow.steps)
    outline = writer.sequence(workflow.steps, 0, end)
    reenter, goal = workflow.reenter, workflow.goal
    program = Program(
        workflow=workflow.workflow,
        name=dict(workflow.name),
        phase=workflow.phase,
        class_=workflow.class_,
        ops=(*(writer.ops[place] for place in range(end)), EndOp()),
        entry=tuple(_entry(rule, number, workflow) for number, rule in enumerate(workflow.entry)),
        key=workflow.key,
        reenter=Reenter(reenter.allowed, reenter.after, reenter.max, reenter.of, reenter.resume),
        while_active=workflow.while_active,
        follow=workflow.follow,
        exits=tuple(
            ExitRule(
                reason=rule.reason or rule.on or "condition",
                on=rule.on,
                condition=read_condition(rule.if_),
                outcome=rule.outcome,
                scope=rule.of,
                topic=rule.topic,
            )
            for rule in workflow.exit
        ),
        goal=Goal(goal.on, read_condition(goal.if_), goal.within, goal.value, goal.of) if goal else None,
        priority=workflow.priority,
        zone=workflow.zone or "property",
        languages=tuple(workflow.languages),
        outline=outline,
        holdout=workflow.holdout,
        caps=_terms(workflow.caps),
        quiet_hours=_terms(workflow.quiet_hours),
        tracking=workflow.tracking,
        limits=_limits(workflow.limits),
    )
    loose = loose_ends(program)
    if loose:
        raise ProgramError(f"{workflow.workflow}: " + "; ".join(loose))
    return program


def _entry(rule: Entry, number: int, workflow: Workflow) -> EntryRule:
    """One way in as the event that opens it: our own events carry what the rule asks for."""
    condition, zone = read_condition(rule.if_), rule.zone or workflow.zone or "property"
    match rule.on:
        case "date":
            moment = Dated(rule.ref or "", rule.offset or NO_TIME, rule.at, zone)
            return EntryRule("date.reached", condition, rule.max_age, date=moment, recur=rule.recur, number=number)
        case "schedule":
            return EntryRule(
                "schedule.fired",
                condition,
                rule.max_age,
                segment=rule.segment,
                rrule=rule.rrule,
                at=rule.at,
                starts=rule.starts,
                zone=zone,
                number=number,
            )
        case "manual" | "api":
            return EntryRule("workflow.started", condition, rule.max_age, by=_HANDS[rule.on])
        case _:
            return EntryRule(rule.on, condition, rule.max_age, rule.topic, rule.segment)


def _terms(block: Caps | QuietHours | None) -> Mapping[str, Any] | None:
    """A block as plain JSON values, as it was written; None where it says nothing."""
    if block is None:
        return None
    written = block.model_dump(by_alias=True, exclude_none=True)
    return {key: value.strftime("%H:%M") if isinstance(value, time) else value for key, value in written.items()}


def _limits(limits: Limits | None) -> ProgramLimits:
    if limits is None:
        return ProgramLimits()
    return ProgramLimits(limits.max_steps, limits.max_duration, limits.max_entries)


def _size(step: Step) -> int:
    return 1 + sum(_size(inner) for _, lane in lanes_of(step) for inner in lane)


def _parted(values: Mapping[str, Value]) -> tuple[dict[str, Any], dict[str, str]]:
    """What stands there as it is, and what is read from a path."""
    plain = {name: value for name, value in values.items() if not isinstance(value, From)}
    return plain, {name: value.from_ for name, value in values.items() if isinstance(value, From)}


class _Writer:
    """Lays steps down one behind the other; every step knows its place before it is written."""

    def __init__(self, workflow: Workflow) -> None:
        self.workflow = workflow
        self.zone = workflow.zone or "property"
        self.ops: dict[int, Op] = {}

    def sequence(self, steps: Sequence[Step], start: int, join: int) -> tuple[Node, ...]:
        """Steps from `start` on, the last of which leads to `join`."""
        starts = [start]
        for step in steps:
            starts.append(starts[-1] + _size(step))
        nodes = []
        for number, step in enumerate(steps):
            following = starts[number + 1] if number + 1 < len(steps) else join
            after_next = starts[number + 2] if number + 2 < len(steps) else join
            nodes.append(self._step(step, starts[number], following, after_next, join))
        return tuple(nodes)

    def _step(self, step: Step, place: int, following: int, after_next: int, join: int) -> Node:
        match step:
            case Send():
                self.ops[place] = self._send(step, following)
            case Wait():
                until = self._until(step.wait)
                late, missing = step.wait.late or "go_on", step.wait.missing or "exit"
                self.ops[place] = WaitOp(step.id, until, following, after_next, join, late, missing)
            case Set():
                plain, copies = _parted(step.set)
                tags = tuple(step.add_tags), tuple(step.remove_tags)
                self.ops[place] = SetOp(step.id, following, plain, *tags, copies=copies)
            case Emit():
                self.ops[place] = EmitOp(step.id, following, step.emit.type, *_parted(step.emit.data))
            case Webhook():
                said, copies = _parted(step.webhook.data)
                shares = step.webhook.shares
                self.ops[place] = WebhookOp(step.id, following, step.webhook.endpoint, said, copies, shares)
            case Stop():
                self.ops[place] = StopOp(step.id, following, step.stop.workflow, step.stop.reason, step.stop.of)
            case Task():
                self.ops[place] = TaskOp(step.id, following, step.task.to, dict(step.task.text), step.task.due_within)
            case Exit():
                self.ops[place] = ExitOp(step.id, step.exit, step.outcome)
            case Branch():
                return self._branch(step, place, following)
            case Split():
                return self._split(step, place, following)
            case Repeat():
                return self._repeat(step, place, following)
            case Start():
                return self._start(step, place, following)
            case Consent():
                return self._consent(step, place, following)
            case WaitFor():
                return self._wait_for(step, place, following)
        return Node(place)

    def _send(self, step: Send, following: int) -> SendOp:
        return SendOp(
            id=step.id,
            template=step.send,
            next=following,
            class_=step.class_ or self.workflow.class_,
            topic=step.topic,
            channels=tuple(step.channels),
            sender=step.sender,
            latest=self._moment(step.latest) if step.latest else None,
            skip_if_sent_within=step.skip_if_sent_within,
            attachments=tuple(step.attachments),
            priority=self.workflow.priority if step.priority is None else step.priority,
            updated=self._updated(step.updated) if step.updated else None,
        )

    def _updated(self, renewed: Renewed) -> Updated:
        latest = self._moment(renewed.latest) if renewed.latest else None
        return Updated(renewed.send, tuple(renewed.when or WATCHED), latest)

    def _split(self, step: Split, place: int, following: int) -> Node:
        at = place + 1
        variants: list[Variant] = []
        lanes: list[Lane] = []
        for number, case in enumerate(step.split):
            variants.append(Variant(case.variant, case.weight, at if case.steps else following))
            lanes.append(Lane("variant", self.sequence(case.steps, at, following), number))
            at += sum(_size(inner) for inner in case.steps)
        rule = step.winner
        winner = Winner(rule.by, rule.of, rule.after, rule.min_sample, rule.confidence) if rule else None
        self.ops[place] = SplitOp(step.id, tuple(variants), winner)
        return Node(place, tuple(lanes))

    def _repeat(self, step: Repeat, place: int, following: int) -> Node:
        rounds = step.repeat
        self.ops[place] = RepeatOp(
            id=step.id,
            body=place + 1,
            end=place + _size(step),
            next=following,
            max=rounds.max,
            every=rounds.every,
            until=read_condition(rounds.until) if rounds.until is not None else None,
            zone=self.zone,
            unknown=rounds.unknown or "go_on",
        )
        # The last step of a round leads back to the repeat, which alone knows how many rounds there were.
        return Node(place, (Lane("round", self.sequence(rounds.steps, place + 1, place)),))

    def _start(self, step: Start, place: int, following: int) -> Node:
        body = step.start
        goto, lanes = self._ways((("then", step.then), ("timeout", step.timeout)), place, following)
        up_to = self._moment(body.up_to) if body.up_to else None
        data = _parted(body.data)
        self.ops[place] = StartOp(step.id, goto["then"], body.workflow, body.await_, up_to, goto["timeout"], *data)
        return Node(place, lanes if body.await_ else ())

    def _consent(self, step: Consent, place: int, following: int) -> Node:
        body = step.consent
        goto, lanes = self._ways((("then", step.then), ("timeout", step.timeout)), place, following)
        up_to = self._moment(body.up_to) if body.up_to else For(ANSWERED_WITHIN, self.zone)
        self.ops[place] = ConsentOp(step.id, goto["then"], goto["timeout"], body.topic, body.template, up_to)
        return Node(place, lanes)

    def _ways(
        self, ways: Sequence[tuple[LaneKind, Sequence[Step] | None]], place: int, following: int
    ) -> tuple[dict[LaneKind, int], tuple[Lane, ...]]:
        """Where each way of a step begins, one laid down behind the other, and the lanes of those that are written."""
        at = place + 1
        goto: dict[LaneKind, int] = {}
        lanes: list[Lane] = []
        for number, (kind, steps) in enumerate(ways):
            inner = steps or []
            goto[kind] = at if inner else following
            if steps is not None:
                lanes.append(Lane(kind, self.sequence(inner, at, following), number))
            at += sum(_size(one) for one in inner)
        return goto, tuple(lanes)

    def _branch(self, step: Branch, place: int, following: int) -> Node:
        at = place + 1
        cases: list[Case] = []
        lanes: list[Lane] = []
        others = {"else": following, "unknown": following}
        for number, case in enumerate(step.branch):
            goto = at if case.steps else following
            nodes = self.sequence(case.steps, at, following)
            kind = _kind(case)
            if kind == "case":
                cases.append(Case(read_condition(case.if_), goto))
            else:
                others[kind] = goto
            lanes.append(Lane(kind, nodes, number))
            at += sum(_size(inner) for inner in case.steps)
        if not any(case.unknown for case in step.branch):
            others["unknown"] = others["else"]
        self.ops[place] = BranchOp(step.id, tuple(cases), others["else"], others["unknown"])
        return Node(place, tuple(lanes))

    def _wait_for(self, step: WaitFor, place: int, following: int) -> Node:
        ways: tuple[tuple[LaneKind, Sequence[Step] | None], ...] = (
            ("then", step.then),
            ("timeout", step.timeout),
            ("unknown", step.unknown),
        )
        goto, lanes = self._ways(ways, place, following)
        awaited = step.wait_for
        self.ops[place] = WaitForOp(
            id=step.id,
            then=goto["then"],
            timeout=goto["timeout"],
            unknown=goto["unknown"] if step.unknown is not None else goto["timeout"],
            on=tuple(awaited.on or ()),
            condition=read_condition(awaited.if_),
            up_to=self._moment(awaited.up_to) if awaited.up_to else None,
            since=awaited.since,
            scope=awaited.of,
        )
        return Node(place, lanes)

    def _until(self, wait: Waiting) -> Until:
        zone = wait.zone or self.zone
        weekdays = tuple(sorted(WEEKDAYS.index(day) for day in wait.weekdays or ()))
        until = wait.until
        if until is None:
            return self._moment(wait)
        match shape_of(until):
            case "clock":
                return Clock(read_clock(until), weekdays, zone)
            case "window":
                start, end = (read_clock(part.strip()) for part in until.split("-"))
                return Window(start, end, weekdays, zone)
            case "weekday":
                days = tuple(sorted({WEEKDAYS.index(until), *weekdays}))
                return Clock(wait.at or read_clock("00:00"), days, zone)
            case _:
                return self._moment(wait)

    def _moment(self, moment: Moment) -> Latest:
        zone = moment.zone or self.zone
        if moment.for_ is not None:
            return For(moment.for_, zone, at=moment.at)
        return Dated(moment.until or "", moment.offset or NO_TIME, moment.at, zone)


def _kind(case: BranchCase) -> LaneKind:
    if case.else_:
        return "else"
    return "unknown" if case.unknown else "case"
