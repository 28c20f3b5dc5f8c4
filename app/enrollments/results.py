"""What a workflow brought: people it was tried on against people held out, and the variants of its splits.

Figures only; the studio, the API and the command line each say them in their own way. Counting is by person and by
what was drawn (see `counting`); intervals are at 95 % and those of `journey/inference.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.accounts.models import Workspace
from app.consent.policy import Policy
from app.contacts.models import Property
from app.db import workspace_of
from app.enrollments import counting, experiments, programs
from app.enrollments.counting import Tally
from app.enrollments.models import Experiment, Workflow
from app.enrollments.programs import Live
from app.journey import inference
from app.journey.durations import Duration
from app.journey.inference import Interval
from app.journey.program import Program, SendOp, SplitOp
from app.journey.waits import add

FEW = 30
"""With fewer people than this who brought an amount, in either group, no interval for amounts is given."""

_UTC = ZoneInfo("UTC")


@dataclass(frozen=True, slots=True)
class Hint:
    """How many people it takes to see a difference of `gap` (0.02: two points) four times out of five.

    `smaller` in the smaller group, `larger` in the larger one, at the rate seen so far.
    """

    gap: float
    smaller: int
    larger: int


@dataclass(frozen=True, slots=True)
class Lift:
    """People the workflow was tried on against people held out."""

    by: Literal["workflow", "workspace"]
    """Whether the workflow holds them out, or the workspace from all of its marketing."""
    treated: Tally
    control: Tally
    difference: Interval | None
    """Of the shares that reached the goal; None while a group is empty."""
    relative: Interval | None
    """The same as a part of the control's share; None where nobody in one of them reached it."""
    per_person: Interval | None
    """Of the amount per person, in minor units; None where too few have brought one."""
    hint: Hint | None

    @property
    def verdict(self) -> Literal["empty", "open", "better", "worse"]:
        """What may be said: nothing yet, not conclusive, the workflow helps, or it harms."""
        if self.difference is None:
            return "empty"
        if not self.difference.excludes_nought:
            return "open"
        return "better" if self.difference.low > 0 else "worse"


@dataclass(frozen=True, slots=True)
class VariantResult:
    """One variant of a split."""

    name: str
    weight: int
    tally: Tally
    goal: Interval | None
    click: Interval | None
    """Of those whose clicks may be seen."""


@dataclass(frozen=True, slots=True)
class SplitResult:
    """A split: its variants, and where its decision stands."""

    step_id: str
    variants: Sequence[VariantResult]
    by: Literal["goal", "click"] | None
    """What its rule goes by; None: it has no rule."""
    min_sample: int
    confidence: float
    opens: datetime | None
    """The rule does not look before this instant; None: nobody has come to it yet, or it has no rule."""
    state: Literal["running", "looked", "decided"]
    winner: str | None
    decided_at: datetime | None
    decided_by: str | None
    since: int
    """People who came to it after the decision."""
    figures: dict[str, Any]
    hint: Hint | None

    @property
    def undoable(self) -> bool:
        """Whether the decision can be taken back still."""
        return self.state == "decided" and not self.since

    @property
    def observable(self) -> tuple[int, int]:
        """Of how many who were sent something the clicks may be seen."""
        return sum(one.tally.observable for one in self.variants), sum(one.tally.sent for one in self.variants)


@dataclass(frozen=True, slots=True)
class Results:
    """All of a workflow."""

    workflow: str
    goal: str | None
    """The event that is its goal."""
    within: Duration | None
    currency: str
    service: bool
    """It sends service mail, so it cannot hold anybody out (R62)."""
    lifts: Sequence[Lift]
    splits: Sequence[SplitResult]


def load(session: Session, workflow: Workflow, now: datetime) -> Results | None:
    """The results of a workflow's live version and of what is the same experiment in earlier ones.

    Four queries, one more with a holdout, and four for each split; None where it was never published.
    """
    version_id = workflow.live_version_id
    program = programs.of_versions(session, [version_id]).get(version_id) if version_id else None
    if version_id is None or program is None:
        return None
    settings = session.scalar(select(Workspace.settings).where(Workspace.id == workspace_of(session))) or {}
    place = select(Property.currency).order_by(Property.is_default.desc(), Property.id).limit(1)
    live = Live(workflow.id, version_id, workflow.status, program, Policy.from_settings(settings))
    goal = program.goal
    return Results(
        workflow.name,
        goal.on if goal else None,
        goal.within if goal else None,
        session.scalar(place) or "EUR",
        any(isinstance(op, SendOp) and op.class_ == "transactional" for op in program.ops),
        _lifts(session, live, now),
        [_split(session, workflow, program, op) for op in experiments.splits(program)],
    )


