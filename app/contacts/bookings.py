"""Reads, locks and writes booking rows for a batch; what they come to is `projection.fold`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Connection, text

from app.contacts.projection import Claim, Folded, fold, in_order, together

_encode = msgspec.json.Encoder().encode

Ref = tuple[str, str]
"""Kind (booking or order) and reference."""

# Looked up one by one, and locked in the order given: see identity.py.
_KNOWN = text(
    """
    SELECT x.kind, x.reference, b.id, b.contact_id
      FROM unnest(CAST(:kinds AS text[]), CAST(:references AS text[])) AS x (kind, reference)
      CROSS JOIN LATERAL (
        SELECT id, contact_id FROM bookings
         WHERE workspace_id = :workspace AND kind = x.kind AND reference = x.reference OFFSET 0) AS b
    """
)
_ROWS = text(
    """
    SELECT b.* FROM unnest(CAST(:kinds AS text[]), CAST(:references AS text[])) AS x (kind, reference)
      CROSS JOIN LATERAL (
        SELECT id, kind, reference, contact_id, claims, revision FROM bookings
         WHERE workspace_id = :workspace AND kind = x.kind AND reference = x.reference FOR UPDATE) AS b
    """
)
_TYPES = {
    **dict.fromkeys(("contact_id", "property_id", "amount"), "bigint"),
    **dict.fromkeys(("nights", "adults", "children"), "integer"),
    **dict.fromkeys(("status", "currency", "channel", "language", "room_type", "rate"), "text"),
    **dict.fromkeys(("arrival", "departure"), "date"),
    **dict.fromkeys(("booked_at", "cancelled_at", "checked_in_at", "checked_out_at"), "timestamptz"),
    "data": "jsonb",
}
"""The fields of a folded booking, each with its column's type."""
_GIVEN = (
    "json_to_recordset(CAST(:rows AS json)) "
    "AS x (id bigint, kind text, reference text, claims jsonb, revision integer, "
    + ", ".join(f"{name} {type_}" for name, type_ in _TYPES.items())
    + ")"
)
_NAMES = ", ".join(_TYPES)
_INSERT = text(
    f"""
    INSERT INTO bookings (workspace_id, id, kind, reference, claims, revision, created_at, updated_at, {_NAMES})
    SELECT :workspace, id, kind, reference, claims, revision, :now, :now, {_NAMES} FROM {_GIVEN}
    """
)
_UPDATE = text(
    f"""
    WITH x AS (SELECT * FROM {_GIVEN})
    UPDATE bookings b SET claims = x.claims, revision = x.revision, updated_at = :now,
           {", ".join(f"{name} = x.{name}" for name in _TYPES)}
      FROM x WHERE b.workspace_id = :workspace AND b.id = ANY(ARRAY(SELECT id FROM x)) AND b.id = x.id
    """
)
_PAIR = text(
    """
    UPDATE bookings old SET replaced_by = found.id
      FROM (SELECT o.id AS old_id,
                   (SELECT n.id FROM bookings n
                     WHERE n.workspace_id = o.workspace_id AND n.contact_id = o.contact_id AND n.kind = 'booking'
                       AND n.id <> o.id AND o.status = 'cancelled' AND n.channel = o.channel
                       AND n.booked_at BETWEEN o.cancelled_at - CAST(:within AS interval)
                                           AND o.cancelled_at + CAST(:within AS interval)
                       AND n.booked_at > o.booked_at
                       AND (n.arrival < o.departure AND o.arrival < n.departure
                            OR n.data->>'ota_reference' = o.data->>'ota_reference')
                     ORDER BY n.booked_at, n.reference LIMIT 1) AS id
              FROM bookings o
             WHERE o.workspace_id = :workspace AND o.contact_id = ANY(:contacts) AND o.kind = 'booking'
               AND lower(o.channel) <> 'direct') AS found
     WHERE old.workspace_id = :workspace AND old.id = found.old_id AND old.replaced_by IS DISTINCT FROM found.id
     RETURNING old.id, old.replaced_by
    """
)


@dataclass(slots=True, eq=False)
class BookingRow:
    """A booking while a batch is worked on. `id` is 0 until a new one is given its number."""

    kind: str
    reference: str
    id: int = 0
    contact_id: int = 0
    claims: list[Claim] = field(default_factory=list)
    revision: int = 0
    is_new: bool = False
    new_claims: list[Claim] = field(default_factory=list)
    folded: Folded | None = None
    moved: bool = False
    """Its folded state really changed (a new booking's counts too)."""

    @property
    def owner(self) -> int:
        """Whose it is now."""
        return self.folded["contact_id"] if self.folded else self.contact_id

    def refold(self) -> bool:
        """Take in the new claims; gives whether the row is to be written."""
        claims = together(self.claims, self.new_claims)
        if claims == self.claims:
            return False
        before = fold(in_order(self.claims)) if self.claims else None
        after = fold(claims)
        if before is not None:
            # Whoever a stored claim names may have been merged into somebody since; the row knows better.
            before["contact_id"] = self.contact_id
            if after["contact_id"] not in {claim.get("contact") for claim in self.new_claims}:
                after["contact_id"] = self.contact_id
        self.claims, self.folded = claims, after
        self.moved = before != self.folded
        self.revision += self.moved
        return True


def known(connection: Connection, workspace_id: int, refs: Iterable[Ref]) -> dict[Ref, tuple[int, int]]:
    """(kind, reference) → (booking id, contact id) of those that exist. One query, no lock."""
    found = connection.execute(_KNOWN, _wanted(workspace_id, refs))
    return {(row.kind, row.reference): (row.id, row.contact_id) for row in found}


def locked_rows(connection: Connection, workspace_id: int, refs: Iterable[Ref]) -> list[BookingRow]:
    """These bookings, locked until the unit of work ends. One query."""
    found = connection.execute(_ROWS, _wanted(workspace_id, refs))
    return [
        BookingRow(
            kind=row.kind,
            reference=row.reference,
            id=row.id,
            contact_id=row.contact_id,
            claims=row.claims,
            revision=row.revision,
        )
        for row in found
    ]


def _wanted(workspace_id: int, refs: Iterable[Ref]) -> dict[str, Any]:
    some = sorted(set(refs))
    return {
        "workspace": workspace_id,
        "kinds": [kind for kind, _ in some],
        "references": [reference for _, reference in some],
    }


def write(connection: Connection, workspace_id: int, rows: Sequence[BookingRow], now: datetime) -> None:
    """Insert new rows and update the others: at most two queries. Every row is folded."""
    for statement, some in ((_INSERT, [r for r in rows if r.is_new]), (_UPDATE, [r for r in rows if not r.is_new])):
        if some:
            given = _encode([_row(row) for row in some]).decode()
            connection.execute(statement, {"workspace": workspace_id, "now": now, "rows": given})


def _row(row: BookingRow) -> dict[str, Any]:
    assert row.folded is not None
    return {
        "id": row.id,
        "kind": row.kind,
        "reference": row.reference,
        "claims": row.claims,
        "revision": row.revision,
        **row.folded,
    }


def pair_replaced(connection: Connection, workspace_id: int, contacts: Iterable[int], within: str) -> list[int]:
    """Mark the bookings that an OTA cancelled to book anew (X25), and give those newly marked. One query; see
    `Booking.replaced_by`.

    Safe beside others, for who calls it holds the rows of these contacts.
    """
    wanted = {"workspace": workspace_id, "contacts": sorted(set(contacts)), "within": within}
    return [row.id for row in connection.execute(_PAIR, wanted) if row.replaced_by is not None]
