"""The data directory: one supervisor at a time, and the secret made on the first start."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from app.serve.process import ServeError, write_private

_OTHERS = ("DATABASE_URL", "REDIS_URL", "SMTP_URL", "DEMO")


class Home:
    """The data directory, held while we run.

    The lock is the kernel's: it goes with the process however that ends, so nothing stale can be left behind.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self._lock: int | None = None

    def __enter__(self) -> Self:
        try:
            self.path.mkdir(parents=True, exist_ok=True, mode=0o755)
            descriptor = os.open(self.path / "supervisor.lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise ServeError(
                f"The data directory {self.path} cannot be written ({error.strerror}): "
                "set PERCORSO_DATA to one that can."
            ) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.read(descriptor, 64).decode().strip() or "unknown"
            os.close(descriptor)
            raise ServeError(
                f"Percorso already runs on {self.path} (process {holder}). "
                "Stop that one, or set PERCORSO_DATA and PERCORSO_PORT to run a second copy beside it."
            ) from error
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        self._lock = descriptor
        return self

    def __exit__(self, *_: object) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def secret(self) -> str:
        """The secret that signs links and sessions: made once, kept where only we may read it."""
        path = self.path / "secret"
        if not path.exists():
            write_private(path, secrets.token_hex(32))
        return path.read_text(encoding="utf-8").strip()

    def introduce(self, given: Mapping[str, str]) -> None:
        """Write down our settings for commands in other terminals (`config.of_instance`); only we may read them."""
        ours = {name: value for name, value in given.items() if name.startswith("PERCORSO_") or name in _OTHERS}
        write_private(self.path / "instance.json", json.dumps(ours, indent=1))

    def take_leave(self) -> None:
        """Nothing is to be reached here any more."""
        (self.path / "instance.json").unlink(missing_ok=True)
