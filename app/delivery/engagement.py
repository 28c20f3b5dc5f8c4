"""Who opened or clicked: a person, a proxy that hides them, or a scanner. Pure.

Mail filters follow every link within seconds of delivery, mail programs fetch pictures before anybody looks, chats make
previews. None of that is a person's interest. A hit is judged together with all others on the same mail:

    scanner   follows links or opens mail by itself: filters, previews, scripts, crawlers
    proxy     fetches for a person and hides when, and whether, they looked: image proxies
    human     everything that nothing speaks against

What is asked, in this order (RULES 5.1): the provider's own word; the hidden link, which no reader sees; the method;
the user agent; several links of one mail within seconds; and how soon after delivery. One word against it is enough, as
a missed click costs less than a decision that rests on a machine.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, Final, Literal, NamedTuple

import crawleruseragents

Class = Literal["human", "proxy", "scanner"]

UNSETTLED: Final = "unsettled"
"""The class of a hit until what came along with it is known."""

BURST = timedelta(seconds=10)
"""Several links of one mail within this time: nobody reads so fast."""
BURST_LINKS = 3
"""So many different ones; or all there are, where a mail has two."""
HIDDEN_NEAR = timedelta(seconds=60)
"""Whoever found the hidden link did everything else on that mail this shortly before and after it, too."""
TOO_SOON = timedelta(seconds=5)
"""A click this soon after the mail was delivered, or before, is a filter's; tools use 5 to 12 seconds."""
OPEN_ALONE = timedelta(seconds=60)
"""An open this soon after delivery is a machine's, unless the person clicks afterwards."""

SETTLES: Mapping[str, timedelta] = {"clicked": BURST, "opened": OPEN_ALONE}
"""Kind → how long after it is known who it was."""

WHY: Mapping[str, str] = {
    "reader": "nothing speaks against a person",
    "told": "the provider says that a machine did it",
    "hidden_link": "it follows a link that no reader sees",
    "beside_hidden": "at the same time a link was followed that no reader sees",
    "method": "browsers follow a link with GET",
    "no_agent": "every browser says what it is",
    "agent": "it says that it is no browser",
    "image_proxy": "a mail program fetched the pictures, whoever looked or did not",
    "burst": "several links of the mail within seconds",
    "too_soon": "within seconds of delivery",
    "opened_at_once": "within a minute of delivery, and nothing followed",
}
"""Code → what it means; kept beside the class."""

_PROXY_WORDS = ("googleimageproxy", "yahoomailproxy", "icloud mail proxy")
_PROXY_NETWORKS = tuple(ipaddress.ip_network(one) for one in ("66.102.0.0/20", "66.249.64.0/19", "64.233.160.0/19"))
"""Where Gmail's picture proxy fetches from."""
_BARE = "mozilla/5.0"
"""All that Apple's mail privacy says of itself; no browser stops there."""
_SCANNER_WORDS = (
    "barracuda",
    "mimecast",
    "proofpoint",
    "safelinks",
    "trendmicro",
    "symantec",
    "ms-office existence",
    "microsoft office existence discovery",
    "edge/12.246 mozilla/5.0",
    "googlemessages/",
    "lua-resty-http/",
)
"""Mail filters and previews that are in no list of crawlers, as none of them crawls. Lower case."""
_NO_EVIDENCE = ("amazon cloudfront",)
"""Stands before readers who are hidden behind it: alone it says nothing."""


class Hit(NamedTuple):
    """One open or click of one mail."""

    number: int
    kind: str
    """clicked or opened."""
    at: datetime
    agent: str | None = None
    """The user agent; empty: it said none; None: nobody has told us."""
    method: str = "GET"
    link: str | None = None
    """Which one, by number or address."""
    links: int | None = None
    """How many counted links the mail has, where that is known."""
    hidden: bool = False
    """The link was the one that no reader sees."""
    proxy_network: bool = False
    """It came from a network of picture proxies."""
    told: bool = False
    """The provider says it was a machine."""


class Sorted(NamedTuple):
    """What a hit was, and the code of `WHY`."""

    class_: Class
    why: str


def sort(hits: Sequence[Hit], delivered_at: datetime | None) -> dict[int, Sorted]:
    """Number → what it was, of all hits on one mail.

    Args:
        hits: everything known of this mail, in any order.
        delivered_at: when it was handed over; None where that is not known.
    """
    hidden = [hit.at for hit in hits if hit.hidden]
    bursts = _bursts(hits)
    found: dict[int, Sorted] = {}
    for hit in hits:
        found[hit.number] = _by_itself(hit) or _by_company(hit, hidden, bursts, delivered_at)
    clicks = [hit.at for hit in hits if hit.kind == "clicked" and found[hit.number].class_ == "human"]
    for hit in hits:
        soon = delivered_at is not None and hit.at - delivered_at < OPEN_ALONE
        if (
            hit.kind == "opened"
            and found[hit.number].class_ == "human"
            and soon
            and not any(at >= hit.at for at in clicks)
        ):
            found[hit.number] = Sorted("proxy", "opened_at_once")
    return found


