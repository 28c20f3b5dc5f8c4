"""Loads the demo: a hotel with its templates, workflows and source, and six weeks of its life up to now.

    python -m app.demo.seed        once; later calls change nothing. The last line is how to sign in, as JSON.

The past is not written into tables: it is lived. Events go through the API's door and every stage does its work at the
minute it would have, on a clock of its own, so that all figures and reasons in the studio are true.
"""

from __future__ import annotations

import json
import os
import secrets
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.accounts.models import User, Workspace
from app.accounts.sign_in import add_person, admit, end_sessions, hash_password
from app.clock import FixedClock
from app.config import Settings, of_instance
from app.consent.models import Topic
from app.contacts.models import Property
from app.content import catalogue as templates
from app.delivery import domains, identities
from app.delivery.identities import Given
from app.demo import history, hotel
from app.due import following
from app.enrollments import catalogue as workflows
from app.events.models import Source
from app.events.partitions import ensure_partitions
from app.events.sources import new_key, new_webhook_secret
from app.house import House, furnish
from app.signup import forms
from app.signup.document import Document
from app.web import create_app
from app.worker import run_due

ROOT = Path(__file__).resolve().parents[2]
KEPT = "demo.json"
OWNER = "marta@rivaserena.example"
PAST = timedelta(days=42)
STAYS = 75
SCOPES = ("events:write", "contacts:read", "contacts:write", "messages:read")


class DemoMissingError(LookupError):
    """The demo hotel was not loaded here, or its credentials file is gone."""


@dataclass(frozen=True)
class Loaded:
    """A hotel as it stands ready: where events for it are posted and as whom."""

    workspace_id: int
    api_key: str
    webhook_secret: str


def credentials(settings: Settings) -> dict[str, str]:
    """base_url, email, password, api_key, webhook_secret, source and workspace_id of the demo.

    Raises:
        DemoMissingError: there is no demo in this data directory.
    """
    path = settings.data_dir / KEPT
    if not path.is_file():
        raise DemoMissingError(f"There is no demo in {settings.data_dir}: start it with bin/run (DEMO=1, the default).")
    kept: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    return {**kept, "base_url": settings.base_url}


def found(house: House, now: datetime) -> Loaded:
    """Found the hotel: workspace, property, topics, templates, workflows, and a source with its key and secret."""
    with house.database.system() as session:
        workspace = Workspace(slug=hotel.WORKSPACE["slug"], name=hotel.WORKSPACE["name"], settings={}, created_at=now)
        session.add(workspace)
        session.flush()  # its id scopes everything below
        workspace_id = workspace.id
        ensure_partitions(session, now)
    with house.database.work(workspace_id) as session:
        _senders(session, now)
        lago = Property(workspace_id=workspace_id, is_default=True, created_at=now, updated_at=now, **hotel.PROPERTY)
        session.add(lago)
        for position, topic in enumerate(hotel.TOPICS):
            session.add(Topic(workspace_id=workspace_id, position=position, created_at=now, **topic))
        session.flush()  # the source names the property, workflows name the topics
        _form(session, lago, now)
        source = Source(workspace_id=workspace_id, property_id=lago.id, created_at=now, **hotel.SOURCE)
        session.add(source)
        session.flush()  # key and secret hang on it
        key = new_key(session, source.id, SCOPES, now, label="Demo")
        secret = new_webhook_secret(session, source, now)
        _publish(session, now)
    return Loaded(workspace_id, key, secret)


def _senders(session: Session, now: datetime) -> None:
    """Marketing and service apart, from a subdomain each: already verified, as what a hotel has used for years is."""
    for name in hotel.DOMAINS:
        domain = domains.add(session, name, now)
        domain.marketing_at, domain.marketing_how, domain.marketing_by = now, "in_use", OWNER
        domain.next_check_at = None
    for given in hotel.SENDERS:
        made = identities.save(session, Given(**given), now)
        made.verified_at, made.verified_how = now, "given"


def _form(session: Session, place: Property, now: datetime) -> None:
    """The sign-up form on the hotel's own page, live."""
    form = forms.create(session, hotel.FORM["name"], place.id, Document(**hotel.FORM["document"]), OWNER, now)
    form.origins = list(hotel.FORM["origins"])
    forms.publish(session, form, OWNER, now)


