"""Purposes and channels are apart (R3, R19): in the fold, at the gate, in conditions."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest

from app.audience import facts as audience
from app.audience.facts import Who
from app.consent.fold import PURPOSES, Key, Line, State, fold, words
from app.consent.policy import Policy
from app.consent.rules import block_classes, decide, may_profile, may_track
from tests.consent.conftest import Book
from tests.consent.people import ADDRESS, NOON, facts, request, state
from tests.factories import Factory

PHONE = "+39032330416"
CHANNELS = ("email", "sms", "whatsapp", "push")
PAIRS = list(product(CHANNELS, CHANNELS))
OPEN = Policy(senders=frozenset(CHANNELS))
"""A house that can send over every channel: only consent is left to say no."""


def where(channel: str) -> str:
    """The address on a channel."""
    return ADDRESS if channel == "email" else PHONE


def yes(channel: str, purpose: str = "marketing") -> dict[Key, State]:
    """A yes to one purpose over one channel."""
    return {(where(channel), channel, purpose, "offers" if purpose == "marketing" else None): state()}


@pytest.mark.parametrize(("given", "asked"), PAIRS)
def test_r19_a_yes_on_one_channel_says_nothing_of_another(given: str, asked: str) -> None:
    person = facts(yes(given), address=where(asked))
    decision = decide(request(channel=asked), person, NOON, OPEN)
    assert decision.allowed is (given == asked)
    assert (decision.basis == "consent") is (given == asked)
    shown = block_classes(replace(request("transactional"), channel=asked, topic="offers"), person, NOON, OPEN)
    assert ("marketing" in shown) is (given == asked)


@pytest.mark.parametrize(("given", "asked"), PAIRS)
def test_r3_a_no_to_a_topic_on_one_channel_leaves_the_yes_on_another(given: str, asked: str) -> None:
    refused: dict[Key, State] = {(where(given), given, "marketing", "offers"): state("withdrawn", at=NOON)}
    person = facts({**yes(asked), **refused}, address=where(asked))
    assert decide(request(channel=asked), person, NOON, OPEN).allowed is (given != asked)


@pytest.mark.parametrize(("given", "asked"), PAIRS)
def test_r3_tracking_and_profiling_are_granted_for_each_channel(given: str, asked: str) -> None:
    tracked = facts(yes(given, "open_tracking"), address=where(asked))
    profiled = facts(yes(given, "profiling"), address=where(asked))
    assert may_track(tracked, asked) is (given == asked)
    assert may_profile(profiled, asked) is (given == asked)
    assert not may_track(profiled, asked)
    assert not may_profile(tracked, asked)


def test_r19_an_objection_is_the_persons_and_reaches_every_channel() -> None:
    objected: dict[Key, State] = {(ADDRESS, "email", "marketing", None): state("objected", at=NOON)}
    assert decide(request(channel="sms"), facts({**yes("sms"), **objected}, address=PHONE), NOON, OPEN).rule == "R10"


@pytest.mark.parametrize(("said", "other"), [pair for pair in product(PURPOSES, PURPOSES) if pair[0] != pair[1]])
def test_r3_no_purpose_implies_another_in_the_fold(said: str, other: str) -> None:
    topic = "offers" if said == "marketing" else None
    states = fold([Line(1, ADDRESS, "email", said, topic, "granted", "web", NOON, True)])
    assert {key[2] for key in states} == {said}
    assert (other if other != "marketing" else "offers") not in words(states, ADDRESS)


def test_r3_the_notice_read_is_no_word_that_a_condition_could_take_for_a_consent() -> None:
    states = fold([Line(1, ADDRESS, "email", "notice", None, "granted", "web", NOON, True)])
    assert states[ADDRESS, "email", "notice", None].granted
    assert words(states, ADDRESS) == {}


def test_r19_conditions_speak_of_consent_by_mail_alone(book: Book, make: Factory) -> None:
    anna = make.contact(email=ADDRESS, phone=PHONE)
    book.write(anna.id, address=PHONE, channel="sms")
    book.write(anna.id, address=ADDRESS, topic="newsletter")
    seen = audience.load(book.session, [Who(anna.id)], book.clock.now())[Who(anna.id)]
    assert seen["consent"] == {"newsletter": "granted"}
