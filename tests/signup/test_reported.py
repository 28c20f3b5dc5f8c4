"""A sign-up that another system reports unconfirmed is asked for, ends and is cleaned away like ours (R6)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, text

from app.consent.models import ConsentRequest
from app.events.incoming import Verdict, read
from app.events.record import Reporter, record
from app.messages import confirming
from app.messages.voices import Voice
from app.signup.stage import run
from tests.signup.conftest import Hall

ANNA = "anna@example.com"
YES = {"topic": "newsletter", "method": "web", "wording": "Sì", "wording_version": "shop-3"}


def told(hall: Hall, name: str, what: str = "granted", **data: Any) -> Verdict:
    """A system reports a consent of Anna, now."""
    raw = {
        "id": name,
        "type": f"consent.{what}",
        "occurred_at": hall.room.now.isoformat(),
        "contact": {"email": ANNA},
        "data": {**YES, **data},
    }
    (verdict,) = record(hall.session, Reporter(1), [read(raw, "")], hall.room.now)
    hall.work()
    return verdict


def requests(hall: Hall) -> list[ConsentRequest]:
    """The requests there are."""
    hall.session.expire_all()
    return list(hall.session.scalars(select(ConsentRequest).order_by(ConsentRequest.id)))


@pytest.mark.parametrize("what", ["granted", "requested"])
def test_r6_what_nobody_confirms_elsewhere_ends_after_seven_days_and_is_gone_after_thirty(
    hall: Hall, what: str
) -> None:
    told(hall, "c-1", what)
    assert hall.mails(ANNA) == [], "the other system asks, unless it says otherwise"
    hall.later(days=6, hours=23)
    assert hall.held(ANNA) == {"newsletter": "pending"}
    hall.later(hours=2)
    assert hall.held(ANNA) == {"newsletter": "expired"}
    hall.later(days=24)
    assert hall.erased == [hall.contact(ANNA).id]


@pytest.mark.parametrize("what", ["granted", "requested"])
def test_r6_the_mailbox_is_asked_by_us_where_the_report_says_so_once_however_often_it_comes(
    hall: Hall, what: str
) -> None:
    for name in ("c-1", "c-2"):
        told(hall, name, what, ask=True)
        hall.room.clock.advance(timedelta(minutes=1))
    (mail,) = hall.mails(ANNA)
    assert (mail.template, mail.topic) == ("confirm-subscription", "newsletter")
    hall.session.execute(text("DELETE FROM event_work"))
    hall.room.gate()
    assert hall.room.message(mail.id).state == "ready"
    hall.later(days=2)
    assert len(hall.mails(ANNA)) == 2, "one reminder"
    hall.later(days=2)
    assert len(hall.mails(ANNA)) == 2, "at most"


def test_r6_the_link_of_that_mail_confirms_what_was_reported_with_its_own_words(hall: Hall) -> None:
    told(hall, "c-1", ask=True)
    anna = hall.contact(ANNA)
    (request,) = requests(hall)
    done = confirming.confirm(
        hall.session, anna.id, request.lines[0], Voice("confirm_page", "it", "/m/k"), hall.room.now
    )
    assert (done.outcome, done.about) == ("confirmed", (("marketing", "newsletter"),))
    assert hall.held(ANNA) == {"newsletter": "granted"}
    hall.later(days=8)
    assert hall.held(ANNA) == {"newsletter": "granted"}
    assert [one.state for one in requests(hall)] == ["confirmed"]


def test_r6_a_confirmation_reported_in_time_leaves_nothing_to_end(hall: Hall) -> None:
    told(hall, "c-1", "requested")
    hall.room.clock.advance(timedelta(days=1))
    told(hall, "c-2", confirmed_at=hall.room.now.isoformat())
    hall.later(days=8)
    assert hall.held(ANNA) == {"newsletter": "granted"}
    assert [one.state for one in requests(hall)] == ["confirmed"]
    hall.later(days=30)
    assert hall.erased == []


def test_r6_who_signs_up_here_as_well_is_asked_here_once(hall: Hall) -> None:
    told(hall, "c-1", "requested")
    hall.room.clock.advance(timedelta(minutes=1))
    for _ in range(2):
        hall.fill(ANNA)
        hall.work()
    (mail,) = hall.mails(ANNA)
    assert mail.topic == "newsletter"
    hall.later(days=2)
    hall.later(days=2)
    assert len(hall.mails(ANNA)) == 2, "and reminded once"


def test_r6_a_sign_up_reported_long_after_is_over_and_nobody_is_written_to(hall: Hall) -> None:
    long_ago = (hall.room.now - timedelta(days=20)).isoformat()
    told(hall, "c-1", ask=True, requested_at=long_ago)
    assert hall.mails(ANNA) == []
    assert hall.held(ANNA) == {"newsletter": "expired"}


@pytest.mark.parametrize("method", ["staff", "import", "pms_sync"])
def test_r6_what_others_wish_for_somebody_is_not_asked_at_their_request(hall: Hall, method: str) -> None:
    verdict = told(hall, "c-1", ask=True, method=method, source="fair", import_file="list.csv")
    assert any("Nobody is asked" in one.detail for one in verdict.warnings)
    assert hall.mails(ANNA) == []
    hall.later(days=8)
    assert hall.held(ANNA) == {"newsletter": "expired"}


def test_r3_other_purposes_are_asked_for_with_the_topic_in_one_mail(hall: Hall) -> None:
    raws = [
        {
            "id": f"c-{place}",
            "type": "consent.granted",
            "occurred_at": hall.room.now.isoformat(),
            "contact": {"email": ANNA},
            "data": {"method": "web", "wording_version": "shop-3", "ask": True, **about},
        }
        for place, about in enumerate(({"topic": "newsletter"}, {"purpose": "profiling"}))
    ]
    record(hall.session, Reporter(1), [read(raw, "") for raw in raws], hall.room.now)
    while run(hall.session, hall.room.now, 500).more:
        pass
    assert hall.held(ANNA) == {"newsletter": "pending", "profiling": "pending"}
    assert len(hall.mails(ANNA)) == 1
    (request,) = requests(hall)
    assert (request.topics, request.purposes) == (["newsletter"], ["profiling"])
