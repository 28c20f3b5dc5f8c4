"""RFC 8058 and R32 through the real route: one click, no cookie, no redirect; and a page for people."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text

from app.consent.models import ConsentRecord
from app.contacts.models import Contact
from app.events.models import Event
from app.messages.models import Message
from tests.subscriber.conftest import Reader

ONE_CLICK = {"List-Unsubscribe": "One-Click"}


def test_r32_one_click_unsubscribes_without_cookie_or_redirect(reader: Reader) -> None:
    answer = reader.post("unsubscribe", ONE_CLICK)
    assert answer.status_code == 200
    assert "Set-Cookie" not in answer.headers
    assert "Location" not in answer.headers
    assert reader.consents() == {"offers": "withdrawn"}


def test_r32_multipart_is_taken_too(reader: Reader) -> None:
    assert reader.post("unsubscribe", ONE_CLICK, content_type="multipart/form-data").status_code == 200
    assert reader.consents() == {"offers": "withdrawn"}


def test_r32_it_is_idempotent_and_a_spent_token_answers_200(reader: Reader) -> None:
    reader.post("unsubscribe", ONE_CLICK)
    before = reader.rows()
    for _ in range(3):
        assert reader.post("unsubscribe", ONE_CLICK).status_code == 200
    assert reader.rows() == before


def test_x44_a_no_said_again_is_newer_than_a_yes_of_between_that_we_hear_of_only_later(reader: Reader) -> None:
    reader.post("unsubscribe", ONE_CLICK)
    agreed_elsewhere = reader.clock.advance(timedelta(days=1))
    reader.clock.advance(timedelta(days=1))
    reader.post("unsubscribe", ONE_CLICK)
    reader.clock.advance(timedelta(days=1))
    with reader.mailroom() as room:
        room.say(room.session.scalars(select(Contact)).one(), requested_at=agreed_elsewhere)
    assert reader.consents() == {"offers": "withdrawn"}


def test_r32_a_link_works_for_years(reader: Reader) -> None:
    reader.clock.advance(timedelta(days=1200))
    assert reader.post("unsubscribe", ONE_CLICK).status_code == 200
    assert reader.consents() == {"offers": "withdrawn"}


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("purpose", ["unsubscribe", "tracking", "preferences", "view", "undo", "confirm", "click"])
def test_x35_a_get_or_head_changes_nothing(reader: Reader, method: str, purpose: Any) -> None:
    numbers = {"undo": (*reader.ref[::2], 1), "click": (*reader.ref, 1), "confirm": (*reader.ref[:2], 1)}
    before = reader.rows()
    answer = reader.client.open(reader.path(purpose, *numbers.get(purpose, ())), method=method)
    assert answer.status_code in {200, 302}
    assert reader.rows() == before
    assert reader.consents() == {"offers": "granted"}
    assert "Set-Cookie" not in answer.headers


def test_the_page_has_one_form_and_its_button_unsubscribes(reader: Reader) -> None:
    page = reader.get("unsubscribe").text
    assert "le offerte" in page
    assert page.count("<form") == 1
    done = reader.post("unsubscribe", {"leave": "topic"})
    assert done.status_code == 200
    assert "Iscrizione annullata" in done.text
    assert "continueranno ad arrivarLe" in done.text
    assert reader.consents() == {"offers": "withdrawn"}


def test_a_post_without_the_pair_is_no_one_click_request(reader: Reader) -> None:
    before = reader.rows()
    answer = reader.client.post(reader.path("unsubscribe"), data="", content_type="application/x-www-form-urlencoded")
    assert answer.status_code == 400
    assert reader.rows() == before


def test_r5_r7_the_ledger_keeps_how_and_the_house_hears_of_it(reader: Reader) -> None:
    reader.post("unsubscribe", ONE_CLICK, headers={"User-Agent": "Mailbox/1"})
    with reader.work() as session:
        line = session.scalars(select(ConsentRecord).order_by(ConsentRecord.line.desc()).limit(1)).one()
        types = set(session.scalars(select(Event.type)))
        kinds = session.execute(text("SELECT kind FROM delivery_events")).scalars().all()
    assert (line.method, line.state, line.topic, line.previous_state) == ("one_click", "withdrawn", "offers", "granted")
    assert line.proof["message_pk"] == reader.message_id
    assert line.proof["user_agent"] == "Mailbox/1"
    assert reader.path("unsubscribe") not in json.dumps(line.proof)
    assert types == {"consent.withdrawn", "message.unsubscribed"}
    assert kinds == ["unsubscribed"]


def test_x13_what_was_queued_is_cancelled_at_once_and_service_goes_on(reader: Reader) -> None:
    with reader.mailroom() as room:
        contact = room.session.scalars(select(Contact).where(Contact.id == reader.contact_id)).one()
        offers = [room.plan(contact) for _ in range(4)]
        note = room.plan(contact, "note")
        for number, state in zip(offers, ("planned", "deferred", "ready", "leased"), strict=True):
            room.change(number, state=state)
    reader.post("unsubscribe", ONE_CLICK)
    with reader.work() as session:
        found = {row.id: row for row in session.scalars(select(Message))}
    assert {(found[number].state, found[number].reason, found[number].rule) for number in offers} == {
        ("cancelled", "withdrawn", "R7")
    }
    assert found[note].state == "planned"


def test_stop_everything_is_an_objection_and_bars_the_address(reader: Reader) -> None:
    assert reader.post("unsubscribe", {"leave": "all"}).status_code == 200
    assert reader.consents() == {"marketing": "objected", "feedback": "withdrawn", "offers": "objected"}
    with reader.work() as session:
        barred = session.execute(text("SELECT reason, scope FROM suppressions")).all()
    assert [tuple(row) for row in barred] == [("unsubscribe", "marketing")]


def undo_path(page: str) -> str:
    """The undo link on a page."""
    found = re.search(r'action="http://localhost(/m/z/[^"?]+)', page)
    assert found is not None
    return found[1]


@pytest.mark.parametrize("scope", ["topic", "all"])
def test_a_mistake_is_undone_with_one_press(reader: Reader, scope: str) -> None:
    path = undo_path(reader.post("unsubscribe", {"leave": scope}).text)
    assert reader.client.post(path).status_code == 200
    assert reader.consents()["offers"] == "granted"
    with reader.work() as session:
        assert session.execute(text("SELECT count(*) FROM suppressions WHERE lifted_at IS NULL")).scalar() == 0
        last = session.scalars(select(ConsentRecord).order_by(ConsentRecord.line.desc()).limit(1)).one()
    assert (last.method, last.proof["wording"]) == ("undo", "Sì, scrivetemi su: le offerte.")


def test_an_undo_is_good_for_a_day_and_only_for_the_last_choice(reader: Reader) -> None:
    path = undo_path(reader.post("unsubscribe", {"leave": "topic"}).text)
    reader.clock.advance(timedelta(hours=25))
    assert "non è più possibile" in reader.client.post(path).text
    assert reader.consents() == {"offers": "withdrawn"}


def test_a_second_undo_does_nothing_more(reader: Reader) -> None:
    path = undo_path(reader.post("unsubscribe", {"leave": "topic"}).text)
    reader.client.post(path)
    before = reader.rows()
    assert reader.client.post(path).status_code == 200
    assert reader.rows() == before


def test_a_reason_is_optional_and_kept(reader: Reader) -> None:
    reader.post("unsubscribe", {"leave": "topic"})
    assert "Grazie" in reader.post("unsubscribe", {"reason": "too_often"}).text
    with reader.work() as session:
        events = session.scalars(select(Event).where(Event.type == "unsubscribe.explained")).all()
    assert [event.data["reason"] for event in events] == ["too_often"]


def test_r11_leaving_a_request_for_an_opinion_ends_those(read: Callable[..., Reader]) -> None:
    reader = read("ask", granted=("feedback", "marketing"))
    reader.post("unsubscribe", ONE_CLICK)
    assert reader.consents() == {"feedback": "withdrawn", "offers": "granted"}


def test_r21_leaving_from_a_service_mail_ends_its_marketing_block(read: Callable[..., Reader]) -> None:
    reader = read("note")
    reader.post("unsubscribe", ONE_CLICK)
    assert reader.consents() == {"offers": "withdrawn"}


def test_who_has_moved_leaves_on_both_addresses(reader: Reader) -> None:
    with reader.work() as session:
        session.execute(
            text("UPDATE contacts SET email = 'new@example.com', email_key = 'new@example.com' WHERE id = :id"),
            {"id": reader.contact_id},
        )
    reader.post("unsubscribe", ONE_CLICK)
    with reader.work() as session:
        said = session.scalars(select(ConsentRecord).where(ConsentRecord.state == "withdrawn"))
        assert {line.address for line in said} == {reader.address, "new@example.com"}


@pytest.mark.shared_data
@pytest.mark.parametrize("name", ["8.1_simple", "8.3_as_printed", "8.3_with_errata_5117_8927_5559"])
def test_rfc_8058_examples_unsubscribe(reader: Reader, shared: Path, name: str) -> None:
    example = _example(shared, name)["request"]
    answer = reader.client.post(
        reader.path("unsubscribe"), data=example["body"].encode(), content_type=example["headers"]["Content-Type"]
    )
    assert answer.status_code == 200
    assert "Location" not in answer.headers
    assert reader.consents() == {"offers": "withdrawn"}


@pytest.mark.shared_data
@pytest.mark.parametrize("name", ["get_must_not_unsubscribe", "post_without_pair"])
def test_rfc_8058_examples_that_must_not_unsubscribe(reader: Reader, shared: Path, name: str) -> None:
    example = _example(shared, name)["request"]
    before = reader.rows()
    reader.client.open(
        reader.path("unsubscribe"),
        method=example["method"],
        data=example["body"].encode(),
        content_type=example["headers"].get("Content-Type"),
    )
    assert reader.rows() == before


def _example(shared: Path, name: str) -> dict[str, Any]:
    text_ = (shared / "data" / "rfc_examples" / "rfc8058_one_click.json").read_text()
    found: dict[str, Any] = next(one for one in json.loads(text_)["examples"] if one["name"] == name)
    return found
