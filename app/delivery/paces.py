"""How fast mailbox providers are written to: so many a minute, fewer while one of them asks for patience.

Before mails are leased, each provider's share of the batch is asked for a place (`book`). Who gets none now gets an
instant: the message stays `ready` and is due then, so it is written once, stands in nobody's way meanwhile, and the
messages to others go on. What a provider answers is heard after each group (`heard`): "too many", "try again later" and
blocks (R35) halve its rate, silence about it doubles it again every few minutes.

The state is a few numbers in Redis, for rates only: losing them starts every rate anew, and loses no message. Service
mails have a track of their own beside the bulk, so that a confirmation does not wait behind a broadcast.

Where nothing limits the providers of a batch, this costs one question to Redis for the whole batch. It is asked while
the messages are locked: so it has little time to answer, and who does not is left alone for a while (`Quick`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec
import structlog
from redis import ConnectionPool, Redis
from redis.exceptions import RedisError

from app.consent.case import Check, Decision
from app.delivery.providers import Permanent, Transient
from app.messages.rows import MessageRow

log = structlog.get_logger()

THROTTLED = "throttled"
"""The reason of a message that waits for its turn with a mailbox provider."""

BULK_SHARE = 0.8
"""How much of a rate feedback and marketing may take; the rest is kept for what somebody waits for."""

AT_ONCE = timedelta(seconds=5)
"""So much of its rate a provider may get in one go: batches come in bursts, and a mail a second is nobody's wish."""

PUNCTUAL = timedelta(minutes=1)
"""What comes later than promised by so much, as after an outage, does not all go at once."""

FIRST_RATE = 600
"""A minute: where a provider without a rate of its own asks for patience, it is slowed down from here."""

DEEPEST = 6
"""How often a rate may be halved: down to a 64th."""

RECOVERY = timedelta(minutes=5)
"""After so long without another refusal a halved rate doubles again."""

FORGOTTEN = 86_400
"""Seconds after which Redis may forget a provider nobody wrote to."""


class Pace(NamedTuple):
    """A rate; 0: as fast as we can."""

    minute: int = 0
    hour: int = 0

    @property
    def per_second(self) -> float:
        """The slower of the two; 0 where there is none."""
        rates = [rate / seconds for rate, seconds in ((self.minute, 60), (self.hour, 3600)) if rate]
        return min(rates, default=0.0)


PROVIDERS: Mapping[str, tuple[Pace, tuple[str, ...]]] = {
    "google": (Pace(1200), ("gmail.com", "googlemail.com")),
    "microsoft": (
        Pace(600),
        ("outlook.com", "outlook.it", "hotmail.com", "hotmail.it", "live.com", "live.it", "msn.com", "hotmail.co.uk",
         "hotmail.fr", "hotmail.de", "outlook.de", "outlook.fr", "live.co.uk", "live.fr"),
    ),
    "yahoo": (
        Pace(600),
        ("yahoo.com", "yahoo.it", "yahoo.co.uk", "yahoo.fr", "yahoo.de", "yahoo.es", "ymail.com", "rocketmail.com",
         "aol.com", "aol.it", "verizon.net"),
    ),
    "apple": (Pace(600), ("icloud.com", "me.com", "mac.com")),
    "italiaonline": (Pace(300), ("libero.it", "virgilio.it", "inwind.it", "iol.it", "blu.it", "giallo.it")),
    "tim": (Pace(180), ("tim.it", "alice.it", "tin.it", "telecomitalia.it")),
    "tiscali": (Pace(180), ("tiscali.it", "tiscalinet.it")),
    "fastweb": (Pace(180), ("fastwebnet.it", "fastweb.it")),
    "aruba": (Pace(300), ("aruba.it", "pec.it", "arubapec.it")),
    "gmx": (Pace(600), ("gmx.de", "gmx.net", "gmx.at", "gmx.ch", "web.de", "mail.com")),
    "t-online": (Pace(300), ("t-online.de", "magenta.de")),
    "orange": (Pace(300), ("orange.fr", "wanadoo.fr", "free.fr", "sfr.fr", "laposte.net")),
    "proton": (Pace(300), ("proton.me", "protonmail.com", "pm.me")),
}  # fmt: skip
"""Provider → our pace to begin with, and the mailbox domains it is known to keep. Ours, and cautious: none of them
publishes a rate. A domain that stands nowhere is a provider of its own, without a limit until it asks for one."""

