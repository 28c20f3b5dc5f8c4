"""Nobody passes who was not let in: every route says who may, and workspaces are walls."""

from __future__ import annotations

import pytest
from werkzeug.routing import Rule

from app.accounts.models import User
from app.contacts.models import Contact
from app.doors import anyone, guards_of
from app.messages.models import Message
from tests.studio.stage import ANALYST, HERE, STRANGER, Stage, token

PUBLIC = {
    "studio.static", "studio.favicon", "studio.sign_in", "studio.signing_in", "studio.sign_out", "studio.preferences",
}  # fmt: skip


def test_every_route_of_the_house_says_who_may_pass(stage: Stage) -> None:
    silent = [
        rule.endpoint
        for rule in stage.app.url_map.iter_rules()
        if guards_of(stage.app.view_functions[rule.endpoint]) is None
    ]
    assert silent == []


def test_only_the_door_itself_is_open_to_anyone(stage: Stage) -> None:
    open_ = {
        rule.endpoint
        for rule in stage.app.url_map.iter_rules()
        if rule.endpoint.startswith("studio.") and anyone in (guards_of(stage.app.view_functions[rule.endpoint]) or ())
    }
    assert open_ == PUBLIC


def _addresses(stage: Stage, method: str) -> list[str]:
    def filled(rule: Rule) -> str:
        values = {name: 1 if "int" in type(c).__name__.lower() else "x" for name, c in rule._converters.items()}
        return str(rule.build(values | {"workspace": "riva-serena"}, append_unknown=False)[1])  # type: ignore[index]

    rules = [
        rule
        for rule in stage.app.url_map.iter_rules()
        if "workspace" in rule.arguments and method in (rule.methods or ())
    ]
    return [filled(rule) for rule in rules]


def test_a_stranger_is_shown_the_door_on_every_page(stage: Stage) -> None:
    client = stage.app.test_client()
    for address in _addresses(stage, "GET"):
        answer = client.get(address)
        assert (answer.status_code, (answer.location or "").split("?")[0]) == (303, "/sign-in"), address


def test_for_people_of_another_workspace_nothing_of_this_one_exists(stage: Stage) -> None:
    client = stage.signed_in(STRANGER)
    for address in _addresses(stage, "GET"):
        assert client.get(address).status_code == 404, address
    held = token(client, "/w/elsewhere/settings/sources")
    for address in _addresses(stage, "POST"):
        assert client.post(address, data={"csrf_token": held}).status_code == 404, address


def test_a_number_of_another_workspace_finds_nothing_in_ones_own(stage: Stage) -> None:
    client = stage.signed_in(STRANGER)
    message, contact = stage.ids(Message)[0], stage.ids(Contact)[0]
    assert "secret@elsewhere.example" in client.get("/w/elsewhere/audience/contacts").text
    for address in (
        f"messages/{message}", f"messages/{message}/mail", f"audience/contacts/{contact}", "messages/outbox/1",
        "consent/lines/1",
        "workflows/pre-arrival", "templates/booking-confirmation",
    ):  # fmt: skip
        assert client.get(f"/w/elsewhere/{address}").status_code == 404, address
    for address in ("messages", "audience/contacts", "consent", "workflows", "templates", "messages/outbox", ""):
        text = client.get(f"/w/elsewhere/{address}").text
        assert "giulia" not in text.lower(), address
        assert "RS-1" not in text, address


@pytest.mark.parametrize(
    "address", ["settings", "settings/sources", "workflows/pre-arrival/pause", "settings/keys/1/revoke"]
)
def test_an_analyst_looks_and_changes_nothing(stage: Stage, address: str) -> None:
    client = stage.signed_in(ANALYST)
    assert client.get(f"{HERE}/workflows/pre-arrival").status_code == 200
    held = token(client, f"{HERE}/settings/sources")
    answer = client.post(f"{HERE}/{address}", data={"csrf_token": held})
    assert answer.status_code == 403
    assert "not for your role" in answer.text


def test_what_a_role_cannot_do_is_not_offered(stage: Stage) -> None:
    client = stage.signed_in(ANALYST)
    assert "Pause" not in client.get(f"{HERE}/workflows/pre-arrival").text
    assert "Save the property" not in client.get(f"{HERE}/settings").text
    assert "Make a key" not in client.get(f"{HERE}/settings/sources").text


def test_somebody_without_a_workspace_gets_in_nowhere(stage: Stage) -> None:
    with stage.house.database.system() as session:
        person = User(email="x@y.example", active=True, fs_uniquifier="mark", created_at=stage.clock.now())
        session.add(person)
    client = stage.app.test_client()
    with client.session_transaction() as session_:
        session_["person"] = "mark"
    assert client.get("/").status_code == 403
    assert client.get(f"{HERE}/").status_code == 404
