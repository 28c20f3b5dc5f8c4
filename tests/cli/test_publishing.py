"""`flask workflows` on a running hotel: publish, compare, roll back, pause, resume, archive."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import Result

from app import cli
from tests.enrollments.test_versions import CARE, RENAMED, booked, inside
from tests.hotel import Hotel


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The file of a workflow that is about to change."""
    path = tmp_path / "care.yaml"
    path.write_text(CARE, encoding="utf-8")
    return path


def run(hotel: Hotel, *arguments: str | Path) -> Result:
    app = hotel.client.application
    if "workflows" not in app.cli.commands:
        cli.register(app)
    return app.test_cli_runner().invoke(args=["workflows", *(str(each) for each in arguments)])


@pytest.fixture
def three(hotel: Hotel, file: Path) -> Hotel:
    """Three people in version 1, and version 2 in the file."""
    assert run(hotel, "publish", file).exit_code == 0
    hotel.post([booked(number) for number in range(3)])
    hotel.work()
    file.write_text(RENAMED, encoding="utf-8")
    return hotel


def test_publishing_says_per_step_what_becomes_of_the_people_inside(three: Hotel, file: Path) -> None:
    told = run(three, "publish", file, "--on-inside", "follow", "--dry-run")
    assert "3 at pause: stay on their version; that step is gone in this version: map it" in told.output
    assert "Nothing was published" in told.output
    done = run(three, "publish", file, "--on-inside", "map", "--map", "pause=rest", "--note", "A better name")
    assert "3 at pause: go on at rest" in done.output
    three.work()
    assert inside(three) == {2: 3}, "the dry run had published nothing"


def test_a_mapping_that_makes_no_sense_is_refused(three: Hotel, file: Path) -> None:
    assert run(three, "publish", file, "--map", "pause=rest").exit_code == 2
    assert run(three, "publish", file, "--on-inside", "map", "--map", "pause").exit_code == 2
    refused = run(three, "publish", file, "--on-inside", "map", "--map", "pause=nowhere")
    assert refused.exit_code == 1
    assert "which is no step of this version" in refused.output


def test_versions_are_listed_compared_and_rolled_back(three: Hotel, file: Path) -> None:
    run(three, "publish", file, "--note", "A better name")
    listed = run(three, "versions", "care").output.splitlines()
    assert [line.split()[0] for line in listed] == ["2", "1"]
    assert listed[0].endswith("A better name")
    assert "3 inside" in listed[1]
    compared = run(three, "diff", "care", "1", "2")
    assert (compared.exit_code, "+  - id: rest" in compared.output) == (1, True)
    assert run(three, "diff", "care", "1", "1").exit_code == 0
    assert "care version 3" in run(three, "rollback", "care", "1", "--on-inside", "follow").output
    three.work()
    assert inside(three) == {3: 3}
    assert run(three, "rollback", "care", "9").exit_code == 1


def test_a_pause_is_resumed_by_its_rule_and_a_dry_run_tells_what_would_go_out(three: Hotel) -> None:
    assert run(three, "pause", "care", "--when-resumed", "exit").exit_code == 0
    three.after(timedelta(days=9))
    told = run(three, "resume", "care", "--dry-run").output
    assert "3 people came due meanwhile; 0 messages" in told
    assert "3 people leave" in told
    assert "still paused" in told
    assert "runs again" in run(three, "resume", "care").output
    three.work()
    assert inside(three) == {}


def test_an_archive_is_closed_and_opened_again(three: Hotel) -> None:
    assert "3 people inside leave in a minute" in run(three, "archive", "care", "--inside", "exit").output
    assert "open again" in run(three, "restore", "care").output
    three.after(timedelta(hours=1))
    assert inside(three) == {1: 3}
    assert run(three, "duplicate", "care", "care-2").exit_code == 0
    assert run(three, "duplicate", "care", "care-2").exit_code == 1
