"""Versions and the people inside them: what a new version means to each step, and taking people over in bulk.

The author chooses at publish: *pin* (who is inside stays on their version), *follow* (they go on in the new one at the
same step) or *map* (old step → new step, or out). `preview` says whom a choice touches before it is made; `run`, a
stage, moves them in batches afterwards. Finished people are never touched.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import structlog
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from app.db import Ran, as_rows, workspace_of
from app.enrollments import effects, passages, programs, sight
from app.enrollments.models import Enrollment, Workflow, WorkflowMove, WorkflowVersion
from app.enrollments.passages import Inside
from app.enrollments.sight import Sight
from app.journey import advance
from app.journey.advance import Advanced, Decision
from app.journey.carry import carry
from app.journey.program import Program, Sentence
from app.journey.sentences import sentence as said
from app.queues import signal

log = structlog.get_logger()

Choice = Literal["pin", "follow", "map"]
Fate = Literal["stays", "goes_on", "moves", "leaves"]
"""What a choice does to the people at a step: stay on their version, go on at the same step, at another, or leave."""

QUERIES = 14 + sight.QUERIES
"""At most this many statements a batch: the move, the version's number, passages, programs, what they see, update,
versions, visits, cancelled messages, the move's counts; live workflows (2) and own events (3) where somebody leaves."""


class MappingError(ValueError):
    """A mapping that names a step which is not there; `args[0]` says which, and what there is."""


_OF_ENROLLMENT = (WorkflowVersion.workspace_id == Enrollment.workspace_id) & (
    WorkflowVersion.id == Enrollment.version_id
)


@dataclass(frozen=True, slots=True)
class Step:
    """The people waiting at one step of one or more older versions, and what a choice does to them."""

    id: str
    sentence: Sentence
    people: int
    fate: Fate
    target: str | None = None
    """The step they go to; None where they stay or leave."""
    gone: bool = False
    """The new version does not have this step, and nothing was said of it."""


@dataclass(frozen=True, slots=True)
class Preview:
    """What a choice touches: all people inside by version number, and by step what becomes of them."""

    people: int
    by_version: Mapping[int, int]
    steps: Sequence[Step]

    def count(self, *fates: Fate) -> int:
        """How many people meet one of these fates."""
        return sum(step.people for step in self.steps if step.fate in fates)

    @property
    def homeless(self) -> Sequence[Step]:
        """Steps with people that the new version does not have and nothing was said of: they stay pinned."""
        return [step for step in self.steps if step.gone]


def preview(
    session: Session, workflow_id: int, new: Program, choice: Choice, mapping: Mapping[str, str | None]
) -> Preview:
    """Whom a choice touches, if it were made now. At most three queries; see `MappingError`."""
    if choice == "map":
        check_mapping(new, mapping)
    rows = session.execute(
        select(WorkflowVersion.number, Enrollment.version_id, Enrollment.step_id, func.count())
        .select_from(Enrollment)
        .join(WorkflowVersion, _OF_ENROLLMENT)
        .where(Enrollment.workflow_id == workflow_id, Enrollment.status == "active")
        .group_by(WorkflowVersion.number, Enrollment.version_id, Enrollment.step_id)
        .order_by(WorkflowVersion.number.desc())
    ).all()
    known = programs.of_versions(session, {row.version_id for row in rows})
    sentences: dict[str, Sentence] = {}
    people: dict[str, int] = {}
    by_version: dict[int, int] = {}
    for number, version_id, step_id, count in rows:
        by_version[number] = by_version.get(number, 0) + count
        people[step_id or ""] = people.get(step_id or "", 0) + count
        for op in known[version_id].ops if version_id in known else ():
            sentences.setdefault(op.id, said(op))
    order = {step: place for place, step in enumerate(sentences)}
    steps = []
    for step_id in sorted(people, key=lambda step: order.get(step, len(order))):
        fate, target = _fate(new, step_id, choice, mapping)
        gone = choice != "pin" and fate == "stays"
        steps.append(Step(step_id, sentences.get(step_id, {}), people[step_id], fate, target, gone))
    return Preview(sum(people.values()), by_version, steps)


def _fate(new: Program, step: str, choice: Choice, mapping: Mapping[str, str | None]) -> tuple[Fate, str | None]:
    if choice == "pin":
        return "stays", None
    if choice == "map" and step in mapping:
        target = mapping[step]
        return ("leaves", None) if target is None else ("goes_on" if target == step else "moves", target)
    return ("goes_on", step) if step in new.places else ("stays", None)


