"""Steps: names, ways through, conditions, weights and rounds."""

from __future__ import annotations

import re
from collections.abc import Sequence

from app.journey.checking import timing
from app.journey.checking.ground import Ground, ends, every, leaves
from app.journey.condition_tree import Condition, rests_on_engagement
from app.journey.consents import ANSWERED_WITHIN
from app.journey.durations import longer
from app.journey.known import CALENDAR, CUSTOM, TemplateInfo
from app.journey.model_steps import (
    Branch,
    BranchCase,
    Consent,
    Emit,
    Exit,
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
    Webhook,
    lanes_of,
)
from app.journey.nearest import nearest
from app.journey.places import Path
from app.journey.program import MOST_STEPS

_OURS = ("booking", "order", "consent", "message", "segment", "workflow", "date", "schedule", "contact", "task")
"""Roots of events that change what we know, or that only we write: no step may make them up."""

_WRITABLE = re.compile(r"(contact\.attributes|enrollment\.fields)\.[\w-]+$|contact\.language$")


class Sent:
    """A send with the conditions on the way to it, and how often a passage comes there at most."""

    __slots__ = ("above", "path", "step", "times")

    def __init__(self, path: Path, step: Send, above: tuple[Condition, ...], times: int) -> None:
        self.path, self.step, self.above, self.times = path, step, above, times


