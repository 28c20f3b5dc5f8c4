"""`python -m app.serve`, as `bin/run` starts it: everything comes up, and everything goes away."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from app.serve.process import wait_for
from tests.conftest import ROOT


class Copy:
    """One running copy, and what it has said."""

    def __init__(self, data: Path, port: int, **settings: str) -> None:
        self.data, self.port = data, port
        env = {"PATH": os.environ["PATH"], "DEMO": "0", "PERCORSO_WEB": "1", "PERCORSO_WORKERS": "1"}
        env |= {"PERCORSO_DATA": str(data), "PERCORSO_PORT": str(port)} | settings
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, "-u", "-m", "app.serve"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=ROOT,
            env=env,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        self.lines.extend(self.process.stdout)
        self.process.stdout.close()

    def said(self, pattern: str) -> bool:
        return any(re.search(pattern, line) for line in list(self.lines))

    def up(self) -> Copy:
        assert wait_for(lambda: self.said("Percorso is up after") or self.process.poll() is not None, 90), self.lines
        assert self.process.poll() is None, self.lines
        return self

    def get(self, path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as refused:
            with refused:
                return refused.code, refused.read().decode()

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        code = self.process.wait(20)
        self._reader.join(10)
        return code


def _started_for(data: Path) -> list[int]:
    """Live processes whose environment or arguments name this data directory."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            known = (entry / "environ").read_bytes() + (entry / "cmdline").read_bytes()
            alive = (entry / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
        except OSError:
            continue
        if str(data).encode() in known and alive and int(entry.name) != os.getpid():
            found.append(int(entry.name))
    return found


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def place() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="percorso-"))
    folder.chmod(0o755)
    yield folder
    wait_for(lambda: not _started_for(folder), 15)
    shutil.rmtree(folder)


def test_it_comes_up_keeps_its_data_and_leaves_nothing_behind(place: Path) -> None:
    copy = Copy(place / "var", _free_port()).up()
    assert json.loads(copy.get("/readyz")[1]) == {
        "ready": True,
        "checks": {"database": "ok", "redis": "ok", "migrations": "ok"},
    }
    assert copy.get("/metrics")[0] == 200
    for name in ("secret", "instance.json", "postgres/passwords.json", "valkey/valkey.conf"):
        assert (place / "var" / name).stat().st_mode & 0o077 == 0, name
    secret = (place / "var" / "secret").read_text()
    began = time.monotonic()
    assert copy.end() == 0
    assert time.monotonic() - began < 10
    assert _started_for(place) == []
    assert not copy.said(r"\bended \("), copy.lines
    assert not copy.said("is killed"), copy.lines

    again = Copy(place / "var", copy.port).up()
    assert not again.said("^migrate"), "a database at head is not migrated again"
    assert (place / "var" / "secret").read_text() == secret
    assert again.end(signal.SIGINT) == 0
    assert _started_for(place) == []


def test_kill_9_ends_all_it_started_and_the_next_start_works(place: Path) -> None:
    copy = Copy(place / "var", _free_port()).up()
    assert len(_started_for(place)) >= 6
    copy.end(signal.SIGKILL)
    assert wait_for(lambda: not _started_for(place), 10), _started_for(place)
    again = Copy(place / "var", copy.port).up()
    assert again.get("/readyz")[0] == 200
    again.end()


def test_it_starts_at_once_after_a_kill_9_while_the_old_servers_still_write(place: Path) -> None:
    copy = Copy(place / "var", _free_port()).up()
    copy.end(signal.SIGKILL)
    again = Copy(place / "var", copy.port).up()
    assert again.get("/readyz")[0] == 200
    again.end()


def test_a_second_copy_on_the_same_data_is_refused_with_what_to_do(place: Path) -> None:
    copy = Copy(place / "var", _free_port()).up()
    second = Copy(place / "var", _free_port())
    assert second.process.wait(30) == 2
    assert wait_for(lambda: second.said("already runs on"), 5)
    assert second.said(f"process {copy.process.pid}")
    assert second.said("set PERCORSO_DATA and PERCORSO_PORT")
    assert copy.get("/readyz")[0] == 200
    copy.end()


def test_a_taken_port_is_refused_before_anything_is_started(place: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        refused = Copy(place / "var", int(taken.getsockname()[1]))
        assert refused.process.wait(30) == 2
    assert wait_for(lambda: refused.said("is taken by another program: set PERCORSO_PORT"), 5)
    assert not (place / "var" / "postgres").exists()


def test_a_wrong_setting_is_named_before_anything_is_started(place: Path) -> None:
    refused = Copy(place / "var", _free_port(), PERCORSO_WORKERS="many")
    assert refused.process.wait(30) == 2
    assert wait_for(lambda: refused.said("PERCORSO_WORKERS is 'many'"), 5)
    assert not (place / "var" / "postgres").exists()


def test_two_copies_run_side_by_side(place: Path) -> None:
    one = Copy(place / "one", _free_port())
    two = Copy(place / "two", _free_port())
    assert one.up().get("/readyz")[0] == 200
    assert two.up().get("/readyz")[0] == 200
    assert one.end() == 0
    assert two.get("/readyz")[0] == 200
    two.end()


def test_a_killed_part_comes_back(place: Path) -> None:
    copy = Copy(place / "var", _free_port()).up()
    for part in ("app.worker work", "app.worker timer", "valkey-server", "postgres -D", "app.serve.web"):
        before = _running(place, part)
        assert before, part
        os.kill(before[0], signal.SIGKILL)
        assert wait_for(partial(_came_back, place, part, before), 20), part
        assert wait_for(lambda: _ready(copy), 30), (part, copy.lines)
    assert copy.end() == 0


def _came_back(place: Path, part: str, before: list[int]) -> bool:
    return bool(set(_running(place, part)) - set(before))


def _running(place: Path, part: str) -> list[int]:
    """Processes of a copy whose command line holds these words, oldest first."""
    words = part.replace(" ", "\0").encode()
    found = []
    for pid in _started_for(place):
        with contextlib.suppress(OSError):
            if words in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.append(pid)
    return sorted(found)


def _ready(copy: Copy) -> bool:
    try:
        return copy.get("/readyz")[0] == 200
    except OSError:
        return False
