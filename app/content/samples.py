"""Facts of nobody, to look at templates with: a made-up hotel and its made-up guest."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any, Final

BASE: Final[Mapping[str, Any]] = {
    "now": datetime(2026, 6, 1, 8, 0, tzinfo=UTC),
    "contact": {
        "external_id": "sample-1",
        "email": "anna.keller@example.com",
        "phone": "+41 79 000 00 00",
        "first_name": "Anna",
        "last_name": "Keller",
        "language": "en",
        "zone": "Europe/Zurich",
        "country": "CH",
        "tags": [],
        "attributes": {},
    },
    "booking": {
        "reference": "LM-20417",
        "status": "confirmed",
        "kind": "stay",
        "channel": "direct",
        "arrival": date(2026, 6, 12),
        "departure": date(2026, 6, 15),
        "nights": 3,
        "adults": 2,
        "children": 0,
        "amount": 58_500,
        "currency": "EUR",
        "room_type": "Lake view double",
        "rate": "flexible",
        "created_at": datetime(2026, 5, 2, 14, 30, tzinfo=UTC),
        "cancelled_at": None,
        "data": {},
    },
    "property": {
        "code": "lago",
        "name": "Hotel Lago Maggiore",
        "zone": "Europe/Rome",
        "language": "it",
        "email": "hotel@example.com",
        "phone": "+39 0323 000000",
        "address": {"street": "Via Lungolago 1", "postcode": "28838", "town": "Stresa", "province": "VB"},
        "city": "Stresa",
        "country": "IT",
        "cin": "IT103064A1SAMPLE00",
        "vat": "IT00000000000",
        "controller": "Hotel Lago Maggiore S.r.l.",
        "checkin_from": "15:00",
        "checkout_until": "11:00",
        "links": {
            "website": "https://hotel.example",
            "booking": "https://hotel.example/book",
            "checkin": "https://hotel.example/check-in",
            "directions": "https://hotel.example/directions",
            "notice": "https://hotel.example/privacy",
            "upgrade": "https://hotel.example/upgrade",
            "review_google": "https://hotel.example/review/google",
            "review_tripadvisor": "https://hotel.example/review/tripadvisor",
        },
        "colours": {"accent": "#1f5a58", "on_accent": "#ffffff", "accent_dark": "#9fd4d0"},
        "currency": "EUR",
        "data": {},
    },
    "event": {"type": "booking.confirmed", "occurred_at": datetime(2026, 5, 2, 14, 30, tzinfo=UTC)},
    "enrollment": {"id": 1, "key": "LM-20417", "entered_at": datetime(2026, 5, 2, 14, 31, tzinfo=UTC), "fields": {}},
    "consent": {},
    "engagement": {},
}
"""The shape of one person's facts, every part present."""

URLS: Final[Mapping[str, str]] = {
    "assets": "https://hotel.example/assets/mail",
    "unsubscribe_url": "https://hotel.example/unsubscribe",
    "preferences_url": "https://hotel.example/preferences",
    "view_url": "https://hotel.example/view",
    "notice_url": "https://hotel.example/privacy",
    "confirm_url": "https://hotel.example/confirm",
}
"""Addresses for previews."""
