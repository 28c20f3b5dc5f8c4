"""The demo: a hotel with six weeks behind it, and real bookings replayed through the running line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from apiflask import APIFlask
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from app import cli, hops
from app.clock import DatabaseClock
from app.config import Settings
from app.db import Database
from app.demo import history
from app.demo.replay import count, replay
from app.demo.seed import DemoMissingError, credentials, found, load
from app.house import House
from app.serve.postgres import CarriedPostgres
from app.serve.valkey import CarriedValkey
from app.web import create_app
from tests.conftest import copied

ROOT = Path(__file__).resolve().parents[2]
ROME = ZoneInfo("Europe/Rome")


@pytest.fixture
def running(settings: Settings, environment: dict[str, str], database: Database) -> Iterator[APIFlask]:
    """The application of a demo on a throwaway database, with its movable clock."""
    made = create_app(
        replace(
            settings,
            database_url=environment["DATABASE_URL"],
            data_dir=Path(environment["PERCORSO_DATA"]),
            smtp_url="capture:",
            demo=True,
        ),
        database=database,
    )
    cli.register(made)
    yield made
    made.extensions["percorso"].close()


@pytest.fixture(scope="module")
def lived(postgres: CarriedPostgres, template: str, valkey: CarriedValkey, scratch: Path) -> Iterator[APIFlask]:
    """A demo that has been loaded: living six weeks takes seconds, so the tests of this module share it."""
    for url in copied(postgres, template):
        made = create_app(
            Settings(
                database_url=url,
                redis_url=valkey.url,
                secret="a test's secret of at least 32 characters",
                data_dir=scratch / "lived",
            )
        )
        cli.register(made)
        with pytest.raises(DemoMissingError):
            credentials(house_of(made).settings)
        load(house_of(made))
        yield made
        house_of(made).close()


@pytest.fixture
def engine(environment: dict[str, str]) -> Iterator[None]:
    """Two workers and the timer, as `bin/run` starts them."""
    given_ = {**os.environ, **environment, "DEMO": "1", "SMTP_URL": "capture:"}
    started = [
        subprocess.Popen([sys.executable, "-m", "app.worker", what], cwd=ROOT, env=given_, stderr=subprocess.DEVNULL)
        for what in ("work", "work", "timer")
    ]
    yield
    for process in started:
        process.terminate()
    for process in started:
        process.wait(20)


def house_of(app: APIFlask) -> House:
    parts: House = app.extensions["percorso"]
    return parts


def test_loading_the_demo_gives_a_hotel_with_a_past_and_loading_it_again_changes_nothing(lived: APIFlask) -> None:
    parts = house_of(lived)
    first = credentials(parts.settings)
    totals = "SELECT (SELECT count(*) FROM events), (SELECT count(*) FROM messages WHERE state = 'accepted'),"
    totals += " (SELECT count(*) FROM messages WHERE state = 'refused'), (SELECT count(*) FROM event_work)"
    with parts.database.work(int(first["workspace_id"])) as session:
        events, sent, refused, waiting = session.execute(text(totals)).one()
    assert events > 50
    assert sent > 40
    assert refused > 0, "the demo shows a refusal with its reason"
    assert waiting == 0
    assert load(parts) == first
    with parts.database.work(int(first["workspace_id"])) as session:
        assert session.execute(text(totals)).one() == (events, sent, refused, 0)
    assert (parts.settings.data_dir / "demo.json").stat().st_mode & 0o077 == 0, "passwords are for the owner alone"


def test_a_lost_credentials_file_is_made_anew_and_the_new_ones_work(lived: APIFlask) -> None:
    parts = house_of(lived)
    first = credentials(parts.settings)
    (parts.settings.data_dir / "demo.json").unlink()
    second = load(parts)
    assert second["password"] != first["password"]
    answer = lived.test_client().get("/api/v1/messages", headers={"Authorization": f"Bearer {second['api_key']}"})
    assert answer.status_code == 200


def test_a_replay_through_http_and_the_workers_comes_out_as_the_file_says(
    running: APIFlask, engine: None, serve: Callable[[APIFlask], str]
) -> None:
    parts = house_of(running)
    loaded = found(parts, parts.clock.now())
    report = replay(
        parts,
        loaded.workspace_id,
        history.SLICE,
        base_url=serve(running),
        api_key=loaded.api_key,
        run="t",
        limit=25,
    )
    assert [line for line in report.lines if line.expected != line.found] == []
    assert report.bookings == 25
    assert report.verdicts["accepted"] == report.events.total()
    assert sum(number for (_, state, _), number in report.messages.items() if state == "accepted") > 25
    assert {state for _, state, _ in report.messages} <= {"accepted", "refused", "cancelled"}


def test_the_count_over_the_file_is_right_for_the_shipped_slice() -> None:
    counted = count(history.SLICE, None, None, 3)
    assert counted["booking.confirmed"] == 470
    assert (counted["status checked_out"], counted["status cancelled"], counted["status no_show"]) == (356, 112, 2)


@given(st.integers(0, 469), st.integers(-900, 900))
def test_a_bookings_events_are_in_order_and_numbered(place: int, days: int) -> None:
    stay = list(history.read(history.SLICE))[place]
    told = history.events_of(stay, "r", ROME, timedelta(days=days), consent_every=2)
    instants = [event["occurred_at"] for event in told]
    assert instants == sorted(instants)
    assert [event["sequence"] for event in told] == list(range(1, len(told) + 1))
    assert len({event["id"] for event in told}) == len(told)


def test_credentials_are_printed_for_scripts(lived: APIFlask) -> None:
    done = lived.test_cli_runner().invoke(args=["demo", "credentials", "--json"])
    assert done.exit_code == 0, done.output
    assert set(json.loads(done.output)) >= {"base_url", "email", "password", "api_key", "webhook_secret"}


def test_the_clock_moves_by_a_duration_in_words_and_goes_back(running: APIFlask) -> None:
    parts = house_of(running)
    runner = running.test_cli_runner()
    before = parts.clock.now()
    assert runner.invoke(args=["clock", "advance", "3 days"]).exit_code == 0
    assert timedelta(days=3) <= parts.clock.now() - before < timedelta(days=3, minutes=5)
    wrong = runner.invoke(args=["clock", "advance", "a while"])
    assert wrong.exit_code == 2
    assert "3 days" in wrong.output, "it says what a duration looks like"
    assert runner.invoke(args=["clock", "reset"]).exit_code == 0
    assert parts.clock.now() - before < timedelta(minutes=5)


def test_real_time_cannot_be_moved(settings: Settings, database_url: str) -> None:
    app = create_app(replace(settings, database_url=database_url, demo=False))
    try:
        with pytest.raises(hops.ClockStands):
            hops.advance(house_of(app), timedelta(days=1))
        assert not isinstance(house_of(app).clock, DatabaseClock)
    finally:
        house_of(app).close()
