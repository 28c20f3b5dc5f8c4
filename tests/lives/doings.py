"""What people, their systems and their mailboxes do, and what each of it means to the model."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import select

from app.contacts.models import Contact
from app.events.merging import merge
from app.rights import erasure
from tests.hotel import Hotel
from tests.imports import lists
from tests.lives.lives import TOPICS, Act, World, timeline
from tests.lives.model import ALL, Truth, Word
from tests.lives.play import LISTS, OFFERS, Guest, Play, paths, written
from tests.messages import broadcasts

CONFIRM_WITHIN = timedelta(days=7)
UNDO_WITHIN = timedelta(hours=24)


class Boxes(HTMLParser):
    """The boxes of a page, with what is ticked and written in each."""

    def __init__(self) -> None:
        super().__init__()
        self.ticked: dict[str, bool] = {}
        self.other: dict[str, str] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Notes one control."""
        given = dict(attrs)
        name, value = given.get("name") or "", given.get("value") or ""
        if tag != "input" or not name:
            return
        if given.get("type") == "checkbox":
            self.ticked[name] = "checked" in given
        elif given.get("type") == "hidden" or (given.get("type") == "radio" and "checked" in given):
            self.other[name] = value


def run(hotel: Hotel, world: World) -> Counter[str]:
    """Play a world to its end; gives what happened, counted.

    Raises WrongError, with the story of whom it went wrong for.
    """
    play = Play(hotel, len(world.lives))
    for instant, (hop, doings) in enumerate(zip(world.hops, timeline(world), strict=True)):
        hotel.clock.advance(timedelta(hours=hop))
        for person, act in doings:
            do(play, play.guests[person], act)
        if instant in world.broadcasts:
            write_to_everybody(play)
        play.stages(world.kills[instant])
    play.finish()
    return play.counted


def do(play: Play, guest: Guest, act: Act) -> None:
    """One act of one person, a second after the one before it."""
    play.hotel.clock.advance(timedelta(seconds=1))
    play.counted[act.what] += 1
    guest.done.append(act)
    HOW[act.what](play, guest, act.n)


def write_to_everybody(play: Play) -> None:
    """The hotel sends a broadcast to all it knows, on one topic and then on the other."""
    play.counted["broadcast"] += 1
    number = play.counted["broadcast"]
    template = OFFERS if number % 2 else broadcasts.TEMPLATE
    broadcasts.send(play.hotel, name=f"Broadcast {number}", template=template)


def book(play: Play, guest: Guest, n: int) -> None:
    """A booking at the hotel's own desk or site."""
    _book(play, guest, "direct" if n % 2 else "phone", 9 if n > 3 else 1)


def book_by_portal(play: Play, guest: Guest, _n: int) -> None:
    """A booking through a portal, which gave the real address."""
    _book(play, guest, "ota", 9)


def _book(play: Play, guest: Guest, channel: str, ahead: int) -> None:
    reference = f"{guest.name.upper()}-{next(play.numbers)}"
    arrival = play.now().date() + timedelta(days=ahead)
    booking = {
        "reference": reference,
        "arrival": arrival.isoformat(),
        "departure": (arrival + timedelta(days=1)).isoformat(),
        "channel": channel,
        "amount": 30_000,
        "currency": "EUR",
        "adults": 2,
    }
    play.event(guest, "booking.confirmed", booking=booking)
    guest.booked.append(reference)
    guest.truth.bookings[reference] = channel != "ota"
    play.settled[reference] = (guest, False)


def cancel(play: Play, guest: Guest, _n: int) -> None:
    """The newest booking is cancelled."""
    if not guest.booked:
        return
    reference = guest.booked.pop()
    play.event(guest, "booking.cancelled", booking={"reference": reference})
    guest.truth.bookings.pop(reference, None)
    _over(play, reference)


def _over(play: Play, reference: str) -> None:
    _, settled = play.settled.get(reference, (None, True))
    if not settled:
        del play.settled[reference]  # before anybody could say that it stood: whether a mail goes is open


def check_out(play: Play, guest: Guest, _n: int) -> None:
    """The stay is over: a review may be asked for, if they agreed to be asked."""
    if guest.booked:
        play.event(guest, "booking.checked_out", booking={"reference": guest.booked[-1]})
        _over(play, guest.booked[-1])


