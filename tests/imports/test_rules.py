"""What an import may never do, each rule by its number."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.consent import chain, ledger
from app.consent.bases import basis_of
from app.consent.case import Case, ConsentFacts, Purchase, Request
from app.consent.fold import grant
from app.consent.ledger import Act, Barred
from app.consent.models import ConsentRecord
from app.contacts.models import Contact
from app.imports import columns
from app.messages.models import Message
from tests.factories import Factory
from tests.imports.lists import NOW, PROVEN, checked, csv, person, rows, state, taken, word

YES = "ada@example.com,yes,website form,v3,2024-03-14 09:12,2024-03-14 09:14"


def test_r5_a_yes_with_all_its_proof_is_granted_and_the_line_keeps_it(hall: Session) -> None:
    one = taken(hall, csv(PROVEN + ",Optin IP,Confirm IP,Consent page", YES + ",192.0.2.1,192.0.2.2,/newsletter"))
    assert word(hall, "ada@example.com") == "granted"
    (line,) = hall.scalars(select(ConsentRecord)).all()
    assert line.method == "import"
    assert line.proof == {
        "source": "website form",
        "wording_version": "v3",
        "ip": "192.0.2.1",
        "confirmed_ip": "192.0.2.2",
        "page": "/newsletter",
        "import_file": f"{one.id}:{one.file_hash[:16]}",
        "import_row": 1,
    }
    assert line.requested_at.isoformat() == "2024-03-14T08:12:00+00:00", "read by the property's clock"
    assert line.confirmed_at is not None
    assert chain.broken(hall) is None


@pytest.mark.parametrize(
    ("row", "missing"),
    [
        ("ada@example.com,yes,,v3,2024-03-14,2024-03-14", "no_source"),
        ("ada@example.com,yes,website form,,2024-03-14,2024-03-14", "no_wording_version"),
        ("ada@example.com,yes,website form,v3,,", "no_date"),
        ("ada@example.com,yes,,,,", "no_source"),
    ],
)
def test_r16_a_row_without_source_or_proof_enters_as_service_only(hall: Session, row: str, missing: str) -> None:
    one = taken(hall, csv(PROVEN, row))
    assert person(hall, "ada@example.com") is not None, "the person is taken in"
    (kept,) = rows(hall, one)
    assert (kept.verdict, kept.permission) == ("new", "service_only")
    assert missing in [code for code, _ in kept.notes]
    assert hall.scalar(select(func.count()).select_from(ConsentRecord)) == 0, "no permission of any kind"


def test_r16_a_soft_opt_in_never_stands_on_an_import(hall: Session) -> None:
    taken(hall, csv(PROVEN, "ada@example.com,yes,,,,"))
    ada = person(hall, "ada@example.com")
    assert ada is not None
    facts = ConsentFacts(
        address="ada@example.com",
        states=ledger.current(hall, [ada.id]).get(ada.id, {}),
        property_zone="Europe/Rome",
        purchases=(Purchase(1, "confirmed", 42_000, "direct", NOW.date()),),
    )
    request = Request(1, "marketing", "email", "offers", NOW)
    assert basis_of(Case(request, facts, NOW)).name is None


def test_r6_a_yes_that_nobody_confirmed_is_pending_and_permits_nothing(hall: Session) -> None:
    one = taken(hall, csv(PROVEN, "ada@example.com,yes,website form,v3,2024-03-14,"))
    assert rows(hall, one)[0].permission == "pending"
    assert word(hall, "ada@example.com") == "pending"


def test_r6_a_signed_scan_stands_in_for_the_confirmation(hall: Session) -> None:
    taken(hall, csv(PROVEN + ",Scan id", "ada@example.com,yes,front desk,v3,2024-03-14,,scan-12"))
    assert word(hall, "ada@example.com") == "granted"


@pytest.mark.parametrize("state_", ["withdrawn", "objected", "denied"])
def test_r10_an_import_never_lifts_a_no_however_new_it_claims_to_be(hall: Session, make: Factory, state_: str) -> None:
    ada = make.contact(email="ada@example.com")
    ledger.append(hall, [Act(ada.id, "ada@example.com", "email", "marketing", None, state_, "one_click", NOW)], NOW)
    later = NOW + timedelta(days=30)
    new = "ada@example.com,yes,website form,v3,2026-04-01,2026-04-01"
    one = taken(hall, csv(PROVEN, new), later)
    assert word(hall, "ada@example.com") == state_
    assert rows(hall, one)[0].permission == "kept_no"
    assert hall.scalar(select(func.count()).select_from(ConsentRecord)) == 1


def test_x44_an_older_consent_in_the_file_does_not_lift_a_stored_withdrawal(hall: Session, make: Factory) -> None:
    ada = make.contact(email="ada@example.com")
    no = Act(ada.id, "ada@example.com", "email", "marketing", "newsletter", "withdrawn", "one_click", NOW)
    ledger.append(hall, [no], NOW)
    taken(hall, csv(PROVEN, YES), NOW + timedelta(days=1))
    assert word(hall, "ada@example.com") == "withdrawn"


def test_r10_a_no_in_the_file_needs_no_proof_and_ends_an_older_yes(hall: Session) -> None:
    taken(hall, csv(PROVEN, YES))
    one = taken(hall, csv("Email,UNSUB_TIME", "ada@example.com,2025-01-02 10:00:00"), NOW + timedelta(days=1))
    assert rows(hall, one)[0].permission == "refused"
    assert word(hall, "ada@example.com") == "withdrawn"


def test_r37_a_suppressed_address_stays_so_and_its_yes_is_not_taken_over(hall: Session) -> None:
    ledger.suppress(hall, [Barred("email", "ada@example.com", "complaint", "marketing")], NOW)
    one = taken(hall, csv(PROVEN, YES))
    assert rows(hall, one)[0].permission == "kept_no"
    assert word(hall, "ada@example.com") == "nothing"
    assert ledger.suppressed(hall, [("email", "ada@example.com")])


def test_r51_who_was_erased_is_not_taken_in_again(hall: Session) -> None:
    ledger.suppress(hall, [Barred("email", "ada@example.com", "erased")], NOW)
    one = taken(hall, csv(PROVEN, YES))
    (kept,) = rows(hall, one)
    assert (kept.verdict, kept.notes) == ("refused", [["erased", None]])
    assert hall.scalar(select(func.count()).select_from(Contact)) == 0


def test_r12_a_child_is_not_taken_in_as_a_contact(hall: Session) -> None:
    one = taken(hall, csv("Email,Data di nascita", "leo@example.com,04/05/2015", "ada@example.com,04/05/1980"))
    assert [row.verdict for row in rows(hall, one)] == ["refused", "new"]
    assert person(hall, "leo@example.com") is None


def test_r34_a_relay_address_is_for_service_only(hall: Session) -> None:
    one = taken(hall, csv(PROVEN, YES.replace("ada@example.com", "abc123@guest.booking.com")))
    (kept,) = rows(hall, one)
    assert kept.permission == "service_only"
    assert "relay" in [code for code, _ in kept.notes]
    assert hall.scalar(select(func.count()).select_from(ConsentRecord)) == 0


def test_r14_tracking_is_nothing_an_import_can_bring(hall: Session) -> None:
    taken(hall, csv(PROVEN, YES))
    assert hall.scalars(select(ConsentRecord.purpose).distinct()).all() == ["marketing"]


def test_r3_a_yes_to_one_topic_is_no_yes_to_another(hall: Session) -> None:
    taken(hall, csv(PROVEN, YES))
    ada = person(hall, "ada@example.com")
    assert ada is not None
    states = ledger.current(hall, [ada.id])[ada.id]
    assert grant(states, "ada@example.com", "email", "offers") is None
    assert grant(states, "ada@example.com", "email", "newsletter") is not None


def test_r37_mail_that_came_back_elsewhere_is_not_sent_here(hall: Session) -> None:
    taken(hall, csv("Email,Newsletter", "ada@example.com,cleaned"))
    (found,) = ledger.suppressed(hall, [("email", "ada@example.com")])[("email", "ada@example.com")]
    assert found.reason == "hard_bounce"


def test_the_dry_run_says_what_the_real_one_does_and_writes_nothing(hall: Session, make: Factory) -> None:
    make.contact(email="old@example.com", first_name="Old", external_id=None)
    list_ = csv(
        PROVEN + ",First name",
        YES + ",Ada",
        "old@example.com,no,,,,,Olden",
        "nobody,,,,,,",
        "ada@example.com,yes,website form,v3,2024-03-14,2024-03-14,Ada",
        "grace@mailinator.com,pending,fair,v1,2024-05-01,,Grace",
    )
    one = checked(hall, list_, chunk=2)
    expected = one.expected
    assert hall.scalar(select(func.count()).select_from(Contact)) == 1
    assert hall.scalar(select(func.count()).select_from(ConsentRecord)) == 0
    assert state(hall, "old@example.com") is None
    again = taken(hall, list_, chunk=2)
    assert again.tally["verdict"] == expected["verdict"] == {"new": 3, "refused": 1, "repeat": 1}
    assert again.tally["permission"]["pending"] == expected["permission"]["pending"] == 1


@pytest.mark.parametrize("ask", [True, False])
def test_r6_who_never_confirmed_is_asked_once_and_only_where_it_was_wished(hall: Session, ask: bool) -> None:
    row = "ada@example.com,yes,website form,v3,2024-03-14,"
    one = taken(hall, csv(PROVEN, row), ask=ask)
    again = taken(hall, csv(PROVEN, row), NOW + timedelta(hours=1), ask=ask)
    assert word(hall, "ada@example.com") == "pending"
    classes = hall.scalars(select(Message.class_)).all()
    assert classes == (["consent_request"] if ask else [])
    assert (one.tally["asked"], again.tally["asked"]) == (int(ask), 0)
    (line,) = hall.scalars(select(ConsentRecord)).all()
    assert (line.method, line.proof["source"]) == ("import", "website form")
    claimed = "claimed_wording_version" if ask else "wording_version"
    assert line.proof[claimed] == "v3", "whoever is asked reads our own words, and the list's are kept beside them"


def test_r52_a_list_changes_nobody_whose_data_is_restricted_but_its_no_is_taken(hall: Session) -> None:
    taken(hall, csv(PROVEN + ",Nome", YES + ",Ada"))
    ada = person(hall, "ada@example.com")
    assert ada is not None
    ada.frozen_at = NOW
    hall.flush()
    later = NOW + timedelta(days=1)
    again = taken(hall, csv("E-mail,Nome,Tags,Newsletter", "ada@example.com,Ada,vip,"), later)
    (row,) = rows(hall, again)
    assert (row.verdict, [code for code, _ in row.notes][:1], row.contact_id) == ("refused", ["restricted"], ada.id)
    hall.refresh(ada)
    assert (ada.first_name, ada.tags) == ("Ada", [])
    assert word(hall, "ada@example.com") == "granted"
    no = taken(hall, csv("E-mail,Nome,Newsletter", "ada@example.com,Ada,no"), later)
    assert (rows(hall, no)[0].verdict, rows(hall, no)[0].permission) == ("refused", "refused")
    hall.refresh(ada)
    assert (ada.first_name, word(hall, "ada@example.com")) == ("Ada", "denied")


def test_r18_what_stands_under_a_title_of_a_special_category_is_not_kept_for_a_moment(hall: Session) -> None:
    one = checked(hall, csv("E-mail,Nome,Allergie", "ada@example.com,Ada,noci"))
    assert [row.cells for row in rows(hall, one)] == [["ada@example.com", "Ada", ""]]


def test_r12_nor_is_what_tells_of_a_child_and_no_column_can_mean_it(hall: Session) -> None:
    one = checked(hall, csv("E-mail,Data di nascita figlio,Nome bambino", "ada@example.com,2019-08-11,Luca"))
    assert [row.cells for row in rows(hall, one)] == [["ada@example.com", "", ""]]
    with pytest.raises(columns.MappingError) as found:
        columns.checked(columns.Reading(("email", "attribute:child_birth_date")), columns.Known())
    assert found.value.problems == {"1": "child"}
