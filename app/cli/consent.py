"""`flask consent`: walk the chain of the ledger, and show what a person has said."""

from __future__ import annotations

import json

import click
from flask.cli import with_appcontext
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.cli.places import in_workspace, workspaces
from app.consent import ledger
from app.consent.fold import words
from app.consent.models import ConsentRecord
from app.contacts.models import Contact, display_name
from app.doors import house


@click.group("consent", help="The ledger of consent.")
def group() -> None:
    """Commands that read the ledger; none writes."""


@group.command("verify")
@in_workspace
@with_appcontext
def verify(slug: str | None) -> None:
    """Walk the chain; name the first line that is missing, altered or out of order. Exits 1 where there is one."""
    broken = False
    for name, number in workspaces(slug):
        with house().database.work(number) as session:
            last = session.scalar(select(ConsentRecord.line).order_by(ConsentRecord.line.desc()).limit(1)) or 0
            line = ledger.verify(session)
        if line is None:
            click.echo(f"{name}: {last} lines, the chain is whole")
        else:
            broken = True
            click.echo(f"{name}: broken at line {line} (of {last})", err=True)
    if broken:
        raise click.exceptions.Exit(1)


@group.command("show")
@click.argument("contact")
@in_workspace
@click.option("--json", "as_json", is_flag=True, help="For scripts.")
@with_appcontext
def show(contact: str, slug: str | None, as_json: bool) -> None:
    """Every line about CONTACT (an external id, an address or our number), and what holds now."""
    for _, number in workspaces(slug):
        with house().database.work(number) as session:
            found = _find(session, contact)
            if found is None:
                continue
            lines = ledger.history(session, found.id)
            now = words(ledger.current(session, [found.id]).get(found.id, {}), found.email_key or "")
        if as_json:
            click.echo(json.dumps({"contact": found.id, "now": now, "lines": [_plain(line) for line in lines]}))
            return
        click.echo(display_name(found))
        for line in lines:
            about = f"{line.purpose}{'/' + line.topic if line.topic else ''} on {line.channel} {line.address}"
            click.echo(f"{line.line:>8}  {line.recorded_at:%Y-%m-%d %H:%M}  {line.state:<9}  {about}  ({line.method})")
        click.echo("now: " + (", ".join(f"{name} {state}" for name, state in sorted(now.items())) or "nothing said"))
        return
    raise click.ClickException(f"Nobody is known as {contact!r}.")


def _find(session: Session, name: str) -> Contact | None:
    statement = select(Contact).where(
        (Contact.external_id == name)
        | (Contact.email_key == ledger.address_key(name))
        | (Contact.id == (int(name) if name.isdecimal() and len(name) < 19 else -1))
    )
    return session.scalars(statement.order_by(Contact.id).limit(1)).first()


def _plain(line: ConsentRecord) -> dict[str, object]:
    return {
        "line": line.line,
        "address": line.address,
        "channel": line.channel,
        "purpose": line.purpose,
        "topic": line.topic,
        "state": line.state,
        "previous_state": line.previous_state,
        "method": line.method,
        "proof": line.proof,
        "requested_at": line.requested_at.isoformat(),
        "confirmed_at": line.confirmed_at.isoformat() if line.confirmed_at else None,
        "recorded_at": line.recorded_at.isoformat(),
        "hash": line.hash.hex(),
    }
