"""What a workflow means, checked before anyone enters it: names, types, dates, ways through, and rules R40 to R43.

The document as a whole here; its steps, moments and invitations to review in `checking`.
"""

from __future__ import annotations

from itertools import pairwise

from app.journey.checking import reviews, timing
from app.journey.checking.ground import Ground
from app.journey.checking.steps import StepChecks
from app.journey.condition_tree import Condition
from app.journey.known import Known
from app.journey.model import Workflow
from app.journey.places import Path, Places, Problem


def check(workflow: Workflow, known: Known, places: Places) -> list[Problem]:
    """Everything wrong with the meaning of a workflow whose shape is right."""
    ground = Ground(workflow, known, places)
    entries = []
    for number, rule in enumerate(workflow.entry):
        path: Path = ("entry", number)
        entries.append(ground.condition((*path, "if"), rule.if_, timing.way_in(ground, path, rule)))
    if workflow.key is not None:
        ground.path(("key",), workflow.key, ground.entered_by, None)
    exits = _exits(ground)
    _goal(ground)
    _blocks(ground)
    sends = StepChecks(ground).all((*entries, *exits))
    reviews.check(ground, sends)
    return ground.problems


def _exits(ground: Ground) -> list[Condition]:
    conditions = []
    for number, out in enumerate(ground.workflow.exit):
        path: Path = ("exit", number)
        if out.on is None and out.if_ is None:
            ground.add(path, "empty-exit", "an exit needs an event or a condition", "add on: or if:")
        shapes = ground.event((*path, "on"), out.on) if out.on else []
        conditions.append(ground.condition((*path, "if"), out.if_, shapes))
        ground.named((*path, "topic"), "topic", out.topic, ground.known.topics)
    return conditions


def _goal(ground: Ground) -> None:
    goal = ground.workflow.goal
    if goal is None:
        return
    shapes = ground.event(("goal", "on"), goal.on)
    ground.condition(("goal", "if"), goal.if_, shapes)
    ground.forward(("goal", "within"), goal.within, "the time for a goal")
    if goal.value is not None:
        ground.path(("goal", "value"), goal.value, shapes, ("money", "number"))


def _blocks(ground: Ground) -> None:
    workflow = ground.workflow
    ground.zone(("zone",), workflow.zone)
    ground.forward(("reenter", "after"), workflow.reenter.after, "the time before a new passage")
    if workflow.limits is not None:
        ground.forward(("limits", "max_duration"), workflow.limits.max_duration, "a duration")
    caps = workflow.caps
    if caps is not None:
        spans = [(name, value) for name in ("day", "week", "month") if (value := getattr(caps, name)) is not None]
        if not spans:
            ground.add(("caps",), "empty", "the caps say no number", "add day:, week: or month:")
        for (shorter, fewer), (longer, most) in pairwise(spans):
            if fewer > most:
                message = f"{fewer} in a {shorter} can never be reached: {most} in a {longer} are the most"
                ground.add(("caps", shorter), "caps", message, f"write {most} or less")
