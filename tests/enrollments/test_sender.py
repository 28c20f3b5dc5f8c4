"""A step that names who its mail comes from: taken, refused, and what happens where that sender may not speak."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from app.delivery import identities
from app.delivery.identities import Given
from app.delivery.models import SenderIdentity
from app.enrollments import catalogue
from app.enrollments.explain import explain, find_contact
from app.journey.places import LanguageError
from app.journey.schema import of_workflows
from tests.enrollments.test_effects import enter, publish
from tests.hotel import Hotel

SPA = "spa@rivaserena.example"
USUAL = "ciao@rivaserena.example"
SOURCE = """\
workflow: under-test
name: { en: Under test, it: In prova }
phase: retention
class: transactional
entry:
  - on: booking.confirmed
key: booking.reference
steps:
  - { id: hello, send: booking-confirmation, sender: SENDER }
"""


def of_spa(hotel: Hotel, **given: Any) -> None:
    """A verified sender of the spa, after the usual one."""
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        fields: dict[str, Any] = {"name": "La spa", "email": SPA, "stream": "service", **given}
        made = identities.save(session, Given(**fields), hotel.clock.now())
        made.verified_at, made.verified_how = hotel.clock.now(), "mail"


def change(hotel: Hotel, **fields: Any) -> None:
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        (spa,) = session.scalars(select(SenderIdentity).where(SenderIdentity.email == SPA))
        for name, value in fields.items():
            setattr(spa, name, value)


def letter(hotel: Hotel) -> tuple[str, dict[str, str], dict[str, Any]]:
    """The address that the step's mail came from, and what is said of its making: the sentence and its inputs."""
    (sent,) = hotel.messages(state="accepted", step_id="hello")
    (mail,) = [one for one in hotel.mails() if str(one["Message-ID"]) == sent.message_id]
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        told = explain(session, find_contact(session, "giulia"), hotel.clock.now(), message_id=sent.id)
    (made,) = [one for one in told.decisions if one.code == "composed"]
    return mail["From"].addresses[0].addr_spec, dict(made.sentence), dict(made.inputs)


def test_the_mail_comes_from_the_sender_that_its_step_names(hotel: Hotel) -> None:
    of_spa(hotel)
    publish(hotel, SOURCE.replace("SENDER", "Spa@RivaSerena.example"))
    enter(hotel)
    hotel.work()
    address, sentence, inputs = letter(hotel)
    assert address == SPA
    assert "spa@" not in sentence["en"]
    assert "sender_not_used" not in inputs


def test_the_other_mails_of_the_house_go_on_coming_from_the_usual_one(hotel: Hotel) -> None:
    of_spa(hotel)
    publish(hotel, SOURCE.replace(", sender: SENDER", ""))
    enter(hotel)
    hotel.work()
    assert letter(hotel)[0] == USUAL


@pytest.mark.parametrize(
    ("later", "why", "italian"),
    [
        ({"stream": "marketing"}, "stream", "serve l'altro flusso"),
        ({"verified_at": None}, "unverified", "non è verificato"),
        ({"active": False}, "unknown", "non c'è più"),
    ],
)
def test_r24_r30_a_sender_that_may_not_speak_is_passed_over_and_the_mail_goes_out(
    hotel: Hotel, later: dict[str, Any], why: str, italian: str
) -> None:
    of_spa(hotel)
    publish(hotel, SOURCE.replace("SENDER", SPA))
    change(hotel, **later)
    enter(hotel)
    hotel.work()
    address, sentence, inputs = letter(hotel)
    assert address == USUAL
    assert inputs["sender_not_used"] == why
    assert f"; from the usual sender, not {SPA}: " in sentence["en"]
    assert sentence["it"].endswith(f"; dal mittente consueto, non {SPA}: {italian}")


def test_a_sender_nobody_has_is_refused_with_the_nearest_and_editors_complete_those_there_are(
    hotel: Hotel,
) -> None:
    of_spa(hotel)
    with pytest.raises(LanguageError) as refused:
        publish(hotel, SOURCE.replace("SENDER", "sap@rivaserena.example"))
    (problem,) = refused.value.problems
    assert (problem.code, problem.cure) == ("unknown-sender", f"did you mean {SPA}?")
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        known = catalogue.known(session)
    field = of_workflows(known)["$defs"]["Send"]["properties"]["sender"]
    assert field["enum"] == sorted([SPA, USUAL, "novita@news.rivaserena.example"])
