"""Experiments: who is held out, when a split is decided, and who decides it.

Nothing here is drawn with dice at run time: `journey/experiments.py` says who gets what. This module keeps what was
drawn, looks at a split once when its rule says so, and hands the winners to `advance`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy import select, text, tuple_
from sqlalchemy.orm import Session

from app.consent.case import CAPPED
from app.db import Ran, as_rows, remembered, workspace_of
from app.enrollments import counting, programs
from app.enrollments.counting import Tally
from app.enrollments.models import Experiment, Workflow
from app.enrollments.passages import Inside
from app.enrollments.programs import Live
from app.journey.experiments import Counted, enough, held_out, judge
from app.journey.program import Program, SendOp, Sentence, SplitOp, Winner
from app.journey.waits import add

HERE = "workflow"
"""`Enrollment.control` of who is held out by the workflow itself."""
EVERYWHERE = "workspace"
"""`Enrollment.control` of who is inside but gets no marketing, since the workspace holds them out (R62)."""

HELD_OUT: Sentence = {
    "en": "held out as a control: takes no step here",
    "it": "nel gruppo di controllo: qui non compie alcun passo",
}

LOOK_AGAIN = timedelta(hours=6)
"""How often it is looked whether a split has enough people. Only people are counted then, no outcome is looked at."""


class UnknownSplitError(LookupError):
    """The live version of this workflow has no such split, or the split no such variant."""


class TooLateError(ValueError):
    """People have passed the split since it was decided: it cannot be undone."""


# -- holdouts --------------------------------------------------------------------------------------------------------


class Drawn(NamedTuple):
    """What a person drew at the door: whose control group they are in (None: none), and in which draw."""

    control: str | None
    holdout: str | None


NOT_DRAWN = Drawn(None, None)


def draw_name(live: Live) -> str | None:
    """Which draw is held at the door of this workflow now; None: nobody is held out. People of one draw compare."""
    elsewhere = live.policy.holdout_percent if _markets(live.program) else 0
    if not live.program.holdout and not elsewhere:
        return None
    return f"{live.program.holdout}/{elsewhere}/{live.policy.holdout_salt if elsewhere else ''}"


def drawn(live: Live, contact_id: int, earlier: Sequence[Inside]) -> Drawn:
    """Whether a person who may enter is held out, as they were before if they have been at this door (R62).

    The first draw holds over later passages, versions and merges of contacts, as long as the workflow holds anybody
    out. The workspace's own group is read from its hash each time, as the gate reads it.
    """
    name = draw_name(live)
    if name is None:
        return NOT_DRAWN
    if live.program.holdout:
        before = [row for row in earlier if row.holdout and not row.holdout.startswith("0/")]
        if before:
            first = min(before, key=lambda row: (row.entered_at, row.id))
            out, name = first.control == HERE, first.holdout
        else:
            out = held_out(("holdout", live.program.workflow, contact_id), live.program.holdout)
        if out:
            return Drawn(HERE, name)
    return Drawn(live.policy.keeps_out(contact_id) and EVERYWHERE if _markets(live.program) else None, name)


def _markets(program: Program) -> bool:
    return any(isinstance(op, SendOp) and op.class_ in CAPPED for op in program.ops)


# -- splits ----------------------------------------------------------------------------------------------------------


def splits(program: Program) -> tuple[SplitOp, ...]:
    """The splits of a program, in its order."""
    return tuple(op for op in program.ops if isinstance(op, SplitOp))


def fingerprint(op: SplitOp) -> str:
    """What makes two versions of a split one experiment: the same variants with the same weights."""
    return ", ".join(f"{variant.name} {variant.weight}" for variant in op.variants)


def winners(session: Session, known: Mapping[int, Program]) -> dict[int, dict[str, str]]:
    """Version id → {step id: winner} of its decided splits, as `facts["experiments"]` wants it.

    Args:
        known: version id → program, of a batch.

    One query; none where no program of the batch has a split.
    """
    asked: dict[tuple[str, str, str], list[int]] = {}
    kept: dict[int, tuple[SplitOp, ...]] = remembered(session, "splits")
    for version_id, program in known.items():
        if version_id not in kept:
            kept[version_id] = splits(program)
        for op in kept[version_id]:
            asked.setdefault((program.workflow, op.id, fingerprint(op)), []).append(version_id)
    if not asked:
        return {}
    query = (
        select(Workflow.name, Experiment.step_id, Experiment.fingerprint, Experiment.winner)
        .join(
            Workflow,
            (Workflow.workspace_id == Experiment.workspace_id) & (Workflow.id == Experiment.workflow_id),
        )
        .where(
            Experiment.winner.is_not(None),
            tuple_(Workflow.name, Experiment.step_id, Experiment.fingerprint).in_(sorted(asked)),
        )
    )
    found: dict[int, dict[str, str]] = {}
    for name, step_id, mark, winner in session.execute(query):
        for version_id in asked[name, step_id, mark]:
            found.setdefault(version_id, {})[step_id] = str(winner)
    return found


_ANNOUNCE = text(
    """
    INSERT INTO experiments (workspace_id, workflow_id, step_id, fingerprint, created_at, due_at)
    SELECT :workspace_id, :workflow_id, step_id, fingerprint, :now, due_at
    FROM json_to_recordset(CAST(:rows AS json)) AS r(step_id text, fingerprint text, due_at timestamptz)
    ON CONFLICT (workspace_id, workflow_id, step_id, fingerprint) DO UPDATE SET due_at = excluded.due_at
        WHERE experiments.looked_at IS NULL AND experiments.decided_at IS NULL
    """
)


def announce(session: Session, workflow_id: int, program: Program, now: datetime) -> None:
    """Have the rules of a published version's splits looked at when they are due; one statement, none without a split.

    A split whose variants and weights were there before goes on as the same experiment, with what was decided of it.
    """
    rows = [
        {"step_id": op.id, "fingerprint": fingerprint(op), "due_at": now + LOOK_AGAIN if op.winner else None}
        for op in splits(program)
    ]
    if rows:
        parameters = {"workspace_id": workspace_of(session), "workflow_id": workflow_id, "rows": as_rows(rows)}
        session.execute(_ANNOUNCE, {**parameters, "now": now})


def run(session: Session, now: datetime, limit: int) -> Ran:
    """Look at up to `limit` splits whose rule is due, each one once for good when it has enough people.

    Three or four queries for each: experiments are few, and each is looked at four times a day.
    """
    due = session.scalars(
        select(Experiment)
        .where(Experiment.due_at <= now)
        .order_by(Experiment.due_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()
    for experiment in due:
        _look(session, experiment, now)
    return Ran(len(due), len(due) == limit)


def _look(session: Session, experiment: Experiment, now: datetime) -> None:
    workflow = session.get(Workflow, (experiment.workspace_id, experiment.workflow_id))
    if workflow is None or workflow.live_version_id is None or workflow.status == "archived":
        experiment.due_at = None
        return
    program = programs.of_versions(session, [workflow.live_version_id])[workflow.live_version_id]
    op = next((op for op in splits(program) if op.id == experiment.step_id), None)
    if op is None or op.winner is None or fingerprint(op) != experiment.fingerprint:
        # The live version asks something else: this question is closed, and asked again if it comes back.
        experiment.due_at = None
        return
    begun = counting.begun(session, workflow.id, op.id)
    opens = None if begun is None else add(begun, op.winner.after, ZoneInfo("UTC")) if op.winner.after else begun
    if opens is None or opens > now:
        experiment.due_at = opens or now + LOOK_AGAIN
        return
    tallies = tally(session, workflow.id, program, op)
    counts = counted(op, op.winner, tallies)
    if not enough(counts, op.winner.min_sample):
        experiment.due_at = now + LOOK_AGAIN
        return
    verdict = judge(counts, op.winner.confidence)
    experiment.due_at, experiment.looked_at = None, now
    experiment.figures = _figures(op.winner, counts) | {"verdict": asdict(verdict)}
    if verdict.winner is not None:
        experiment.winner, experiment.decided_at, experiment.decided_by = verdict.winner, now, "rule"


def tally(
    session: Session, workflow_id: int, program: Program, op: SplitOp, before: datetime | None = None
) -> dict[str, Tally]:
    """Variant → what is known of the people who drew it in this very experiment; two queries at most.

    Args:
        before: only who came to the split before this instant: from a decision on nobody draws any more.
    """
    of = op.winner.of if op.winner and op.winner.of else None
    steps = (of,) if of else counting.sends_behind(program, op)
    versions = [
        version_id
        for version_id, each in programs.of_workflow(session, workflow_id).items()
        if any(other.id == op.id and fingerprint(other) == fingerprint(op) for other in splits(each))
    ]
    found = counting.variants(session, workflow_id, op.id, versions, steps, before)
    return {variant.name: found.get(variant.name, Tally()) for variant in op.variants if variant.weight}


def counted(op: SplitOp, rule: Winner | None, tallies: Mapping[str, Tally]) -> list[Counted]:
    """The tallies as the rule counts them: by clicks only over people whose clicks may be seen, else over everybody."""
    by_click = rule is not None and rule.by == "click"
    names: Iterable[str] = (variant.name for variant in op.variants if variant.name in tallies)
    return [
        Counted(name, tallies[name].observable, tallies[name].clicked)
        if by_click
        else Counted(name, tallies[name].people, tallies[name].goals)
        for name in names
    ]


def _figures(rule: Winner | None, counts: Sequence[Counted]) -> dict[str, Any]:
    return {"by": rule.by if rule else "goal", "variants": [asdict(each) for each in counts]}


# -- by hand ---------------------------------------------------------------------------------------------------------


def choose(session: Session, workflow: Workflow, step_id: str, variant: str, *, by: str, now: datetime) -> None:
    """End a split by hand: from now on everybody who comes to it goes this way. Who has drawn keeps what they drew.

    Raises:
        UnknownSplitError: the live version has no such split, or the split no such variant.
    """
    program, op = _split(session, workflow, step_id)
    if variant not in {each.name for each in op.variants}:
        raise UnknownSplitError(f"{step_id} has no variant {variant!r}.")
    announce(session, workflow.id, program, now)
    row = _row(session, workflow, op)
    if row.winner is not None:
        return
    counts = counted(op, op.winner, tally(session, workflow.id, program, op))
    row.winner, row.decided_at, row.decided_by, row.due_at = variant, now, by, None
    row.figures = {**_figures(op.winner, counts), **(row.figures or {})}


def undo(session: Session, workflow: Workflow, step_id: str, now: datetime) -> None:
    """Take a decision back: people are divided again. The rule of the split does not look a second time.

    Raises:
        UnknownSplitError: the live version has no such split.
        TooLateError: somebody has passed since.
    """
    _, op = _split(session, workflow, step_id)
    row = _row(session, workflow, op)
    if row.decided_at is None:
        return
    if counting.passed_since(session, workflow.id, op.id, row.decided_at):
        raise TooLateError("People have passed the split since it was decided.")
    row.winner = row.decided_at = row.decided_by = None
    row.due_at = now + LOOK_AGAIN if op.winner and row.looked_at is None else None


def _split(session: Session, workflow: Workflow, step_id: str) -> tuple[Program, SplitOp]:
    version_id = workflow.live_version_id
    program = programs.of_versions(session, [version_id]).get(version_id) if version_id else None
    op = next((op for op in splits(program) if op.id == step_id), None) if program else None
    if program is None or op is None:
        raise UnknownSplitError(f"{workflow.name} has no split {step_id!r}.")
    return program, op


def _row(session: Session, workflow: Workflow, op: SplitOp) -> Experiment:
    row = session.scalar(
        select(Experiment)
        .where(
            Experiment.workflow_id == workflow.id,
            Experiment.step_id == op.id,
            Experiment.fingerprint == fingerprint(op),
        )
        .with_for_update()
    )
    if row is None:
        raise UnknownSplitError(f"{workflow.name} has no decision on {op.id!r}.")
    return row
