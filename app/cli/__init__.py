"""The command line: `flask <group> <command>`, on the running copy in `PERCORSO_DATA` unless told otherwise."""

from __future__ import annotations

from flask import Flask

from app.cli import clock, consent, demo, templates, workflows


def register(app: Flask) -> None:
    """Hang every group of commands on the application."""
    for part in (workflows, templates, consent, clock, demo):
        app.cli.add_command(part.group)
