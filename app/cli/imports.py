"""`flask contacts import`: a list from the command line, by the very steps the studio takes."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import click
from flask.cli import with_appcontext
from rich.console import Console
from rich.progress import Progress as Bar

from app.cli.places import in_workspace, the_workspace
from app.contacts import disposable
from app.contacts.attributes import TYPES
from app.contacts.disposable import BadListError
from app.doors import house
from app.imports import columns, desk, stage
from app.imports.columns import MappingError
from app.imports.desk import WORKING, NotNowError
from app.imports.files import UnreadableError
from app.imports.models import Import

_WAIT = 0.2
"""Seconds until it is looked again whether another worker has done its chunk."""


@click.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--map", "wanted", multiple=True, help="COLUMN=MEANING; see “flask contacts import-columns”. Repeatable.")
@click.option("--dry-run", is_flag=True, help="Only say what would come of it; nothing of the file is kept.")
@click.option("--yes", is_flag=True, help="Do not ask before it is taken in.")
@click.option("--json", "as_json", is_flag=True, help="Say it as JSON.")
@in_workspace
@with_appcontext
def import_(file: Path, wanted: tuple[str, ...], dry_run: bool, yes: bool, as_json: bool, slug: str | None) -> None:
    """Import the people of FILE (CSV or Excel). Columns are guessed, or read like the last file of their shape."""
    _, workspace_id = the_workspace(slug)
    parts = house()
    by = os.environ.get("USER", "command line")
    try:
        with parts.database.work(workspace_id) as session:
            one = desk.receive(session, file.name, file.read_bytes(), by, parts.clock.now())
            reading, _ = desk.suggested(session, one, desk.known(session))
            reading = columns.by_name(one.header, wanted, reading)
            desk.check(session, one.id, reading, parts.clock.now())
            number = one.id
    except UnreadableError as error:
        raise click.ClickException(f"{file}: {error}") from None
    except MappingError as error:
        raise click.ClickException(_told(error, file)) from None
    found = _worked(workspace_id, number, "Trying")
    if dry_run:
        with parts.database.work(workspace_id) as session:
            said = _said(session, found, found.expected)
            desk.discard(session, number)
        _say(said, as_json=as_json)
        return
    people = sum(found.expected.get("verdict", {}).get(name, 0) for name in ("new", "changed", "same"))
    if not yes and not click.confirm(f"Import {people} people?", err=True):
        raise click.ClickException(f"Nothing was imported. The file waits in the studio as import {number}.")
    with parts.database.work(workspace_id) as session:
        desk.take(session, number, parts.clock.now())
    found = _worked(workspace_id, number, "Importing")
    with parts.database.work(workspace_id) as session:
        said = _said(session, found, found.tally)
    _say(said, as_json=as_json)


@click.command("import-columns")
def meanings() -> None:
    """What a column can mean to “flask contacts import --map”."""
    click.echo((columns.__doc__ or "").partition("\n\n")[2].replace("(nothing)", "         "))
    click.echo(
        "    all:CONSENT, const:PROOF=TEXT, type:KEY=TYPE, dates=dmy|mdy, property=CODE, international=yes, ask=yes"
    )
    click.echo(f"\nProof: {', '.join(columns.PROOFS)}")
    click.echo(f"Types: {', '.join(TYPES)}")


@click.command("undo-import")
@click.argument("number", type=int)
@click.option("--json", "as_json", is_flag=True, help="Say it as JSON.")
@in_workspace
@with_appcontext
def undo(number: int, as_json: bool, slug: str | None) -> None:
    """Take an import back, as far as nobody has said or done anything since."""
    _, workspace_id = the_workspace(slug)
    parts = house()
    try:
        with parts.database.work(workspace_id) as session:
            desk.undo(session, number, parts.clock.now())
    except NotNowError as error:
        raise click.ClickException(str(error)) from None
    found = _worked(workspace_id, number, "Taking back")
    _say({"import": number, "state": found.state, "undone": found.tally.get("undone", {})}, as_json=as_json)


@click.command("disposable-domains")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@with_appcontext
def domains(file: Path) -> None:
    """Put a newer list of throw-away mailboxes in force: FILE has one domain a line."""
    try:
        count = disposable.replace(house().settings.data_dir, file.read_text(encoding="utf-8", errors="replace"))
    except BadListError as error:
        raise click.ClickException(f"{file}: {error}") from None
    click.echo(f"{count} domains are in force.")


def _worked(workspace_id: int, number: int, what: str) -> Import:
    """Work on an import until its pass is over, beside the workers; shows how far it is on a terminal."""
    parts = house()
    with Bar(console=Console(file=sys.stderr), disable=not sys.stderr.isatty(), transient=True) as bar:
        task = bar.add_task(what)
        while True:
            with parts.database.work(workspace_id) as session:
                ran = stage.run(session, parts.clock.now())
            with parts.database.work(workspace_id) as session:
                found = session.get_one(Import, (workspace_id, number))
            if found.state not in WORKING:
                return found
            how_far = desk.progress(found, parts.clock.now())
            bar.update(task, total=how_far.rows, completed=how_far.done)
            if not ran.done:
                time.sleep(_WAIT)


def _said(session: Any, one: Import, counted: dict[str, Any]) -> dict[str, Any]:
    return {
        "import": one.id,
        "file": one.file_name,
        "state": one.state,
        "rows": one.rows,
        "columns": dict(zip(one.header, one.mapping["columns"], strict=True)),
        "verdict": counted.get("verdict", {}),
        "permission": counted.get("permission", {}),
        "notes": desk.noted(session, one),
        "left_out": [
            {"line": row.line, "reasons": [{"code": code, "column": column} for code, column in row.notes]}
            for row in desk.shown(session, one, verdict="refused", limit=20)
        ],
    }


def _say(said: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(said, ensure_ascii=False, indent=2))
        return
    for name, value in said.items():
        if isinstance(value, dict):
            click.echo(f"{name}:")
            for key, one in value.items():
                click.echo(f"  {key:<28} {one}")
        elif isinstance(value, list):
            for row in value:
                told = ", ".join(f"{one['code']} ({one['column'] or 'row'})" for one in row["reasons"])
                click.echo(f"  line {row['line']}: {told}")
        else:
            click.echo(f"{name}: {value}")


def _told(error: MappingError, file: Path) -> str:
    places = [f"column {int(place) + 1}" if place.isdigit() else place for place in error.problems]
    told = [f"{place}: {columns.SENTENCES[code]}" for place, code in zip(places, error.problems.values(), strict=True)]
    return f"{file}: {' '.join(told)}"
