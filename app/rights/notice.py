"""How long data stays, as a privacy notice says it (GDPR 13(2)(a), R53): always the periods in force. Pure.

One wording for the page that every sign-up form links to, for "What we know about you", and for the team to paste into
a notice of its own.
"""

from __future__ import annotations

from collections.abc import Mapping

from app.rights import paper
from app.rights.retention_periods import Periods

TEXTS: Mapping[str, tuple[str, str]] = {
    "title": ("How long we keep your data", "Per quanto tempo conserviamo i Suoi dati"),
    "consent": (
        "Your consents: until you take them back; the proof of them for as long as it may be asked for",
        "I Suoi consensi: fino alla revoca; la relativa prova finché può essere richiesta",
    ),
    "marketing": (
        "Data used for marketing (interests, details of what you did): {count} months after your last contact",
        "Dati usati per il marketing (interessi, dettagli delle attività): {count} mesi dall'ultimo contatto",
    ),
    "purchases": (
        "Details of stays and purchases, where used for profiling: {count} months",
        "Dettagli di soggiorni e acquisti, se usati per la profilazione: {count} mesi",
    ),
    "tracks": ("Internet addresses and browsers: {count} months", "Indirizzi IP e browser: {count} mesi"),
    "mails": ("E-mails as they were sent to you: {count} months", "E-mail così come inviate: {count} mesi"),
    "logs": ("Technical records: {count} months", "Registrazioni tecniche: {count} mesi"),
    "unconfirmed": (
        "A sign-up that you do not confirm: 30 days",
        "Un'iscrizione che non viene confermata: 30 giorni",
    ),
    "special": (
        "Special needs that you told us (health, diet): 30 days after your stay",
        "Esigenze particolari comunicate (salute, alimentazione): 30 giorni dopo il soggiorno",
    ),
}
"""Key → (English, Italian)."""


def lines(periods: Periods, language: str) -> list[str]:
    """What is kept for how long, one sentence each; English where the language is none of ours."""
    place = paper.LANGUAGES.index(language) if language in paper.LANGUAGES else 0
    months = periods.as_json()
    return [
        TEXTS[name][place].format(count=months.get(name)) for name in ("consent", *months, "unconfirmed", "special")
    ]


def block(periods: Periods, language: str) -> str:
    """The same as a piece of HTML to paste."""
    return paper.page("notice.html", TEXTS, {"lines": lines(periods, language)}, language)
