"""Counting for experiments: people by what they drew, and what became of them.

The unit is the person, never the passage or the message: a person is drawn once, and ten bookings of one regular guest
are no ten independent answers. Everybody who was drawn counts, whether or not anything reached them (intention to
treat); a goal shared by two passages counts once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.orm import Session

from app.db import workspace_of
from app.journey.inference import Amounts
from app.journey.program import Program, SendOp, SplitOp, ways_out


@dataclass(frozen=True, slots=True)
class Tally:
    """People of one variant or group. Amounts are in minor units."""

    people: int = 0
    goals: int = 0
    """Of them, who reached the goal."""
    amount: int = 0
    """What their goals were worth together."""
    squares: float = 0.0
    """The sum of the squares of each person's amount."""
    open: int = 0
    """Of them, whose time for the goal is not over yet."""
    sent: int = 0
    """Of them, to whom a message went out."""
    observable: int = 0
    """Of those, whose clicks may be seen: the others have not consented to tracking (R15)."""
    clicked: int = 0
    """Of those, who clicked."""

    @property
    def amounts(self) -> Amounts:
        """As `journey.inference` reads them."""
        return Amounts(self.people, self.amount, self.squares)


_BEGUN = text(
    """
    SELECT min(at) FROM step_visits
    WHERE workspace_id = :workspace_id AND workflow_id = :workflow_id AND step_id = :step_id AND code = 'split'
    """
)
_SINCE = text(
    """
    SELECT count(DISTINCT contact_id) FROM step_visits
    WHERE workspace_id = :workspace_id AND workflow_id = :workflow_id AND step_id = :step_id AND code = 'split'
        AND at > :since AND detail #>> '{inputs,by}' IS DISTINCT FROM 'kept'
    """
)
# One pass from passages to people, without joining what was computed to what was computed: the planner knows nothing of
# such rows, takes them for one, and pairs thousands with thousands.
_VARIANTS = text(
    """
    WITH passed AS (
        SELECT v.contact_id, v.enrollment_id, min(v.at) AS at FROM step_visits v
        WHERE v.workspace_id = :workspace_id AND v.workflow_id = :workflow_id AND v.step_id = :step_id
            AND v.code = 'split' AND v.at <= coalesce(CAST(:before AS timestamptz), 'infinity')
        GROUP BY 1, 2
    ),
    theirs AS (
        SELECT p.contact_id, p.enrollment_id, p.at, e.goal_at >= p.at AS reached, e.goal_value,
            row_number() OVER (PARTITION BY p.contact_id, e.goal_event, e.goal_at >= p.at ORDER BY p.at) AS nth,
            e.state -> 'variants' ->> CAST(:step_id AS text) AS variant, l.sent, l.observable, l.clicked
        FROM passed p
        JOIN enrollments e ON e.workspace_id = :workspace_id AND e.contact_id = p.contact_id AND e.id = p.enrollment_id
        LEFT JOIN LATERAL (
            SELECT true AS sent, bool_or(m.facts -> 'mail' ->> 'track' = 'true') AS observable,
                bool_or(m.facts -> 'mail' ->> 'track' = 'true' AND m.clicked_at IS NOT NULL) AS clicked
            FROM messages m
            WHERE m.workspace_id = :workspace_id AND m.contact_id = p.contact_id AND m.enrollment_id = p.enrollment_id
                AND m.state = 'accepted' AND m.step_id = ANY(:steps)
            HAVING count(*) > 0
        ) AS l ON true
        WHERE e.version_id = ANY(:versions) AND e.control IS NULL
    ),
    people AS (
        SELECT (array_agg(variant ORDER BY at, enrollment_id))[1] AS variant,
            coalesce(bool_or(reached), false) AS reached,
            coalesce(sum(goal_value) FILTER (WHERE reached AND nth = 1), 0) AS amount, bool_or(sent) AS sent,
            bool_or(observable) AS observable, bool_or(clicked) AS clicked
        FROM theirs GROUP BY contact_id
    )
    SELECT variant, count(*) AS people, count(*) FILTER (WHERE reached) AS goals, sum(amount) AS amount,
        sum(amount * amount) AS squares, count(*) FILTER (WHERE sent) AS sent,
        count(*) FILTER (WHERE observable) AS observable, count(*) FILTER (WHERE clicked) AS clicked
    FROM people WHERE variant IS NOT NULL GROUP BY variant
    """
)
_GROUPS = text(
    """
    WITH theirs AS (
        SELECT contact_id, id, coalesce(control, 'treated') AS drawn, holdout, entered_at, goal_at, goal_value,
            row_number() OVER (PARTITION BY contact_id, goal_event, goal_at IS NULL ORDER BY entered_at, id) AS nth
        FROM enrollments WHERE workspace_id = :workspace_id AND workflow_id = :workflow_id AND holdout IS NOT NULL
    ),
    people AS (
        SELECT (array_agg(drawn ORDER BY entered_at, id))[1] AS drawn,
            (array_agg(holdout ORDER BY entered_at, id))[1] AS holdout, min(entered_at) AS entered_at,
            count(goal_at) > 0 AS reached,
            coalesce(sum(goal_value) FILTER (WHERE goal_at IS NOT NULL AND nth = 1), 0) AS amount
        FROM theirs GROUP BY contact_id
    )
    SELECT drawn, count(*) AS people, count(*) FILTER (WHERE reached) AS goals, sum(amount) AS amount,
        sum(amount * amount) AS squares, count(*) FILTER (WHERE entered_at > :closed AND NOT reached) AS open
    FROM people WHERE holdout = :holdout GROUP BY drawn
    """
)


