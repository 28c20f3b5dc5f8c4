"""What a mail server's refusal means: the address is bad, the mailbox has trouble, or we are not trusted (R35).

Servers say it in an enhanced status code (RFC 3463), in a three-figure reply, and in prose. The code is believed before
the prose, but for blocks: "550 5.1.1 blocked using a block list" is about us whatever its code claims.
"""

from __future__ import annotations

import re
from typing import Literal

Verdict = Literal["hard", "soft", "blocked"]
"""hard: no such mailbox, suppress at once. soft: may work another day, suppress after 5 in 30 days with no delivery
between. blocked: the sender's fault (reputation, policy, authentication), never suppresses."""

HARD = frozenset({"5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.2.1"})

_STATUS = re.compile(r"(?<![\d.])([245]\.\d{1,3}\.\d{1,3})(?![\d.])")


def _any(*phrases: str) -> re.Pattern[str]:
    return re.compile("|".join(phrases), re.IGNORECASE)


_BLOCK = _any(
    r"block(?:ed|ing)?[ -]?list|black[ -]?list|\bblocked\b|\bbanned\b|\bpolicy\b|\bdnsbl\b|\brbl\b",
    r"spamhaus|barracudacentral|sorbs|spamcop|reputation|\bspam\b|unsolicited|rate[ -]?limit",
    r"\bdmarc\b|\bspf\b|\bdkim\b|unauthenticated",
    r"relay(?:ing)? (?:access )?denied|not allowed to relay",
    r"(?:sender|message content) (?:address )?(?:was )?rejected|invalid ip|after (?:initial connection|[EH]{2}LO)",
    r"reverse (?:dns|lookup|address)|\bptr\b|\brdns\b|(?:does not|doesn't|cannot) resolve|client (?:ip|host)",
)
_NOBODY = _any(
    # no such user here; unknown local-part; invalid address
    r"(?:no such|unknown|invalid|non[- ]?exist[ea]nt|bad|unroute?able) (?:local )?"
    r"(?:user|recipient|mailbox|address|account|domain|host|local[ -]?part|destination|person)",
    # user unknown; mailbox <a@b> not found; account has been disabled
    r"(?:user|recipients?|mailbox|address|account|domain|hosts?|name|e-?mail|person)"
    r"(?: (?:name|domain|address)| <[^>]{0,120}>| \S{1,80}@\S{1,80})? ?(?:is |was |has been |are |could )?"
    r"(?:unknown|not (?:be )?found|does ?n[o']t exist|invalid|disabled|deleted|not valid|not listed|no longer|not known"
    r"|not a (?:known|valid) user|not exist)",
    r"user \S{0,120} ?(?:is )?unknown|hosts? \S{1,120} not found",
    r"does(?: not|n't) (?:exist|accept (?:e-?)?mail|receive e?-?mail)",
    r"does(?: not|n't) have an?y? (?:\S{1,80} )?(?:mailbox|account|e-?mail)",
    r"nobody here|no (?:mailbox|account|user|one) (?:here )?by|not our customer|may not exist",
    r"(?:could not|couldn't|cannot) (?:be found|find an?y? (?:mail )?(?:host|exchanger))",
    r"no longer (?:available|valid|in use|with|active)|unknown in virtual|not listed|not recogni[sz]ed",
    r"user (?:has )?moved|has moved|null mx|not accepting (?:network )?mess?age|unroute?able|undeliverable address",
    r"recipient (?:address )?rejected: (?:user|undeliverable)|mailbox (?:is )?(?:unavailable|not available)",
    r"(?:check|make sure) (?:if |that )?(?:the |recipient )?address is correct",
)
_VAGUE = re.compile(r"5\.(?:[0-689]\.0|4\.4|3\.5)")
"""Codes that name a matter and not what is the matter with it: the prose decides."""
_FULL = _any("quota|mailbox (?:is )?full|storage|insufficient|too (?:big|large)")


def enhanced(text: str) -> str | None:
    """The first enhanced status code in a reply, such as 5.1.1."""
    found = _STATUS.search(text)
    return found[1] if found else None


def verdict(text: str) -> Verdict:
    """What a final refusal means. `text` is the whole reply: figures, status and prose. Unknown codes are soft."""
    if _BLOCK.search(text):
        return "blocked"
    codes = _STATUS.findall(text)
    status = next((code for code in codes if not _VAGUE.fullmatch(code)), codes[0] if codes else None)
    if status is None or _VAGUE.fullmatch(status):
        return "hard" if _NOBODY.search(text) and not _FULL.search(text) else "soft"
    if status.split(".")[1] == "7":
        return "blocked"
    # A code in the 4 class after its last try is soft whatever it is about.
    return "hard" if status in HARD else "soft"
