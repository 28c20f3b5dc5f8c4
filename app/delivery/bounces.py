"""A mail that came back, read: who it speaks of, and what it means for the address (R35, R36). Pure.

Three kinds of sender write such mails. Those that follow RFC 3464 enclose a delivery status, those that pass on a
reader's complaint enclose an RFC 5965 feedback report; the rest write prose, whose dialects `flufl.bounce` knows. The
parts made for machines are believed before the prose, and an answering machine (RFC 3834) is no bounce at all.

What is read here names addresses by the reporting server's word. Which message it was is told first by the address
the mail came back to (VERP) and then by the Message-ID of the mail that is enclosed.
"""

from __future__ import annotations

import email
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from email.errors import MessageError
from email.message import Message
from email.policy import compat32
from email.utils import getaddresses
from typing import Literal

from flufl.bounce import all_failures

from app.delivery.status import enhanced, verdict

Meaning = Literal["hard", "soft", "blocked", "complaint", "delayed", "none"]
"""hard, soft, blocked as in `status`; complaint: the reader called it spam or asked to be left alone; delayed: the
server goes on trying; none: it says nothing against the address (delivered, an answering machine, no bounce)."""


@dataclass(frozen=True, slots=True)
class Returned:
    """What one mail says of one recipient."""

    verdict: Meaning
    recipient: str | None = None
    """The address as the reporting server writes it; None where it was blotted out."""
    status: str | None = None
    """RFC 3463, such as 5.1.1, where one is given."""
    text: str = ""
    """The server's own words, 500 characters at most."""
    feedback: str | None = None
    """Of a feedback report, its type: abuse, fraud, opt-out, not-spam ..."""


@dataclass(frozen=True, slots=True)
class Report:
    """A whole returned mail."""

    verdicts: tuple[Returned, ...]
    """One for each recipient; empty where the mail is neither bounce nor complaint."""
    message_id: str | None = None
    """Message-ID of the mail it is about, with its angle brackets."""
    came_to: tuple[str, ...] = ()
    """The addresses this report was sent to: the first that is a bounce address of ours names the message."""


def read(raw: bytes) -> Report:
    """What a mail says of the mail it answers. Never raises: what cannot be read says nothing."""
    try:
        mail = email.message_from_bytes(raw, policy=compat32)
        about = _original(mail)
        return Report(tuple(_verdicts(mail, about)), _message_id(about, mail), _came_to(mail))
    except (MessageError, ValueError, LookupError, TypeError, AttributeError):
        # Mails from outside hold everything that a parser can trip over; such a one is for a person to look at.
        return Report(())


def _verdicts(mail: Message, about: Mapping[str, str]) -> list[Returned]:
    for part in mail.walk():
        if part.get_content_type() == "message/feedback-report":
            return _feedback(_fields(part), about)
    own = [part for part in _outside(mail) if _is_status(part)] or [part for part in mail.walk() if _is_status(part)]
    found = [one for part in own for one in _statuses(part)]
    prose = _prose(mail)
    if not found and (asked := _without_a_form(mail, prose)):
        return [Returned("complaint", _address(about.get("to", "")), feedback=asked)]
    if found:
        return _merged(_completed(found, prose))
    if _answers_by_itself(mail):
        return []
    return _told(mail, prose, about)


# -- complaints -------------------------------------------------------------------------------------------------------


_COMPLAINTS = frozenset({"abuse", "fraud", "opt-out", "opt-out-list", "other", "virus"})


def _feedback(fields: Mapping[str, str], about: Mapping[str, str]) -> list[Returned]:
    """RFC 5965: abuse and its like withdraw; a report on authentication is about us, `not-spam` changes nothing."""
    kind = fields.get("feedback-type", "").strip().lower()
    recipient = _address(fields.get("original-rcpt-to", "") or fields.get("removal-recipient", ""))
    meaning: Meaning = (
        "complaint" if kind in {"abuse", "fraud", "opt-out", "opt-out-list", "other", "virus"} else "none"
    )
    return [Returned(meaning, recipient or _address(about.get("to", "")), feedback=kind or None)]


def _without_a_form(mail: Message, prose: str) -> str | None:
    """The two large senders of complaints in no form: Hotmail's loop, and the unsubscribe button of Apple's program."""
    if re.match(r"complaint about message", str(mail.get("Subject", "")), re.IGNORECASE):
        return "abuse"
    if "sent this email to unsubscribe from the message" in prose:
        return "opt-out"
    return None


