"""What a message must say and must not say: the rules of consent and fairness, read off the finished source."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from app.content import marks, wording
from app.content.compiled import Link
from app.content.contrast import low_contrast
from app.content.problems import Problem, Severity
from app.content.sheet import Sheet
from app.content.source import Block

CLIPPED: Final = 102_000
"""Bytes after which Gmail hides the rest behind a link."""
APPROVED_HOSTS: Final = frozenset(
    ["maps.google.com", "www.google.com", "maps.app.goo.gl", "maps.apple.com", "www.openstreetmap.org"]
)
"""Hosts that a mail to a booking site's alias may always lead to (R34): maps, the one place outside that a guest needs.
A workspace adds its own under `relay_links`."""
GATED: Final = re.compile(r"^(?!.*\bnot\b).*\ballows\(\s*['\"](?:marketing|feedback)['\"]", re.DOTALL)
"""The condition of an `if` whose part is for those alone to whom marketing or requests for an opinion may go."""
_LIVE: Final = re.compile(r"^(?!.*\bnot\b).*\ballows\(\s*['\"]live['\"]", re.DOTALL)
_SHOWN: Final = {
    "a value of the event": re.compile(r"\{\{[-+]?\s*event\.(?!occurred_at)\w+"),
    "event.occurred_at": re.compile(r"\{\{[-+]?\s*event\.occurred_at\s*\|"),
}
_FIXED_HOST: Final = re.compile(r"https?://([^/?#\s{]+)(?![^/?#\s]*\{)", re.IGNORECASE)
_BUTTON: Final = re.compile(r"<mj-button\b(?:[^<>\"']|\"[^\"]*\"|'[^']*')*>")


@dataclass(frozen=True, slots=True)
class Message:
    """One language of a template, as the rules look at it."""

    class_: str
    language: str
    sheet: Sheet
    blocks: tuple[Block, ...]
    facts: frozenset[str]
    urls: frozenset[str]
    words: str
    size: int
    file: str
    links: tuple[Link, ...] = ()
    says_nothing: bool = False
    """Its body holds nothing but blocks of another class (R21)."""

    @property
    def own_words(self) -> str:
        """Its words without what is shown only to whom marketing or requests for an opinion may go: what a booking
        site's alias gets (R34)."""
        return marks.without(self.words, GATED)


def judge(message: Message) -> Iterator[Problem]:
    """All that a message does wrong by the rules; each problem names its rule."""
    yield from _way_out(message)
    yield from _classes(message)
    yield from _controller(message)
    yield from _reviews(message)
    yield from _pressure(message)
    yield from _buttons(message)
    yield from _alias(message)
    if message.size > CLIPPED * 9 // 10:
        text = f"The HTML is {message.size // 1000} kB before any fact is in it."
        yield _problem(message, "too-large", "warning", text, "Take out blocks or styles.")
    for offset, ratio, wanted in low_contrast(message.sheet.text):
        text = f"Contrast is {ratio:.1f} : 1, {wanted} : 1 is needed."
        yield message.sheet.problem(offset, "low-contrast", "warning", text, "Choose a darker or a lighter colour.")


def _problem(message: Message, code: str, severity: Severity, text: str, cure: str = "") -> Problem:
    return Problem(message.file, 1, 1, code, severity, text, cure)


def _promotes(message: Message) -> bool:
    return message.class_ == "marketing" or any("marketing" in b.classes for b in message.blocks if b.in_body)


def _way_out(message: Message) -> Iterator[Problem]:
    asks = any({"marketing", "feedback"} & set(b.classes) for b in message.blocks if b.in_body)
    if message.class_ in {"marketing", "feedback"} or asks:
        if "unsubscribe_url" not in message.urls:
            cure = "Include the unsubscribe footer, with {{ unsubscribe_url }}."
            yield _problem(message, "unsubscribe-missing", "error", "There is no way to unsubscribe (R22, R31).", cure)
    elif "unsubscribe_url" in message.urls:
        at = max(message.sheet.text.find("unsubscribe_url"), 0)
        cure = 'Include that footer with for="marketing feedback", or choose another layout.'
        text = f"A {message.class_} message has no unsubscribe link (R31)."
        yield message.sheet.problem(at, "unsubscribe-forbidden", "error", text, cure)


def _classes(message: Message) -> Iterator[Problem]:
    if message.says_nothing:
        text = f"A {message.class_} message of nothing but blocks of another class is never sent (R21)."
        yield _problem(
            message, "class-mix", "error", text, "Say something of its own, or give it the class of its blocks."
        )
    if message.class_ == "consent_request" and "confirm_url" in message.urls and "event.asked" not in message.facts:
        cure = "Show a list of {{ event.asked }}: the topics and purposes that the button confirms."
        yield _problem(message, "asked-missing", "warning", "It does not name what is confirmed (R3, R6).", cure)
    for block in message.blocks:
        if message.class_ == "consent_request" and {"marketing", "feedback"} & set(block.classes) and block.in_body:
            text = f"A request for consent holds no {block.classes[0]} block ({block.name}) (R6)."
            yield _problem(message, "class-mix", "error", text, "Take the block out.")


