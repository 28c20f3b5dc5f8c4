"""People's rights in the studio: a copy, erasure, restriction, and how long data stays."""

from __future__ import annotations

import io
import zipfile

from flask.testing import FlaskClient
from sqlalchemy import select

from app.accounts import settings as kept
from app.contacts import accesses
from app.contacts.models import Contact
from app.rights import requests
from tests.studio.stage import ANALYST, HERE, Stage
from tests.studio.test_consent import form, somebody


def person(stage: Stage, number: int) -> Contact:
    with stage.work() as session:
        found: Contact = session.scalars(select(Contact).where(Contact.id == number)).one()
        return found


def test_r50_a_copy_says_how_the_asker_was_known_and_who_made_it(stage: Stage, owner: FlaskClient) -> None:
    number = somebody(stage)
    page = f"/audience/contacts/{number}/data"
    assert owner.post(f"{HERE}{page}/export", data=form(owner, page)).status_code == 422
    answer = owner.post(f"{HERE}{page}/export", data=form(owner, page, identity="passport seen at the desk"))
    assert "anna.neri@example.com" in zipfile.ZipFile(io.BytesIO(answer.data)).read("data.json").decode()
    with stage.work() as session:
        (asked,) = requests.of(session, number)
        assert (asked.kind, asked.state, asked.identity) == ("export", "done", "passport seen at the desk")
        assert [one.what for one in accesses.of(session, number)] == ["export"]
    assert "passport seen at the desk" in owner.get(f"{HERE}{page}").text


def test_r51_erasing_needs_the_name_typed_and_stops_at_once(stage: Stage, owner: FlaskClient) -> None:
    number = somebody(stage)
    page = f"/audience/contacts/{number}/data"
    known = {"identity": "called back on the number we have"}
    assert owner.post(f"{HERE}{page}/erase", data=form(owner, page, name="anna", **known)).status_code == 422
    assert person(stage, number).email is not None
    assert owner.post(f"{HERE}{page}/erase", data=form(owner, page, name="Anna Neri", **known)).status_code == 303
    with stage.work() as session:
        assert requests.of(session, number)[0].state in {"confirmed", "done"}
    gone = person(stage, number)
    assert gone.erased_at is not None or gone.frozen_at is not None


def test_r52_the_use_is_restricted_and_that_is_undone(stage: Stage, owner: FlaskClient) -> None:
    number = somebody(stage)
    page = f"/audience/contacts/{number}/data"
    owner.post(f"{HERE}{page}/restrict", data=form(owner, page, frozen="yes"))
    assert person(stage, number).frozen_at is not None
    owner.post(f"{HERE}{page}/restrict", data=form(owner, page, frozen=""))
    assert person(stage, number).frozen_at is None
    with stage.work() as session:
        assert [one.what for one in accesses.of(session, number)] == ["restriction ended", "restricted"]


def test_r55_only_who_answers_for_the_data_may(stage: Stage) -> None:
    number = somebody(stage)
    analyst = stage.signed_in(ANALYST)
    assert analyst.get(f"{HERE}/audience/contacts/{number}/data").status_code == 403
    assert analyst.get(f"{HERE}/consent/requests").status_code == 403
    assert analyst.get(f"{HERE}/settings/retention").status_code == 200


def test_r53_periods_are_set_and_put_back(stage: Stage, owner: FlaskClient) -> None:
    page = "/settings/retention"
    given = {"marketing": "24", "purchases": "12", "tracks": "6", "mails": "6", "logs": "12"}
    assert owner.post(f"{HERE}{page}", data=form(owner, page, **{**given, "tracks": "40"})).status_code == 422
    owner.post(f"{HERE}{page}", data=form(owner, page, **given))
    with stage.work() as session:
        assert kept.read(session)["retention"]["mails"] == 6
    owner.post(f"{HERE}{page}/undo", data=form(owner, page, before="{}"))
    with stage.work() as session:
        assert "retention" not in kept.read(session)


def test_what_was_asked_stands_in_the_list(stage: Stage, owner: FlaskClient) -> None:
    number = somebody(stage)
    assert "Nobody has asked yet" in owner.get(f"{HERE}/consent/requests").text
    with stage.work() as session:
        requests.ask(session, number, "export", "it", stage.clock.now())
    page = owner.get(f"{HERE}/consent/requests").text
    assert "Anna Neri" in page
