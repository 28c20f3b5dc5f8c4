"""What every test may ask for. `tests/README.md` says which fixture is for what."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from alembic import command
from alembic.config import Config
from apiflask import APIFlask
from flask.testing import FlaskClient
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Error, Page, Request, sync_playwright
from redis import Redis
from sqlalchemy import Connection, create_engine
from sqlalchemy.orm import Session, sessionmaker
from werkzeug.serving import make_server

from app.accounts.models import Workspace
from app.api import provider_webhooks
from app.clock import Clock, FixedClock
from app.config import Settings
from app.db import Database
from app.house import furnish
from app.serve.postgres import CarriedPostgres
from app.serve.valkey import CarriedValkey
from app.studio.sign_in import limiter
from app.web import create_app
from tests.factories import Factory
from tests.sink import Sink

ROOT = Path(__file__).resolve().parents[1]
SHARED = Path(os.environ.get("PERCORSO_SHARED") or ROOT.parent / "shared")
START = datetime(2026, 3, 10, 9, 0, tzinfo=UTC)
"""The instant at which every test begins: a Tuesday, 10:00 in Rome, before the change to summer time."""

pytest_plugins = ("tests.hotel",)

hypothesis_settings.register_profile(
    "dev", max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
hypothesis_settings.register_profile("ci", hypothesis_settings.get_profile("dev"), max_examples=200, derandomize=True)
hypothesis_settings.register_profile("other", hypothesis_settings.get_profile("ci"), max_examples=30)
"""On another server than the carried one: what is random in an example does not rest on the server's version."""
hypothesis_settings.load_profile(
    "other" if os.environ.get("PERCORSO_TEST_PG") else "ci" if os.environ.get("CI") else "dev"
)

_numbers = itertools.count(1)


# -- which tests run -----------------------------------------------------------------------------------------------


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark what touches SQL, and hold back what needs data that is not here."""
    missing = 0
    for item in items:
        asked = getattr(item, "fixturenames", ())
        if "postgres" in asked and "chromium" not in asked:
            item.add_marker(pytest.mark.sql)
        if item.get_closest_marker("shared_data") and not SHARED.is_dir():
            missing += 1
            item.add_marker(pytest.mark.skip(reason=f"needs the data folder {SHARED}"))
    config.stash[_MISSING] = missing


_MISSING = pytest.StashKey[int]()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say how much was not run for lack of data; nothing is left out silently."""
    missing = config.stash.get(_MISSING, 0)
    terminalreporter.write_line(f"not run for lack of {SHARED}: {missing}" if missing else "all shared data is here")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The optional data folder; ask for it only under `@pytest.mark.shared_data`."""
    return SHARED


# -- servers ---------------------------------------------------------------------------------------------------------


MEMORY = Path("/dev/shm")
ROOM = 8 * 2**30
"""Bytes that must be free in memory for the servers' files; both runs of `bin/test` together take about two."""


def _roomy(folder: Path) -> bool:
    return folder.is_dir() and os.access(folder, os.W_OK) and shutil.disk_usage(folder).free >= ROOM


@pytest.fixture(scope="session")
def scratch() -> Iterator[Path]:
    """A folder that an unprivileged account may enter too (pytest's own may not be entered when we are root).

    In memory where there is room: hundreds of tests ask for a copy of a database, each a thousand files.
    """
    folder = Path(tempfile.mkdtemp(prefix="percorso-", dir=MEMORY if _roomy(MEMORY) else None))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def postgres_binaries() -> Path | None:
    """The PostgreSQL that `PERCORSO_TEST_PG` asks for; None: the carried one."""
    version = os.environ.get("PERCORSO_TEST_PG", "")
    if not version:
        return None
    binaries = Path(f"/usr/lib/postgresql/{version}/bin")
    if not binaries.is_dir():
        pytest.exit(f"PERCORSO_TEST_PG={version}, but {binaries} is not there: apt-get install postgresql-{version}", 2)
    return binaries


@pytest.fixture(scope="session")
def postgres(scratch: Path) -> Iterator[CarriedPostgres]:
    """One PostgreSQL server for the whole run: real, but not durable."""
    with CarriedPostgres(scratch / "postgres", binaries=postgres_binaries(), durable=False) as server:
        yield server


@pytest.fixture(scope="session")
def valkey(scratch: Path) -> Iterator[CarriedValkey]:
    """One Valkey server for the whole run."""
    with CarriedValkey(scratch / "valkey") as server:
        yield server


@pytest.fixture
def redis(valkey: CarriedValkey) -> Iterator[Redis]:
    """A connection to an empty Valkey."""
    with Redis.from_url(valkey.url) as client:
        client.flushall()
        yield client