def _controller(message: Message) -> Iterator[Problem]:
    if not _promotes(message):
        return
    if "property.cin" not in message.facts:
        cure = "Show {{ property.cin }} in the footer."
        yield _problem(message, "cin-missing", "error", "Advertising without the property's CIN (R23).", cure)
    wanted = {"property.name": "name", "property.address": "postal address", "property.vat": "VAT number"}
    missing = [
        label for path, label in wanted.items() if not any(f == path or f.startswith(f"{path}.") for f in message.facts)
    ]
    if "notice_url" not in message.urls:
        missing.append("link to the privacy notice")
    if missing:
        cure = "Include the legal footer."
        yield _problem(message, "controller-missing", "error", f"Missing: {', '.join(missing)} (R22).", cure)


def invites_to_review(text: str, blocks: Iterable[Block]) -> bool:
    """Whether a message asks for a review: by its words, or by holding the block that links to the platforms."""
    words = marks.mask(text).replace(marks.FILLER, "")
    return wording.INVITES.search(words) is not None or any(block.name == "review_links" for block in blocks)


def _reviews(message: Message) -> Iterator[Problem]:
    if not invites_to_review(message.words, message.blocks):
        return
    words = marks.mask(message.words).replace(marks.FILLER, "")
    if reward := wording.REWARDS.search(words):
        text = f"“{reward[0]}” beside an invitation to review (R41)."
        yield _problem(
            message, "review-reward", "error", text, "Ask for reviews without any reward, in a message apart."
        )
    if message.class_ == "feedback" or any(b.name == "review_links" for b in message.blocks):
        for pattern, why in wording.NOT_NEUTRAL:
            if found := pattern.search(words):
                text = f"“{found[0]}” {why} (R44)."
                yield _problem(message, "review-not-neutral", "error", text, "Invite everyone, in neutral words.")


def _pressure(message: Message) -> Iterator[Problem]:
    """What pushes: scarcity without a live value behind it, a countdown, a refusal that shames."""
    words = marks.mask(message.words).replace(marks.FILLER, "")
    lasting = marks.mask(marks.without(message.words, _LIVE)).replace(marks.FILLER, "")
    if found := wording.SCARCITY.search(lasting) or wording.COUNTDOWN.search(words):
        text = f"“{found[0]}” says that something runs out (R48)."
        cure = (
            "Say until when an offer is valid, or put a count into a block of class live that shows it with its time."
        )
        yield _problem(message, "scarcity", "error", text, cure)
    for live in marks.within(message.words, _LIVE):
        missing = [one for one in ("a value of the event", "event.occurred_at") if not _SHOWN[one].search(live)]
        if missing:
            text = f"A live block shows its value and the time of it; missing: {', '.join(missing)} (R48)."
            yield _problem(
                message, "scarcity", "error", text, "Write {{ event.rooms_left }} and {{ event.occurred_at|time }}."
            )
    if found := wording.SHAMING.search(words):
        text = f"“{found[0]}” shames who says no (R48)."
        yield _problem(message, "confirm-shaming", "error", text, "Write “No, thank you”.")


def _alias(message: Message) -> Iterator[Problem]:
    """What a mail must not hold that may go to a booking site's alias (R34): calls to book elsewhere, and links to
    anywhere but what is approved."""
    if message.class_ != "transactional":
        return
    own = message.own_words
    if found := wording.ELSEWHERE.search(marks.mask(own).replace(marks.FILLER, "")):
        text = f"“{found[0]}” calls to book elsewhere, in a message that may go to a booking site's alias (R34)."
        cure = "Put it into a block of class marketing: it vanishes for whoever may not get it."
        yield _problem(message, "books-elsewhere", "error", text, cure)
    for link in message.links:
        host = _FIXED_HOST.match(link.url) if link.kind == "content" and f"link({link.number})" in own else None
        if host and host[1].lower() not in APPROVED_HOSTS:
            text = f"In a mail to a booking site's alias the link to {host[1]} loses its target (R34)."
            at = max(message.sheet.text.find(link.url), 0)
            cure = "Approve the host for your workspace (relay_links), or leave the link out."
            yield message.sheet.problem(at, "relay-link", "warning", text, cure)


def _buttons(message: Message) -> Iterator[Problem]:
    masked = marks.mask(message.sheet.text)
    found = [m for m in _BUTTON.finditer(masked) if m.start() > masked.find("<mj-body")]
    primary = [m for m in found if re.search(r"(css|mj)-class\s*=\s*[\"'][^\"']*primary", m[0])]
    count = len(primary) if primary else len(found)
    if count > 1 and message.class_ != "feedback":  # review platforms stand side by side, none before the other (R44)
        at = (primary or found)[1].start()
        cure = 'Give one mj-class="primary", and the others another look.'
        yield message.sheet.problem(at, "primary-button", "warning", f"There are {count} main buttons.", cure)
    elif count == 0 and message.class_ != "transactional":
        yield _problem(message, "primary-button", "warning", "There is no main button.", "Say what to do next.")
