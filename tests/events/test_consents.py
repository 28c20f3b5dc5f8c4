"""Reported consent becomes lines of the ledger, and never more than its proof allows."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.consent import chain, ledger
from app.consent.fold import State
from app.consent.models import ConsentRecord
from app.contacts.models import Contact
from app.events.catalogue import BY_NAME
from app.events.consents import PROOF
from app.events.incoming import Verdict
from tests.events.feed import NOW, event, report

YES: dict[str, Any] = {"topic": "newsletter", "method": "web", "wording": "Sì", "wording_version": "1", "page": "/"}
CONFIRMED: dict[str, Any] = {**YES, "confirmed_at": NOW.isoformat()}


def told(session: Session, what: str, data: dict[str, Any], *, name: str = "c-1", minutes: int = 0) -> Verdict:
    """One `consent.<what>` of Giulia."""
    (verdict,) = report(session, [event(name, f"consent.{what}", minutes=minutes, data=data)])
    return verdict


def state(session: Session, topic: str | None = "newsletter", purpose: str = "marketing") -> State | None:
    """What holds for Giulia's address now."""
    person = session.scalars(select(Contact)).one()
    held = ledger.current(session, [person.id]).get(person.id, {})
    return held.get(("giulia@example.com", "email", purpose, topic))


def test_a_confirmed_consent_is_granted_with_its_proof(session: Session) -> None:
    assert told(session, "granted", CONFIRMED).warnings == ()
    found = state(session)
    assert found is not None
    assert found.granted
    line = session.scalars(select(ConsentRecord)).one()
    assert line.proof == {"wording": "Sì", "wording_version": "1", "page": "/", "source_id": 1, "event_id": "c-1"}
    assert chain.broken(session) is None


@pytest.mark.parametrize("method", ["web", "desk_tablet", "phone", "staff"])
def test_a_consent_that_nobody_confirmed_is_pending(session: Session, method: str) -> None:
    verdict = told(session, "granted", {**YES, "method": method})
    assert "pending" in verdict.warnings[0].detail
    found = state(session)
    assert found is not None
    assert found.state == "pending"


def test_a_request_stays_pending_even_with_a_confirmation_in_it(session: Session) -> None:
    told(session, "requested", CONFIRMED)
    found = state(session)
    assert found is not None
    assert found.state == "pending"


def test_without_the_wordings_version_a_yes_permits_nothing(session: Session) -> None:
    verdict = told(session, "granted", {"topic": "newsletter", "method": "api"})
    assert "wording_version" in verdict.warnings[0].detail
    found = state(session)
    assert found is not None
    assert not found.granted


def test_a_yes_dated_ahead_does_not_outlive_a_later_no(session: Session) -> None:
    ahead = {**YES, "confirmed_at": (NOW + timedelta(days=400)).isoformat()}
    told(session, "granted", ahead, minutes=60)
    (verdict,) = report(
        session,
        [event("c-2", "consent.withdrawn", minutes=61, data={"topic": "newsletter"})],
        now=NOW + timedelta(minutes=61),
    )
    assert verdict.status == "accepted"
    found = state(session)
    assert found is not None
    assert found.state == "withdrawn"


@pytest.mark.parametrize("no_first", [True, False])
def test_a_late_yes_does_not_lift_a_no_that_is_newer(session: Session, no_first: bool) -> None:
    yes = ("granted", {**YES, "confirmed_at": (NOW - timedelta(hours=2)).isoformat()}, "c-1", -120)
    no = ("withdrawn", {"topic": "newsletter"}, "c-2", -60)
    for what, data, name, minutes in (no, yes) if no_first else (yes, no):
        told(session, what, data, name=name, minutes=minutes)
    found = state(session)
    assert found is not None
    assert found.state == "withdrawn"


@pytest.mark.parametrize(
    ("data", "pointer"),
    [
        ({"purpose": "everything"}, "/events/0/data/purpose"),
        ({"purpose": []}, "/events/0/data/purpose"),
        ({"method": "telepathy"}, "/events/0/data/method"),
        ({"channel": "fax"}, "/events/0/data/channel"),
        ({"channel": "sms"}, "/events/0/contact"),
        ({"topic": 5}, "/events/0/data/topic"),
        ({"purpose": "profiling", "topic": "newsletter"}, "/events/0/data/topic"),
    ],
)
def test_what_cannot_stand_in_the_ledger_is_recorded_and_warned_of(
    session: Session, data: dict[str, Any], pointer: str
) -> None:
    verdict = told(session, "granted", {**CONFIRMED, "topic": None, **data})
    assert (verdict.status, verdict.warnings[0].pointer) == ("accepted", pointer)
    assert session.scalars(select(ConsentRecord)).all() == []