def of(session: Session, name: str, now: datetime) -> Results | None:
    """The same by the workflow's name; None where there is none, or it was never published. One query more."""
    row = session.scalar(select(Workflow).where(Workflow.name == name))
    return load(session, row, now) if row is not None else None


def _lifts(session: Session, live: Live, now: datetime) -> list[Lift]:
    name, goal = experiments.draw_name(live), live.program.goal
    if name is None or goal is None:
        return []
    closed = _before(now, goal.within) if goal.within else datetime.min.replace(tzinfo=now.tzinfo)
    groups = counting.groups(session, live.workflow_id, name, closed)
    treated = groups.get("treated", Tally())
    return [
        _lift(by, treated, groups.get(by, Tally()))
        for by, percent in (("workflow", name.split("/")[0]), ("workspace", name.split("/")[1]))
        if percent != "0"
    ]


def _before(now: datetime, length: Duration) -> datetime:
    """Whoever entered after this has not had all of the time yet."""
    span: timedelta = add(now, length, _UTC) - now
    return now - span


def _lift(by: Any, treated: Tally, control: Tally) -> Lift:
    counts = (treated.goals, treated.people, control.goals, control.people)
    if not treated.people or not control.people:
        return Lift(by, treated, control, None, None, None, None)
    enough = min(treated.goals, control.goals) >= FEW and (treated.amount or control.amount)
    return Lift(
        by,
        treated,
        control,
        inference.difference(*counts),
        inference.relative(*counts),
        inference.gained(treated.amounts, control.amounts) if enough else None,
        hint(control.goals / control.people, max(treated.people / control.people, 1.0)),
    )


def hint(base: float, times: float = 1.0) -> Hint | None:
    """How many people a difference worth knowing of needs: two points, or fewer where the rate itself is low."""
    gap = 0.02 if base >= 0.05 else 0.01 if base >= 0.02 else 0.005
    if base <= 0 or base + gap > 1:
        return None
    smaller = inference.needed(base, gap, times)
    return Hint(gap, smaller, round(smaller * times))


def _split(session: Session, workflow: Workflow, program: Program, op: SplitOp) -> SplitResult:
    row = session.scalar(
        select(Experiment).where(
            Experiment.workflow_id == workflow.id,
            Experiment.step_id == op.id,
            Experiment.fingerprint == experiments.fingerprint(op),
        )
    )
    decided = row.decided_at if row else None
    # From the decision on nobody draws: those people belong to no variant of the experiment.
    tallies = experiments.tally(session, workflow.id, program, op, decided)
    rule = op.winner
    begun = counting.begun(session, workflow.id, op.id) if rule else None
    shown = [_variant(variant.name, variant.weight, tallies[variant.name]) for variant in op.variants if variant.weight]
    rates = [one.tally.goals / one.tally.people for one in shown if one.tally.people]
    return SplitResult(
        step_id=op.id,
        variants=shown,
        by=rule.by if rule else None,
        min_sample=rule.min_sample if rule else 0,
        confidence=rule.confidence if rule else inference.CONFIDENCE,
        opens=add(begun, rule.after, _UTC) if rule and begun and rule.after else begun,
        state="decided" if decided else "looked" if row and row.looked_at else "running",
        winner=row.winner if row else None,
        decided_at=decided,
        decided_by=row.decided_by if row else None,
        since=counting.passed_since(session, workflow.id, op.id, decided) if decided else 0,
        figures=(row.figures if row else None) or {},
        hint=hint(min(rates)) if rates and (rule is None or rule.by == "goal") else None,
    )


def _variant(name: str, weight: int, tally: Tally) -> VariantResult:
    return VariantResult(
        name,
        weight,
        tally,
        inference.rate(tally.goals, tally.people) if tally.people else None,
        inference.rate(tally.clicked, tally.observable) if tally.observable else None,
    )


def as_json(results: Results) -> dict[str, Any]:
    """The figures as plain values, for the API and `flask workflows results --json`. Amounts are in minor units."""
    return {
        "workflow": results.workflow,
        "goal": results.goal,
        "currency": results.currency,
        "confidence": inference.CONFIDENCE,
        "lifts": [{**asdict(lift), "verdict": lift.verdict} for lift in results.lifts],
        "splits": [
            {
                **asdict(split),
                "opens": split.opens.isoformat() if split.opens else None,
                "decided_at": split.decided_at.isoformat() if split.decided_at else None,
                "undoable": split.undoable,
            }
            for split in results.splits
        ],
    }