ANSWER_SECONDS = 0.5
"""How long Redis may take: behind every batch that waits for it others wait for their messages."""
LOST_SECONDS = 10.0
"""So long nothing is asked of a Redis that did not answer; rates do not hold meanwhile."""

_OF_DOMAIN = {domain: name for name, (_, domains) in PROVIDERS.items() for domain in domains}


class Wanting(NamedTuple):
    """A message that could go now."""

    id: int
    address: str
    class_: str
    latest: datetime | None = None
    promised: bool = False
    """Whether it comes at an instant it was given here."""


def put_off(
    paces: Paces,
    rows: Sequence[MessageRow],
    decisions: dict[int, Decision],
    addresses: Mapping[int, str | None],
    now: datetime,
) -> set[int]:
    """Of the messages that may go, put off those whose provider takes no more just now; which they are.

    Args:
        decisions: message id → decision; those of who waits are changed to say so.
        addresses: message id → address.
    """
    wanting = [
        Wanting(row.id, address, row.class_, row.latest, getattr(row, "reason", None) == THROTTLED)
        for row in rows
        if row.channel == "email" and decisions[row.id].allowed and (address := addresses.get(row.id))
    ]
    later = paces.book(wanting, now)
    for one in wanting:
        if one.id in later:
            check = Check("pace", False, THROTTLED, "R35", {"provider": provider_of(one.address)})
            said = decisions[one.id]
            decisions[one.id] = replace(said, outcome="deferred", checks=(*said.checks, check), until=later[one.id])
    return set(later)