def check_mapping(new: Program, mapping: Mapping[str, str | None]) -> None:
    """Raise MappingError where a mapping leads to a step that the new version does not have."""
    for old, target in mapping.items():
        if target is not None and (target == "" or target not in new.places):
            there = ", ".join(op.id for op in new.ops if op.id)
            raise MappingError(f"{old} is mapped to {target!r}, which is no step of this version. Its steps: {there}.")


def begin(
    session: Session,
    workflow_id: int,
    version_id: int,
    choice: Literal["follow", "map", "exit"],
    mapping: Mapping[str, str | None],
    *,
    by: str,
    now: datetime,
    due_at: datetime | None = None,
) -> None:
    """Have the stage move who is inside; it starts once this unit of work has committed."""
    move = WorkflowMove(
        workspace_id=workspace_of(session),
        workflow_id=workflow_id,
        version_id=version_id,
        choice=choice,
        mapping=dict(mapping) if choice == "map" else {},
        due_at=due_at or now,
        reached=0,
        created_at=now,
        created_by=by,
    )
    session.add(move)
    signal(session, "carry")


def call_off(session: Session, workflow_id: int, choice: str, now: datetime) -> int:
    """End the moves of one kind that are not finished; gives how many people they had dealt with already."""
    found = session.scalars(
        select(WorkflowMove).where(
            WorkflowMove.workflow_id == workflow_id,
            WorkflowMove.choice == choice,
            WorkflowMove.finished_at.is_(None),
        )
    ).all()
    for move in found:
        move.finished_at = now
    return sum(move.ended + move.moved for move in found)


def newest_move(session: Session, workflow_id: int) -> WorkflowMove | None:
    """The last bulk move of a workflow, finished or not; one query."""
    query = select(WorkflowMove).where(WorkflowMove.workflow_id == workflow_id).order_by(WorkflowMove.id.desc())
    return session.scalar(query.limit(1))


_MOVE = text(
    """
    SELECT m.id, m.workflow_id, m.version_id, m.choice, m.mapping, m.reached, v.number
    FROM workflow_moves m
    JOIN workflow_versions v ON v.workspace_id = m.workspace_id AND v.id = m.version_id
    WHERE m.workspace_id = :workspace_id AND m.finished_at IS NULL AND m.due_at <= :now
    ORDER BY m.id
    LIMIT 1
    FOR UPDATE OF m SKIP LOCKED
    """
)
# Rows in the order of their ids, like every other who locks several of them and waits. Whoever takes steps skips locked
# rows instead, so nobody is overlooked here and nobody waits in a circle.
_INSIDE = text(
    f"""
    SELECT {passages.COLUMNS}
    FROM enrollments e
    WHERE e.workspace_id = :workspace_id AND e.workflow_id = :workflow_id AND e.status = 'active'
        AND e.id > :reached AND (e.version_id < :version_id OR :leaves AND e.version_id = :version_id)
    ORDER BY e.id
    LIMIT :limit
    FOR UPDATE OF e
    """
)
_VERSIONS = text(
    """
    WITH r AS (SELECT * FROM json_to_recordset(CAST(:rows AS json)) AS given(contact_id bigint, id bigint))
    UPDATE enrollments e SET version_id = :version_id
    FROM r
    WHERE e.workspace_id = :workspace_id AND e.contact_id = ANY(ARRAY(SELECT contact_id FROM r))
        AND e.contact_id = r.contact_id AND e.id = r.id
    """
)
_REACHED = text(
    """
    UPDATE workflow_moves SET reached = :reached, moved = moved + :moved, ended = ended + :ended,
        stayed = stayed + :stayed, finished_at = :finished_at
    WHERE workspace_id = :workspace_id AND id = :id
    """
)


