"""What a form says and asks, and what may not be published. Pure.

A form asks three things, as Italian practice has them: that the privacy notice was read, and, side by side, yes to the
newsletter or no to it. Nothing is ticked beforehand, the no stands as large as the yes, and whoever says no gets
whatever else the form leads to (R4). Where it is wished it asks for further purposes, each by a box of its own (R3),
and whether a parent has to say yes (R12).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

LANGUAGES = ("en", "it")
TEXTS = ("title", "intro", "yes", "no", "notice", "button", "thanks")
"""What every form says, in every language."""
PURPOSES = ("profiling", "open_tracking", "feedback")
"""What a form may ask for besides the newsletter; each has a text of its own."""
MOST_LETTERS = {"title": 120, "intro": 1000, "yes": 400, "no": 200, "notice": 300, "button": 40, "thanks": 600}
MOST_LETTERS |= dict.fromkeys(PURPOSES, 400)
MUST_BE_TICKED = frozenset({"notice"})
"""Boxes that a form may insist on; that the newsletter is none of them is what R4 asks."""

_ORIGIN = re.compile(r"https://[a-z0-9.-]+(:\d{1,5})?|http://(localhost|127\.0\.0\.1)(:\d{1,5})?")

DEFAULTS: Mapping[str, Mapping[str, str]] = {
    "title": {"en": "Our newsletter", "it": "La nostra newsletter"},
    "intro": {
        "en": "Now and then a letter from us: what is on at the lake, and offers for those who book with us.",
        "it": "Ogni tanto una nostra lettera: che cosa succede sul lago, e offerte per chi prenota da noi.",
    },
    "yes": {"en": "Yes, I would like to receive the newsletter.", "it": "Sì, desidero ricevere la newsletter."},
    "no": {
        "en": "No thank you, I do not want the newsletter.",
        "it": "No grazie, non voglio ricevere la newsletter.",
    },
    "notice": {"en": "I have read the privacy notice.", "it": "Ho letto l'informativa sulla privacy."},
    "profiling": {
        "en": "Yes, choose what to write to me by my stays and interests.",
        "it": "Sì, scegliete che cosa scrivermi in base ai miei soggiorni e interessi.",
    },
    "open_tracking": {
        "en": "Yes, you may see which of your mails I open and which links I follow.",
        "it": "Sì, potete vedere quali vostre e-mail apro e quali collegamenti seguo.",
    },
    "feedback": {
        "en": "Yes, ask me for my opinion after a stay.",
        "it": "Sì, chiedetemi un parere dopo un soggiorno.",
    },
    "button": {"en": "Send", "it": "Invia"},
    "thanks": {
        "en": "If you said yes, a mail is on its way to you: please press the button in it. If it does not come, look "
        "among unwanted mail.",
        "it": "Se ha detto di sì, sta per ricevere un'e-mail: prema il pulsante che contiene. Se non arriva, guardi "
        "nella posta indesiderata.",
    },
}


@dataclass(frozen=True, slots=True)
class Document:
    """One wording of a form. Texts are language → text."""

    title: Mapping[str, str] = field(default_factory=lambda: dict(DEFAULTS["title"]))
    intro: Mapping[str, str] = field(default_factory=lambda: dict(DEFAULTS["intro"]))
    yes: Mapping[str, str] = field(default_factory=lambda: dict(DEFAULTS["yes"]))
    no: Mapping[str, str] = field(default_factory=lambda: dict(DEFAULTS["no"]))
    notice: Mapping[str, str] = field(default_factory=lambda: dict(DEFAULTS["notice"]))
    button: Mapping[str, str] = field(default_factory=lambda: dict(DEFAULTS["button"]))
    thanks: Mapping[str, str] = field(default_factory=lambda: dict(DEFAULTS["thanks"]))
    profiling: Mapping[str, str] = field(default_factory=lambda: dict(DEFAULTS["profiling"]))
    open_tracking: Mapping[str, str] = field(default_factory=lambda: dict(DEFAULTS["open_tracking"]))
    feedback: Mapping[str, str] = field(default_factory=lambda: dict(DEFAULTS["feedback"]))
    purposes: tuple[str, ...] = ()
    """Which of `PURPOSES` it asks for."""
    age: bool = False
    """Whether it asks who signs up: somebody of 14 or more, or a parent for a child (R12); never for a birth date."""
    topics: tuple[str, ...] = ()
    """What a yes is about; with more than one, people choose among them."""
    first_name: bool = False
    """Whether it asks for a first name, which nobody has to give."""
    notice_version: str = ""
    """Which edition of the privacy notice it links to, such as 2026-05."""
    must_tick: tuple[str, ...] = ("notice",)
    """What must be ticked for the form to be sent."""

    @property
    def texts(self) -> tuple[str, ...]:
        """What it says: names for `say`."""
        return (*TEXTS, *self.purposes)

    def say(self, name: str, language: str) -> str:
        """One of its `texts`."""
        texts: Mapping[str, str] = getattr(self, name)
        return texts.get(language) or texts.get("en") or ""

    def as_json(self) -> dict[str, Any]:
        """As it is stored."""
        return asdict(self) | {name: list(getattr(self, name)) for name in _LISTS}

    def notice_hash(self, language: str, url: str) -> str:
        """A mark of the sentence about the notice and of where it led (R5)."""
        return hashlib.sha256(f"{self.say('notice', language)}\n{url}".encode()).hexdigest()


_LISTS = ("topics", "must_tick", "purposes")


def read(stored: Mapping[str, Any]) -> Document:
    """A document as it was stored; what it does not know is passed over."""
    known = {one.name for one in fields(Document)}
    given: dict[str, Any] = {name: value for name, value in stored.items() if name in known}
    return Document(**given | {name: tuple(given[name]) for name in _LISTS if name in given})


def problems(document: Document, topics: Collection[str]) -> dict[str, str]:
    """What stands against publishing: field → code; empty where nothing does.

    Args:
        document: what is to be published.
        topics: those the workspace has.

    Returns:
        Codes: needed (a text is missing), too_long, no_topic, unknown_topic, unknown_purpose, forced (the newsletter
        would be the price of something else, R4), same (yes and no read alike), no_refusal (there is no way to say no,
        R4).
    """
    found: dict[str, str] = {}
    for name in document.texts:
        for language in LANGUAGES:
            words = str(getattr(document, name).get(language) or "").strip()
            if not words and name != "intro":
                found[f"{name}-{language}"] = "no_refusal" if name == "no" else "needed"
            elif len(words) > MOST_LETTERS[name]:
                found[f"{name}-{language}"] = "too_long"
    for language in LANGUAGES:
        yes, no = (str(getattr(document, name).get(language) or "").strip().casefold() for name in ("yes", "no"))
        if yes and yes == no:
            found.setdefault(f"no-{language}", "same")
    if not document.topics:
        found["topics"] = "no_topic"
    elif not set(document.topics) <= set(topics):
        found["topics"] = "unknown_topic"
    if not set(document.purposes) <= set(PURPOSES):
        found["purposes"] = "unknown_purpose"
    if not set(document.must_tick) <= MUST_BE_TICKED:
        found["must_tick"] = "forced"
    if not document.notice_version.strip():
        found["notice_version"] = "needed"
    return found


def origins(text: str) -> tuple[list[str], list[str]]:
    """Sites, one a line or parted by commas: those that can be used, in one form, and those that cannot."""
    good: list[str] = []
    bad: list[str] = []
    for word in re.split(r"[\s,]+", text.strip()):
        if not word:
            continue
        origin = word.lower().rstrip("/")
        if _ORIGIN.fullmatch(origin) and len(origin) <= 200:
            good.append(origin)
        else:
            bad.append(word)
    return list(dict.fromkeys(good)), bad
