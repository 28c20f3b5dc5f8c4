"""`flask workflows check` and `simulate`: what a person at the command line is told."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from app.cli.workflows import group

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the pre-arrival workflow and its stories."""
    for file in (ROOT / "workflows" / "hotel").glob("pre-arrival*"):
        shutil.copy(file, tmp_path / file.name)
    return tmp_path


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(group, [str(argument) for argument in arguments])


def change(file: Path, old: str, new: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), encoding="utf-8")


def test_all_shipped_workflows_are_right_with_the_shipped_templates() -> None:
    result = run("check", ROOT / "workflows", "--templates", ROOT / "email_templates")
    assert (result.exit_code, result.output.count(": right, ")) == (0, 5)


def test_a_mistake_is_told_with_its_place_and_ends_in_1(folder: Path) -> None:
    change(folder / "pre-arrival.yaml", "booking.nights >= 1", "booking.nigths >= 1")
    result = run("check", folder)
    assert result.exit_code == 1
    assert "pre-arrival.yaml:17:9: there is no field booking.nigths (did you mean booking.nights?)" in result.output


def test_a_story_that_comes_out_otherwise_is_told_at_its_line(folder: Path) -> None:
    change(
        folder / "pre-arrival.stories.yaml",
        "pre-arrival-direct, at: 2026-07-09 16:00",
        "pre-arrival-direct, at: 2026-07-09 17:00",
    )
    result = run("check", folder / "pre-arrival.yaml")
    assert result.exit_code == 1
    assert "pre-arrival-direct was sent 2026-07-09 16:00, not 2026-07-09 17:00" in result.output


def test_simulate_shows_what_is_sent_when_and_why_the_rest_is_not(folder: Path) -> None:
    result = run("simulate", folder / "pre-arrival.stories.yaml", "--story", "portal", "--no-trace", "--language", "it")
    lines = [line.split(maxsplit=3)[1:] for line in result.output.splitlines() if line.startswith("  ") and ":" in line]
    assert [line[0] for line in lines[:3]] == ["2026-06-01", "2026-07-03", "2026-07-09"]
    assert "room-upgrade rifiutato: no_consent" in result.output


def test_simulate_wants_a_workflow_for_a_loose_file(tmp_path: Path) -> None:
    loose = tmp_path / "mine.yaml"
    loose.write_text("[]", encoding="utf-8")
    result = run("simulate", loose)
    assert result.exit_code == 2
    assert "--workflow" in result.output
