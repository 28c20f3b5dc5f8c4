"""`templates`: check, render and publish what stands in `email_templates/`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click
from flask.cli import with_appcontext
from sqlalchemy import select

from app.audience.facts import Who, load, with_passage
from app.cli.places import in_workspace, workspaces
from app.contacts.models import Booking, Contact
from app.content.catalogue import Library, push, read_library, sample_facts
from app.content.compile import check_part, compile_template, examine
from app.content.known import KNOWN_FACTS
from app.content.languages import choose
from app.content.problems import ContentError, Problem
from app.content.render import Rendered, RenderError, render
from app.content.samples import URLS
from app.doors import house

ROOT = Path("email_templates")

_root = click.option(
    "--root", type=click.Path(exists=True, file_okay=False, path_type=Path), default=ROOT, show_default=True,
    help="The tree of templates.",
)  # fmt: skip


@click.group("templates")
def group() -> None:
    """Check, render and publish templates."""


@group.command()
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@_root
@click.option("--json", "as_json", is_flag=True, help="One JSON list of problems.")
@click.option("--strict", is_flag=True, help="Count warnings as errors.")
def check(files: tuple[Path, ...], root: Path, as_json: bool, strict: bool) -> None:
    """Compile templates and say all that is wrong, each with line, column and cure.

    FILES are template folders, files in them, layouts or blocks; without any, the whole tree.
    """
    library = read_library(root)
    problems: set[Problem] = set()
    names, parts = _chosen(files, root, library)
    for name in names:
        problems.update(examine(name, library.files, KNOWN_FACTS).problems)
    for part in parts:
        problems.update(check_part(part, library.files[part]))
    ordered = sorted(problems)
    errors = [p for p in ordered if strict or p.severity == "error"]
    if as_json:
        keys = ("file", "line", "column", "code", "severity", "message", "cure")
        click.echo(json.dumps([{key: getattr(p, key) for key in keys} for p in ordered], indent=1, ensure_ascii=False))
    else:
        for problem in ordered:
            click.echo(str(problem))
        click.echo(
            f"{len(names)} templates, {len(parts)} parts: {len(errors)} errors, {len(ordered) - len(errors)} warnings"
        )
    sys.exit(1 if errors else 0)


def _chosen(files: tuple[Path, ...], root: Path, library: Library) -> tuple[list[str], list[str]]:
    """The templates and the parts that the arguments mean."""
    if not files:
        return list(library.names), [p for p in library.files if p.startswith(("_layouts/", "_blocks/"))]
    names: dict[str, None] = {}
    parts: dict[str, None] = {}
    for file in files:
        path = file.relative_to(root).as_posix() if file.is_relative_to(root) else file.as_posix()
        folder = path.split("/")[0]
        if folder in library.names:
            names[folder] = None
        elif path in library.files:
            parts[path] = None
        else:
            raise click.BadParameter(f"{file} is no template and no part of {root}/.", param_hint="FILES")
    return list(names), list(parts)


@group.command("render")
@click.argument("file", type=click.Path(path_type=Path))
@_root
@click.option("--as", "contact", metavar="CONTACT", help="An external id, an address or our number.")
@click.option("--booking", metavar="REF", help="The booking it is about; needs --as.")
@in_workspace
@click.option("--language", help="Which language; without it, the person's (R25).")
@click.option("--without", "withheld", multiple=True, help="A block class that may not be shown, such as marketing.")
@click.option("--part", type=click.Choice(["all", "html", "text", "subject"]), default="all", show_default=True)
@with_appcontext
def render_command(
    file: Path,
    root: Path,
    contact: str | None,
    booking: str | None,
    slug: str | None,
    language: str | None,
    withheld: tuple[str, ...],
    part: str,
) -> None:
    """Render the template at FILE with its samples, or as CONTACT would get it. Nothing is sent or kept."""
    library = read_library(root)
    names, _ = _chosen((file,), root, library)
    if not names:
        raise click.BadParameter(f"{file} is no template.", param_hint="FILE")
    if booking and not contact:
        raise click.UsageError("--booking needs --as.")
    try:
        compiled = compile_template(names[0], library.files, KNOWN_FACTS)
        facts = _facts_of(contact, booking, slug) if contact else sample_facts(names[0], library)
        chosen = compiled.languages[language or choose(facts, compiled.languages).language]
        place = facts.get("property") or {}
        rendered = render(
            chosen, facts, link=lambda _, address: address, urls=URLS, allows=lambda class_: class_ not in withheld,
            locale=chosen.language, zone=str(place.get("zone") or "Europe/Rome"),
        )  # fmt: skip
    except ContentError as error:
        raise click.ClickException(str(error)) from None
    except KeyError:
        raise click.ClickException(f"{names[0]} is not written in {language}.") from None
    except RenderError as error:
        raise click.ClickException(f"{error.code}: {error}") from None
    click.echo(_shown(rendered, part), nl=False)


@group.command("push")
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@_root
@in_workspace
@with_appcontext
def push_command(files: tuple[Path, ...], root: Path, slug: str | None) -> None:
    """Publish what changed as new versions, in every workspace or one. Exit code 1 if a template was refused."""
    library = read_library(root)
    names = _chosen(files, root, library)[0] if files else None
    refused = False
    for name, number in workspaces(slug):
        with house().database.work(number) as session:
            changes = push(session, library, house().clock.now(), by="command line", known=KNOWN_FACTS, names=names)
        for change in changes:
            if change.outcome != "unchanged":
                click.echo(
                    f"{name}: {change.name} {change.outcome}" + (f" as {change.number}" if change.number else "")
                )
            if change.outcome == "refused":
                refused = True
                for problem in change.problems:
                    click.echo(f"  {problem}")
        click.echo(f"{name}: {sum(c.outcome == 'unchanged' for c in changes)} unchanged")
    sys.exit(1 if refused else 0)


def _facts_of(contact: str, booking: str | None, slug: str | None) -> dict[str, Any]:
    """What a message to this person, about this booking, would know; without an event or a passage behind it."""
    for _, number in workspaces(slug):
        with house().database.work(number) as session:
            person = session.scalars(
                select(Contact.id)
                .where(
                    (Contact.external_id == contact)
                    | (Contact.email_key == contact.lower())
                    | (Contact.id == (int(contact) if contact.isdecimal() and len(contact) < 19 else -1))
                )
                .order_by(Contact.id)
            ).first()
            if person is None:
                continue
            stay = session.scalars(select(Booking.id).where(Booking.reference == booking)).first() if booking else None
            if booking and stay is None:
                raise click.ClickException(f"There is no booking {booking!r}.")
            who = Who(person, stay)
            return with_passage(load(session, [who], house().clock.now())[who], {}, {"fields": {}})
    raise click.ClickException(f"Nobody is known as {contact!r}.")


def _shown(rendered: Rendered, part: str) -> str:
    if rendered.empty:
        return "Nothing is sent: only blocks that may not be shown are left.\n"
    if part != "all":
        return str(getattr(rendered, part)) + ("\n" if part != "text" else "")
    return f"Subject: {rendered.subject}\nPreheader: {rendered.preheader}\n\n{rendered.text}\n{rendered.html}\n"
