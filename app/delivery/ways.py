"""The ways out of the house: which sender takes a mail, and which the next, where the first surely did not take it.

    mails of one stream → first way whose circuit is closed → outcome
                             └ surely not taken, and the way's own fault → the next way
                             └ in doubt, or refused for what it is → no other way is tried

So a mail never goes out twice: only an outcome of the type `Transient` with `elsewhere` leads on. Where no sender is
set up for a stream, `SMTP_URL` is the way out.

Where the first way of a stream knows a mail again by a key, that is written on the message before it goes (`knows`), so
that after a crash it may be handed over once more (`doubts.py`). It is taken off again (`release`) before another way
is tried: from then on that key no longer tells whether somebody has the mail.
"""

from __future__ import annotations

import hashlib
import hmac
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from app.clock import Clock
from app.config import Settings
from app.delivery.circuit import Circuit, Standing, failed
from app.delivery.providers import Accepted, Outcome, Outgoing, Stream, Transient, Transport
from app.delivery.providers.api import Access, Api
from app.delivery.providers.capture import Capture
from app.delivery.providers.smtp import Server, Smtp
from app.delivery.providers.writers import WRITERS
from app.house import House

STREAMS: tuple[Stream, ...] = ("service", "marketing")


def stream_of(class_: str) -> Stream:
    """Which stream a message of this class goes out by."""
    return "marketing" if class_ == "marketing" else "service"


@dataclass(frozen=True, slots=True)
class Way:
    """A sender as a way out, as plain values."""

    id: int
    name: str
    provider: str
    streams: frozenset[str]
    access: Access | None
    """None: sealed under a PERCORSO_SECRET that is no longer known."""
    standing: Standing


@dataclass(frozen=True, slots=True)
class Handed:
    """What came of one mail: by which way, and by which it had been tried before."""

    by: str
    outcome: Outcome
    before: tuple[tuple[str, Outcome], ...] = ()
    known: bool = False
    """By no other way than the one that would know it again by its key."""


@dataclass(frozen=True, slots=True)
class Knows:
    """A way that knows a mail again by its key."""

    sender: int
    account: str
    """Stands for what it sends with: another account has never heard of the key."""
    seconds: int
    """How long, from the first hand-over on."""


Release = Callable[[Sequence[Outgoing]], set[int]]
"""Takes off these messages that they are known again by a key; which of them may go another way now."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What a way came to with the mails of one group, for the sender's row."""

    id: int
    standing: Standing
    error: str | None
    sent: bool


@dataclass(frozen=True, slots=True)
class _Open:
    """A transport with its circuit; `id` is None for `SMTP_URL`, which has neither row nor circuit."""

    transport: Transport
    id: int | None = None
    circuit: Circuit = field(default_factory=lambda: Circuit(Standing()))


