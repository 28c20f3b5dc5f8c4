"""`flask workflows results`, `decide` and `undecide`; `flask workspaces holdout`: experiments on the command line."""

from __future__ import annotations

import json
import os

import click
from flask.cli import with_appcontext
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.accounts import settings
from app.cli.places import in_workspace, the_workspace
from app.cli.workflows import group
from app.cli.workspaces import group as workspaces
from app.consent.policy import Policy, PolicyError
from app.doors import house
from app.enrollments import experiments, results
from app.enrollments.models import Workflow
from app.enrollments.results import Lift, Results, SplitResult
from app.journey.inference import Interval

__all__ = ["group"]

_VERDICTS = {
    "empty": "nothing to compare yet",
    "open": "not conclusive: chance alone could make that difference",
    "better": "it helps",
    "worse": "it harms",
}


@group.command("results")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="The figures as JSON; amounts in minor units.")
@in_workspace
@with_appcontext
def show(name: str, as_json: bool, slug: str | None) -> None:
    """Show what workflow NAME brought: people tried on against people held out, and its splits."""
    parts = house()
    _, workspace_id = the_workspace(slug)
    with parts.database.work(workspace_id) as session:
        found = results.load(session, _named(session, name), parts.clock.now())
    if found is None:
        raise click.ClickException(f"{name} was never published.")
    if as_json:
        click.echo(json.dumps(results.as_json(found), indent=2, default=str))
        return
    click.echo(f"{name}: goal {found.goal or 'none'}")
    for lift in found.lifts:
        _lift(found, lift)
    if found.goal and not found.lifts:
        click.echo("Nobody is held out: how many would have done so anyway cannot be told.")
    for split in found.splits:
        _split(split)


@group.command("decide")
@click.argument("name")
@click.argument("split")
@click.argument("variant")
@in_workspace
@with_appcontext
def decide(name: str, split: str, variant: str, slug: str | None) -> None:
    """End SPLIT of workflow NAME by hand: from now on everybody goes the way of VARIANT."""
    parts = house()
    _, workspace_id = the_workspace(slug)
    by = os.environ.get("USER", "command line")
    with parts.database.work(workspace_id) as session:
        try:
            experiments.choose(session, _named(session, name), split, variant, by=by, now=parts.clock.now())
        except experiments.UnknownSplitError as error:
            raise click.ClickException(str(error)) from None
    click.echo(f"{name}: from now on everybody who comes to {split} goes the way of {variant}.")


@group.command("undecide")
@click.argument("name")
@click.argument("split")
@in_workspace
@with_appcontext
def undecide(name: str, split: str, slug: str | None) -> None:
    """Take the decision on SPLIT of workflow NAME back, while nobody has passed since."""
    parts = house()
    _, workspace_id = the_workspace(slug)
    with parts.database.work(workspace_id) as session:
        try:
            experiments.undo(session, _named(session, name), split, parts.clock.now())
        except (experiments.UnknownSplitError, experiments.TooLateError) as error:
            raise click.ClickException(str(error)) from None
    click.echo(f"{name}: people are divided again at {split}.")


@workspaces.command("holdout")
@click.option("--percent", type=click.IntRange(0, 50), help="How many of 100 people get no marketing; 0: nobody.")
@click.option("--salt", help="Whoever changes it draws the group anew, such as once a year: 2027.")
@in_workspace
@with_appcontext
def holdout(percent: int | None, salt: str | None, slug: str | None) -> None:
    """Show or set how many people are kept out of all marketing, to measure what it brings. Service mail goes on."""
    name, workspace_id = the_workspace(slug)
    with house().database.work(workspace_id) as session:
        kept = dict(settings.read(session).get("holdout") or {"percent": 0, "salt": ""})
        kept |= {key: value for key, value in (("percent", percent), ("salt", salt)) if value is not None}
        try:
            Policy.from_settings({"holdout": kept})
        except PolicyError as error:
            raise click.UsageError(str(error)) from None
        if percent is not None or salt is not None:
            settings.lay(session, {"holdout": kept})
    click.echo(f"{name}: {kept['percent']} of 100 people get no marketing (salt {kept['salt']!r}).")


def _named(session: Session, name: str) -> Workflow:
    row = session.scalar(select(Workflow).where(Workflow.name == name))
    if row is None:
        raise click.ClickException(f"There is no workflow {name!r}.")
    return row


def _lift(found: Results, lift: Lift) -> None:
    who = "held out here" if lift.by == "workflow" else "kept out of all marketing"
    click.secho(f"\nTried on against {who}: {_VERDICTS[lift.verdict]}", bold=True)
    for name, tally in (("tried on", lift.treated), (who, lift.control)):
        share = f"{tally.goals / tally.people:.1%}" if tally.people else "-"
        value = f"{tally.amount / tally.people / 100:.2f} {found.currency}" if tally.people else "-"
        click.echo(f"  {name:<26}{tally.people:>8} people{tally.goals:>8} goals  {share:>6}  {value} a person")
    if lift.difference:
        click.echo(f"  difference {_points(lift.difference)}")
    if lift.relative:
        click.echo(
            f"  relative {lift.relative.estimate:+.0%} (95 %: {lift.relative.low:+.0%} to {lift.relative.high:+.0%})"
        )
    open_ = lift.treated.open + lift.control.open
    if open_:
        click.echo(f"  {open_} people may still reach the goal")
    if lift.hint:
        gap = f"{lift.hint.gap * 100:g}"
        click.echo(
            f"  a difference of {gap} points takes about {lift.hint.smaller} held out and {lift.hint.larger} others"
        )


def _split(split: SplitResult) -> None:
    state = {"running": "running", "looked": "looked at, not conclusive", "decided": f"decided: {split.winner}"}
    click.secho(f"\nSplit {split.step_id}: {state[split.state]}", bold=True)
    if split.decided_at:
        click.echo(f"  {split.decided_at.isoformat()} by {split.decided_by}; {split.since} people have passed since")
    for one in split.variants:
        tally = one.tally
        goal = f"{one.goal.estimate:.1%} ({one.goal.low:.1%} to {one.goal.high:.1%})" if one.goal else "-"
        clicks = f"{tally.clicked} of {tally.observable} seen" if tally.sent else "-"
        click.echo(
            f"  {one.name:<20}{one.weight:>3} %{tally.people:>8} people{tally.sent:>8} sent  clicks {clicks}"
            f"{tally.goals:>8} goals  {goal}"
        )


def _points(interval: Interval) -> str:
    low, high = interval.low * 100, interval.high * 100
    return f"{interval.estimate * 100:+.1f} points (95 %: {low:+.1f} to {high:+.1f})"