@pytest.fixture
def smtp() -> Iterator[Sink]:
    """A real SMTP server that keeps what it takes. `bad…@` is refused for good, `greylist…@` once, `cut…@` is taken
    and the connection dropped before the answer."""
    with Sink() as sink:
        yield sink


# -- databases -------------------------------------------------------------------------------------------------------


def migrate(url: str, revision: str = "head") -> None:
    """Bring the database at `url` to `revision` by the real migrations."""
    config = Config(ROOT / "alembic.ini")
    config.set_main_option("script_location", str(ROOT / "migrations"))
    config.attributes["url"] = url
    command.upgrade(config, revision)


@pytest.fixture(scope="session")
def template(postgres: CarriedPostgres) -> str:
    """The name of a migrated database that others are copied from."""
    name = "template_percorso"
    superuser(postgres, f'CREATE DATABASE {name} OWNER "{postgres.role}"')
    migrate(postgres.url(name))
    return name


def superuser(postgres: CarriedPostgres, statement: str) -> None:
    """Run one statement as the server's superuser, on its maintenance database."""
    url = postgres.url("postgres", postgres.superuser).replace("+psycopg", "")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement.encode())


def copied(postgres: CarriedPostgres, template: str) -> Iterator[str]:
    """A copy of a database: its address; it is dropped when the generator is closed."""
    name = f"test_{os.getpid()}_{next(_numbers)}"
    superuser(postgres, f'CREATE DATABASE {name} TEMPLATE {template} OWNER "{postgres.role}" STRATEGY FILE_COPY')
    yield postgres.url(name)
    superuser(postgres, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="module")
def module_url(postgres: CarriedPostgres, template: str) -> Iterator[str]:
    """The address of a database of this test module's own."""
    yield from copied(postgres, template)


@pytest.fixture(scope="module")
def _module_connection(module_url: str) -> Iterator[Connection]:
    engine = create_engine(module_url, connect_args={"options": "-c timezone=UTC"})
    with engine.connect() as connection:
        yield connection
    engine.dispose()


class RolledBack(Database):
    """A Database whose units of work nest in one transaction that never commits."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection.engine.url.render_as_string(hide_password=False))
        self.engine = connection.engine
        self._sessions = sessionmaker(bind=connection, expire_on_commit=False, join_transaction_mode="create_savepoint")

    def close(self) -> None:
        """The connection is the fixture's to close."""


@pytest.fixture
def db(_module_connection: Connection) -> Iterator[Database]:
    """The database for ordinary tests: whatever is committed in it is rolled back afterwards.

    One connection, so no two units of work at once; ask for `database` where locks, leases or processes matter.
    """
    with _module_connection.begin() as transaction:
        opened = RolledBack(_module_connection)
        opened.settings = _settings(_module_connection.engine.url.render_as_string(hide_password=False))
        yield opened
        transaction.rollback()


@pytest.fixture
def database_url(postgres: CarriedPostgres, template: str) -> Iterator[str]:
    """The address of a throwaway database for this test alone, for other processes to use."""
    yield from copied(postgres, template)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A throwaway database for this test alone, in which commits are commits: for locking and kill tests."""
    opened = Database(database_url)
    opened.settings = _settings(database_url)
    yield opened
    opened.close()


@pytest.fixture
def workspace_id(db: Database) -> int:
    """A workspace in `db`."""
    with db.system() as session:
        workspace = Workspace(slug="lago", name="Hotel Lago", settings={}, created_at=START)
        session.add(workspace)
        session.flush()  # its number is asked for
        return workspace.id


@pytest.fixture
def work(db: Database, workspace_id: int) -> Callable[[], AbstractContextManager[Session]]:
    """`with work() as session:` is one unit of work in the test's workspace."""
    return lambda: db.work(workspace_id)


@pytest.fixture
def session(work: Callable[[], AbstractContextManager[Session]]) -> Iterator[Session]:
    """One open unit of work in the test's workspace."""
    with work() as opened:
        yield opened


@pytest.fixture
def make(session: Session, clock: FixedClock) -> Factory:
    """Builds the smallest valid rows in `session`."""
    return Factory(session, clock)


# -- the application -------------------------------------------------------------------------------------------------


@pytest.fixture
def clock() -> FixedClock:
    """Stands still at `START` until the test moves it."""
    return FixedClock(START)


@pytest.fixture
def settings(module_url: str, valkey: CarriedValkey, redis: Redis, tmp_path: Path) -> Settings:
    """Settings of an ordinary test. `dataclasses.replace` makes others."""
    return replace(_settings(module_url), redis_url=valkey.url, data_dir=tmp_path)


def _settings(database_url: str) -> Settings:
    """What units of work ask for: the house's secrets."""
    return Settings(
        database_url=database_url,
        redis_url="redis://nowhere.invalid",
        secret="a test's secret of at least 32 characters",
        base_url="http://localhost",
        demo=False,
    )


