"""What is reported of a message is recorded once, in one vocabulary, and followed up."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from app.consent.ledger import current, suppressed
from app.contacts.models import Contact
from app.delivery import track
from app.delivery.track import Arrival, Tracked
from app.events.models import Event
from app.messages.links import Ref, bounce_address
from app.rights.erasure import erase
from tests.delivery.conftest import Post


@pytest.fixture
def sent(post: Post) -> int:
    """A message that was accepted."""
    (id_,) = post.plan("anna@example.com")
    post.run()
    return id_


def report(post: Post, *arrivals: Arrival) -> Tracked:
    with post.house.database.work(post.workspace_id) as session:
        return track.record(session, arrivals, post.clock.now())


def arrival(post: Post, kind: str, dedupe: str = "e1", **given: Any) -> Arrival:
    return Arrival(kind=kind, occurred_at=post.clock.now(), provider="test", dedupe=dedupe, **given)


def barred(post: Post, email: str = "anna@example.com") -> list[tuple[str, str]]:
    with post.house.database.work(post.workspace_id) as session:
        return [(one.reason, one.scope) for one in suppressed(session, [("email", email)]).get(("email", email), ())]


def own_events(post: Post) -> list[tuple[str, dict[str, Any]]]:
    with post.house.database.work(post.workspace_id) as session:
        return [(row.type, row.data) for row in session.scalars(select(Event).order_by(Event.id))]


def test_a_delivery_is_kept_and_becomes_an_event(post: Post, sent: int) -> None:
    assert report(post, arrival(post, "delivered", message_pk=sent)) == Tracked(1, 0, ())
    assert post.message(sent).delivered_at == post.clock.now()
    assert [(one.kind, one.provider) for one in post.reports(sent)] == [("delivered", "test")]
    assert own_events(post) == [
        ("message.delivered", {"message_id": sent, "workflow": None, "step": None, "template": "note"})
    ]


def test_the_same_report_twice_counts_once(post: Post, sent: int) -> None:
    same = arrival(post, "unsubscribed", message_pk=sent)
    assert report(post, same, same) == Tracked(1, 1, ())
    assert report(post, same) == Tracked(0, 1, ())
    assert len(post.reports(sent)) == len(own_events(post)) == 1


def test_a_report_that_comes_again_in_another_month_is_known_all_the_same(post: Post, sent: int) -> None:
    same = arrival(post, "unsubscribed", message_pk=sent)
    report(post, same)
    post.clock.advance(timedelta(days=75))
    assert report(post, same) == Tracked(0, 1, ())


def test_a_message_is_found_by_its_bounce_address_and_by_its_message_id(post: Post, sent: int) -> None:
    message = post.message(sent)
    ref = Ref(post.workspace_id, message.contact_id, sent)
    verp = bounce_address(post.house.settings, ref, "bounces@verbano.example")
    assert report(post, arrival(post, "bounced", "a", bounce_address=verp, reason="soft")).recorded == 1
    assert report(post, arrival(post, "bounced", "b", message_id=message.message_id, reason="soft")).recorded == 1


def test_a_report_of_nothing_of_ours_is_handed_back(post: Post, sent: int) -> None:
    strange = [
        arrival(post, "bounced", message_id="<x@elsewhere.example>"),
        arrival(post, "bounced", bounce_address="bounces+00ff@verbano.example"),
        arrival(post, "bounced", message_pk=sent + 1000),
    ]
    assert report(post, *strange) == Tracked(0, 0, tuple(strange))


def test_r35_a_hard_bounce_suppresses_at_once(post: Post, sent: int) -> None:
    report(post, arrival(post, "bounced", message_pk=sent, reason="hard", data={"code": "550 5.1.1"}))
    assert barred(post) == [("hard_bounce", "all")]
    assert own_events(post)[0][1]["hard"] is True
    assert post.message(sent).bounced_at == post.clock.now()


def test_r35_the_fifth_soft_bounce_in_thirty_days_suppresses(post: Post) -> None:
    ids = bounce_softly(post, 4)
    assert barred(post) == []
    bounce_softly(post, 1, start=len(ids))
    assert barred(post) == [("soft_bounces", "all")]


def test_r35_a_delivery_in_between_starts_the_count_of_soft_bounces_anew(post: Post) -> None:
    ids = bounce_softly(post, 4)
    report(post, arrival(post, "delivered", "d", message_pk=ids[-1]))
    post.clock.advance(timedelta(hours=1))
    bounce_softly(post, 4, start=4)
    assert barred(post) == []


def test_r35_soft_bounces_of_long_ago_are_forgotten(post: Post) -> None:
    bounce_softly(post, 4)
    post.clock.advance(timedelta(days=31))
    bounce_softly(post, 1, start=4)
    assert barred(post) == []


def bounce_softly(post: Post, times: int, start: int = 0) -> list[int]:
    """So many mails to Anna that bounce softly, an hour apart."""
    with post.house.database.work(post.workspace_id) as session:
        contacts = session.scalars(select(Contact.id).order_by(Contact.id)).all()
    anna = contacts[0] if contacts else post.contact_of(*post.plan("anna@example.com", state="planned")).id
    ids = []
    for number in range(start, start + times):
        ids += post.plan(f"{number}@example.com", contact_id=anna, state="accepted", address="anna@example.com")
        report(post, arrival(post, "bounced", f"s{number}", message_pk=ids[-1], reason="soft"))
        post.clock.advance(timedelta(hours=1))
    return ids


def test_r35_a_block_suppresses_nobody(post: Post, sent: int) -> None:
    report(post, arrival(post, "bounced", message_pk=sent, reason="blocked"))
    assert barred(post) == []


def test_r36_a_complaint_withdraws_marketing_and_feedback(post: Post, sent: int) -> None:
    report(post, arrival(post, "complained", message_pk=sent, reason="abuse"))
    contact_id = post.message(sent).contact_id
    with post.house.database.work(post.workspace_id) as session:
        held = current(session, [contact_id])[contact_id]
    assert {(key[0], key[2], state.state, state.method) for key, state in held.items()} == {
        ("anna@example.com", "marketing", "withdrawn", "complaint"),
        ("anna@example.com", "feedback", "withdrawn", "complaint"),
    }
    assert barred(post) == [("complaint", "marketing")]
    assert post.message(sent).complained_at == post.clock.now()
    told = ["consent.withdrawn", "consent.withdrawn", "message.complained"]
    assert [type_ for type_, _ in own_events(post)] == told


def test_r36_a_complaint_taken_back_changes_nothing(post: Post, sent: int) -> None:
    report(post, arrival(post, "complained", "a", message_pk=sent, reason="abuse"))
    report(post, arrival(post, "complained", "b", message_pk=sent, reason="not_spam"))
    assert barred(post) == [("complaint", "marketing")]
    assert [type_ for type_, _ in own_events(post)].count("message.complained") == 1
    assert len(own_events(post)) == 3
    assert len(post.reports(sent)) == 2


@pytest.mark.parametrize("kind", ["delivered", "bounced", "complained", "clicked"])
def test_a_report_settles_what_was_unknown(post: Post, kind: str) -> None:
    (id_,) = post.plan("cut@example.com")
    post.run()
    assert post.message(id_).state == "unknown"
    report(post, arrival(post, kind, message_pk=id_))
    assert (post.message(id_).state, post.message(id_).reason) == ("accepted", None)


def test_a_report_of_what_never_left_is_kept_and_moves_nothing(post: Post) -> None:
    (id_,) = post.plan("anna@example.com", state="refused")
    assert report(post, arrival(post, "delivered", message_pk=id_)).recorded == 1
    assert post.message(id_).state == "refused"


def test_only_words_of_the_vocabulary_are_taken(post: Post) -> None:
    with pytest.raises(ValueError, match="no kind of delivery event"):
        arrival(post, "exploded", message_pk=1)
    with pytest.raises(ValueError, match="no reason"):
        arrival(post, "bounced", message_pk=1, reason="whatever")


@pytest.mark.parametrize("kind", ["bounced", "complained"])
def test_x33_a_report_on_somebody_who_was_erased_bars_the_address_and_brings_back_no_profile(
    post: Post, sent: int, kind: str
) -> None:
    contact_id = post.message(sent).contact_id
    with post.house.database.work(post.workspace_id) as session:
        erase(session, contact_id, "person", post.clock.now())
        lines = current(session, [contact_id])
    known = len(own_events(post))
    told = {"recipient": "anna@example.com", "raw": {"email": "anna@example.com"}, "code": "5.1.1"}
    report(post, arrival(post, kind, message_pk=sent, reason="hard" if kind == "bounced" else "abuse", data=told))
    reason = ("hard_bounce", "all") if kind == "bounced" else ("complaint", "marketing")
    assert reason in barred(post)
    assert [one.data for one in post.reports(sent)] == [{"code": "5.1.1"}]
    assert len(own_events(post)) == known
    with post.house.database.work(post.workspace_id) as session:
        assert current(session, [contact_id]) == lines
        assert session.get_one(Contact, (post.workspace_id, contact_id)).email is None
