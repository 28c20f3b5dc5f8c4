"""`flask workspaces`: the first steps of an empty installation: workspace, property, people, sources and keys."""

from __future__ import annotations

import re
import secrets
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import click
from flask.cli import with_appcontext
from sqlalchemy import select

from app.accounts.models import User, Workspace
from app.accounts.sign_in import PASSWORD_LEAST, ROLES, Role, add_person, admit
from app.cli.places import in_workspace, the_workspace, workspaces
from app.contacts.models import Property
from app.doors import house
from app.events.models import Source
from app.events.sources import SCOPES, new_key, new_webhook_secret

SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


@click.group("workspaces", help="Workspaces, the people who work in them, and the sources that report to them.")
def group() -> None:
    """Commands that set an installation up."""


@group.command("list")
@with_appcontext
def list_() -> None:
    """Show every workspace."""
    for slug, number in workspaces(None):
        click.echo(f"{number:>6}  {slug}")


@group.command("add")
@click.argument("slug")
@click.option("--name", required=True, help="As people read it: a hotel group, a client.")
@click.option("--property", "property_name", required=True, help="The hotel or shop that mails speak for.")
@click.option("--sender", required=True, help="The address mails come from.")
@click.option("--zone", default="Europe/Rome", show_default=True)
@click.option("--language", default="it", show_default=True, type=click.Choice(["it", "en"]))
@with_appcontext
def add(slug: str, name: str, property_name: str, sender: str, zone: str, language: str) -> None:
    """Make a workspace with its first property. The rest of the property is filled in in the studio."""
    if not SLUG.fullmatch(slug):
        raise click.UsageError(f"{slug!r} cannot stand in an address: use small letters, digits and single dashes.")
    if "@" not in sender:
        raise click.UsageError(f"{sender!r} is no e-mail address.")
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError):
        raise click.UsageError(f"{zone!r} is no time zone; write for example Europe/Rome.") from None
    parts = house()
    now = parts.clock.now()
    with parts.database.system() as session:
        if session.scalar(select(Workspace.id).where(Workspace.slug == slug)):
            raise click.ClickException(f"There is a workspace {slug} already.")
        workspace = Workspace(slug=slug, name=name, settings={}, created_at=now)
        session.add(workspace)
        session.flush()  # the property belongs to it
        session.add(
            Property(
                workspace_id=workspace.id,
                code=slug,
                name=property_name,
                zone=zone,
                language=language,
                sender_name=property_name,
                sender_email=sender,
                is_default=True,
                created_at=now,
                updated_at=now,
            )
        )
    click.echo(f"Workspace {slug} is there. Next: flask workspaces admit EMAIL --workspace {slug}")


@group.command("admit")
@click.argument("email")
@in_workspace
@click.option("--role", default="owner", show_default=True, type=click.Choice(ROLES))
@click.option("--name", default="", help="The person's name.")
@with_appcontext
def admit_(email: str, slug: str | None, role: Role, name: str) -> None:
    """Let a person in; who is new gets a password, shown this once."""
    where, workspace_id = the_workspace(slug)
    parts = house()
    now = parts.clock.now()
    with parts.database.system() as session:
        person = session.scalar(select(User).where(User.email == email.strip().lower()))
        password = None
        if person is None:
            password = secrets.token_urlsafe(PASSWORD_LEAST)
            person = add_person(session, email, password, now, name=name)
            session.flush()  # the membership names the person
        admit(session, person.id, workspace_id, role, now)
    click.echo(f"{email} may enter {where} as {role}.")
    if password:
        click.echo(f"Password (shown this once): {password}")


@group.command("source")
@click.argument("slug_of_source", metavar="SLUG")
@in_workspace
@click.option("--name", help="As people read it; default: SLUG.")
@with_appcontext
def source(slug_of_source: str, slug: str | None, name: str | None) -> None:
    """Make a source with a key for every scope and a signing secret, both shown this once."""
    if not SLUG.fullmatch(slug_of_source):
        raise click.UsageError(f"{slug_of_source!r}: use small letters, digits and single dashes.")
    where, workspace_id = the_workspace(slug)
    parts = house()
    now = parts.clock.now()
    with parts.database.work(workspace_id) as session:
        if session.scalar(select(Source.id).where(Source.slug == slug_of_source)):
            raise click.ClickException(f"There is a source {slug_of_source} already.")
        made = Source(workspace_id=workspace_id, slug=slug_of_source, name=name or slug_of_source, created_at=now)
        session.add(made)
        session.flush()  # key and secret hang on it
        key = new_key(session, made.id, SCOPES, now, label="command line")
        secret = new_webhook_secret(session, made, now)
    click.echo(f"Source {slug_of_source} of {where}.\nKey (shown this once): {key}\nSigning secret: {secret}")
