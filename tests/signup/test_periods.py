"""R53: the periods in force stand behind every form, in the reader's language."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from app.accounts.models import Workspace
from app.db import workspace_of
from tests.signup.conftest import WAY

Work = Callable[[], AbstractContextManager[Session]]


def test_r53_a_form_leads_to_the_periods_in_force(site: FlaskClient, work: Work) -> None:
    assert f'href="{WAY}/periods?lang=it"' in site.get(WAY, headers={"Accept-Language": "it"}).text
    with work() as session:
        session.get_one(Workspace, workspace_of(session)).settings = {"retention": {"tracks": 3}}
    page = site.get(f"{WAY}/periods?lang=it")
    assert page.status_code == 200
    assert "Indirizzi IP e browser: 3 mesi" in page.text
    assert "Internet addresses and browsers: 3 months" in site.get(f"{WAY}/periods?lang=en").text
    assert "Set-Cookie" not in page.headers
    assert site.get("/f/nothing/periods").status_code == 404
