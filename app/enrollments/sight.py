"""What a batch of passages sees: the same facts wherever steps are taken, looked ahead at, or taken to a new version.

The person's facts, their segments, what they did with the passage's messages, what has happened to them, and which
variants have won: whatever the programs at hand ask for, in a fixed number of queries.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from app.audience import facts as audience
from app.audience.facts import Facts, Who
from app.enrollments import experiments, history, passages, programs
from app.enrollments.history import Past
from app.enrollments.passages import Inside
from app.journey.program import Program

QUERIES = audience.QUERIES + 7
"""Facts; and where a program asks: segments, what these rest on (2), clicks, what has happened (2), winners."""


@dataclass(frozen=True, slots=True)
class Sight:
    """What was loaded for a batch."""

    facts: Mapping[Who, Facts]
    past: Mapping[int, Sequence[Past]]
    won: Mapping[int, Mapping[str, str]]

    def of(self, row: Inside) -> Facts:
        """What one passage sees."""
        seen = row.facts(self.facts)
        booking = seen["booking"]
        reference = booking["reference"] if booking else None
        past = history.as_facts(self.past.get(row.contact_id, ()), reference)
        return {**seen, **past, "experiments": self.won.get(row.version_id, {})}


def load(session: Session, rows: Sequence[Inside], known: Mapping[int, Program], now: datetime) -> Sight:
    """Everything that these passages may ask for, by their programs; see `QUERIES`."""
    if not rows:
        return Sight({}, {}, {})
    segments = programs.asks(known.values(), "contact.segments")
    facts = audience.load(session, [row.who for row in rows], now, segments=segments)
    passages.load_acts(session, rows, known, now)
    passages.load_traced(session, rows, known)
    past = history.load(session, [row.contact_id for row in rows], known.values(), now)
    return Sight(facts, past, experiments.winners(session, known))
