"""What keeps robots off: a proof of work (ALTCHA), and counters in Redis.

The proof costs a reader's browser a second or so, once and unseen, and somebody who would send a thousand addresses a
thousand times that. It is made and checked in this house; nobody else hears of it. Without scripts there is none: such
a sign-up counts against a much smaller number, so that the form works for everybody and is still no tool for flooding
a mailbox.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import secrets
from datetime import timedelta
from typing import Any

import altcha
import structlog
from redis import Redis
from redis.exceptions import RedisError

from app.clock import SystemClock
from app.config import Settings
from app.rates import Limit

log = structlog.get_logger()

ALGORITHM = "PBKDF2/SHA-256"
COST = 5_000
"""Rounds of one try."""
FEWEST_TRIES, MOST_TRIES = 100, 300
VALID_FOR = timedelta(minutes=20)

HOUR, DAY = 3600, 86_400

PROVEN = Limit(60, HOUR)
"""From one address of the net, with the proof: a family, an office, a hotel's lobby."""
UNPROVEN = Limit(5, HOUR)
"""The same without it."""
UNPROVEN_OF_FORM = Limit(60, HOUR)
"""All there is without it through one form: an attack from many addresses of the net."""
OF_ADDRESS = Limit(5, DAY)
"""For one mail address, over all forms of the workspace. Whoever it belongs to gets two mails at most (R6)."""


def challenge(settings: Settings, public_id: str) -> dict[str, Any]:
    """A task for a browser, signed, good for one form and for twenty minutes of real time."""
    made = altcha.create_challenge(
        ALGORITHM,
        COST,
        counter=FEWEST_TRIES + secrets.randbelow(MOST_TRIES - FEWEST_TRIES),
        expires_at=SystemClock().now() + VALID_FOR,
        data={"form": public_id},
        hmac_secret=_secret(settings, "challenge"),
        hmac_key_secret=_secret(settings, "answer"),
    )
    found: dict[str, Any] = made.to_dict()
    return found


def proven(settings: Settings, redis: Redis, public_id: str, payload: str) -> bool:
    """Whether the work was done, for this form, in time, and is shown for the first time.

    Args:
        payload: what the browser sent: base64 of {challenge, solution}.
    """
    if not payload or len(payload) > 4000:
        return False
    result = altcha.verify_solution(
        payload, _secret(settings, "challenge"), hmac_key_secret=_secret(settings, "answer")
    )
    if not result.verified:
        return False
    parameters = altcha.Payload.from_base64(payload).challenge.parameters
    if (parameters.data or {}).get("form") != public_id:
        return False
    key = f"percorso:forms:worked:{parameters.nonce}"
    try:
        return bool(redis.set(key, 1, nx=True, ex=int(VALID_FOR.total_seconds())))
    except RedisError as error:
        log.warning("work_not_remembered", error=str(error))
        return True


def limits(
    settings: Settings, workspace_id: int, form_id: int, key: str, ip: str | None, *, worked: bool
) -> list[tuple[str, Limit]]:
    """What one sign-up counts under. Addresses are counted by a keyed hash: Redis holds none."""
    network = _network(ip)
    address = hmac.digest(_secret(settings, "address").encode(), key.encode(), "sha256").hex()[:24]
    here = f"forms:{workspace_id}"
    counted = [(f"{here}:to:{address}", OF_ADDRESS)]
    if worked:
        counted.append((f"{here}:from:{network}", PROVEN))
    else:
        counted.append((f"{here}:plain:{network}", UNPROVEN))
        counted.append((f"{here}:form:{form_id}", UNPROVEN_OF_FORM))
    return counted


def _network(ip: str | None) -> str:
    """Who is counted as one: an IPv4 address, or a /64 of IPv6, which is what one household gets."""
    try:
        found = ipaddress.ip_address(ip or "")
    except ValueError:
        return "unknown"
    return str(ipaddress.ip_network((found, 64), strict=False)) if found.version == 6 else str(found)


def _secret(settings: Settings, purpose: str) -> str:
    return hmac.digest(settings.secret.encode(), f"percorso:forms:{purpose}".encode(), hashlib.sha256).hex()
