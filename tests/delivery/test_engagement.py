"""A person, a proxy or a scanner: told by what they are, what they do, and when."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event, func, select, text

from app.delivery import hits, track
from app.delivery.engagement import Hit, Sorted, of_proxies, said, sort, sort_agent
from app.delivery.models import HitWork
from app.delivery.track import Arrival
from app.events.models import Event
from tests.delivery.conftest import Post

NOW = datetime(2026, 5, 4, 10, tzinfo=UTC)
SENT = NOW - timedelta(hours=2)
PHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 "
    "Mobile/15E148 Safari/604.1"
)
IN_APP = PHONE.replace("Version/17.5 ", "") + " [FBAN/FBIOS;FBAV/450.0.0.30.108]"
RIGHT = 0.97
"""The least share of the shared user agents that must be sorted as its own table says."""


def click(number: int = 1, after: float = 0, **given: Any) -> Hit:
    return Hit(number, "clicked", NOW + timedelta(seconds=after), **{"agent": PHONE, "link": str(number), **given})


def opened(number: int = 1, after: float = 0, **given: Any) -> Hit:
    return Hit(number, "opened", NOW + timedelta(seconds=after), **{"agent": PHONE, **given})


def why(*of: Hit, delivered: datetime | None = SENT) -> list[str]:
    found = sort(of, delivered)
    return [found[hit.number].why for hit in of]


def test_a_reader_on_a_phone_is_a_person() -> None:
    assert sort([click()], SENT) == {1: Sorted("human", "reader")}
    assert sort([click(agent=IN_APP)], SENT)[1].class_ == "human"


def test_the_hidden_link_gives_away_what_came_just_before_and_after() -> None:
    trap = click(3, after=20, hidden=True)
    assert why(click(1), trap, click(2, after=79)) == ["beside_hidden", "hidden_link", "beside_hidden"]


def test_the_hidden_link_says_nothing_of_the_person_who_reads_later() -> None:
    assert why(click(1, hidden=True), click(2, after=3600)) == ["hidden_link", "reader"]


def test_three_links_within_seconds_are_nobodys_reading() -> None:
    assert why(click(1), click(2, after=4), click(3, after=9)) == ["burst"] * 3
    assert why(click(1), click(2, after=40), click(3, after=90)) == ["reader"] * 3


def test_two_links_are_a_burst_only_where_the_mail_has_no_more() -> None:
    assert why(click(1, links=2), click(2, after=4, links=2)) == ["burst"] * 2
    assert why(click(1, links=5), click(2, after=4, links=5)) == ["reader"] * 2


def test_who_clicks_one_link_thrice_is_impatient_and_a_person() -> None:
    assert why(*(click(number, after=number, link="1", links=1) for number in (1, 2, 3))) == ["reader"] * 3


def test_a_person_may_click_after_a_burst() -> None:
    scan = [click(number, after=number) for number in (1, 2, 3)]
    assert why(*scan, click(4, after=600, link="1"))[3] == "reader"


def test_a_head_is_a_scanner_and_condemns_nobody_else() -> None:
    assert why(click(1, method="HEAD"), click(2, after=2)) == ["method", "reader"]


@pytest.mark.parametrize(("seconds", "told"), [(-3, "too_soon"), (4.9, "too_soon"), (5, "reader")])
def test_nobody_clicks_within_seconds_of_delivery(seconds: float, told: str) -> None:
    assert why(click(after=seconds), delivered=NOW) == [told]


def test_an_open_at_once_counts_only_when_something_follows() -> None:
    assert why(opened(1, after=30), delivered=NOW) == ["opened_at_once"]
    assert why(opened(1, after=30), click(2, after=200), delivered=NOW) == ["reader", "reader"]
    assert why(opened(1, after=90), delivered=NOW) == ["reader"]


def test_what_is_not_told_is_not_held_against_anybody() -> None:
    assert why(click(agent=None), delivered=None) == ["reader"]


def test_pictures_fetched_by_a_proxy_are_nobodys_open() -> None:
    assert sort([opened(agent="Mozilla/5.0")], SENT)[1] == Sorted("proxy", "image_proxy")
    assert sort([opened(proxy_network=True)], SENT)[1] == Sorted("proxy", "image_proxy")
    assert [of_proxies(one) for one in ("66.249.84.1", "151.38.2.9", "2001:db8::1", "x", None)] == [True, *[False] * 4]


def test_a_providers_words_are_read_where_it_puts_them() -> None:
    sendgrid = {"event": "open", "useragent": PHONE, "ip": "66.102.6.1", "sg_machine_open": True}
    mailgun = {"event-data": {"client-info": {"user-agent": PHONE, "bot": "apple"}, "ip": "151.38.2.9"}}
    amazon = {"click": {"userAgent": PHONE, "ipAddress": "151.38.2.9", "link": "https://x.example"}}
    assert said(sendgrid) == (PHONE, True, True)
    assert said(mailgun) == (PHONE, False, True)
    assert said(amazon) == (PHONE, False, False)
    assert said({"client-info": {"bot": ""}, "useragent": ""}) == (None, False, False)


@given(
    st.lists(
        st.builds(
            Hit,
            st.integers(1, 99),
            st.sampled_from(["clicked", "opened"]),
            st.integers(0, 200).map(lambda seconds: NOW + timedelta(seconds=seconds)),
            st.sampled_from([None, PHONE, "", "python-requests/2", "Mozilla/5.0"]),
            st.sampled_from(["GET", "HEAD"]),
            st.sampled_from(["1", "2", "3", "4"]),
            st.sampled_from([None, 1, 2, 5]),
            st.booleans(),
        ),
        unique_by=lambda hit: hit.number,
    ),
    st.randoms(),
)
def test_the_order_in_which_hits_are_told_changes_nothing(them: list[Hit], random: Any) -> None:
    other = list(them)
    random.shuffle(other)
    assert sort(them, NOW) == sort(other, NOW)


@pytest.mark.shared_data
def test_of_the_shared_user_agents_nearly_all_are_sorted_right(
    shared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = shared / "data" / "user_agents"
    machines = json.loads((folder / "mail_machines.json").read_text())
    crawlers = json.loads((folder / "crawler_user_agents.json").read_text())["entries"]
    wanted: list[tuple[str, str, set[str]]] = []
    for one in machines["machine"]:
        kind = "opened" if one["kind"] == "image_proxy" else "clicked"
        wanted.append((one["ua"], kind, {"human"} if one["kind"] == "cdn" else {"proxy", "scanner"}))
    wanted += [(agent, "clicked", {"human"}) for agent in machines["human_controls"]]
    wanted += [(agent, "clicked", {"scanner", "proxy"}) for one in crawlers for agent in one["instances"]]
    wrong = []
    for agent, kind, classes in wanted:
        found = sort_agent(agent, kind)
        if (found.class_ if found else "human") not in classes:
            wrong.append(agent)
    of_mail = {one["ua"] for one in machines["machine"]} | set(machines["human_controls"])
    # The list of crawlers has this one, too; of what stands before readers the table of mail machines knows better.
    wrong.remove("Amazon CloudFront")
    share = 1 - len(wrong) / len(wanted)
    with capsys.disabled():
        print(f"\nuser agents sorted right: {share:.1%} of {len(wanted)}; wrong: {wrong}")
    assert share >= RIGHT
    assert not of_mail & set(wrong), "what mails meet every day is known by name"


# ---- as recorded --------------------------------------------------------------------------------------------------


@pytest.fixture
def sent(post: Post) -> int:
    """A message that was delivered an hour ago."""
    (id_,) = post.plan("anna@example.com")
    post.run()
    post.clock.advance(timedelta(hours=1))
    return id_


def follow(post: Post, message: int, link: int = 1, **data: Any) -> None:
    """Something follows a link."""
    now = post.clock.now()
    told = {"url": f"https://verbano.example/{link}", "link": link, "user_agent": PHONE, **data}
    with post.house.database.work(post.workspace_id) as session:
        arrival = Arrival("clicked", now, "percorso", f"{link}:{now.isoformat()}", message, data=told)
        track.record(session, [arrival], now)


def settle(post: Post, seconds: float = 10) -> int:
    """Let time pass, and sort."""
    post.clock.advance(timedelta(seconds=seconds))
    with post.house.database.work(post.workspace_id) as session:
        return hits.run(session, post.clock.now(), 500).done


def told(post: Post) -> list[str]:
    """The addresses that workflows hear of."""
    with post.house.database.work(post.workspace_id) as session:
        return [data["url"] for data in session.scalars(select(Event.data).where(Event.type == "message.clicked"))]


def classes(post: Post, message: int) -> Counter[str]:
    return Counter(one.data["class"] for one in post.reports(message))


def test_a_click_counts_when_nothing_else_came_along_with_it(post: Post, sent: int) -> None:
    follow(post, sent)
    clicked = post.clock.now()
    assert (told(post), post.message(sent).clicked_at, classes(post, sent)) == ([], None, {"unsettled": 1})
    assert settle(post, 9) == 0
    assert settle(post, 1) == 1
    assert told(post) == ["https://verbano.example/1"]
    assert (post.message(sent).clicked_at, classes(post, sent)) == (clicked, {"human": 1})
    assert settle(post, 100) == 0
    assert len(told(post)) == 1


def test_a_filter_that_follows_every_link_is_told_to_nobody(post: Post, sent: int) -> None:
    for link in (1, 2, 3):
        follow(post, sent, link)
        post.clock.advance(timedelta(seconds=1))
    settle(post)
    settle(post)
    assert (told(post), post.message(sent).clicked_at, classes(post, sent)) == ([], None, {"scanner": 3})


def test_the_hidden_link_takes_back_what_was_counted_just_before(post: Post, sent: int) -> None:
    follow(post, sent)
    settle(post)
    assert post.message(sent).clicked_at is not None
    follow(post, sent, 0, hidden=True)
    settle(post)
    assert (post.message(sent).clicked_at, classes(post, sent)) == (None, {"scanner": 2})


def test_a_person_reads_after_the_filter_did(post: Post, sent: int) -> None:
    follow(post, sent, 0, hidden=True)
    follow(post, sent, 1)
    settle(post)
    post.clock.advance(timedelta(minutes=5))
    follow(post, sent, 2)
    settle(post)
    assert told(post) == ["https://verbano.example/2"]
    assert classes(post, sent) == {"scanner": 2, "human": 1}


def test_what_a_provider_calls_a_machine_is_one(post: Post, sent: int) -> None:
    follow(post, sent, 1, raw={"sg_machine_open": True})
    settle(post)
    assert (told(post), classes(post, sent)) == ([], {"scanner": 1})


@pytest.mark.parametrize("number", [1, 30])
def test_hits_of_any_number_of_mails_are_settled_in_as_many_queries(post: Post, number: int) -> None:
    many = post.plan(*(f"a{one}@example.com" for one in range(number)))
    post.run()
    post.clock.advance(timedelta(hours=1))
    for one in many:
        follow(post, one)
    statements: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if "set_config" not in statement:
            statements.append(statement)

    event.listen(post.house.database.engine, "before_cursor_execute", note)
    assert settle(post) == number
    event.remove(post.house.database.engine, "before_cursor_execute", note)
    assert len(statements) <= hits.QUERIES + 3, "\n".join(statements)
    with post.house.database.work(post.workspace_id) as session:
        assert session.scalar(select(func.count()).select_from(HitWork)) == 0


def test_two_that_settle_and_record_at_once_never_wait_for_each_other_in_a_ring(post: Post, sent: int) -> None:
    follow(post, sent)
    post.clock.advance(timedelta(seconds=10))
    with post.house.database.work(post.workspace_id) as session:
        session.execute(text("SELECT id FROM messages WHERE id = :id FOR UPDATE"), {"id": sent})
        with post.house.database.work(post.workspace_id) as other:
            assert hits.run(other, post.clock.now(), 500).done == 0
