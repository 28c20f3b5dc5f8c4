"""The very words a person agrees or objects to on our own pages, with their version: the ledger keeps both (R5). Data.

A changed word is a new version: never edit a text in place, add the next version and point `VERSION` at it.
"""

from __future__ import annotations

VERSION = "pages-1"

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


def wording(purpose: str, topic_title: str, language: str) -> str:
    """The sentence shown beside a choice."""
    texts = {"feedback": FEEDBACK, "open_tracking": TRACKING}.get(purpose, KEEP)
    return texts.get(language, texts["en"]).format(topic=topic_title)
