"""The mailbox that bounces, complaints and unsubscribe mails come back to, read every minute (R31, R35, R36).

    letter → whom it is about → delivery event or withdrawal → marked as read

What a letter means is written down first and only then is it marked, so a crash in between has it read once more, and
its hash tells that it was dealt with. Letters that belong to no message of ours are flagged and left for a person.
"""

from __future__ import annotations

import hashlib
import imaplib
import mailbox
import re
import ssl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

import structlog
from sqlalchemy import select, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from app.accounts.models import Workspace
from app.consent.policy import Policy
from app.delivery import track
from app.delivery.bounces import Meaning, Report, Returned, read
from app.delivery.track import Arrival
from app.house import House
from app.messages import choices, links
from app.messages.choices import Leaving, wish_of
from app.messages.links import BadTokenError, Ref
from app.messages.voices import Voice

log = structlog.get_logger()

AT_ONCE = 100
"""Letters taken before what they say is written down."""
LARGEST = 2_000_000
"""Bytes beyond which a letter is not read; no server returns more than the beginning of such a mail."""
PATIENCE = 30
"""Seconds to wait for an answer of the mail server."""

_UNSUBSCRIBE = re.compile(
    rb"^Subject:[ \t]*unsubscribe[ \t]+([A-Za-z0-9_-]{16,200})[ \t]*\r?$", re.MULTILINE | re.IGNORECASE
)
_WORST: Mapping[Meaning, int] = {"complaint": 0, "hard": 1, "blocked": 2, "soft": 3, "delayed": 4, "none": 5}


class InboxError(ValueError):
    """An inbox's address cannot be understood; the message says what is wrong."""


@dataclass(frozen=True, slots=True)
class Letter:
    """One mail as it lies in the box."""

    key: str
    raw: bytes


class Inbox(Protocol):
    """Where letters lie."""

    def letters(self, limit: int) -> list[Letter]:
        """Up to so many that nobody has dealt with, oldest first."""
        ...

    def close_letter(self, key: str, *, understood: bool) -> None:
        """Mark one as read; flag it for a person where it was not understood."""
        ...


@dataclass(frozen=True, slots=True)
class Fetched:
    """What a look into the box came to."""

    reports: int = 0
    """Bounces, delays and complaints recorded anew."""
    withdrawals: int = 0
    """Unsubscribe mails that were obeyed."""
    known: int = 0
    """Said again what was recorded already."""
    flagged: int = 0
    """Left for a person."""

    def __add__(self, other: Fetched) -> Fetched:
        return Fetched(
            self.reports + other.reports,
            self.withdrawals + other.withdrawals,
            self.known + other.known,
            self.flagged + other.flagged,
        )


def fetch(house: House) -> Fetched:
    """Deal with every letter in the house's inbox.

    Raises:
        InboxError: the address makes no sense.
        OSError, imaplib.IMAP4.error: the box cannot be reached; what was read till then is dealt with.
    """
    total, seen = Fetched(), set[str]()
    with open_inbox(house.settings.inbox) as inbox:
        # A box that takes no marks gives the same letters again: then it is enough.
        while letters := [letter for letter in inbox.letters(AT_ONCE) if letter.key not in seen]:
            seen |= {letter.key for letter in letters}
            total += _deal(house, inbox, letters)
    return total


