"""`templates`: check, render and publish what stands in `email_templates/`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from app.content.catalogue import Library, read_library, sample_facts
from app.content.compile import check_part, compile_template, examine
from app.content.known import KNOWN_FACTS
from app.content.languages import FALLBACK
from app.content.problems import ContentError, Problem
from app.content.render import Rendered, RenderError, render
from app.content.samples import URLS

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
@click.option("--language", help="Which language; the first there is, without it.")
@click.option("--zone", default="Europe/Rome", show_default=True, help="The reader's time zone.")
@click.option("--without", "withheld", multiple=True, help="A block class that may not be shown, such as marketing.")
@click.option("--part", type=click.Choice(["all", "html", "text", "subject"]), default="all", show_default=True)
def render_command(
    file: Path, root: Path, language: str | None, zone: str, withheld: tuple[str, ...], part: str
) -> None:
    """Render a template with its samples."""
    library = read_library(root)
    names, _ = _chosen((file,), root, library)
    if not names:
        raise click.BadParameter(f"{file} is no template.", param_hint="FILE")
    try:
        compiled = compile_template(names[0], library.files)
        chosen = (
            compiled.languages[language]
            if language
            else next(compiled.languages[one] for one in (*FALLBACK, *compiled.languages) if one in compiled.languages)
        )
        rendered = render(
            chosen, sample_facts(names[0], library), link=lambda _, address: address, urls=URLS,
            allows=lambda class_: class_ not in withheld, locale=chosen.language, zone=zone,
        )  # fmt: skip
    except ContentError as error:
        raise click.ClickException(str(error)) from error
    except KeyError as error:
        raise click.ClickException(f"{names[0]} is not written in {language}.") from error
    except RenderError as error:
        raise click.ClickException(f"{error.code}: {error}") from error
    click.echo(_shown(rendered, part), nl=False)


def _shown(rendered: Rendered, part: str) -> str:
    if rendered.empty:
        return "Nothing is sent: only blocks that may not be shown are left.\n"
    if part != "all":
        return str(getattr(rendered, part)) + ("\n" if part != "text" else "")
    return f"Subject: {rendered.subject}\nPreheader: {rendered.preheader}\n\n{rendered.text}\n{rendered.html}\n"
