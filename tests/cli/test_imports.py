"""`flask contacts import`: a dry run leaves nothing, a real one brings people, both say what came of each row."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from apiflask import APIFlask
from sqlalchemy import func, select

from app import cli
from app.contacts.models import Contact
from app.db import Database
from app.imports.models import ImportRow
from tests.factories import Factory

LIST = "E-mail;Nome;Sì\nada@example.com;Ada;sì\nniente;Otto;sì\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A list in Windows' encoding."""
    path = tmp_path / "lista.csv"
    path.write_text(LIST, encoding="cp1252")
    return path


def run(app: APIFlask, *words: str) -> Any:
    """Run a command; gives its result."""
    cli.register(app)
    return app.test_cli_runner().invoke(args=["contacts", *words])


def people(db: Database, workspace_id: int) -> int | None:
    """How many contacts there are."""
    with db.work(workspace_id) as session:
        return session.scalar(select(func.count()).select_from(Contact))


def test_a_dry_run_says_all_and_keeps_nothing(
    app: APIFlask, db: Database, workspace_id: int, make: Factory, file: Path
) -> None:
    make.property(country="IT", is_default=True)
    result = run(app, "import", str(file), "--dry-run", "--json")
    assert result.exit_code == 0, result.output
    said = json.loads(result.stdout)
    assert said["columns"] == {"E-mail": "email", "Nome": "first_name", "Sì": ""}
    assert said["verdict"] == {"new": 1, "refused": 1}
    assert said["permission"] == {"service_only": 1}
    assert said["left_out"][0]["line"] == 3
    assert {"code": "left_out_email", "column": "E-mail"} in said["left_out"][0]["reasons"]
    assert people(db, workspace_id) == 0
    with db.work(workspace_id) as session:
        assert session.scalar(select(func.count()).select_from(ImportRow)) == 0


def test_an_import_by_named_columns_and_its_undoing(
    app: APIFlask, db: Database, workspace_id: int, make: Factory, file: Path
) -> None:
    make.property(country="IT", is_default=True)
    done = run(app, "import", str(file), "--yes", "--json", "--map", "Sì=attribute:socio", "--map", "type:socio=bool")
    assert done.exit_code == 0, done.output
    number = json.loads(done.stdout)["import"]
    with db.work(workspace_id) as session:
        assert session.scalars(select(Contact)).one().attributes == {"socio": True}
    back = run(app, "undo-import", str(number), "--json")
    assert json.loads(back.stdout)["undone"] == {"removed": 1}
    assert people(db, workspace_id) == 0


@pytest.mark.parametrize(
    ("wanted", "said"),
    [("Nome=email", "column 1: Two columns are meant"), ("Nobody=email", "nothing a column can be")],
)
def test_a_mapping_that_cannot_be_is_told_by_its_column(
    app: APIFlask, workspace_id: int, file: Path, wanted: str, said: str
) -> None:
    result = run(app, "import", str(file), "--yes", "--map", wanted)
    assert result.exit_code == 1
    assert said in result.output


def test_a_newer_list_of_throw_away_domains_is_put_in_force(app: APIFlask, workspace_id: int, tmp_path: Path) -> None:
    newer = tmp_path / "newer.txt"
    newer.write_text("\n".join(f"d{n}.example" for n in range(1_200)))
    assert "1200 domains" in run(app, "disposable-domains", str(newer)).output
    newer.write_text("one.example\n")
    result = run(app, "disposable-domains", str(newer))
    assert result.exit_code == 1
    assert "cut off" in result.output
