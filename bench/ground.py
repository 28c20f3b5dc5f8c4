"""What benchmarks stand on: a house of its own, started as in production, with a mail server that only counts.

PostgreSQL is durable here (fsync on), as it is where people use it. Everything lives in a throwaway folder and ends
with the block.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

import structlog
from alembic import command
from alembic.config import Config

from app.accounts.models import Workspace
from app.clock import SystemClock
from app.config import Settings
from app.contacts.models import Property
from app.content import catalogue as templates
from app.enrollments import catalogue as workflows
from app.events.models import Source
from app.events.sources import new_key
from app.house import House, furnish
from app.serve.postgres import CarriedPostgres
from app.serve.process import wait_for
from app.serve.valkey import CarriedValkey

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Measured:
    """One line of the table: what the house did beside what the bare parts can do in the same run."""

    name: str
    value: float
    unit: str
    limit: float
    ratio: float
    goal: float

    @classmethod
    def against(cls, name: str, value: float, unit: str, limit: float, goal: float) -> Measured:
        """With the ratio reckoned."""
        return cls(name, round(value, 1), unit, round(limit, 1), round(value / limit, 3), goal)


def table(lines: Sequence[Measured]) -> str:
    """For people."""
    head = f"{'name':<16}{'value':>12}  {'unit':<10}{'limit':>12}{'ratio':>8}{'goal':>7}"
    rows = [
        f"{one.name:<16}{one.value:>12,.0f}  {one.unit:<10}{one.limit:>12,.0f}{one.ratio:>8.2f}{one.goal:>7.2f}"
        + ("" if one.ratio >= one.goal else "  below its goal")
        for one in lines
    ]
    return "\n".join([head, *rows])


def write(lines: Sequence[Measured], path: Path) -> None:
    """For programs: a list of objects."""
    path.write_text(json.dumps([asdict(one) for one in lines], indent=1) + "\n")


class Counting:
    """The mail server in a process of its own, so that its work is not on our clock twice."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.sink"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._in, self._out = _both(self._process)
        self.port = int(self._out.readline())

    @property
    def url(self) -> str:
        """For `SMTP_URL`."""
        return f"smtp://127.0.0.1:{self.port}"

    def different(self) -> int:
        """How many different mails it has taken."""
        self._in.write("\n")
        self._in.flush()
        counted: dict[str, int] = json.loads(self._out.readline())
        return counted["different"]

    def close(self) -> None:
        """End it."""
        self._in.close()
        self._process.wait(10)
        self._out.close()


def _both(process: subprocess.Popen[str]) -> tuple[IO[str], IO[str]]:
    assert process.stdin is not None
    assert process.stdout is not None
    return process.stdin, process.stdout


@dataclass
class Ground:
    """A running house and how to reach it."""

    house: House
    workspace_id: int
    source_id: int
    api_key: str
    environment: Mapping[str, str]
    sink: Counting
    port: int

    def post(self, bodies: Sequence[bytes]) -> None:
        """Post bodies to the events API, one after the other on one connection; each must be accepted whole."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        headers = {"Authorization": f"Bearer {self.api_key}", "Content-Type": "application/json"}
        with contextlib.closing(connection):
            for body in bodies:
                connection.request("POST", "/api/v1/events", body, headers)
                answer = connection.getresponse()
                said = answer.read()
                if answer.status != 202 or b'"rejected"' in said or b'"duplicate"' in said:
                    raise RuntimeError(f"{answer.status}: {said[:500]!r}")

    @contextlib.contextmanager
    def running(self, *parts: str) -> Iterator[None]:
        """Processes of the house: `web`, `work`, `timer`, each as often as named."""
        commands = {
            "web": ["app.serve.web"],
            "work": ["app.worker", "work"],
            "timer": ["app.worker", "timer"],
        }
        children = [
            subprocess.Popen([sys.executable, "-m", *commands[part]], env=dict(self.environment), cwd=ROOT)
            for part in parts
        ]
        try:
            if "web" in parts and not wait_for(self._answers, 30):
                raise RuntimeError("The web server did not answer within 30 s.")
            yield
        finally:
            for child in children:
                child.terminate()
            for child in children:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    child.wait(15)
                child.kill()
                child.wait()

    def _answers(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)
        try:
            connection.request("GET", "/healthz")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()


@contextlib.contextmanager
def ground(template: Mapping[str, str], workflow: str) -> Iterator[Ground]:
    """A house with one hotel, one template and one workflow; nothing runs yet but PostgreSQL, Valkey and the sink."""
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    folder = Path(tempfile.mkdtemp(prefix="percorso-bench-"))
    folder.chmod(0o755)
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        postgres = stack.enter_context(CarriedPostgres(folder / "postgres"))
        valkey = stack.enter_context(CarriedValkey(folder / "valkey"))
        sink = Counting()
        stack.callback(sink.close)
        port = _free_port()
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "DATABASE_URL": postgres.url(),
            "REDIS_URL": valkey.url,
            "SMTP_URL": sink.url,
            "PERCORSO_SECRET": "a benchmark's secret of at least 32 characters",
            "PERCORSO_DATA": str(folder / "data"),
            "PERCORSO_PORT": str(port),
            "PERCORSO_EVENT_RATE": "10000000",
            "PERCORSO_LOG": "warning",
            "DEMO": "0",
        }
        config = Config(ROOT / "alembic.ini")
        config.set_main_option("script_location", str(ROOT / "migrations"))
        config.attributes["url"] = postgres.url()
        command.upgrade(config, "head")
        house = furnish(Settings.from_env(environment), clock=SystemClock())
        stack.callback(house.close)
        yield Ground(house, *_hotel(house, template, workflow), environment, sink, port)


def _hotel(house: House, template: Mapping[str, str], workflow: str) -> tuple[int, int, str]:
    now = house.clock.now()
    with house.database.system() as session:
        workspace = Workspace(slug="bench", name="Bench", settings={}, created_at=now)
        session.add(workspace)
        session.flush()  # its number is asked for
        workspace_id = workspace.id
    common: dict[str, Any] = {"workspace_id": workspace_id, "created_at": now}
    with house.database.work(workspace_id) as session:
        session.add(
            Property(
                code="verbano",
                name="Hotel Verbano",
                zone="Europe/Rome",
                language="it",
                sender_name="Hotel Verbano",
                sender_email="ciao@verbano.example",
                is_default=True,
                updated_at=now,
                **common,
            )
        )
        source = Source(slug="bench", name="Bench", **common)
        session.add(source)
        session.flush()  # the key hangs on it
        key = new_key(session, source.id, ("events:write",), now, label="Bench")
        for change in templates.push(session, templates.Library(template, frozenset()), now):
            if change.outcome != "published":
                raise RuntimeError(str(change.problems))
        workflows.publish(session, workflow, by="bench", now=now)
        return workspace_id, source.id, key


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