def _by_itself(hit: Hit) -> Sorted | None:
    """What one hit gives away alone."""
    if hit.hidden:
        return Sorted("scanner", "hidden_link")
    of_agent = sort_agent(hit.agent, hit.kind) if hit.agent is not None else None
    if of_agent is not None and of_agent.class_ == "proxy":
        return of_agent
    if hit.kind == "opened" and hit.proxy_network:
        return Sorted("proxy", "image_proxy")
    if hit.told:
        return Sorted("proxy" if hit.kind == "opened" else "scanner", "told")
    if hit.method != "GET":
        return Sorted("scanner", "method")
    return of_agent


def _by_company(
    hit: Hit, hidden: Sequence[datetime], bursts: Sequence[tuple[datetime, datetime]], delivered_at: datetime | None
) -> Sorted:
    """What the other hits on the mail, and the time, say of one."""
    if any(abs(hit.at - at) <= HIDDEN_NEAR for at in hidden):
        return Sorted("scanner", "beside_hidden")
    if hit.kind == "clicked":
        if any(first <= hit.at <= last for first, last in bursts):
            return Sorted("scanner", "burst")
        if delivered_at is not None and hit.at - delivered_at < TOO_SOON:
            return Sorted("scanner", "too_soon")
    return Sorted("human", "reader")


def _bursts(hits: Sequence[Hit]) -> list[tuple[datetime, datetime]]:
    """From when to when so many different links were followed that nobody has read."""
    clicks = sorted((hit for hit in hits if hit.kind == "clicked" and not hit.hidden), key=lambda hit: hit.at)
    links = max((hit.links for hit in clicks if hit.links), default=BURST_LINKS)
    wanted = min(BURST_LINKS, max(links, 2))
    found = []
    for place, first in enumerate(clicks):
        close = [hit for hit in clicks[place:] if hit.at - first.at <= BURST]
        if len({hit.link for hit in close if hit.link is not None}) >= wanted:
            found.append((first.at, close[-1].at))
    return found


@lru_cache(maxsize=4096)
def sort_agent(agent: str, kind: str = "clicked") -> Sorted | None:
    """What a user agent says of itself; None: it may be a person's."""
    words = agent.strip().lower()
    if any(word in words for word in _PROXY_WORDS):
        return Sorted("proxy", "image_proxy")
    if words == _BARE:
        return Sorted("proxy", "image_proxy") if kind == "opened" else Sorted("scanner", "agent")
    if not words:
        return Sorted("scanner", "no_agent")
    if words in _NO_EVIDENCE:
        return None
    if any(word in words for word in _SCANNER_WORDS) or crawleruseragents.is_crawler(agent):
        return Sorted("scanner", "agent")
    return None


def of_proxies(address: str | None) -> bool:
    """Whether an IP address belongs to a network of picture proxies. The address itself is kept nowhere."""
    try:
        place = ipaddress.ip_address(address or "")
    except ValueError:
        return False
    return any(place in network for network in _PROXY_NETWORKS)


_AGENT_NAMES = frozenset({"user_agent", "useragent", "user-agent", "agent"})
_ADDRESS_NAMES = frozenset({"ip", "ipaddress", "ip_address", "client-ip"})
_TOLD_NAMES = frozenset({"sg_machine_open", "bot", "is_bot", "machine", "machine_open", "is_prefetched", "proxy"})
_NOTHING = frozenset({"", "false", "none", "no", "0", "unknown"})
_SEARCHED = 4
"""How deep in a provider's words they stand."""


class Said(NamedTuple):
    """What a provider's words give away of who it was."""

    agent: str | None
    proxy_network: bool
    told: bool


def said(raw: Mapping[str, Any]) -> Said:
    """User agent, network and the provider's own verdict, found by the names that providers use for them."""
    agent: str | None = None
    address: str | None = None
    told = False
    for name, value in _leaves(raw, _SEARCHED):
        if agent is None and name in _AGENT_NAMES and isinstance(value, str):
            agent = value
        elif address is None and name in _ADDRESS_NAMES and isinstance(value, str):
            address = value
        elif name in _TOLD_NAMES and str(value).lower() not in _NOTHING:
            told = True
    # Of a provider that fills the field with nothing we do not know what the reader's program said.
    return Said(agent or None, of_proxies(address), told)


def _leaves(value: Mapping[str, Any], depth: int) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, inner in value.items():
        if isinstance(inner, Mapping):
            found += _leaves(inner, depth - 1) if depth else []
        else:
            found.append((str(name).lower(), inner))
    return found
