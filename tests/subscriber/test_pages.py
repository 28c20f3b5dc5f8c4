"""What every public page must be, the mail in a browser, and counted links."""

from __future__ import annotations

import re
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import pytest
from sqlalchemy import select, text

from app.delivery import hits
from app.delivery.engagement import SETTLES
from app.events.models import Event
from app.messages.links import PATHS
from app.rights import requests
from app.subscriber.pages import _style
from app.subscriber.texts import NAMES, SPOKEN, TABLES
from tests.messages.mailroom import SITE
from tests.subscriber.conftest import Reader


def pages(reader: Reader) -> dict[str, Any]:
    """Every page a person may meet."""
    undo = (reader.workspace_id, reader.message_id, 1)
    confirm = (reader.workspace_id, reader.contact_id, 1)
    found = {
        "leave": reader.get("unsubscribe"),
        "preferences": reader.get("preferences"),
        "untrack": reader.get("tracking"),
        "untracked": reader.post("tracking"),
        "undo": reader.get("undo", *undo),
        "confirm": reader.get("confirm", *confirm),
        "confirm_expired": reader.client.post(reader.path("confirm", reader.workspace_id, reader.contact_id, 99)),
        "bad": reader.client.get("/m/u/nonsense"),
        "left": reader.post("unsubscribe", {"leave": "topic"}),
        "thanks": reader.post("unsubscribe", {"reason": "other"}),
        "saved": reader.post("preferences", {"action": "save", "topic.newsletter": "on", "pace": "pause"}),
        "paused": reader.get("preferences"),
        "known": reader.client.get(f"{reader.path('preferences')}/data"),
        "right_asked": reader.client.post(f"{reader.path('preferences')}/data", data={"want": "export"}),
    }
    paths = {}
    with reader.work() as session:
        now = reader.clock.now()
        for kind in ("export", "erasure"):
            asked = requests.ask(session, reader.contact_id, kind, "it", now).request
            asked.message_pk = reader.message_id  # as if the mail with the link were this one
            session.flush()
            paths[kind] = reader.path("right", reader.workspace_id, reader.contact_id, asked.id)
    found |= {f"right_{kind}": reader.client.get(path) for kind, path in paths.items()}
    found["right_over"] = reader.get("right", reader.workspace_id, reader.contact_id, 4711)
    reader.reached_by_sms()
    found["channels"] = reader.get("preferences")
    found["undo_late"] = reader.client.post(reader.path("undo", *undo))
    return found