# -- delivery status --------------------------------------------------------------------------------------------------


def _is_status(part: Message) -> bool:
    return part.get_content_type() in {"message/delivery-status", "message/global-delivery-status"}


def _statuses(part: Message) -> Iterator[Returned]:
    """One per recipient block of a delivery status (RFC 3464)."""
    for block in _blocks(part):
        recipient = _address(block.get("original-recipient", "")) or _address(block.get("final-recipient", ""))
        if not ({"action", "status"} & block.keys()) or not ("final-recipient" in block or recipient):
            continue
        action = (block.get("action") or "failed").split()[0].lower().strip("().,;")
        said = block.get("diagnostic-code", "")
        given = enhanced(block.get("status", ""))
        status = (enhanced(said) or given) if given in {None, "5.0.0", "4.0.0"} else given
        if action in {"delayed", "delay"}:
            yield Returned("delayed", recipient, status, said[:500])
        elif action in {"delivered", "relayed", "expanded"} or (status or "").startswith("2."):
            yield Returned("none", recipient, status, said[:500])
        else:
            yield Returned("soft", recipient, status, said[:500])


def _blocks(part: Message) -> Iterator[Mapping[str, str]]:
    """Field by field, lower-cased, block by block. The parser makes a message of each block; some servers' blocks it
    cannot part, and their text is parted here."""
    payload = part.get_payload()
    if isinstance(payload, list):
        inner = [one for one in payload if isinstance(one, Message)]
        texts = ["".join(f"{name}: {value}\n" for name, value in one.items()) + "\n" + _text(one) for one in inner]
    else:
        texts = [str(payload)]
    for text in texts:
        for block in re.split(r"\n[ \t]*\n", text.replace("\r\n", "\n")):
            fields: dict[str, str] = {}
            for name, value in re.findall(r"^([A-Za-z-]+):[ \t]*(.*(?:\n[ \t]+.*)*)", block, re.MULTILINE):
                if name.lower() == "final-recipient" and name.lower() in fields:
                    yield fields  # no blank line before the next recipient
                    fields = {}
                fields.setdefault(name.lower(), " ".join(value.split()))
            if fields:
                yield fields


def _completed(found: Sequence[Returned], prose: str) -> list[Returned]:
    """Failed recipients with their verdict: by the diagnostic and, where it says too little, by what stands around."""
    done = []
    for one in found:
        if one.verdict != "soft":
            done.append(one)
            continue
        said = f"{one.status or ''} {one.text}".strip()
        meaning: Meaning = verdict(said)
        if meaning == "soft" and (one.status is None or one.status.startswith("5.")):
            others = [each.recipient for each in found if each.recipient]
            meaning = verdict(f"{said} {_around(prose, one.recipient, others)}")
        done.append(Returned(meaning, one.recipient, one.status, one.text))
    return done


def _merged(found: Sequence[Returned]) -> list[Returned]:
    """One line per recipient: a failure is said again after a delay, never the other way round."""
    rank = {"hard": 0, "blocked": 1, "soft": 2, "delayed": 3, "none": 4}
    best: dict[str | None, Returned] = {}
    for one in found:
        key = one.recipient.lower() if one.recipient else None
        if key not in best or rank[one.verdict] < rank[best[key].verdict]:
            best[key] = one
    return list(best.values())


# -- prose ------------------------------------------------------------------------------------------------------------

_DELAY = re.compile(
    r"(?:warning|temporary|delayed|delivery (?:has been )?delay|not (?:yet )?been delivered"
    r"|will (?:be retried|continue)|do not need to resend|still (?:being )?tr(?:ied|ying)|has not yet)",
    re.IGNORECASE,
)
_FINAL = re.compile(r"(?:gave? ?up|given up|could not be delivered|returned|fatal|permanent|failed)", re.IGNORECASE)


