"""Why, or why not: each decision in order with its inputs, its rule and its time, also where nothing was decided."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, select

from app.enrollments import catalogue
from app.enrollments.decisions import Decision
from app.enrollments.explain import QUERIES, Explained, NobodyError, explain, find_contact, met
from app.enrollments.models import Workflow
from tests.enrollments.test_simulation import LETTER, YES, guest, season, stay
from tests.hotel import Hotel


def why(hotel: Hotel, who: str, workflow: str) -> Explained:
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        return explain(session, find_contact(session, who), hotel.clock.now(), workflow=workflow)


def codes(told: Explained, *stages: str) -> list[str]:
    return [one.code for one in told.decisions if not stages or one.stage in stages]


def said(told: Explained, code: str, language: str = "en") -> str:
    return next(one for one in told.decisions if one.code == code).sentence[language]


def publish(hotel: Hotel, source: str = LETTER) -> None:
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        catalogue.publish(session, source, by="test", now=hotel.clock.now())


def test_what_did_not_start_it_says_what_was_wanted_and_what_was_found(hotel: Hotel) -> None:
    hotel.report("booking.confirmed", contact=guest("dora"), booking=stay("D-1", 9, 0))
    hotel.work()
    told = why(hotel, "dora", "pre-arrival")
    assert codes(told) == ["event", "condition_false", "outside"]
    refusal = told.decisions[1]
    assert refusal.sentence["en"] == "Not entered: nights is at least 1 — it was 0"
    assert refusal.sentence["it"] == "Non è entrato: numero di notti è almeno 1 — era 0"
    nights = {"line": "booking.nights >= 1", "verdict": False, "field": "booking.nights", "found": 0}
    assert nights in refusal.inputs["lines"]
    assert refusal.inputs["version"] == 1


def test_a_person_whom_nothing_ever_started_hears_what_would(hotel: Hotel) -> None:
    hotel.report("contact.updated", contact=guest("nina"), data={"first_name": "Nina"})
    hotel.work()
    told = why(hotel, "nina", "pre-arrival")
    assert told.empty
    (only,) = told.decisions
    assert (only.code, only.at) == ("no_event", None)
    assert only.sentence["en"].startswith(
        "No event that could start it was ever recorded for this person. It starts when"
    )
    assert "nights is at least 1" in only.sentence["en"]


def test_an_event_from_before_the_workflow_was_published_says_so(hotel: Hotel) -> None:
    hotel.report("booking.confirmed", contact=guest("ugo"), booking=stay("U-1", 30, 3))
    hotel.after(timedelta(days=2))
    publish(hotel)
    told = why(hotel, "ugo", "letter")
    assert codes(told, "event", "entry") == ["event", "before_publication"]
    assert said(told, "before_publication").startswith(
        "Not entered: the workflow was published only after, 12 Mar 2026"
    )


def test_an_event_nobody_has_looked_at_yet_says_so(hotel: Hotel) -> None:
    hotel.report("booking.confirmed", contact=guest("ugo"), booking=stay("U-1", 30, 3))
    assert codes(why(hotel, "ugo", "pre-arrival"), "event", "entry") == ["event", "not_looked_at"]


def test_a_whole_passage_is_told_in_the_order_of_the_line(hotel: Hotel) -> None:
    season(hotel)
    told = why(hotel, "henry", "pre-arrival")
    moments = [one.at for one in told.decisions if one.at and one.stage != "next"]
    assert moments == sorted(moments)
    assert codes(told)[:2] == ["event", "entered"]
    assert {"gate", "compose", "delivery", "step", "entry", "event"} <= {one.stage for one in told.decisions}
    assert "finished" in codes(told)
    assert all(one.sentence["en"] and one.sentence["it"] for one in told.decisions)
    assert not any(re.search(r"\d{4}-\d\d-\d\d|==|>=", one.sentence["en"]) for one in told.decisions), "no code, no ISO"


def test_each_question_of_the_gate_is_told_in_order_with_its_rule_also_where_it_was_passed(hotel: Hotel) -> None:
    season(hotel)
    told = why(hotel, "henry", "pre-arrival")
    allowed = next(one for one in told.decisions if one.stage == "gate" and one.code == "allowed")
    assert [check.check for check in allowed.checks][:3] == ["person", "address", "basis"]
    assert all(check.allowed and re.fullmatch(r"R\d+", check.rule) for check in allowed.checks)


def test_a_wait_that_moved_says_from_when_to_when_and_by_what(hotel: Hotel) -> None:
    season(hotel)
    told = why(hotel, "giulia", "pre-arrival")
    moved = next(one for one in told.decisions if one.code == "moved")
    assert moved.sentence["en"] == (
        "The wait moved from 15 Mar 2026, 10:00 to 19 Mar 2026, 10:00 (Booking modified)"
    ), moved.sentence
    assert moved.inputs["event"] == "booking.modified"
    assert any(one.stage == "event" and one.inputs["type"] == "booking.modified" for one in told.decisions)


def test_a_refusal_for_want_of_consent_names_the_line_of_the_ledger_and_its_hour(hotel: Hotel) -> None:
    publish(hotel)
    for act in ("granted", "withdrawn"):
        proof = {**YES, "confirmed_at": hotel.clock.now().isoformat()}
        given = proof if act == "granted" else {"method": "preference_centre"}
        hotel.report(f"consent.{act}", contact=guest("ugo"), data={"topic": "offers", **given})
        hotel.after(timedelta(hours=3))
    hotel.report("booking.confirmed", contact=guest("ugo"), booking=stay("U-1", 30, 3))
    hotel.after(timedelta(days=2))
    told = why(hotel, "ugo", "letter")
    refused = next(one for one in told.decisions if one.stage == "gate")
    assert refused.code == "withdrawn", [one.sentence["en"] for one in told.decisions]
    assert re.fullmatch(r"Not sent: consent withdrawn 10 Mar 2026, 13:00, ledger line \d+", refused.sentence["en"])
    assert refused.rule == "R7"
    assert refused.link is not None
    assert (refused.link.kind, refused.link.id) == ("ledger", refused.inputs["line"])


def test_deferrals_are_told_one_by_one_with_the_cap_that_was_full(hotel: Hotel) -> None:
    publish(hotel)
    publish(hotel, LETTER.replace("workflow: letter", "workflow: other").replace("wait: 1 day", "wait: 23 hours"))
    hotel.report("consent.granted", contact=guest("ugo"), data={"topic": "offers", **YES, "confirmed_at":
        hotel.clock.now().isoformat()})  # fmt: skip
    hotel.report("booking.confirmed", contact=guest("ugo"), booking=stay("U-1", 30, 2))
    hotel.after(timedelta(days=3))
    told = why(hotel, "ugo", "letter")
    assert codes(told, "gate") == ["cap", "allowed"]
    put_off = next(one for one in told.decisions if one.code == "cap")
    assert put_off.rule == "R46"
    assert "1 today" in put_off.sentence["en"]
    assert "at most 1 a day" in put_off.sentence["en"]
    assert "Judged again 12 Mar 2026, 08:00" in put_off.sentence["en"]


def test_what_happens_next_is_told_with_what_the_gate_would_say_now(hotel: Hotel) -> None:
    publish(hotel, LETTER.replace("wait: 1 day", "wait: 12 hours"))
    hotel.report("consent.granted", contact=guest("ugo"), data={"topic": "offers", **YES, "confirmed_at":
        hotel.clock.now().isoformat()})  # fmt: skip
    hotel.report("booking.confirmed", contact=guest("ugo"), booking=stay("U-1", 30, 2))
    hotel.after(timedelta(hours=12, minutes=5))
    told = why(hotel, "ugo", "letter")
    waits, message = [one for one in told.decisions if one.stage == "next"]
    assert waits.code == "due"
    assert waits.sentence["en"] == "Goes on from “eve” 8 Apr 2026, 16:00"
    assert message.code == "deferred"
    assert "Judged now: put off: quiet hours" in message.sentence["en"]
    assert [check.allowed for check in message.checks][-1] is False


def test_a_message_is_told_up_to_its_own_end_and_no_further(hotel: Hotel) -> None:
    season(hotel)
    first = hotel.messages(template="booking-confirmation")[0]
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        told = explain(session, None, hotel.clock.now(), message_id=first.id)
    assert codes(told)[:2] == ["event", "entered"]
    assert [one.stage for one in told.decisions][-1] in {"delivery", "returned"}
    assert "waited" not in codes(told), "what the passage did afterwards is not this message's story"


def test_what_does_not_exist_is_said_by_name(hotel: Hotel) -> None:
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        with pytest.raises(NobodyError, match="no contact 'nobody'"):
            find_contact(session, "nobody")
        hotel.report("contact.updated", contact=guest("nina"), data={"first_name": "Nina"})
        nina = find_contact(session, "nina")
        assert find_contact(session, "NINA@example.com") == find_contact(session, str(nina)) == nina
        with pytest.raises(NobodyError, match="no workflow 'nothing'"):
            explain(session, nina, hotel.clock.now(), workflow="nothing")
        with pytest.raises(NobodyError, match="no message 77"):
            explain(session, nina, hotel.clock.now(), message_id=77)


def test_the_workflows_a_person_has_met_are_those_that_ever_decided_anything(hotel: Hotel) -> None:
    season(hotel)
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        assert met(session, find_contact(session, "dora")) == ["pre-arrival"]
        assert sorted(met(session, find_contact(session, "sara"))) == ["abandoned-booking", "newsletter-welcome"]


def test_a_paused_and_an_archived_workflow_say_so(hotel: Hotel) -> None:
    season(hotel)
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        row = session.scalars(select(Workflow).where(Workflow.name == "pre-arrival")).one()
        row.status = "paused"
    assert "paused" in codes(why(hotel, "giulia", "pre-arrival"), "next")
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        session.scalars(select(Workflow).where(Workflow.name == "pre-arrival")).one().status = "archived"
    assert codes(why(hotel, "dora", "pre-arrival"), "workflow") == ["archived"]


def test_it_costs_the_same_few_queries_however_long_the_story(hotel: Hotel) -> None:
    season(hotel)
    with _counted(hotel) as statements:
        why(hotel, "giulia", "pre-arrival")
    assert len(statements) <= QUERIES + 1, "\n".join(statements)
    with _counted(hotel) as few:
        why(hotel, "dora", "pre-arrival")
    assert len(few) <= len(statements)


@contextmanager
def _counted(hotel: Hotel) -> Iterator[list[str]]:
    statements: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if "set_config" not in statement:
            statements.append(statement)

    event.listen(hotel.house.database.engine, "before_cursor_execute", note)
    yield statements
    event.remove(hotel.house.database.engine, "before_cursor_execute", note)


def test_a_decision_is_plain_json_with_both_languages(hotel: Hotel) -> None:
    season(hotel)
    shown = why(hotel, "giulia", "pre-arrival").as_json()
    assert shown["contact"] == "giulia"
    assert shown["zone"] == "Europe/Rome"
    assert all(set(one["sentence"]) == {"en", "it"} for one in shown["decisions"])
    assert isinstance(why(hotel, "giulia", "pre-arrival").decisions[0], Decision)
