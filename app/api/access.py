"""Who may pass the API's door: by bearer key or Standard Webhooks signature, within the source's rate and scopes."""

from __future__ import annotations

import functools

from flask import g, request
from redis import Redis

from app import rates
from app.api.problems import ProblemError
from app.doors import Guard, house
from app.events.sources import (
    SCOPES,
    Caller,
    SignatureRefusedError,
    Signed,
    holder_of_key,
    signer,
)
from app.rates import Limit

WINDOW_SECONDS = 60


def may(scope: str, *, signed: bool = False) -> Guard:
    """A guard that lets pass a source whose key has `scope`; with `signed` also one that signed the request."""
    if scope not in SCOPES:
        raise ValueError(f"No such scope: {scope}.")
    return functools.partial(_pass, scope, signed)


def caller() -> Caller:
    """The source whose request this is; only behind `may`."""
    found: Caller = g.percorso_caller
    return found


def _pass(scope: str, signed: bool) -> None:
    found = _identified(signed)
    limit(house().redis, f"{found.workspace_id}:{found.source_id}", house().settings.event_rate)
    if scope not in found.scopes:
        raise ProblemError("forbidden", f"This key lacks the scope {scope} ({SCOPES[scope]}).")
    g.percorso_caller = found


def _identified(signed: bool) -> Caller:
    given = request.headers.get("Authorization", "")
    if given:
        scheme, _, key = given.partition(" ")
        if scheme.lower() == "bearer" and (found := _holder(key.strip())):
            return found
        raise _unknown("The key is not known, or was revoked.")
    if signed and any(name in request.headers for name in ("webhook-id", "webhook-timestamp", "webhook-signature")):
        return _signer()
    raise _unknown("The request carries no key" + (" and no signature." if signed else "."))


def _holder(key: str) -> Caller | None:
    if not key.isascii() or "\x00" in key:
        return None
    parts = house()
    with parts.database.system() as session:
        return holder_of_key(session, key, parts.clock.now())


def _signer() -> Caller:
    parts = house()
    name = request.headers.get("X-Percorso-Source") or request.args.get("source") or ""
    if not name or "\x00" in name:
        raise _unknown("A signed request names its source in X-Percorso-Source or ?source=.")
    proof = Signed(
        id=request.headers.get("webhook-id", ""),
        timestamp=request.headers.get("webhook-timestamp", ""),
        signature=request.headers.get("webhook-signature", ""),
        body=request.get_data(),
    )
    try:
        with parts.database.system() as session:
            return signer(session, parts.settings, name, proof, parts.clock.now())
    except SignatureRefusedError as error:
        raise _unknown(f"The signature was refused: {error}.") from error


def _unknown(detail: str) -> ProblemError:
    return ProblemError("unauthenticated", detail, headers={"WWW-Authenticate": 'Bearer realm="percorso"'})


def limit(redis: Redis, name: str, most: int) -> None:
    """Count this request; refuse it where `name` has made more than `most` within a minute."""
    wait = rates.wait(redis, [(name, Limit(most, WINDOW_SECONDS))])
    if wait:
        detail = f"This source may make {most} requests a minute; wait {wait} s."
        raise ProblemError("rate-limited", detail, headers={"Retry-After": str(wait)})
