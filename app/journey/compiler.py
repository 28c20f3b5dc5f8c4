"""A checked model becomes a flat program. Purely mechanical: what could be wrong was said by `checks`."""

from __future__ import annotations

from collections.abc import Sequence

from app.journey.checks import shape_of
from app.journey.condition_source import read as read_condition
from app.journey.durations import NO_TIME
from app.journey.model import (
    Branch,
    BranchCase,
    Exit,
    Moment,
    Send,
    Set,
    Step,
    Task,
    Wait,
    WaitFor,
    Waiting,
    Workflow,
    read_clock,
)
from app.journey.program import (
    BranchOp,
    Case,
    Clock,
    Dated,
    EndOp,
    EntryRule,
    ExitOp,
    ExitRule,
    For,
    Goal,
    Lane,
    LaneKind,
    Latest,
    Node,
    Op,
    Program,
    Reenter,
    SendOp,
    SetOp,
    TaskOp,
    Until,
    WaitForOp,
    WaitOp,
    Window,
    loose_ends,
)

_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


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
        entry=tuple(EntryRule(rule.on, read_condition(rule.if_), rule.max_age, rule.topic) for rule in workflow.entry),
        key=workflow.key,
        reenter=Reenter(reenter.allowed, reenter.after, reenter.max, reenter.of),
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
    )
    loose = loose_ends(program)
    if loose:
        raise ProgramError(f"{workflow.workflow}: " + "; ".join(loose))
    return program


def _size(step: Step) -> int:
    return 1 + sum(_size(inner) for lane in _lanes(step) for inner in lane)


def _lanes(step: Step) -> list[Sequence[Step]]:
    if isinstance(step, Branch):
        return [case.steps for case in step.branch]
    if isinstance(step, WaitFor):
        return [step.then, step.timeout, step.unknown or []]
    return []


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
                self.ops[place] = SetOp(
                    step.id, following, dict(step.set), tuple(step.add_tags), tuple(step.remove_tags)
                )
            case Task():
                self.ops[place] = TaskOp(step.id, following, step.task.to, dict(step.task.text), step.task.due_within)
            case Exit():
                self.ops[place] = ExitOp(step.id, step.exit, step.outcome)
            case Branch():
                return self._branch(step, place, following)
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
        )

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
        at = place + 1
        goto: dict[str, int] = {}
        lanes: list[Lane] = []
        ways: tuple[tuple[LaneKind, Sequence[Step] | None], ...] = (
            ("then", step.then),
            ("timeout", step.timeout),
            ("unknown", step.unknown),
        )
        for number, (kind, steps) in enumerate(ways):
            inner = steps or []
            goto[kind] = at if inner else following
            if steps is not None:
                lanes.append(Lane(kind, self.sequence(inner, at, following), number))
            at += sum(_size(one) for one in inner)
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
        return Node(place, tuple(lanes))

    def _until(self, wait: Waiting) -> Until:
        zone = wait.zone or self.zone
        weekdays = tuple(sorted(_WEEKDAYS.index(day) for day in wait.weekdays or ()))
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
                days = tuple(sorted({_WEEKDAYS.index(until), *weekdays}))
                return Clock(wait.at or read_clock("00:00"), days, zone)
            case _:
                return self._moment(wait)

    def _moment(self, moment: Moment) -> Latest:
        zone = moment.zone or self.zone
        if moment.for_ is not None:
            return For(moment.for_, zone)
        return Dated(moment.until or "", moment.offset or NO_TIME, moment.at, zone)


def _kind(case: BranchCase) -> LaneKind:
    if case.else_:
        return "else"
    return "unknown" if case.unknown else "case"
