"""Sign-up forms in the studio: made, changed, published, used, and the desk (R4-R6)."""

from __future__ import annotations

import re

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from app.signup.models import SignupForm, SignupFormVersion, Submission
from tests.studio.stage import HERE, Stage, token

FORMS = f"{HERE}/consent/forms"


def post(client: FlaskClient, path: str, data: dict[str, object] | None = None) -> TestResponse:
    """Send a form with its token."""
    return client.post(path, data={**(data or {}), "csrf_token": token(client, f"{HERE}/consent/new-form")})


@pytest.fixture
def made(owner: FlaskClient) -> str:
    """The address of a new form, nothing of it published."""
    answer = post(owner, f"{HERE}/consent/new-form", data={"name": "Lobby"})
    assert answer.status_code == 303
    return str(answer.location)


def filled(owner: FlaskClient, made: str, **changes: str) -> dict[str, object]:
    """The fields as they stand, with some of them changed."""
    text = owner.get(made).text
    given: dict[str, object] = dict(
        re.findall(r'<input class="form-control" id="[\w-]+" name="([\w-]+)" value="([^"]*)"', text)
    )
    given |= dict(re.findall(r'<textarea[^>]* name="([\w-]+)"[^>]*>([^<]*)</textarea>', text))
    given |= {"topic": re.findall(r'name="topic" value="([\w-]+)" checked', text)}
    plain = {name: one.replace("&#39;", "'") if isinstance(one, str) else one for name, one in given.items()}
    return plain | {"notice_version": "2026-11"} | changes


def published(owner: FlaskClient, made: str) -> str:
    """Publish it; what its public address ends in."""
    answer = post(owner, made, data=filled(owner, made) | {"act": "publish"})
    assert answer.status_code == 303, answer.text
    found = re.search(r"/f/([a-z0-9]{12})<", owner.get(answer.location).text)
    assert found is not None
    return found[1]


def test_a_new_form_begins_with_words_in_both_languages_and_is_seen_by_nobody(owner: FlaskClient, made: str) -> None:
    page = owner.get(made).text
    assert "No grazie, non voglio ricevere la newsletter." in page
    assert "No thank you, I do not want the newsletter." in page
    address = re.search(r'src="(/f/[a-z0-9]+)/draft/', page)
    assert address is not None
    assert owner.get(address[1]).status_code == 404


def test_the_picture_beside_the_words_shows_the_draft(owner: FlaskClient, made: str) -> None:
    post(owner, made, data=filled(owner, made, **{"title-en": "Letters from the lake"}))
    frame = re.search(r'<iframe src="(/f/[^"?]+)', owner.get(made).text)
    assert frame is not None
    seen = owner.get(frame[1] + "?lang=en")
    assert (seen.status_code, "Letters from the lake" in seen.text) == (200, True)
    assert "frame-ancestors 'self'" in seen.headers["Content-Security-Policy"]
    assert owner.get(frame[1][:-3] + "abc").status_code == 404, "a mark that was guessed shows nothing"


def test_r3_r4_a_form_asks_for_further_purposes_in_words_of_its_own_and_shows_them_unticked(
    owner: FlaskClient, made: str
) -> None:
    more: dict[str, object] = {"purpose": ["profiling", "feedback"], "age": "yes", "act": "publish"}
    answer = post(owner, made, data=filled(owner, made, **{"profiling-it": "Sì, conoscetemi."}) | more)
    assert answer.status_code == 303, answer.text
    found = re.search(r"/f/([a-z0-9]{12})<", owner.get(answer.location).text)
    assert found is not None
    page = owner.get(f"/f/{found[1]}?lang=it").text
    boxes = re.findall(r'<input type="checkbox" name="purpose" value="(\w+)"([^>]*)>', page)
    assert boxes == [("profiling", ""), ("feedback", "")], "one each, none ticked, none needed"
    assert "Sì, conoscetemi." in page
    assert re.findall(r'<input type="radio" name="age" value="(\w+)"([^>]*)>', page) == [("of_age", ""), ("child", "")]
    assert not re.search(r'name="[^"]*(birth|nascita)', page), "no birth date is asked for (R12)"
    assert "Sì, conoscetemi." in owner.get(f"{made}/versions").text, "kept for good, as the ledger names it"
    empty: dict[str, object] = {"purpose": ["profiling"], "act": "publish"}
    refused = post(owner, made, data=filled(owner, made, **{"profiling-it": ""}) | empty)
    assert (refused.status_code, 'id="wrong-profiling-it"' in refused.text) == (422, True)