class Outline(HTMLParser):
    """What assistive technology needs of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.headings: list[int] = []
        self.attributes: dict[str, list[dict[str, str | None]]] = {}
        self.open: list[str] = []
        self.unlabelled = 0
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes.setdefault(tag, []).append(dict(attrs))
        if re.fullmatch(r"h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if tag == "input" and "label" not in self.open:
            self.unlabelled += 1
        if tag not in {"input", "meta", "br", "link", "img"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes something else"


def test_every_page_is_light_safe_and_readable_by_machines(reader: Reader) -> None:
    for name, answer in pages(reader).items():
        outline = Outline(answer.text)
        assert len(answer.data) < 50_000, name
        assert outline.tags.count("main") == outline.tags.count("h1") == outline.tags.count("title") == 1, name
        assert outline.headings == sorted(outline.headings), name
        assert outline.attributes["html"][0]["lang"] in {"it", "en"}, name
        assert outline.unlabelled == 0, name
        assert "script" not in outline.tags, name
        assert not re.search(r'\s(on\w+|style)="', answer.text), name
        assert outline.open == [], name
        assert all(legend for legend in re.findall(r"<legend>(.*?)</legend>", answer.text)), name


def test_every_page_keeps_its_token_to_itself_and_runs_nothing(reader: Reader) -> None:
    for name, answer in pages(reader).items():
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy, name
        assert "unsafe" not in policy, name
        assert answer.headers["Referrer-Policy"] == "no-referrer", name
        assert answer.headers["Cache-Control"] == "no-store", name
        assert "noindex" in answer.headers["X-Robots-Tag"], name
        assert "Set-Cookie" not in answer.headers, name


def test_a_page_speaks_the_mails_language_and_switches(reader: Reader) -> None:
    assert "Non vuole più ricevere" in reader.get("unsubscribe").text
    english = reader.client.get(reader.path("unsubscribe") + "?lang=en").text
    assert "Stop these messages?" in english
    assert 'hreflang="it"' in english


def test_a_page_names_the_hotel_its_owner_and_notice(reader: Reader) -> None:
    page = reader.get("unsubscribe").text
    assert "Hotel Lago" in page
    assert "Riva Serena S.n.c." in page
    assert f"{SITE}/privacy" in page


@pytest.mark.parametrize("letter", sorted(PATHS.values()))
@pytest.mark.parametrize("token", ["x", "nonsense-nonsense-nonsense", "A" * 5000, "%00"])
def test_a_link_that_is_not_ours_gets_a_page_that_says_what_to_do(reader: Reader, letter: str, token: str) -> None:
    for method in ("GET", "POST", "HEAD"):
        answer = reader.client.open(f"/m/{letter}/{token}", method=method)
        assert answer.status_code in {404, 405}, (method, letter)
    answer = reader.client.get(f"/m/{letter}/{token}", headers={"Accept-Language": "en"})
    assert "straight from the mail" in answer.text
    assert "Hotel Lago" not in answer.text


def test_a_link_of_another_workspace_finds_nothing(reader: Reader) -> None:
    ref = (reader.workspace_id + 1, reader.contact_id, reader.message_id)
    assert reader.get("view", *ref).status_code == 404
    assert reader.get("preferences", *ref).status_code == 404


@pytest.mark.parametrize("accent", ["#ffffff", "#000000", "#0f5c63", "#ffcc00", "#777777", "red;}body{display:none"])
def test_buttons_can_be_read_in_any_brands_colour(accent: str) -> None:
    style = _style(accent)
    assert "display:none" not in style
    found = re.search(r"--accent:(#\w{6}); --on-accent:(#\w{6})", style)
    assert found is not None
    light, dark = sorted((_brightness(found[1]), _brightness(found[2])), reverse=True)
    assert (light + 0.05) / (dark + 0.05) >= 4.5


def _brightness(colour: str) -> float:
    def part(at: int) -> float:
        value = int(colour[at : at + 2], 16) / 255
        return value / 12.92 if value <= 0.04045 else float(((value + 0.055) / 1.055) ** 2.4)

    return 0.2126 * part(1) + 0.7152 * part(3) + 0.0722 * part(5)


@pytest.mark.parametrize("language", [one for one in SPOKEN if one != "en"])
def test_every_language_has_every_text_with_the_same_gaps(language: str) -> None:
    english, other = TABLES["en"], TABLES[language]
    assert english.keys() == other.keys()
    for key, told in english.items():
        assert set(re.findall(r"{\w+}", told)) == set(re.findall(r"{\w+}", other[key])), key
        assert other[key].strip(), key
    assert NAMES.keys() == TABLES.keys()


def test_the_mail_in_a_browser_is_the_mail_and_can_do_nothing(reader: Reader) -> None:
    answer = reader.get("view")
    assert "Ciao Anna" in answer.text
    assert "sandbox" in answer.headers["Content-Security-Policy"]
    assert "script" not in answer.headers["Content-Security-Policy"]


def test_a_mail_that_was_erased_says_so(reader: Reader) -> None:
    with reader.mailroom() as room:
        room.change(reader.message_id, facts=None)
    assert reader.get("view").status_code == 410
    assert reader.get("click", *reader.ref, 1).status_code == 410


@pytest.fixture
def tracked(read: Callable[..., Reader]) -> Reader:
    """Anna, who lets her clicks be counted."""
    return read(granted=("marketing", "open_tracking"))


def clicks(reader: Reader) -> list[str]:
    """What was counted, once it is settled who it was."""
    reader.clock.advance(SETTLES["clicked"])
    with reader.work() as session:
        hits.run(session, reader.clock.now(), 500)
    with reader.work() as session:
        return list(session.scalars(select(Event.data["url"].astext).where(Event.type == "message.clicked")))


def test_r15_a_counted_link_leads_on_and_is_counted(tracked: Reader) -> None:
    answer = tracked.get("click", *tracked.ref, 1)
    assert (answer.status_code, answer.headers["Location"]) == (302, f"{SITE}/room?b=1")
    assert clicks(tracked) == [f"{SITE}/room?b=1"]


def test_a_head_is_a_scanner_and_is_not_counted(tracked: Reader) -> None:
    assert tracked.client.head(tracked.path("click", *tracked.ref, 1)).status_code == 302
    assert clicks(tracked) == []


def test_r15_tracking_taken_back_is_no_longer_counted_and_the_link_still_works(tracked: Reader) -> None:
    tracked.post("preferences", {"action": "save", "topic.offers": "on", "language": "it"})
    assert tracked.get("click", *tracked.ref, 1).status_code == 302
    assert clicks(tracked) == []


def test_the_hidden_link_is_seen_by_nobody_leads_nowhere_and_gives_a_scanner_away(tracked: Reader) -> None:
    page = tracked.get("view").text
    trap = re.search(r'<a href="([^"]*/m/c/[^"]+)"[^>]*style="display:none"></a>', page)
    assert trap is not None
    assert 'aria-hidden="true"' in trap[0]
    assert trap[1].endswith(tracked.path("click", *tracked.ref, 0))
    tracked.get("click", *tracked.ref, 1)
    answer = tracked.get("click", *tracked.ref, 0)
    assert (answer.status_code, answer.headers.get("Location")) == (204, None)
    assert clicks(tracked) == []


def test_r15_a_mail_whose_links_are_not_counted_has_no_hidden_one(reader: Reader) -> None:
    assert "/m/c/" not in reader.get("view").text
    assert reader.get("click", *reader.ref, 0).status_code == 204
    assert reader.rows()["delivery_events"] == 0


def test_r15_links_that_only_serve_are_never_counted(tracked: Reader) -> None:
    for purpose in ("view", "unsubscribe", "preferences"):
        assert tracked.get(purpose).status_code == 200
    assert tracked.rows()["delivery_events"] == 0


@pytest.mark.parametrize("number", [98, 99])
def test_a_counted_link_leads_nowhere_but_into_its_mail(tracked: Reader, number: int) -> None:
    answer = tracked.client.get(tracked.path("click", *tracked.ref, number) + "?url=https://evil.example")
    assert answer.status_code == 404


def test_a_merged_contacts_old_links_still_work(reader: Reader) -> None:
    with reader.mailroom() as room:
        winner = room.session.execute(
            text(
                "INSERT INTO contacts (workspace_id, email, email_key, created_at, updated_at)"
                " VALUES (:ws, 'w@example.com', 'w@example.com', :now, :now) RETURNING id"
            ),
            {"ws": reader.workspace_id, "now": reader.clock.now()},
        ).scalar_one()
        room.session.execute(
            text("UPDATE contacts SET merged_into = :winner WHERE id = :id"),
            {"winner": winner, "id": reader.contact_id},
        )
    assert reader.post("unsubscribe", {"List-Unsubscribe": "One-Click"}).status_code == 200
    with reader.work() as session:
        said = session.execute(text("SELECT contact_id, address FROM consent_records WHERE state = 'withdrawn'")).all()
    assert {tuple(row) for row in said} == {(winner, reader.address), (winner, "w@example.com")}
