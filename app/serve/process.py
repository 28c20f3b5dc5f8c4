"""Start a child that cannot outlive us, and end it."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from app.serve.account import Account

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


class ServeError(RuntimeError):
    """Something that the person at the terminal must put right; the message says what and how."""


@dataclass(frozen=True)
class Launch:
    """How a child is started.

    Attributes:
        argv: program and arguments.
        env: its whole environment.
        account: whom it runs as; None: as we do.
        stop: the signal that asks it to end in good order.
        orphaned: the signal the kernel sends it when we die without asking (Linux).
    """

    argv: tuple[str, ...]
    env: Mapping[str, str]
    cwd: Path
    account: Account | None = None
    stop: signal.Signals = signal.SIGTERM
    orphaned: signal.Signals = signal.SIGKILL
    umask: int = field(default=0o077)


def die_with_parent(number: signal.Signals) -> None:
    """Have the kernel send us `number` when the thread that started us ends. Does nothing but on Linux."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0)


def _before_exec(launch: Launch, parent: int) -> Callable[[], None]:
    def prepare() -> None:
        die_with_parent(launch.orphaned)
        # The parent may have died between fork and prctl; then the signal would never come.
        if os.getppid() != parent:
            os._exit(1)

    return prepare


def spawn(launch: Launch, output: int | IO[Any] | None) -> subprocess.Popen[bytes]:
    """Start `launch` in its own session, so that Ctrl-C in the terminal reaches only us, and we end things in order."""
    account = launch.account
    return subprocess.Popen(
        launch.argv,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        env=dict(launch.env),
        cwd=launch.cwd,
        start_new_session=True,
        umask=launch.umask,
        user=account.uid if account else None,
        group=account.gid if account else None,
        extra_groups=[] if account else None,
        preexec_fn=_before_exec(launch, os.getpid()),  # noqa: PLW1509 - children are started from one thread only
    )


def end(child: subprocess.Popen[bytes], ask: signal.Signals, seconds: float) -> bool:
    """Ask `child` to end, wait up to `seconds`, then kill its whole group. Gives whether it ended when asked."""
    if child.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            child.send_signal(ask)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(seconds)
    in_time = child.poll() is not None
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    return in_time


def processes_in(folder: Path) -> list[int]:
    """Ids of the live processes whose working directory is `folder` (Linux; elsewhere none are seen)."""
    found = []
    wanted = str(folder.resolve())
    for entry in Path("/proc").glob("[0-9]*/cwd"):
        with contextlib.suppress(OSError):
            if str(entry.readlink()) == wanted:
                found.append(int(entry.parent.name))
    return found


def wait_until_left(folder: Path, seconds: float) -> bool:
    """Wait until no process works in `folder` any more, up to `seconds`. Gives whether it was left."""
    return wait_for(lambda: not processes_in(folder), seconds)


def wait_for(done: Callable[[], bool], seconds: float, pause: float = 0.05) -> bool:
    """Ask `done` again and again for up to `seconds`. Gives whether it came true."""
    until = time.monotonic() + seconds
    while not done():
        if time.monotonic() > until:
            return False
        time.sleep(pause)
    return True


def write_private(path: Path, text: str) -> None:
    """Write a file that only we may read, in one step: a crash leaves the old one or the new one."""
    fresh = path.with_name(path.name + ".new")
    with contextlib.suppress(FileNotFoundError):
        fresh.unlink()
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
