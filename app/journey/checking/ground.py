"""What every check stands on: the workflow, what is known, where things stand, and the problems found so far."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from app.journey.condition_checks import ConditionProblem, names, type_of
from app.journey.condition_checks import check as check_condition
from app.journey.condition_source import walk
from app.journey.condition_tree import Condition, rests_on_engagement
from app.journey.durations import Duration
from app.journey.facts import known_zone
from app.journey.known import EventShape, FieldType, Known, MessageClass, TemplateInfo, event_shape
from app.journey.model import Workflow
from app.journey.model_steps import Branch, Consent, Exit, Send, Set, Split, Start, Step, WaitFor, lanes_of
from app.journey.model_types import From, Value
from app.journey.nearest import cure
from app.journey.places import Path, Places, Problem

WAYS_IN = ("date", "schedule", "manual", "api")
"""What an entry may hang on besides events."""

OWN = {
    "segment.entered": EventShape("segment.entered", {"segment": "text"}, carries=()),
    "segment.left": EventShape("segment.left", {"segment": "text"}, carries=()),
    "date": EventShape("date.reached", {"ref": "text", "date": "date"}),
    "schedule": EventShape("schedule.fired", {"segment": "text", "occurrence": "instant"}, carries=()),
    "manual": EventShape("workflow.started", {"by": "text"}, open=True),
    "api": EventShape("workflow.started", {"by": "text"}, open=True),
}
"""What the ways in bring that are no events from outside."""


class Ground:
    """Collects problems; answers what names, types and conditions mean here."""

    def __init__(self, workflow: Workflow, known: Known, places: Places) -> None:
        self.workflow = workflow
        self.known = known
        self.places = places
        self.problems: list[Problem] = []
        self.entered_by = [shape for rule in workflow.entry if (shape := self.shape_of_entry(rule.on, rule.ref))]
        self.sending = [step.id for step in every(workflow.steps) if isinstance(step, Send)]
        self.written = set(_written(workflow.steps))

    def add(self, path: Path, code: str, message: str, cure_: str = "", **where: Any) -> None:
        """Tell a problem at a place."""
        self.problems.append(self.places.problem(path, code, message, cure_, **where))

    # --- names ---

    def shape_of_entry(self, on: str, ref: str | None) -> EventShape | None:
        """What a way in brings; a date of the booking brings the booking."""
        if on == "date":
            return EventShape(
                "date", OWN[on].fields, carries=("booking",) if (ref or "").startswith("booking.") else ()
            )
        return event_shape(on, self.known.events) or OWN.get(on)

    def event(self, path: Path, name: str) -> list[EventShape]:
        """The shape of an event that is listened to, told where there is none."""
        shape = event_shape(name, self.known.events) or (OWN.get(name) if "." in name else None)
        if shape is not None:
            return [shape]
        if name in WAYS_IN:
            self.add(path, "unknown-event", f"{name} is a way in, no event", "write it under entry:")
        else:
            else_say = "an event of your own is called custom.<name>"
            self.add(path, "unknown-event", f"there is no event {name}", cure(name, self.known.events, else_say))
        return []

    def named(self, path: Path, what: str, name: str | None, names_: Collection[str] | None) -> None:
        """A topic, segment, workflow, endpoint or sender that must exist, where it is known which do."""
        if name is not None and names_ is not None and name not in names_:
            code = f"unknown-{what}"
            self.add(path, code, f"there is no {what} {name}", cure(name, names_))

    def zone(self, path: Path, zone: str | None) -> None:
        """A zone that the zone database has."""
        if zone is not None and zone not in ("property", "contact") and not known_zone(zone):
            self.add(
                path, "unknown-zone", f"there is no zone {zone}", "property, contact, or a name such as Europe/Rome"
            )

    def path(
        self, place: Path, path: str, events: Iterable[EventShape], types: tuple[FieldType, ...] | None
    ) -> FieldType | None:
        """The type of a path that a key, a wait or a goal names, told where it is none of the wanted ones."""
        shapes = list(events)
        kind = type_of(path, self.known, shapes)
        if kind is None:
            self.add(place, "unknown-field", f"there is no field {path}", cure(path, names(self.known, shapes)))
        elif types is not None and kind not in (*types, "any"):
            wanted = " or ".join({"date": "day"}.get(one, one) for one in types)
            candidates = [name for name in names(self.known, shapes) if type_of(name, self.known, shapes) in types]
            self.add(place, "wrong-type", f"{path} is a {kind}, not a {wanted}", cure(path, candidates))
        return kind

    def copies(self, place: Path, values: Mapping[str, Value]) -> None:
        """Paths that values are read from."""
        for name, value in values.items():
            if isinstance(value, From):
                self.path((*place, name, "from"), value.from_, self.entered_by, None)

    def forward(self, path: Path, length: Duration | None, what: str) -> None:
        """A length of time that has to go forward."""
        if length is not None and (length.negative or length.zero):
            self.add(path, "wait", f"{what} goes forward", "write a time such as 2 days")

    # --- conditions ---

    def condition(self, path: Path, source: Any, events: Iterable[EventShape]) -> Condition:
        """A condition read and checked line by line."""
        condition, lines = walk(source, path)
        for line in lines:
            if line.error is not None:
                self.add(line.path, "condition", line.error.message, line.error.cure, part=line.error.column)
            elif line.condition is not None:
                for problem in check_condition(line.condition, self.known, events, self.sending):
                    self._tell(line.path, problem)
        if self.workflow.tracking is False and rests_on_engagement(condition):
            message = "this asks what people clicked, and tracking: false follows no click"
            self.add(path, "never-known", message, "take the condition or tracking: false away")
        return condition

    def _tell(self, path: Path, problem: ConditionProblem) -> None:
        self.add(path, problem.code, problem.message, problem.cure, part=problem.part or None)

    def unknown(self, path: Path, condition: Condition, there: bool, what: str) -> None:
        """A way that rests on engagement needs one for those of whom it cannot be known."""
        if rests_on_engagement(condition) and not there:
            message = "this asks what people clicked, which cannot be known of those who are not tracked"
            self.add(path, "no-unknown", message, f"add {what} for them")

    # --- templates ---

    def template(self, path: Path, name: str, class_: MessageClass, topic: str | None) -> TemplateInfo | None:
        """A template that exists, in the step's class and topic, in every language, with all it needs."""
        templates = self.known.templates
        if templates is None:
            return None
        template = templates.get(name)
        if template is None:
            self.add(path, "unknown-template", f"there is no template {name}", cure(name, templates))
            return None
        if template.class_ != class_:
            message = f"the template {template.name} is {template.class_}, the step sends it as {class_}"
            asking = class_ == "consent_request"
            fitting = [one.name for one in templates.values() if one.class_ == class_]
            cure_ = cure(name, fitting) if asking else f"add class: {template.class_} to the step"
            self.add(path, "wrong-class", message, cure_)
        if template.topic is not None and topic not in (None, template.topic):
            message = f"the template {template.name} belongs to the topic {template.topic}"
            self.add((*path[:-1], "topic"), "wrong-topic", message, f"write topic: {template.topic}")
        lacking = [one for one in self.workflow.languages if template.languages and one not in template.languages]
        if lacking:
            message = f"the template {template.name} is not written in {', '.join(lacking)}"
            self.add(path, "no-language", message, "write it, or take the language out of languages:")
        self._required(path, template)
        return template

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
                    self.add(path, "missing-field", message, "give the field a fallback in the template")


