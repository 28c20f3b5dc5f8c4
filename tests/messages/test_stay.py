"""The stay as a calendar file: it opens, in the hotel's own time, and a later one takes the place of an earlier."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from app.content.samples import BASE
from app.messages import stay

NOW = datetime(2026, 5, 2, 14, 30, tzinfo=UTC)
PLACE: Mapping[str, Any] = {**BASE["property"], "name": "Hôtel “Lago”, Stresa; riva"}


def file(booking: Mapping[str, Any] | None = None, place: Mapping[str, Any] | None = None, house: str = "h/1") -> str:
    facts = {"booking": {**BASE["booking"], **(booking or {})}, "property": {**PLACE, **(place or {})}}
    made = stay.of_booking(facts, namespace=house, organizer="ciao@lago.example", now=NOW)
    assert made is not None
    return made


def unfolded(text: str) -> list[str]:
    assert text.endswith("\r\n")
    assert all(len(line.encode()) <= 75 for line in text.split("\r\n"))
    return text.replace("\r\n ", "").split("\r\n")[:-1]


def event(text: str) -> dict[str, str]:
    """The entry's properties; those of the zone are left out."""
    lines = unfolded(text)
    inside = lines[lines.index("BEGIN:VEVENT") + 1 : lines.index("END:VEVENT")]
    return dict(line.split(":", 1) for line in inside)


def shown(value: str) -> str:
    """A text as a calendar shows it."""
    signs = {"\\n": "\n", "\\,": ",", "\\;": ";", "\\\\": "\\"}
    out, at = "", 0
    while at < len(value):
        pair = value[at : at + 2]
        out, at = (out + signs[pair], at + 2) if pair in signs else (out + value[at], at + 1)
    return out


def test_the_stay_begins_and_ends_by_the_hotels_clock() -> None:
    found = event(file())
    assert found["DTSTART;TZID=Europe/Rome"] == "20260612T150000"
    assert found["DTEND;TZID=Europe/Rome"] == "20260615T110000"
    assert (found["DTSTAMP"], found["STATUS"]) == ("20260502T143000Z", "CONFIRMED")
    assert shown(found["SUMMARY"]) == PLACE["name"]
    assert shown(found["LOCATION"]).endswith("Via Lungolago 1, 28838 Stresa, IT")
    assert shown(found["DESCRIPTION"]) == "LM-20417\n+39 0323 000000\nhttps://hotel.example"


def test_the_zone_is_told_with_the_change_of_clock_during_the_stay() -> None:
    lines = unfolded(file({"arrival": date(2026, 10, 24), "departure": date(2026, 10, 26)}))
    zone = lines[lines.index("BEGIN:VTIMEZONE") : lines.index("END:VTIMEZONE") + 1]
    assert zone == [
        *("BEGIN:VTIMEZONE", "TZID:Europe/Rome"),
        *("BEGIN:DAYLIGHT", "DTSTART:20261023T150000", "TZOFFSETFROM:+0200", "TZOFFSETTO:+0200", "TZNAME:CEST"),
        *("END:DAYLIGHT", "BEGIN:STANDARD", "DTSTART:20261025T030000", "TZOFFSETFROM:+0200", "TZOFFSETTO:+0100"),
        *("TZNAME:CET", "END:STANDARD", "END:VTIMEZONE"),
    ]


def test_a_hotel_that_says_no_times_gives_whole_days_with_the_day_of_leaving() -> None:
    found = event(file(place={"checkin_from": None}))
    assert (found["DTSTART;VALUE=DATE"], found["DTEND;VALUE=DATE"]) == ("20260612", "20260616")
    assert "VTIMEZONE" not in file(place={"checkin_from": None})


def test_a_later_file_of_a_booking_replaces_the_entry_and_a_cancelled_one_takes_it_out() -> None:
    first, later = event(file({"revision": 1})), event(file({"revision": 3, "status": "cancelled"}))
    assert first["UID"] == later["UID"] != event(file({"reference": "LM-2"}))["UID"]
    assert first["UID"] != event(file(house="h/2"))["UID"]
    assert (first["SEQUENCE"], later["SEQUENCE"], later["STATUS"]) == ("1", "3", "CANCELLED")


def test_without_an_arrival_there_is_no_file() -> None:
    for booking in (None, {"reference": "A-1", "kind": "order", "arrival": None}):
        facts = {"booking": booking, "property": PLACE}
        assert stay.of_booking(facts, namespace="h/1", organizer="a@b.example", now=NOW) is None


@given(st.text(max_size=200), st.text(max_size=40), st.integers(0, 400))
def test_whatever_a_hotel_is_called_its_file_keeps_its_shape(name: str, reference: str, nights: int) -> None:
    arrival = date(2026, 6, 12)
    text = file(
        {"reference": reference, "arrival": arrival, "departure": arrival + timedelta(days=nights)}, {"name": name}
    )
    heads = [line.partition(":")[0].partition(";")[0] for line in unfolded(text)]
    assert heads.count("BEGIN") == heads.count("END") == text.count("\r\nBEGIN:") + 1
    assert set(heads) <= {
        *("BEGIN", "END", "VERSION", "PRODID", "METHOD", "TZID", "DTSTART", "TZOFFSETFROM", "TZOFFSETTO", "TZNAME"),
        *("UID", "DTSTAMP", "SEQUENCE", "ORGANIZER", "SUMMARY", "DTEND", "STATUS", "TRANSP", "LOCATION", "DESCRIPTION"),
    }
