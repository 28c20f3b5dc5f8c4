"""Throw-away mailboxes: domains whose addresses live for minutes. Flagged, never refused by themselves.

The list shipped is disposable-email-domains' (CC0 1.0). A newer one, put at `disposable_domains.txt` in the data folder
(`flask contacts disposable-domains FILE`), takes its place in every process within a minute.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

SHIPPED = Path(__file__).parent / "disposable_domains.txt"
NAME = "disposable_domains.txt"
FEWEST = 1_000
"""Domains of a list that may take the place of another: a shorter one is a broken download."""
_LOOK_AGAIN = 60.0

_DOMAIN = re.compile(r"(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{2,63}")


class BadListError(ValueError):
    """The file is no list of domains; the message says why."""


class Domains:
    """The list in force.

    Args:
        folder: the data folder, in which a newer list may lie.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._own = folder / NAME if folder else None
        self._looked = 0.0
        self._held: tuple[Path, float] | None = None
        self._domains: frozenset[str] = frozenset()

    def __len__(self) -> int:
        return len(self._fresh())

    def has(self, address_key: str) -> bool:
        """Whether an address, or a domain, is one of a throw-away mailbox; of a domain below a listed one too."""
        domains = self._fresh()
        domain = address_key.rpartition("@")[2]
        while domain:
            if domain in domains:
                return True
            domain = domain.partition(".")[2]
        return False

    def _fresh(self) -> frozenset[str]:
        now = time.monotonic()
        if self._held is None or now - self._looked > _LOOK_AGAIN:
            self._looked = now
            path = self._own if self._own and self._own.is_file() else SHIPPED
            held = (path, path.stat().st_mtime)
            if held != self._held:
                self._domains, self._held = frozenset(read(path.read_text(encoding="utf-8").splitlines())), held
        return self._domains


@lru_cache(maxsize=8)
def in_force(folder: Path) -> Domains:
    """The list in force where `folder` is the data folder; the same one however often it is asked for."""
    return Domains(folder)


def read(lines: Iterable[str]) -> list[str]:
    """The domains of a list: one a line, `#` begins a remark.

    Raises:
        BadListError: a line is no domain, or there are suspiciously few.
    """
    found: list[str] = []
    for number, line in enumerate(lines, start=1):
        domain = line.partition("#")[0].strip().lower()
        if not domain:
            continue
        if not _DOMAIN.fullmatch(domain):
            raise BadListError(f"Line {number} is no domain. Give a file with one domain a line, in ASCII.")
        found.append(domain)
    if len(found) < FEWEST:
        raise BadListError(f"It names {len(found)} domains; a list names at least {FEWEST}. Was it cut off?")
    return found


def replace(folder: Path, content: str) -> int:
    """Put a newer list in force; gives how many domains it names.

    Raises:
        BadListError: it is no list; the one in force stays.
    """
    found = read(content.splitlines())
    folder.mkdir(parents=True, exist_ok=True)
    new = folder / (NAME + ".new")
    new.write_text("\n".join(sorted(set(found))) + "\n", encoding="utf-8")
    new.replace(folder / NAME)
    return len(found)
