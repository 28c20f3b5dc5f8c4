"""Segments from the command line."""

from __future__ import annotations

from pathlib import Path

from app import cli
from app.audience import catalogue
from tests.studio.conftest import lived, stage
from tests.studio.stage import Stage

__all__ = ["lived", "stage"]


def test_segments_are_listed_shown_counted_and_refreshed(stage: Stage, tmp_path: Path) -> None:
    cli.register(stage.app)

    def run(*given: str) -> str:
        done = stage.app.test_cli_runner().invoke(args=["segments", *given, "--workspace", "riva-serena"])
        assert done.exit_code == 0, done.output
        return done.output

    assert "There is no segment yet" in run("list")
    rules = tmp_path / "italians.yaml"
    rules.write_text("all:\n  - contact.language == it\n")
    counted = run("count", str(rules))
    with stage.work() as session:
        source = rules.read_text()
        catalogue.create(session, "italians", {"en": "I"}, source, by="Marta", now=stage.clock.now())
    refreshed = run("refresh", "italians")
    assert counted.split()[0] == refreshed.split()[1]
    assert "guest's language is Italian" in run("list")
    assert "contact.language == it" in run("show", "italians")
    assert run("show", "italians", "--contact", "giulia").startswith("in it\n")
    assert "not in it        guest's language is Italian — it was English" in run(
        "show", "italians", "--contact", "henry"
    )


def test_what_is_wrong_with_a_file_is_told_with_its_place(stage: Stage, tmp_path: Path) -> None:
    cli.register(stage.app)
    rules = tmp_path / "mine.yaml"
    rules.write_text("all:\n  - contact.langage == it\n")
    given = ["segments", "count", str(rules), "--workspace", "riva-serena"]
    done = stage.app.test_cli_runner().invoke(args=given)
    assert done.exit_code == 1
    assert f"{rules}:2:5: there is no field contact.langage (did you mean contact.language?)" in done.output
    missing = stage.app.test_cli_runner().invoke(args=["segments", "show", "mine", "--workspace", "riva-serena"])
    assert missing.exit_code == 2
    assert "There is no segment 'mine'" in missing.output
