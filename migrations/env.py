"""Runs migrations: one at a time on a live system, never waiting long for a lock.

A migration that cannot have its lock within 4 seconds fails and can be run again; queueing behind a long query would
stop all traffic on the table meanwhile. The advisory lock lets two starting hosts migrate safely.
"""

from __future__ import annotations

import importlib
import os
import pkgutil

from alembic import context
from sqlalchemy import create_engine, text

import app
from app.config import Settings
from app.db import Base

for module in pkgutil.walk_packages(app.__path__, "app."):
    if module.name.endswith(".models"):
        importlib.import_module(module.name)

ADVISORY_LOCK = 7_239_001


def include(_object: object, name: str | None, kind: str, _reflected: bool, _other: object) -> bool:
    """Partitions are made by the timer, not by migrations."""
    return not (kind == "table" and name is not None and "_p2" in name) and name not in {
        "events_default",
        "delivery_events_default",
    }


def run() -> None:
    """Migrate the database of `DATABASE_URL`, or of the connection handed over in the config."""
    url = context.config.attributes.get("url") or Settings.from_env(os.environ).database_url
    engine = create_engine(url)
    with engine.connect() as connection:
        connection.execute(text("SET lock_timeout = '4s'"))
        connection.execute(text("SET statement_timeout = '60s'"))
        connection.execute(text("SELECT set_config('percorso.workspace', '*', false)"))
        connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": ADVISORY_LOCK})
        connection.commit()
        context.configure(
            connection=connection,
            target_metadata=Base.metadata,
            transaction_per_migration=True,
            include_object=include,
            compare_type=True,
            compare_server_default=False,
        )
        with context.begin_transaction():
            context.run_migrations()
        connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": ADVISORY_LOCK})
        connection.commit()
    engine.dispose()


run()
