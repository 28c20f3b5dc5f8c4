"""The command line: `flask <group> <command>`, on the running copy in `PERCORSO_DATA` unless told otherwise."""

from __future__ import annotations

from apiflask import APIFlask
from flask import Flask

from app.cli import (
    broadcasts,
    clock,
    consent,
    contacts,
    delivery,
    demo,
    publishing,
    results,
    secrets,
    segments,
    starting,
    templates,
    why,
    workspaces,
)


def register(app: Flask) -> None:
    """Hang every group of commands on the application."""
    parts = (
        workspaces,
        contacts,
        segments,
        broadcasts,
        publishing,
        starting,
        results,
        templates,
        consent,
        clock,
        delivery,
        secrets,
        demo,
        why,
    )
    for part in parts:
        app.cli.add_command(part.group)


def without_house(reason: str) -> APIFlask:
    """An application for commands that read files only; the others say `reason` and end."""
    app = APIFlask("percorso", enable_openapi=False, static_folder=None)  # type: ignore[arg-type]
    app.config["PERCORSO_CLOSED"] = reason
    register(app)
    return app