def test_r5_published_words_are_kept_and_others_get_a_number_of_their_own(
    stage: Stage, owner: FlaskClient, made: str
) -> None:
    published(owner, made)
    published(owner, made)
    post(owner, made, data=filled(owner, made, **{"yes-en": "Yes please."}) | {"act": "publish"})
    with stage.work() as session:
        form = session.scalars(select(SignupForm).order_by(SignupForm.id.desc())).first()
        assert form is not None
        rows = session.scalars(select(SignupFormVersion).where(SignupFormVersion.form_id == form.id)).all()
        assert sorted((one.number, one.document["yes"]["en"]) for one in rows) == [
            (1, "Yes, I would like to receive the newsletter."),
            (2, "Yes please."),
        ]
    assert "Yes please." in owner.get(made + "/versions").text


def test_r4_a_form_without_a_no_is_not_published(stage: Stage, owner: FlaskClient, made: str) -> None:
    answer = post(owner, made, data=filled(owner, made, **{"no-it": ""}) | {"act": "publish"})
    assert answer.status_code == 422
    assert 'id="wrong-no-it"' in answer.text
    with stage.work() as session:
        form = session.scalars(select(SignupForm).order_by(SignupForm.id.desc())).first()
        assert form is not None
        assert (form.state, form.version) == ("draft", None)


def test_the_code_for_another_site_is_the_form_itself(owner: FlaskClient, made: str) -> None:
    public = published(owner, made)
    page = owner.get(made + "/use?code=it").text.replace("&lt;", "<").replace("&gt;", ">").replace("&#34;", '"')
    assert re.search(rf'action="http[^"]+/f/{public}\?lang=it"', page)
    assert '<input type="hidden" name="version" value="1">' in page
    assert f"/f/{public}?lang=it&amp;amp;embed=1" in page
    assert "No grazie, non voglio ricevere la newsletter." in page
    assert 'style="position:absolute;left:-99rem"' in page, "the trap is unseen where our style is not"


def test_sites_are_kept_in_one_form_and_wrong_ones_told(stage: Stage, owner: FlaskClient, made: str) -> None:
    published(owner, made)
    wrong = post(owner, made + "/use", data={"origins": "example.com\nhttps://ok.example"})
    assert (wrong.status_code, 'id="wrong-origins"' in wrong.text) == (422, True)
    assert (
        post(owner, made + "/use", data={"origins": "https://WWW.Example.com/\nhttps://www.example.com"}).status_code
        == 303
    )
    with stage.work() as session:
        form = session.scalars(select(SignupForm).order_by(SignupForm.id.desc())).first()
        assert form is not None
        assert form.origins == ["https://www.example.com"]


def test_closing_is_undone_from_the_toast(owner: FlaskClient, made: str) -> None:
    public = published(owner, made)
    page = owner.get(post(owner, made + "/close").location).text
    assert owner.get(f"/f/{public}").status_code == 410
    assert made + "/reopen" in page
    post(owner, made + "/reopen")
    assert owner.get(f"/f/{public}").status_code == 200


def test_r6_the_desk_keeps_who_typed_and_where_the_sheet_lies(stage: Stage, owner: FlaskClient, made: str) -> None:
    published(owner, made)
    given: dict[str, object] = {"email": "ada@example.com", "language": "it", "newsletter": "yes", "notice": "yes"}
    given["method"] = "paper"
    wrong = post(owner, made + "/desk", data=given)
    assert (wrong.status_code, 'id="wrong-scan_id"' in wrong.text) == (422, True)
    assert post(owner, made + "/desk", data=given | {"scan_id": "sheet-12"}).status_code == 303
    with stage.work() as session:
        row = session.scalars(select(Submission).order_by(Submission.id.desc())).first()
        assert row is not None
        assert (row.method, row.given["scan_id"], row.given["operator_id"] > 0) == ("paper", "sheet-12", True)


@pytest.mark.parametrize("path", ["", "/1", "/1/use", "/1/versions"])
def test_an_analyst_looks_and_changes_nothing(stage: Stage, owner: FlaskClient, made: str, path: str) -> None:
    published(owner, made)
    number = made.rpartition("/")[2]
    analyst = stage.signed_in("analyst@riva.example")
    address = FORMS + path.replace("/1", f"/{number}", 1)
    page = analyst.get(address)
    assert page.status_code == 200
    assert '<button class="btn btn-primary"' not in page.text
    assert analyst.post(f"{FORMS}/{number}", data={}).status_code in {400, 403}
