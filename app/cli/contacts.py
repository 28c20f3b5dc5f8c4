"""`flask contacts`: two records of one person made one, and made two again."""

from __future__ import annotations

import click
from flask.cli import with_appcontext
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.cli.places import in_workspace, the_workspace
from app.contacts.merge import MergeRefusedError
from app.contacts.models import Contact
from app.doors import house
from app.events.merging import merge, undo_merge


@click.group("contacts", help="People.")
def group() -> None:
    """Commands about contacts."""


def _find(session: Session, external_id: str) -> int:
    found = session.scalar(select(Contact.id).where(Contact.external_id == external_id, Contact.merged_into.is_(None)))
    if found is None:
        raise click.UsageError(f"There is no contact with the external id {external_id!r}.")
    return found


@group.command("merge")
@click.argument("winner")
@click.argument("loser")
@in_workspace
@with_appcontext
def merge_(winner: str, loser: str, slug: str | None) -> None:
    """Make LOSER part of WINNER (external ids). Can be undone for 30 days; permission never becomes wider."""
    _, workspace_id = the_workspace(slug)
    parts = house()
    try:
        with parts.database.work(workspace_id) as session:
            keep, give = _find(session, winner), _find(session, loser)
            number = merge(session, keep, give, "command line", parts.clock.now())
    except MergeRefusedError as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"Merge {number}: {loser} is now {winner}. To undo: flask contacts undo-merge {number}")


@group.command("undo-merge")
@click.argument("number", type=int)
@in_workspace
@with_appcontext
def undo(number: int, slug: str | None) -> None:
    """Make two of one again."""
    _, workspace_id = the_workspace(slug)
    parts = house()
    try:
        with parts.database.work(workspace_id) as session:
            keep, gave = undo_merge(session, number, parts.clock.now())
    except MergeRefusedError as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"Contacts {keep} and {gave} are two people again.")
