"""What a workflow means, checked before anyone enters it: names, types, dates, ways through, and rules R40 to R43."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from app.journey.condition_checks import ConditionProblem, names, type_of
from app.journey.condition_checks import check as check_condition
from app.journey.condition_source import walk
from app.journey.condition_tree import Condition, fields, rests_on_engagement
from app.journey.durations import Duration
from app.journey.facts import known_zone
from app.journey.known import EventShape, FieldType, Known, TemplateInfo
from app.journey.model import Workflow
from app.journey.model_steps import Awaited, Branch, BranchCase, Exit, Moment, Send, Set, Step, Wait, WaitFor, Waiting
from app.journey.moments import shape_of
from app.journey.nearest import cure
from app.journey.places import Path, Places, Problem

BY_HAND = ("manual", "api")
"""Ways in that are no events: someone, or a program, puts a person in."""

_LATER_EVENTS = ("segment.entered", "segment.left", "date", "schedule")
_SCORE = re.compile(r"(^|[._])(score|rating|stars|nps|csat|sentiment|satisfaction|complaints?|residue)([._]|$)")
_REVIEW_DAYS = 25


def check(workflow: Workflow, known: Known, places: Places) -> list[Problem]:
    """Everything wrong with the meaning of a workflow whose shape is right."""
    checker = _Checker(workflow, known, places)
    checker.whole()
    return checker.problems


def ends(steps: Sequence[Step]) -> bool:
    """Whether nobody gets behind these steps: every way through them leaves the workflow."""
    return any(_leaves(step) for step in steps)


def _leaves(step: Step) -> bool:
    if isinstance(step, Exit):
        return True
    if isinstance(step, Branch):
        return any(case.else_ for case in step.branch) and all(ends(case.steps) for case in step.branch)
    if isinstance(step, WaitFor):
        ways = [step.then, step.timeout, *([step.unknown] if step.unknown is not None else [])]
        return all(ends(way) for way in ways)
    return False


class _Checker:
    """Walks one workflow and collects problems."""

    def __init__(self, workflow: Workflow, known: Known, places: Places) -> None:
        self.workflow = workflow
        self.known = known
        self.places = places
        self.problems: list[Problem] = []
        self.ids: dict[str, Path] = {}
        self.sends: list[tuple[Path, Send, tuple[Condition, ...]]] = []
        self.entered_by = [known.events[rule.on] for rule in workflow.entry if rule.on in known.events]
        self.sending = [step.id for step in _every(workflow.steps) if isinstance(step, Send)]
        self.written = {path for step in _every(workflow.steps) if isinstance(step, Set) for path in step.set}

    def _add(self, path: Path, code: str, message: str, cure_: str = "", **where: Any) -> None:
        self.problems.append(self.places.problem(path, code, message, cure_, **where))

    # --- the workflow as a whole ---

    def whole(self) -> None:
        """All checks."""
        workflow = self.workflow
        entry_conditions: list[Condition] = []
        for number, rule in enumerate(workflow.entry):
            path: Path = ("entry", number)
            shapes = self._event((*path, "on"), rule.on, entry=True)
            entry_conditions.append(self._condition((*path, "if"), rule.if_, shapes))
            self._topic((*path, "topic"), rule.topic)
        if workflow.key is not None:
            self._path(("key",), workflow.key, self.entered_by, None)
        for number, out in enumerate(workflow.exit):
            path = ("exit", number)
            if out.on is None and out.if_ is None:
                self._add(path, "empty-exit", "an exit needs an event or a condition", "add on: or if:")
            shapes = self._event((*path, "on"), out.on) if out.on else []
            self._condition((*path, "if"), out.if_, shapes)
            self._topic((*path, "topic"), out.topic)
        if workflow.goal:
            shapes = self._event(("goal", "on"), workflow.goal.on)
            self._condition(("goal", "if"), workflow.goal.if_, shapes)
            if workflow.goal.value is not None:
                self._path(("goal", "value"), workflow.goal.value, shapes, ("money", "number"))
        self._zone(("zone",), workflow.zone)
        self._steps(("steps",), workflow.steps, tuple(entry_conditions))
        self._reviews()

    def _event(self, path: Path, name: str, *, entry: bool = False) -> list[EventShape]:
        shape = self.known.events.get(name)
        if shape is not None:
            return [shape]
        if entry and name in BY_HAND:
            return []
        if name in _LATER_EVENTS:
            self._add(path, "not-yet", f"{name} is not available yet", "use an event")
            return []
        self._add(path, "unknown-event", f"there is no event {name}", cure(name, self.known.events))
        return []

    def _topic(self, path: Path, topic: str | None) -> None:
        topics = self.known.topics
        if topic is not None and topics is not None and topic not in topics:
            self._add(path, "unknown-topic", f"there is no topic {topic}", cure(topic, topics))

    def _zone(self, path: Path, zone: str | None) -> None:
        if zone is not None and zone not in ("property", "contact") and not known_zone(zone):
            self._add(
                path, "unknown-zone", f"there is no zone {zone}", "property, contact, or a name such as Europe/Rome"
            )

    def _path(
        self, place: Path, path: str, events: Iterable[EventShape], types: tuple[FieldType, ...] | None
    ) -> FieldType | None:
        """The type of a path that a key, a wait or a goal names, told where it is none of the wanted ones."""
        shapes = list(events)
        kind = type_of(path, self.known, shapes)
        if kind is None:
            self._add(place, "unknown-field", f"there is no field {path}", cure(path, names(self.known, shapes)))
        elif types is not None and kind not in (*types, "any"):
            wanted = " or ".join({"date": "day"}.get(one, one) for one in types)
            candidates = [name for name in names(self.known, shapes) if type_of(name, self.known, shapes) in types]
            self._add(place, "wrong-type", f"{path} is a {kind}, not a {wanted}", cure(path, candidates))
        return kind

    def _condition(self, path: Path, source: Any, events: Iterable[EventShape]) -> Condition:
        condition, lines = walk(source, path)
        for line in lines:
            if line.error is not None:
                self._add(line.path, "condition", line.error.message, line.error.cure, part=line.error.column)
            elif line.condition is not None:
                for problem in check_condition(line.condition, self.known, events, self.sending):
                    self._tell(line.path, problem)
        return condition

    def _tell(self, path: Path, problem: ConditionProblem) -> None:
        self._add(path, problem.code, problem.message, problem.cure, part=problem.part or None)

    # --- steps ---

    def _steps(self, path: Path, steps: Sequence[Step], above: tuple[Condition, ...]) -> None:
        for number, step in enumerate(steps):
            here = (*path, number)
            if step.id in self.ids:
                self._add((*here, "id"), "double-id", f"the id {step.id} is taken already", "every step has its own id")
            self.ids.setdefault(step.id, here)
            if number and _leaves(steps[number - 1]):
                message = f"nobody comes here: every way before {step.id} leaves the workflow"
                self._add(here, "unreachable", message, "remove it, or the exit before it")
            match step:
                case Send():
                    self._send(here, step, above)
                case Wait():
                    self._wait((*here, "wait"), step.wait, last=number == len(steps) - 1)
                case WaitFor():
                    self._wait_for(here, step, above)
                case Branch():
                    self._branch(here, step, above)
                case Set():
                    self._set(here, step)
                case _:
                    pass

    def _send(self, path: Path, step: Send, above: tuple[Condition, ...]) -> None:
        self.sends.append((path, step, above))
        class_ = step.class_ or self.workflow.class_
        if class_ == "marketing" and step.topic is None:
            self._add(path, "no-topic", f"{step.id} is marketing and names no topic", "add topic: what one can leave")
        self._topic((*path, "topic"), step.topic)
        if step.latest is not None:
            self._moment((*path, "latest"), step.latest)
        templates = self.known.templates
        if templates is None:
            return
        template = templates.get(step.send)
        if template is None:
            self._add(
                (*path, "send"), "unknown-template", f"there is no template {step.send}", cure(step.send, templates)
            )
            return
        if template.class_ != class_:
            message = f"the template {template.name} is {template.class_}, the step sends it as {class_}"
            self._add((*path, "send"), "wrong-class", message, f"add class: {template.class_} to the step")
        if template.topic is not None and step.topic not in (None, template.topic):
            message = f"the template {template.name} belongs to the topic {template.topic}"
            self._add((*path, "topic"), "wrong-topic", message, f"write topic: {template.topic}")
        self._languages((*path, "send"), template)
        self._required((*path, "send"), template)

    def _languages(self, path: Path, template: TemplateInfo) -> None:
        lacking = [one for one in self.workflow.languages if template.languages and one not in template.languages]
        if lacking:
            message = f"the template {template.name} is not written in {', '.join(lacking)}"
            self._add(path, "no-language", message, "write it, or take the language out of languages:")

    def _required(self, path: Path, template: TemplateInfo) -> None:
        """Every way in must bring what the template cannot do without."""
        for field in template.required:
            root = field.split(".")[0]
            for shape in self.entered_by:
                if root == "booking" and shape.carries is not None and "booking" not in shape.carries:
                    missing = True
                elif root == "event":
                    missing = type_of(field, self.known, [shape]) is None
                else:
                    missing = field.startswith("enrollment.fields.") and field not in self.written
                if missing:
                    message = f"the template {template.name} needs {field}, which {shape.name} does not bring"
                    self._add(path, "missing-field", message, "give the field a fallback in the template")

    def _moment(self, path: Path, moment: Moment) -> None:
        if (moment.for_ is None) == (moment.until is None):
            self._add(path, "wait", "one of for and until is needed", "for: 2 hours, or until: booking.arrival")
            return
        self._zone((*path, "zone"), moment.zone)
        if moment.for_ is not None:
            self._only(path, moment, ("offset", "at"), "for")
            if moment.for_.negative or moment.for_.zero:
                self._add((*path, "for"), "wait", "a wait goes forward", "write a time such as 2 hours")
        elif moment.until is not None and (shape_of(moment.until) == "date" or not isinstance(moment, Waiting)):
            self._dated(path, moment, moment.until)

    def _dated(self, path: Path, moment: Moment, until: str) -> None:
        kind = self._path((*path, "until"), until, self.entered_by, ("date", "instant"))
        offset = moment.offset
        if kind == "date" and offset is not None and offset.seconds and moment.at is None:
            message = f"{until} is a day; an offset in hours needs a clock time"
            self._add((*path, "offset"), "wait", message, 'add at: "10:00", or write days')

    def _only(self, path: Path, block: Moment, keys: tuple[str, ...], beside: str) -> None:
        for key in keys:
            if getattr(block, key) is not None:
                self._add((*path, key), "wait", f"{key} has no meaning beside {beside}", f"remove {key}", on_key=True)

    def _wait(self, path: Path, wait: Waiting, *, last: bool) -> None:
        self._moment(path, wait)
        if wait.for_ is not None:
            self._only(path, wait, ("weekdays", "late", "missing"), "for")
            return
        if wait.until is None:
            return
        shape = shape_of(wait.until)
        if shape == "date":
            self._only(path, wait, ("weekdays",), "a date")
            if wait.late is None:
                message = "a wait for a date says what happens when the date is past already"
                self._add(path, "no-late", message, "add late: go_on, skip_next, skip_to_end or exit")
            if wait.late == "skip_next" and last:
                self._add(
                    (*path, "late"), "nothing-to-skip", "no step follows that could be skipped", "write skip_to_end"
                )
            return
        self._only(path, wait, ("offset", "late", "missing"), f"a {shape}")
        if shape == "weekday" and wait.at is None:
            self._add(path, "wait", "a weekday needs a clock time", 'add at: "10:00"')
        if shape != "weekday" and wait.at is not None:
            self._add((*path, "at"), "wait", f"at has no meaning beside a {shape}", "remove at", on_key=True)

    def _wait_for(self, path: Path, step: WaitFor, above: tuple[Condition, ...]) -> None:
        awaited: Awaited = step.wait_for
        here: Path = (*path, "wait_for")
        shapes = [shape for n, name in enumerate(awaited.on or []) for shape in self._event((*here, "on", n), name)]
        condition = self._condition((*here, "if"), awaited.if_, shapes)
        if awaited.on is None and awaited.if_ is None:
            self._add(here, "empty-wait", "it is not said what to wait for", "add on: <event> or if: <condition>")
        if awaited.up_to is None:
            self._add(here, "endless", "this wait might never end", "add up_to: 2 days")
        else:
            self._moment((*here, "up_to"), awaited.up_to)
        self._unknown(here, condition, step.unknown is not None, f"unknown: to {step.id}")
        for name, steps in (("then", step.then), ("timeout", step.timeout), ("unknown", step.unknown or [])):
            self._steps((*path, name), steps, (*above, condition))

    def _branch(self, path: Path, step: Branch, above: tuple[Condition, ...]) -> None:
        conditions: list[Condition] = []
        seen: list[str] = []
        for number, case in enumerate(step.branch):
            here: Path = (*path, "branch", number)
            kind = self._case(here, case)
            if kind != "if" and kind in seen:
                self._add(here, "branch", f"a branch has one {kind} at most", "remove one of them")
            if kind == "if" and ("else" in seen or "unknown" in seen):
                self._add(here, "unreachable", "nobody comes here: else stands before it", "put else and unknown last")
            seen.append(kind)
            condition = self._condition((*here, "if"), case.if_, self.entered_by)
            if kind == "if" and not case.if_:
                self._add(here, "branch", "a condition is missing", "write if: with a condition, or else: true")
            conditions.append(condition)
            self._steps((*here, "steps"), case.steps, (*above, *conditions))
        if "if" not in seen:
            self._add((*path, "branch"), "branch", "a branch needs a way with if", "add - if: <condition>")
        for condition in conditions:
            if rests_on_engagement(condition):
                self._unknown((*path, "branch"), condition, "unknown" in seen, "- unknown: true")
                break

    def _case(self, path: Path, case: BranchCase) -> str:
        kinds = [("if", case.if_ is not None), ("else", case.else_ is not None), ("unknown", case.unknown is not None)]
        found = [kind for kind, there in kinds if there]
        if len(found) != 1:
            self._add(path, "branch", "a way is one of if, else: true, unknown: true", "keep one of them")
        return found[0] if found else "if"

    def _unknown(self, path: Path, condition: Condition, there: bool, what: str) -> None:
        if rests_on_engagement(condition) and not there:
            message = "this asks what people clicked, which cannot be known of those who are not tracked"
            self._add(path, "no-unknown", message, f"add {what} for them")

    def _set(self, path: Path, step: Set) -> None:
        if not step.set and not step.add_tags and not step.remove_tags:
            self._add((*path, "set"), "empty", "nothing is written", "for example contact.attributes.vip: true")
        for field in step.set:
            if not re.match(r"(contact\.attributes|enrollment\.fields)\.[\w-]+$|contact\.language$", field):
                message = f"{field} cannot be written by a workflow"
                cure_ = "write contact.attributes.<name>, enrollment.fields.<name> or contact.language"
                self._add((*path, "set", field), "read-only", message, cure_, on_key=True)

    # --- review requests ---

    def _reviews(self) -> None:
        """R40: no score decides; R41: no reward beside; R42: not after day 25; R43: one reminder at most."""
        reviews = [entry for entry in self.sends if self._is_review(entry[1])]
        if not reviews:
            return
        for path, step, above in reviews:
            scored = sorted(field for condition in above for field in fields(condition) if _SCORE.search(field))
            if scored:
                message = f"the invitation to review hangs on {scored[0]} (R40)"
                self._add((*path, "send"), "review-score", message, "invite everyone, whatever they thought")
            if not _in_review_time(step.latest):
                message = "an invitation to review needs a last day, 25 days after departure or earlier (R42)"
                self._add(path, "review-latest", message, "add latest: { until: booking.departure, offset: 25 days }")
        if len(reviews) > 2:
            message = "one invitation and one reminder are the most (R43)"
            self._add((*reviews[2][0], "send"), "review-reminders", message, "remove it")
        for path, step, _ in self.sends:
            if (step.class_ or self.workflow.class_) == "marketing":
                message = "no offer stands beside an invitation to review (R41)"
                self._add((*path, "send"), "review-reward", message, "move it to a workflow of its own")

    def _is_review(self, step: Send) -> bool:
        template = (self.known.templates or {}).get(step.send)
        if template is not None:
            return template.review_request
        return (step.class_ or self.workflow.class_) == "feedback" and "review" in step.send


def _in_review_time(latest: Moment | None) -> bool:
    if latest is None or latest.until != "booking.departure":
        return False
    offset = latest.offset or Duration()
    return not offset.months and offset.days + offset.seconds / 86_400 <= _REVIEW_DAYS


def _every(steps: Sequence[Step]) -> Iterable[Step]:
    for step in steps:
        yield step
        if isinstance(step, Branch):
            for case in step.branch:
                yield from _every(case.steps)
        elif isinstance(step, WaitFor):
            for way in (step.then, step.timeout, step.unknown or []):
                yield from _every(way)
