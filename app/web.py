"""The web process: three doors on one house, each closed until it says who may pass."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from ipaddress import ip_address, ip_network
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

import structlog
from apiflask import APIFlask
from flask import Response, request

from app import api, studio, subscriber
from app.clock import Clock
from app.config import Settings
from app.db import Database
from app.doors import keep_closed
from app.house import furnish

log = structlog.get_logger()


def create_app(settings: Settings, *, clock: Clock | None = None, database: Database | None = None) -> APIFlask:
    """Build the WSGI application.

    Args:
        settings: the configuration.
        clock: a test's own clock.
        database: a test's own database.
    """
    app = APIFlask(
        "percorso",
        title="Percorso API",
        version="1.0",
        json_errors=False,
        enable_openapi=False,  # api/description.py describes it
        # Doors bring their own; Flask takes None here, the wrapper's annotation only forgot it.
        static_folder=None,  # type: ignore[arg-type]
        template_folder=None,  # type: ignore[arg-type]
    )
    app.config.update(
        SECRET_KEY=settings.secret,
        SECRET_KEY_FALLBACKS=list(settings.previous_secrets),
        SESSION_COOKIE_NAME="percorso",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=settings.https,
        MAX_CONTENT_LENGTH=8 * 1024 * 1024,
    )
    app.extensions["percorso"] = furnish(settings, clock=clock, database=database)
    keep_closed(app)
    for door in (api, subscriber, studio):
        door.register(app)
    _send_headers(app, https=settings.https)
    if settings.proxies:
        app.wsgi_app = _behind(settings.proxies, app.wsgi_app)  # type: ignore[assignment, method-assign]
    return app


def _behind(proxies: Sequence[str], app: WSGIApplication) -> WSGIApplication:
    """`app`, told who asks by our own proxies: the last address of `X-Forwarded-For` that is none of theirs.

    What stands before it anybody can have written. Where it names nobody, the proxy itself asks, for all we know.
    """
    known = [ip_network(one, strict=False) for one in proxies]

    def ours(address: str) -> bool:
        try:
            at = ip_address(address)
        except ValueError:
            return False
        return any(at in one for one in known)

    def told(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        if ours(environ.get("REMOTE_ADDR", "")):
            named = [one.strip() for one in environ.get("HTTP_X_FORWARDED_FOR", "").split(",")]
            asks = next((one for one in reversed(named) if one and not ours(one)), "")
            with suppress(ValueError):
                environ["REMOTE_ADDR"] = str(ip_address(asks))
        return app(environ, start)

    return told


def _send_headers(app: APIFlask, *, https: bool) -> None:
    """Headers every answer carries; a view that needs another policy sets its own first."""

    @app.after_request
    def headers(response: Response) -> Response:
        given = response.headers
        given.setdefault(
            "Content-Security-Policy",
            "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; object-src 'none'; "
            "base-uri 'none'; frame-ancestors 'none'; form-action 'self'",
        )
        given.setdefault("X-Content-Type-Options", "nosniff")
        given.setdefault("Referrer-Policy", "same-origin")
        given.setdefault("X-Frame-Options", "DENY")
        given.setdefault("Permissions-Policy", "camera=(), microphone=(), geolocation=(), interest-cohort=()")
        if https:
            given.setdefault("Strict-Transport-Security", "max-age=31536000; includeSubDomains")
        if request.endpoint and not request.path.startswith("/static/"):
            given.setdefault("Cache-Control", "no-store")
        return response
