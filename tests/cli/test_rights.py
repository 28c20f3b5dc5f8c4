"""A person's data from the command line."""

from __future__ import annotations

import zipfile
from pathlib import Path

from app import cli
from tests.studio.conftest import lived, stage
from tests.studio.stage import Stage

__all__ = ["lived", "stage"]


def test_r50_r51_r52_a_person_is_restricted_taken_out_and_erased(stage: Stage, tmp_path: Path) -> None:
    cli.register(stage.app)

    def run(*given: str) -> str:
        done = stage.app.test_cli_runner().invoke(args=["contacts", *given, "--workspace", "riva-serena"])
        assert done.exit_code == 0, done.output
        return done.output

    file = tmp_path / "giulia.zip"
    assert "restricted" in run("freeze", "giulia")
    assert "as before" in run("freeze", "giulia", "--end")
    assert "data.json" in run("export", "giulia", str(file), "--identity", "she wrote from her address")
    assert "data.it.html" in zipfile.ZipFile(file).namelist()
    assert file.stat().st_mode & 0o077 == 0
    assert "Request" in run("erase", "giulia", "--identity", "she wrote from her address", "--yes")
    done = stage.app.test_cli_runner().invoke(
        args=["contacts", "export", "nobody", str(file), "--identity", "x", "--workspace", "riva-serena"]
    )
    assert "No contacts are called 'nobody'" in done.output
