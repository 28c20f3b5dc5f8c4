"""`flask consent` as somebody at a terminal meets it."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from apiflask import APIFlask
from flask.testing import FlaskCliRunner
from sqlalchemy import text
from sqlalchemy.orm import Session

from app.cli.consent import group
from app.clock import FixedClock
from tests.consent.conftest import Book
from tests.factories import Factory


@pytest.fixture
def terminal(app: APIFlask, work: Callable[[], AbstractContextManager[Session]], clock: FixedClock) -> FlaskCliRunner:
    """A terminal in a house with two lines about Anna."""
    with work() as session:
        anna = Factory(session, clock).contact(email="anna@example.com", external_id="anna")
        book = Book(session, clock)
        book.write(anna.id)
        book.write(anna.id, topic="newsletter", state="denied")
    return app.test_cli_runner()


def test_a_whole_chain_is_said_to_be_whole(terminal: FlaskCliRunner) -> None:
    result = terminal.invoke(group, ["verify"])
    assert (result.exit_code, result.output) == (0, "lago: 2 lines, the chain is whole\n")


def test_a_broken_chain_is_named_and_fails(
    terminal: FlaskCliRunner, work: Callable[[], AbstractContextManager[Session]]
) -> None:
    with work() as session:
        session.execute(text("ALTER TABLE consent_records DISABLE TRIGGER append_only"))
        session.execute(text("UPDATE consent_records SET state = 'granted' WHERE line = 2"))
    result = terminal.invoke(group, ["verify"])
    assert result.exit_code == 1
    assert "broken at line 2 (of 2): it no longer says what was written" in result.output


def test_an_anchor_kept_elsewhere_finds_what_was_cut_off(
    terminal: FlaskCliRunner, work: Callable[[], AbstractContextManager[Session]], tmp_path: Path
) -> None:
    kept = tmp_path / "anchor.jsonl"
    kept.write_text(terminal.invoke(group, ["anchor"]).output)
    whole = terminal.invoke(group, ["verify", "--anchor", str(kept)])
    assert (whole.exit_code, whole.output) == (
        0,
        "lago: 2 lines, the chain is whole, and it holds every line the anchor knows\n",
    )
    with work() as session:
        session.execute(text("ALTER TABLE consent_records DISABLE TRIGGER append_only"))
        session.execute(text("DELETE FROM consent_records WHERE line = 2"))
    assert terminal.invoke(group, ["verify"]).exit_code == 0
    cut = terminal.invoke(group, ["verify", "--anchor", str(kept)])
    assert cut.exit_code == 1
    assert "broken at line 2 (of 1): the ledger ends before it" in cut.output


@pytest.mark.parametrize("name", ["anna", "Anna@Example.com"])
def test_a_persons_lines_are_shown(terminal: FlaskCliRunner, name: str) -> None:
    result = terminal.invoke(group, ["show", name])
    assert result.exit_code == 0
    assert "now: newsletter denied, offers granted" in result.output
    told = json.loads(terminal.invoke(group, ["show", name, "--json"]).output)
    assert [line["state"] for line in told["lines"]] == ["granted", "denied"]


def test_somebody_unknown_is_said_to_be_unknown(terminal: FlaskCliRunner) -> None:
    result = terminal.invoke(group, ["show", "nobody"])
    assert result.exit_code == 1
    assert "Nobody is known as 'nobody'" in result.output
