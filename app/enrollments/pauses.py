"""A workflow at rest: pause and resume, archive and restore.

Paused, nobody enters, nobody takes a step and nothing planned goes out (R63). What is done about what came due
meanwhile is a rule chosen when it is paused; whatever the rule, a message past its `latest` is never sent (R59), so
that there is no burst. `preview` says beforehand how much would go out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, cast, get_args

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from app.enrollments import catalogue, passages, programs, sight, versions
from app.enrollments.models import Enrollment, Workflow
from app.journey import advance, entry
from app.journey.advance import Send
from app.journey.carry import GRACE, AfterPause, after_pause
from app.queues import signal

PAUSED_UNTIL = datetime(9999, 1, 1, tzinfo=UTC)
"""Where a paused workflow's unsent messages wait: no judge looks at them before it is resumed."""

REGRET = timedelta(minutes=1)
"""How long an archive that ends the passages inside can be taken back before anybody has left."""

SAMPLE = 2_000
"""A resume preview plays through at most this many people; of more it says "about"."""

RULES: Sequence[AfterPause] = get_args(AfterPause)


class NotNowError(ValueError):
    """What was asked cannot be done to a workflow in its present state; `args[0]` says why."""


_HOLD = text(
    """
    UPDATE messages SET due_at = :until, state = 'deferred', reason = 'workflow_paused', rule = 'R63'
    WHERE workspace_id = :workspace_id AND workflow_id = :workflow_id AND state IN ('planned', 'deferred', 'ready')
    """
)
_LET_GO = text(
    """
    UPDATE messages SET due_at = :now
    WHERE workspace_id = :workspace_id AND workflow_id = :workflow_id AND state = 'deferred'
        AND reason = 'workflow_paused'
    """
)
_CALL_OFF = text(
    """
    UPDATE messages SET state = 'cancelled', reason = 'workflow_paused', rule = 'R63', ended_at = :now
    WHERE workspace_id = :workspace_id AND workflow_id = :workflow_id AND state = 'deferred'
        AND reason = 'workflow_paused'
    """
)
_HELD = text(
    """
    SELECT count(*) FILTER (WHERE latest IS NULL OR latest >= :now) AS good, count(*) AS held FROM messages
    WHERE workspace_id = :workspace_id AND workflow_id = :workflow_id AND state = 'deferred'
        AND reason = 'workflow_paused'
    """
)


def pause(session: Session, name: str, now: datetime, when_resumed: AfterPause = "late_rules") -> None:
    """Stop a workflow: nobody enters, nobody takes a step, nothing planned goes out (R63).

    Args:
        when_resumed: what will be done about waits that end meanwhile; it can be changed at `resume`.

    Raises:
        catalogue.UnknownWorkflowError: there is none of that name.
        NotNowError: it does not run.
    """
    row = catalogue.named(session, name)
    if row.status == "paused":
        row.resume_rule = when_resumed
        return
    if row.status != "live":
        raise NotNowError(f"{name} does not run, so there is nothing to pause.")
    row.status, row.paused_at, row.resumed_at = "paused", now, None
    row.resume_rule, row.updated_at = when_resumed, now
    session.execute(_HOLD, {"workspace_id": row.workspace_id, "workflow_id": row.id, "until": PAUSED_UNTIL})


def resume(session: Session, name: str, now: datetime, when_resumed: AfterPause | None = None) -> None:
    """Let a paused workflow go on, by the rule of its pause or by another one. No burst (R59).

    Raises:
        catalogue.UnknownWorkflowError: there is none of that name.
    """
    row = catalogue.named(session, name)
    if row.status != "paused":
        return
    row.status, row.resumed_at, row.updated_at = "live", now, now
    row.resume_rule = when_resumed or row.resume_rule or "late_rules"
    # A pause too short for anything to be late holds nothing against what it held.
    late = row.resume_rule != "late_rules" and row.paused_at is not None and now - row.paused_at > GRACE
    parameters = {"workspace_id": row.workspace_id, "workflow_id": row.id, "now": now}
    session.execute(_CALL_OFF if late else _LET_GO, parameters)
    signal(session, "advance")
    signal(session, "gate")


@dataclass(frozen=True, slots=True)
class Resumed:
    """What would happen if a workflow were resumed now.

    `goes_out` are messages that would be judged at once (consent, caps and quiet hours may still hold some back);
    `too_late` are dropped as past their `latest`; `exact` is False where more people are overdue than were played
    through, and the figures are scaled up.
    """

    overdue: int
    leaves: int
    goes_out: int
    too_late: int
    held: int
    exact: bool


