"""Steps that ask for consent: the request goes on record with its one message, in the transaction of the step.

`messages/asking.py` decides who is asked; the passage of whoever is not goes on at once, with the reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy.orm import Session

from app.audience.facts import Facts, Who
from app.enrollments.passages import Inside
from app.journey import advance
from app.journey.advance import AskConsent, Decision
from app.journey.program import Program
from app.messages import asking
from app.messages.asking import Ask

QUERIES = asking.QUERIES
"""At most; none where nobody is asked."""

METHOD = "workflow"
"""How the ledger says that a request came about."""


def ask(
    session: Session,
    wanted: Sequence[tuple[Inside, AskConsent]],
    known: Mapping[int, Program],
    facts: Mapping[Who, Facts],
    now: datetime,
) -> list[tuple[Inside, Decision]]:
    """Ask these people; gives what is to be told of those who are not asked, whose passages have gone on.

    The caller holds the ledger's lock (`ledger.try_lock`).
    """
    asked = asking.ask(session, [_request(row, effect, known[row.version_id]) for row, effect in wanted], now)
    told: list[tuple[Inside, Decision]] = []
    for (row, _), answer in zip(wanted, asked, strict=True):
        if answer.line is not None or answer.why == "pending":
            continue
        moved = advance.turned_down(known[row.version_id], row.state, answer.why, row.facts(facts), now)
        if moved is not None:
            row.become(moved.state, now)
            told += [(row, decision) for decision in moved.trace]
    return told


def _request(row: Inside, effect: AskConsent, program: Program) -> Ask:
    return Ask(
        contact_id=row.contact_id,
        topic=effect.topic,
        property_id=row.property_id,
        template=effect.template,
        proof={"workflow": program.workflow, "step": effect.step_id},
        method=METHOD,
        enrollment_id=row.id,
        workflow_id=row.workflow_id,
        version_id=row.version_id,
        step_id=effect.step_id,
        visit=effect.visit,
        booking_id=row.booking_id,
        passage=row.spoken,
    )
