"""Parts are kept running, shown under their names, and ended in order."""

from __future__ import annotations

import io
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.serve.process import Launch, wait_for
from app.serve.supervisor import Part, Supervisor

Running = tuple[Supervisor, io.StringIO]


@pytest.fixture
def running() -> Iterator[Running]:
    output = io.StringIO()
    supervisor = Supervisor(output, colour=False)
    yield supervisor, output
    supervisor.shut_down()


def _part(name: str, program: str, *, wave: int = 1, patience: float = 5) -> Part:
    launch = Launch((sys.executable, "-u", "-c", program), {"PATH": os.environ["PATH"]}, Path("/"))
    return Part(name, lambda: launch, wave, patience)


WAITS = "import signal; print('up'); signal.pause()"
DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up')\nwhile True: signal.pause()"


def test_each_line_stands_under_the_name_of_its_part(running: Running) -> None:
    supervisor, output = running
    supervisor.add(_part("one", "print('first'); print('second'); import signal; signal.pause()"))
    assert supervisor.until(lambda: "second" in output.getvalue(), 10)
    assert output.getvalue().splitlines() == ["one        | first", "one        | second"]


def test_a_part_that_dies_is_started_again_and_its_death_is_told(running: Running) -> None:
    supervisor, output = running
    part = supervisor.add(_part("worker", WAITS))
    assert supervisor.until(lambda: "up" in output.getvalue(), 10)
    assert part.child is not None
    first = part.child.pid
    os.kill(first, signal.SIGKILL)
    assert supervisor.until(lambda: output.getvalue().count("up\n") == 2, 10)
    assert part.child.pid != first
    assert "worker ended (SIGKILL); starting it again in 0.2 s" in output.getvalue()


def test_a_part_that_keeps_dying_is_started_more_and_more_seldom(running: Running) -> None:
    supervisor, output = running
    supervisor.add(_part("broken", "raise SystemExit(3)"))
    assert supervisor.until(lambda: output.getvalue().count("broken ended (code 3)") == 3, 20)
    pauses = [line.rpartition(" in ")[2] for line in output.getvalue().splitlines() if "starting it again" in line]
    assert pauses[:3] == ["0.2 s", "0.4 s", "0.8 s"]


def test_parts_end_in_waves_the_engine_before_the_servers_it_needs(running: Running, tmp_path: Path) -> None:
    supervisor, output = running
    program = (
        "import signal, sys, time\n"
        "def end(*_):\n"
        "    open({path!r}, 'a').write({name!r} + ' '); sys.exit()\n"
        "signal.signal(signal.SIGTERM, end); print('up')\n"
        "while True: signal.pause()"
    )
    order = tmp_path / "order"
    for name, wave in (("database", 0), ("store", 1), ("engine", 2)):
        supervisor.add(_part(name, program.format(path=str(order), name=name), wave=wave))
    assert supervisor.until(lambda: output.getvalue().count("up\n") == 3, 10)
    supervisor.shut_down()
    assert order.read_text().split() == ["engine", "store", "database"]


def test_what_does_not_end_when_asked_is_killed_with_all_it_started(running: Running) -> None:
    supervisor, output = running
    program = f"import subprocess, sys; subprocess.Popen([sys.executable, '-u', '-c', {DEAF!r}])\n" + DEAF
    part = supervisor.add(_part("deaf", program, patience=0.3))
    assert supervisor.until(lambda: output.getvalue().count("up\n") == 2, 10)
    assert part.child is not None
    group = part.child.pid
    supervisor.shut_down()
    assert "deaf did not end within" in output.getvalue()
    assert wait_for(lambda: not _group_exists(group), 5)


def _group_exists(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return any(
        _state(int(entry.name)) not in {"Z", ""} for entry in Path("/proc").glob("[0-9]*") if _group(entry) == group
    )


def _stat(entry: Path) -> list[str]:
    try:
        return (entry / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _group(entry: Path) -> int:
    fields = _stat(entry)
    return int(fields[2]) if fields else 0


def _state(pid: int) -> str:
    fields = _stat(Path(f"/proc/{pid}"))
    return fields[0] if fields else ""


def test_a_child_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    """Without a supervisor to tell it, the kernel does."""
    pid = tmp_path / "pid"
    parent = (
        "import subprocess, sys; from pathlib import Path; from app.serve.process import Launch, spawn; import signal\n"
        f"child = spawn(Launch((sys.executable, '-c', {WAITS!r}), {{}}, Path('/')), subprocess.DEVNULL)\n"
        f"Path({str(pid)!r}).write_text(str(child.pid)); print('ready', flush=True); signal.pause()"
    )
    here = str(Path(__file__).resolve().parents[2])
    output = io.StringIO()
    supervisor = Supervisor(output, colour=False)
    launch = Launch((sys.executable, "-c", parent), {"PATH": os.environ["PATH"], "PYTHONPATH": here}, Path("/"))
    part = Part("parent", lambda: launch, 1, 1)
    supervisor.add(part)
    assert supervisor.until(lambda: "ready" in output.getvalue(), 20)
    child = int(pid.read_text())
    assert part.child is not None
    os.kill(part.child.pid, signal.SIGKILL)
    assert wait_for(lambda: _state(child) in {"", "Z"}, 5)
    supervisor.shut_down()