_OVERDUE = text(
    f"""
    SELECT {passages.COLUMNS}
    FROM enrollments e
    WHERE e.workspace_id = :workspace_id AND e.workflow_id = :workflow_id AND e.status = 'active'
        AND e.wake_at <= :now
    ORDER BY e.wake_at
    LIMIT :limit
    """
)


def preview(session: Session, row: Workflow, now: datetime, rule: AfterPause | None = None) -> Resumed:
    """What `resume` would set going, played through with production's own steps; it writes nothing.

    Args:
        rule: instead of the pause's own.

    About ten queries, whatever the number of people.
    """
    rule = rule or cast("AfterPause | None", row.resume_rule) or "late_rules"
    due = Enrollment.workflow_id == row.id, Enrollment.status == "active", Enrollment.wake_at <= now
    overdue = session.scalar(select(func.count()).select_from(Enrollment).where(*due)) or 0
    parameters = {"workspace_id": row.workspace_id, "workflow_id": row.id, "now": now}
    held = session.execute(_HELD, parameters).one()
    people = []
    for found in session.execute(_OVERDUE, {**parameters, "limit": SAMPLE}):
        try:
            people.append(passages.from_row(found))
        except ValueError:
            continue  # it steps aside with its error when its turn comes
    known = programs.of_versions(session, {one.version_id for one in people})
    sees = sight.load(session, people, known, now)
    goes_out = too_late = leaves = 0
    for one in people:
        seen = sees.of(one)
        program = known[one.version_id]
        if entry.exit_by_state(program, seen, now):
            leaves += 1
            continue
        dealt = after_pause(program, one.state, rule, now)
        state = dealt.state if dealt else one.state
        if state.status != "active":
            leaves += 1
            continue
        sends = [each for each in advance.advance(program, state, seen, now).effects if isinstance(each, Send)]
        late = sum(each.latest is not None and each.latest < now for each in sends)
        too_late += late
        goes_out += len(sends) - late
    scale = overdue / len(people) if people else 1
    dropped = rule != "late_rules" and row.paused_at is not None and now - row.paused_at > GRACE
    return Resumed(
        overdue=overdue,
        leaves=round(leaves * scale),
        goes_out=round(goes_out * scale) + (0 if dropped else held.good),
        too_late=round(too_late * scale) + (0 if dropped else held.held - held.good),
        held=held.held,
        exact=overdue <= SAMPLE,
    )


@dataclass(frozen=True, slots=True)
class Pause:
    """The last pause of a workflow, as `advance` needs it for what came due in it."""

    began: datetime
    ended: datetime
    rule: AfterPause

    def holds(self, until: datetime | None) -> bool:
        """Whether a wait ended in the pause."""
        return until is not None and self.began <= until <= self.ended


def pause_of(row: Any) -> Pause | None:
    """The pause in a row with `paused_at`, `resumed_at` and `resume_rule`; None where there was none."""
    if row.paused_at is None or row.resumed_at is None:
        return None
    return Pause(row.paused_at, row.resumed_at, row.resume_rule or "late_rules")


def archive(
    session: Session, name: str, now: datetime, *, by: str, inside: Literal["finish", "exit"] = "finish"
) -> int:
    """Close a workflow: nobody enters. Who is inside goes on to the end, or leaves; gives how many are inside.

    Who is to leave does so after `REGRET`, so that `restore` can still keep them.

    Raises:
        catalogue.UnknownWorkflowError: there is none of that name.
    """
    row = catalogue.named(session, name)
    if row.status == "paused":
        resume(session, name, now)
    row.status, row.archived_at, row.updated_at = "archived", now, now
    inside_now = select(func.count()).where(Enrollment.workflow_id == row.id, Enrollment.status == "active")
    people = session.scalar(inside_now) or 0
    if inside == "exit" and people and row.live_version_id:
        versions.begin(session, row.id, row.live_version_id, "exit", {}, by=by, now=now, due_at=now + REGRET)
    return people


def restore(session: Session, name: str, now: datetime) -> int:
    """Open an archived workflow again; gives how many people had left by the archive and are not brought back.

    Raises:
        catalogue.UnknownWorkflowError: there is none of that name.
    """
    row = catalogue.named(session, name)
    if row.status != "archived":
        return 0
    row.status, row.archived_at, row.updated_at = ("live" if row.live_version_id else "draft"), None, now
    return versions.call_off(session, row.id, "exit", now)
