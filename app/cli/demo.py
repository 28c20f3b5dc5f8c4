"""`flask demo`: how to sign in and post to the demo, and real bookings streamed through it."""

from __future__ import annotations

import json
from pathlib import Path

import click
from flask.cli import with_appcontext
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from app import hops
from app.demo.replay import ReplayRefusedError, Report, replay
from app.demo.seed import DemoMissingError, credentials
from app.doors import house


@click.group("demo", help="The demo hotel.")
def group() -> None:
    """Commands about the demo hotel."""


@group.command("credentials")
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for scripts.")
@with_appcontext
def credentials_command(as_json: bool) -> None:
    """Print base_url, email, password, api_key and webhook_secret of the demo."""
    try:
        found = credentials(house().settings)
    except DemoMissingError as error:
        raise click.ClickException(str(error)) from None
    shown = {key: found[key] for key in ("base_url", "email", "password", "api_key", "webhook_secret", "source")}
    if as_json:
        click.echo(json.dumps(shown))
        return
    for key, value in shown.items():
        click.echo(f"{key:15} {value}")


@group.command("replay")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--limit", type=click.IntRange(min=1), help="How many bookings (default: all in the file).")
@click.option("--hotel", help='Only the bookings of this hotel, such as "Resort Hotel".')
@click.option("--run", default=None, help="Begins every reference; a word not used before makes new bookings.")
@click.option(
    "--consent-every", default=3, show_default=True, type=click.IntRange(min=0), help="Every n-th guest consents."
)
@click.option("--json", "as_json", is_flag=True, help="The outcome as JSON.")
@with_appcontext
def replay_command(
    file: Path, limit: int | None, hotel: str | None, run: str | None, consent_every: int, as_json: bool
) -> None:
    """Stream real hotel bookings from FILE (.csv or .csv.gz) through the API against the movable clock."""
    parts = house()
    console = Console(stderr=as_json)
    try:
        found = credentials(parts.settings)
        columns = (
            TextColumn("{task.fields[clock]}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("events"),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=console) as progress:
            task = progress.add_task("replay", total=None, clock="")
            report = replay(
                parts,
                int(found["workspace_id"]),
                file,
                base_url=found["base_url"],
                api_key=found["api_key"],
                run=run or f"r{parts.clock.now():%y%m%d%H%M}",
                limit=limit,
                hotel=hotel,
                consent_every=consent_every,
                on_progress=lambda done, total, at: progress.update(
                    task, completed=done, total=total, clock=f"{at:%Y-%m-%d %H:%M}"
                ),
            )
    except (DemoMissingError, ReplayRefusedError, hops.ClockStands, hops.NobodyWorks) as error:
        raise click.ClickException(str(error)) from None
    except (KeyError, ValueError) as error:
        raise click.ClickException(f"{file} is not the hotel booking data: {error}") from None
    if as_json:
        click.echo(json.dumps(_as_json(report)))
    else:
        _show(console, report)
    if not report.reconciled:
        raise click.ClickException("The totals differ from what the file says.")


def _show(console: Console, report: Report) -> None:
    events = Table("event", "posted", title=f"{report.bookings} bookings, {report.events.total()} events")
    for name, number in sorted(report.events.items()):
        events.add_row(name, f"{number:,}")
    for name, number in sorted(report.verdicts.items()):
        events.add_row(f"  answered {name}", f"{number:,}", style="dim")
    enrollments = Table("workflow", "status", "people", title="Enrollments")
    for (workflow, status), number in sorted(report.enrollments.items()):
        enrollments.add_row(workflow, status, f"{number:,}")
    messages = Table("workflow", "state", "reason", "messages", title="Messages")
    for (workflow, state, reason), number in sorted(report.messages.items()):
        messages.add_row(workflow, state, reason, f"{number:,}")
    check = Table("counted over the file", "expected", "found", "", title="Reconciliation")
    for line in report.lines:
        same = line.expected == line.found
        check.add_row(line.what, f"{line.expected:,}", f"{line.found:,}", "ok" if same else "differs")
    for table in (events, enrollments, messages, check):
        console.print(table)


def _as_json(report: Report) -> dict[str, object]:
    return {
        "bookings": report.bookings,
        "events": dict(report.events),
        "verdicts": dict(report.verdicts),
        "enrollments": [
            {"workflow": workflow, "status": status, "people": number}
            for (workflow, status), number in sorted(report.enrollments.items())
        ],
        "messages": [
            {"workflow": workflow, "state": state, "reason": reason, "messages": number}
            for (workflow, state, reason), number in sorted(report.messages.items())
        ],
        "reconciliation": [
            {"what": line.what, "expected": line.expected, "found": line.found} for line in report.lines
        ],
        "reconciled": report.reconciled,
    }
