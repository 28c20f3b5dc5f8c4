"""The door for mail providers: what became of our mails, told by the provider's webhook.

    sender of the address → rate → signature → reports → recorded and committed → 200

It is none of the described API: its callers are the providers, whose formats are theirs, and its keys are theirs too.
Whatever is wrong with the request is a problem (RFC 9457) in the 400s; trouble of ours is 503, so that they repeat it.
"""

from __future__ import annotations

import hashlib
import secrets
import traceback
from dataclasses import replace
from ipaddress import ip_address, ip_network
from typing import Protocol

import httpx
import msgspec
import structlog
from apiflask import APIBlueprint
from flask import Flask, Response, current_app, g, request
from redis.exceptions import RedisError

from app.api import problems, receiving
from app.api.access import limit
from app.api.problems import KINDS, ProblemError
from app.delivery import reported, senders
from app.delivery.providers.readers import READERS
from app.delivery.providers.webhooks import RefusedError, Request, UnreadableError
from app.delivery.senders import Known
from app.doors import house, opened_by

log = structlog.get_logger()

blueprint = APIBlueprint("provider_webhooks", __name__, url_prefix=senders.PATH, enable_openapi=False)
problems.install(blueprint)

RATE = 12_000
"""Requests of one sender in a minute; several providers make one for each event."""
LARGEST = 4 * 1024 * 1024
"""Bytes of a request. The largest batches that providers document are below 3 MiB."""
FETCH_SECONDS = 5.0
FETCH_LARGEST = 64 * 1024
ONCE_SECONDS = 25 * 3600
"""How long a token is remembered: longer than a signature is taken (`webhooks.REPEATS`)."""


class Fetch(Protocol):
    """Fetches an https address that the provider's reader has allowed; raises FetchError."""

    def __call__(self, url: str) -> bytes: ...


class FetchError(Exception):
    """The address did not answer as it should."""


def fetch(url: str) -> bytes:
    """Fetch over https, within seconds and bounds; redirects are errors, for they could lead anywhere."""
    try:
        with httpx.Client(timeout=FETCH_SECONDS, follow_redirects=False) as client, client.stream("GET", url) as answer:
            if answer.status_code != 200:
                raise FetchError(f"{answer.status_code} from {httpx.URL(url).host}")
            found = b""
            for part in answer.iter_bytes():
                found += part
                if len(found) > FETCH_LARGEST:
                    raise FetchError("the answer is too large")
    except httpx.HTTPError as error:
        raise FetchError(type(error).__name__) from error
    return found


def fetch_with(app: Flask, how: Fetch) -> None:
    """Have `app` fetch in this way."""
    app.extensions["percorso_fetch"] = how
    app.extensions["percorso_fetched"] = {}


def known_sender() -> None:
    """A guard that lets pass whoever knows a sender's address; some providers ask there before they send."""
    g.percorso_sender = _sender()


def from_provider() -> None:
    """A guard that lets pass what the sender's provider has sent, as the provider itself has it checked."""
    known = _sender()
    parts, reader = house(), READERS[known.provider]
    request.max_content_length = LARGEST
    given = Request(
        method=request.method,
        url=parts.settings.base_url.rstrip("/") + request.path,
        headers={name.lower(): value for name, value in request.headers.items()},
        body=request.get_data(),
        client=_client(),
    )
    try:
        if reader.before is not None:
            given = replace(given, fetched={url: _certificate(url) for url in reader.before(given, known.secrets)})
        reader.verify(given, known.secrets, parts.clock.now())
        if reader.once is not None:
            _only_once(f"percorso:once:{known.workspace_id}:{known.id}:{reader.once(given)}", given.body)
    except RefusedError as error:
        with parts.database.work(known.workspace_id) as session:
            senders.note(session, known, str(error), parts.clock.now())
        raise ProblemError("unauthenticated", f"The webhook was refused: {error}.") from error
    except UnreadableError as error:
        raise ProblemError("malformed", f"The webhook cannot be read: {error}.") from error
    g.percorso_sender, g.percorso_request = known, given


@blueprint.get("/<provider>/<sender>")
@opened_by(known_sender)
def get_sender(provider: str, sender: str) -> Response:  # noqa: ARG001 (the guard has read them)
    """Say that this is an address for webhooks; HEAD too."""
    return _json({"status": "ok"})


