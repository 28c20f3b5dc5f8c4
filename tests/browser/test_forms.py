"""Sign-up forms in Chromium: right for eyes and tools, with and without scripts, and pasted into another site."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from apiflask import APIFlask
from flask import Response
from playwright.sync_api import Page
from sqlalchemy import select

from app.signup import document as documents
from app.signup import forms
from app.signup.document import PURPOSES
from app.signup.models import SignupForm, Submission
from tests.conftest import Watch
from tests.studio.stage import HERE, Stage

pytestmark = pytest.mark.browser


@pytest.fixture
def form(stage: Stage) -> SignupForm:
    """The hotel's live form; Redis has counted nothing yet."""
    stage.house.redis.flushall()
    with stage.work() as session:
        live: SignupForm = session.scalars(select(SignupForm).where(SignupForm.state == "live")).one()
        return live


@pytest.fixture
def wide(stage: Stage, form: SignupForm) -> Iterator[SignupForm]:
    """The form asks for everything that a form can ask for, for a while."""
    with stage.work() as session:
        row = session.get_one(SignupForm, (form.workspace_id, form.id))
        document = documents.read(row.draft)
        forms.save(row, replace(document, purposes=PURPOSES, age=True), stage.house.clock.now())
        forms.publish(session, row, "Marta", stage.house.clock.now())
    yield form
    with stage.work() as session:
        row = session.get_one(SignupForm, (form.workspace_id, form.id))
        row.draft, row.version = form.draft, form.version


def newest(stage: Stage) -> Submission:
    """What came in last."""
    with stage.work() as session:
        last: Submission = session.scalars(select(Submission).order_by(Submission.id.desc()).limit(1)).one()
        return last


def fill(page: Page, address: str) -> None:
    """Fill the form by hand, yes to offers, and send it."""
    page.fill("input[name=email]", address)
    page.check("input[name=newsletter][value=yes]")
    page.check("input[name=topic][value=offers]")
    page.check("input[name=notice]")
    page.click("form button")
    page.wait_for_url("**/thanks?*")


@contextmanager
def allowed(stage: Stage, form: SignupForm, site: str) -> Iterator[None]:
    """The form may be used on a site, for a while."""
    with stage.work() as session:
        session.get_one(SignupForm, (form.workspace_id, form.id)).origins = [site]
    yield
    with stage.work() as session:
        session.get_one(SignupForm, (form.workspace_id, form.id)).origins = form.origins


@pytest.mark.parametrize("width", [360, 1440])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_on_a_form(
    wide: SignupForm, address: str, new_page: Callable[..., Page], axe: str, watch: Watch, width: int, scheme: str
) -> None:
    watch.allow(r"422")
    page = new_page(
        viewport={"width": width, "height": 800}, color_scheme=scheme, bypass_csp=True, java_script_enabled=True
    )
    base = f"{address}/f/{wide.public_id}"
    found = []
    for language in ("en", "it"):
        for step in ("empty", "wrong", "thanks"):
            page.goto(f"{base}/thanks?lang={language}" if step == "thanks" else f"{base}?lang={language}")
            if step == "wrong":
                page.evaluate("document.querySelector('form').submit()")
                page.wait_for_selector(".wrong")
            page.evaluate(axe)
            told = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
            found += [(step, one["id"], one["nodes"][0]["html"]) for one in told["violations"]]
            if page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"):
                found.append((step, "too wide", str(width)))
    assert found == []


def test_with_scripts_the_browser_does_the_work(stage: Stage, form: SignupForm, address: str, page: Page) -> None:
    page.goto(f"{address}/f/{form.public_id}?lang=en")
    fill(page, "scripted@example.com")
    row = newest(stage)
    assert (row.address, row.topics, row.given["effort"]) == ("scripted@example.com", ["offers"], "work")