class Ways:
    """The ways out of one workspace, in order, for one batch. Its connections stay open for the next."""

    def __init__(
        self,
        order: Mapping[Stream, Sequence[_Open]],
        clock: Clock,
        knows: Mapping[Stream, Knows] | None = None,
        release: Release | None = None,
    ) -> None:
        self._order = order
        self._clock = clock
        self._knows = knows or {}
        self._release = release or (lambda mails: {mail.message_pk for mail in mails})
        self._heard: dict[int, Heard] = {}
        self._lock = threading.Lock()

    def send(self, group: Sequence[Outgoing]) -> list[Handed]:
        """Hand over a group; one answer for each mail, in order."""
        streams = {mail.stream for mail in group}
        if len(streams) == 1:
            return self._of_stream(streams.pop(), group)
        handed: dict[int, Handed] = {}
        for stream in sorted(streams):
            mails = [mail for mail in group if mail.stream == stream]
            came = self._of_stream(stream, mails)
            handed |= {mail.message_pk: one for mail, one in zip(mails, came, strict=True)}
        return [handed[mail.message_pk] for mail in group]

    def knows(self, stream: Stream) -> Knows | None:
        """By which way a mail of this stream is tried first, if that knows it again by a key."""
        return self._knows.get(stream)

    def heard(self) -> list[Heard]:
        """What has been found out since it was asked last, for `senders.keep`."""
        with self._lock:
            found, self._heard = list(self._heard.values()), {}
        return found

    def _of_stream(self, stream: Stream, mails: Sequence[Outgoing]) -> list[Handed]:
        order = self._order[stream]
        if order[0].id is None:  # SMTP_URL, which nothing stands behind
            transport = order[0].transport
            return [Handed(transport.name, outcome) for outcome in transport.send(mails)]
        handed: list[Handed | None] = [None] * len(mails)
        before: list[tuple[tuple[str, Outcome], ...]] = [()] * len(mails)
        left, held = list(range(len(mails))), []
        for number, way in enumerate(order):
            if number == 1 and stream in self._knows:
                free = self._release([mails[place] for place in left])
                held = [place for place in left if mails[place].message_pk not in free]
                left = [place for place in left if mails[place].message_pk in free]
            came = self._by(way, [mails[place] for place in left])
            again = []
            for place, outcome in zip(left, came, strict=False):
                if isinstance(outcome, Transient) and outcome.elsewhere:
                    before[place] += ((way.transport.name, outcome),)
                    again.append(place)
                else:
                    known = number == 0 and stream in self._knows
                    handed[place] = Handed(way.transport.name, outcome, before[place], known)
            left = again + left[len(came) :]
            if not left:
                break
        for place in (*left, *held):
            # The last that was tried stands for all; where each circuit is open nobody was asked.
            if before[place]:
                *earlier, (by, outcome) = before[place]
                handed[place] = Handed(by, outcome, tuple(earlier))
            else:
                handed[place] = Handed(order[0].transport.name, self._closed(order))
        return [one for one in handed if one is not None]

    def _by(self, way: _Open, mails: Sequence[Outgoing]) -> list[Outcome]:
        """What came of the first so many of the mails; the others have not been tried by this way."""
        admitted = way.circuit.admits(self._clock.now())
        if admitted == "none":
            return []
        came: list[Outcome] = []
        try:
            came = way.transport.send(mails[:1] if admitted == "one" else mails)
        finally:
            self._note(way, came)
        if admitted == "one" and not failed(came[0]) and len(mails) > 1:
            return came + self._by(way, mails[1:])
        return came

    def _note(self, way: _Open, came: Sequence[Outcome]) -> None:
        was = way.circuit.standing
        way.circuit.heard(came, self._clock.now())
        wrong = [one for one in came if failed(one)]
        sent = any(isinstance(one, Accepted) for one in came)
        told = sent and way.circuit.to_be_told(self._clock.now())
        if way.id is None or not (told or wrong or way.circuit.standing != was):
            return
        with self._lock:
            before = self._heard.get(way.id)
            self._heard[way.id] = Heard(
                way.id,
                way.circuit.standing,
                wrong[-1].text if wrong else before.error if before else None,
                sent or bool(before and before.sent),
            )

    def _closed(self, order: Sequence[_Open]) -> Transient:
        now = self._clock.now()
        waits = [(way.circuit.standing.open_until or now) - now for way in order]
        wait = max(1.0, min(waits).total_seconds())
        names = ", ".join(way.transport.name for way in order)
        return Transient(None, f"nothing is sent by {names} for now: too many failures in a row", True, wait)


def open_ways(house: House, workspace_id: int, known: Sequence[Way], release: Release | None = None) -> Ways:
    """The ways out of a workspace whose senders are `known` (`senders.ways`).

    Args:
        release: see `Release`; None: nothing is written of these mails.
    """
    knows: dict[Stream, Knows] = {}
    default: list[_Open] = []
    order: dict[Stream, Sequence[_Open]] = {}
    opened = {way.id: _of_sender(house.settings, way) for way in known}
    for stream in STREAMS:
        ways = [opened[way.id] for way in known if stream in way.streams]
        if not ways and not default:
            default.append(_Open(_by_url(house, workspace_id)))
        order[stream] = ways or default
        first = next((knows_again(house.settings, way) for way in known if stream in way.streams), None)
        if first is not None:
            knows[stream] = first
    return Ways(order, house.clock, knows, release)


