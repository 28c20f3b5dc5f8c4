"""The very words a person agrees or objects to on our own pages, with their version: the ledger keeps both (R5). Data.

A changed word is a new version: never edit a text in place, add the next version and point `VERSION` at it.
"""

from __future__ import annotations

from collections.abc import Mapping

VERSION = "pages-2"
"""pages-1 had no words of its own for profiling and for passing data on."""

KEEP = {
    "en": "Yes, write to me about: {topic}.",
    "it": "Sì, scrivetemi su: {topic}.",
}
"""Switched on in the preference centre, or kept on by taking a withdrawal back."""

FEEDBACK = {
    "en": "Yes, ask me for my opinion after a stay.",
    "it": "Sì, chiedetemi un parere dopo il soggiorno.",
}

TRACKING = {
    "en": "Yes, you may see which links I open in your mails.",
    "it": "Sì, potete vedere quali collegamenti apro nelle vostre e-mail.",
}

PROFILING = {
    "en": "Yes, choose what to write me by my stays and interests.",
    "it": "Sì, scegliete che cosa scrivermi in base ai miei soggiorni e interessi.",
}

SHARING = {
    "en": "Yes, pass my data on to partners.",
    "it": "Sì, comunicate i miei dati ai partner.",
}

_WORDS = {"feedback": FEEDBACK, "open_tracking": TRACKING, "profiling": PROFILING, "third_party_sharing": SHARING}


def wording(purpose: str, topic_title: str, language: str) -> str:
    """The sentence shown beside a choice."""
    texts = _WORDS.get(purpose, KEEP)
    return texts.get(language, texts["en"]).format(topic=topic_title)


NAMES: Mapping[str, Mapping[str, str]] = {
    "marketing": {"en": "messages about: {topic}", "it": "messaggi su: {topic}"},
    "profiling": {
        "en": "choosing what we write to you by your stays and interests",
        "it": "la scelta di che cosa scriverLe in base ai Suoi soggiorni e interessi",
    },
    "open_tracking": {
        "en": "seeing which of our mails you open and which links you follow",
        "it": "il controllo di quali nostre e-mail apre e quali collegamenti segue",
    },
    "feedback": {
        "en": "a request for your opinion after a stay",
        "it": "la richiesta di un parere dopo il soggiorno",
    },
}
"""What a mailbox is asked to confirm: the mail and the page behind its button name it alike."""
_ALL = {"en": "news and offers", "it": "novità e offerte"}


def named(purpose: str, titles: Mapping[str, str], topic: str | None, language: str) -> str:
    """What is asked for, in a few words.

    Args:
        titles: of the topic, by language.
    """
    title = (titles.get(language) or titles.get("en") or topic) if topic else _ALL.get(language, _ALL["en"])
    texts = NAMES.get(purpose, NAMES["marketing"])
    return texts.get(language, texts["en"]).format(topic=title)
