"""Providers that know a request again by its key, as they document it."""

from __future__ import annotations

import hashlib
import threading
from collections import Counter

from tests.delivery.fakes.server import Asked, Said, say


class Resend:
    """The same key and the same request: the first answer once more, and no second mail. Another request under it: 409.

    https://resend.com/docs/dashboard/emails/idempotency-keys
    """

    def __init__(self) -> None:
        self.mails: Counter[str] = Counter()
        """Account and key → mails that went out."""
        self.asked: Counter[str] = Counter()
        """Account and key → requests."""
        self._first: dict[str, tuple[str, str]] = {}
        self._lock = threading.Lock()

    def __call__(self, asked: Asked) -> Said:
        key = f"{asked.headers['authorization']} {asked.headers['idempotency-key']}"
        digest = hashlib.sha256(asked.body).hexdigest()
        with self._lock:
            self.asked[key] += 1
            if key not in self._first:
                self.mails[key] += 1
                self._first[key] = (digest, f"re-{len(self._first) + 1}")
            first, id_ = self._first[key]
        if first != digest:
            return say(409, {"name": "invalid_idempotent_request", "message": "another request had this key"})
        return say(200, {"id": id_})


class Brevo:
    """A key that came before is refused as a duplicate, and no second mail goes out."""

    def __init__(self) -> None:
        self.mails: Counter[str] = Counter()
        self.asked: Counter[str] = Counter()

    def __call__(self, asked: Asked) -> Said:
        key = asked.json["headers"]["idempotencyKey"]
        self.asked[key] += 1
        if self.mails[key]:
            return say(400, {"code": "duplicate_parameter", "message": "idempotencyKey was used before"})
        self.mails[key] += 1
        return say(201, {"messageId": f"<{key}@smtp-relay.example>"})
