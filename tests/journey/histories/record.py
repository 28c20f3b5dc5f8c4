"""Record passages through the whole line: a hotel in a database of its own, made-up guests, a clock that jumps.

    python -m tests.journey.histories.record            every life of LIVES
    python -m tests.journey.histories.record moved      only those whose name holds the word

Writes `<life>--<workflow>.json` beside this file; see README.md for when that is right.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from app.clock import FixedClock
from app.demo.seed import found
from app.enrollments import catalogue, follow
from app.house import furnish
from app.journey import advance, entry
from app.journey import program as programs
from app.serve.postgres import CarriedPostgres
from app.serve.valkey import CarriedValkey
from tests.conftest import START, migrate, postgres_binaries, superuser
from tests.hotel import Hotel, opened, settings_of
from tests.journey.histories import tape

HERE = Path(__file__).parent
_ENDS = timedelta(days=120)
_CALLS = (
    ("door", entry, "on_event"),
    ("start", advance, "start"),
    ("advance", advance, "advance"),
    ("hear", advance, "hear"),
    ("rebind", advance, "rebind"),
    ("leave", advance, "leave"),
    ("updates", follow, "updates"),
)


def day(number: int, clock: str = "10:00") -> datetime:
    """An instant `number` days after the start, by a clock in UTC."""
    hour, minute = clock.split(":")
    return START.replace(hour=int(hour), minute=int(minute)) + timedelta(days=number)


def stay(arrival: int, nights: int, **more: Any) -> dict[str, Any]:
    """A booking that arrives `arrival` days after the start."""
    first = (START + timedelta(days=arrival)).date()
    dates = {"arrival": first.isoformat(), "departure": (first + timedelta(days=nights)).isoformat()}
    return {"reference": "LAGO-1", **dates, "adults": 2, "amount": 54000, "currency": "EUR", **more}


Told = tuple[datetime, str, Mapping[str, Any]]


def consent(topic: str, at: datetime) -> Told:
    """A yes with its proof."""
    data = {"topic": topic, "method": "web", "wording": "Sì, scrivetemi.", "wording_version": "1", "language": "it"}
    return at, "consent.granted", {**data, "confirmed_at": at.isoformat()}


REFERENCE = {"booking": {"reference": "LAGO-1"}}
DIRECT = {"booking": stay(40, 3, channel="direct")}
LIVES: Mapping[str, list[Told]] = {
    "booked-early": [
        (day(0), "booking.confirmed", DIRECT),
        (day(40, "15:00"), "booking.checked_in", REFERENCE),
        (day(43, "09:00"), "booking.checked_out", REFERENCE),
    ],
    "says-yes-and-buys": [
        consent("offers", day(0, "09:30")),
        (day(0), "booking.confirmed", DIRECT),
        (day(34), "upsell.purchased", {**REFERENCE, "product": "Camera superiore", "amount": 9000, "currency": "EUR"}),
        (day(43, "09:00"), "booking.checked_out", REFERENCE),
    ],
    "moved-nearer-then-away": [
        (day(0), "booking.confirmed", DIRECT),
        (day(5), "booking.modified", {"booking": stay(8, 3)}),
        (day(7, "08:00"), "booking.modified", {"booking": stay(30, 2)}),
        (day(30, "16:00"), "booking.checked_in", REFERENCE),
    ],
    "booked-on-the-eve": [
        (day(0), "booking.confirmed", {"booking": stay(1, 2, channel="booking.com")}),
        (day(1, "18:00"), "booking.checked_in", REFERENCE),
    ],
    "cancelled-and-back": [
        (day(0), "booking.confirmed", DIRECT),
        (day(10), "booking.cancelled", REFERENCE),
        (day(11), "booking.reinstated", REFERENCE),
    ],
    "does-not-come": [(day(0), "booking.confirmed", DIRECT), (day(41, "06:00"), "booking.no_show", REFERENCE)],
    "leaves-half-way": [(day(0), "booking.abandoned", {"booking": stay(20, 2)})],
    "leaves-half-way-and-comes-back": [
        consent("offers", day(0, "09:30")),
        (day(0), "booking.abandoned", {"booking": stay(20, 2)}),
        (day(2), "booking.confirmed", {"booking": stay(20, 2, channel="direct")}),
    ],
    "likes-to-read": [consent("newsletter", day(0))],
    "meets-every-step": [
        (day(0), "booking.confirmed", DIRECT),
        (day(2), "page.viewed", {"url": "https://www.example.com/camere"}),
        (day(4), "booking.modified", {"booking": stay(50, 4)}),
        (day(20), "booking.modified", {"booking": stay(45, 4)}),
        (day(60), "custom.came_home", {}),
    ],
}
PUBLISHED: Mapping[str, tuple[str, ...]] = {"meets-every-step": ("every-step.yaml", "another.yaml")}
"""Workflows beside this file that a life needs besides the hotel's own."""