def _deal(house: House, inbox: Inbox, letters: Sequence[Letter]) -> Fetched:
    """One batch: one unit of work for each workspace that is spoken of."""
    now = house.clock.now()
    leaving: dict[int, list[tuple[Letter, Ref]]] = {}
    arriving: dict[int, list[tuple[Letter, Arrival]]] = {}
    unclear: list[tuple[Letter, Report]] = []
    flagged = [letter for letter in letters if len(letter.raw) > LARGEST]
    for letter in letters:
        if letter in flagged:
            continue
        token = _UNSUBSCRIBE.search(letter.raw.partition(b"\r\n\r\n")[0][:20_000])
        ref = _ref(house, token[1].decode()) if token else None
        if ref is not None:
            leaving.setdefault(ref.workspace_id, []).append((letter, ref))
            continue
        report = read(letter.raw)
        about = _returned_to(house, report)
        if about is not None and report.verdicts:
            arrival = _arrival(letter, report, now, about.message_id)
            arriving.setdefault(about.workspace_id, []).append((letter, arrival))
        else:
            unclear.append((letter, report))
    _by_message_id(house, unclear, arriving, now)
    placed = {letter.key for rows in arriving.values() for letter, _ in rows}
    flagged += [letter for letter, _ in unclear if letter.key not in placed]
    total = Fetched(flagged=len(flagged))
    for workspace_id in sorted({*leaving, *arriving}):
        with house.database.work(workspace_id) as session:
            for letter, what in [*arriving.get(workspace_id, ()), *leaving.get(workspace_id, ())]:
                try:
                    with session.begin_nested():
                        total += _write_down(session, what, now)
                except (SQLAlchemyError, ValueError, LookupError):
                    # One letter that cannot be dealt with keeps none of the others waiting.
                    log.exception("letter_set_aside", workspace_id=workspace_id)
                    flagged.append(letter)
                    total += Fetched(flagged=1)
    for letter in letters:
        inbox.close_letter(letter.key, understood=letter not in flagged)
    log.info(
        "inbox_read", letters=len(letters), reports=total.reports, withdrawals=total.withdrawals, flagged=total.flagged
    )
    return total


def _write_down(session: Session, what: Arrival | Ref, now: datetime) -> Fetched:
    if isinstance(what, Ref):
        return Fetched(withdrawals=1) if _leave(session, what, now) else Fetched(known=1)
    tracked = track.record(session, [what], now)
    return Fetched(reports=tracked.recorded, known=tracked.duplicates, flagged=len(tracked.unmatched))


def _ref(house: House, token: str) -> Ref | None:
    try:
        return links.read_ref(house.settings, "unsubscribe", token)
    except BadTokenError:
        return None


def _returned_to(house: House, report: Report) -> Ref | None:
    """The message whose own bounce address a report came to."""
    for address in report.came_to:
        try:
            return links.read_bounce_address(house.settings, address)
        except BadTokenError:
            continue
    return None


def _by_message_id(
    house: House,
    unclear: Sequence[tuple[Letter, Report]],
    arriving: dict[int, list[tuple[Letter, Arrival]]],
    now: datetime,
) -> None:
    """Put reports that name the mail they enclose to the workspace it is of; one query, none where none does."""
    ids = [report.message_id for _, report in unclear if report.message_id and report.verdicts]
    if not ids:
        return
    with house.database.system() as session:
        found = {row.message_id: row for row in session.execute(_NAMED, {"ids": ids})}
    for letter, report in unclear:
        row = found.get(report.message_id or "")
        if row is not None and report.verdicts:
            arriving.setdefault(row.workspace_id, []).append((letter, _arrival(letter, report, now, row.id)))


_NAMED = text(
    """
    SELECT m.workspace_id, m.id, m.message_id FROM workspaces w
    CROSS JOIN LATERAL (SELECT workspace_id, id, message_id FROM messages
        WHERE workspace_id = w.id AND message_id = ANY(CAST(:ids AS text[]))) m
    """
)


def _arrival(letter: Letter, report: Report, now: datetime, message_pk: int) -> Arrival:
    """The report as a delivery event; of several recipients the gravest, as every mail of ours has one only."""
    worst = min(report.verdicts, key=lambda one: _WORST[one.verdict])
    kind, reason = _meaning(worst)
    return Arrival(
        kind=kind,
        occurred_at=now,
        provider="inbox",
        dedupe=hashlib.sha256(letter.raw).hexdigest()[:32],
        message_pk=message_pk,
        reason=reason,
        data={
            "status": worst.status,
            "text": worst.text,
            "feedback": worst.feedback,
            "recipient": worst.recipient,
            "at": "inbox",
        },
    )


def _meaning(one: Returned) -> tuple[str, str | None]:
    match one.verdict:
        case "complaint":
            return "complained", "abuse"
        case "delayed":
            return "deferred", None
        case "none":
            return ("delivered", None) if (one.status or "").startswith("2.") else ("unknown", "other")
        case "hard" | "soft" | "blocked":
            return "bounced", one.verdict


