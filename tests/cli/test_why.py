"""`flask why` and `flask workflows simulate --history`: what the command line tells of what happened and would have."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import Result

from app import cli
from tests.enrollments.test_simulation import LETTER, guest, season, stay
from tests.hotel import Hotel


@pytest.fixture
def lived(hotel: Hotel) -> Hotel:
    season(hotel)
    cli.register(hotel.client.application)
    return hotel


def run(hotel: Hotel, *arguments: str | Path) -> Result:
    runner = hotel.client.application.test_cli_runner()
    return runner.invoke(args=[str(one) for one in arguments])


@pytest.fixture
def draft(tmp_path: Path) -> Path:
    file = tmp_path / "letter.yaml"
    file.write_text(LETTER, encoding="utf-8")
    return file


def test_why_not_is_told_with_what_was_wanted_and_found(lived: Hotel) -> None:
    told = run(lived, "why", "dora", "--workflow", "pre-arrival").output
    assert "Not entered: nights is at least 1 — it was 0" in told
    assert "✗ booking.nights >= 1 (found: 0)" in told
    italian = run(lived, "why", "dora", "--language", "it").output
    assert "Non è entrato" in italian
    assert "(trovato: 0)" in italian


def test_without_a_workflow_every_one_the_person_has_met_is_told(lived: Hotel) -> None:
    told = run(lived, "why", "henry", "--json")
    assert [one["workflow"] for one in json.loads(told.output)][:1] == ["pre-arrival"]


def test_a_message_is_told_by_its_number(lived: Hotel) -> None:
    number = lived.messages(state="accepted")[0].id
    told = json.loads(run(lived, "why", "--message", str(number), "--json").output)
    assert told["message"] == number
    assert any(one["stage"] == "gate" for one in told["decisions"])


def test_who_is_not_there_is_said(lived: Hotel) -> None:
    assert "There is no contact 'nobody'" in run(lived, "why", "nobody").output
    assert run(lived, "why").exit_code == 2
    lived.report("contact.updated", contact=guest("nina"), data={"first_name": "Nina"})
    assert "No workflow has met this person yet" in run(lived, "why", "nina").output


def test_a_file_is_tried_on_the_last_days(lived: Hotel, draft: Path) -> None:
    told = run(lived, "workflows", "simulate", draft, "--history", "90d")
    assert told.exit_code == 0, told.output
    assert "entered                              4" in told.output
    assert "condition_false: nights is at least 2 — it was 1" in told.output
    assert "no_consent R1" in told.output
    assert "It begins with nobody inside" in told.output


def test_the_same_as_json_has_every_day(lived: Hotel, draft: Path) -> None:
    told = json.loads(run(lived, "workflows", "simulate", draft, "--history", "4 weeks", "--json").output)
    assert told["entered"] == 4
    assert len(told["days"]) == 29
    assert sum(day["sent"] for day in told["days"]) == told["sent"]
    assert told["people"]["share"] == 1.0


def test_a_file_is_tried_on_one_person(lived: Hotel, draft: Path) -> None:
    told = run(lived, "workflows", "simulate", draft, "--contact", "giulia", "--language", "it")
    assert "Giulia" in told.output
    assert "Henry" not in told.output
    assert "Messaggio pianificato" in told.output
    assert "Prenotazione confermata" in told.output, "events are called by their names in the language asked for"
    assert "Booking" not in told.output
    assert "There is no contact" in run(lived, "workflows", "simulate", draft, "--contact", "nobody").output


def test_a_length_that_is_none_is_refused_with_how_to_write_one(lived: Hotel, draft: Path) -> None:
    told = run(lived, "workflows", "simulate", draft, "--history", "soon")
    assert told.exit_code == 2
    assert "write for example 90d" in told.output


def test_a_sample_says_that_it_is_one(lived: Hotel, draft: Path) -> None:
    for number in range(30):
        lived.report("booking.confirmed", contact=guest(f"n{number}"), booking=stay(f"N-{number}", 30, 2))
    lived.after(timedelta(minutes=1))
    told = run(lived, "workflows", "simulate", draft, "--history", "90d", "--limit", "10")
    assert "A sample: " in told.output
    assert "of 35 people" in told.output
