"""The carried PostgreSQL and Valkey: made once, reached by password only, ended with whoever started them."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError
from redis.retry import Retry

from app.serve import postgres as postgres_module
from app.serve.postgres import CarriedPostgres
from app.serve.process import ServeError, processes_in, wait_until_left
from app.serve.valkey import CarriedValkey

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def place() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="percorso-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def _connect(server: CarriedPostgres, role: str | None = None) -> psycopg.Connection[tuple[object, ...]]:
    return psycopg.connect(server.url(role=role).replace("+psycopg", ""))


def _value(server: CarriedPostgres, statement: str) -> object:
    with _connect(server) as connection:
        row = connection.execute(statement.encode()).fetchone()
    return row[0] if row else None


def test_the_applications_role_owns_its_database_and_is_nothing_more(place: Path) -> None:
    with CarriedPostgres(place / "postgres") as server:
        rights = "rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb OR rolreplication"
        assert _value(server, f"SELECT {rights} FROM pg_roles WHERE rolname = current_user") is False
        assert _value(server, "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = current_database()") == (
            "percorso"
        )
        assert _value(server, "SHOW synchronous_commit") == "on"
        assert _value(server, "SHOW fsync") == "on"


def test_data_and_addresses_survive_a_restart(place: Path) -> None:
    server = CarriedPostgres(place / "postgres")
    with server:
        url = server.url()
        with _connect(server) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    with CarriedPostgres(place / "postgres") as again:
        assert again.url() == url
        assert _value(again, "SELECT answer FROM kept") == 42


def test_nobody_gets_in_without_the_password(place: Path) -> None:
    with CarriedPostgres(place / "postgres") as server:
        password = server.environment()["PGPASSWORD"]
        wrong = server.url(role="postgres").replace(password, "wrong").replace("+psycopg", "")
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(wrong)
        assert (server.home / "passwords.json").stat().st_mode & 0o077 == 0
        assert (server.home / "data").stat().st_mode & 0o077 == 0


def test_a_path_too_long_for_a_socket_gets_a_local_port(place: Path) -> None:
    long = place / ("x" * 100)
    with CarriedPostgres(long / "postgres") as server, CarriedValkey(long / "valkey") as store:
        assert "host=127.0.0.1" in server.url()
        assert _value(server, "SELECT 1") == 1
        assert store.url.startswith("redis://")
        with Redis.from_url(store.url) as client:
            assert client.ping()


def test_a_dead_servers_pid_file_does_not_stop_the_next_start(place: Path) -> None:
    """Its number may belong to another live process by then: ours, here."""
    server = CarriedPostgres(place / "postgres")
    with server:
        pass
    (server.home / "data" / "postmaster.pid").write_text(f"{os.getpid()}\n{server.home / 'data'}\n1\n5432\n\n\n\n")
    with CarriedPostgres(place / "postgres") as again:
        assert _value(again, "SELECT 1") == 1


def test_a_second_server_on_the_same_data_is_refused(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres_module, "PREDECESSOR_SECONDS", 0.2)
    with CarriedPostgres(place / "postgres") as server:
        with pytest.raises(ServeError, match="Another PostgreSQL server still works in"):
            CarriedPostgres(place / "postgres").start()
        assert _value(server, "SELECT 1") == 1


def test_a_start_that_was_cut_off_is_made_good_by_the_next(place: Path) -> None:
    half = place / "postgres" / "making" / "data"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")
    with CarriedPostgres(place / "postgres") as server:
        assert _value(server, "SELECT 1") == 1


@pytest.mark.parametrize("kind", ["CarriedPostgres", "CarriedValkey"])
def test_a_server_ends_when_its_starter_is_killed(place: Path, kind: str) -> None:
    module = {"CarriedPostgres": "postgres", "CarriedValkey": "valkey"}[kind]
    program = (
        f"import signal; from pathlib import Path; from app.serve.{module} import {kind}\n"
        f"server = {kind}(Path({str(place / 'server')!r})).start(); print('up', flush=True); signal.pause()"
    )
    starter = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, cwd=ROOT, env={"PATH": os.environ["PATH"]}
    )
    with starter:
        assert starter.stdout is not None
        assert starter.stdout.readline() == b"up\n"
        works_in = place / "server" / ("data" if module == "postgres" else "")
        assert processes_in(works_in)
        starter.send_signal(signal.SIGKILL)
    assert wait_until_left(works_in, 10)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root starts servers under another account")
def test_root_keeps_data_where_the_unprivileged_account_may_go_and_loosens_nothing(place: Path) -> None:
    place.chmod(0o700)
    said: list[str] = []
    server = CarriedPostgres(place / "postgres", say=said.append)
    try:
        with server:
            assert _value(server, "SELECT 1") == 1
            assert server.account is not None
            owner = (server.home / "data").stat().st_uid
            assert owner == server.account.uid != 0
        assert server.home.parent == postgres_module.SYSTEM_HOME
        assert place.stat().st_mode & 0o777 == 0o700
        assert str(server.home) in said[0]
        found = CarriedPostgres(place / "postgres")
        found.settle()
        assert found.home == server.home
    finally:
        shutil.rmtree(server.home)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root starts servers under another account")
def test_root_copies_binaries_that_the_account_cannot_reach(place: Path) -> None:
    hidden = place / "hidden"
    package = postgres_module.carried_binaries().parents[1]
    for name in (package.name, f"{package.name}.libs"):
        shutil.copytree(package.parent / name, hidden / name, symlinks=True)
    hidden.chmod(0o700)
    with CarriedPostgres(place / "postgres", binaries=hidden / package.name / "pginstall18" / "bin") as server:
        copy = server.binaries
        assert copy.is_relative_to(postgres_module.SYSTEM_HOME)
        assert _value(server, "SELECT 1") == 1
    shutil.rmtree(copy.parents[2])


def test_valkey_keeps_what_it_was_told_and_asks_for_the_password(place: Path) -> None:
    with CarriedValkey(place / "valkey") as store:
        url = store.url
        with Redis.from_url(url) as client:
            client.set("kept", "yes")
            assert b"noeviction" in client.execute_command("CONFIG GET maxmemory-policy").values()
        with (
            Redis(unix_socket_path=str(place / "valkey" / "valkey.sock"), retry=Retry(NoBackoff(), 0)) as stranger,
            pytest.raises(AuthenticationError),
        ):
            stranger.get("kept")
    with CarriedValkey(place / "valkey") as again, Redis.from_url(again.url) as client:
        assert again.url == url
        assert client.get("kept") == b"yes"
