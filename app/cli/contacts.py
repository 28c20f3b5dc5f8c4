"""`flask contacts`: two records of one person made one, and two again; somebody's data taken out, erased, kept."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click
from flask.cli import with_appcontext
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.cli import imports
from app.cli.places import in_workspace, the_workspace
from app.consent.ledger import address_key
from app.contacts import special
from app.contacts.merge import MergeRefusedError
from app.contacts.models import AttributeDefinition, Contact
from app.doors import house
from app.events.merging import merge, undo_merge
from app.rights import apart, requests


@click.group("contacts", help="People.")
def group() -> None:
    """Commands about contacts."""


for command in (imports.import_, imports.meanings, imports.undo, imports.domains):
    group.add_command(command)


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


def _anybody(session: Session, who: str) -> int:
    """A contact by our number (`#12`), external id or e-mail address, merged or not."""
    if who.startswith("#") and who[1:].isdigit():
        found: Sequence[int] = session.scalars(select(Contact.id).where(Contact.id == int(who[1:]))).all()
    elif "@" in who:
        found = session.scalars(select(Contact.id).where(Contact.email_key == address_key(who))).all()
    else:
        found = session.scalars(select(Contact.id).where(Contact.external_id == who)).all()
    if len(found) != 1:
        raise click.UsageError(f"{len(found) or 'No'} contacts are called {who!r}: say #number.")
    return found[0]


_IDENTITY = click.option(
    "--identity", required=True, help="How you know that it is for this person; kept with the request."
)


@group.command("export")
@click.argument("who")
@click.argument("path", type=click.Path(dir_okay=False, path_type=Path))
@_IDENTITY
@in_workspace
@with_appcontext
def export_(who: str, path: Path, identity: str, slug: str | None) -> None:
    """Write all data of WHO (external id, address or #number) into the zip file PATH (R50)."""
    _, workspace_id = the_workspace(slug)
    parts = house()
    with parts.database.work(workspace_id) as session:
        made = requests.export_by_team(session, _anybody(session, who), "cli", identity, parts.clock.now())
    path.write_bytes(made.zip())
    path.chmod(0o600)
    click.echo(f"{path}: data.json, pages in {', '.join(made.html)}, {len(made.mails)} mails.")


@group.command("erase")
@click.argument("who")
@_IDENTITY
@click.option("--yes", is_flag=True, help="Do not ask.")
@in_workspace
@with_appcontext
def erase_(who: str, identity: str, slug: str | None, *, yes: bool) -> None:
    """Erase WHO (R51): everything stops at once; the data goes when the receipt has left, within an hour."""
    _, workspace_id = the_workspace(slug)
    parts = house()
    with parts.database.work(workspace_id) as session:
        number = _anybody(session, who)
        if not yes:
            click.confirm(f"Erase contact #{number} for good?", abort=True)
        request = requests.erase_by_team(session, number, "cli", identity, parts.clock.now())
        done = request.state == "done"
    click.echo(f"Request {request.id}: " + ("erased." if done else "stopped; erased when the receipt has left."))


@group.command("freeze")
@click.argument("who")
@click.option("--end", is_flag=True, help="End the restriction.")
@in_workspace
@with_appcontext
def freeze(who: str, slug: str | None, *, end: bool) -> None:
    """Restrict the use of WHO's data (R52): nothing goes to them but what the law asks for."""
    _, workspace_id = the_workspace(slug)
    parts = house()
    with parts.database.work(workspace_id) as session:
        number = _anybody(session, who)
        requests.restrict(session, number, "cli", parts.clock.now(), frozen=not end)
    click.echo(f"Contact #{number}: " + ("as before." if end else "restricted."))


@group.command("attribute")
@click.argument("key")
@in_workspace
@click.option("--special", "is_special", is_flag=True, help="Health, diet, religion and the like: for good (R18).")
@click.option("--inferred/--not-inferred", default=None, help="Past behaviour, or worked out from it (R13).")
@with_appcontext
def attribute(key: str, slug: str | None, is_special: bool, inferred: bool | None) -> None:
    """Say what the attribute KEY is. Special values are taken off contacts, bookings and events and sealed; there is no
    way back."""
    _, workspace_id = the_workspace(slug)
    parts = house()
    with parts.database.work(workspace_id) as session:
        definition = session.scalar(select(AttributeDefinition).where(AttributeDefinition.key == key))
        if definition is None:
            raise click.UsageError(f"There is no attribute {key!r}.")
        moved = special.mark(session, key, parts.clock.now()) if is_special else 0
        if is_special:
            apart.again(session, parts.clock.now())
        if inferred is not None:
            definition.inferred = inferred
        kind = [
            name for name, so in (("special", definition.special_category), ("inferred", definition.inferred)) if so
        ]
    click.echo(f"{key}: {', '.join(kind) or 'plain'}" + (f"; {moved} values sealed" if is_special else ""))
    if is_special:
        click.echo("Bookings, events and what was copied of them follow in batches (stage retention).")
