"""R14: the counting of links is left by a link of its own, and the newsletter goes on."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import select, text

from app.consent.models import ConsentRecord
from app.contacts.models import Contact
from app.messages import compose
from app.messages.models import Message
from tests.subscriber.conftest import Reader


@pytest.fixture
def tracked(read: Callable[..., Reader]) -> Reader:
    """Anna, who agreed to offers and to the counting of her links, and got an offer."""
    return read(granted=("marketing", "open_tracking"))


def undo_path(page: str) -> str:
    """The undo link on a page."""
    found = re.search(r'action="http://localhost(/m/z/[^"?]+)', page)
    assert found is not None
    return found[1]


def test_r14_the_mail_itself_leads_to_the_page(tracked: Reader) -> None:
    shown = tracked.get("view").text
    found = re.search(r'href="http://localhost(/m/t/[^"]+)"', shown)
    assert found is not None
    asked = tracked.client.get(found[1])
    assert "Smettere di contare i link che apre?" in asked.text
    assert asked.text.count("<form") == 1


def test_r14_withdrawing_tracking_alone_keeps_the_newsletter(tracked: Reader) -> None:
    done = tracked.post("tracking")
    assert done.status_code == 200
    assert "Set-Cookie" not in done.headers
    assert "Hotel Lago non vede più quali link apre" in done.text
    still = done.text[done.text.index("D&#39;ora in poi riceve:") : done.text.index("Non riceve:")]
    assert "le offerte" in still
    assert tracked.consents() == {"offers": "granted", "open_tracking": "withdrawn"}
    with tracked.work() as session:
        line = session.scalars(select(ConsentRecord).order_by(ConsentRecord.line.desc()).limit(1)).one()
        kinds = session.execute(text("SELECT kind FROM delivery_events")).scalars().all()
    assert (line.method, line.purpose, line.proof["page"]) == ("tracking_page", "open_tracking", "/m/t")
    assert kinds == []  # nobody has unsubscribed


def test_r14_from_then_on_nothing_is_counted_and_no_mail_carries_counted_links(tracked: Reader) -> None:
    tracked.post("tracking")
    tracked.get("click", *tracked.ref, 1)
    with tracked.mailroom() as room:
        assert room.session.execute(text("SELECT count(*) FROM delivery_events")).scalar() == 0
        contact = room.session.scalars(select(Contact).where(Contact.id == tracked.contact_id)).one()
        number = room.plan(contact, "offer", visit=2)
        made = compose.preview(
            room.session, room.session.get_one(Message, (room.workspace_id, contact.id, number)), room.now
        )
    assert isinstance(made, compose.Composed), made
    assert "/m/c/" not in made.html + made.text
    assert "/m/t/" not in made.html + made.text


def test_r14_a_second_press_writes_nothing_more(tracked: Reader) -> None:
    tracked.post("tracking")
    before = tracked.rows()
    again = tracked.post("tracking")
    assert again.status_code == 200
    assert "Era già stato fatto" in again.text
    assert tracked.rows() == before


def test_r14_it_is_undone_with_one_press(tracked: Reader) -> None:
    path = undo_path(tracked.post("tracking").text)
    tracked.clock.advance(timedelta(minutes=5))
    assert "Scelta annullata" in tracked.client.post(path).text
    assert tracked.consents() == {"offers": "granted", "open_tracking": "granted"}


def test_r14_the_link_of_a_mail_that_counts_nothing_takes_nothing_back(reader: Reader) -> None:
    before = reader.rows()
    assert reader.post("tracking").status_code == 200
    assert reader.rows() == before
