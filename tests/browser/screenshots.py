"""Pictures of every page: `make screenshots`. Both widths, light and dark, English and Italian, into screenshots/.

    python -m tests.browser.screenshots [address email password]

Without an address it builds the stage of the studio's tests on servers of its own and ends them again.
"""

from __future__ import annotations

import logging
import shutil
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page, sync_playwright
from werkzeug.serving import make_server

from app.clock import DatabaseClock, FixedClock
from app.config import Settings
from app.house import House
from app.serve.postgres import CarriedPostgres
from app.serve.valkey import CarriedValkey
from app.web import create_app
from tests.conftest import CHROMIUM_ARGUMENTS, ROOT, START, migrate
from tests.studio.stage import NOW, OWNER, PASSWORD, build

FOLDER = ROOT / "screenshots"
WIDTHS = {1440: 900, 390: 844}
PAGES = {
    "home": "/",
    "find": "/find?q=pre",
    "workflows": "/workflows",
    "workflow-flow": "/workflows/pre-arrival",
    "workflow-yaml": "/workflows/pre-arrival/yaml",
    "workflow-people": "/workflows/pre-arrival/people?status=all",
    "workflow-versions": "/workflows/pre-arrival/versions",
    "workflow-results": "/workflows/abandoned-booking/results",
    "templates": "/templates",
    "template-preview": "/templates/booking-confirmation",
    "template-phone": "/templates/booking-confirmation?width=phone",
    "template-used-in": "/templates/booking-confirmation/used-in",
    "contacts": "/audience/contacts",
    "contact": "/audience/contacts/1",
    "messages": "/messages",
    "message-sent": "/messages/1",
    "message-refused": "/messages?state=refused",
    "outbox": "/messages/outbox",
    "outbox-mail": "/messages/outbox/1",
    "ledger": "/consent",
    "ledger-line": "/consent/lines/1",
    "suppressions": "/consent/suppressions",
    "settings": "/settings",
    "sources": "/settings/sources",
    "clock": "/settings/clock",
}
FIRST_ROW = {"message-refused"}
"""Pages whose picture is of what the first row leads to."""


@contextmanager
def staged() -> Iterator[tuple[str, str, str]]:
    """The stage of the tests, served: address, mail address, password."""
    folder = Path(tempfile.mkdtemp(prefix="percorso-pictures-"))
    folder.chmod(0o755)
    with CarriedPostgres(folder / "postgres", durable=False) as postgres, CarriedValkey(folder / "valkey") as valkey:
        url = postgres.url("percorso")
        migrate(url)
        clock = FixedClock(START)
        settings = Settings(
            database_url=url,
            redis_url=valkey.url,
            secret="pictures need a secret of 32 characters",
            base_url="http://localhost",
            smtp_url="capture:",
        )
        past = create_app(settings, clock=clock)
        build(past, clock)
        past.extensions["percorso"].close()
        app = create_app(settings)
        house: House = app.extensions["percorso"]
        assert isinstance(house.clock, DatabaseClock)
        house.clock.set(NOW, frozen=True)
        server = make_server("127.0.0.1", 0, app, threaded=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", OWNER, PASSWORD
        server.shutdown()
        house.close()
    shutil.rmtree(folder, ignore_errors=True)


def picture(page: Page, name: str, address: str, path: Path) -> bool:
    """One picture of a whole page; False where there is no such page here."""
    answer = page.goto(address)
    if answer is None or answer.status == 404:
        return False
    if name in FIRST_ROW and page.locator("a.row-link").count():
        page.locator("a.row-link").first.click()
    page.wait_for_load_state("networkidle")
    for frame in page.locator("iframe").all():
        frame.scroll_into_view_if_needed()  # thumbnails load when they are near
        page.wait_for_timeout(120)
    page.evaluate("scrollTo(0, 0)")
    path.parent.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=path, full_page=True)
    return True


def main(arguments: list[str]) -> int:
    """Take all pictures; prints where they are."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        sys.stderr.write("Pictures need Chromium: apt-get install chromium\n")
        return 1
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # a line a request would hide what matters
    shutil.rmtree(FOLDER, ignore_errors=True)
    taken = 0
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=CHROMIUM_ARGUMENTS)
        for address, email, password in [tuple(arguments)] if len(arguments) == 3 else _one(staged()):
            for language in ("en", "it"):
                for scheme in ("light", "dark"):
                    for width, height in WIDTHS.items():
                        context = browser.new_context(
                            viewport={"width": width, "height": height},
                            color_scheme=scheme,
                            locale=language,
                        )
                        page, folder = context.new_page(), FOLDER / f"{language}-{scheme}-{width}"
                        taken += picture(page, "sign-in", f"{address}/sign-in", folder / "sign-in.png")
                        page.fill("#email", email)
                        page.fill("#password", password)
                        page.keyboard.press("Enter")
                        page.wait_for_url("**/w/**")
                        home = page.url.rstrip("/")
                        for name, place in PAGES.items():
                            taken += picture(page, name, home + place, folder / f"{name}.png")
                        context.close()
        browser.close()
    print(f"{taken} pictures in {FOLDER}")
    return 0


def _one(stage: object) -> Iterator[tuple[str, str, str]]:
    with stage as served:  # type: ignore[attr-defined]
        yield served


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