def begun(session: Session, workflow_id: int, step_id: str) -> datetime | None:
    """When the first person came to a split; one query."""
    found: datetime | None = session.scalar(_BEGUN, _asked(session, workflow_id, step_id))
    return found


def passed_since(session: Session, workflow_id: int, step_id: str, since: datetime) -> int:
    """How many people a split has sent a way after an instant, without who only came round again; one query."""
    return int(session.scalar(_SINCE, {**_asked(session, workflow_id, step_id), "since": since}) or 0)


def variants(
    session: Session,
    workflow_id: int,
    step_id: str,
    versions: Sequence[int],
    steps: Sequence[str],
    before: datetime | None,
) -> dict[str, Tally]:
    """Variant's name → its people, each with the first variant they drew; one query.

    Goals count from the moment the person came to the split. Whom the workspace holds out of marketing is left out.

    Args:
        versions: the versions that make up the experiment.
        steps: the sends whose messages and clicks count.
        before: only who came to the split up to this instant; None: all.
    """
    asked = _asked(session, workflow_id, step_id)
    rows = session.execute(_VARIANTS, {**asked, "versions": list(versions), "steps": list(steps), "before": before})
    return {
        row.variant: Tally(
            row.people,
            row.goals,
            int(row.amount),
            float(row.squares),
            sent=row.sent,
            observable=row.observable,
            clicked=row.clicked,
        )
        for row in rows
    }


def groups(session: Session, workflow_id: int, holdout: str, closed: datetime) -> dict[str, Tally]:
    """`treated`, `workflow`, `workspace` → the people of one draw; one query.

    Args:
        holdout: which draw, as `experiments.draw_name` calls it.
        closed: whoever came after this instant may still reach the goal.
    """
    asked = {"workspace_id": workspace_of(session), "workflow_id": workflow_id, "holdout": holdout, "closed": closed}
    return {
        row.drawn: Tally(row.people, row.goals, int(row.amount), float(row.squares), row.open)
        for row in session.execute(_GROUPS, asked)
    }


def sends_behind(program: Program, op: SplitOp) -> tuple[str, ...]:
    """The sends that somebody who has passed a split may come to."""
    reached: set[int] = set()
    ahead = list(ways_out(op))
    while ahead:
        place = ahead.pop()
        if place not in reached:
            reached.add(place)
            ahead += ways_out(program.ops[place])
    return tuple(each.id for place in sorted(reached) if isinstance(each := program.ops[place], SendOp))


def _asked(session: Session, workflow_id: int, step_id: str) -> dict[str, object]:
    return {"workspace_id": workspace_of(session), "workflow_id": workflow_id, "step_id": step_id}