def _publish(session: Session, now: datetime) -> None:
    changes = templates.push(session, templates.read_library(ROOT / "email_templates"), now, by="library")
    refused = [f"{change.name}: {problem}" for change in changes for problem in change.problems if not change.number]
    if any(change.outcome == "refused" for change in changes):
        raise RuntimeError("The shipped templates do not compile: " + "; ".join(refused))
    workflows.push(session, ROOT / "workflows" / "hotel", by="library", now=now)


def live(house: House, loaded: Loaded, until: datetime) -> None:
    """Let six weeks pass at the hotel, ending at `until`."""
    clock = FixedClock(until - PAST)
    past = replace(
        house, clock=clock, settings=replace(house.settings, smtp_url="capture:", event_rate=1_000_000, demo=True)
    )
    app = create_app(past.settings, clock=clock, database=house.database)
    client = app.test_client()
    told = sorted(_told(until), key=lambda event: (event["occurred_at"], event["id"]))
    for instant, events in _by_instant(told):
        _pass_time(past, clock, instant)
        answer = client.post(
            "/api/v1/events", json={"events": events}, headers={"Authorization": f"Bearer {loaded.api_key}"}
        )
        if answer.status_code != 202:
            raise RuntimeError(f"The demo's events were refused: {answer.get_data(as_text=True)[:500]}")
        run_due(past)
    _pass_time(past, clock, until)


def _pass_time(past: House, clock: FixedClock, target: datetime) -> None:
    run_due(past)
    while True:
        with past.database.system() as session:
            instant = following(session, clock.now())
        if instant is None or instant > target:
            break
        clock.set(max(instant, clock.now()))
        run_due(past)
    clock.set(max(target, clock.now()))


def _by_instant(told: Sequence[dict[str, Any]]) -> Iterator[tuple[datetime, list[dict[str, Any]]]]:
    batch: list[dict[str, Any]] = []
    for event in told:
        if batch and event["occurred_at"] != batch[0]["occurred_at"]:
            yield datetime.fromisoformat(batch[0]["occurred_at"]), batch
            batch = []
        batch.append(event)
    if batch:
        yield datetime.fromisoformat(batch[0]["occurred_at"]), batch


