"""`flask workflows start`: start a workflow for one person, by hand."""

from __future__ import annotations

import click
from flask.cli import with_appcontext

from app.cli.places import in_workspace, the_workspace
from app.cli.workflows import group
from app.contacts.models import Contact
from app.doors import house
from app.enrollments import starting
from app.enrollments.explain import NobodyError, find_contact
from app.enrollments.starting import NotStartedError, Wish

__all__ = ["group"]


@group.command("start")
@click.argument("workflow")
@click.option("--contact", required=True, help="External id, address or number of the person.")
@click.option("--booking", help="Reference of the booking it is about.")
@click.option("--data", "given", multiple=True, metavar="NAME=VALUE", help="What its steps read as event.NAME.")
@click.option("--id", "id_", help="A name for this wish: of several under one name only the first counts.")
@in_workspace
@with_appcontext
def start(
    workflow: str, contact: str, booking: str | None, given: tuple[str, ...], id_: str | None, slug: str | None
) -> None:
    """Start WORKFLOW (one with the entry `on: manual`) for a person.

    Whether the person came in, `flask why` tells a moment later.
    """
    data = {}
    for one in given:
        name, equals, value = one.partition("=")
        if not equals:
            raise click.UsageError(f"--data {one}: write NAME=VALUE.")
        data[name] = value
    _, workspace_id = the_workspace(slug)
    parts = house()
    try:
        with parts.database.work(workspace_id) as session:
            found = session.get_one(Contact, (workspace_id, find_contact(session, contact)))
            wish = Wish(found, booking, data, id_, "cli")
            fresh = starting.start(session, workflow, wish, "manual", parts.clock.now())
    except (NobodyError, NotStartedError) as error:
        raise click.ClickException(str(error)) from None
    click.echo("Recorded." if fresh else "This wish was recorded before: nothing was done.")