@dataclass(frozen=True, slots=True)
class Slowed:
    """A provider that asked for patience."""

    level: int
    """How often its rate is halved."""
    at: datetime
    """When it last said so."""
    why: str

    def level_now(self, now: datetime) -> int:
        """What is left of it: one less for every `RECOVERY` without another refusal."""
        return max(0, self.level - max(0, (now - self.at) // RECOVERY))

    def until(self) -> datetime:
        """Nothing goes before this: half a minute after the first refusal, a quarter of an hour after many."""
        return self.at + timedelta(seconds=min(900, 15 * 2**self.level))


def provider_of(address: str) -> str:
    """The mailbox provider of an address: its name in `PROVIDERS`, else the domain itself."""
    domain = address.rpartition("@")[2].lower()
    return _OF_DOMAIN.get(domain, domain)


def pace_of(provider: str, own: Mapping[str, Any]) -> Pace:
    """The rate of a provider without what it asks for now.

    Args:
        own: the workspace's setting `paces`: provider or domain → {minute, hour}.
    """
    given = own.get(provider)
    if isinstance(given, Mapping):
        return Pace(int(given.get("minute") or 0), int(given.get("hour") or 0))
    return PROVIDERS[provider][0] if provider in PROVIDERS else Pace()


def rate_now(pace: Pace, slowed: Slowed | None, now: datetime) -> float:
    """Mails a second that may go to a provider now; 0: no limit."""
    level = slowed.level_now(now) if slowed else 0
    if not level:
        return pace.per_second
    return (pace.per_second or FIRST_RATE / 60) / float(2**level)


class Quick:
    """The same Redis, asked with little patience, and not at all just after it did not answer."""

    def __init__(self, redis: Redis) -> None:
        pool = redis.connection_pool
        bounds = {"socket_timeout": ANSWER_SECONDS, "socket_connect_timeout": ANSWER_SECONDS, "retry": None}
        self._redis = Redis(
            connection_pool=ConnectionPool(pool.connection_class, **{**pool.connection_kwargs, **bounds})
        )
        self._lost_until = 0.0

    def ask(self, question: Callable[[Redis], Any]) -> Any:
        """What Redis answers; None where it is lost, which is said in the log the first time."""
        if time.monotonic() < self._lost_until:
            return None
        try:
            return question(self._redis)
        except RedisError as error:
            self._lost_until = time.monotonic() + LOST_SECONDS
            log.warning("paces_lost", error=str(error).splitlines()[0] if str(error) else type(error).__name__)
            return None


@lru_cache(maxsize=16)
def _quick(redis: Redis) -> Quick:
    return Quick(redis)


class Paces:
    """The rates of one workspace.

    Args:
        redis: where they are kept.
        workspace_id: whose.
        own: the workspace's setting `paces`.
    """

    def __init__(self, redis: Redis, workspace_id: int, own: Mapping[str, Any] | None = None) -> None:
        self._redis = _quick(redis)
        self._own = own or {}
        self._slow = f"percorso:pace:{workspace_id}:slow"
        self._track = f"percorso:pace:{workspace_id}:at"

    def slowed(self, now: datetime) -> dict[str, Slowed]:
        """Providers that asked for patience and have not recovered. One question; none where Redis is lost."""
        kept = self._redis.ask(lambda redis: redis.hgetall(self._slow)) or {}
        found = {name.decode(): _slowed(text) for name, text in kept.items()}
        return {name: one for name, one in found.items() if one.level_now(now)}

    def book(self, wanting: Sequence[Wanting], now: datetime) -> dict[int, datetime]:
        """Who cannot go now → when it may. One question to Redis, two where something limits.

        What comes at the instant it was promised goes, as long as not more of them come at once than the rate has room
        for (after an outage, or since a provider was slowed down): the others are given a new one. Nobody gets an
        instant after its latest: it is due at that, and is judged then.
        """
        slowed = self.slowed(now)
        groups: dict[tuple[str, str, float], tuple[list[Wanting], list[Wanting]]] = {}
        rates: dict[str, float] = {}
        for one in wanting:
            provider = provider_of(one.address)
            rate = rates.get(provider)
            if rate is None:
                rate = rates[provider] = rate_now(pace_of(provider, self._own), slowed.get(provider), now)
            if rate:
                track = "bulk" if one.class_ in {"marketing", "feedback"} else "service"
                promised, fresh = groups.setdefault((provider, track, rate), ([], []))
                (promised if one.promised else fresh).append(one)
        if not groups:
            return {}
        asked: list[tuple[Sequence[Wanting], Sequence[Wanting], timedelta]] = []
        given: list[Any] = []
        for (provider, track, rate), (promised, fresh) in groups.items():
            gap = timedelta(seconds=1 / (rate * (BULK_SHARE if track == "bulk" else 1.0)))
            slow = slowed.get(provider)
            held = slow is not None and slow.until() > now
            begin = slow.until() if slow is not None and held else now - AT_ONCE
            saved = timedelta(0) if held else AT_ONCE if slow else PUNCTUAL
            instants = (begin.timestamp(), now.timestamp())
            spans = (gap.total_seconds(), saved.total_seconds())
            given += [f"{provider}:{track}", *instants, *spans, len(promised), len(fresh)]
            asked.append((promised, fresh, gap))
        answers = self._redis.ask(lambda redis: redis.eval(_BOOK, 1, self._track, FORGOTTEN, *given))
        if answers is None:
            return {}
        later: dict[int, datetime] = {}
        for (due, new, gap), granted, begins in zip(asked, answers[::2], answers[1::2], strict=True):
            first = datetime.fromtimestamp(float(begins), UTC)
            for place, one in enumerate([*due[int(granted) :], *new]):
                at = first + gap * place
                if at > now:
                    later[one.id] = min(at, one.latest) if one.latest is not None and one.latest > now else at
        return later

    def heard(self, answers: Iterable[tuple[str, Any]], now: datetime) -> None:
        """Slow down for whom a refusal was about us and our pace, not about the reader's address.

        Args:
            answers: address and outcome of each hand-over.
        """
        told: dict[str, tuple[int, str]] = {}
        for address, outcome in answers:
            steps = patience(outcome)
            if steps:
                provider = provider_of(address)
                told[provider] = max(told.get(provider, (0, "")), (steps, f"{outcome.code or ''} {outcome.text}"[:200]))
        if not told:
            return
        slowed = self.slowed(now)
        kept: dict[str, bytes] = {}
        for provider, (steps, why) in told.items():
            before = slowed.get(provider)
            level = min(DEEPEST, steps + (before.level_now(now) if before else 0))
            if before is not None and now - before.at < timedelta(seconds=10):
                level = max(before.level, steps)  # the rest of the same refusal: one group is many answers
            kept[provider] = msgspec.json.encode({"level": level, "at": now, "why": why})
            log.warning("provider_slowed", provider=provider, level=level, why=why)
        self._redis.ask(lambda redis: _keep(redis, self._slow, kept))

    def quicken(self, provider: str) -> None:
        """Forget that a provider asked for patience, and what was promised behind it."""
        self._redis.ask(lambda redis: redis.hdel(self._slow, provider))
        self._redis.ask(lambda redis: redis.hdel(self._track, f"{provider}:bulk", f"{provider}:service"))


_PATIENCE = ("too many", "rate limit", "rate-limit", "ratelimit", "throttl", "try again later", "temporarily deferred",
             "too fast", "exceeded", "unusual rate", "connection limit")  # fmt: skip
_GREY = ("greylist", "graylist", "grey list", "gray list", "postgrey")


def patience(outcome: Any) -> int:
    """By how many halvings an answer asks us to slow down: 0 where it is not about our pace.

    A greylist asks a new sender to come again, not to come slower; a full mailbox is its owner's affair.
    """
    text = str(getattr(outcome, "text", "")).lower()
    code = str(getattr(outcome, "code", None) or "")
    if isinstance(outcome, Permanent):
        return 2 if outcome.scope == "sender" else 0
    if not isinstance(outcome, Transient) or outcome.code is None:
        return 0
    if any(word in text for word in _GREY) or "4.2.2" in code or "mailbox full" in text or "quota" in text:
        return 0
    if any(word in text for word in _PATIENCE) or "4.7." in code or code[:3] == "421":
        return 1
    return 1 if code[:3] == "450" and "4.2.1" in code else 0


def _keep(redis: Redis, name: str, kept: Mapping[str, bytes]) -> None:
    redis.hset(name, items=[part for pair in kept.items() for part in pair])
    redis.expire(name, FORGOTTEN)


def _slowed(text: bytes) -> Slowed:
    kept = msgspec.json.decode(text)
    return Slowed(kept["level"], datetime.fromisoformat(kept["at"]), kept["why"])


# Each track remembers up to when its places are promised, and (":go") how much of what was promised has gone. A track
# behind `begin` starts there: what was not used in quiet times is not saved up beyond that.
_BOOK = """
local answers = {}
for at = 2, #ARGV, 7 do
    local track, gap = ARGV[at], tonumber(ARGV[at + 3])
    local begin, now, saved = tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]), tonumber(ARGV[at + 4])
    local promised, fresh = tonumber(ARGV[at + 5]), tonumber(ARGV[at + 6])
    local granted = 0
    if promised > 0 then
        local gone = math.max(tonumber(redis.call('HGET', KEYS[1], track .. ':go') or '0'), now - saved)
        granted = math.max(0, math.min(promised, math.floor((now - gone) / gap + 0.001)))
        redis.call('HSET', KEYS[1], track .. ':go', string.format('%.6f', gone + granted * gap))
    end
    local kept = math.max(tonumber(redis.call('HGET', KEYS[1], track) or '0'), begin)
    answers[#answers + 1] = granted
    answers[#answers + 1] = string.format('%.6f', kept)
    redis.call('HSET', KEYS[1], track, string.format('%.6f', kept + (promised - granted + fresh) * gap))
end
redis.call('EXPIRE', KEYS[1], ARGV[1])
return answers
"""
