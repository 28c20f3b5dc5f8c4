"""Postmark: webhooks with user and password in the URL (docs: "Webhooks overview"); it signs nothing."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from app.delivery.providers.webhooks import (
    Reader,
    Report,
    Request,
    Secrets,
    hashed,
    instant,
    json_of,
    prove,
    sent_as,
    table,
    word,
)

KINDS = {
    "Delivery": "delivered",
    "Bounce": "bounced",
    "SpamComplaint": "complained",
    "Open": "opened",
    "Click": "clicked",
}
BOUNCES: dict[str, tuple[str, str | None]] = {
    "HardBounce": ("bounced", "hard"),
    "BadEmailAddress": ("bounced", "hard"),
    "SoftBounce": ("bounced", "soft"),
    "DnsError": ("bounced", "soft"),
    "Undeliverable": ("bounced", "soft"),
    "Blocked": ("bounced", "blocked"),
    "SpamNotification": ("bounced", "blocked"),
    "VirusNotification": ("bounced", "blocked"),
    "DMARCPolicy": ("rejected", "blocked"),
    "Transient": ("deferred", None),
    "SpamComplaint": ("complained", "abuse"),
    "Unsubscribe": ("unsubscribed", None),
    "ManuallyDeactivated": ("rejected", "suppressed"),
    "SMTPApiError": ("rejected", "other"),
    "TemplateRenderingFailed": ("rejected", "other"),
    # AutoResponder, AddressChange, ChallengeVerification: neither bounce nor reply (R35); Subscribe subscribes nobody
}
"""Type of bounce → kind and reason."""

LEFT: dict[str, tuple[str, str | None]] = {
    "HardBounce": ("bounced", "hard"),
    "SpamComplaint": ("complained", "abuse"),
    "ManualSuppression": ("unsubscribed", None),
}
"""Why Postmark no longer sends to an address → kind and reason."""


def verify(request: Request, secrets: Secrets, _now: datetime) -> None:
    """By user and password. Nothing is dated: what is sent again counts once."""
    prove(request, secrets, None)


def parse(request: Request) -> list[Report]:
    """The one event of the request; a mail that came in is none."""
    event = table(json_of(request.body))
    name = word(event.get("RecordType")) or ""
    if name == "Inbound" or (not name and "FromFull" in event):
        return []
    kind, reason = _meaning(name, event)
    raw = {name: value for name, value in event.items() if name != "Content"}  # the mail itself is not kept
    at = next((event[key] for key in ("DeliveredAt", "BouncedAt", "ReceivedAt", "ChangedAt") if key in event), None)
    return [
        Report(
            kind=kind,
            reason=reason,
            dedupe=f"{name}:{word(event['ID'])}" if word(event.get("ID")) else hashed(raw),
            raw=raw,
            occurred_at=instant(at),
            recipient=word(event.get("Recipient")) or word(event.get("Email")),
            provider_id=word(event.get("MessageID")),
            sent_as=sent_as(event.get("Metadata")),
            text=word(event.get("Details")) or word(event.get("Description")),
            url=word(event.get("OriginalLink")),
        )
    ]


def _meaning(name: str, event: dict[str, Any]) -> tuple[str, str | None]:
    if name == "Bounce":
        return BOUNCES.get(word(event.get("Type")) or "", ("unknown", None))
    if name == "SubscriptionChange":
        # Taken off the list again is told as unknown: it subscribes nobody (R36).
        left = event.get("SuppressSending") is True
        return LEFT.get(word(event.get("SuppressionReason")) or "", ("unknown", None)) if left else ("unknown", None)
    return KINDS.get(name, "unknown"), "abuse" if name == "SpamComplaint" else None


READER = Reader(verify, parse, "", basic="needed")
