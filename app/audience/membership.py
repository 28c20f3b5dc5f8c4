"""Who is in which segment, kept up to date in batches; every change is told once, as `segment.entered` or `.left`.

Two kinds of work, changes before all else:

* **changes**: triggers note whose contact, booking, consent or clicks changed (`contact_changes`); these people are
  judged against every segment, in one query for all segments.
* **looking at everybody**: after a definition was written, and when time alone may have moved somebody. The rule: a
  condition that compares calendar days with now is looked at after each midnight of a property, one that compares
  instants, or asks for clicks within a time, at each full hour; all others never. Pages of `PAGE` times the batch, by
  contact number, so that no transaction is long.

The first look after a definition was written tells nobody (unless a backfill was asked for); whoever it has not come to
yet is left to it. Who was erased, merged or frozen leaves without being told of.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from app.audience import definitions, person
from app.audience.models import Segment, SegmentMember
from app.audience.segments import ALIVE, FROM, compiled, judged
from app.db import Ran, as_rows, workspace_of
from app.events.record import OwnEvent, record_own
from app.journey.condition_tree import Condition, from_json

QUERIES = 10
"""At most this many statements a batch: lock, segments, changes, properties, verdicts, who is in, write, counts, and
two to tell of it; whatever the number of people and segments."""

PAGE = 10
"""A look at everybody takes so many times the batch's size at once: few of them change, and only changes cost."""

_LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended('segments', :workspace_id))")
_TAKE = text(
    """
    DELETE FROM contact_changes WHERE workspace_id = :workspace_id AND id = ANY(ARRAY(
        SELECT id FROM contact_changes WHERE workspace_id = :workspace_id ORDER BY at, id LIMIT :limit))
    RETURNING contact_id
    """
)
_WRITE = text(
    """
    WITH r AS (
        SELECT * FROM json_to_recordset(CAST(:rows AS json)) AS r(contact_id bigint, segment_id bigint, inside boolean)
    ), gone AS (
        DELETE FROM segment_members m USING r
        WHERE m.workspace_id = :workspace_id AND m.contact_id = ANY(ARRAY(SELECT contact_id FROM r))
            AND m.contact_id = r.contact_id AND m.segment_id = r.segment_id AND NOT r.inside
    )
    INSERT INTO segment_members (workspace_id, contact_id, segment_id, since)
    SELECT :workspace_id, contact_id, segment_id, :now FROM r WHERE inside
    ON CONFLICT DO NOTHING
    """
)
_COUNT = text(
    """
    UPDATE segments s SET members = s.members + r.more
    FROM json_to_recordset(CAST(:rows AS json)) AS r(id bigint, more int)
    WHERE s.workspace_id = :workspace_id AND s.id = r.id
    """
)
_LOOKED = text(
    """
    UPDATE segments SET members = members + :more, cursor = :cursor, silent = silent AND NOT :over,
        refreshed_at = CASE WHEN :over THEN :now ELSE refreshed_at END,
        due_at = CASE WHEN :over THEN :due_at ELSE due_at END
    WHERE workspace_id = :workspace_id AND id = :id
    """
)