def _told(until: datetime) -> Iterable[dict[str, Any]]:
    """Everything that happened at the hotel in the six weeks before `until`, in no order."""
    zone = ZoneInfo("Europe/Rome")
    stays = list(history.read(history.SLICE))
    # Two months of arrivals in the data, so that the middle one falls on today: some have left, some are to come.
    middle = stays[len(stays) // 2].arrival
    shift = timedelta(days=(until.astimezone(zone).date() - middle).days // 7 * 7)
    step = max(1, len(stays) // STAYS)
    begin = until - PAST
    for place, stay in enumerate(stays[::step]):
        first, last, language, country = hotel.GUESTS[place % len(hotel.GUESTS)]
        returns = place // len(hotel.GUESTS)
        contact = {
            "external_id": f"guest-{place % len(hotel.GUESTS) + 1}",
            "email": hotel.address_of(first, last),
            "first_name": first,
            "last_name": last,
            "language": language,
            "country": country,
        }
        asks = 2 if returns else 3
        for event in history.events_of(stay, "rs", zone, shift, consent_every=0):
            if begin <= datetime.fromisoformat(event["occurred_at"]) <= until:
                yield {**event, "contact": contact}
        booked = max(begin, datetime.combine(stay.booked_on + shift, datetime.min.time(), zone).astimezone(UTC))
        if place % asks == 0 and booked + timedelta(hours=9) <= until:
            yield from _consents(contact, place, booked + timedelta(hours=9))
    yield from _visitors(begin)


def _consents(contact: Mapping[str, str], place: int, at: datetime) -> Iterator[dict[str, Any]]:
    for topic, wording in (
        ("offers", "Sì, desidero ricevere offerte da Albergo Riva Serena."),
        ("newsletter", "Sì, voglio ricevere le Lettere dal lago."),
        ("feedback", "Potete chiedermi un'opinione dopo il soggiorno."),
    ):
        yield {
            "id": f"rs-consent-{place}-{topic}",
            "type": "consent.granted",
            "occurred_at": at.isoformat(),
            "contact": contact,
            "data": {
                **({"purpose": "feedback"} if topic == "feedback" else {"topic": topic}),
                "method": "web",
                "wording": wording,
                "wording_version": "2026-1",
                "language": "it",
                "notice_version": "2026-1",
                "page": "/prenota",
                "confirmed_at": at.isoformat(),
            },
        }


def _visitors(begin: datetime) -> Iterator[dict[str, Any]]:
    """People who looked, left their address and did not book; two of them had asked for offers before."""
    for number, (first, last, language, country) in enumerate(hotel.GUESTS[4:12], start=1):
        contact = {
            "external_id": f"visitor-{number}",
            "email": hotel.address_of(last, first),
            "first_name": first,
            "last_name": last,
            "language": language,
            "country": country,
        }
        at = begin + timedelta(days=4 * number, hours=8, minutes=7 * number)
        if number % 3 == 0:
            yield from _consents(contact, 900 + number, at - timedelta(hours=20))
        arrival = (at + timedelta(days=25)).date()
        yield {
            "id": f"rs-notice-{number}",
            "type": "consent.granted",
            "occurred_at": (at - timedelta(minutes=3)).isoformat(),
            "contact": contact,
            "data": {
                "purpose": "notice",
                "method": "web",
                "wording": "Informativa: se non concludi la prenotazione potremmo ricordartelo una volta per e-mail.",
                "wording_version": "2026-1",
                "language": "it",
                "page": "/prenota",
                "confirmed_at": (at - timedelta(minutes=3)).isoformat(),
                "recovery_mentioned": True,
            },
        }
        yield {
            "id": f"rs-abandoned-{number}",
            "type": "booking.abandoned",
            "occurred_at": at.isoformat(),
            "contact": contact,
            "data": {
                "booking": {
                    "reference": f"rs-cart-{number}",
                    "arrival": arrival.isoformat(),
                    "departure": (arrival + timedelta(days=3)).isoformat(),
                    "adults": 2,
                    "amount": 48_000 + 1_500 * number,
                    "currency": "EUR",
                    "room_type": "Camera Lago",
                    "resume_url": f"https://rivaserena.example/prenota/riprendi/{number}",
                }
            },
        }


def load(house: House) -> dict[str, str]:
    """Found the hotel and let it live, unless it is there; gives (and keeps) how to use it."""
    now = house.clock.now()
    with house.database.system() as session:
        there = session.scalar(select(Workspace.id).where(Workspace.slug == hotel.WORKSPACE["slug"]))
    if there is not None:
        if not (house.settings.data_dir / KEPT).is_file():
            _keep(house.settings, _renewed(house, there, now), _password(house, there, now))
        return credentials(house.settings)
    loaded = found(house, now - PAST)
    # Kept before the past is lived, so that a start that is broken off leaves a hotel one can sign in to.
    _keep(house.settings, loaded, _password(house, loaded.workspace_id, now))
    live(house, loaded, now)
    return credentials(house.settings)


def _password(house: House, workspace_id: int, now: datetime) -> str:
    """A fresh password for the owner, who is made if need be."""
    password = "-".join(secrets.token_hex(2) for _ in range(3))
    with house.database.system() as session:
        owner = session.scalar(select(User).where(User.email == OWNER))
        if owner is None:
            owner = add_person(session, OWNER, password, now, name="Marta Serena")
            session.flush()  # the membership names the person
            admit(session, owner.id, workspace_id, "owner", now)
        else:
            owner.password = hash_password(password)
            end_sessions(session, owner.id)
    return password


def _renewed(house: House, workspace_id: int, now: datetime) -> Loaded:
    """A new key and secret where the file that held them is gone: neither can be read back."""
    with house.database.work(workspace_id) as session:
        source = session.scalars(select(Source).where(Source.slug == hotel.SOURCE["slug"])).one()
        key = new_key(session, source.id, SCOPES, now, label="Demo")
        return Loaded(workspace_id, key, new_webhook_secret(session, source, now))


def _keep(settings: Settings, loaded: Loaded, password: str) -> None:
    kept = {
        "email": OWNER,
        "password": password,
        "api_key": loaded.api_key,
        "webhook_secret": loaded.webhook_secret,
        "source": hotel.SOURCE["slug"],
        "workspace_id": str(loaded.workspace_id),
    }
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(settings.data_dir / KEPT, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(kept, file)


def main() -> int:
    """Load the demo of the environment's installation."""
    house = furnish(Settings.from_env(of_instance(os.environ)))
    try:
        ready = load(house)
    finally:
        house.close()
    print(json.dumps({key: ready[key] for key in ("base_url", "email", "password")}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
