"""The demo hotel: Albergo Riva Serena in Stresa, on Lago Maggiore. Invented, as are its guests."""

from __future__ import annotations

from typing import Any

WORKSPACE = {"slug": "riva-serena", "name": "Albergo Riva Serena"}

DOMAINS = ("rivaserena.example", "news.rivaserena.example")
SENDERS: tuple[dict[str, Any], ...] = (
    {
        "name": "Albergo Riva Serena",
        "email": "ciao@rivaserena.example",
        "reply_to": "reception@rivaserena.example",
        "stream": "service",
    },
    {
        "name": "Riva Serena",
        "names": {"it": "Riva Serena, novità", "en": "Riva Serena, news"},
        "email": "novita@news.rivaserena.example",
        "reply_to": "reception@rivaserena.example",
        "stream": "marketing",
    },
)
"""Service and marketing apart, from a subdomain each (R30)."""

PROPERTY: dict[str, Any] = {
    "code": "riva-serena",
    "name": "Albergo Riva Serena",
    "zone": "Europe/Rome",
    "language": "it",
    "currency": "EUR",
    "sender_name": "Albergo Riva Serena",
    "sender_email": "ciao@rivaserena.example",
    "reply_to": "reception@rivaserena.example",
    "email": "reception@rivaserena.example",
    "phone": "+39 0323 555 0134",
    "city": "Stresa",
    "country": "IT",
    "checkin_from": "15:00",
    "checkout_until": "11:00",
    "cin": "IT103064A1CAMPIONE",
    "vat": "IT00000000000",
    "controller": "Riva Serena S.r.l.",
    "address": {"street": "Lungolago dei Tigli 12", "postcode": "28838", "town": "Stresa", "province": "VB"},
    "links": {
        "website": "https://rivaserena.example/",
        "booking": "https://rivaserena.example/prenota",
        "directions": "https://rivaserena.example/come-arrivare",
        "notice": "https://rivaserena.example/privacy",
        "upgrade": "https://rivaserena.example/camere",
        "experiences": "https://rivaserena.example/esperienze",
        "review_google": "https://rivaserena.example/recensione/google",
        "review_tripadvisor": "https://rivaserena.example/recensione/tripadvisor",
    },
    "colours": {"accent": "#0f5e63", "accent_dark": "#8fd0d2", "on_accent": "#ffffff"},
    "data": {
        "tourist_tax": {"amount": 250, "max_nights": 7, "free_under": 12},
        "upgrade": {"price_night": 4500, "days_before": 2},
        "extra": {"days": 7},
        "reviews": {
            "source": "Google",
            "score": 4.6,
            "scale": 5,
            "count": 312,
            "as_of": "2025-12-31",
            "quotes": [
                {
                    "text": {
                        "en": "You open the shutters and the islands are there. We stayed a day longer than planned.",
                        "it": "Si aprono le persiane e ci sono le isole. Siamo rimasti un giorno più del previsto.",
                    },
                    "author": "Ilaria L.",
                    "on": "2025-10-04",
                    "score": 5,
                },
                {
                    "text": {
                        "en": "Kind people and a very good breakfast. The courtyard is tight for a large car.",
                        "it": "Persone gentili e ottima colazione. Il cortile è stretto per un'auto grande.",
                    },
                    "author": "David H.",
                    "on": "2025-09-21",
                    "score": 4,
                },
                {
                    "text": {
                        "en": "Quiet even in August. The boat in the morning is worth the journey.",
                        "it": "Silenzio anche in agosto. La barca al mattino vale il viaggio.",
                    },
                    "author": "Claire B.",
                    "on": "2025-08-30",
                    "score": 5,
                },
            ],
        },
    },
}

TOPICS: tuple[dict[str, Any], ...] = (
    {
        "name": "newsletter",
        "title": {"en": "Letters from the lake", "it": "Lettere dal lago"},
        "description": {
            "en": "Once a month: what is in bloom, what is on, who is cooking.",
            "it": "Una volta al mese: cosa fiorisce, cosa succede, chi cucina.",
        },
    },
    {
        "name": "offers",
        "about": ["stay"],
        "title": {"en": "Offers and extras", "it": "Offerte e servizi"},
        "description": {
            "en": "A better room, a boat trip, quiet weeks at a kinder price.",
            "it": "Una camera migliore, una gita in barca, settimane tranquille a un prezzo gentile.",
        },
    },
)

FORM: dict[str, Any] = {
    "name": "Newsletter, on our own page",
    "origins": ["https://rivaserena.example"],
    "document": {
        "topics": ("newsletter", "offers"),
        "purposes": ("profiling", "open_tracking"),
        "first_name": True,
        "notice_version": "2026-05",
        "title": {"en": "Letters from the lake", "it": "Lettere dal lago"},
        "intro": {
            "en": "Five or six times a year we write what is in bloom, what is on, and when the lake is quietest.",
            "it": "Cinque o sei volte l'anno scriviamo che cosa fiorisce, che cosa accade, quando il lago è quieto.",
        },
    },
}
"""A sign-up form that is live from the first day."""

SOURCE = {"slug": "booking-engine", "name": "Booking engine"}

GUESTS: tuple[tuple[str, str, str, str], ...] = (
    ("Giulia", "Bianchi", "it", "IT"),
    ("Thomas", "Keller", "de", "CH"),
    ("Matteo", "Ricci", "it", "IT"),
    ("Emma", "Hughes", "en", "GB"),
    ("Chiara", "Fontana", "it", "IT"),
    ("Sophie", "Laurent", "fr", "FR"),
    ("Luca", "Moretti", "it", "IT"),
    ("Daniel", "O'Connor", "en", "IE"),
    ("Francesca", "Greco", "it", "IT"),
    ("Anna", "Schneider", "de", "DE"),
    ("Paolo", "Colombo", "it", "IT"),
    ("Grace", "Thompson", "en", "GB"),
    ("Elena", "Galli", "it", "IT"),
    ("Jan", "de Vries", "nl", "NL"),
    ("Marco", "Conti", "it", "IT"),
    ("Olivia", "Martin", "en", "US"),
    ("Sara", "Rinaldi", "it", "IT"),
    ("Björn", "Lindqvist", "en", "SE"),
    ("Davide", "Marchetti", "it", "IT"),
    ("Hannah", "Weber", "de", "DE"),
    ("Alessia", "Villa", "it", "IT"),
    ("William", "Fraser", "en", "GB"),
    ("Andrea", "Testa", "it", "IT"),
    ("Clara", "Dubois", "fr", "FR"),
)
"""First name, last name, language, country. Whose language a template lacks gets Italian, then English (R25)."""


def address_of(first: str, last: str) -> str:
    """A guest's made-up address."""
    plain = str.maketrans({"ö": "o", "'": "", " ": "", "é": "e"})
    return f"{first}.{last}@example.com".lower().translate(plain)
