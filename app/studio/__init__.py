"""Door."""

from __future__ import annotations

from apiflask import APIFlask


def register(app: APIFlask) -> None:
    """Open this door's routes on `app`."""
