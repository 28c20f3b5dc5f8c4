"""Files that are published with a template, in its folder `files/`, for mails to carry.

They lie among the library's texts in base64, and go into the compiled version: what a mail carried stays what it was.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from app.content.problems import Problem
from app.journey.known import CALENDAR

FOLDER: Final = "files"
MOST_BYTES: Final = 2_000_000
"""Of a template's files together: so no step can name more than that."""
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of file that may go with a mail: its media type, and what its content begins with."""

    type: str
    begins: bytes


KINDS: Final[Mapping[str, Kind]] = {
    "pdf": Kind("application/pdf", b"%PDF-"),
    "png": Kind("image/png", b"\x89PNG\r\n\x1a\n"),
    "jpg": Kind("image/jpeg", b"\xff\xd8\xff"),
    "jpeg": Kind("image/jpeg", b"\xff\xd8\xff"),
    "ics": Kind("text/calendar", b"BEGIN:VCALENDAR"),
}
"""By ending. Never an archive: booking sites refuse the mail (R34), and nobody should learn to open one."""


def kind_of(name: str) -> Kind:
    """The kind of a file that was published; raises KeyError for a name that none has."""
    return KINDS[name.rpartition(".")[2].lower()]


def is_enclosure(path: str) -> bool:
    """Whether a path of the library is such a file."""
    parts = path.split("/")
    return len(parts) == 3 and parts[1] == FOLDER and not parts[0].startswith("_") and not parts[2].startswith(".")


def enclosures(folder: str, files: Mapping[str, str], problems: list[Problem]) -> dict[str, str]:
    """The files of a template, name → content in base64; what is wrong with them is added to `problems`."""
    start = f"{folder}/{FOLDER}/"
    found = {path.removeprefix(start): files[path] for path in sorted(files) if path.startswith(start)}
    for name, content in found.items():
        wrong = _wrong(name, content)
        if wrong is not None:
            problems.append(Problem(start + name, 1, 1, "attachment", "error", *wrong))
    if sum(len(content) // 4 * 3 for content in found.values()) > MOST_BYTES + 2 * len(found):
        cure = "Make them smaller, or link to them."
        message = "The files of a template have 2 MB together at most."
        problems.append(Problem(start.rstrip("/"), 1, 1, "attachment", "error", message, cure))
    return found


def _wrong(name: str, content: str) -> tuple[str, str] | None:
    """What is wrong with a file, and the cure."""
    if not _NAME.fullmatch(name):
        return f"{name[:80]!r} can be no attachment's name.", "Use letters, digits, dots, dashes and underscores."
    if name == CALENDAR:
        return f"{CALENDAR} means the stay as a calendar file.", "Give the file another name."
    kind = KINDS.get(name.rpartition(".")[2].lower()) if "." in name else None
    if kind is None:
        return f"{name} is none of {', '.join(KINDS)}; archives never go with a mail (R34).", "Make a PDF of it."
    try:
        begins = base64.b64decode(content[:40])
    except binascii.Error:
        begins = b""
    if not begins.startswith(kind.begins):
        return f"{name} is not what its ending says.", "Save it anew as what it is."
    return None
