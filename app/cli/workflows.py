"""`flask workflows`: check files and run their stories, without a database. `group` takes further commands."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

import click
from flask.cli import ScriptInfo, with_appcontext
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from app.cli.places import in_workspace, the_workspace
from app.cli.simulation import Length, tried
from app.content.enclosures import FOLDER
from app.doors import house
from app.enrollments import catalogue
from app.enrollments.rehearse import rehearse
from app.events.catalogue import known_events
from app.journey import language
from app.journey.compiler import compile_program
from app.journey.facts import zone
from app.journey.known import FACT_FIELDS, Known, TemplateInfo
from app.journey.places import LanguageError, Problem
from app.journey.program import Program
from app.journey.reference import page as reference_page
from app.journey.schema import of_stories, of_workflows
from app.journey.simulate import Outcome
from app.journey.stories import DEFAULT_PROPERTY, Stories, Story, differences, read_stories, scene

STORIES = ".stories.yaml"
_CLASSES = ("transactional", "feedback", "marketing", "consent_request")


@dataclass(frozen=True, slots=True)
class Checked:
    """One workflow file: its program if it reads well, and what is wrong with it or its stories."""

    file: Path
    program: Program | None
    stories: int
    problems: tuple[Problem, ...]


def known_from_files(templates: Path | None) -> Known:
    """What a workflow may speak of as far as files tell: the event catalogue, and a folder of templates if any."""
    infos = _templates(templates) if templates is not None and templates.is_dir() else None
    return Known(events=known_events(), fields=FACT_FIELDS, templates=infos or None)


def _templates(folder: Path) -> Mapping[str, TemplateInfo]:
    found: dict[str, TemplateInfo] = {}
    for file in sorted(folder.glob("*/template.yaml")):
        try:
            document: dict[str, Any] = YAML(typ="safe").load(file.read_text(encoding="utf-8"))
        except YAMLError:
            continue  # `flask templates check` tells what is wrong with it
        class_ = document.get("class")
        if class_ not in _CLASSES:
            continue
        name = str(document.get("template", file.parent.name))
        fields = document.get("fields") or {}
        found[name] = TemplateInfo(
            name=name,
            class_=class_,
            topic=document.get("topic"),
            languages=tuple(sorted(text.name.split(".")[1] for text in file.parent.glob("texts.*.yaml"))),
            required=tuple(path for path, field in fields.items() if "fallback" not in (field or {})),
            review_request=class_ == "feedback" and "review" in name,
            files=tuple(sorted(one.name for one in (file.parent / FOLDER).glob("[!.]*"))),
        )
    return found


def check_file(file: Path, known: Known) -> Checked:
    """Read a workflow, compile it, and run the stories beside it."""
    try:
        program = compile_program(language.read(file.read_text(encoding="utf-8"), file=str(file), known=known))
    except LanguageError as error:
        return Checked(file, None, 0, error.problems)
    beside = file.with_name(file.stem + STORIES)
    if not beside.is_file():
        return Checked(file, program, 0, ())
    try:
        stories = read_stories(beside.read_text(encoding="utf-8"), file=str(beside), known=known)
    except LanguageError as error:
        return Checked(file, program, 0, error.problems)
    problems: list[Problem] = []
    for number, story in enumerate(stories.stories):
        problems += differences(stories, number, rehearse(program, scene(story)))
    return Checked(file, program, len(stories.stories), tuple(problems))


def workflow_files(paths: Iterable[Path]) -> list[Path]:
    """The workflow files among the paths and below the folders, without the stories beside them."""
    found: list[Path] = []
    for path in paths:
        found += sorted(path.rglob("*.yaml")) if path.is_dir() else [path]
    return [path for path in found if not path.name.endswith(STORIES)]


@click.group("workflows")
def group() -> None:
    """Workflows as files: check them, run their stories, move them to and from the database."""


_TEMPLATES = click.option(
    "--templates",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("email_templates"),
    show_default=True,
    help="Folder of templates that sends are checked against; ignored where it does not exist.",
)


@group.command("check")
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path, exists=True))
@_TEMPLATES
def check(paths: tuple[Path, ...], templates: Path) -> None:
    """Check workflow files (default: workflows/) and run the stories beside them. Exit code 1 if anything is wrong."""
    known = known_from_files(templates)
    files = workflow_files(paths or (Path("workflows"),))
    if not files:
        raise click.UsageError("There is no workflow file here.")
    wrong = 0
    for file in files:
        checked = check_file(file, known)
        for problem in checked.problems:
            click.echo(str(problem))
        wrong += bool(checked.problems)
        if not checked.problems:
            told = f"{checked.stories} stories" if checked.stories else "no stories"
            click.echo(f"{file}: right, {told}")
    if wrong:
        raise SystemExit(1)


@group.command("schema")
@click.option("--stories", is_flag=True, help="The schema of a file of stories instead.")
@_TEMPLATES
def schema(templates: Path, stories: bool) -> None:
    """Print the JSON Schema of workflow files, by which an editor completes, explains and checks them."""
    document = of_stories() if stories else of_workflows(known_from_files(templates))
    click.echo(json.dumps(document, indent=2, ensure_ascii=False))


@group.command("reference")
def reference() -> None:
    """Print the reference page of the language (docs/language.md), made from its models."""
    click.echo(reference_page(), nl=False)


@group.command("pull")
@click.argument("folder", default="workflows", type=click.Path(path_type=Path, file_okay=False))
@in_workspace
@with_appcontext
def pull(folder: Path, slug: str | None) -> None:
    """Write every live workflow and its stories below FOLDER."""
    _, workspace_id = the_workspace(slug)
    with house().database.work(workspace_id) as session:
        changed = catalogue.pull(session, folder)
    for path in changed:
        click.echo(str(path))
    if not changed:
        click.echo("Every file says what is live.")


@group.command("simulate")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--workflow", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="Default: beside FILE.")
@click.option("--story", "wanted", help="Only stories whose name contains this.")
@click.option("--history", type=Length(), help="FILE is a workflow: try it on the last days of real history (90d).")
@click.option("--contact", help="FILE is a workflow: try it on what was recorded of this person (last 365 days).")
@click.option("--alone", is_flag=True, help="With history: leave the mails of other workflows out of the caps.")
@click.option("--limit", type=click.IntRange(1), help="With history: look at about so many people, drawn evenly.")
@click.option("--json", "as_json", is_flag=True, help="With history: everything as JSON.")
@click.option("--language", "tongue", type=click.Choice(["en", "it"]), default="en", show_default=True)
@click.option("--trace/--no-trace", default=True, show_default=True, help="Show every decision, not only messages.")
@_TEMPLATES
@in_workspace
@click.pass_context
def simulate(
    context: click.Context,
    /,
    *,
    file: Path,
    workflow: Path | None,
    wanted: str | None,
    history: timedelta | None,
    contact: str | None,
    alone: bool,
    limit: int | None,
    as_json: bool,
    tongue: Literal["en", "it"],
    trace: bool,
    templates: Path,
    slug: str | None,
) -> None:
    """Run the stories in FILE on a moving clock, or try the workflow in FILE on recorded history.

    What would be sent and when, and why each other thing was not. Nothing is written. Stories need no database.
    """
    known = known_from_files(templates)
    if history is not None or contact is not None:
        try:
            program = compile_program(language.read(file.read_text(encoding="utf-8"), file=str(file), known=known))
        except LanguageError as error:
            raise click.ClickException(str(error)) from None
        length = history or timedelta(days=365)
        with context.ensure_object(ScriptInfo).load_app().app_context():
            tried(
                program, length, contact=contact, alone=alone, limit=limit, as_json=as_json, language=tongue, slug=slug
            )
        return
    source = workflow or _beside(file)
    try:
        program = compile_program(language.read(source.read_text(encoding="utf-8"), file=str(source), known=known))
        stories = read_stories(file.read_text(encoding="utf-8"), file=str(file), known=known)
    except LanguageError as error:
        raise click.ClickException(str(error)) from None
    for number, story in enumerate(stories.stories):
        if wanted is None or wanted.lower() in story.story.lower():
            _show(story, rehearse(program, scene(story)), tongue, trace)
            _show_differences(stories, number, program, story)


def _beside(file: Path) -> Path:
    if not file.name.endswith(STORIES):
        raise click.UsageError("Name a stories file (<workflow>.stories.yaml), or the workflow with --workflow.")
    source = file.with_name(file.name.removesuffix(STORIES) + ".yaml")
    if not source.is_file():
        raise click.UsageError(f"There is no {source}; name the workflow with --workflow.")
    return source


def _show(story: Story, outcome: Outcome, tongue: str, trace: bool) -> None:
    local = zone({"property": {**DEFAULT_PROPERTY, **story.given.property}}, "property")
    click.secho(story.story, bold=True)
    for line in outcome.trace:
        if trace or line.code in ("sent", "refused", "deferred", "not_entered"):
            clock = line.at.astimezone(local).strftime("%a %Y-%m-%d %H:%M")
            step = f" [{line.step_id}]" if line.step_id else ""
            click.echo(f"  {clock}  {line.code:<12}{line.sentence[tongue]}{step}")
    for passage in outcome.passages:
        click.echo(
            f"  = {passage.key or 'contact'}: {passage.status}" + (f", {passage.reason}" if passage.reason else "")
        )


def _show_differences(stories: Stories, number: int, program: Program, story: Story) -> None:
    for problem in differences(stories, number, rehearse(program, scene(story))):
        click.secho(f"  {problem}", fg="red")