def _told(mail: Message, prose: str, about: Mapping[str, str]) -> list[Returned]:
    temporary, permanent = (
        {one.decode("ascii", "replace").lower(): one for one in group} for group in all_failures(mail)
    )
    addresses = [one.decode("ascii", "replace") for one in [*permanent.values(), *temporary.values()]]
    if _is_bounce(mail):
        addresses = _in_lines(prose) or [one for one in addresses if one != _id(about)] or _named(prose, about)
    # What the enclosed mail says of itself is not who it could not reach.
    itself = {_id(about).lower(), (_address(about.get("from", "")) or "").lower()}
    to = (_address(about.get("to", "")) or "").lower()
    addresses = [one for one in addresses if one.lower() == to or one.lower() not in itself]
    found: dict[str, Returned] = {}
    for address in addresses:
        said = _around(prose, address, addresses)
        meaning: Meaning = verdict(said)
        if meaning == "soft" and len(addresses) == 1:
            meaning = verdict(prose[:3_000])
        if address.lower() in temporary and address.lower() not in permanent:
            meaning = "delayed" if meaning == "soft" else meaning
        elif meaning == "soft" and _DELAY.search(str(mail.get("Subject", ""))) and not _FINAL.search(said):
            meaning = "delayed"
        found.setdefault(address.lower(), Returned(meaning, address, enhanced(said), " ".join(said.split())[:500]))
    return list(found.values())


_DAEMON = re.compile(r"mailer-daemon|post_?master|mail delivery|<>|mdaemon|administrator", re.IGNORECASE)
_SUBJECT = re.compile(
    r"undeliver|returned mail|delivery (?:status|failure|has failed|problem|notification)|failure notice|mail failure"
    r"|non.?remis|bounce|not delivered|could not be delivered|rejected|unzustellbar|mancato recapito",
    re.IGNORECASE,
)


def _is_bounce(mail: Message) -> bool:
    sender = f"{mail.get('From', '')} {mail.get('Return-Path', '')}"
    subject = _SUBJECT.search(str(mail.get("Subject", "")))
    return bool(_DAEMON.search(sender)) and bool(subject or _original(mail) or re.search(r"\b5\d\d[ -]", _prose(mail)))


_PLAIN = r"[^\s<>:;,\"()\[\]]+@[^\s<>:;,\"()\[\]]+\.[A-Za-z]{2,}"
_LINE = re.compile(
    rf"^[ \t]*(?:<?({_PLAIN})>?:[ \t]+(?=.*\b[45]\d\d\b)|[45]\d\d[ -](?:[45]\.\d\.\d+ )?<({_PLAIN})>\.\.\.)",
    re.MULTILINE,
)


def _in_lines(prose: str) -> list[str]:
    """Recipients that stand at the head of a line with the server's answer behind them."""
    return list(dict.fromkeys(first or second for first, second in _LINE.findall(prose)))


def _named(prose: str, about: Mapping[str, str]) -> list[str]:
    """The recipient where only the enclosed mail, or a line of the prose, names them."""
    asked = re.findall(rf"(?:RCPT TO|recipient address):[ \t]*<?({_PLAIN})", prose, re.IGNORECASE)
    if asked:
        return list(dict.fromkeys(asked))
    given = _address(about.get("to", ""))
    anywhere = re.findall(r"[\w.+=/-]+@[\w-]+(?:\.[\w-]+)*\.[A-Za-z]{2,}", prose)
    found = re.findall(r"<([^<>\s@]+@[^<>\s@]+\.[^<>\s@]+)>", prose) or anywhere
    if given and (not found or given.lower() in {one.lower() for one in found}):
        return [given]
    return found[:1]


def _id(about: Mapping[str, str]) -> str:
    return about.get("message-id", "").strip(" <>")


def _answers_by_itself(mail: Message) -> bool:
    """An out-of-office answer or the like (RFC 3834), not a report."""
    automatic = str(mail.get("Auto-Submitted", "no")).lower()
    machine = automatic.startswith("auto-replied") or mail.get("X-Autoreply") or mail.get("X-Auto-Response-Suppress")
    return (
        bool(machine)
        and not _DAEMON.search(f"{mail.get('From', '')}")
        and mail.get_content_type() != "multipart/report"
    )


def _around(prose: str, address: str | None, others: Sequence[str] = ()) -> str:
    """What the prose says from where it names the address on, up to the enclosed mail or the next recipient."""
    low = prose.lower()
    start = low.find(address.lower()) if address else -1
    if start < 0 or address is None:
        return prose[:2_000]
    nexts = [low.find(other.lower(), start + len(address)) for other in others if other.lower() != address.lower()]
    end = min((place for place in nexts if place > 0), default=start + 1_200)
    if not others or len({other.lower() for other in others}) == 1:
        return prose[max(low.rfind("\n\n", 0, start), 0) : end]
    return prose[low.rfind("\n", 0, start) + 1 : end]


