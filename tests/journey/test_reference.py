"""What editors and the reference page say of the language is what it takes: made from the models, held to them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from click.testing import CliRunner
from ruamel.yaml import YAML

from app.cli.workflows import group, known_from_files
from app.journey.language import load, read
from app.journey.model import LATER, Workflow
from app.journey.model_steps import STEPS
from app.journey.places import LanguageError, plain
from app.journey.reference import page
from app.journey.schema import of_stories, of_workflows
from tests.journey.kit import OPEN_WORLD, workflow_text

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = sorted(file for file in (ROOT / "workflows").rglob("*.yaml") if not file.name.endswith(".stories.yaml"))
STORIES = sorted((ROOT / "workflows").rglob("*.stories.yaml"))
KNOWN = known_from_files(ROOT / "email_templates")


def validator(schema: dict[str, Any]) -> jsonschema_rs.Validator:
    jsonschema_rs.meta.validate(schema)
    return jsonschema_rs.validator_for(schema)


def wrong(schema: dict[str, Any], document: Any) -> list[str]:
    return [f"{error.instance_path}: {error.message}" for error in validator(schema).iter_errors(document)]


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.stem)
def test_every_shipped_workflow_fits_the_schema_that_editors_get(file: Path) -> None:
    document = plain(load(file.read_text(encoding="utf-8"), file.name))
    assert wrong(of_workflows(KNOWN), document) == []


@pytest.mark.parametrize("file", STORIES, ids=lambda file: file.stem)
def test_every_shipped_story_fits_the_schema(file: Path) -> None:
    document = plain(YAML(typ="rt").load(file.read_text(encoding="utf-8")))
    assert wrong(of_stories(), document) == []


EVERY_STEP = """\
  - { id: a, send: x, channels: email, latest: 2 hours, updated: y }
  - { id: b, wait: 2 business days }
  - { id: c, wait: { until: booking.arrival, offset: -1 day, at: "16:00", late: go_on } }
  - { id: d, wait_for: { on: booking.checked_in, up_to: 2 days, since: a }, then: [ { id: d1, send: x } ] }
  - { id: e, branch: [ { if: booking.nights >= 3, steps: [ { id: e1, send: x } ] }, { else: true } ] }
  - id: f
    split:
      - { variant: short, weight: 50, steps: [ { id: f1, send: x } ] }
      - { variant: long, weight: 50 }
  - { id: g, repeat: { max: 3, every: 2 days, until: booking.status == cancelled, steps: [ { id: g1, send: x } ] } }
  - { id: h, set: { contact.attributes.vip: true, enrollment.fields.paid: { from: booking.amount } }, add_tags: vip }
  - { id: i, emit: { type: custom.became_regular, data: { nights: { from: booking.nights } } } }
  - { id: j, webhook: { endpoint: crm, data: { step: j } } }
  - { id: k, start: { workflow: other, await: true, up_to: 3 days }, timeout: [ { id: k1, send: x } ] }
  - { id: l, stop: newsletter }
  - { id: m, task: { to: front_desk, text: { en: Call }, due_within: 1 business day } }
  - { id: n, consent: { topic: offers, up_to: 3 days }, then: [ { id: n1, send: x } ] }
  - { id: o, exit: done, outcome: well }
"""


def test_every_step_is_taken_by_the_language_and_by_the_schema_alike() -> None:
    text = workflow_text(EVERY_STEP)
    workflow = read(text, file="t.yaml", known=OPEN_WORLD)
    assert [step.kind for step in workflow.steps] == ["send", "wait", "wait", *list(STEPS)[2:]]
    assert wrong(of_workflows(), plain(load(text, "t.yaml"))) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("send: x, channels", "sned: x, channels"),
        ("channels: email", "channels: pigeon"),
        ("weight: 50 }", "weight: half }"),
        ("max: 3", "max: 0"),
        ("max: 3, ", ""),
        ("late: go_on", "late: goon"),
        ("since: a", "sinse: a"),
        ("id: b", "id: B b"),
        ("on: booking.checked_in", "on: booking.chekced_in"),
        ("{ from: booking.nights }", "{ form: booking.nights }"),
        ("phase: retention", "phase: retained"),
    ],
)
def test_what_the_language_refuses_for_its_shape_the_schema_refuses_too(old: str, new: str) -> None:
    text = workflow_text(EVERY_STEP)
    assert old in text
    damaged = text.replace(old, new, 1)
    assert wrong(of_workflows(OPEN_WORLD), plain(load(damaged, "t.yaml"))) != []
    with pytest.raises(LanguageError):
        read(damaged, file="t.yaml", known=OPEN_WORLD)


def fields(schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, block in {"": schema, **schema["$defs"]}.items():
        for key, field in block.get("properties", {}).items():
            yield f"{name}.{key}", field


def test_every_field_is_described_and_every_choice_is_listed() -> None:
    for schema in (of_workflows(KNOWN), of_stories()):
        assert [name for name, field in fields(schema) if len(field.get("description", "")) < 8] == []
    listed = {name for name, field in fields(of_workflows(KNOWN)) if '"enum"' in json.dumps(field)}
    wanted = {".phase", ".class", "Entry.on", "Goal.on", "Awaited.on", "Waiting.late", "Send.channels", "Send.send"}
    assert wanted <= listed


def test_the_schema_completes_events_and_templates_by_name() -> None:
    on = dict(fields(of_workflows(KNOWN)))["Entry.on"]["anyOf"][0]["enum"]
    assert {"booking.confirmed", "segment.entered", "date", "schedule", "manual", "api"} <= set(on)
    assert "booking-confirmation" in dict(fields(of_workflows(KNOWN)))["Send.send"]["enum"]


def test_the_page_in_the_docs_is_the_one_made_from_the_models() -> None:
    """Where this fails: flask workflows reference > docs/language.md."""
    assert (ROOT / "docs" / "language.md").read_text(encoding="utf-8") == page()


def test_the_page_names_every_key_of_every_block_and_what_is_still_to_come() -> None:
    text = page()
    for name, _ in fields(of_workflows()):
        assert f"| `{name.rpartition('.')[2]}` |" in text or name.endswith(".id"), name
    assert all(f"`{kind}`" in text for kind in (*STEPS, *LATER))
    assert "| `holdout` | text or whole number" not in text


def test_links_of_the_page_lead_somewhere() -> None:
    text = page()
    headings = [line.lstrip("# ").lower() for line in text.splitlines() if line.startswith("#")]
    anchors = {"".join(x for x in title.replace(" ", "-") if x.isalnum() or x in "-_") for title in headings}
    linked = {part.split(")")[0] for part in text.split("](#")[1:]}
    assert linked - anchors == set()


def test_the_commands_print_both() -> None:
    runner = CliRunner()
    printed = runner.invoke(group, ["schema", "--templates", str(ROOT / "email_templates")])
    assert json.loads(printed.output)["$schema"].endswith("2020-12/schema")
    assert json.loads(runner.invoke(group, ["schema", "--stories"]).output)["type"] == "array"
    assert runner.invoke(group, ["reference"]).output == page()


def test_a_workflow_is_what_the_schema_describes() -> None:
    assert set(of_workflows()["required"]) == {
        field.alias or name for name, field in Workflow.model_fields.items() if field.is_required()
    }
