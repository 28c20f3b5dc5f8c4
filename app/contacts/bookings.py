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

_KNOWN = text(
    """
    SELECT b.kind, b.reference, b.id, b.contact_id
      FROM bookings b JOIN unnest(CAST(:kinds AS text[]), CAST(:references AS text[])) AS x (kind, reference)
        ON b.kind = x.kind AND b.reference = x.reference
     WHERE b.workspace_id = :workspace
    """
)
_ROWS = text(
    """
    SELECT id, kind, reference, contact_id, claims, revision FROM bookings
     WHERE workspace_id = :workspace AND id = ANY(:ids) ORDER BY id FOR UPDATE
    """
)
_TEXTS = ("status", "arrival", "departure", "currency", "channel", "language", "room_type", "rate")
_INSTANTS = ("booked_at", "cancelled_at", "checked_in_at", "checked_out_at")
_NUMBERS = ("contact_id", "property_id", "nights", "adults", "children", "amount")
_DAYS = ("arrival", "departure")
_FOLDED = (*_NUMBERS, *_TEXTS, *_INSTANTS)
_ARRAYS = (
    "unnest(CAST(:ids AS bigint[]), CAST(:kind AS text[]), CAST(:reference AS text[]), CAST(:data AS text[]), "
    "CAST(:claims AS text[]), CAST(:revision AS integer[]), "
    + ", ".join(f"CAST(:{name} AS {'bigint' if name in _NUMBERS else 'text'}[])" for name in _FOLDED)
    + ") AS x (id, kind, reference, data, claims, revision, "
    + ", ".join(_FOLDED)
    + ")"
)


def _cast(name: str) -> str:
    if name in _DAYS:
        return f"CAST(x.{name} AS date)"
    return f"CAST(x.{name} AS timestamptz)" if name in _INSTANTS else f"x.{name}"


_INSERT = text(
    "INSERT INTO bookings (workspace_id, id, kind, reference, data, claims, revision, created_at, updated_at, "
    + ", ".join(_FOLDED)
    + ") SELECT :workspace, x.id, x.kind, x.reference, CAST(x.data AS jsonb), CAST(x.claims AS jsonb), x.revision, "
    + ":now, :now, "
    + ", ".join(_cast(name) for name in _FOLDED)
    + f" FROM {_ARRAYS}"
)
_UPDATE = text(
    "UPDATE bookings b SET data = CAST(x.data AS jsonb), claims = CAST(x.claims AS jsonb), revision = x.revision, "
    "updated_at = :now, "
    + ", ".join(f"{name} = {_cast(name)}" for name in _FOLDED)
    + f" FROM {_ARRAYS} WHERE b.workspace_id = :workspace AND b.id = x.id"
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
    wanted = sorted(set(refs))
    found = connection.execute(
        _KNOWN,
        {
            "workspace": workspace_id,
            "kinds": [kind for kind, _ in wanted],
            "references": [reference for _, reference in wanted],
        },
    )
    return {(row.kind, row.reference): (row.id, row.contact_id) for row in found}


def locked_rows(connection: Connection, workspace_id: int, ids: Iterable[int]) -> list[BookingRow]:
    """These bookings, locked until the unit of work ends. One query."""
    found = connection.execute(_ROWS, {"workspace": workspace_id, "ids": sorted(set(ids))})
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


def write(connection: Connection, workspace_id: int, rows: Sequence[BookingRow], now: datetime) -> None:
    """Insert new rows and update the others: at most two queries. Every row is folded."""
    for statement, some in ((_INSERT, [r for r in rows if r.is_new]), (_UPDATE, [r for r in rows if not r.is_new])):
        if some:
            connection.execute(statement, {"workspace": workspace_id, "now": now, **_columns(some)})


def _columns(rows: Sequence[BookingRow]) -> dict[str, list[Any]]:
    folded: list[Any] = [row.folded for row in rows]
    columns: dict[str, list[Any]] = {name: [one[name] for one in folded] for name in _FOLDED}
    columns["ids"] = [row.id for row in rows]
    columns["kind"] = [row.kind for row in rows]
    columns["reference"] = [row.reference for row in rows]
    columns["revision"] = [row.revision for row in rows]
    columns["data"] = [_encode(one["data"]).decode() for one in folded]
    columns["claims"] = [_encode(row.claims).decode() for row in rows]
    return columns


def pair_replaced(connection: Connection, workspace_id: int, contacts: Iterable[int], within: str) -> None:
    """Mark the bookings that an OTA cancelled to book anew (X25). One query; see `Booking.replaced_by`.

    Safe beside others, for who calls it holds the rows of these contacts.
    """
    wanted = {"workspace": workspace_id, "contacts": sorted(set(contacts)), "within": within}
    connection.execute(_PAIR, wanted)
