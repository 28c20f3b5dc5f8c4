"""The demo's way out: mails are kept in the outbox instead of being sent."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import text

from app.clock import Clock
from app.db import Database
from app.delivery.providers import Accepted, Outcome, Outgoing

_INSERT = text(
    """
    INSERT INTO captured_mails (workspace_id, contact_id, message_pk, envelope_from, envelope_to, raw, captured_at)
    SELECT :workspace_id, m.*, :now
    FROM unnest(CAST(:contact_id AS bigint[]), CAST(:message_pk AS bigint[]), CAST(:envelope_from AS text[]),
                CAST(:envelope_to AS text[]), CAST(:raw AS bytea[])) AS m
    ON CONFLICT (workspace_id, message_pk) DO NOTHING
    """
)
_FIELDS = ("contact_id", "message_pk", "envelope_from", "envelope_to", "raw")


class Capture:
    """Writes `captured_mails`; handing the same message over twice keeps one.

    Args:
        database: where the outbox is.
        clock: tells when.
        workspace_id: whose outbox.
    """

    name = "capture"

    def __init__(self, database: Database, clock: Clock, workspace_id: int) -> None:
        self._database = database
        self._clock = clock
        self._workspace_id = workspace_id

    def send(self, group: Sequence[Outgoing]) -> list[Outcome]:
        """Keep every mail of the group: one transaction, one statement."""
        columns = {name: [getattr(mail, name) for mail in group] for name in _FIELDS}
        with self._database.work(self._workspace_id) as session:
            session.execute(_INSERT, {"workspace_id": self._workspace_id, "now": self._clock.now(), **columns})
        return [Accepted(provider_id=None, text="kept in the outbox") for _ in group]

    def close(self) -> None:
        """Nothing is held."""
