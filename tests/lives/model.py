"""What may be sent to whom, in one page: an upper bound that knows nothing of the code under test.

It keeps what each person has said, on which address, and when it took effect. A marketing message that left is right
only if `may` says so at the instant of its hand-over. It reads RULES.md and no module of `app`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

ALL = "*"
"""Every topic."""


@dataclass(frozen=True)
class Word:
    """A yes or a no that a person said."""

    at: datetime
    """When it was said, which may be long before we heard of it."""
    address: str
    topic: str
    """A topic, `ALL`, or `feedback`."""
    yes: bool
    by_system: bool = False
    """A file or a feed says it for them: it never lifts a no (R10)."""
    everywhere: bool = False
    """An objection: it holds on all addresses of the person (R10)."""


@dataclass
class Truth:
    """One person: what we have been told so far."""

    words: list[Word] = field(default_factory=list)
    bookings: dict[str, bool] = field(default_factory=dict)
    """Reference → whether it stands and was paid to us, not to a portal."""
    notices: set[str] = field(default_factory=set)
    """Addresses given with the notice, and the right to refuse, before their eyes (R8)."""
    dead: set[str] = field(default_factory=set)
    """Addresses that bounced for good: nothing goes there (R35)."""
    locked: set[str] = field(default_factory=set)
    """Addresses whose owner stopped everything, complained or was erased: only a fresh double opt-in opens them again
    (R36, R37)."""

    def joined(self, other: Truth) -> None:
        """The two turned out to be one person: nothing is wider than either's (X11)."""
        mine, theirs = list(self.words), list(other.words)
        self.words = mine + theirs
        # A yes of one that is not newer than a no of the other, on whatever address, is over.
        for word in [*mine, *theirs]:
            if word.yes and any(no.at >= word.at for no in self.words if not no.yes and no.topic == word.topic):
                self.words.remove(word)
        self.bookings |= other.bookings
        self.notices |= other.notices
        self.dead |= other.dead
        self.locked |= other.locked

    def may(self, address: str, class_: str, topic: str | None) -> bool:
        """Whether marketing on a topic, or a request for an opinion, has anything to stand on now."""
        if address in self.dead or address in self.locked:
            return False
        if class_ == "feedback":
            return self._yes(address, "feedback") or (
                not self._noes(address, "feedback")
                and any(self._yes(address, word.topic) for word in self.words if word.topic != "feedback")
            )
        return topic is not None and (self._yes(address, topic) or self._customer(address, topic))

    def _yes(self, address: str, topic: str) -> bool:
        noes = self._noes(address, topic)
        return any(
            word.yes
            and word.address == address
            and word.topic in _covering(topic)
            and (not noes or (word.at > max(noes) and not word.by_system))
            for word in self.words
        )

    def _noes(self, address: str, topic: str) -> list[datetime]:
        return [
            word.at
            for word in self.words
            if not word.yes and (word.everywhere or (word.address == address and word.topic in _covering(topic)))
        ]

    def _customer(self, address: str, topic: str) -> bool:
        """The customer's exception (R8): a standing paid booking, the notice, and never a no that still stands."""
        standing = [
            no
            for no in self.words
            if not no.yes
            and no.topic != "feedback"
            and not any(yes.yes and yes.at > no.at and not yes.by_system for yes in self.words)
        ]
        return topic == "offers" and address in self.notices and any(self.bookings.values()) and not standing


def _covering(topic: str) -> tuple[str, ...]:
    return (topic,) if topic == "feedback" else (topic, ALL)