def abandon(play: Play, guest: Guest, _n: int) -> None:
    """They began to book and stopped."""
    arrival = (play.now() + timedelta(days=40)).date()
    booking = {"reference": f"A-{next(play.numbers)}", "arrival": arrival.isoformat()}
    play.event(guest, "booking.abandoned", booking=booking | {"departure": (arrival + timedelta(3)).isoformat()})


def read_notice(play: Play, guest: Guest, n: int) -> None:
    """The privacy notice was shown; mostly with the right to refuse."""
    offered = n > 1
    play.event(guest, "consent.granted", purpose="notice", method="api", wording_version="n1", refusal_offered=offered)
    if offered:
        guest.truth.notices.add(guest.address)


def agree(play: Play, guest: Guest, n: int) -> None:
    """A yes, confirmed from the mailbox, that another system heard."""
    _agree(play, guest, n, timedelta())


def agree_late(play: Play, guest: Guest, n: int) -> None:
    """The same, reported days later."""
    _agree(play, guest, n, timedelta(days=1 + n))


def _agree(play: Play, guest: Guest, n: int, late: timedelta) -> None:
    at = play.now() - late
    topic = _topic(n)
    proof: dict[str, Any] = {"method": "web", "confirmed_at": at.isoformat(), "wording_version": "w1"}
    play.event(guest, "consent.granted", late=late, **_about(topic), **proof)
    play.say(guest, topic, True, at)


def agree_without_proof(play: Play, guest: Guest, n: int) -> None:
    """A system says they agreed, and cannot show what to."""
    play.event(guest, "consent.granted", **_about(_topic(n)), method="api")


def agree_by_file(play: Play, guest: Guest, n: int) -> None:
    """A feed says they agreed, and can show it; it lifts no no."""
    topic = _topic(n)
    proof: dict[str, Any] = {"method": "import", "import_file": "guests.csv", "wording_version": "w1"}
    proof["confirmed_at"] = play.now().isoformat()  # without it the yes is only pending
    play.event(guest, "consent.granted", **_about(topic), **proof)
    play.say(guest, topic, True, by_system=True)


def give_feedback_consent(play: Play, guest: Guest, _n: int) -> None:
    """They agree to be asked for their opinion."""
    play.event(guest, "consent.granted", purpose="feedback", method="api", wording_version="w1")
    play.say(guest, "feedback", True)


def withdraw(play: Play, guest: Guest, n: int) -> None:
    """Another system heard a no."""
    topic = TOPICS[n % 2]
    play.event(guest, "consent.withdrawn", topic=topic)
    play.say(guest, topic, False)


def withdraw_late(play: Play, guest: Guest, n: int) -> None:
    """The same, reported days later."""
    topic, late = TOPICS[n % 2], timedelta(days=1 + n)
    play.event(guest, "consent.withdrawn", late=late, topic=topic)
    play.say(guest, topic, False, play.now() - late)


def withdraw_all(play: Play, guest: Guest, _n: int) -> None:
    """A no to all marketing on this address."""
    play.event(guest, "consent.withdrawn")
    play.say(guest, ALL, False)


def one_click(play: Play, guest: Guest, n: int) -> None:
    """Their mailbox unsubscribes them from the newest mail of a list; some do it twice."""
    found = next(((row, mail) for row, mail in reversed(guest.mails) if row.class_ in LISTS), None)
    if found is None:
        return
    row, mail = found
    path = urlsplit(str(mail["List-Unsubscribe"]).split(">")[0].strip("<")).path
    for _ in range(1 + n % 2):
        answer = play.hotel.client.post(path, data={"List-Unsubscribe": "One-Click"})
        assert (answer.status_code, answer.headers.get("Set-Cookie")) == (200, None)
    topic = "feedback" if row.class_ == "feedback" else row.topic
    play.say(guest, topic, False, address=row.address)
    guest.told.append({"at": written(play.now()), "type": "consent.withdrawn", "data": {"topic": topic}})