_ENCLOSED = re.compile(
    r"^(?:-{2,} ?(?:below|this is|original|the (?:header|unsent|body)|enclosed|start of|message header|returned)[^\n]*"
    r"|[ \t]*received: ?from [^\n]*|return-path: [^\n]*)",
    re.IGNORECASE | re.MULTILINE,
)


_PROSE = 20_000
"""Characters of prose that are looked at: nobody needs more to say that a mailbox is full."""


def _prose(mail: Message) -> str:
    """The words for people, without the mail that is sent back."""
    parts = []
    for part in _outside(mail):
        if not part.is_multipart() and not _is_status(part):
            text = _text(part)
            if part.get_content_type() == "text/html":
                text = re.sub(r"<(?:style|script).*?</(?:style|script)>|<[^>@]*>", " ", text, flags=re.DOTALL)
            parts.append(text)
    whole = "\n\n".join(parts).replace("\r\n", "\n")[:_PROSE]
    cut = _ENCLOSED.search(whole)
    return whole[: cut.start()] if cut and cut.start() > 80 else whole


def _outside(mail: Message) -> Iterator[Message]:
    """The parts of a mail, those of enclosed mails left out."""
    if _is_status(mail):
        yield mail
        return
    if mail.get_content_maintype() in {"message", "image"} or mail.get_content_type() == "text/rfc822-headers":
        return
    if mail.is_multipart():
        for part in mail.get_payload():
            if isinstance(part, Message):
                yield from _outside(part)
    else:
        yield mail


# -- the mail it is about ---------------------------------------------------------------------------------------------


def _original(mail: Message) -> Mapping[str, str]:
    """Headers of the enclosed mail, lower-cased; empty where none is found."""
    for part in mail.walk():
        kind = part.get_content_type()
        if kind in {"message/rfc822", "message/global"} and part.is_multipart():
            return _headers(part.get_payload(0))  # type: ignore[arg-type]  # a part of message/rfc822 holds one message
        if kind in {"text/rfc822-headers", "message/rfc822"}:
            return _headers(email.message_from_string(_text(part), policy=compat32))
    for part in _outside(mail):
        text = _text(part).replace("\r\n", "\n")
        found = re.search(r"^[ \t]*message-id:[^\n]*$", text, re.IGNORECASE | re.MULTILINE)
        if found:
            begin = text.rfind("\n\n", 0, found.start()) + 2
            end = text.find("\n\n", found.end())
            block = text[max(begin, 0) : end if end > 0 else len(text)]
            return _headers(email.message_from_string(re.sub(r"(?m)^[ \t>]{1,6}(?=[A-Z])", "", block), policy=compat32))
    return {}


def _headers(message: Message) -> Mapping[str, str]:
    return {name.lower(): str(value) for name, value in reversed(message.items())}


def _message_id(about: Mapping[str, str], mail: Message) -> str | None:
    for text in (about.get("message-id", ""), str(mail.get("References", "")), str(mail.get("In-Reply-To", ""))):
        found = re.findall(r"<[^<>\s]+@[^<>\s]+>", text)
        if found:
            return str(found[-1])
    return None


def _came_to(mail: Message) -> tuple[str, ...]:
    names = ("Delivered-To", "X-Original-To", "Envelope-To", "To")
    values = [str(value) for name in names for value in mail.get_all(name, [])]
    return tuple(dict.fromkeys(address for _, address in getaddresses(values) if "@" in address))


# -- small things -----------------------------------------------------------------------------------------------------


def _fields(part: Message) -> Mapping[str, str]:
    return next(iter(_blocks(part)), {})


def _address(field: str) -> str | None:
    """The address in `rfc822; <a@b>`, `a@b` or a header of addresses."""
    found = re.search(r"[^\s<>;,\"()]+@[^\s<>;,\"()]+", field)
    return found[0].strip(".'") if found else None


def _text(part: Message) -> str:
    payload = part.get_payload(decode=True)
    if not isinstance(payload, bytes):
        return ""
    try:
        return payload.decode(part.get_content_charset() or "utf-8", "replace")
    except LookupError:
        return payload.decode("latin-1")