def run(session: Session, now: datetime, limit: int) -> Ran:
    """Take up to `limit` people of the oldest unfinished move to their new version, or out.

    The batch and the note of how far it came are one transaction: killed in between, it is as if the batch had not
    begun. Whoever cannot be placed stays on their version and is counted.
    """
    workspace_id = workspace_of(session)
    move = session.execute(_MOVE, {"workspace_id": workspace_id, "now": now}).first()
    if move is None:
        return Ran(0, False)
    parameters = {
        "workspace_id": workspace_id,
        "workflow_id": move.workflow_id,
        "version_id": move.version_id,
        "reached": move.reached,
        "leaves": move.choice == "exit",
        "limit": limit,
    }
    claimed = session.execute(_INSIDE, parameters).all()
    rows = passages.readable(session, claimed, now) if claimed else []
    known = programs.of_versions(session, {row.version_id for row in rows} | {move.version_id})
    sees = sight.load(session, rows, known, now)
    carried: list[Inside] = []
    left: list[tuple[Inside, str]] = []
    visits: list[tuple[Inside, Decision]] = []
    for row in rows:
        before = row.state.step_id or ""
        gone = _gone_over(move, row, known, sees, now)
        if gone is None:
            continue
        row.become(gone.state, now)
        if gone.state.status == "active":
            carried.append(row)
            visits.append((row, _told(move.number, before, gone, now)))
        else:
            left.append((row, gone.state.reason or "exit"))
        visits += [(row, decision) for decision in gone.trace]
    passages.write(session, rows, now)
    if carried and move.choice != "exit":
        moved = as_rows([{"contact_id": row.contact_id, "id": row.id} for row in carried])
        session.execute(_VERSIONS, {"workspace_id": workspace_id, "version_id": move.version_id, "rows": moved})
    passages.write_visits(session, visits)
    passages.cancel_messages(session, left, now)
    if left:
        live = [each.program for each in programs.live(session)]
        effects.note_ended(session, [row for row, _ in left], lambda row: known[row.version_id], sees.facts, live, now)
    more = len(claimed) == limit
    session.execute(
        _REACHED,
        {
            "workspace_id": workspace_id,
            "id": move.id,
            "reached": claimed[-1].id if claimed else move.reached,
            "moved": len(carried),
            "ended": len(left),
            "stayed": len(claimed) - len(carried) - len(left),
            "finished_at": None if more else now,
        },
    )
    if any(row.state.wake_at and row.state.wake_at <= now for row in carried):
        signal(session, "advance")
    return Ran(len(claimed), more)


def _gone_over(move: Any, row: Inside, known: Mapping[int, Program], sees: Sight, now: datetime) -> Advanced | None:
    """What becomes of one person; None: they stay as they are."""
    if move.choice == "exit":
        told = {"en": "the workflow was archived", "it": "il percorso è stato archiviato"}
        return advance.leave(row.state, "archived", None, told, now)
    try:
        old, new = known[row.version_id], known[move.version_id]
        return carry(old, new, row.state, move.mapping, sees.of(row), now)
    except Exception:
        # One person's state must not keep the others from going over; they stay on a version that suits them.
        log.exception("passage_not_carried", enrollment_id=row.id, version_id=move.version_id)
        return None


def _told(number: int, before: str, gone: Advanced, now: datetime) -> Decision:
    at = gone.state.step_id or ""
    inputs = {"version": number, "from": before, "to": at}
    if at == before:
        text = {"en": f"goes on in version {number}", "it": f"prosegue nella versione {number}"}
    else:
        text = {
            "en": f"goes on in version {number}, at {at} instead of {before}",
            "it": f"prosegue nella versione {number}, da {at} invece che da {before}",
        }
    return Decision(at, "carried", text, now, inputs)


def by_version(session: Session, workflow_id: int) -> dict[int, int]:
    """Version number → people inside it now; one query."""
    rows = session.execute(
        select(WorkflowVersion.number, func.count())
        .select_from(Enrollment)
        .join(WorkflowVersion, _OF_ENROLLMENT)
        .where(Enrollment.workflow_id == workflow_id, Enrollment.status == "active")
        .group_by(WorkflowVersion.number)
        .order_by(WorkflowVersion.number.desc())
    ).all()
    return {row[0]: row[1] for row in rows}


def published(session: Session, name: str) -> Sequence[WorkflowVersion]:
    """The published versions of a workflow, newest first; one query."""
    query = (
        select(WorkflowVersion)
        .join(Workflow, Workflow.id == WorkflowVersion.workflow_id)
        .where(Workflow.name == name)
        .order_by(WorkflowVersion.number.desc())
    )
    return session.scalars(query).all()


def numbered(session: Session, name: str, number: int) -> WorkflowVersion | None:
    """One published version of a workflow; one query."""
    return session.scalar(
        select(WorkflowVersion)
        .join(Workflow, Workflow.id == WorkflowVersion.workflow_id)
        .where(Workflow.name == name, WorkflowVersion.number == number)
    )
