"""`flask segments`: what there is, who is in it and why, how many it would be, and a new look at everybody."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter

import click
from flask.cli import with_appcontext
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.audience import catalogue, definitions, membership, person, segments
from app.audience.models import Segment
from app.cli.places import in_workspace, the_workspace
from app.contacts.models import Contact
from app.doors import house
from app.journey import condition_words
from app.journey.places import LanguageError


@click.group("segments", help="Groups of people that keep themselves up to date.")
def group() -> None:
    """Commands about segments."""


def _named(session: Session, name: str) -> Segment:
    try:
        return catalogue.named(session, name)
    except catalogue.UnknownSegmentError as error:
        raise click.UsageError(f"{error} There are: {', '.join(catalogue.names(session)) or 'none'}.") from None


@group.command("list")
@in_workspace
@with_appcontext
def list_(slug: str | None) -> None:
    """Every living segment: its name, how many are in it, and what it asks."""
    _, workspace_id = the_workspace(slug)
    with house().database.work(workspace_id) as session:
        rows = session.scalars(select(Segment).where(Segment.archived_at.is_(None)).order_by(Segment.name)).all()
    for row in rows:
        says = condition_words.in_words(catalogue.condition_of(row)) or "everybody"
        click.echo(f"{row.name:<28} {row.members if row.refreshed_at else '…':>8}  {says}")
    if not rows:
        click.echo("There is no segment yet.")


@group.command("show")
@click.argument("name")
@click.option("--contact", "external_id", help="Why this person (external id or address) is in it or not.")
@in_workspace
@with_appcontext
def show(name: str, external_id: str | None, slug: str | None) -> None:
    """Its rules, when it was last refreshed and what rests on it; or why a person is in it."""
    _, workspace_id = the_workspace(slug)
    parts = house()
    with parts.database.work(workspace_id) as session:
        row = _named(session, name)
        if external_id is None:
            click.echo(row.source.rstrip())
            click.echo(f"in it: {row.members}; everybody last looked at: {row.refreshed_at or 'not yet'}; next: "
                       f"{row.due_at or 'only who changes'}")  # fmt: skip
            click.echo(f"workflows that rest on it: {', '.join(catalogue.used_by(session, name)) or 'none'}")
            return
        named = (Contact.external_id == external_id) | (Contact.email_key == external_id.lower())
        contact_id = session.scalar(select(Contact.id).where(named, Contact.merged_into.is_(None)))
        who = person.people(session, [contact_id], parts.clock.now()).get(contact_id) if contact_id else None
        if who is None:
            raise click.UsageError(f"There is nobody {external_id!r} whom segments look at.")
        condition, now = catalogue.condition_of(row), parts.clock.now()
        words = {True: "in it", False: "not in it", None: "cannot be known"}
        click.echo(words[person.judge(condition, who, now)])
        for line in person.told(condition, who, now)[0]:
            click.echo(f"{'  ' * (line.depth + 1)}{words[line.verdict]:<16} {line.join or line.why}")


@group.command("count")
@click.argument("segment")
@in_workspace
@with_appcontext
def count(segment: str, slug: str | None) -> None:
    """Count now: SEGMENT is the name of one, or a file with the rules of one that is yet to be."""
    _, workspace_id = the_workspace(slug)
    parts = house()
    with parts.database.work(workspace_id) as session:
        if Path(segment).is_file():
            try:
                source = Path(segment).read_text(encoding="utf-8")
                condition = definitions.read(source, definitions.vocabulary(session)).condition
            except LanguageError as error:
                raise click.ClickException(str(error).replace("segment:", f"{segment}:")) from None
        else:
            condition = catalogue.condition_of(_named(session, segment))
        began = perf_counter()
        told = segments.count(session, condition, parts.clock.now())
        took = (perf_counter() - began) * 1000
    click.echo(f"{told.inside} of {told.people} people ({told.unknown} cannot be known), counted in {took:.0f} ms")
    click.echo(f"{told.with_address} have an address, {told.with_consent} of them may get marketing mail")


@group.command("refresh")
@click.argument("name")
@in_workspace
@with_appcontext
def refresh(name: str, slug: str | None) -> None:
    """Look at everybody anew, now, in this process; workflows are told of who comes and goes."""
    _, workspace_id = the_workspace(slug)
    parts = house()
    with parts.database.work(workspace_id) as session:
        number = _named(session, name).id
        catalogue.refresh(session, name, parts.clock.now())
    while True:
        with parts.database.work(workspace_id) as session:
            ran = membership.run(session, parts.clock.now(), parts.settings.batch)
        if not ran.more:
            break
    with parts.database.work(workspace_id) as session:
        row = session.scalars(select(Segment).where(Segment.id == number)).one()
    click.echo(f"{name}: {row.members} in it")