@blueprint.post("/<provider>/<sender>")
@opened_by(from_provider)
def post_reports(provider: str, sender: str) -> Response:  # noqa: ARG001 (the guard has read them)
    """Take what the provider reports."""
    parts, known, given = house(), g.percorso_sender, g.percorso_request
    reader = READERS[known.provider]
    try:
        confirm = reader.after(given) if reader.after is not None else None
        reports = reader.parse(given)
    except RefusedError as error:
        raise ProblemError("unauthenticated", f"The webhook was refused: {error}.") from error
    except UnreadableError as error:
        raise ProblemError("malformed", f"The webhook cannot be read: {error}.") from error
    if confirm is not None:
        _fetch(confirm)
    now = parts.clock.now()
    taken = receiving.in_one_piece(
        parts, known.workspace_id, lambda session: reported.take(session, known, reports, now)
    )
    return _json(
        {
            "recorded": taken.recorded,
            "known": taken.known,
            "unmatched": taken.unmatched,
            "untracked": taken.untracked,
        }
    )


def _sender() -> Known:
    parts = house()
    provider, public_id = ((request.view_args or {})[name] for name in ("provider", "sender"))
    if not (provider + public_id).isascii() or "\x00" in provider + public_id:
        raise ProblemError("not-found", "There is no such sender.")
    with parts.database.system() as session:
        known = senders.find(session, parts.settings, provider, public_id)
    if known is None or known.provider not in READERS:
        raise ProblemError("not-found", "There is no such sender.")
    limit(parts.redis, f"sender:{known.workspace_id}:{known.id}", RATE)
    return known


def _client() -> str | None:
    """The address that the request comes from; None where proxies stand between that we were not told of, or that do
    not say for whom they ask: their own address would vouch for everybody."""
    proxies, at = house().settings.proxies, request.remote_addr
    if not proxies:
        return None if any(name in request.headers for name in _FORWARDED) else at
    return None if at is None or any(ip_address(at) in ip_network(one, strict=False) for one in proxies) else at


_FORWARDED = ("X-Forwarded-For", "Forwarded", "X-Real-IP")


def _certificate(url: str) -> bytes:
    """A certificate, fetched once: its address names it, and what lies there never changes."""
    kept: dict[str, bytes] = current_app.extensions["percorso_fetched"]
    if url not in kept:
        if len(kept) >= 100:
            kept.clear()
        kept[url] = _fetch(url)
    return kept[url]


def _fetch(url: str) -> bytes:
    how: Fetch = current_app.extensions["percorso_fetch"]
    try:
        return how(url)
    except FetchError as error:
        log.warning("provider_not_reached", error=str(error))
        raise _later("The provider's own address did not answer.") from error


def _only_once(key: str, body: bytes) -> None:
    """Refuse a token that came before with another body. A lost Redis lets it pass, for the signature holds."""
    digest = hashlib.sha256(body).hexdigest()
    redis = house().redis
    try:
        if redis.set(key, digest, nx=True, ex=ONCE_SECONDS):
            return
        before = redis.get(key)
    except RedisError as error:
        log.warning("token_not_counted", error=str(error))
        return
    if before != digest.encode():
        raise RefusedError("its token came before with another body")


def _later(detail: str) -> ProblemError:
    return ProblemError("unavailable", detail, headers={"Retry-After": "60"})


def _of_anything(error: Exception) -> Response:
    """Trouble of ours: told in the log without what people sent, and to be sent again."""
    number = secrets.token_hex(8)
    log.error(
        "webhook_failed",
        instance=number,
        error=type(error).__name__,
        cause=type(getattr(error, "orig", error)).__name__,
        trace="".join(traceback.format_tb(error.__traceback__)),
    )
    return problems.answer(
        KINDS["unavailable"],
        "It was noted; nothing was kept of this request.",
        headers={"Retry-After": "60"},
        instance=f"urn:percorso:{number}",
    )


blueprint.register_error_handler(Exception, _of_anything)


def _json(body: dict[str, object]) -> Response:
    return Response(msgspec.json.encode(body), 200, content_type="application/json")
