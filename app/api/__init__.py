"""Door."""

from __future__ import annotations

from apiflask import APIFlask

from app.api import health, routes


def register(app: APIFlask) -> None:
    """Open this door's routes on `app`."""
    app.register_blueprint(health.blueprint)
    app.register_blueprint(routes.blueprint)