def test_odd_proof_is_left_out_and_the_rest_stands(session: Session) -> None:
    verdict = told(session, "granted", {**CONFIRMED, "page": 1.5, "requested_at": "soon", "ip": {"v": 4}})
    assert sorted(warning.pointer for warning in verdict.warnings) == [
        "/events/0/data/ip",
        "/events/0/data/page",
        "/events/0/data/requested_at",
    ]
    line = session.scalars(select(ConsentRecord)).one()
    assert "page" not in line.proof
    assert isinstance(line.requested_at, datetime)


def test_r5_every_field_of_the_proof_is_accepted_and_kept(session: Session) -> None:
    proof: dict[str, Any] = {name: f"a {name}" for name in PROOF}
    proof |= {"refusal_offered": True, "recovery_mentioned": False}
    data = {**proof, "topic": "newsletter", "method": "web", "confirmed_at": NOW.isoformat()}
    assert told(session, "granted", {**data, "requested_at": (NOW - timedelta(minutes=5)).isoformat()}).warnings == ()
    line = session.scalars(select(ConsentRecord)).one()
    assert line.proof == {**proof, "source_id": 1, "event_id": "c-1"}
    assert (line.requested_at, line.confirmed_at) == (NOW - timedelta(minutes=5), NOW)
    assert set(PROOF) >= {field.name for field in BY_NAME["consent.granted"].fields} - {
        *("purpose", "topic", "channel", "method", "requested_at", "confirmed_at", "ask")
    }


@pytest.mark.parametrize(
    ("data", "missing"),
    [
        ({}, "wording_version, confirmed_at are missing"),
        ({"wording_version": "1"}, "confirmed_at is missing"),
        ({"method": "paper", "wording_version": "1"}, "scan_id is missing"),
        ({"method": "api"}, "wording_version is missing"),
        ({"method": "import"}, "wording_version, source, import_file, confirmed_at are missing"),
        ({"method": "pms_sync", "wording_version": "1", "import_file": "x"}, "source, confirmed_at are missing"),
    ],
)
def test_r5_a_yes_that_lacks_proof_is_kept_as_what_it_is_and_the_answer_names_what_is_missing(
    session: Session, data: dict[str, Any], missing: str
) -> None:
    verdict = told(session, "granted", {"topic": "newsletter", **data})
    assert verdict.status == "accepted"
    assert missing in verdict.warnings[-1].detail
    found = state(session)
    assert found is not None, "it is kept"
    assert not found.granted, "it permits nothing"
    assert session.scalars(select(ConsentRecord)).one().proof["event_id"] == "c-1"


def test_a_refusal_is_a_no_of_its_own_kind(session: Session) -> None:
    assert told(session, "denied", {"topic": "newsletter", "method": "desk_tablet"}).warnings == ()
    found = state(session)
    assert found is not None
    assert (found.state, found.refused_state) == ("denied", "denied")


def test_r10_an_objection_is_to_all_marketing(session: Session) -> None:
    told(session, "granted", CONFIRMED)
    assert told(session, "objected", {"method": "phone"}, name="c-2", minutes=3).warnings == ()
    found = state(session, None)
    assert found is not None
    assert found.state == "objected"
    (warning,) = told(session, "objected", {"topic": "newsletter"}, name="c-3", minutes=4).warnings
    assert "all marketing" in warning.cure


def test_the_same_event_twice_and_the_same_act_under_another_id_change_nothing(session: Session) -> None:
    for name in ("c-1", "c-1", "c-2"):
        told(session, "granted", CONFIRMED, name=name)
    assert len(session.scalars(select(ConsentRecord)).all()) == 2
    found = state(session)
    assert found is not None
    assert found.granted


def test_r3_each_channel_and_purpose_is_a_consent_of_its_own(session: Session) -> None:
    contact = {"email": "giulia@example.com", "phone": "+393331234567"}
    sms = event("c-1", "consent.granted", contact=contact, data={**CONFIRMED, "channel": "sms"})
    profiling = {**CONFIRMED, "topic": None, "purpose": "profiling"}
    report(session, [sms, event("c-2", "consent.granted", contact=contact, data=profiling)])
    person = session.scalars(select(Contact)).one()
    held = {key: one.granted for key, one in ledger.current(session, [person.id])[person.id].items()}
    assert held == {
        ("+393331234567", "sms", "marketing", "newsletter"): True,
        ("giulia@example.com", "email", "profiling", None): True,
    }
