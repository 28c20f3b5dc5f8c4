"""`docs/operate.md` and what it describes say the same."""

from __future__ import annotations

import ast
import itertools
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import psycopg
import pytest
from flask.testing import FlaskClient
from ruamel.yaml import YAML

from app.config import Settings
from app.serve.postgres import CarriedPostgres
from tests.conftest import ROOT, migrate

PAGE = (ROOT / "docs/operate.md").read_text()


def _documented() -> dict[str, str]:
    """Setting → default, as the page's table has them."""
    table = PAGE.partition("## Settings")[2].partition("\n## ")[0]
    return dict(re.findall(r"^\| `([A-Z_]+)` \| (.*?) \|", table, re.MULTILINE))


def _names() -> dict[str, str]:
    """Field of Settings → the variable that its description ends with."""
    tree = ast.parse((ROOT / "app/config.py").read_text())
    body = next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Settings").body
    found = {}
    for field, said in itertools.pairwise(body):
        if isinstance(field, ast.AnnAssign) and isinstance(said, ast.Expr) and isinstance(said.value, ast.Constant):
            found[ast.unparse(field.target)] = re.findall(r"`([A-Z_]+)`", str(said.value.value))[-1]
    return found


def test_every_setting_is_documented_and_nothing_else() -> None:
    names = _names()
    assert set(names) == {field.name for field in fields(Settings)}
    assert set(_documented()) == set(names.values())


def test_the_documented_defaults_are_the_real_ones() -> None:
    given = {"DATABASE_URL": "postgresql://x/x", "REDIS_URL": "redis://x/0", "PERCORSO_SECRET": "x" * 32}
    settings = Settings.from_env(given)
    for field, name in _names().items():
        documented = re.fullmatch(r"`([^<`]*)`", _documented()[name])
        if documented:
            value = getattr(settings, field)
            shown = str(int(value)) if isinstance(value, bool) else str(value)
            assert documented.group(1).rstrip("/") == shown, name


def _compose() -> dict[str, Any]:
    loaded: dict[str, Any] = YAML(typ="safe").load((ROOT / "compose.yaml").read_text())
    return loaded


def test_compose_sets_only_settings_that_exist_and_no_secret_of_its_own() -> None:
    services = _compose()["services"]
    assert {"postgres", "redis", "migrate", "web", "worker", "sender", "timer"} <= services.keys()
    ours = services["web"]["environment"]
    assert ours.keys() <= set(_names().values())
    for service in services.values():
        for name, value in service.get("environment", {}).items():
            if re.search("PASSWORD|SECRET|TOKEN|URL", name):
                assert "${" in value, name
    asked = set(re.findall(r"\$\{([A-Z_]+):\?\}", (ROOT / "compose.yaml").read_text()))
    assert asked <= set(re.findall(r"^([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))


def test_every_figure_is_documented(client: FlaskClient) -> None:
    exposed = set(re.findall(r"^# TYPE (\w+)", client.get("/metrics").text, re.MULTILINE))
    documented = set(re.findall(r"\b(percorso_\w+)", PAGE.partition("## What to watch")[2]))
    assert {re.sub("_total$", "", name) for name in exposed} == {re.sub("_total$", "", name) for name in documented}


@pytest.fixture
def place() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="percorso-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def _command(begins: str, place: Path, data: Path) -> None:
    """Run a command exactly as the page has it, in a folder of its own, on a data directory."""
    line = next(line.strip() for line in PAGE.splitlines() if line.strip().startswith(begins))
    env = {"PATH": os.environ["PATH"], "PERCORSO_DATA": str(data)}
    asked = line.replace("bin/pg", str(ROOT / "bin/pg")).split()
    done = subprocess.run(asked, cwd=place, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_documented_commands_save_and_restore(place: Path) -> None:
    old, new = place / "old", place / "new"
    rows = "SELECT count(*), min(name), current_user FROM workspaces"
    with CarriedPostgres(old / "postgres") as server:
        migrate(server.url())
        with psycopg.connect(server.url().replace("+psycopg", "")) as connection:
            connection.execute("INSERT INTO workspaces (slug, name, created_at) VALUES ('kept', 'Kept', now())")
            connection.execute("SELECT set_config('percorso.workspace', '*', false)")
            connection.execute(
                "INSERT INTO contacts (workspace_id, email, created_at, updated_at)"
                " SELECT id, 'kept@example.com', now(), now() FROM workspaces"
            )
        _command("bin/pg pg_dump", place, old)
    with CarriedPostgres(new / "postgres") as server:
        migrate(server.url())
        _command("bin/pg dropdb", place, new)
        _command("bin/pg pg_restore", place, new)
        with psycopg.connect(server.url().replace("+psycopg", "")) as connection:
            assert connection.execute(rows).fetchone() == (1, "Kept", "percorso")
            hidden = connection.execute("SELECT count(*) FROM contacts").fetchone()
            assert hidden == (0,), "row-level security is restored too"
            connection.execute("SELECT set_config('percorso.workspace', '*', false)")
            assert connection.execute("SELECT count(*) FROM contacts").fetchone() == (1,)
