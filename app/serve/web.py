"""The web server: granian over wsgi:app, a few processes, each with threads."""

from __future__ import annotations

import argparse
import importlib
import os
import signal
import sys
from typing import Any

from granian import Granian
from granian.constants import Interfaces
from granian.log import LogLevels

from app.config import Settings, SettingsError
from app.house import calm_collector
from app.serve.process import die_with_parent


def load(_target: str) -> Any:
    """Import the application in a web process, which from then on dies with the server that started it."""
    die_with_parent(signal.SIGKILL)
    app = importlib.import_module("wsgi").app
    calm_collector()
    return app


def main(arguments: list[str]) -> int:
    """Serve until told to stop. `--host` says where to listen; the port is a setting."""
    parser = argparse.ArgumentParser(prog="python -m app.serve.web")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (in a container: 0.0.0.0)")
    host = parser.parse_args(arguments).host
    try:
        settings = Settings.from_env(os.environ)
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    # Loaded once here, shared by the processes that are forked from this one. Connections are made only by them.
    importlib.import_module("app.web")
    Granian(
        "wsgi:app",
        address=host,
        port=settings.port,
        interface=Interfaces.WSGI,
        workers=settings.web_processes,
        # As many as granian finds fit for the cores: requests wait for the database more than they compute.
        blocking_threads=2 * (os.cpu_count() or 1) + 1,
        log_level=LogLevels.warning,
        respawn_failed_workers=True,
        respawn_interval=0.5,
        workers_kill_timeout=4,
    ).serve(target_loader=load)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