def knows_again(settings: Settings, way: Way) -> Knows | None:
    """How a way knows a mail again by a key; None where its provider takes none, or its account cannot be read."""
    writer = WRITERS.get(way.provider)
    if writer is None or not writer.known_for or way.access is None:
        return None
    account = hmac.digest(settings.secret.encode(), b"percorso:account:" + _spelt(way.access).encode(), "sha256")
    return Knows(way.id, account.hex()[:16], int(writer.known_for.total_seconds()))


def admitted(known: Sequence[Way], now: datetime) -> Mapping[Stream, Literal["all", "one", "none"]]:
    """Stream → whether its ways take everything, only a mail that tries one of them, or nothing just now."""
    found: dict[Stream, Literal["all", "one", "none"]] = {}
    for stream in STREAMS:
        states = {way.standing.state(now) for way in known if stream in way.streams} or {"closed"}
        found[stream] = "all" if "closed" in states else "one" if "half-open" in states else "none"
    return found


def _by_url(house: House, workspace_id: int) -> Transport:
    """The way out that `SMTP_URL` names."""
    settings = house.settings
    if settings.smtp_url.startswith("capture:"):
        return Capture(house.database, house.clock, workspace_id)
    key = (settings.smtp_url, settings.smtp_connections, settings.smtp_timeout)
    return _kept(key, lambda: _smtp(settings, settings.smtp_url)).transport


def _of_sender(settings: Settings, way: Way) -> _Open:
    """The transport of a sender, opened once for what it sends with, and its circuit as it stands now."""
    if way.access is None:
        return _Open(_Locked(way.name), way.id, Circuit(way.standing))
    access = way.access
    key = (way.id, way.name, hashlib.sha256(_spelt(access).encode()).hexdigest(), settings.secret)

    def make() -> Transport:
        if way.provider == "smtp":
            return _smtp(settings, access.credentials["url"], way.name)
        return Api(way.name, WRITERS[way.provider], access, settings.smtp_connections, settings.smtp_timeout)

    kept = _kept(key, make, way.id)
    kept.circuit.learn(way.standing)
    return kept


def _spelt(access: Access) -> str:
    return repr((sorted(access.credentials.items()), sorted(access.options.items()), access.base))


class _Locked:
    """A sender whose credentials cannot be read: its mails wait, or go another way."""

    def __init__(self, name: str) -> None:
        self.name = name

    def send(self, group: Sequence[Outgoing]) -> list[Outcome]:
        said = "what it sends with was sealed under a PERCORSO_SECRET that is no longer known: rotate it"
        return [Transient(None, said, elsewhere=True)] * len(group)

    def close(self) -> None:
        """Nothing is held."""


def _smtp(settings: Settings, url: str, name: str = "smtp") -> Smtp:
    return Smtp(Server.parse(url), settings.smtp_connections, settings.smtp_timeout, name)


_open: dict[tuple[object, ...], _Open] = {}
_retired: list[tuple[float, Transport]] = []
_opening = threading.Lock()
RETIRED_SECONDS = 900.0
"""Longer than any batch lasts: then the connections of a sender as it was are closed."""


def _kept(key: tuple[object, ...], make: Callable[[], Transport], id_: int | None = None) -> _Open:
    with _opening:
        if key not in _open:
            now = time.monotonic()
            # A sender that has changed: whoever is still sending by what it was may finish.
            changed = [one for one, kept in _open.items() if id_ is not None and kept.id == id_]
            _retired.extend((now + RETIRED_SECONDS, _open.pop(old).transport) for old in changed)
            for entry in [one for one in _retired if one[0] < now]:
                _retired.remove(entry)
                entry[1].close()
            _open[key] = _Open(make(), id_)
        return _open[key]


def hang_up() -> None:
    """Close this process's connections to providers."""
    with _opening:
        while _open:
            _open.popitem()[1].transport.close()
        while _retired:
            _retired.pop()[1].close()
