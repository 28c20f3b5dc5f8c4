"""Consent in the studio: the ledger, proofs, suppressions and topics."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable
from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from app.config import Settings
from app.consent import ledger
from app.consent.ledger import Act, Barred
from app.consent.models import Suppression, Topic
from app.contacts import special
from app.contacts.models import Contact, DataAccess
from app.db import workspace_of
from app.messages import links
from app.messages.links import Ref
from app.messages.models import Message
from app.rights import erasure, proof, sealing
from tests.factories import Factory
from tests.studio.stage import ANALYST, HERE, OWNER, Stage, token


def form(client: FlaskClient, path: str, /, **given: object) -> dict[str, object]:
    """What a form of that page sends."""
    return {"csrf_token": token(client, f"{HERE}{path}"), **given}


def somebody(stage: Stage) -> int:
    """A contact with two lines, the second on another channel."""
    with stage.work() as session:
        now = stage.clock.now()
        anna = Contact(
            workspace_id=stage.workspace_id, email="anna.neri@example.com", email_key="anna.neri@example.com",
            first_name="Anna", last_name="Neri", created_at=now, updated_at=now,
        )  # fmt: skip
        session.add(anna)
        session.flush()  # its number is asked for
        shown = {"wording": "Sì, scrivetemi.", "wording_version": "7", "language": "it"}
        acts = [
            Act(anna.id, "anna.neri@example.com", "email", "marketing", "offers", "granted", "web", now, now, shown),
            Act(anna.id, "+393331234567", "sms", "marketing", "offers", "denied", "desk_tablet", now, None, shown),
        ]
        ledger.append(session, acts, now)
        return anna.id


def test_the_ledger_is_narrowed_by_channel_and_method(stage: Stage, owner: FlaskClient) -> None:
    somebody(stage)
    assert "+393331234567" in owner.get(f"{HERE}/consent?channel=sms").text
    assert "anna.neri@example.com" not in owner.get(f"{HERE}/consent?channel=sms").text
    both = owner.get(f"{HERE}/consent?q=neri&method=web").text
    assert "anna.neri@example.com" in both
    assert "+393331234567" not in both
    assert "No line fits" in owner.get(f"{HERE}/consent?channel=push").text


def test_r51_of_who_was_erased_the_ledger_shows_nothing_but_to_who_answers_for_the_data(
    stage: Stage, owner: FlaskClient
) -> None:
    number = somebody(stage)
    with stage.work() as session:
        line = ledger.history(session, number)[0].line
        erasure.erase(session, number, "person", stage.clock.now())
    analyst = stage.signed_in(ANALYST)
    for path in ("/consent", "/consent?q=anna.neri", f"/consent/lines/{line}"):
        shown = analyst.get(HERE + path).text
        assert "anna.neri@" not in shown, path
        assert "Sì, scrivetemi." not in shown, path
    assert "anna.neri@example.com" not in owner.get(f"{HERE}/consent").text
    assert "anna.neri@example.com" in owner.get(f"{HERE}/consent/lines/{line}").text
    with stage.work() as session:
        (seen,) = session.scalars(select(DataAccess).where(DataAccess.contact_id == number))
        assert (seen.what, seen.by) == ("ledger", OWNER)


def test_r5_the_proof_of_a_person_is_taken_out_signed_and_the_access_is_written_down(
    stage: Stage, owner: FlaskClient
) -> None:
    number = somebody(stage)
    page = f"/audience/contacts/{number}"
    assert "Proof of consent, signed" in owner.get(HERE + page).text
    answer = owner.post(f"{HERE}/consent/proofs/{number}", data=form(owner, page))
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    assert zipfile.ZipFile(io.BytesIO(answer.data)).testzip() is None
    found = proof.checked(answer.data, sealing.public_keys(stage.house.settings))
    assert (found.problems, found.known) == ((), True)
    with stage.work() as session:
        kept = session.scalars(select(DataAccess)).one()
        assert (kept.contact_id, kept.what, kept.by) == (number, "proof", OWNER)


def test_r5_who_only_looks_at_figures_takes_no_proof_out(stage: Stage) -> None:
    number = somebody(stage)
    analyst = stage.signed_in(ANALYST)
    page = f"/audience/contacts/{number}"
    assert "Proof of consent, signed" not in analyst.get(HERE + page).text
    assert analyst.post(f"{HERE}/consent/proofs/{number}", data=form(analyst, page)).status_code == 403
    with stage.work() as session:
        assert session.scalars(select(DataAccess)).all() == []


def test_an_address_is_kept_out_by_hand_with_the_reason_and_found_again(stage: Stage, owner: FlaskClient) -> None:
    given = form(owner, "/consent/suppressions", address=" Lia@Example.COM ", scope="all", why="asked at the desk")
    assert owner.post(f"{HERE}/consent/suppressions", data=given).status_code == 303
    page = owner.get(f"{HERE}/consent/suppressions?q=lia%40example.com").text
    assert "asked at the desk" in page
    assert OWNER in page
    assert "No such entry" in owner.get(f"{HERE}/consent/suppressions?q=other%40example.com").text
    with stage.work() as session:
        assert ledger.suppressed(session, [("email", "lia@example.com")])


def test_what_is_wrong_with_a_suppression_stands_beside_its_field(stage: Stage, owner: FlaskClient) -> None:
    given = form(owner, "/consent/suppressions", address="nobody", scope="some", why="")
    answer = owner.post(f"{HERE}/consent/suppressions", data=given)
    assert answer.status_code == 422
    for name in ("address", "scope", "why"):
        assert f'id="wrong-{name}"' in answer.text
    assert 'value="nobody"' in answer.text


@pytest.mark.parametrize(
    ("reason", "lifted"),
    [("hard_bounce", True), ("soft_bounces", True), ("manual", True), ("unsubscribe", False), ("complaint", False),
     ("erased", False)],
)  # fmt: skip
def test_r37_the_team_lifts_a_dead_address_with_a_reason_and_never_what_a_person_stopped(
    stage: Stage, owner: FlaskClient, reason: str, lifted: bool
) -> None:
    with stage.work() as session:
        ledger.suppress(session, [Barred("email", "lia@example.com", reason)], stage.clock.now())
        number = session.scalars(select(Suppression.id).order_by(Suppression.id.desc())).first()
    path = f"{HERE}/consent/suppressions/{number}/lift"
    nothing = owner.post(path, data=form(owner, "/consent/suppressions", why=" "))
    assert nothing.status_code == 422
    answer = owner.post(path, data=form(owner, "/consent/suppressions", why="mailbox is back"))
    assert answer.status_code == (303 if lifted else 403)
    with stage.work() as session:
        kept = session.scalars(select(Suppression).where(Suppression.id == number)).one()
        assert (kept.lifted_at is not None) is lifted
        assert kept.lifted_why == (f"mailbox is back ({OWNER})" if lifted else None)


WORDS = {
    "title_en": "Wine evenings", "title_it": "Serate del vino",
    "description_en": "Once a month.", "description_it": "Una volta al mese.",
}  # fmt: skip


@pytest.fixture
def listed(stage: Stage) -> Callable[[], list[tuple[str, bool]]]:
    """Names of topics in their order, and whether they are offered."""

    def look() -> list[tuple[str, bool]]:
        with stage.work() as session:
            return [
                (one.name, one.archived_at is None) for one in session.scalars(select(Topic).order_by(Topic.position))
            ]

    return look


def test_a_topic_is_made_worded_moved_archived_and_offered_again(
    stage: Stage, owner: FlaskClient, listed: Callable[[], list[tuple[str, bool]]]
) -> None:
    before = listed()
    path = f"{HERE}/consent/topics"
    assert owner.post(path, data=form(owner, "/consent/topics", name="wine", about="stay", **WORDS)).status_code == 303
    assert listed() == [*before, ("wine", True)]
    changed = WORDS | {"title_it": "Vino & lago"}
    assert owner.post(f"{path}/wine", data=form(owner, "/consent/topics", **changed)).status_code == 303
    with stage.work() as session:
        wine = session.scalars(select(Topic).where(Topic.name == "wine")).one()
        assert (wine.title["it"], wine.about) == ("Vino & lago", [])
    owner.post(f"{path}/wine/up", data=form(owner, "/consent/topics"))
    assert listed()[-2:] == [("wine", True), before[-1]]
    owner.post(f"{path}/wine/archive", data=form(owner, "/consent/topics"))
    assert ("wine", False) in listed()
    assert "No longer offered" in owner.get(path).text
    owner.post(f"{path}/wine/restore", data=form(owner, "/consent/topics"))
    assert ("wine", True) in listed()


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"name": "Wine!"}, "name"),
        ({"name": "profiling"}, "name"),
        ({"name": "offers"}, "name"),
        ({"name": "wine", "title_it": " "}, "title_it"),
        ({"name": "wine", "description_en": "x" * 301}, "description_en"),
    ],
)
def test_what_is_wrong_with_a_topic_stands_beside_its_field(
    stage: Stage, owner: FlaskClient, given: dict[str, str], field: str
) -> None:
    with stage.work() as session:
        if session.scalars(select(Topic).where(Topic.name == "offers")).first() is None:
            session.add(Topic(workspace_id=stage.workspace_id, name="offers", title={}, created_at=stage.clock.now()))
    answer = owner.post(f"{HERE}/consent/topics", data=form(owner, "/consent/topics", **{**WORDS, **given}))
    assert answer.status_code == 422
    assert f'id="wrong-{field}"' in answer.text


def test_r18_special_data_is_shown_to_who_cares_for_the_guest_and_each_look_is_written_down(
    stage: Stage, owner: FlaskClient
) -> None:
    number = somebody(stage)
    with stage.work() as session:
        special.write(session, [special.Told(number, {"allergies": "peanuts"}, "1")], stage.clock.now())
        stay = Factory(session, stage.clock).booking(session.get_one(Contact, (workspace_of(session), number)))
        told = special.Told(number, {"guests": {"1.diet": "kosher"}}, "1", booking_id=stay.id)
        special.write(session, [told], stage.clock.now())
        reference = stay.reference
    contact = f"{HERE}/audience/contacts/{number}"
    assert "peanuts" not in owner.get(contact).text
    assert "kosher" not in owner.get(contact).text
    seen = owner.get(f"{contact}/special").text
    assert re.search(r"<b>guests 1 diet</b>.*kosher", seen), seen
    assert reference in seen
    assert "peanuts" in owner.get(f"{contact}/special").text
    owner.post(
        f"{contact}/special", data=form(owner, f"/audience/contacts/{number}/special", key="allergies", keep="1")
    )
    assert "kept at the wish of the guest" in owner.get(f"{contact}/special").text
    analyst = stage.signed_in(ANALYST)
    assert analyst.get(f"{contact}/special").status_code == 403
    assert "Health, diet" not in analyst.get(contact).text
    with stage.work() as session:
        looks = session.scalars(select(DataAccess.by).where(DataAccess.what == "special")).all()
        assert set(looks) == {OWNER}
        assert len(looks) >= 2


def test_r55_every_proof_and_every_look_names_who_it_was(stage: Stage, owner: FlaskClient) -> None:
    number = somebody(stage)
    page = f"/audience/contacts/{number}"
    owner.post(f"{HERE}/consent/proofs/{number}", data=form(owner, page))
    owner.get(f"{HERE}{page}/special")
    shown = owner.get(f"{HERE}{page}/special").text
    assert shown.count(OWNER) >= 2
    assert "took out the proof of consent" in shown
    with stage.work() as session:
        assert set(session.scalars(select(DataAccess.by))) == {OWNER}


def test_why_people_left_is_counted_by_reason_and_by_the_mail_they_left_by(
    stage: Stage, owner: FlaskClient, settings: Settings
) -> None:
    assert "Nobody has said why" in owner.get(f"{HERE}/consent/reasons").text
    number = somebody(stage)
    with stage.work() as session:
        now = stage.clock.now()
        fields = {"channel": "email", "class_": "marketing", "topic": "offers", "state": "accepted"}
        mails = [
            Message(
                workspace_id=stage.workspace_id, contact_id=number, template=template, visit=1, planned_at=now,
                due_at=now, address="anna.neri@example.com", **fields,
            )
            for template in ("guest-voices", "guest-voices", "room-upgrade")
        ]  # fmt: skip
        session.add_all(mails)
        session.flush()  # their numbers are in the links
        refs = [Ref(stage.workspace_id, number, mail.id) for mail in mails]
    for ref, reason in zip(refs, ("too_often", "too_often", "never_asked"), strict=True):
        path = f"/m/u/{links.sign(settings, 'unsubscribe', ref)}"
        for said in (reason, "other"):  # a second thought on the same mail is not counted twice
            assert owner.post(path, data={"reason": said}).status_code == 200
    page = owner.get(f"{HERE}/consent/reasons?days=30").text
    assert "3 people said why" in page
    assert re.search(r"Too many messages</td><td[^>]*>2</td><td[^>]*>67 %", page)
    assert re.search(r"Never asked for them</td><td[^>]*>1</td><td[^>]*>33 %", page)
    by_mail = page[page.index('id="by-mail"') :]
    assert by_mail.index(">guest-voices<") < by_mail.index(">room-upgrade<")
    stage.clock.advance(timedelta(days=31))
    assert "Nobody has said why" in owner.get(f"{HERE}/consent/reasons?days=30").text
    assert "Too many messages" in owner.get(f"{HERE}/consent/reasons?days=365").text
