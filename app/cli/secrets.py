"""`flask secrets ...`: what is kept sealed under PERCORSO_SECRET."""

from __future__ import annotations

import click
from flask.cli import AppGroup

from app.doors import house
from app.sealed import reseal

group = AppGroup("secrets", help="Secrets that are kept sealed: of senders, sources, endpoints, signing keys.")


@group.command("reseal")
def reseal_all() -> None:
    """Seal every kept secret anew with PERCORSO_SECRET, after it was changed.

    What was sealed under a value of PERCORSO_PREVIOUS_SECRETS is read with that and needs it no longer afterwards; the
    links in mails that are out still do.
    """
    with house().database.system() as session:
        done = reseal(session)
    click.echo(f"{done.texts} sealed anew, {done.lost} lost")
    if done.lost:
        raise click.ClickException(
            "What is lost was sealed under a secret that is in neither setting. Put it into PERCORSO_PREVIOUS_SECRETS "
            "and run this again, or enter those secrets anew."
        )
