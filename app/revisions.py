"""Whether the database is where this copy of the program expects it: known without loading the migration machinery."""

from __future__ import annotations

import functools
import re
from pathlib import Path

from sqlalchemy import Engine, text

MIGRATIONS = Path(__file__).resolve().parents[1] / "migrations" / "versions"

_LINE = re.compile(r"^(revision|down_revision)\b[^=\n]*=\s*(.*)$", re.MULTILINE)
_NAME = re.compile(r"[\"']([^\"']+)[\"']")


@functools.cache
def heads() -> frozenset[str]:
    """The newest migrations that this copy carries: those that no other one builds on."""
    made: set[str] = set()
    built_on: set[str] = set()
    for file in MIGRATIONS.glob("*.py"):
        for kind, value in _LINE.findall(file.read_text(encoding="utf-8")):
            (made if kind == "revision" else built_on).update(_NAME.findall(value))
    return frozenset(made - built_on)


def at_head(engine: Engine) -> bool:
    """Whether every migration has run on this database, and none that we do not know. False on an empty one."""
    with engine.connect() as connection:
        if connection.execute(text("SELECT to_regclass('alembic_version')")).scalar() is None:
            return False
        return {row[0] for row in connection.execute(text("SELECT version_num FROM alembic_version"))} == heads()
