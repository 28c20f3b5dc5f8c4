"""`flask broadcasts`: counted, confirmed by the number, shown, stopped."""

from __future__ import annotations

from datetime import timedelta

from app.cli.broadcasts import group
from tests.hotel import Hotel
from tests.messages.broadcasts import TEMPLATE, people


def run(hotel: Hotel, *words: str) -> tuple[int, str]:
    result = hotel.client.application.test_cli_runner().invoke(group, [*words])
    return result.exit_code, result.output


def test_one_is_sent_after_its_number_is_confirmed_and_tells_what_became_of_it(hotel: Hotel) -> None:
    people(hotel, ["anna", "bruno"])
    people(hotel, ["carla"], willing=False)
    assert "There is none yet" in run(hotel, "list")[1]
    code, told = run(hotel, "send", TEMPLATE, "--people", "3")
    assert code == 1
    assert "In the segment: 3. Would get it: 2." in told
    assert "1  no_consent: There is no consent for this." in told
    assert "another_number" in told
    code, told = run(hotel, "send", TEMPLATE, "--people", "2")
    assert (code, "Broadcast 2 is on its way." in told) == (0, True)
    hotel.after(timedelta(minutes=1))
    shown = run(hotel, "show", "2")[1]
    assert "state: sent" in shown
    assert "sent: 2" in shown
    assert "no_consent" in shown
    assert "sent" in run(hotel, "list")[1]


def test_a_scheduled_one_is_stopped_and_nothing_goes(hotel: Hotel) -> None:
    people(hotel, ["anna"])
    assert "is scheduled" in run(hotel, "send", TEMPLATE, "--at", "2026-03-12T10:00", "--people", "1")[1]
    assert "Stopped. 0 had been sent" in run(hotel, "stop", "1")[1]
    hotel.after(timedelta(days=3))
    assert hotel.messages() == []
    assert run(hotel, "stop", "1")[0] == 1
    assert run(hotel, "show", "9")[0] == 1
    assert run(hotel, "send", TEMPLATE, "--at", "tomorrow")[0] == 2
