"""An import is taken back as far as nobody has said or done anything since; what could not be is counted."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.consent import chain, ledger
from app.consent.ledger import Act
from app.consent.models import ConsentRecord, ConsentWords
from app.contacts.models import Contact
from app.events.models import Event
from app.imports import desk, stage
from app.imports.desk import NotNowError
from app.imports.models import ImportRow
from tests.events.feed import event, report
from tests.factories import Factory
from tests.imports.lists import NOW, PROVEN, csv, person, taken, undone, word, work

YES = "ada@example.com,yes,website form,v3,2024-03-14 09:12,2024-03-14 09:14"
LATER = NOW + timedelta(days=2)


@pytest.mark.parametrize("chunk", [1, 2, 2_000])
def test_whom_only_the_import_brought_goes_again(hall: Session, chunk: int) -> None:
    one = taken(hall, csv("Email,Nome", "ada@example.com,Ada", "ada@example.com,Ada", "bob@example.com,Bob"))
    assert hall.scalar(select(func.count()).select_from(Event)) == 2
    assert undone(hall, one, LATER, chunk) == {"removed": 2}
    assert hall.scalar(select(func.count()).select_from(Contact)) == 0
    assert hall.scalar(select(func.count()).select_from(Event)) == 0


def test_whom_something_has_happened_to_since_stays_whole(hall: Session, make: Factory) -> None:
    one = taken(hall, csv("Email,Nome", "ada@example.com,Ada", "bob@example.com,Bob", "eve@example.com,Eve"))
    ada, bob = person(hall, "ada@example.com"), person(hall, "bob@example.com")
    assert ada is not None
    assert bob is not None
    make.booking(ada)
    report(hall, [event("e-1", "page.viewed", contact={"email": "bob@example.com"})])
    assert undone(hall, one, LATER) == {"kept": 2, "removed": 1}
    kept = person(hall, "ada@example.com")
    assert kept is not None
    assert kept.first_name == "Ada", "who is kept is kept whole"


@pytest.mark.parametrize("chunk", [1, 2_000])
def test_changed_fields_go_back_where_nothing_newer_was_said(hall: Session, chunk: int) -> None:
    start = event("e-1", "contact.updated", contact={"email": "ada@example.com", "last_name": "King", "language": "en"})
    report(hall, [start])
    list_ = csv(
        "Email,Cognome,Lingua,Città,Tags",
        "ada@example.com,King,it,Stresa,vip",
        "ada@example.com,King,it,Verbania,lago",
    )
    one = taken(hall, list_, NOW + timedelta(hours=1))
    ada = person(hall, "ada@example.com")
    assert ada is not None
    assert (ada.language, ada.attributes, ada.tags) == ("it", {"city": "Verbania"}, ["lago", "vip"])
    newer = event("e-2", "contact.updated", minutes=120, contact={"email": "ada@example.com", "language": "de"})
    report(hall, [newer], now=NOW + timedelta(hours=2))
    done = undone(hall, one, LATER, chunk)
    ada = person(hall, "ada@example.com")
    assert ada is not None
    assert (ada.language, ada.attributes, ada.tags, ada.last_name) == ("de", {}, [], "King")
    assert done["newer"] == 1


def test_permission_ends_by_a_new_line_and_none_is_deleted(hall: Session, make: Factory) -> None:
    make.contact(email="ada@example.com")
    one = taken(hall, csv(PROVEN, YES))
    assert word(hall, "ada@example.com") == "granted"
    assert undone(hall, one, LATER)["ended"] == 1
    assert word(hall, "ada@example.com") == "expired"
    states = hall.scalars(select(ConsentRecord.state).order_by(ConsentRecord.line)).all()
    assert states == ["granted", "expired"]
    assert chain.broken(hall) is None


def test_the_persons_own_yes_outlives_the_undoing_of_a_copy_of_it(hall: Session, make: Factory) -> None:
    ada = make.contact(email="ada@example.com")
    one = taken(hall, csv(PROVEN, YES))
    own = {"wording_version": "1"}
    yes = Act(ada.id, "ada@example.com", "email", "marketing", "newsletter", "granted", "web", NOW, NOW, own)
    ledger.append(hall, [yes], NOW)
    assert undone(hall, one, LATER)["standing"] == 1
    assert word(hall, "ada@example.com") == "granted"


def test_r10_a_no_that_came_with_the_file_stays(hall: Session, make: Factory) -> None:
    make.contact(email="ada@example.com")
    one = taken(hall, csv("Email,Newsletter", "ada@example.com,no"))
    assert undone(hall, one, LATER) == {"refusals": 1}
    assert word(hall, "ada@example.com") == "denied"


def test_who_is_removed_leaves_the_ledger_and_nothing_else(hall: Session) -> None:
    one = taken(hall, csv(PROVEN, YES))
    undone(hall, one, LATER)
    assert hall.scalar(select(func.count()).select_from(ConsentRecord)) == 2
    assert hall.scalar(select(func.count()).select_from(ConsentWords)) == 0
    assert chain.broken(hall) is None


def test_after_thirty_days_the_rows_are_gone_and_it_can_no_more_be_undone(hall: Session) -> None:
    one = taken(hall, csv("Email", "ada@example.com"))
    after = NOW + stage.FORGET_AFTER
    work(hall, after)
    assert hall.scalar(select(func.count()).select_from(ImportRow)) == 0
    with pytest.raises(NotNowError) as refused:
        desk.undo(hall, one.id, after)
    assert refused.value.code == "forgotten"
    assert person(hall, "ada@example.com") is not None


def test_a_file_that_nobody_takes_in_is_forgotten_after_a_week(hall: Session) -> None:
    one = desk.receive(hall, "list.csv", csv("Email", "ada@example.com"), "Anna", NOW)
    work(hall, NOW + stage.FORGET_UNUSED_AFTER)
    assert one.state == "discarded"
    assert hall.scalar(select(func.count()).select_from(ImportRow)) == 0