class Recorder:
    """Notes each call that anything makes of the core, as long as it is `listening`."""

    def __init__(self) -> None:
        self.passages: dict[str, dict[str, Any]] = {}
        self._facts: dict[str, Mapping[str, Any]] = {}
        self._inside = False

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Stand between the line and the core. This is a script that records, never a test: it changes no outcome."""
        before = [(module, attribute, getattr(module, attribute)) for _, module, attribute in _CALLS]
        for name, module, attribute in _CALLS:
            setattr(module, attribute, self._noting(name, getattr(module, attribute)))
        try:
            yield
        finally:
            for module, attribute, function in before:
                setattr(module, attribute, function)

    def _noting(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any) -> Any:
            if self._inside:
                return function(*given)
            self._inside = True
            try:
                result = function(*given)
            finally:
                self._inside = False
            self._note(name, given, result)
            return result

        return call

    def _note(self, name: str, given: tuple[Any, ...], result: Any) -> None:
        if name == "leave":
            workflow = next(w for w, kept in self.passages.items() if kept["state"] == given[0])
        else:
            workflow = given[0].workflow
        if name == "updates" and not given[2]:
            return  # nothing has gone out of which anything could have changed
        if name == "door" and not isinstance(result, entry.Enter) and workflow not in self.passages:
            return
        kept = self.passages.setdefault(workflow, {"calls": [], "state": None})
        if name != "leave":
            kept.setdefault("program", programs.to_json(given[0]))
        call, facts = tape.call_of(name, given, result)
        before = self._facts.get(workflow, {})
        call["facts"] = tape.written({root: value for root, value in facts.items() if before.get(root) != value})
        self._facts[workflow] = {**before, **facts}
        kept["calls"].append(call)
        state = getattr(result, "state", result)
        if isinstance(state, advance.State):
            kept["state"] = state


def live(hotel: Hotel, life: list[Told]) -> None:
    """Report what happens when it happens, with every stage at work in between."""
    for at, type_, data in life:
        hotel.until(at)
        hotel.report(type_, data=dict(data))
    hotel.until(START + _ENDS)


def main(wanted: str = "") -> None:
    """Record the lives whose name holds the word."""
    with tempfile.TemporaryDirectory(prefix="percorso-") as folder:
        scratch = Path(folder)
        scratch.chmod(0o755)
        postgres_ = CarriedPostgres(scratch / "postgres", binaries=postgres_binaries(), durable=False)
        with postgres_ as postgres, CarriedValkey(scratch / "valkey") as valkey:
            superuser(postgres, f'CREATE DATABASE template_hotel OWNER "{postgres.role}"')
            migrate(postgres.url("template_hotel"))
            house = furnish(settings_of(postgres.url("template_hotel"), valkey.url), clock=FixedClock(START))
            loaded = found(house, START)
            house.close()
            for name, life in LIVES.items():
                if wanted in name:
                    with opened(postgres, ("template_hotel", loaded), valkey, FixedClock(START)) as hotel:
                        _publish(hotel, PUBLISHED.get(name, ()))
                        recorder = Recorder()
                        with recorder.listening():
                            live(hotel, life)
                    _write(name, recorder)


def _publish(hotel: Hotel, files: tuple[str, ...]) -> None:
    for file in files:
        with hotel.house.database.work(hotel.loaded.workspace_id) as session:
            catalogue.publish(session, (HERE / file).read_text(encoding="utf-8"), by="recorder", now=START)


def _write(life: str, recorder: Recorder) -> None:
    for workflow, kept in recorder.passages.items():
        history = {"life": life, "workflow": workflow, "program": kept["program"], "calls": kept["calls"]}
        file = HERE / f"{life}--{workflow}.json"
        text = json.dumps(history, indent=1, ensure_ascii=False, sort_keys=True)
        file.write_text(text + "\n", encoding="utf-8")
        sys.stdout.write(f"{file.name}: {len(kept['calls'])} calls\n")


if __name__ == "__main__":
    main(*sys.argv[1:2])
