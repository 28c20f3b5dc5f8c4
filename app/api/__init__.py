"""The door for machines: backends that report events, mail providers, forms of other sites, and whoever looks after the
house."""

from __future__ import annotations

from apiflask import APIFlask

from app.api import audience_routes, docs, forms, health, import_routes, offering, provider_webhooks, routes

__all__ = ["audience_routes", "import_routes", "register", "routes"]


def register(app: APIFlask) -> None:
    """Open this door's routes on `app`."""
    app.register_blueprint(health.blueprint)
    app.register_blueprint(offering.blueprint)
    app.register_blueprint(provider_webhooks.blueprint)
    provider_webhooks.fetch_with(app, provider_webhooks.fetch)
    app.register_blueprint(forms.blueprint)
    app.register_blueprint(docs.blueprint)
