"""Logs hold ids, never what people sent."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import structlog
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from app.config import Settings
from app.db import Database
from app.logs import configure


@pytest.mark.parametrize("demo", [True, False])
def test_a_traceback_is_told_without_what_its_variables_held(
    settings: Settings, capsys: pytest.CaptureFixture[str], demo: bool
) -> None:
    configure(replace(settings, demo=demo))
    address = "giulia@example.com"
    try:
        dict[int, str]()[len(address)]
    except KeyError:
        structlog.get_logger().exception("went_wrong", message_id=7)
    said = capsys.readouterr().err
    assert "went_wrong" in said
    assert "KeyError" in said
    assert address not in said
    if not demo:
        assert json.loads(said.splitlines()[0])["message_id"] == 7


def test_a_failed_statement_is_told_without_its_parameters(database: Database) -> None:
    with pytest.raises(DBAPIError) as failed, database.work(1) as session:
        session.execute(text("SELECT CAST(:address AS integer)"), {"address": "giulia@example.com"})
    assert "SELECT CAST" in str(failed.value)
    assert "[parameters:" not in str(failed.value)
