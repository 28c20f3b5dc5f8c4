"""Settings: forms that keep what was typed, secrets that are shown once."""

from __future__ import annotations

import re

from flask.testing import FlaskClient
from sqlalchemy import select

from app.contacts.models import Property
from app.events.models import ApiKey
from app.studio.property_form import FIELDS
from tests.studio.stage import HERE, Stage, token, token_in


def _form(client: FlaskClient) -> dict[str, str]:
    text = client.get(f"{HERE}/settings").text
    given = {name: value for name, value in re.findall(r'name="([\w.]+)" value="([^"]*)"', text)}  # noqa: C416
    given["language"] = "it"
    return {name: value.replace("&#39;", "'") for name, value in given.items()}


def test_the_property_is_saved_whole_and_shown_again(stage: Stage, owner: FlaskClient) -> None:
    form = _form(owner) | {"name": "Albergo Nuovo", "links.website": "https://nuovo.example/", "currency": "chf"}
    answer = owner.post(f"{HERE}/settings", data=form)
    assert answer.status_code == 303
    assert "Saved." in owner.get(answer.location).text
    with stage.work() as session:
        saved = session.scalars(select(Property)).one()
        assert (saved.name, saved.links["website"], saved.currency) == (
            "Albergo Nuovo",
            "https://nuovo.example/",
            "CHF",
        )
        assert saved.links["booking"] == "https://rivaserena.example/prenota"
        assert saved.updated_at == stage.clock.now()


def test_what_is_wrong_stands_beside_its_field_and_nothing_typed_is_lost(stage: Stage, owner: FlaskClient) -> None:
    wrong = {
        "name": "", "sender_email": "not an address", "zone": "Europe/Atlantis", "checkin_from": "25:00",
        "currency": "EURO",
        "links.website": "ftp://x", "country": "Italy", "phone": "call me",
    }  # fmt: skip
    answer = owner.post(f"{HERE}/settings", data=_form(owner) | wrong | {"city": "Typed just now"})
    assert answer.status_code == 422
    for name, typed in wrong.items():
        assert f'id="wrong-{name}"' in answer.text
        assert f'aria-describedby="wrong-{name}"' in answer.text
        assert f'value="{typed}"' in answer.text
    assert 'value="Typed just now"' in answer.text
    with stage.work() as session:
        assert session.scalars(select(Property.city)).one() == "Stresa"


def test_every_field_of_the_form_is_on_the_page(owner: FlaskClient) -> None:
    text = owner.get(f"{HERE}/settings").text
    assert [field.place for field in FIELDS if f'name="{field.place}"' not in text] == []


def test_a_new_source_shows_its_key_once_and_the_key_works(stage: Stage, owner: FlaskClient) -> None:
    page = f"{HERE}/settings/sources"
    answer = owner.post(page, data={"csrf_token": token(owner, page), "name": "Spa desk"})
    key = re.search(r'<code id="secret">([^<]+)</code>', answer.text)
    assert key
    assert "spa-desk" in answer.text
    assert key[1] not in owner.get(page).text
    event = {
        "id": "1",
        "type": "page.viewed",
        "occurred_at": stage.clock.now().isoformat(),
        "contact": {"external_id": "a"},
    }
    told = stage.app.test_client().post("/api/v1/events", json=event, headers={"Authorization": f"Bearer {key[1]}"})
    assert told.status_code == 202


def test_a_source_needs_a_name_of_its_own(owner: FlaskClient) -> None:
    page = f"{HERE}/settings/sources"
    for given, said in (
        ({"name": ""}, "Give it a name"),
        ({"name": "X", "slug": "Not OK"}, "Use lower-case"),
        ({"name": "Y", "slug": "booking-engine"}, "Another source"),
    ):
        answer = owner.post(page, data={"csrf_token": token(owner, page)} | given)
        assert answer.status_code == 422
        assert said in answer.text


def test_a_key_is_revoked_only_when_its_first_letters_are_typed(stage: Stage, owner: FlaskClient) -> None:
    page = f"{HERE}/settings/sources"
    with stage.work() as session:
        key = session.scalars(select(ApiKey)).one()
    held = token(owner, page)
    refused = owner.post(f"{HERE}/settings/keys/{key.id}/revoke", data={"csrf_token": held, "confirm": "pk_live"})
    assert refused.status_code == 422
    assert f"Type {key.prefix} to revoke it" in refused.text
    done = owner.post(f"{HERE}/settings/keys/{key.id}/revoke", data={"csrf_token": held, "confirm": key.prefix})
    assert "is revoked" in owner.get(done.location).text
    with stage.work() as session:
        assert session.scalars(select(ApiKey.revoked_at)).one() == stage.clock.now()


def test_two_webhook_secrets_are_live_after_a_rotation(stage: Stage, owner: FlaskClient) -> None:
    page = f"{HERE}/settings/sources"
    answer = owner.post(f"{HERE}/settings/sources/1/secret", data={"csrf_token": token(owner, page)})
    assert "whsec_" in answer.text
    assert "goes on working for 24 hours" in answer.text
    assert answer.text.count("one made") == 2
    again = owner.post(f"{HERE}/settings/sources/1/secret", data={"csrf_token": token_in(answer)})
    assert again.text.count("one made") == 2


def test_a_key_may_do_what_was_ticked_and_no_more(stage: Stage, owner: FlaskClient) -> None:
    form = {
        "csrf_token": token(owner, f"{HERE}/settings/sources"),
        "label": "Reader",
        "scope": ["messages:read", "root"],
    }
    owner.post(f"{HERE}/settings/sources/1/keys", data=form)
    with stage.work() as session:
        assert session.scalars(select(ApiKey.scopes).where(ApiKey.label == "Reader")).one() == ["messages:read"]


def test_the_clock_of_an_installation_without_demo_is_not_offered(stage: Stage, owner: FlaskClient) -> None:
    assert "Demo clock" not in owner.get(f"{HERE}/").text
    assert owner.get(f"{HERE}/settings/clock").status_code == 404
    assert (
        owner.post(
            f"{HERE}/settings/clock", data={"csrf_token": token(owner, f"{HERE}/settings"), "hop": "day"}
        ).status_code
        == 404
    )


def test_language_and_look_stay_with_the_person(stage: Stage, owner: FlaskClient) -> None:
    form = {
        "csrf_token": token(owner, f"{HERE}/settings"),
        "theme": "dark",
        "language": "it",
        "next": f"{HERE}/settings",
    }
    assert owner.post("/preferences", data=form).location == f"{HERE}/settings"
    text = stage.signed_in(language="en").get(f"{HERE}/settings").text
    assert 'data-theme="dark"' in text
    assert 'lang="it"' in text
