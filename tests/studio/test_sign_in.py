"""The door: who gets in, how often one may try, where one lands."""

from __future__ import annotations

from sqlalchemy import select

from app.accounts.models import User
from app.accounts.sign_in import end_sessions
from tests.studio.stage import HERE, OWNER, PASSWORD, Stage, token


def test_a_wrong_password_keeps_the_address_typed_and_says_one_thing_for_all(stage: Stage) -> None:
    client = stage.app.test_client()
    answers = []
    for email in (OWNER, "nobody@riva.example"):
        given = {"csrf_token": token(client, "/sign-in"), "email": email, "password": "wrong wrong wrong"}
        answer = client.post("/sign-in", data=given)
        assert answer.status_code == 422
        assert email in answer.text
        answers.append("do not go together" in answer.text)
    assert answers == [True, True]


def test_signing_in_leads_to_where_one_was_going(stage: Stage) -> None:
    client = stage.app.test_client()
    asked = client.get(f"{HERE}/messages?state=refused")
    assert asked.status_code == 303
    door = asked.location
    form = {"csrf_token": token(client, door), "email": OWNER.upper(), "password": PASSWORD}
    answer = client.post("/sign-in", data={**form, "next": f"{HERE}/messages?state=refused"})
    assert answer.location == f"{HERE}/messages?state=refused"
    assert client.get(answer.location).status_code == 200


def test_next_never_leads_elsewhere(stage: Stage) -> None:
    for target in ("https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)"):
        client = stage.app.test_client()
        form = {"csrf_token": token(client, "/sign-in"), "email": OWNER, "password": PASSWORD, "next": target}
        assert client.post("/sign-in", data=form).location == "/"


def test_a_form_without_its_token_changes_nothing(stage: Stage, owner: object) -> None:
    client = stage.signed_in()
    answer = client.post(f"{HERE}/workflows/pre-arrival/pause")
    assert answer.status_code == 400
    assert "Nothing was changed" in answer.text
    assert "Pause" in client.get(f"{HERE}/workflows/pre-arrival").text


def test_signing_out_ends_it(stage: Stage) -> None:
    client = stage.signed_in()
    client.post("/sign-out", data={"csrf_token": token(client, f"{HERE}/settings")})
    assert client.get(f"{HERE}/").status_code == 303


def test_a_session_ended_from_elsewhere_is_over(stage: Stage) -> None:
    client = stage.signed_in()
    with stage.house.database.system() as session:
        end_sessions(session, session.scalars(select(User.id).where(User.email == OWNER)).one())
    assert client.get(f"{HERE}/").status_code == 303


def test_who_is_no_longer_active_cannot_sign_in(stage: Stage) -> None:
    with stage.house.database.system() as session:
        session.scalars(select(User).where(User.email == OWNER)).one().active = False
    client = stage.app.test_client()
    form = {"csrf_token": token(client, "/sign-in"), "email": OWNER, "password": PASSWORD}
    assert client.post("/sign-in", data=form).status_code == 422


def test_after_ten_failures_an_address_must_wait_and_success_is_not_counted(stage: Stage) -> None:
    client = stage.app.test_client()
    for _ in range(12):
        stage.signed_in()
    form = {"csrf_token": token(client, "/sign-in"), "email": OWNER, "password": "wrong wrong wrong"}
    assert [client.post("/sign-in", data=form).status_code for _ in range(11)] == [422] * 10 + [429]
    refused = client.post("/sign-in", data=form)
    assert int(refused.headers["Retry-After"]) > 0
    assert "Too many tries" in refused.text


def test_passwords_are_kept_as_argon2id(stage: Stage) -> None:
    with stage.house.database.system() as session:
        kept = session.scalars(select(User.password).where(User.email == OWNER)).one()
    assert kept is not None
    assert kept.startswith("$argon2id$v=19$m=65536,t=3,p=4$")


def test_an_htmx_request_of_somebody_signed_out_goes_to_the_door_whole(stage: Stage) -> None:
    answer = stage.app.test_client().get(f"{HERE}/", headers={"HX-Request": "true"})
    assert answer.status_code == 401
    assert answer.headers["HX-Redirect"].startswith("/sign-in")


def test_the_door_speaks_the_language_chosen_there_and_keeps_it(stage: Stage) -> None:
    client = stage.app.test_client()
    client.post("/preferences", data={"csrf_token": token(client, "/sign-in"), "language": "it"})
    assert "Accedi" in client.get("/sign-in").text
    assert "Percorsi" in stage.signed_in(language="it").get(f"{HERE}/").text