class StepChecks:
    """Walks the steps of one workflow."""

    def __init__(self, ground: Ground) -> None:
        self.ground = ground
        self.ids: dict[str, Path] = {}
        self.sends: list[Sent] = []

    def all(self, above: tuple[Condition, ...]) -> list[Sent]:
        """Every check of every step; gives the sends. `above` are the conditions at the door."""
        steps = self.ground.workflow.steps
        self._sequence(("steps",), steps, above, 1)
        most = _most(steps)
        if most > MOST_STEPS:
            message = f"a passage might take {most} steps, more than {MOST_STEPS}"
            self.ground.add(("steps",), "endless", message, "lower max: of the repeats, or take one out of the other")
        return self.sends

    def _sequence(self, path: Path, steps: Sequence[Step], above: tuple[Condition, ...], times: int) -> None:
        add = self.ground.add
        for number, step in enumerate(steps):
            here = (*path, number)
            if step.id in self.ids:
                add((*here, "id"), "double-id", f"the id {step.id} is taken already", "every step has its own id")
            self.ids.setdefault(step.id, here)
            if number and leaves(steps[number - 1]):
                message = f"nobody comes here: every way before {step.id} leaves the workflow"
                add(here, "unreachable", message, "remove it, or the exit before it")
            conditions = self._step(here, step, above, times, last=number == len(steps) - 1)
            if any(isinstance(one, Exit) for _, lane in lanes_of(step) for one in every(lane)):
                # Who comes behind this step has met, or not met, what it asked.
                above = (*above, *conditions)

    def _step(self, path: Path, step: Step, above: tuple[Condition, ...], times: int, *, last: bool) -> list[Condition]:
        """One step and those inside it; gives the conditions that its ways hang on."""
        ground = self.ground
        match step:
            case Send():
                self._send(path, step, above, times)
            case Wait():
                timing.wait(ground, (*path, "wait"), step.wait, last=last)
            case WaitFor():
                return self._wait_for(path, step, above, times)
            case Branch():
                return self._branch(path, step, above, times)
            case Split():
                self._split(path, step, above, times)
            case Repeat():
                return self._repeat(path, step, above, times)
            case Start():
                self._start(path, step, above, times)
            case Consent():
                self._consent(path, step, above, times)
            case Set():
                self._set(path, step)
            case Emit():
                self._emit(path, step)
            case Webhook():
                self._webhook((*path, "webhook"), step)
            case Stop():
                self._other((*path, "stop"), step.stop.workflow, "a passage ends itself with exit:")
            case Task():
                ground.forward((*path, "task", "due_within"), step.task.due_within, "the time for a task")
            case _:
                pass
        return []

    def _webhook(self, path: Path, step: Webhook) -> None:
        ground, name = self.ground, step.webhook.endpoint
        ground.named((*path, "endpoint"), "endpoint", name, ground.known.endpoints)
        ground.copies((*path, "data"), step.webhook.data)
        if name in ground.known.sharing and not step.webhook.shares:
            message = f"{name} uses what it is told for purposes of its own, and not everybody has agreed to that"
            ground.add((*path, "endpoint"), "sharing", message, "add shares: true to the step: who has not is left out")

    # --- sends ---

    def _send(self, path: Path, step: Send, above: tuple[Condition, ...], times: int) -> None:
        ground = self.ground
        self.sends.append(Sent(path, step, above, times))
        class_ = step.class_ or ground.workflow.class_
        if class_ == "marketing" and step.topic is None:
            ground.add(path, "no-topic", f"{step.id} is marketing and names no topic", "add topic: what one can leave")
        ground.named((*path, "topic"), "topic", step.topic, ground.known.topics)
        ground.named((*path, "sender"), "sender", step.sender, ground.known.senders)
        if step.sender is not None and "email" not in step.channels:
            message = f"{step.id} goes out as no mail, and only mails have a sender"
            ground.add((*path, "sender"), "no-mail", message, "add email to channels:, or remove sender", on_key=True)
        if step.latest is not None:
            timing.moment(ground, (*path, "latest"), step.latest)
        ground.forward((*path, "skip_if_sent_within"), step.skip_if_sent_within, "a time")
        if ground.workflow.holdout and class_ == "transactional":
            message = f"{step.id} is service mail, which is never held out (R62)"
            ground.add(path, "holdout", message, "move it to a workflow without holdout:, or take holdout: away")
        self._attached(path, step, ground.template((*path, "send"), step.send, class_, step.topic))
        if step.updated is None:
            return
        here: Path = (*path, "updated")
        ground.template((*here, "send"), step.updated.send, class_, step.topic)
        for number, field in enumerate(step.updated.when or ()):
            ground.path((*here, "when", number), field, ground.entered_by, None)
        if step.updated.latest is not None:
            timing.moment(ground, (*here, "latest"), step.updated.latest)

    def _attached(self, path: Path, step: Send, template: TemplateInfo | None) -> None:
        """Files that the template has; the stay only where every way in brings one."""
        ground = self.ground
        for number, name in enumerate(step.attachments):
            here: Path = (*path, "attachments", number)
            if name in step.attachments[:number]:
                ground.add(here, "double", f"{name} is attached twice", "remove one of them")
            elif name == CALENDAR:
                for shape in ground.entered_by:
                    if shape.carries is not None and "booking" not in shape.carries:
                        message = f"calendar is a booking's, which {shape.name} does not bring"
                        ground.add(here, "missing-field", message, "remove calendar, or the way in")
            elif template is not None and name not in template.files:
                message = f"the template {template.name} was published without a file {name}"
                near = nearest(name, (*template.files, CALENDAR))
                put = f"put it into email_templates/{template.name}/files/ and publish the template"
                ground.add(here, "unknown-file", message, f"did you mean {near}?" if near else put)

    # --- ways ---

    def _wait_for(self, path: Path, step: WaitFor, above: tuple[Condition, ...], times: int) -> list[Condition]:
        ground, awaited, here = self.ground, step.wait_for, (*path, "wait_for")
        shapes = [shape for n, name in enumerate(awaited.on or []) for shape in ground.event((*here, "on", n), name)]
        condition = ground.condition((*here, "if"), awaited.if_, shapes)
        if awaited.on is None and awaited.if_ is None:
            ground.add(here, "empty-wait", "it is not said what to wait for", "add on: <event> or if: <condition>")
        if awaited.up_to is None:
            ground.add(here, "endless", "this wait might never end", "add up_to: 2 days")
        else:
            timing.moment(ground, (*here, "up_to"), awaited.up_to)
        if awaited.since not in ("entry", "step") and awaited.since not in self.ids:
            message = f"since names {awaited.since}, and no step of that id comes before"
            ground.add((*here, "since"), "unknown-step", message, "entry, step, or the id of an earlier step")
        ground.unknown(here, condition, step.unknown is not None, f"unknown: to {step.id}")
        for lane, steps in lanes_of(step):
            self._sequence((*path, *lane), steps, (*above, condition), times)
        return [condition]

    def _branch(self, path: Path, step: Branch, above: tuple[Condition, ...], times: int) -> list[Condition]:
        ground = self.ground
        conditions: list[Condition] = []
        seen: list[str] = []
        for number, case in enumerate(step.branch):
            here: Path = (*path, "branch", number)
            kind = self._case(here, case)
            if kind != "if" and kind in seen:
                ground.add(here, "branch", f"a branch has one {kind} at most", "remove one of them")
            if kind == "if" and ("else" in seen or "unknown" in seen):
                ground.add(here, "unreachable", "nobody comes here: else stands before it", "put else and unknown last")
            seen.append(kind)
            condition = ground.condition((*here, "if"), case.if_, ground.entered_by)
            if kind == "if" and not case.if_:
                ground.add(here, "branch", "a condition is missing", "write if: with a condition, or else: true")
            conditions.append(condition)
            self._sequence((*here, "steps"), case.steps, (*above, *conditions), times)
        if "if" not in seen:
            ground.add((*path, "branch"), "branch", "a branch needs a way with if", "add - if: <condition>")
        for condition in conditions:
            if rests_on_engagement(condition):
                ground.unknown((*path, "branch"), condition, "unknown" in seen, "- unknown: true")
                break
        return conditions

    def _case(self, path: Path, case: BranchCase) -> str:
        kinds = [("if", case.if_ is not None), ("else", case.else_ is not None), ("unknown", case.unknown is not None)]
        found = [kind for kind, there in kinds if there]
        if len(found) != 1:
            self.ground.add(path, "branch", "a way is one of if, else: true, unknown: true", "keep one of them")
        return found[0] if found else "if"

    def _split(self, path: Path, step: Split, above: tuple[Condition, ...], times: int) -> None:
        ground, here = self.ground, (*path, "split")
        total = sum(case.weight for case in step.split)
        if total != 100:
            ground.add(here, "weights", f"the weights make {total}, not 100", _to_hundred(step))
        names: set[str] = set()
        for number, case in enumerate(step.split):
            if case.variant in names:
                message = f"two variants are called {case.variant}"
                ground.add((*here, number, "variant"), "double-variant", message, "every variant has its own name")
            names.add(case.variant)
            self._sequence((*here, number, "steps"), case.steps, above, times)
        self._winner((*path, "winner"), step)

    def _winner(self, path: Path, step: Split) -> None:
        ground, rule = self.ground, step.winner
        if rule is None:
            return
        ground.forward((*path, "after"), rule.after, "the time before a decision")
        if rule.by == "goal" and ground.workflow.goal is None:
            message = "the winner is found by the goal, and the workflow has none"
            ground.add((*path, "by"), "no-goal", message, "add goal: { on: <event> }")
        if rule.by == "click" and ground.workflow.tracking is False:
            message = "the winner is found by clicks, and tracking: false follows none"
            ground.add((*path, "by"), "never-known", message, "write by: goal, or take tracking: false away")
        sends = [{one.id for one in every(case.steps) if isinstance(one, Send)} for case in step.split]
        if rule.by == "click" and rule.of is None and not all(sends):
            message = "a variant without a message can win no clicks"
            ground.add((*path, "by"), "no-send", message, "write by: goal, or add a send to every variant")
        if rule.of is not None and rule.of not in ground.sending:
            message = f"winner names the step {rule.of}, which does not exist or sends nothing"
            ground.named((*path, "of"), "step", rule.of, ground.sending)
            if not ground.sending:
                ground.add((*path, "of"), "unknown-step", message)

    def _repeat(self, path: Path, step: Repeat, above: tuple[Condition, ...], times: int) -> list[Condition]:
        ground, rounds, here = self.ground, step.repeat, (*path, "repeat")
        ground.forward((*here, "every"), rounds.every, "the time between two rounds")
        condition = ground.condition((*here, "until"), rounds.until, ground.entered_by)
        ground.unknown(here, condition, rounds.unknown is not None, "unknown: go_on or stop")
        if rounds.unknown is not None and not rests_on_engagement(condition):
            message = "unknown has no meaning where nothing asks for clicks"
            ground.add((*here, "unknown"), "repeat", message, "remove unknown", on_key=True)
        inner = list(every(rounds.steps))
        if ends(rounds.steps):
            message = "nobody comes to a second round: every way through the first leaves the workflow"
            ground.add((*here, "steps"), "unreachable", message, "remove the exit, or the repeat")
        elif rounds.max > 1 and rounds.every is None and not any(isinstance(one, Wait | WaitFor) for one in inner):
            message = "all rounds would come at once"
            ground.add(here, "burst", message, "add every: 3 days, or a wait to the steps")
        self._sequence((*here, "steps"), rounds.steps, (*above, condition), times * rounds.max)
        return []

    # --- beyond this workflow ---

    def _start(self, path: Path, step: Start, above: tuple[Condition, ...], times: int) -> None:
        ground, body, here = self.ground, step.start, (*path, "start")
        self._other(here, body.workflow, "a workflow cannot start itself; write repeat: or reenter:")
        ground.copies((*here, "data"), body.data)
        if body.await_ and body.up_to is None:
            ground.add(here, "endless", "this wait might never end", "add up_to: 30 days")
        if not body.await_:
            for key, there in (("up_to", body.up_to is not None),):
                if there:
                    message = f"{key} has no meaning where the end is not awaited"
                    ground.add((*here, key), "start", message, "add await: true", on_key=True)
            for key, steps in (("then", step.then), ("timeout", step.timeout)):
                if steps:
                    message = f"{key} has no meaning where the end is not awaited"
                    ground.add((*path, key), "start", message, "add await: true to start", on_key=True)
        if body.up_to is not None:
            timing.moment(ground, (*here, "up_to"), body.up_to)
        for lane, steps in lanes_of(step):
            self._sequence((*path, *lane), steps, above, times)

    def _consent(self, path: Path, step: Consent, above: tuple[Condition, ...], times: int) -> None:
        ground, body, here = self.ground, step.consent, (*path, "consent")
        ground.named((*here, "topic"), "topic", body.topic, ground.known.topics)
        ground.template((*here, "template"), body.template, "consent_request", None)
        if body.up_to is not None:
            timing.moment(ground, (*here, "up_to"), body.up_to)
            if body.up_to.for_ is not None and longer(body.up_to.for_, ANSWERED_WITHIN):
                message = "the button of a confirmation works for 7 days (R6)"
                ground.add((*here, "up_to"), "too-long", message, "write up_to: 7 days, or less")
        for lane, steps in lanes_of(step):
            self._sequence((*path, *lane), steps, above, times)

    def _other(self, path: Path, name: str, itself: str) -> None:
        if name == self.ground.workflow.workflow:
            self.ground.add((*path, "workflow"), "itself", f"{name} is this workflow", itself)
        else:
            self.ground.named((*path, "workflow"), "workflow", name, self.ground.known.workflows)

    def _emit(self, path: Path, step: Emit) -> None:
        ground, type_ = self.ground, step.emit.type
        here: Path = (*path, "emit", "type")
        if type_.split(".")[0] in _OURS:
            message = f"{type_} changes what is known of somebody, or only we write it"
            ground.add(here, "reserved", message, f"report an event of your own, such as {CUSTOM}{step.id}")
        else:
            ground.event(here, type_)
        ground.copies((*path, "emit", "data"), step.emit.data)

    def _set(self, path: Path, step: Set) -> None:
        ground = self.ground
        if not step.set and not step.add_tags and not step.remove_tags:
            ground.add((*path, "set"), "empty", "nothing is written", "for example contact.attributes.vip: true")
        for field in step.set:
            if not _WRITABLE.match(field) or field in ground.known.barred:
                message = f"{field} cannot be written by a workflow"
                cure_ = "write contact.attributes.<name>, enrollment.fields.<name> or contact.language"
                ground.add((*path, "set", field), "read-only", message, cure_, on_key=True)
        ground.copies((*path, "set"), step.set)


def _most(steps: Sequence[Step]) -> int:
    """How many steps a passage takes at most, as `Program.longest` counts them."""
    total = 0
    for step in steps:
        inner = sum(_most(lane) for _, lane in lanes_of(step))
        total += 1 + (step.repeat.max * (inner + 1) if isinstance(step, Repeat) else inner)
    return total


def _to_hundred(step: Split) -> str:
    """Weights that make 100, the nearest to those written."""
    weights = [case.weight for case in step.split]
    total = sum(weights)
    shares = [weight * 100 // total for weight in weights] if total else [100 // len(weights)] * len(weights)
    shares[-1] += 100 - sum(shares)
    return "write " + ", ".join(str(share) for share in shares)