def test_without_scripts_it_is_sent_all_the_same(
    stage: Stage, form: SignupForm, address: str, new_page: Callable[..., Page]
) -> None:
    page = new_page(java_script_enabled=False)
    page.goto(f"{address}/f/{form.public_id}?lang=it")
    fill(page, "plain@example.com")
    assert page.locator("h1").inner_text() == "Grazie"
    row = newest(stage)
    assert (row.address, row.given["effort"], row.language) == ("plain@example.com", "none", "it")


def test_r12_with_the_keyboard_alone_a_parent_says_yes_for_a_child(
    stage: Stage, wide: SignupForm, address: str, new_page: Callable[..., Page], watch: Watch
) -> None:
    watch.allow(r"422")
    page = new_page(java_script_enabled=False, viewport={"width": 390, "height": 844})
    page.goto(f"{address}/f/{wide.public_id}?lang=it")

    def press(name: str, *keys: str) -> None:
        for _ in range(30):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.name") == name:
                break
        for key in keys:
            page.keyboard.press(key)

    press("email")
    page.keyboard.type("parent@example.com")
    press("newsletter", "Space")
    press("topic", "Space")
    press("purpose", "Space")
    press("age", "ArrowDown")
    press("notice", "Space", "Enter")
    page.wait_for_selector("[name=guardian][aria-invalid=true]")
    press("guardian")
    page.keyboard.type("Bruno Bianchi")
    page.keyboard.press("Enter")
    page.wait_for_url("**/thanks?*")
    row = newest(stage)
    assert (row.address, row.wants, row.given["guardian"]) == ("parent@example.com", True, "Bruno Bianchi")
    assert row.purposes == ["profiling"], "the first box, and no other"


def test_pasted_into_another_site_it_works_there(
    stage: Stage, form: SignupForm, address: str, new_page: Callable[..., Page], serve: Callable[[APIFlask], str]
) -> None:
    marta = stage.signed_in()
    code = marta.get(f"{HERE}/consent/forms/{form.id}/use?code=en").text.partition('id="use-plain">')[2]
    pasted = code.partition("</code>")[0].replace("&lt;", "<").replace("&gt;", ">").replace("&#34;", '"')
    pasted = pasted.replace("&#39;", "'").replace("&amp;", "&").replace(stage.house.settings.base_url, address)
    other = APIFlask("other", enable_openapi=False)

    @other.get("/")
    def front() -> Response:
        return Response(f'<!doctype html><html lang="en"><title>Lake news</title><body>{pasted}</body></html>')

    @other.get("/favicon.ico")
    def icon() -> Response:
        return Response(status=204)

    site = serve(other)
    with allowed(stage, form, site):
        page = new_page()
        page.goto(site)
        fill(page, "elsewhere@example.com")
    row = newest(stage)
    assert (row.address, row.given["effort"]) == ("elsewhere@example.com", "work")


def test_framed_it_works_on_its_own_sites_and_on_no_other(
    stage: Stage, form: SignupForm, address: str, new_page: Callable[..., Page], serve: Callable[[APIFlask], str]
) -> None:
    other = APIFlask("other", enable_openapi=False)

    @other.get("/")
    def front() -> Response:
        frame = f'<iframe src="{address}/f/{form.public_id}?lang=en&amp;embed=1" title="Sign up" width="600"></iframe>'
        return Response(f'<!doctype html><html lang="en"><title>Lake news</title><body>{frame}</body></html>')

    @other.get("/favicon.ico")
    def icon() -> Response:
        return Response(status=204)

    site = serve(other)
    with allowed(stage, form, site):
        page = new_page()
        page.goto(site)
        frame = page.frame_locator("iframe")
        frame.locator("input[name=email]").fill("framed@example.com")
        frame.locator("input[name=newsletter][value=no]").check()
        frame.locator("input[name=notice]").check()
        frame.locator("form button").click()
        frame.locator("h1", has_text="Thank you").wait_for()
    row = newest(stage)
    assert (row.address, row.wants) == ("framed@example.com", False)
    answer = stage.app.test_client().get(f"/f/{form.public_id}?embed=1")
    assert "frame-ancestors https://rivaserena.example" in answer.headers["Content-Security-Policy"]
