"""`flask why`: every decision about one person, in order, with its inputs, rule and time."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import click
from flask.cli import with_appcontext

from app.cli.places import in_workspace, the_workspace
from app.doors import house
from app.enrollments.decisions import Decision
from app.enrollments.explain import Explained, NobodyError, explain, find_contact, met
from app.journey.condition_words import moment


@click.command("why")
@click.argument("contact", required=False)
@click.option("--workflow", help="Only this workflow; without it, every workflow the person has met.")
@click.option("--message", "message_id", type=int, help="Or one message, by its number.")
@click.option("--language", type=click.Choice(["en", "it"]), default="en", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="As GET /api/v1/why gives it.")
@in_workspace
@with_appcontext
def group(
    contact: str | None, workflow: str | None, message_id: int | None, language: str, as_json: bool, slug: str | None
) -> None:
    """Why CONTACT (external id, address or number) got a message, or did not."""
    if contact is None and message_id is None:
        raise click.UsageError("Name a contact, or a message with --message.")
    _, workspace_id = the_workspace(slug)
    parts = house()
    now = parts.clock.now()
    try:
        with parts.database.work(workspace_id) as session:
            contact_id = find_contact(session, contact) if contact is not None else None
            names = [workflow] if workflow or message_id else met(session, contact_id or 0)
            told = [explain(session, contact_id, now, workflow=name, message_id=message_id) for name in names]
    except NobodyError as error:
        raise click.ClickException(str(error)) from None
    if as_json:
        shown: Any = [one.as_json() for one in told]
        click.echo(json.dumps(shown[0] if workflow or message_id else shown, ensure_ascii=False, indent=2))
        return
    if not told:
        click.echo("No workflow has met this person yet: nothing that starts one was recorded.")
    for one in told:
        show(one, language)


def show(told: Explained, language: str) -> None:
    """One answer as lines."""
    title: Mapping[str, str] = told.workflow.title if told.workflow else {}
    number = f"#{told.message.id}" if told.message else ""
    name = title.get(language) or (told.workflow.name if told.workflow else number)
    click.secho(f"{name} ({told.zone.key})", bold=True)
    for one in told.decisions:
        _show(one, told, language)


def _show(one: Decision, told: Explained, language: str) -> None:
    at = moment(one.at, told.zone, language) if one.at else ""
    rule = f"  {one.rule}" if one.rule else ""
    step = f" [{one.step}]" if one.step else ""
    click.echo(f"  {at:<19} {one.stage:<9} {one.sentence[language]}{step}{rule}")
    for line in one.inputs.get("lines") or ():
        mark = {True: "✓", False: "✗"}.get(line["verdict"], "?")
        found = {"en": "found", "it": "trovato"}[language]
        click.echo(f"{'':31} {mark} {line['line']}" + (f" ({found}: {line['found']})" if "found" in line else ""))
    for check in one.checks:
        click.echo(f"{'':31} {'✓' if check.allowed else '✗'} {check.sentence[language]}  {check.rule}")
