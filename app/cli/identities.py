"""`flask delivery domains|identities|backlog`: who mails come from, what DNS says of it, and what waits for whom."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta

import click
from flask.cli import with_appcontext
from sqlalchemy import select

from app.cli.places import in_workspace, workspaces
from app.delivery import backlog as reading
from app.delivery import domains as looking
from app.delivery import identities as kept
from app.delivery import keys
from app.delivery.dns_check import CHECKS
from app.delivery.models import SenderDomain
from app.delivery.paces import Paces
from app.doors import house


@click.command("domains")
@with_appcontext
@click.argument("name", required=False)
@click.option("--check", is_flag=True, help="Ask DNS now, instead of showing what was seen last.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@in_workspace
def domains(name: str | None, check: bool, as_json: bool, slug: str | None) -> None:
    """Show the sender domains, or NAME alone: every check, and the records to put into DNS.

    Ends with 1 where a domain that marketing comes from does not pass.
    """
    parts = house()
    told, failing = [], False
    for workspace, workspace_id in workspaces(slug):
        with parts.database.work(workspace_id) as session:
            found = session.scalars(select(SenderDomain).order_by(SenderDomain.name)).all()
        for one in found:
            if name not in {None, one.name}:
                continue
            if check:
                looking.check(parts, workspace_id, one.id)
            with parts.database.work(workspace_id) as session:
                domain = session.scalars(select(SenderDomain).where(SenderDomain.id == one.id)).one()
                phases = {key.selector: key.phase for key in keys.of_domain(session, domain.id)}
            failing = failing or (domain.marketing_at is not None and not looking.passes(domain.checks))
            told.append(
                {
                    "workspace": workspace,
                    "domain": domain.name,
                    "marketing": domain.marketing_how,
                    "passes": looking.passes(domain.checks),
                    "checked_at": domain.checked_at.isoformat() if domain.checked_at else None,
                    "keys": phases,
                    "checks": domain.checks,
                }
            )
    if as_json:
        click.echo(json.dumps(told, ensure_ascii=False, indent=1))
    else:
        for row in told:
            _tell(row)
        if not told:
            click.echo("no sender domain here")
    if failing:
        raise SystemExit(1)


def _tell(row: Mapping[str, object]) -> None:
    marketing = f"marketing: {row['marketing']}" if row["marketing"] else "no marketing yet"
    click.echo(f"{row['workspace']}  {row['domain']}  {marketing}, last looked at {row['checked_at'] or 'never'}")
    shown = row["keys"]
    for selector, phase in shown.items() if isinstance(shown, dict) else ():
        click.echo(f"  key      {selector:<12} {phase}")
    checks = row["checks"]
    told = checks if isinstance(checks, dict) else {}
    for name, one in ((name, told[name]) for name in CHECKS if name in told):
        doubt = f"  (no answer since {one['doubt_since']})" if one.get("doubt_since") else ""
        click.echo(f"  {name:<8} {one['verdict']:<8} {one['code']}{doubt}")
        for record in one["wanted"]:
            click.echo(f'           put in: {record["name"]} {record["type"]} "{record["value"]}"')


@click.command("identities")
@with_appcontext
@in_workspace
def identities(slug: str | None) -> None:
    """Show who mails come from: stream, name, address, and whether it is verified."""
    parts = house()
    for workspace, workspace_id in workspaces(slug):
        with parts.database.work(workspace_id) as session:
            for one in kept.listed(session):
                state = f"verified by {one.verified_how}" if one.verified_at else "not verified: not used"
                state = state if one.active else "put aside"
                click.echo(f"{workspace}  {one.stream:<10} {one.name} <{one.email}>  {state}")


@click.command("backlog")
@with_appcontext
@in_workspace
def backlog(slug: str | None) -> None:
    """Show what waits to be handed over, by mailbox provider, its pace, and how long that takes."""
    parts = house()
    now = parts.clock.now()
    lines = 0
    for workspace, workspace_id in workspaces(slug):
        with parts.database.work(workspace_id) as session:
            for one in reading.read(session, Paces(parts.redis, workspace_id), now):
                lines += 1
                rate = f"{one.rate:.0f} a minute" if one.rate else "no limit"
                left = one.left(now)
                ends = f", {timedelta(seconds=round(left.total_seconds()))} left" if left else ""
                why = f", slowed down: {one.slowed.why}" if one.slowed else ""
                click.echo(f"{workspace}  {one.provider:<24} {one.waiting:>7} wait  {rate}{ends}{why}")
    if not lines:
        click.echo("nothing waits")
