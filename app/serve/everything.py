"""What `bin/run` starts, in order: database, signal store, migrations, demo, then web, workers and timer."""

from __future__ import annotations

import errno
import http.client
import json
import socket
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from sqlalchemy import NullPool, create_engine
from sqlalchemy.exc import OperationalError

from app.config import Settings
from app.revisions import at_head
from app.serve.home import Home
from app.serve.postgres import CarriedPostgres
from app.serve.process import Launch, ServeError, wait_for
from app.serve.supervisor import Part, Supervisor
from app.serve.valkey import CarriedValkey

ROOT = Path(__file__).resolve().parents[2]
DATABASE, SIGNALS, ENGINE = 0, 1, 2
"""Waves in which parts end: the engine first, then the signal store, the database last."""


def serve(env: Mapping[str, str], output: IO[str]) -> int:
    """Start everything and stay until told to stop.

    Args:
        env: the environment, see `docs/operate.md`.
        output: where everything is shown.

    Raises:
        ServeError: something must be put right by the person at the terminal.
        SettingsError: a setting is wrong.
    """
    began = time.monotonic()
    with Home(Path(env.get("PERCORSO_DATA", "").strip() or ROOT / "var")) as home:
        supervisor = Supervisor(output, colour=output.isatty() and "NO_COLOR" not in env)
        supervisor.listen()
        try:
            given = _environment(env, home)
            settings = Settings.from_env(given | _PLACES)
            _require_free(settings.port)
            given |= _carried(env, home, supervisor)
            if supervisor.stopping:
                return 0
            home.introduce(given)
            settings = Settings.from_env(given)
            _migrate(supervisor, given, settings)
            supervisor.add(Part("web", lambda: _child(given, "app.serve.web"), ENGINE, patience=4.5))
            sign_in = _seed(supervisor, given) if settings.demo else {}
            _start_engine(supervisor, given, settings)
            if not supervisor.until(lambda: _answers(settings.port), 60):
                if supervisor.stopping:
                    return 0
                raise ServeError("The web server did not answer within a minute; what it said stands above.")
            _welcome(supervisor, settings, sign_in, time.monotonic() - began)
            supervisor.forever()
        finally:
            supervisor.say("supervisor", "stopping")
            home.take_leave()
            supervisor.shut_down()
            supervisor.say("supervisor", "stopped")
    return 0


_PLACES = {"DATABASE_URL": "postgresql://to-be-carried/", "REDIS_URL": "redis://to-be-carried/"}
"""Stand in while the other settings are checked, before any server is started."""


def _environment(env: Mapping[str, str], home: Home) -> dict[str, str]:
    given = {name: value for name, value in env.items() if value.strip()}
    given["PERCORSO_DATA"] = str(home.path)
    given.setdefault("PERCORSO_SECRET", home.secret())
    given["PYTHONUNBUFFERED"] = "1"
    return given


def _require_free(port: int) -> None:
    """Refuse early when somebody else listens on our port. Web processes of a killed copy may need a moment to go."""
    trouble: list[OSError] = []

    def free() -> bool:
        trouble.clear()
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as error:
                trouble.append(error)
        return not trouble

    if not wait_for(free, 3):
        if trouble and trouble[0].errno != errno.EADDRINUSE:
            raise ServeError(f"Port {port} cannot be used ({trouble[0].strerror}): set PERCORSO_PORT to another.")
        raise ServeError(f"Port {port} is taken by another program: set PERCORSO_PORT to a free one.")


def _carried(env: Mapping[str, str], home: Home, supervisor: Supervisor) -> dict[str, str]:
    """Start the servers that nobody gave us, and say where they are."""
    given = {}
    if not env.get("REDIS_URL", "").strip():
        store = CarriedValkey(home.path / "valkey")
        part = supervisor.add(Part("valkey", store.launch, SIGNALS, patience=1.5))
        store.ready(part.alive)
        given["REDIS_URL"] = store.url
    if not env.get("DATABASE_URL", "").strip():
        server = CarriedPostgres(home.path / "postgres", say=lambda line: supervisor.say("supervisor", line))
        part = supervisor.add(Part("postgres", server.launch, DATABASE, patience=3.5))
        server.ready(part.alive, part.tail)
        given["DATABASE_URL"] = server.url()
    return given


def _child(env: Mapping[str, str], *arguments: str) -> Launch:
    return Launch((sys.executable, "-m", *arguments), env, ROOT, umask=0o022)


def _run(supervisor: Supervisor, env: Mapping[str, str], name: str, *arguments: str, unshown: str = "") -> Part:
    """Run a child that is meant to end well; raises ServeError when it does not."""
    part = Part(name, lambda: _child(env, *arguments), ENGINE, patience=2, unshown=unshown)
    code = supervisor.run_once(part, seconds=600)
    if code != 0 and not supervisor.stopping:
        raise ServeError(f"{name} failed (code {code}); what it said stands above.")
    return part


def _migrate(supervisor: Supervisor, env: Mapping[str, str], settings: Settings) -> None:
    """Bring the database to where we need it; where it is there already, ask no more than that."""
    engine = create_engine(settings.database_url, poolclass=NullPool)
    try:
        if at_head(engine):
            return
    except OperationalError as error:
        raise ServeError(f"The database does not answer: {str(error.orig).strip()}") from error
    finally:
        engine.dispose()
    _run(supervisor, env, "migrate", "alembic", "upgrade", "head")


def _seed(supervisor: Supervisor, env: Mapping[str, str]) -> Mapping[str, str]:
    """Load the demo where it is not loaded yet; its last line is how to sign in, as JSON."""
    said = _run(supervisor, env, "demo", "app.demo.seed", unshown="{").last_lines
    try:
        sign_in: dict[str, str] = json.loads(said[-1]) if said else {}
    except json.JSONDecodeError:
        return {}
    return sign_in


def _start_engine(supervisor: Supervisor, env: Mapping[str, str], settings: Settings) -> None:
    for number in range(1, settings.work_processes + 1):
        supervisor.add(Part(f"worker-{number}", lambda: _child(env, "app.worker", "work"), ENGINE, patience=4.5))
    supervisor.add(Part("timer", lambda: _child(env, "app.worker", "timer"), ENGINE, patience=4.5))


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _welcome(supervisor: Supervisor, settings: Settings, sign_in: Mapping[str, str], seconds: float) -> None:
    lines = ["", f"Percorso is up after {seconds:.1f} s: {settings.base_url}"]
    if sign_in:
        lines.append(f"Sign in with {sign_in.get('email', '')} and the password {sign_in.get('password', '')}")
    lines += [f"Data in {settings.data_dir}. Ctrl-C stops everything.", ""]
    for line in lines:
        supervisor.say("supervisor", line)
