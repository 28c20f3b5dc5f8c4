"""Lists: narrowed by what their address says, paged by key, nothing twice and nothing missed."""

from __future__ import annotations

import re

from flask.testing import FlaskClient

from app.contacts.models import Contact
from app.messages.models import Message
from tests.studio.stage import HERE, Stage


def _messages(client: FlaskClient, query: str) -> list[int]:
    return [
        int(one)
        for one in re.findall(r'row-link" href="/w/[^/]+/messages/(\d+)', client.get(f"{HERE}/messages?{query}").text)
    ]


def test_each_filter_of_messages_keeps_what_it_names(stage: Stage, owner: FlaskClient) -> None:
    assert sorted(_messages(owner, "state=refused")) == stage.ids(Message, state="refused") != []
    assert sorted(_messages(owner, "class=marketing")) == stage.ids(Message, class_="marketing") != []
    assert sorted(_messages(owner, "reason=no_consent")) == stage.ids(Message, reason="no_consent") != []
    contact = stage.ids(Contact, external_id="giulia")[0]
    assert sorted(_messages(owner, f"contact={contact}")) == stage.ids(Message, contact_id=contact) != []
    assert sorted(_messages(owner, "q=giulia")) == stage.ids(Message, contact_id=contact)
    assert _messages(owner, "workflow=pre-arrival&state=accepted&class=feedback") == []


def test_filters_stay_as_chosen_and_nonsense_is_harmless(owner: FlaskClient) -> None:
    text = owner.get(f"{HERE}/messages?state=refused&q=%25%27%3B--&contact=x&before=zz&after=-1&property=nowhere").text
    assert '<option value="refused" selected>' in text
    assert "No message fits" in text


def test_pages_of_people_follow_each_other_without_gap_or_repeat(stage: Stage, owner: FlaskClient) -> None:
    with stage.work() as session:
        for number in range(120):
            session.add(
                Contact(
                    workspace_id=stage.workspace_id, email=f"p{number}@example.com", created_at=stage.clock.now(),
                    updated_at=stage.clock.now(),
                )
            )  # fmt: skip
    expected = list(reversed(stage.ids(Contact)))
    seen: list[int] = []
    address: str | None = f"{HERE}/audience/contacts"
    visited = []
    while address:
        visited.append(address)
        text = owner.get(address).text
        seen += [int(one) for one in re.findall(r'row-link" href="/w/[^/]+/audience/contacts/(\d+)"', text)]
        older = re.search(r'href="([^"]+before=\d+[^"]*)"', text)
        address = older[1].replace("&amp;", "&") if older else None
    assert seen == expected
    newer = re.search(r'href="([^"]+after=\d+[^"]*)"', owner.get(visited[-1]).text)
    assert newer
    back = owner.get(newer[1].replace("&amp;", "&")).text
    assert f'/audience/contacts/{expected[50]}"' in back


def test_contacts_are_found_by_any_of_their_names(owner: FlaskClient) -> None:
    for text in ("Giulia Rossi", "giulia@exam", "GIULIA", "giulia"):
        found = owner.get(f"{HERE}/audience/contacts", query_string={"q": text}).text
        assert "giulia@example.com" in found, text
        assert "henry@example.com" not in found, text


def test_the_palette_finds_pages_workflows_templates_and_people(owner: FlaskClient) -> None:
    asked = {"HX-Request": "true", "HX-Request-Type": "partial", "HX-Target": "div#hits"}
    for text, address in (
        ("ledger", "/consent"), ("pre-arr", "/workflows/pre-arrival"), ("conferma", "/templates/booking-confirmation"),
        ("henry", "/audience/contacts/"),
    ):  # fmt: skip
        part = owner.get(f"{HERE}/find?q={text}", headers=asked).text
        assert f'href="{HERE}{address}' in part, text
        assert "<html" not in part


def test_a_property_narrows_every_page_and_stays_in_its_links(stage: Stage, owner: FlaskClient) -> None:
    text = owner.get(f"{HERE}/messages?property=riva-serena").text
    assert f'href="{HERE}/workflows?property=riva-serena"' in text


def test_people_of_a_workflow_are_those_at_the_step_asked_for(owner: FlaskClient) -> None:
    text = owner.get(f"{HERE}/workflows/pre-arrival/people?step=week-before").text
    assert "Giulia Rossi" in text
    assert "Henry" not in text
    assert "Paolo" in owner.get(f"{HERE}/workflows/pre-arrival/people?status=exited").text
