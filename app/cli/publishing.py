"""`flask workflows`: publish, compare and roll back versions; pause, resume and archive."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import cast

import click
from flask.cli import with_appcontext
from sqlalchemy.orm import Session

from app.cli.places import in_workspace, the_workspace
from app.cli.workflows import group
from app.doors import house
from app.enrollments import catalogue, pauses, versions
from app.enrollments.catalogue import NameTakenError, UnknownWorkflowError
from app.enrollments.pauses import NotNowError, Resumed
from app.enrollments.versions import Choice, MappingError, Preview
from app.journey.carry import AfterPause
from app.journey.places import LanguageError

__all__ = ["group"]

_FATES = {"stays": "stay on their version", "goes_on": "go on there", "leaves": "leave"}
_RULES = click.Choice([rule.replace("_", "-") for rule in pauses.RULES])


def _publishing(command: Callable[..., None]) -> Callable[..., None]:
    """The options of every command that publishes."""
    for option in (
        click.option(
            "--on-inside",
            type=click.Choice(["pin", "follow", "map"]),
            default="pin",
            show_default=True,
            help="Who is inside: stays on their version, goes on in the new one at the same step, or as --map says.",
        ),
        click.option(
            "--map",
            "pairs",
            multiple=True,
            metavar="OLD=NEW",
            help="With --on-inside map: who waits at OLD goes on at NEW; OLD=exit: they leave. Others keep their step.",
        ),
        click.option("--note", default="", help="Why, in a few words; kept with the version."),
        click.option("--dry-run", is_flag=True, help="Say what it would do to the people inside; change nothing."),
        in_workspace,
    ):
        command = option(command)
    return command


def _mapping(pairs: Sequence[str], on_inside: str) -> dict[str, str | None]:
    if pairs and on_inside != "map":
        raise click.UsageError("--map goes with --on-inside map.")
    mapping: dict[str, str | None] = {}
    for pair in pairs:
        old, sign, new = pair.partition("=")
        if not (old and sign and new):
            raise click.UsageError(f"{pair!r} is no OLD=NEW.")
        mapping[old] = None if new == "exit" else new
    return mapping


def _who() -> str:
    return os.environ.get("USER", "command line")


def _publish(folder: Path, on_inside: str, pairs: Sequence[str], note: str, dry_run: bool, slug: str | None) -> None:
    parts = house()
    name, workspace_id = the_workspace(slug)
    try:
        with parts.database.work(workspace_id) as session:
            point = session.begin_nested()  # a dry run goes back to here
            done = catalogue.push(
                session,
                folder,
                by=_who(),
                now=parts.clock.now(),
                note=note,
                on_inside=cast("Choice", on_inside),
                mapping=_mapping(pairs, on_inside),
            )
            if dry_run:
                point.rollback()
    except (LanguageError, MappingError) as error:
        raise click.ClickException(f"Nothing was published.\n{error}") from None
    if dry_run:
        click.echo("Nothing was published; this is what it would be:")
    for each in done:
        click.echo(f"{name}: {each.name} version {each.number}{'' if each.changed else ', unchanged'}")
        if each.inside is not None:
            _tell(each.inside)


def _tell(inside: Preview) -> None:
    if not inside.people:
        click.echo("  nobody is inside")
    for step in inside.steps:
        fate = f"go on at {step.target}" if step.fate == "moves" else _FATES[step.fate]
        gone = "; that step is gone in this version: map it or they stay pinned" if step.gone else ""
        click.echo(f"  {step.people} at {step.id}: {fate}{gone}")


@group.command("push")
@click.argument("folder", default="workflows", type=click.Path(path_type=Path, exists=True))
@_publishing
@with_appcontext
def push(folder: Path, on_inside: str, pairs: Sequence[str], note: str, dry_run: bool, slug: str | None) -> None:
    """Publish every workflow below FOLDER (or the one file) that differs from its live version."""
    _publish(folder, on_inside, pairs, note, dry_run, slug)


@group.command("publish")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@_publishing
@with_appcontext
def publish(file: Path, on_inside: str, pairs: Sequence[str], note: str, dry_run: bool, slug: str | None) -> None:
    """Publish the workflow in FILE, and say what that means to the people inside."""
    _publish(file, on_inside, pairs, note, dry_run, slug)


@group.command("versions")
@click.argument("name")
@in_workspace
@with_appcontext
def versions_of(name: str, slug: str | None) -> None:
    """List the versions of workflow NAME: who published them when, why, and how many people are inside each."""
    _, workspace_id = the_workspace(slug)
    with house().database.work(workspace_id) as session:
        found = versions.published(session, name)
        people = versions.by_version(session, found[0].workflow_id) if found else {}
    if not found:
        raise click.ClickException(f"There is no published workflow {name!r}.")
    for version in found:
        at = version.published_at.strftime("%Y-%m-%d %H:%M UTC")
        inside = people.get(version.number, 0)
        line = f"{version.number:>4}  {at}  {version.published_by:<16} {inside:>6} inside"
        click.echo(f"{line}  {version.note}".rstrip())


@group.command("diff")
@click.argument("what", default="workflows")
@click.argument("numbers", nargs=-1, type=int)
@in_workspace
@with_appcontext
def diff(what: str, numbers: tuple[int, ...], slug: str | None) -> None:
    """Show what `push` would change (WHAT is a folder or file), or what two versions of workflow WHAT differ in.

    \b
    flask workflows diff workflows/hotel
    flask workflows diff pre-arrival 3 5

    Exit code 1 where something differs.
    """
    _, workspace_id = the_workspace(slug)
    with house().database.work(workspace_id) as session:
        found = _between(session, what, numbers) if numbers else _files(session, what)
    click.echo(found or "Nothing differs.", nl=not found)
    if found:
        raise SystemExit(1)


def _files(session: Session, what: str) -> str:
    if not Path(what).exists():
        raise click.UsageError(f"There is no file or folder {what!r}; two versions are compared with: diff NAME 3 5.")
    return catalogue.diff(session, Path(what))


def _between(session: Session, name: str, numbers: Sequence[int]) -> str:
    if len(numbers) != 2:
        raise click.UsageError("Name two versions: flask workflows diff NAME 3 5.")
    sources: list[str] = []
    for number in numbers:
        version = versions.numbered(session, name, number)
        if version is None:
            raise click.ClickException(f"There is no version {number} of {name!r}.")
        sources.append(version.source)
    labels = (f"{name} version {numbers[0]}", f"{name} version {numbers[1]}")
    return catalogue.difference(sources[0], sources[1], labels)


@group.command("rollback")
@click.argument("name")
@click.argument("number", type=int)
@_publishing
@with_appcontext
def rollback(
    name: str, number: int, on_inside: str, pairs: Sequence[str], note: str, dry_run: bool, slug: str | None
) -> None:
    """Publish version NUMBER of workflow NAME once more, as its next version."""
    parts = house()
    _, workspace_id = the_workspace(slug)
    try:
        with parts.database.work(workspace_id) as session:
            point = session.begin_nested()  # a dry run goes back to here
            done = catalogue.rollback(
                session,
                name,
                number,
                by=_who(),
                now=parts.clock.now(),
                note=note,
                on_inside=cast("Choice", on_inside),
                mapping=_mapping(pairs, on_inside),
            )
            if dry_run:
                point.rollback()
    except (LanguageError, MappingError, UnknownWorkflowError) as error:
        raise click.ClickException(f"Nothing was published.\n{error}") from None
    if dry_run:
        click.echo("Nothing was published; this is what it would be:")
    click.echo(f"{name} version {done.number}{'' if done.changed else ', unchanged: that is the live source'}")
    if done.inside is not None:
        _tell(done.inside)


@group.command("duplicate")
@click.argument("name")
@click.argument("new_name")
@in_workspace
@with_appcontext
def duplicate(name: str, new_name: str, slug: str | None) -> None:
    """Make a draft NEW_NAME out of workflow NAME."""
    parts = house()
    _, workspace_id = the_workspace(slug)
    try:
        with parts.database.work(workspace_id) as session:
            catalogue.duplicate(session, name, new_name, parts.clock.now())
    except (UnknownWorkflowError, NameTakenError) as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"{new_name} is a draft.")


@group.command("pause")
@click.argument("name")
@click.option("--when-resumed", type=_RULES, default="late-rules", show_default=True, help="What comes due meanwhile.")
@in_workspace
@with_appcontext
def pause(name: str, when_resumed: str, slug: str | None) -> None:
    """Stop workflow NAME: nobody enters, nobody moves on, nothing planned goes out.

    What comes due meanwhile: goes on as the late rules say, skips to the next step, or ends the passage. Whatever the
    rule, nothing is sent after its latest.
    """
    parts = house()
    _, workspace_id = the_workspace(slug)
    try:
        with parts.database.work(workspace_id) as session:
            pauses.pause(session, name, parts.clock.now(), _rule(when_resumed))
    except (UnknownWorkflowError, NotNowError) as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"{name} is paused.")


@group.command("resume")
@click.argument("name")
@click.option("--when-resumed", type=_RULES, help="Another rule than the one the pause was given.")
@click.option("--dry-run", is_flag=True, help="Say what would go out; change nothing.")
@in_workspace
@with_appcontext
def resume(name: str, when_resumed: str | None, dry_run: bool, slug: str | None) -> None:
    """Let a paused workflow go on, and say what that sets going."""
    parts = house()
    now = parts.clock.now()
    rule = _rule(when_resumed) if when_resumed else None
    _, workspace_id = the_workspace(slug)
    try:
        with parts.database.work(workspace_id) as session:
            row = catalogue.named(session, name)
            if row.status != "paused":
                raise click.ClickException(f"{name} is not paused.")
            told = pauses.preview(session, row, now, rule)
            if not dry_run:
                pauses.resume(session, name, now, rule)
    except UnknownWorkflowError as error:
        raise click.ClickException(str(error)) from None
    click.echo(_resumed(told))
    click.echo(f"{name} is still paused." if dry_run else f"{name} runs again.")


def _rule(text: str) -> AfterPause:
    return cast("AfterPause", text.replace("-", "_"))


def _resumed(told: Resumed) -> str:
    about = "" if told.exact else "about "
    return (
        f"{told.overdue} people came due meanwhile; {about}{told.goes_out} messages go on to consent, caps and quiet"
        f" hours, {about}{told.too_late} are dropped as too late, {about}{told.leaves} people leave."
    )


@group.command("archive")
@click.argument("name")
@click.option("--inside", type=click.Choice(["finish", "exit"]), default="finish", show_default=True)
@in_workspace
@with_appcontext
def archive(name: str, inside: str, slug: str | None) -> None:
    """Close workflow NAME: nobody enters; who is inside finishes, or leaves a minute from now."""
    parts = house()
    _, workspace_id = the_workspace(slug)
    how: Mapping[str, str] = {"finish": "finish", "exit": "leave in a minute"}
    try:
        with parts.database.work(workspace_id) as session:
            people = pauses.archive(session, name, parts.clock.now(), by=_who(), inside=inside)  # type: ignore[arg-type]
    except UnknownWorkflowError as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"{name} is archived; {people} people inside {how[inside]}.")


@group.command("restore")
@click.argument("name")
@in_workspace
@with_appcontext
def restore(name: str, slug: str | None) -> None:
    """Open an archived workflow again. Who has left by the archive is not brought back."""
    parts = house()
    _, workspace_id = the_workspace(slug)
    try:
        with parts.database.work(workspace_id) as session:
            gone = pauses.restore(session, name, parts.clock.now())
    except UnknownWorkflowError as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"{name} is open again." + (f" {gone} people had left." if gone else ""))