_spare: list[tuple[Settings, object, APIFlask]] = []


@contextmanager
def standing(settings: Settings, clock: Clock, database: Database, *, testing: bool = True) -> Iterator[APIFlask]:
    """The web application for one test, on its own database and clock.

    To compile two hundred routes and the pages' templates takes longer than most tests do, so what a test has given
    back is furnished anew for the next that wants the same settings. Only the last one made: the limit on tries to
    sign in counts where that one does.
    """
    kind = replace(settings, database_url="postgresql+psycopg://any@one/database", data_dir=ROOT)
    found = _spare.pop() if _spare else None
    if found is not None and found[0] == kind and found[1] is limiter.storage:
        app = found[2]
        app.extensions["percorso"] = furnish(settings, clock=clock, database=database)
        provider_webhooks.fetch_with(app, provider_webhooks.fetch)
    else:
        app = create_app(settings, clock=clock, database=database)
    app.testing = testing
    counts = limiter.storage
    yield app
    app.extensions["percorso"].close()
    _spare[:] = [(kind, counts, app)]


@pytest.fixture
def app(settings: Settings, clock: Clock, db: Database) -> Iterator[APIFlask]:
    """The web application on `db`, whose commits are rolled back afterwards."""
    with standing(settings, clock, db) as made:
        yield made


@pytest.fixture
def client(app: APIFlask) -> FlaskClient:
    """A client of `app`."""
    return app.test_client()


@pytest.fixture
def environment(database_url: str, valkey: CarriedValkey, redis: Redis, scratch: Path) -> dict[str, str]:
    """The environment for a process of ours (`python -m app.worker work`) on the throwaway `database`."""
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "DATABASE_URL": database_url,
        "REDIS_URL": valkey.url,
        "PERCORSO_SECRET": "a test's secret of at least 32 characters",
        "PERCORSO_DATA": str(scratch / f"data-{next(_numbers)}"),
        "DEMO": "0",
    }


@pytest.fixture
def serve() -> Iterator[Callable[[APIFlask], str]]:
    """`serve(app)` puts an application on a free port of 127.0.0.1 and gives its address. It needs a real database."""
    servers = []

    def start(app: APIFlask) -> str:
        server = make_server("127.0.0.1", 0, app, threaded=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        servers.append((server, thread))
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server, thread in servers:
        server.shutdown()
        thread.join(5)
        server.server_close()


# -- a browser -------------------------------------------------------------------------------------------------------

CHROMIUM_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@dataclass
class Watch:
    """What a page did that it should not have. Tests that provoke an error `allow` it first."""

    faults: list[str] = field(default_factory=list)
    allowed: list[str] = field(default_factory=list)

    def allow(self, pattern: str) -> None:
        """Faults that match this regular expression are expected."""
        self.allowed.append(pattern)

    def note(self, fault: str) -> None:
        """Keep a fault."""
        self.faults.append(fault)

    def unexpected(self) -> list[str]:
        """Faults that nothing allowed."""
        return [fault for fault in self.faults if not any(re.search(pattern, fault) for pattern in self.allowed)]

    def on(self, context: BrowserContext) -> None:
        """Watch every page of a browser context: script errors, console errors, requests that leave this machine."""

        def console(message: ConsoleMessage) -> None:
            if message.type == "error":
                self.note(f"console: {message.text} ({message.location.get('url', '')})")

        def request(asked: Request) -> None:
            if not re.match(r"(https?://(127\.0\.0\.1|localhost)[:/]|data:|blob:|about:)", asked.url):
                self.note(f"left this machine: {asked.url}")

        context.on("console", console)
        context.on("weberror", lambda error: self.note(f"script: {error.error}"))
        context.on("request", request)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """Chromium, for the whole run."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.fail("browser tests need Chromium: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=CHROMIUM_ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def watch() -> Watch:
    """What the pages of this test did wrong; see `page`."""
    return Watch()


@pytest.fixture
def new_page(chromium: Browser, watch: Watch) -> Iterator[Callable[..., Page]]:
    """`new_page(**options of a Playwright context)` opens a watched page. Any fault not allowed fails the test."""
    contexts: list[BrowserContext] = []

    def opened(**options: Any) -> Page:
        context = chromium.new_context(**({"locale": "en-GB", "viewport": {"width": 1440, "height": 900}} | options))
        context.set_default_timeout(10_000)
        watch.on(context)
        contexts.append(context)
        return context.new_page()

    yield opened
    for context in contexts:
        try:
            context.close()
        except Error as error:
            watch.note(f"browser: {error}")
    assert not watch.unexpected(), "the page misbehaved:\n" + "\n".join(watch.unexpected())


@pytest.fixture
def page(new_page: Callable[..., Page]) -> Page:
    """One watched page, 1440 px wide, English."""
    return new_page()
