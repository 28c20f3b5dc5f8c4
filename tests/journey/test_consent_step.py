"""The step that asks for consent (J01, R6): whom it asks, what counts as the answer, and what an author may write."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from app.journey import advance
from app.journey.advance import AskConsent
from app.journey.carry import carry
from app.journey.consents import REFUSED_FOR, turned_down
from app.journey.entry import Event
from app.journey.flow import flow
from app.journey.known import TemplateInfo
from app.journey.language import LanguageError, read
from app.journey.program import ANSWERS, Program
from tests.journey.kit import NOW, WORLD, Run, begin, facts, program, until_done, workflow_text

ASK = """\
  - id: ask
    consent: { topic: newsletter, up_to: 3 days }
    then: [ { id: yes, send: welcome } ]
    timeout: [ { id: no, send: farewell } ]
  - { id: after, send: last }
"""


@pytest.fixture(scope="module")
def asking() -> Program:
    return program(ASK)


def known(word: str | None = None, *past: Event) -> dict[str, Any]:
    told = [(event.type, event.occurred_at, event.data) for event in past]
    return facts(consent={"newsletter": word} if word else {}, contact_events=told)


def said(type_: str, after: timedelta, **data: Any) -> Event:
    return Event(type_, NOW + after, {"topic": "newsletter", **data})


def asks(run: Run) -> list[AskConsent]:
    return [effect for effect in run.effects if isinstance(effect, AskConsent)]


def hear(run: Run, event: Event, word: str) -> bool:
    """The event is recorded, and the ledger says so."""
    facts_then = known(word, event)
    took = run.take(advance.hear(run.program, run.state, event, facts_then, event.occurred_at))
    run.advance(facts_then, event.occurred_at)
    return took


def test_it_asks_once_and_waits_for_the_answer(asking: Program) -> None:
    run = begin(asking, known())
    [asked] = asks(run)
    assert (asked.topic, asked.template, asked.due, asked.latest) == (
        "newsletter",
        "confirm-subscription",
        NOW,
        NOW + timedelta(days=3),
    )
    assert run.state.waits_for == ANSWERS
    assert asked.message.class_ == "consent_request"
    run.advance(known("pending"), NOW + timedelta(hours=1))
    assert len(asks(run)) == 1
    assert run.sends == []


def test_a_yes_leads_on_from_when_it_was_given(asking: Program) -> None:
    run = begin(asking, known())
    hours = timedelta(hours=5)
    assert hear(run, said("consent.granted", hours), "granted")
    assert run.sent == [("yes", NOW + hours), ("after", NOW + hours)]


@pytest.mark.parametrize(
    "event",
    [
        said("consent.granted", timedelta(hours=1), topic="offers"),
        said("consent.granted", timedelta(hours=1), purpose="profiling"),
        said("consent.granted", timedelta(hours=1)),
    ],
    ids=["of another topic", "for another purpose", "not confirmed yet"],
)
def test_what_is_no_answer_is_passed_over(asking: Program, event: Event) -> None:
    run = begin(asking, known())
    assert not hear(run, event, "pending")
    assert run.state.waits_for == ANSWERS


def test_a_no_leads_to_the_time_out_at_once_with_its_reason(asking: Program) -> None:
    run = begin(asking, known())
    assert hear(run, said("consent.withdrawn", timedelta(hours=2)), "withdrawn")
    assert run.sent == [("no", NOW + timedelta(hours=2)), ("after", NOW + timedelta(hours=2))]
    assert "said_no" in run.codes


def test_a_yes_taken_back_before_it_was_dealt_with_is_a_no(asking: Program) -> None:
    run = begin(asking, known())
    assert hear(run, said("consent.granted", timedelta(hours=2)), "withdrawn")
    assert run.sent[0][0] == "no"


def test_without_an_answer_it_times_out(asking: Program) -> None:
    run = until_done(begin(asking, known()), known("pending"))
    assert run.sent == [("no", NOW + timedelta(days=3)), ("after", NOW + timedelta(days=3))]


def test_who_has_given_it_goes_on_at_once_and_is_not_asked(asking: Program) -> None:
    run = begin(asking, known("granted"))
    assert asks(run) == []
    assert run.sent == [("yes", NOW), ("after", NOW)]


def test_a_yes_nobody_told_of_counts_when_the_time_is_over(asking: Program) -> None:
    run = begin(asking, known())
    run.advance(known("granted"), NOW + timedelta(days=3))
    assert run.sent[0] == ("yes", NOW + timedelta(days=3))


def test_a_worker_that_comes_late_counts_from_the_answer_and_asks_nobody_who_gave_it() -> None:
    late = program("  - { id: first, wait: 1 day }\n" + ASK)
    answer = said("consent.granted", timedelta(days=2))
    run = begin(late, known())
    run.advance(known("granted", answer), NOW + timedelta(days=9))
    assert asks(run) == []
    assert run.sent == [("yes", answer.occurred_at), ("after", answer.occurred_at)]


def test_a_worker_that_comes_after_the_time_asks_nobody_and_times_out() -> None:
    late = program("  - { id: first, wait: 1 day }\n" + ASK)
    run = begin(late, known())
    run.advance(known(), NOW + timedelta(days=9))
    assert asks(run) == []
    assert run.sent[0] == ("no", NOW + timedelta(days=4))


@pytest.mark.parametrize(
    ("why", "step", "code"),
    [
        ("granted", "yes", "heard"),
        ("refused", "no", "not_asked"),
        ("suppressed", "no", "not_asked"),
        ("no_address", "no", "not_asked"),
    ],
)
def test_who_is_not_asked_goes_on_at_once_and_the_trace_says_why(
    asking: Program, why: str, step: str, code: str
) -> None:
    run = begin(asking, known())
    assert run.take(advance.turned_down(asking, run.state, why, known(), NOW))
    run.advance(known(), NOW)
    assert run.sent == [(step, NOW), ("after", NOW)]
    decision = next(one for one in run.trace if one.code == code)
    assert set(decision.sentence) == {"en", "it"}
    assert code == "heard" or decision.inputs["reason"] == why


def test_only_a_passage_that_asks_can_be_turned_down() -> None:
    run = begin(program("  - { id: some-time, wait: 1 day }\n"), known())
    assert advance.turned_down(run.program, run.state, "refused", known(), NOW) is None


def at(days: int) -> datetime:
    return NOW - timedelta(days=days)


def test_r6_a_no_holds_for_180_days_and_one_of_unknown_date_for_ever() -> None:
    assert timedelta(days=180) == REFUSED_FOR
    assert turned_down("withdrawn", at(179), NOW) == "refused"
    assert turned_down("denied", at(181), NOW) is None
    assert turned_down("objected", None, NOW) == "refused"
    assert turned_down("granted", None, NOW) == "granted"
    assert turned_down("pending", None, NOW) is None
    assert turned_down(None, None, NOW) is None
    assert turned_down("pending", None, NOW, asked=at(6)) is None
    assert turned_down("pending", None, NOW, asked=at(8)) == "unanswered"
    assert turned_down("pending", None, NOW, asked=at(181)) is None


def test_a_new_version_keeps_the_question_and_may_change_the_time_and_asks_anew_for_another_topic(
    asking: Program,
) -> None:
    run = begin(asking, known())
    later = NOW + timedelta(hours=1)
    shorter = program(ASK.replace("3 days", "1 day"))
    moved = carry(asking, shorter, run.state, {}, known("pending"), later)
    assert moved is not None
    assert (moved.state.until, moved.state.waits_for, moved.effects) == (NOW + timedelta(days=1), ANSWERS, ())
    other = program(ASK.replace("newsletter", "offers"))
    anew = carry(asking, other, run.state, {}, known("pending"), later)
    assert anew is not None
    again = Run(other, anew.state)
    again.advance(known("pending"), later)
    assert [one.topic for one in asks(again)] == ["offers"]


def test_its_card_shows_both_ways_in_words(asking: Program) -> None:
    card = flow(asking)[0]
    assert (card.kind, [way.kind for way in card.ways]) == ("consent", ["then", "timeout"])
    assert card.sentence["it"] == (
        "Chiedi il consenso a newsletter, da confermare dalla casella di posta, al massimo 3 giorni"
    )
    assert [way.sentence["en"] for way in card.ways] == ["When consent is given", "If it is not given in time"]


def test_without_up_to_it_waits_as_long_as_the_button_works() -> None:
    run = begin(program("  - { id: ask, consent: newsletter }\n"), known())
    assert run.state.until == NOW + timedelta(days=7)


CONFIRM = {"confirm-it": TemplateInfo("confirm-it", "consent_request", languages=("en", "it"))}


@pytest.mark.parametrize(
    ("body", "code", "cure"),
    [
        ("{ topic: newsleter, template: confirm-it }", "unknown-topic", "newsletter"),
        ("{ topic: newsletter, template: confirm-im }", "unknown-template", "confirm-it"),
        ("{ topic: newsletter, template: room-upgrade }", "wrong-class", ""),
        ("{ topic: newsletter, template: confirm-it, up_to: 8 days }", "too-long", "7 days"),
        ("{ topic: newsletter, template: confirm-it, up_to: 1 month }", "too-long", "7 days"),
        ("{ template: confirm-it }", "missing", "topic"),
        ("{ topic: newsletter, templte: confirm-it }", "unknown-key", "template"),
    ],
)
def test_what_is_wrong_is_told_with_a_cure(body: str, code: str, cure: str) -> None:
    world = type(WORLD)(WORLD.events, WORLD.fields, {**(WORLD.templates or {}), **CONFIRM}, WORLD.topics)
    with pytest.raises(LanguageError) as error:
        read(workflow_text(f"  - {{ id: ask, consent: {body} }}\n"), file="w.yaml", known=world)
    [problem] = error.value.problems
    assert problem.code == code
    assert cure in str(problem)


def test_steps_behind_two_ways_out_are_not_reached() -> None:
    steps = """\
  - id: ask
    consent: newsletter
    then: [ { id: a, exit: yes } ]
    timeout: [ { id: b, exit: no } ]
  - { id: never, send: x }
"""
    with pytest.raises(LanguageError, match="nobody comes here"):
        program(steps)
