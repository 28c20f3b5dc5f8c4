"""Deny by default: a view that does not say who may pass answers 403, whoever asks.

    @blueprint.get("/healthz")
    @opened_by(anyone)
    def healthz(): ...

A guard is a function that lets the request pass by returning, and refuses by raising (an HTTP error, a redirect).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from click import ClickException
from flask import Flask, abort, current_app, request

from app.house import House

Guard = Callable[[], None]
View = TypeVar("View", bound=Callable[..., Any])


def opened_by(*guards: Guard) -> Callable[[View], View]:
    """Mark a view with the guards that must all let a request pass before it runs."""

    def mark(view: View) -> View:
        view.__dict__["percorso_guards"] = guards
        return view

    return mark


def anyone() -> None:
    """The guard of what is public on purpose."""


def guards_of(view: Callable[..., Any]) -> tuple[Guard, ...] | None:
    """The guards of a view, or None where it has said nothing."""
    while view is not None:
        if "percorso_guards" in getattr(view, "__dict__", {}):
            guards: tuple[Guard, ...] = view.__dict__["percorso_guards"]
            return guards
        view = getattr(view, "__wrapped__", None)  # type: ignore[assignment]
    return None


def keep_closed(app: Flask) -> None:
    """Install the check that runs before every view."""

    @app.before_request
    def check() -> None:
        if request.endpoint is None:
            return  # no such route: the router answers 404 or 405
        guards = guards_of(app.view_functions[request.endpoint])
        if guards is None:
            app.logger.error("view %s says nothing of who may pass", request.endpoint)
            abort(403)
        for guard in guards:
            guard()


class ClosedError(ClickException):
    """A command needs the database and none is set up; the message says what is missing."""


def house() -> House:
    """The parts of the running process; raises ClosedError for a command where nothing is set up."""
    parts: House | None = current_app.extensions.get("percorso")
    if parts is None:
        raise ClosedError(current_app.config["PERCORSO_CLOSED"])
    return parts
