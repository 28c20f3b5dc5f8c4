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
_BLOCK = re.compile(
    r"block(?:ed|ing)?[ -]?list|black[ -]?list|\bblocked\b|\bdnsbl\b|\brbl\b|spamhaus|barracudacentral|sorbs|spamcop"
    r"|reputation|\bspam\b|unsolicited|\bdmarc\b|\bspf\b|\bdkim\b|rate[ -]?limit|relay(?:ing)? (?:access )?denied"
    r"|not allowed to relay|\bbanned\b|\bpolicy\b",
    re.IGNORECASE,
)
_NOBODY = re.compile(
    r"(?:no such|unknown|invalid|non[- ]?existent) (?:user|recipient|mailbox|address|account)"
    r"|(?:user|recipient|mailbox|address|account) (?:is )?(?:unknown|not found|does ?n[o']t exist|invalid|disabled)"
    r"|does not exist|nobody here",
    re.IGNORECASE,
)


def enhanced(text: str) -> str | None:
    """The first enhanced status code in a reply, such as 5.1.1."""
    found = _STATUS.search(text)
    return found[1] if found else None


def verdict(text: str) -> Verdict:
    """What a final refusal means. `text` is the whole reply: figures, status and prose. Unknown codes are soft."""
    if _BLOCK.search(text):
        return "blocked"
    status = enhanced(text)
    if status is None:
        return "hard" if _NOBODY.search(text) else "soft"
    if status.split(".")[1] == "7":
        return "blocked"
    # A code in the 4 class after its last try is soft whatever it is about.
    return "hard" if status in HARD else "soft"
