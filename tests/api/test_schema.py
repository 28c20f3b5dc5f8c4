"""The API does what its description says, and nothing that is sent to it makes it fail."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from apiflask import APIFlask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, strategies
from hypothesis import settings as hypothesis_settings
from schemathesis import GenerationMode

from app.api import forms as forms_door
from app.api.offering import blueprint
from app.api.operations import OPERATIONS
from app.api.problems import KINDS as PROBLEMS
from app.clock import FixedClock
from app.config import Settings
from app.consent.models import Topic
from app.db import Database
from app.enrollments import catalogue
from app.events.catalogue import KINDS
from app.events.sources import SCOPES
from app.signup import forms
from app.signup.document import Document
from app.web import create_app
from tests.api.conftest import Door, open_door
from tests.events.feed import NOW, event, stay
from tests.factories import Factory

ROOT = Path(__file__).resolve().parents[2]


FORM = "k7m2p9x4w3ta"
WIN_BACK = """
workflow: win-back
name: { en: Win back, it: Riconquista }
phase: advocacy
class: transactional
entry:
  - on: api
reenter: always
steps:
  - id: call
    task: { to: front_desk, text: { en: Call the guest, it: Chiamare l'ospite } }
"""


@pytest.fixture
def open_app(settings: Settings, clock: FixedClock, db: Database) -> APIFlask:
    """The application without a rate that the test would run into."""
    return create_app(replace(settings, event_rate=1_000_000), clock=clock, database=db)


@pytest.fixture
def visitor(open_app: APIFlask, db: Database, workspace_id: int, clock: FixedClock) -> Door:
    """A source with every scope, of a workspace where something is to be found."""
    door = open_door(open_app.test_client(), db, workspace_id, clock)
    door.report(stay("e-1", "confirmed", reference="LAGO-2381", contact={"external_id": "guest-1093"}))
    with db.work(workspace_id) as session:
        catalogue.publish(session, WIN_BACK, by="test", now=clock.now())
        make = Factory(session, clock)
        make.add(Topic, name="newsletter", title={"en": "News"}, description={}, position=1)
        document = Document(topics=("newsletter",), notice_version="1")
        form = forms.create(session, "Newsletter", make.property().id, document, "test", clock.now())
        form.public_id = FORM
        forms.publish(session, form, "test", clock.now())
    return door


@pytest.fixture
def api(open_app: APIFlask, visitor: Door) -> Any:
    """The description as schemathesis reads it, over the real route."""
    # What fits the description may still be refused for what it says (nobody is named, a cursor is made up): by 422.
    accepted = {"positive_data_acceptance": {"expected-statuses": ["2xx", 401, 403, 404, 422]}}
    config = schemathesis.Config.from_dict({"checks": accepted})
    return schemathesis.openapi.from_wsgi("/api/v1/openapi.json", open_app, config=config)


@pytest.mark.parametrize("label", [f"{one.method.upper()} /api/v1{one.path}" for one in OPERATIONS])
def test_nothing_makes_it_fail_or_answer_what_it_does_not_say(api: Any, visitor: Door, label: str) -> None:
    (operation,) = [one.ok() for one in api.get_all_operations() if one.ok().label == label]

    @hypothesis_settings(
        max_examples=40, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck), database=None
    )
    @given(case=strategies.one_of(*(operation.as_strategy(generation_mode=mode) for mode in GenerationMode)))
    def run(case: Any) -> None:
        case.call_and_validate(headers={"Authorization": f"Bearer {visitor.key}"})

    run()


def test_every_route_is_described_and_every_description_has_its_route(open_app: APIFlask) -> None:
    routes = {
        (method.lower(), re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule.removeprefix("/api/v1")))
        for rule in open_app.url_map.iter_rules()
        if rule.endpoint.startswith((f"{blueprint.name}.", f"{forms_door.blueprint.name}."))
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert routes == {(one.method, one.path) for one in OPERATIONS}


def test_the_examples_are_accepted(visitor: Door) -> None:
    for operation in OPERATIONS:
        if operation.body_example is None:
            continue
        path = operation.path.replace("{external_id}", "guest-1093").replace("{name}", "win-back")
        path = path.replace("{public_id}", FORM)
        example = {**operation.body_example}
        if "occurred_at" in example:
            example["occurred_at"] = NOW.isoformat()
        answer = visitor.ask(operation.method.upper(), path, json=example)
        assert answer.status_code == operation.status
        assert "warnings" not in json.dumps(answer.get_json().get("events", ""))


def test_every_event_of_the_catalogue_is_taken_as_its_example_says(visitor: Door) -> None:
    for kind in KINDS:
        if not kind.own:
            (verdict,) = visitor.report(event(f"example-{kind.name}", kind.name, data=dict(kind.example)))
            assert verdict == {"id": f"example-{kind.name}", "status": "accepted"}


def test_the_page_for_people_has_every_operation_event_and_problem_and_nothing_from_elsewhere(
    client: FlaskClient,
) -> None:
    page = client.get("/api/v1/docs").get_data(as_text=True)
    for anchor in (
        *(one.name for one in OPERATIONS),
        *(f"event-{kind.name}" for kind in KINDS),
        *(f"problem-{name}" for name in PROBLEMS),
    ):
        assert f'id="{anchor}"' in page
    assert re.findall(r"<(?:script|link|img)", page) == []


def test_the_written_docs_name_every_operation_scope_and_problem() -> None:
    text = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    for one in OPERATIONS:
        assert f"`{one.method.upper()} /api/v1{one.path}`" in text
    for name in (*SCOPES, *PROBLEMS):
        assert f"`{name}`" in text
