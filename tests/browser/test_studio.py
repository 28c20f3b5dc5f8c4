"""The studio in Chromium: every page at both widths and in both themes, by eye of axe, and by keyboard alone."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import pytest
from playwright.sync_api import Error, Page, Route, expect

from app.contacts.models import Contact
from app.delivery.models import CapturedMail
from app.messages.models import Message
from app.signup.models import SignupForm
from tests.conftest import Watch
from tests.studio.stage import Stage

pytestmark = pytest.mark.browser


def addresses(stage: Stage) -> list[str]:
    """One address of every page."""
    sent, refused = stage.ids(Message, state="accepted")[0], stage.ids(Message, state="refused")[0]
    form = stage.ids(SignupForm)[0]
    giulia, mail = stage.ids(Contact, external_id="giulia")[0], stage.ids(CapturedMail)[0]
    return [
        "/",
        "/find?q=pre",
        "/workflows",
        "/workflows/pre-arrival",
        "/workflows/pre-arrival/yaml",
        "/workflows/pre-arrival/people",
        "/workflows/pre-arrival/versions",
        "/workflows/pre-arrival/edit",
        "/workflows/pre-arrival/publish?version=1",
        "/workflows/pre-arrival/manage",
        "/templates",
        "/templates/booking-confirmation?paper=dark",
        "/templates/booking-confirmation/used-in",
        "/templates/booking-confirmation/versions",
        "/audience/contacts",
        "/audience/contacts?q=nobody-at-all",
        "/audience/imports",
        f"/audience/contacts/{giulia}",
        "/messages",
        f"/messages/{sent}",
        f"/messages/{refused}",
        "/messages/outbox",
        f"/messages/outbox/{mail}?view=phone",
        f"/messages/outbox/{mail}?view=source",
        "/consent",
        "/consent/lines/1",
        "/consent/suppressions",
        "/consent/topics",
        "/consent/forms",
        "/consent/new-form",
        *(f"/consent/forms/{form}{part}" for part in ("", "/use", "/desk", "/versions")),
        "/settings",
        "/settings/sources",
        "/settings/senders",
        "/settings/senders/domains/1",
        "/settings/senders/backlog",
        "/no-such-page",
    ]


@pytest.mark.parametrize("width", [1440, 390, 360])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_is_right_for_eyes_and_tools(
    stage: Stage,
    new_page: Callable[..., Page],
    enter: Callable[[Page], str],
    axe: str,
    watch: Watch,
    width: int,
    scheme: str,
) -> None:
    watch.allow(r"404")
    page = new_page(viewport={"width": width, "height": 900}, color_scheme=scheme, bypass_csp=True)
    home = enter(page)
    found = []
    for address in addresses(stage):
        page.goto(home + address)
        page.wait_for_load_state("networkidle")
        wider = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        if wider > 0:
            found.append(f"{address}: {wider} px too wide")
        if width == 360:
            continue
        page.evaluate(axe)
        told = page.evaluate("axe.run(document, {iframes: false, resultTypes: ['violations']})")
        for violation in told["violations"]:
            found += [
                f"{address}: {violation['id']} {node['html'][:160]} {node['failureSummary'][:200]}"
                for node in violation["nodes"]
            ]
    assert found == []


def test_the_sign_in_page_is_right_for_eyes_and_tools(new_page: Callable[..., Page], address: str, axe: str) -> None:
    for scheme in ("light", "dark"):
        page = new_page(color_scheme=scheme, bypass_csp=True)
        page.goto(f"{address}/sign-in")
        page.evaluate(axe)
        assert page.evaluate("axe.run(document).then(told => told.violations.map(one => one.id))") == []


def test_keys_search_list_shortcuts_find_and_close(page: Page, enter: Callable[[Page], str]) -> None:
    home = enter(page)
    page.goto(f"{home}/messages")
    page.keyboard.press("/")
    expect(page.locator("#q")).to_be_focused()
    page.locator("h1").click()
    page.keyboard.press("?")
    expect(page.locator("#shortcuts")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#shortcuts")).to_be_hidden()
    page.keyboard.press("Control+k")
    page.keyboard.type("giulia")
    option = page.locator("#palette [role=option]", has_text="Giulia Rossi")
    expect(option).to_have_attribute("aria-selected", "true")
    page.keyboard.press("Enter")
    page.wait_for_url("**/audience/contacts/*")
    page.keyboard.press("g")
    page.keyboard.press("w")
    page.wait_for_url("**/workflows")


def test_what_was_typed_last_is_what_is_found_however_slow_the_first_answer(
    page: Page, enter: Callable[[Page], str]
) -> None:
    home = enter(page)
    page.goto(f"{home}/messages")
    held: list[Route] = []

    def hold_all_but_the_last(route: Route) -> None:
        if route.request.url.endswith("q=giulia"):
            route.continue_()
        else:
            held.append(route)

    page.route("**/find*", hold_all_but_the_last)
    page.keyboard.press("Control+k")
    for letters in ("gi", "giul", "giulia"):
        page.locator("#palette input").fill(letters)
        page.wait_for_timeout(200)  # the palette asks 120 ms after the last letter
    option = page.locator("#palette [role=option]", has_text="Giulia Rossi")
    expect(option).to_have_attribute("aria-selected", "true")
    assert held, "the palette asks as it opens"
    for route in held:
        with suppress(Error):  # given up by the page long ago
            route.continue_()
    expect(option).to_have_attribute("aria-selected", "true")


def test_the_flow_can_be_walked_by_keyboard_alone(page: Page, enter: Callable[[Page], str]) -> None:
    home = enter(page)
    page.goto(f"{home}/workflows/pre-arrival")
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.keyboard.press("Enter")
    seen = []
    for _ in range(30):
        page.keyboard.press("Tab")
        seen.append(page.evaluate("document.activeElement.innerText.trim()"))
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid", seen[-1]
        if seen[-1].startswith("Send “Booking confirmation”"):
            break
    assert "Pause" in seen
    assert "People" in seen
    page.keyboard.press("Enter")
    page.wait_for_url("**/templates/booking-confirmation")


def test_messages_are_filtered_as_one_types_and_told_to_who_listens(page: Page, enter: Callable[[Page], str]) -> None:
    home = enter(page)
    page.goto(f"{home}/messages")
    page.keyboard.press("/")
    page.keyboard.type("henry", delay=120)  # at a person's pace: a page that was loaded this instant is still waking up
    page.wait_for_url("**/messages?*q=henry*")
    expect(page.locator("#rows tbody")).not_to_contain_text("Giulia")
    expect(page.locator("#live")).to_contain_text("message")
    page.locator("#state").select_option("refused")
    page.wait_for_url("**state=refused**")
    page.go_back()
    page.reload()
    expect(page.locator("#q")).to_have_value("henry")
    page.locator(".row-link").first.focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/messages/*")
    page.locator(".checks summary").first.focus()
    page.keyboard.press("Enter")
    expect(page.locator(".checks details[open] .inputs").first).to_be_visible()


def test_live_numbers_refresh_by_themselves(page: Page, enter: Callable[[Page], str]) -> None:
    home = enter(page)
    page.goto(f"{home}/workflows")
    with page.expect_response(lambda answer: answer.request.headers.get("hx-target", "").endswith("#figures")) as told:
        page.evaluate("document.querySelector('[data-poll]').dispatchEvent(new CustomEvent('poll'))")
    assert told.value.ok
    assert "<html" not in told.value.text()


def test_the_exact_instant_shows_on_focus(page: Page, enter: Callable[[Page], str], stage: Stage) -> None:
    home = enter(page)
    page.goto(f"{home}/messages/{stage.ids(Message, state='accepted')[0]}")
    moment = page.locator(".chain time").first
    moment.focus()
    shown = moment.evaluate("element => getComputedStyle(element, '::after').content")
    assert "Europe/Rome" in shown
    assert "UTC" in shown


def test_more_on_a_phone_opens_from_below_and_gives_the_focus_back(
    new_page: Callable[..., Page], enter: Callable[[Page], str]
) -> None:
    page = new_page(viewport={"width": 390, "height": 844})
    enter(page)
    more = page.get_by_role("button", name="More")
    more.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#more")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#more")).to_be_hidden()
    expect(more).to_be_focused()


def test_a_pause_is_undone_from_its_toast(page: Page, enter: Callable[[Page], str]) -> None:
    home = enter(page)
    page.goto(f"{home}/workflows/pre-arrival")
    page.get_by_role("button", name="Pause").click()
    expect(page.locator(".toast-line")).to_contain_text("is paused")
    page.get_by_role("button", name="Undo").click()
    expect(page.locator(".head .mark")).to_contain_text("Live")


def test_everything_important_works_without_scripts(
    new_page: Callable[..., Page], enter: Callable[[Page], str], watch: Watch
) -> None:
    watch.allow("422")  # what Chromium notes of a form that came back
    page = new_page(java_script_enabled=False)
    home = enter(page)
    page.goto(f"{home}/messages")
    page.fill("#q", "giulia")
    page.locator("#q").press("Enter")
    page.wait_for_url("**q=giulia**")
    page.goto(f"{home}/settings")
    page.fill("[id='f-sender_email']", "nonsense")
    page.get_by_role("button", name="Save the property").click()
    expect(page.locator("[id='wrong-sender_email']")).to_contain_text("no mail address")
    page.get_by_role("link", name="Find").click()
    page.wait_for_url("**/find**")
