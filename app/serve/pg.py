"""Run one of PostgreSQL's own tools against the carried database: `bin/pg pg_dump --format=custom --file=back.dump`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from app.serve.everything import ROOT
from app.serve.postgres import CarriedPostgres
from app.serve.process import ServeError


def main(arguments: list[str]) -> int:
    """Run the tool named first, connected as the superuser (row-level security hides rows from anybody else)."""
    data = Path(os.environ.get("PERCORSO_DATA", "").strip() or ROOT / "var")
    server = CarriedPostgres(data / "postgres")
    try:
        server.settle()
    except ServeError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    tool = server.binaries / (arguments[0] if arguments else "psql")
    if not tool.exists():
        known = ", ".join(sorted(path.name for path in server.binaries.iterdir()))
        sys.stderr.write(f"There is no tool {tool.name}. There are: {known}.\n")
        return 2
    return subprocess.call([tool, *arguments[1:]], env=os.environ | server.environment())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
