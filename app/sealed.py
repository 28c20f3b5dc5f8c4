"""Secrets that we must be able to read again (keys of providers, signing secrets), kept sealed in the database.

One mechanism for all of them: sealed with the present `PERCORSO_SECRET`, opened with any that is still accepted. A
column that holds sealed texts, alone or anywhere within JSON, is marked `info=SEALED`; `reseal` walks the marks, so
that after a change of the secret nothing hangs on the old one.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from sqlalchemy import Column, ColumnElement, Table, select, update
from sqlalchemy.orm import Session

from app.config import Settings
from app.db import IMPERSONAL, Base, settings_of

SEALED: dict[Any, Any] = {**IMPERSONAL, "sealed": True}
"""`mapped_column(info=SEALED)` marks a column in which `seal` put what it holds."""

_MARK = "gAAAAA"
"""What every sealed text begins with: version and the first bytes of the time, until the year 2106."""


def seal(settings: Settings, text: str) -> str:
    """`text`, so that only this house can read it."""
    return _box(settings.secret, settings.previous_secrets).encrypt(text.encode()).decode()


def opened(settings: Settings, sealed: str) -> str | None:
    """What was sealed; None where it was under a secret that is no longer known."""
    try:
        return _box(settings.secret, settings.previous_secrets).decrypt(sealed.encode()).decode()
    except InvalidToken:
        return None


@dataclass(frozen=True, slots=True)
class Resealed:
    """What `reseal` came to."""

    texts: int
    lost: int
    """Sealed under a secret that is no longer known; left as they are."""


def columns() -> Iterator[tuple[Table, Column[Any]]]:
    """Every column marked SEALED, of all tables whose models have been imported."""
    for table in Base.metadata.sorted_tables:
        for column in table.columns:
            if column.info.get("sealed"):
                yield table, column


def reseal(session: Session) -> Resealed:
    """Seal everything anew with the present secret, in all workspaces; a unit of work over all of them.

    Rows are locked while they are rewritten, so a secret that is being changed meanwhile is not lost.
    """
    settings = settings_of(session)
    texts = lost = 0
    for table, column in columns():
        keys = list(table.primary_key.columns)
        for row in session.execute(select(*keys, column).with_for_update()).all():
            anew, done, gone = _again(settings, row[-1])
            texts, lost = texts + done, lost + gone
            if done:
                mine: list[ColumnElement[bool]] = [key == value for key, value in zip(keys, row, strict=False)]
                session.execute(update(table).where(*mine).values({column: anew}))
    return Resealed(texts, lost)


def _again(settings: Settings, value: Any) -> tuple[Any, int, int]:
    """The value with every sealed text in it sealed anew; how many were, and how many could not be opened."""
    if isinstance(value, str):
        if not value.startswith(_MARK):
            return value, 0, 0
        text = opened(settings, value)
        return (value, 0, 1) if text is None else (seal(settings, text), 1, 0)
    if isinstance(value, list):
        parts = [_again(settings, one) for one in value]
        return [one for one, _, _ in parts], sum(done for _, done, _ in parts), sum(gone for _, _, gone in parts)
    if isinstance(value, dict):
        anew, done, gone = _again(settings, list(value.values()))
        return dict(zip(value, anew, strict=True)), done, gone
    return value, 0, 0


@lru_cache(maxsize=16)
def _box(secret: str, previous: tuple[str, ...]) -> MultiFernet:
    keys = (hmac.digest(one.encode(), b"percorso:webhook-secrets", "sha256") for one in (secret, *previous))
    return MultiFernet([Fernet(base64.urlsafe_b64encode(key)) for key in keys])