def _leave(session: Session, ref: Ref, now: datetime) -> bool:
    """Obey an unsubscribe mail; whether anything changed. The sender's address is not asked for: who has the link has
    the mail it came in (RFC 8058, 3.2 on why that must do)."""
    person = choices.person_of_message(session, ref.message_id)
    if person is None:
        return False
    stored = session.scalar(select(Workspace.settings).where(Workspace.id == ref.workspace_id)) or {}
    voice = Voice(method="unsubscribe_mail", language="", page="inbox", message_pk=ref.message_id)
    wish = wish_of(person, Policy.from_settings(stored))
    chosen = track.leave(session, Leaving(person, (wish,), voice, now), now)
    return bool(chosen.lines)


# -- boxes ------------------------------------------------------------------------------------------------------------


@contextmanager
def open_inbox(url: str) -> Iterator[Inbox]:
    """The box that `PERCORSO_INBOX` names: `maildir:/path` or `imaps://user:password@host/FOLDER`."""
    parts = urlsplit(url)
    if parts.scheme == "maildir" and parts.path:
        yield Folder(Path(parts.path))
    elif parts.scheme in {"imaps", "imap"} and parts.hostname and parts.username:
        box = Imap(
            parts.hostname,
            parts.port or (993 if parts.scheme == "imaps" else 143),
            unquote(parts.username),
            unquote(parts.password or ""),
            unquote(parts.path.strip("/")) or "INBOX",
            tls=parts.scheme == "imaps",
        )
        try:
            yield box
        finally:
            box.close()
    else:
        raise InboxError("PERCORSO_INBOX must be maildir:/path or imaps://user:password@host/FOLDER.")


class Folder:
    """A maildir, as mail servers on the same host write it."""

    def __init__(self, path: Path) -> None:
        self._box = mailbox.Maildir(path, create=False)

    def letters(self, limit: int) -> list[Letter]:
        """Those without the flag S, in the order in which they came."""
        open_ = [key for key in sorted(self._box.keys()) if "S" not in self._box.get_message(key).get_flags()]
        return [Letter(key, self._box.get_bytes(key)) for key in open_[:limit]]

    def close_letter(self, key: str, *, understood: bool) -> None:
        """Flag S, and F where a person should look."""
        message = self._box.get_message(key)
        message.set_subdir("cur")
        message.set_flags("S" if understood else "FS")
        self._box[key] = message


class Imap:
    """A folder on an IMAP server (RFC 3501). Without TLS only on this very machine: a password goes over the line."""

    def __init__(self, host: str, port: int, user: str, password: str, folder: str, *, tls: bool) -> None:
        if tls:
            self._line: imaplib.IMAP4 = imaplib.IMAP4_SSL(
                host, port, ssl_context=ssl.create_default_context(), timeout=PATIENCE
            )
        elif host in {"localhost", "127.0.0.1", "::1"}:
            self._line = imaplib.IMAP4(host, port, timeout=PATIENCE)
        else:
            raise InboxError("PERCORSO_INBOX: without TLS (imap://) only this very machine is read; use imaps://.")
        self._line.login(user, password)
        answer, _ = self._line.select(f'"{folder}"')
        if answer != "OK":
            raise InboxError(f"PERCORSO_INBOX: there is no folder {folder}.")

    def letters(self, limit: int) -> list[Letter]:
        """Those not seen, oldest first; reading them does not mark them."""
        _, found = self._line.uid("SEARCH", "UNSEEN")
        keys = [key.decode() for key in (found[0] or b"").split()][:limit]
        letters = []
        for key in keys:
            _, parts = self._line.uid("FETCH", key, f"(BODY.PEEK[]<0.{LARGEST + 1}>)")
            raw = next((part[1] for part in parts if isinstance(part, tuple)), b"")
            letters.append(Letter(key, raw))
        return letters

    def close_letter(self, key: str, *, understood: bool) -> None:
        """\\Seen, and \\Flagged where a person should look."""
        self._line.uid("STORE", key, "+FLAGS.SILENT", r"(\Seen)" if understood else r"(\Seen \Flagged)")

    def close(self) -> None:
        """Say goodbye."""
        try:
            self._line.logout()
        except (OSError, imaplib.IMAP4.error):
            log.debug("inbox_line_was_gone")
