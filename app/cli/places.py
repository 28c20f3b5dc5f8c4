"""Which workspaces a command speaks of."""

from __future__ import annotations

import click
from sqlalchemy import select

from app.accounts.models import Workspace
from app.doors import house

in_workspace = click.option("--workspace", "slug", help="Only this workspace.")


def workspaces(slug: str | None) -> list[tuple[str, int]]:
    """(slug, id) of every workspace, or of the one named; ends the command where there is none."""
    with house().database.system() as session:
        rows = session.execute(select(Workspace.slug, Workspace.id).order_by(Workspace.id)).all()
    found = [(name, number) for name, number in rows if slug in {None, name}]
    if not found:
        raise click.UsageError(f"There is no workspace {slug!r}." if slug else "There is no workspace yet.")
    return found


def the_workspace(slug: str | None) -> tuple[str, int]:
    """The one workspace that is meant; ends the command where there are several and none was named."""
    found = workspaces(slug)
    if len(found) > 1:
        names = ", ".join(name for name, _ in found)
        raise click.UsageError(f"There are several workspaces; name one with --workspace: {names}.")
    return found[0]
