"""When a mail that was put off is tried again, and when it is given up (R39). The schedule is a value, not code."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from datetime import datetime, timedelta

_MINUTES = (1, 2, 5, 10, 20, 40, 60, 120, 240)


@dataclass(frozen=True)
class Schedule:
    """Delays between tries.

    Args:
        delays: after the first try, the second ...; the last one repeats.
        give_up: so long after the first try no other is made.
        spread: each delay is stretched by up to this part of itself, so that mails put off together do not come back
            together. The stretch follows from the message and the try, so the same history gives the same instants.
    """

    delays: tuple[timedelta, ...] = tuple(timedelta(minutes=minutes) for minutes in _MINUTES)
    give_up: timedelta = timedelta(hours=72)
    spread: float = 0.2

    def __post_init__(self) -> None:
        if not self.delays or min(self.delays) < timedelta(seconds=1) or not 0 <= self.spread <= 1:
            raise ValueError("A schedule needs delays of a second or more and a spread from 0 to 1.")
        if list(self.delays) != sorted(self.delays):
            raise ValueError("The delays of a schedule never shrink.")

    def following(
        self,
        message_pk: int,
        tries: int,
        first_at: datetime,
        now: datetime,
        latest: datetime | None,
        asked: datetime | None = None,
    ) -> datetime | None:
        """The instant of the next try, or None where the message is to be given up.

        Args:
            message_pk: the message.
            tries: how many were made, the one just failed included.
            first_at: when the first was made.
            now: when the last one failed.
            latest: the message's own last moment (R59).
            asked: not before this instant, as the provider asks.
        """
        delay = self.delays[min(tries, len(self.delays)) - 1]
        part = zlib.crc32(f"{message_pk}:{tries}".encode()) / 2**32
        at = max(now + delay * (1 + self.spread * part), asked or now)
        if at > first_at + self.give_up or (latest is not None and at > latest):
            return None
        return at


STANDARD = Schedule()
"""1, 2, 5, 10, 20, 40 minutes, 1, 2, then every 4 hours, for 72 hours."""
