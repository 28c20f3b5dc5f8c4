"""What goes with a mail besides its words: the stay as a calendar file, and files published with its template."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import structlog

from app.content.enclosures import KINDS, kind_of
from app.journey.known import CALENDAR

log = structlog.get_logger()

CALENDAR_FILE = "calendar.ics"


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file as it goes with a mail. `parameters` follow the type in the mail itself, such as `; charset=utf-8`."""

    name: str
    type: str
    data: bytes
    parameters: str = ""
    encoded: str = ""
    """The same content in base64, where it is at hand."""

    @property
    def base64(self) -> str:
        """Its content as the structured APIs of providers want it."""
        return self.encoded or base64.b64encode(self.data).decode()


@lru_cache(maxsize=32)
def _published(name: str, content: str) -> Attachment:
    """A file of a template's version: the same for every mail of it, so it is decoded once and not once a mail."""
    data = base64.b64decode(content)
    return Attachment(name, kind_of(name).type, data, encoded=base64.b64encode(data).decode())


def made(names: Iterable[str], calendar: str | None, files: Mapping[str, str]) -> tuple[Attachment, ...]:
    """The attachments that a step names.

    One that is no longer there is passed over, and logged: the words of a mail matter more than what goes with them.

    Args:
        names: as the step gave them.
        calendar: the calendar file, where there is one.
        files: those of the template's version: name → content in base64.
    """
    found = []
    for name in names:
        if name == CALENDAR:
            if calendar is not None:
                type_, parameters = KINDS["ics"].type, "; charset=utf-8; method=PUBLISH"
                found.append(Attachment(CALENDAR_FILE, type_, calendar.encode("utf-8", "replace"), parameters))
        elif name in files:
            found.append(_published(name, files[name]))
        else:
            log.warning("attachment_gone", name=name)
    return tuple(found)


def asked(terms: Mapping[str, Any] | None) -> list[str]:
    """The names among a message's terms."""
    return list((terms or {}).get("attachments") or ())
