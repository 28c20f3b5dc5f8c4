"""What `flask workflows simulate FILE --history 90d` (or `--contact`) does and prints. Nothing is written anywhere."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import click

from app.cli.places import the_workspace
from app.doors import house
from app.enrollments.explain import NobodyError, find_contact
from app.enrollments.recorded import Span
from app.enrollments.simulation import NOTES, Sample, Simulation, simulate_history
from app.house import calm_collector
from app.journey.condition_words import day as day_text
from app.journey.condition_words import moment, money
from app.journey.program import Program

_LENGTH = re.compile(r"\s*(\d{1,4})\s*(d|days?|w|weeks?)?\s*", re.IGNORECASE)
_WIDTH = 30
_LONGEST = 3650


class Length(click.ParamType):  # type: ignore[type-arg]
    """A number of days: `90d`, `90 days`, `12 weeks`."""

    name = "length"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """The length of time meant."""
        if isinstance(value, timedelta):
            return value
        found = _LENGTH.fullmatch(str(value))
        days = int(found[1]) * (7 if (found[2] or "d").lower().startswith("w") else 1) if found else 0
        if not 0 < days <= _LONGEST:
            self.fail(f"{value!r} is no length of time; write for example 90d or 12 weeks.", param, ctx)
        return timedelta(days=days)


def tried(
    program: Program,
    length: timedelta,
    *,
    contact: str | None,
    alone: bool,
    limit: int | None,
    as_json: bool,
    language: str,
    slug: str | None,
) -> None:
    """Try a program on the last days of a workspace, or on one person of it, and print what it came to."""
    name, workspace_id = the_workspace(slug)
    calm_collector()
    parts = house()
    now = parts.clock.now()
    shown = sys.stderr.isatty() and not as_json
    try:
        with parts.database.work(workspace_id) as session:
            contact_id = find_contact(session, contact) if contact is not None else None
            found = simulate_history(
                session,
                program,
                Span(now - length, now),
                alone=alone,
                limit=limit,
                contact_id=contact_id,
                progress=_progress if shown else None,
            )
    except NobodyError as error:
        raise click.ClickException(str(error)) from None
    if shown:
        click.echo("\r" + " " * 60 + "\r", err=True, nl=False)
    if as_json:
        click.echo(json.dumps(found.as_json(), ensure_ascii=False, indent=2))
        return
    _heading(found, name, language)
    if contact_id is None:
        _days(found, language)
        _reasons(found, language)
    for sample in found.samples if contact_id is not None else found.samples[:3]:
        _sample(found, sample, language)
    for note in found.notes:
        click.secho(f"  · {NOTES[note][language]}", dim=True)


def _progress(found: Simulation) -> None:
    whole = max(round(found.total * found.share), 1)
    click.echo(
        f"\r{found.people} of {whole} people, {found.entered} enrollments, {found.rate:.0f}/s", err=True, nl=False
    )


def _heading(found: Simulation, workspace: str, language: str) -> None:
    italian = language == "it"
    since, until = (moment(one, found.zone, language) for one in (found.span.since, found.span.until))
    click.secho(f"{found.workflow} · {workspace} · {since} – {until} ({found.zone.key})", bold=True)
    if found.share < 1:
        part = f"{found.share:.1%}"
        click.secho(
            f"  Un campione: {found.people} persone su {found.total} ({part}); i numeri sono del campione."
            if italian
            else f"  A sample: {found.people} of {found.total} people ({part}); all numbers are of the sample.",
            fg="yellow",
        )
    words = _HEADING_IT if italian else _HEADING
    value = f" ({money(found.goal_value, 'EUR', language)})" if found.goal_value else ""
    figures = (
        found.people, found.entered, found.finished, sum(found.exits.values()), found.inside, found.sent,
        sum(found.refused.values()), sum(found.deferred.values()), found.waiting, f"{found.goals}{value}", found.tasks,
    )  # fmt: skip
    for word, figure in zip(words, figures, strict=True):
        if figure not in (0, "0"):
            click.echo(f"  {word:<{_WIDTH}}{figure:>8}")
    if found.failed:
        click.secho(f"  {'failed':<{_WIDTH}}{found.failed:>8}  {found.errors.most_common(1)[0][0]}", fg="red")
    click.secho(f"  {found.seconds:.2f} s, {found.rate:,.0f}/s", dim=True)


_HEADING = (
    "people with a starting event", "entered", "came to the end", "left", "still inside", "messages sent", "refused",
    "times put off", "still waiting", "goals reached", "tasks for people",
)  # fmt: skip
_HEADING_IT = (
    "persone con un evento d'avvio", "entrate", "arrivate alla fine", "uscite", "ancora dentro", "messaggi inviati",
    "rifiutati", "volte rimandati", "ancora in attesa", "obiettivi raggiunti", "compiti per persone",
)  # fmt: skip


def _days(found: Simulation, language: str) -> None:
    busy = [
        (day, one) for day, one in sorted(found.days.items()) if one.sent or one.entered or one.refused or one.others
    ]
    if not busy:
        return
    head = ("giorno", "entrate", "inviati", "rifiut.", "rimand.", "limite", "altri") if language == "it" else (
        "day", "entered", "sent", "refused", "put off", "by cap", "others"
    )  # fmt: skip
    click.echo()
    click.echo("  " + f"{head[0]:<14}" + "".join(f"{one:>9}" for one in head[1:]))
    most = max(one.sent for _, one in busy) or 1
    for day, one in busy:
        figures = (one.entered, one.sent, one.refused, one.deferred, one.capped, one.others)
        bar = "▇" * round(20 * one.sent / most)
        click.echo(f"  {day_text(day, language):<14}" + "".join(f"{n or '·':>9}" for n in figures) + f"  {bar}")


def _reasons(found: Simulation, language: str) -> None:
    titles = (
        ("non entrati", "rifiutati", "rimandati", "usciti", "messaggi")
        if language == "it"
        else ("not entered", "refused", "put off", "left", "messages")
    )
    not_entered = {f"{code}: {found.why_not[code][language]}": n for code, n in found.not_entered.most_common()}
    _table(titles[0], not_entered)
    _table(titles[1], {f"{code} {rule}": n for (code, rule), n in found.refused.most_common()})
    _table(titles[2], {f"{code} {rule}": n for (code, rule), n in found.deferred.most_common()})
    _table(titles[3], dict(found.exits.most_common()))
    _table(titles[4], {f"{name}, {outcome}": n for (name, outcome), n in sorted(found.templates.items())})


def _table(title: str, rows: Mapping[str, int]) -> None:
    if not rows:
        return
    click.echo()
    click.secho(f"  {title}", bold=True)
    for text, count in rows.items():
        click.echo(f"  {count:>8}  {text}")


def _sample(found: Simulation, sample: Sample, language: str) -> None:
    click.echo()
    click.secho(f"  {sample.name} (#{sample.contact_id})", bold=True)
    for one in sample.decisions:
        at = moment(one.at, found.zone, language) if one.at else ""
        step = f" [{one.step}]" if one.step else ""
        click.echo(
            f"    {at:<20} {one.stage:<8} {one.sentence[language]}{step}" + (f"  {one.rule}" if one.rule else "")
        )
