"""What stands on every form beside its own texts, and what is said of a field that cannot be taken. Data.

Here, below all doors: the page, the code that is pasted into another site and the API speak of the same fields.
"""

from __future__ import annotations

from collections.abc import Mapping

LABELS: Mapping[str, Mapping[str, str]] = {
    "en": {
        "form_email": "E-mail address",
        "form_first_name": "First name",
        "form_optional": "You need not give it.",
        "form_language": "Language of our mails",
        "form_choice": "The newsletter",
        "form_choice_hint": "Please choose one; you can change your mind at any time.",
        "form_topics": "If yes, about",
        "form_more": "Besides, only if you like",
        "form_age": "Who signs up",
        "form_of_age": "I am 14 or older.",
        "form_child": "I am under 14: a parent says yes for me.",
        "form_guardian": "The parent's name",
        "form_guardian_hint": "Only under 14. Then the address above is the parent's: that is where we ask to confirm.",
        "form_notice_title": "Your data",
        "form_notice_read": "Read the privacy notice",
        "form_kept": "How long we keep your data",
        "form_trap": "Leave this empty",
        "form_needed": "Please fill this in.",
        "form_no_address": "This is no e-mail address. It should look like name@example.com.",
        "form_choose": "Please choose yes or no.",
        "form_read_notice": "Please read the privacy notice and tick the box.",
        "form_choose_topic": "Please choose what you would like to read about.",
        "form_choose_age": "Please choose one of the two.",
        "form_needs_parent": "Under 14 a parent has to say yes: please write the parent's name.",
        "form_too_long": "Please write it shorter.",
    },
    "it": {
        "form_email": "Indirizzo e-mail",
        "form_first_name": "Nome",
        "form_optional": "Facoltativo.",
        "form_language": "Lingua delle nostre e-mail",
        "form_choice": "La newsletter",
        "form_choice_hint": "Scelga una delle due; potrà cambiare idea in ogni momento.",
        "form_topics": "Se sì, su",
        "form_more": "Inoltre, solo se vuole",
        "form_age": "Chi si iscrive",
        "form_of_age": "Ho 14 anni o più.",
        "form_child": "Ho meno di 14 anni: acconsente per me un genitore.",
        "form_guardian": "Nome del genitore",
        "form_guardian_hint": "Solo sotto i 14 anni. L'indirizzo in alto è allora quello del genitore, a cui chiediamo "
        "la conferma.",
        "form_notice_title": "I Suoi dati",
        "form_notice_read": "Leggi l'informativa sulla privacy",
        "form_kept": "Per quanto tempo conserviamo i Suoi dati",
        "form_trap": "Lasci vuoto questo campo",
        "form_needed": "Compili questo campo.",
        "form_no_address": "Questo non è un indirizzo e-mail. Dovrebbe essere come nome@esempio.it.",
        "form_choose": "Scelga sì oppure no.",
        "form_read_notice": "Legga l'informativa sulla privacy e spunti la casella.",
        "form_choose_topic": "Scelga che cosa vorrebbe leggere.",
        "form_choose_age": "Scelga una delle due.",
        "form_needs_parent": "Sotto i 14 anni deve acconsentire un genitore: ne scriva il nome.",
        "form_too_long": "Scriva un testo più breve.",
    },
}
"""Language → key → text."""


def label(key: str, language: str) -> str:
    """A text in a language, in English where it is not spoken."""
    return LABELS.get(language, LABELS["en"])[key]
