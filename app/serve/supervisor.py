"""Keeps children running, ends them in order, and shows what they say, each line under its name.

One thread, one loop: `select` over the children's pipes and one pipe that signals write to. A child that ends is
started again, at once the first time and then later and later; one that stays up for half a minute is forgiven.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from types import FrameType
from typing import IO, cast

from app.serve.process import Launch, ServeError, end, spawn

FIRST_PAUSE = 0.2
LONGEST_PAUSE = 15.0
FORGIVEN_AFTER = 30.0
_LONGEST_LINE = 16_384
_COLOURS = (36, 35, 34, 33, 32, 31)


@dataclass
class Part:
    """One thing that is kept running.

    Attributes:
        name: shown before each of its lines.
        make: how it is started; asked again at each start, since an address may have changed.
        wave: parts of the highest wave end first; those of one wave together.
        patience: seconds it has to end when asked.
        unshown: lines that begin with this are kept and not shown; empty: all are shown.
    """

    name: str
    make: Callable[[], Launch]
    wave: int
    patience: float
    unshown: str = ""
    child: subprocess.Popen[bytes] | None = None
    launch: Launch | None = None
    pause: float = FIRST_PAUSE
    since: float = 0.0
    again_at: float | None = None
    buffer: bytes = b""
    last_lines: list[str] = field(default_factory=list)

    def alive(self) -> bool:
        """Whether its process runs."""
        return self.child is not None and self.child.poll() is None

    def tail(self) -> str:
        """The last lines it said, for an error message."""
        return "\n".join(self.last_lines[-12:])


class Supervisor:
    """Runs parts until told to stop.

    Args:
        output: where everything is shown.
        colour: whether names are coloured.
    """

    def __init__(self, output: IO[str], *, colour: bool) -> None:
        self._output = output
        self._colour = colour
        self._parts: list[Part] = []
        self._selector = selectors.DefaultSelector()
        self._signal_out, self._signal_in = os.pipe()
        os.set_blocking(self._signal_in, False)
        os.set_blocking(self._signal_out, False)
        self._selector.register(self._signal_out, selectors.EVENT_READ)
        self.stopping = False

    # -- speaking ----------------------------------------------------------------------------------------------------

    def say(self, name: str, line: str) -> None:
        """Show one line under a name."""
        label = f"{name:<11}"
        if self._colour:
            names = [part.name for part in self._parts]
            number = _COLOURS[names.index(name) % len(_COLOURS)] if name in names else 90
            label = f"\x1b[{number}m{label}\x1b[0m"
        with contextlib.suppress(BrokenPipeError, ValueError):
            self._output.write(f"{label}| {line}\n")
            self._output.flush()

    # -- signals -----------------------------------------------------------------------------------------------------

    def listen(self) -> None:
        """From now on SIGINT, SIGTERM and SIGHUP ask us to stop. A second one changes nothing: the end is short."""

        def stop(_number: int, _frame: FrameType | None) -> None:
            self.stopping = True
            with contextlib.suppress(BlockingIOError):
                os.write(self._signal_in, b"!")

        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, stop)

    # -- running -----------------------------------------------------------------------------------------------------

    def add(self, part: Part) -> Part:
        """Start a part and keep it running from now on."""
        self._parts.append(part)
        self._start(part)
        return part

    def _start(self, part: Part) -> None:
        part.launch = part.make()
        part.child = spawn(part.launch, subprocess.PIPE)
        part.since = time.monotonic()
        part.again_at = None
        part.buffer = b""
        stream = cast(IO[bytes], part.child.stdout)
        os.set_blocking(stream.fileno(), False)
        self._selector.register(stream, selectors.EVENT_READ, part)

    def run_once(self, part: Part, seconds: float) -> int | None:
        """Run a part that is meant to end, showing what it says. Gives its code; None: it was stopped or too slow."""
        self._start(part)
        until = time.monotonic() + seconds
        child = cast("subprocess.Popen[bytes]", part.child)
        while child.poll() is None and not self.stopping and time.monotonic() < until:
            self.turn(0.1)
        self._drain(part)
        if child.poll() is None:
            end(child, signal.SIGTERM, 2)
            return None
        return child.returncode

    def turn(self, seconds: float) -> None:
        """Wait up to `seconds` for something to happen and deal with it."""
        for key, _ in self._selector.select(seconds):
            if key.data is None:
                with contextlib.suppress(BlockingIOError):
                    os.read(self._signal_out, 4096)
            else:
                self._read(key.data, cast(IO[bytes], key.fileobj))
        if not self.stopping:
            self._look_after()

    def until(self, done: Callable[[], bool], seconds: float) -> bool:
        """Keep turning until `done` (True), or until stopped or out of time (False)."""
        limit = time.monotonic() + seconds
        while not self.stopping and time.monotonic() < limit:
            if done():
                return True
            self.turn(0.05)
        return False

    def forever(self) -> None:
        """Keep turning until stopped."""
        while not self.stopping:
            self.turn(1.0)

    def _read(self, part: Part, stream: IO[bytes]) -> None:
        try:
            read = os.read(stream.fileno(), 65_536)
        except BlockingIOError:
            return
        if not read:
            self._selector.unregister(stream)
            stream.close()
        part.buffer += read
        *lines, part.buffer = part.buffer.split(b"\n")
        if part.buffer and (not read or len(part.buffer) > _LONGEST_LINE):
            lines, part.buffer = [*lines, part.buffer], b""
        for raw in lines:
            line = raw.decode(errors="replace").rstrip()
            if line:
                part.last_lines = [*part.last_lines[-20:], line]
                if not part.unshown or not line.startswith(part.unshown):
                    self.say(part.name, line)

    def _drain(self, part: Part) -> None:
        """Show what a part said last; its pipe may be held open by a grandchild, so nothing is waited for."""
        stream = part.child.stdout if part.child else None
        for _ in range(64):
            if stream is None or stream.closed or not self._ready(stream):
                return
            self._read(part, stream)

    def _ready(self, stream: IO[bytes]) -> bool:
        return any(key.fileobj is stream for key, _ in self._selector.select(0))

    def _look_after(self) -> None:
        now = time.monotonic()
        for part in self._parts:
            if part.alive():
                if now - part.since > FORGIVEN_AFTER:
                    part.pause = FIRST_PAUSE
                continue
            if part.again_at is None:
                self._drain(part)
                self._sweep(part)
                code = part.child.returncode if part.child else None
                part.again_at = now + part.pause
                self.say("supervisor", f"{part.name} ended ({_cause(code)}); starting it again in {part.pause:.1f} s")
                part.pause = min(part.pause * 2, LONGEST_PAUSE)
            elif now >= part.again_at:
                try:
                    self._start(part)
                except ServeError as error:
                    self.say("supervisor", f"{part.name} could not be started: {error}")
                    part.again_at = time.monotonic() + LONGEST_PAUSE

    def _sweep(self, part: Part) -> None:
        """Kill what a dead part left in its group, so that the next one finds its port and files free."""
        if part.child is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(part.child.pid, signal.SIGKILL)
            stream = part.child.stdout
            if stream is not None and not stream.closed:
                self._selector.unregister(stream)
                stream.close()

    # -- ending ------------------------------------------------------------------------------------------------------

    def shut_down(self) -> None:
        """End every part, wave by wave, the last to be started first; what does not end in time is killed."""
        self.stopping = True
        for wave in sorted({part.wave for part in self._parts}, reverse=True):
            self._end([part for part in self._parts if part.wave == wave])
        self._selector.close()

    def _end(self, parts: Iterable[Part]) -> None:
        alive = [part for part in parts if part.alive()]
        for part in alive:
            if part.child and part.launch:
                with contextlib.suppress(ProcessLookupError):
                    part.child.send_signal(part.launch.stop)
        until = time.monotonic() + max((part.patience for part in alive), default=0.0)
        while any(part.alive() for part in alive) and time.monotonic() < until:
            self.turn(0.02)
        for part in parts:
            if part.alive():
                self.say("supervisor", f"{part.name} did not end within {part.patience:.0f} s and is killed")
            self._drain(part)
            self._sweep(part)
            if part.child:
                part.child.wait()


def _cause(code: int | None) -> str:
    if code is not None and code < 0:
        return signal.Signals(-code).name
    return f"code {code}"