@dataclass(slots=True)
class _Batch:
    """What a batch found: who comes in, who goes out, and of whom it is told."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    told: list[OwnEvent] = field(default_factory=list)
    more: dict[int, int] = field(default_factory=dict)

    def move(self, segment: Segment, contact_ids: Iterable[int], now: datetime, *, into: bool, tell: bool) -> None:
        """Put people in or out of a segment."""
        for contact_id in contact_ids:
            self.rows.append({"contact_id": contact_id, "segment_id": segment.id, "inside": into})
            self.more[segment.id] = self.more.get(segment.id, 0) + (1 if into else -1)
            if tell:
                kind = "segment.entered" if into else "segment.left"
                self.told.append(OwnEvent(contact_id, kind, now, {"segment": segment.name}))


def run(session: Session, now: datetime, limit: int) -> Ran:
    """One batch for one workspace: up to `limit` changes, or else a page of a look at everybody."""
    workspace_id = workspace_of(session)
    # One at a time in a workspace: two could else tell of one change twice.
    session.execute(_LOCK, {"workspace_id": workspace_id})
    segments = session.scalars(select(Segment).where(Segment.archived_at.is_(None)).order_by(Segment.id)).all()
    # Triggers note changes in the order of commits; the oldest first, whoever they are.
    taken = session.execute(_TAKE, {"workspace_id": workspace_id, "limit": limit}).scalars().all()
    if taken:
        _changes(session, segments, sorted(set(taken)), now)
        return Ran(len(taken), True)
    due = sorted((one for one in segments if one.due_at and one.due_at <= now), key=lambda one: (one.due_at, one.id))
    if not due:
        return Ran(0, False)
    done, over = _look(session, due[0], now, limit * PAGE)
    return Ran(max(done, 1), not over or len(due) > 1)


def _changes(session: Session, segments: Sequence[Segment], contact_ids: Sequence[int], now: datetime) -> None:
    """Judge these people against every segment."""
    asked: Mapping[int, Condition] = {one.id: from_json(one.condition) for one in segments}
    if not asked:
        return
    verdicts = judged(session, asked, contact_ids, now)
    rows = session.execute(
        select(SegmentMember.contact_id, SegmentMember.segment_id).where(SegmentMember.contact_id.in_(contact_ids))
    )
    inside = {(row.contact_id, row.segment_id) for row in rows}
    batch = _Batch()
    for segment in segments:
        # A silent look that has not come to somebody yet will, and tells nobody of what the new words made of them.
        ahead = segment.silent and (segment.cursor > 0 or (segment.due_at is not None and segment.due_at <= now))
        reached = [one for one in contact_ids if not (ahead and one > segment.cursor)]
        is_in = {one for one in reached if (one, segment.id) in inside}
        belongs = {one for one in reached if verdicts.get(one, {}).get(segment.id) is True}
        dead = {one for one in is_in if one not in verdicts}
        batch.move(segment, sorted(belongs - is_in), now, into=True, tell=True)
        batch.move(segment, sorted(is_in - belongs - dead), now, into=False, tell=True)
        batch.move(segment, sorted(dead), now, into=False, tell=False)
    _write(session, batch, now)
    if batch.more:
        counts = as_rows([{"id": number, "more": more} for number, more in batch.more.items()])
        session.execute(_COUNT, {"workspace_id": workspace_of(session), "rows": counts})


def _look(session: Session, segment: Segment, now: datetime, size: int) -> tuple[int, bool]:
    """One page of a look at everybody; gives how many people it saw, and whether it was the last."""
    places = person.places(session)
    asked = compiled(from_json(segment.condition), places, now)
    # FROM names contacts c; who is dead is looked at too, as they may still be in.
    found = session.execute(
        text(
            f"""
            WITH page AS (
                SELECT c.id, ({ALIVE}) AS alive, (({ALIVE}) AND {asked.holds}) IS TRUE AS inside,
                    EXISTS (SELECT 1 FROM segment_members m WHERE m.workspace_id = c.workspace_id
                        AND m.contact_id = c.id AND m.segment_id = :segment_id) AS was
                FROM {FROM}
                WHERE c.workspace_id = :workspace_id AND c.id > :cursor ORDER BY c.id LIMIT :size
            )
            SELECT count(*) AS seen, max(id) AS last, array_agg(id) FILTER (WHERE inside AND NOT was) AS coming,
                array_agg(id) FILTER (WHERE was AND NOT inside AND alive) AS going,
                array_agg(id) FILTER (WHERE was AND NOT alive) AS dead
            FROM page
            """
        ),
        {
            **asked.parameters,
            "workspace_id": segment.workspace_id,
            "segment_id": segment.id,
            "cursor": segment.cursor,
            "size": size,
        },
    ).one()
    batch, over = _Batch(), found.seen < size
    batch.move(segment, found.coming or (), now, into=True, tell=not segment.silent)
    batch.move(segment, found.going or (), now, into=False, tell=not segment.silent)
    batch.move(segment, found.dead or (), now, into=False, tell=False)
    _write(session, batch, now)
    moves = definitions.Definition(segment.source, from_json(segment.condition)).moves
    session.execute(
        _LOOKED,
        {
            "workspace_id": segment.workspace_id,
            "id": segment.id,
            "more": batch.more.get(segment.id, 0),
            "cursor": 0 if over else found.last,
            "over": over,
            "now": now,
            "due_at": definitions.next_due(moves, places, now),
        },
    )
    return found.seen, over


def _write(session: Session, batch: _Batch, now: datetime) -> None:
    if not batch.rows:
        return
    parameters = {"workspace_id": workspace_of(session), "rows": as_rows(batch.rows), "now": now}
    session.execute(_WRITE, parameters)
    record_own(session, batch.told, now)
