"""The first steps of a passage, in the transaction that lets it in: saves writing and reading it once more.

Only what needs nothing but a message to be planned; whatever else a passage would do first, and whoever raises, is
left to `advance`, which comes round at once and keeps the error where it can be seen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

import structlog
from sqlalchemy.orm import Session

from app.audience.facts import Facts
from app.enrollments import experiments, passages
from app.enrollments.passages import Inside
from app.enrollments.planned import as_planned
from app.journey import advance
from app.journey.advance import Advanced, Left, Send
from app.journey.program import Program
from app.messages.plan import Planned

QUERIES = 3
"""Winners of splits, and what segments rest on (2), where a program asks; the messages are planned by the caller."""

log = structlog.get_logger()


def take(
    session: Session,
    fresh: Sequence[Inside],
    known: Mapping[int, Program],
    seen: Callable[[Inside], Facts],
    now: datetime,
) -> list[tuple[Inside, Advanced, list[Planned]]]:
    """What becomes of passages that have just begun, and the messages they want; nothing is written.

    Args:
        fresh: with their numbers.
        seen: what a passage sees.
    """
    due = [row for row in fresh if row.state.status == "active" and row.state.wake_at and row.state.wake_at <= now]
    won = experiments.winners(session, {row.version_id: known[row.version_id] for row in due}) if due else {}
    passages.load_traced(session, due, known)
    taken = []
    for row in due:
        program = known[row.version_id]
        # Of a passage that has sent nothing yet, nothing was clicked.
        row.acts, row.promotes = {}, program.promotes
        try:
            facts = {**seen(row), "experiments": won.get(row.version_id, {})}
            moved = advance.advance(program, row.state, facts, now)
            sends = [effect for effect in moved.effects if isinstance(effect, Send)]
            if any(send.skip_if_sent_within for send in sends):
                continue
            if all(isinstance(effect, Send | Left) for effect in moved.effects):
                taken.append((row, moved, [as_planned(row, send, program, now) for send in sends]))
        except Exception:
            log.exception("first_steps_left", enrollment_id=row.id, workflow_id=row.workflow_id)
    return taken
