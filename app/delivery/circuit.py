"""A circuit breaker for one way out: after failures in a row nothing is sent by it for a while, then one mail tries.

    closed → (failures) → open until an instant → half open: one mail → closed, or open for longer

What is sent by a way that is down waits as long as its time-outs last, and each silence leaves a mail in doubt; five of
them are enough. A value without a database or a clock; what it came to is kept with the sender, so that other
processes and the studio know.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from app.delivery.providers import Outcome, Transient, Unknown

FAILURES = 5
"""So many in a row open it."""
SHORTEST, LONGEST = timedelta(seconds=30), timedelta(minutes=10)
"""How long it stays open, at first and at most; doubled each time the mail that tries fails."""
TOLD_EVERY = timedelta(minutes=1)
LONGEST_ASKED = timedelta(minutes=30)
"""A provider that asks for more time than this is asked again all the same."""

State = Literal["closed", "open", "half-open"]


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a circuit stands, as it is kept."""

    failures: int = 0
    open_until: datetime | None = None

    def state(self, now: datetime) -> State:
        """closed, open, or half-open: its time is over and nothing has been tried since."""
        if self.open_until is None:
            return "closed"
        return "open" if now < self.open_until else "half-open"


class Circuit:
    """The circuit of one sender in one process; its threads share it."""

    def __init__(self, standing: Standing) -> None:
        self._lock = threading.Lock()
        self._trying = False
        self._told_at: datetime | None = None
        self.standing = standing

    def to_be_told(self, now: datetime) -> bool:
        """Whether that it took mails has not been written down for a minute."""
        with self._lock:
            if self._told_at is not None and timedelta() <= now - self._told_at < TOLD_EVERY:
                return False
            self._told_at = now
            return True

    def admits(self, now: datetime) -> Literal["all", "one", "none"]:
        """How much may be sent: everything, one mail (the caller then must say what came of it), or nothing."""
        with self._lock:
            state = self.standing.state(now)
            if state == "closed":
                return "all"
            if state == "open" or self._trying:
                return "none"
            self._trying = True
            return "one"

    def learn(self, standing: Standing) -> None:
        """Take over what another process has found out."""
        with self._lock:
            if not self._trying:
                self.standing = standing

    def heard(self, outcomes: Sequence[Outcome], now: datetime) -> None:
        """Take in what came of mails, in order."""
        with self._lock:
            self._trying = False
            for outcome in outcomes:
                self.standing = after(self.standing, outcome, now)


def after(standing: Standing, outcome: Outcome, now: datetime) -> Standing:
    """The standing after one more outcome. A mail that is refused for what it is, or for its reader, is no failure."""
    if not failed(outcome):
        return Standing() if standing.failures else standing
    # What was under way when it opened says nothing new.
    if standing.state(now) == "open":
        return standing
    failures = standing.failures + 1
    asked = timedelta(seconds=outcome.wait) if isinstance(outcome, Transient) else timedelta()
    if failures < FAILURES and not asked:
        return replace(standing, failures=failures)
    doubled = min(LONGEST, SHORTEST * 2 ** min(10, max(0, failures - FAILURES)))
    return Standing(failures, now + (min(asked, LONGEST_ASKED) or doubled))


def failed(outcome: Outcome) -> bool:
    """Whether an outcome speaks against the way out: it could not take mails, or left us without an answer."""
    return isinstance(outcome, Unknown) or (isinstance(outcome, Transient) and outcome.elsewhere)