def look_at_links(play: Play, guest: Guest, _n: int) -> None:
    """A scanner follows every link of the newest mail: nothing may come of it."""
    for path in play.links(guest, "upkvz"):
        assert play.hotel.client.get(path).status_code < 500
        assert play.hotel.client.head(path).status_code < 500


def prefer(play: Play, guest: Guest, n: int) -> None:
    """They open the preference page and flip switches."""
    path = next(iter(play.links(guest, "p")), None)
    if path is None:
        return
    page = Boxes()
    page.feed(play.hotel.client.get(path).get_data(as_text=True))
    fields = dict(page.other)
    flipped: dict[str, bool] = {}
    wanted = {"topic.newsletter": bool(n & 1), "topic.offers": bool(n & 2), "feedback": bool(n & 4)}
    for name, ticked in page.ticked.items():
        on = wanted.get(name, ticked)
        if on:
            fields[name] = "on"
        if on != ticked:
            flipped[name.removeprefix("topic.")] = on
    answer = play.hotel.client.post(path, data=fields | {"action": "save"})
    assert answer.status_code == 200, answer.get_data(as_text=True)
    barred = guest.address in guest.truth.locked
    said = []
    for topic, on in flipped.items():
        if not on:
            said.append(play.say(guest, topic, False))
        elif not barred:
            play.say(guest, topic, True)
    _can_undo(play, guest, answer.get_data(as_text=True), said, set())


def stop_everything(play: Play, guest: Guest, _n: int) -> None:
    """They press the button that stops all marketing."""
    path = next(iter(play.links(guest, "p")), None)
    if path is None:
        return
    answer = play.hotel.client.post(path, data={"action": "stop"})
    assert answer.status_code == 200
    said = [play.say(guest, ALL, False, everywhere=True), play.say(guest, "feedback", False)]
    fresh = {guest.address} - guest.truth.locked
    guest.truth.locked |= fresh
    _can_undo(play, guest, answer.get_data(as_text=True), said, fresh)


def _can_undo(play: Play, guest: Guest, html: str, said: list[Word], locked: set[str]) -> None:
    found = re.search(r"http://localhost(/m/z/[^\s\"'<>?&]+)", html)
    if found:
        guest.last_undo = (play.now(), found[1], said, locked)


def undo(play: Play, guest: Guest, _n: int) -> None:
    """They take their last choice back, in time or too late."""
    if guest.last_undo is None:
        return
    at, path, said, locked = guest.last_undo
    guest.last_undo = None
    play.hotel.client.post(path)
    if play.now() > at + UNDO_WITHIN:
        return
    for word in said:
        if word in guest.truth.words:
            guest.truth.words.remove(word)
            again = replace(word, at=play.now(), yes=True, everywhere=False)
            guest.truth.words.append(again)
    guest.truth.locked -= locked