def every(steps: Sequence[Step]) -> Iterator[Step]:
    """Every step, from top to bottom, those inside others too."""
    for step in steps:
        yield step
        for _, lane in lanes_of(step):
            yield from every(lane)


def _written(steps: Sequence[Step]) -> Iterator[str]:
    """The fields that steps of the workflow write."""
    for step in every(steps):
        if isinstance(step, Set):
            yield from step.set
        elif isinstance(step, Start) and step.start.await_:
            yield f"enrollment.fields.{step.id}"


def ends(steps: Sequence[Step]) -> bool:
    """Whether nobody gets behind these steps: every way through them leaves the workflow."""
    return any(leaves(step) for step in steps)


def leaves(step: Step) -> bool:
    """Whether every way through a step leaves the workflow."""
    match step:
        case Exit():
            return True
        case Branch():
            return any(case.else_ for case in step.branch) and all(ends(case.steps) for case in step.branch)
        case Split():
            return all(ends(case.steps) for case in step.split)
        case WaitFor():
            ways = [step.then, step.timeout, *([step.unknown] if step.unknown is not None else [])]
            return all(ends(way) for way in ways)
        case Consent():
            return ends(step.then) and ends(step.timeout)
        case Start():
            return step.start.await_ and ends(step.then) and ends(step.timeout)
        case _:
            return False
