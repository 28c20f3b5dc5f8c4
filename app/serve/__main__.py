"""`python -m app.serve`: everything under one supervisor. `bin/run` ends here."""

from __future__ import annotations

import os
import sys

from app.config import SettingsError
from app.serve.everything import serve
from app.serve.process import ServeError


def main() -> int:
    """Serve until told to stop; 0 when that went well, 2 when something must be put right first."""
    try:
        return serve(os.environ, sys.stdout)
    except (ServeError, SettingsError, LookupError) as error:
        sys.stderr.write(f"\npercorso: {error}\n")
        return 2


if __name__ == "__main__":
    sys.exit(main())