def press_confirm(play: Play, guest: Guest, n: int) -> None:
    """They press the button behind the newest confirmation mail; some look at it first, some press twice."""
    found = next(((row, mail) for row, mail in reversed(guest.mails) if row.class_ == "consent_request"), None)
    if found is None:
        return
    row, mail = found
    path = next(iter(paths(mail, "k")))
    if n % 2:
        assert play.hotel.client.get(path).status_code == 200
    for _ in range(1 + n % 3 // 2):
        assert play.hotel.client.post(path).status_code in {200, 410}
    truth, asked = guest.truth, row.captured_at
    refused = any(
        not word.yes and word.at >= asked and (word.everywhere or word.topic in {row.topic, ALL})
        for word in truth.words
    )
    if play.now() <= asked + CONFIRM_WITHIN and not refused:
        play.say(guest, row.topic, True, address=row.address)
        truth.locked.discard(row.address)
        play.counted["confirmed by button"] += 1


def complain(play: Play, guest: Guest, _n: int) -> None:
    """They press "this is spam"; the provider tells."""
    row = play.report(guest, "complained", "abuse")
    if row is not None:
        play.say(guest, ALL, False, address=row.address)
        play.say(guest, "feedback", False, address=row.address)
        guest.truth.locked.add(row.address)


def bounce(play: Play, guest: Guest, n: int) -> None:
    """Their mailbox is gone; for few of them."""
    row = play.report(guest, "bounced", "hard") if n == 0 else None
    if row is not None:
        guest.truth.dead.add(row.address)


def turn_out_to_be(play: Play, guest: Guest, n: int) -> None:
    """The desk finds that two are one person, for few of them."""
    other = play.guests[(guest.number + 1 + n) % len(play.guests)]
    if n > 2 or other.truth is guest.truth:
        return
    with play.work() as session:
        ids = [
            session.scalar(select(Contact.id).where(Contact.external_id == one.name, Contact.merged_into.is_(None)))
            for one in (guest, other)
        ]
        if None in ids:
            return
        merge(session, ids[0] or 0, ids[1] or 0, "desk", play.now())
    guest.truth.joined(other.truth)
    for one in play.guests:
        if one.truth is other.truth and one is not guest:
            one.truth = guest.truth
    other.truth = guest.truth
    play.counted["merged"] += 1


def sign_up(play: Play, guest: Guest, n: int) -> None:
    """They fill in the form: yes to the newsletter, or "No grazie". Whoever types it, a no counts."""
    yes = n > 1
    answer = play.hotel.client.post(
        f"/f/{play.form}",
        data={"email": guest.address, "notice": "yes", "newsletter": "yes" if yes else "no", "language": "it"}
        | {"version": "1"},
        environ_overrides={"REMOTE_ADDR": f"10.0.0.{guest.number}"},
    )
    if answer.status_code == 429:
        play.counted["held back by a limit"] += 1
        return
    assert answer.status_code == 303, answer.get_data(as_text=True)
    guest.told.append({"at": written(play.now()), "type": "form.submitted", "data": {"newsletter": yes}})
    if not yes:
        play.say(guest, "newsletter", False)


def come_in_a_file(play: Play, guest: Guest, n: int) -> None:
    """The hotel imports a list with them on it; some rows can show a yes, most cannot."""
    proven, at = n % 2 == 0, written(play.now())
    row = f"{guest.address},yes,old list" + (f",w1,{at},{at}" if proven else ",,,")
    with play.work() as session:
        lists.taken(session, lists.csv(lists.PROVEN, row), play.now())
    if proven:
        play.say(guest, "newsletter", True, by_system=True)


def be_erased(play: Play, guest: Guest, n: int) -> None:
    """They ask to be erased; for few of them. Who comes back later comes back as somebody new."""
    with play.work() as session:
        found = session.scalar(select(Contact.id).where(Contact.external_id == guest.name)) if n < 2 else None
        if found is None:
            return
        erasure.erase(session, found, "person", play.now())
    cluster = [one for one in play.guests if one.truth is guest.truth]
    for one in cluster:
        one.truth = Truth(dead=guest.truth.dead & {one.address}, locked={one.address})
        one.mails, one.booked, one.last_undo = [], [], None
    play.settled = {name: held for name, held in play.settled.items() if held[0] not in cluster}
    play.counted["erased"] += 1


HOW: Mapping[str, Callable[[Play, Guest, int], None]] = {
    "book": book,
    "book_by_portal": book_by_portal,
    "cancel": cancel,
    "check_out": check_out,
    "abandon": abandon,
    "read_notice": read_notice,
    "agree": agree,
    "agree_without_proof": agree_without_proof,
    "agree_late": agree_late,
    "agree_by_file": agree_by_file,
    "give_feedback_consent": give_feedback_consent,
    "withdraw": withdraw,
    "withdraw_late": withdraw_late,
    "withdraw_all": withdraw_all,
    "one_click": one_click,
    "prefer": prefer,
    "stop_everything": stop_everything,
    "undo": undo,
    "look_at_links": look_at_links,
    "press_confirm": press_confirm,
    "sign_up": sign_up,
    "come_in_a_file": come_in_a_file,
    "complain": complain,
    "bounce": bounce,
    "turn_out_to_be": turn_out_to_be,
    "be_erased": be_erased,
}
"""How each of `lives.DOINGS` is done."""


def _topic(n: int) -> str:
    return ALL if n == 7 else TOPICS[n % 2]


def _about(topic: str) -> dict[str, Any]:
    return {} if topic == ALL else {"topic": topic}
