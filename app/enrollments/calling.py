"""One call out over HTTP, by somebody who trusts nobody: only to public addresses, bounded in time and size.

The host's name is resolved here, every address it has is looked at, and the connection goes to the very address that
was looked at: a name that answers twice differently leads nowhere. Redirects are answers, never followed.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

import httpx

CONNECT_SECONDS = 5.0
READ_SECONDS = 10.0
WHOLE_SECONDS = 15.0
"""From the first byte to the last; a server that drips is cut off."""
MOST_BYTES = 64 * 1024
"""As much of an answer is read; only its beginning is kept."""
KEPT = 300

_NAT64 = ipaddress.ip_network("64:ff9b::/96")

Unsaid = Literal["not_shared", "restricted"]
Made = Literal["ok", "refused", "gone", "redirect", "timeout", "unreachable", "blocked", "unknown", "stopped"]
Outcome = Made | Unsaid
"""ok: 2xx. gone: 410, it wants no more. refused: any other answer. blocked: an address that must not be called.
unknown: the worker was gone before the answer. stopped: the endpoint is switched off or does not exist.
not_shared, restricted: the person may not be spoken of to it, see `calls.UNSAID`."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one call."""

    outcome: Outcome
    status: int | None = None
    said: str = ""
    """The beginning of the answer, or of the error."""
    retry_after: int | None = None
    """Seconds that the other side asks us to wait."""
    ms: int = 0


class BlockedError(ValueError):
    """The address lies inside a network; calling it could reach what only insiders may."""


def allowed(address: str, allow: Sequence[str]) -> bool:
    """Whether an address may be called: a public one, or one that the setting names (as an address or a network)."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if any(ip in ipaddress.ip_network(one, strict=False) for one in allow):
        return True
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if ip in _NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFF_FFFF)
        if inner is not None and not allowed(str(inner), ()):
            return False
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


def resolved(host: str, port: int, allow: Sequence[str]) -> str:
    """The address to connect to.

    Raises:
        BlockedError: one of the host's addresses may not be called.
        OSError: the name has no address.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = list(dict.fromkeys(str(one[4][0]) for one in found))
    for address in addresses:
        if not allowed(address, allow):
            raise BlockedError(f"{host} has the address {address}, which is not public.")
    return addresses[0]


def post(url: str, headers: Mapping[str, str], body: bytes, allow: Sequence[str] = ()) -> Answer:
    """Call once; never raises for what the other side or the network does.

    Args:
        allow: addresses and networks that may be called although they are not public, and without TLS.
    """
    begun = time.monotonic()
    try:
        answer = _post(url, headers, body, allow, begun + WHOLE_SECONDS)
    except BlockedError as error:
        answer = Answer("blocked", said=str(error))
    except httpx.TimeoutException as error:
        answer = Answer("timeout", said=str(error) or type(error).__name__)
    except (httpx.HTTPError, httpx.InvalidURL, OSError, UnicodeError) as error:
        answer = Answer("unreachable", said=(str(error) or type(error).__name__)[:KEPT])
    took = int((time.monotonic() - begun) * 1000)
    return Answer(answer.outcome, answer.status, answer.said, answer.retry_after, took)


def _post(url: str, headers: Mapping[str, str], body: bytes, allow: Sequence[str], until: float) -> Answer:
    asked = httpx.URL(url)
    port = asked.port or (443 if asked.scheme == "https" else 80)
    address = resolved(asked.host, port, allow)
    if asked.scheme != "https" and not any(
        ipaddress.ip_address(address) in ipaddress.ip_network(one, strict=False) for one in allow
    ):
        raise BlockedError("Without TLS only addresses of PERCORSO_CALLS_ALLOW are called.")
    timeout = httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS)
    with httpx.Client(verify=_tls(), timeout=timeout, follow_redirects=False, trust_env=False) as client:
        request = client.build_request(
            "POST",
            asked.copy_with(host=address),
            headers={**headers, "host": asked.netloc.decode("ascii"), "connection": "close"},
            content=body,
            extensions={"sni_hostname": asked.host},
        )
        response = client.send(request, stream=True)
        try:
            said = _beginning(response, until)
        finally:
            response.close()
    status = response.status_code
    outcome: Outcome = "ok" if 200 <= status < 300 else "redirect" if 300 <= status < 400 else "refused"
    after = response.headers.get("retry-after", "")
    wait = int(after) if after.isascii() and after.isdigit() and len(after) < 7 else None
    return Answer("gone" if status == 410 else outcome, status, said, wait)


def _beginning(response: httpx.Response, until: float) -> str:
    read = bytearray()
    for part in response.iter_raw(4096):
        read += part
        if time.monotonic() > until:
            raise httpx.ReadTimeout("The answer took too long.")
        if len(read) >= MOST_BYTES:
            break
    return bytes(read[:KEPT]).decode("utf-8", "replace").replace("\x00", "")


@cache
def _tls() -> ssl.SSLContext:
    return httpx.create_ssl_context()
