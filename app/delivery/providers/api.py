"""Providers with an HTTP API: a mail becomes a request, the answer an outcome.

    mails → Writer.write → request → answer → Writer.read → outcomes

What holds for all of them is here. A connection that was never made, or a body whose last bytes never left, is
certainly not accepted. Once the last bytes have left and no whole answer has come, the outcome is in doubt: the very
request is made again where the provider knows it by a key, and else it is `Unknown`. The same goes for an answer that a
gateway gives in its provider's stead (502, 504). 401, 403, 429 and 5xx are about this way out and not about the mail.
"""

from __future__ import annotations

import base64
import ssl
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from typing import Any, Literal

import httpx
import msgspec

from app.delivery.mime import Mailbox, clean, wire_address
from app.delivery.providers import Accepted, Outcome, Outgoing, Permanent, Transient, Unknown

CONNECT_SECONDS = 10.0
IDLE_SECONDS = 15.0
"""An idle connection older than this is not used again: a provider that closed it meanwhile would leave us in doubt."""
MOST_ATTACHED = 10_000_000
"""Bytes of the files of one request's mails: a batch that is too large is refused whole (Mailjet's limit is 15 MB, and
Postmark's 50)."""
MOST_BYTES = 1024 * 1024
"""Bytes of an answer that are read."""
SAID = 300
"""Characters of what a provider said that are kept."""
PAUSES = (0.3, 1.5)
"""Seconds before a request in doubt is made again, where the provider takes a key."""
GIVE_UP_AFTER = 2
"""So many requests of a group that came to nothing keep the rest of it from being tried by this way."""


Words = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Access:
    """What a sender sends with: opened credentials, and options that are no secret."""

    credentials: Words
    options: Words
    base: str = ""
    """Another address than the provider's own, for tests and stand-ins."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request. `url` begins at the provider's base where it begins with a slash."""

    url: str
    body: bytes
    headers: Words = field(default_factory=dict)
    key: str = ""
    """By which the provider knows the same request again; empty where it takes none."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. `again`: how often the same request had left before without an answer."""

    status: int
    headers: Words
    body: bytes
    again: int = 0

    @property
    def json(self) -> Any:
        """The body as JSON; None where it is none."""
        try:
            return msgspec.json.decode(self.body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None

    @property
    def table(self) -> dict[str, Any]:
        """The body as an object; empty where it is something else."""
        found = self.json
        return found if isinstance(found, dict) else {}

    @property
    def text(self) -> str:
        """Its beginning, as people read it."""
        return self.body[: SAID * 4].decode("utf-8", "replace").replace("\x00", "")[:SAID]


@dataclass(frozen=True, slots=True)
class Refusal:
    """What a provider's own error says: whose fault it is. `way`: of our account there, or its own. `taken`: it is no
    refusal, the mail had come before."""

    fault: Literal["recipient", "sender", "way", "doubt", "taken"]
    code: str
    text: str
    meaning: Literal["hard", "soft"] | None = None


@dataclass(frozen=True, slots=True)
class Writer:
    """One provider as a way out.

    Args:
        base: its address, by what its options say.
        write: one request for these mails; never more than `at_once`.
        took: of a 2xx answer, what became of each mail.
        refused: of a 4xx answer, what it means, for all mails of the request or for each.
        credentials: name → what it is and where it is found, for people; all are needed.
        options: name → what it is; none is needed.
        raw: whether our own bytes go out (with our signature, Message-ID and all headers).
        lost: what of a mail does not arrive as we made it, for people.
        at_once: mails of one request, where each gets an answer of its own.
        known_for: how long it knows a request again by its key, a little less than it says; nothing: it takes none.
    """

    base: Callable[[Access], str]
    write: Callable[[Access, Sequence[Outgoing]], Call]
    took: Callable[[Answer, Sequence[Outgoing]], list[Outcome]]
    refused: Callable[[Answer, Sequence[Outgoing]], Refusal | list[Outcome]]
    credentials: Words
    raw: bool
    lost: str
    options: Words = field(default_factory=dict)
    at_once: int = 1
    known_for: timedelta = timedelta()


class Api:
    """The transport of one sender; `send` is called from several threads at once.

    Args:
        name: the sender's, under which attempts are recorded.
        writer: its provider.
        access: what it sends with.
        connections: kept open, and used at once, at most.
        timeout: seconds to wait for the answer.
        pauses: before a request in doubt is made again.
    """

    def __init__(
        self,
        name: str,
        writer: Writer,
        access: Access,
        connections: int = 4,
        timeout: float = 30,
        pauses: Sequence[float] = PAUSES,
    ) -> None:
        self._name = name
        self._writer = writer
        self._access = access
        self._pauses = pauses
        self._timeout = timeout
        self._client = httpx.Client(
            base_url=access.base or writer.base(access),
            verify=_tls(),
            timeout=httpx.Timeout(timeout, connect=min(CONNECT_SECONDS, timeout)),
            limits=httpx.Limits(
                max_connections=connections, max_keepalive_connections=connections, keepalive_expiry=IDLE_SECONDS
            ),
            follow_redirects=False,
            trust_env=False,
        )

    @property
    def name(self) -> str:
        """What attempts are recorded under."""
        return self._name

    def send(self, group: Sequence[Outgoing]) -> list[Outcome]:
        """Hand over a group, request by request."""
        outcomes: list[Outcome] = []
        vain = 0
        while len(outcomes) < len(group):
            part = _at_once(group[len(outcomes) : len(outcomes) + self._writer.at_once])
            came = self._request(part)
            outcomes += came
            vain = vain + 1 if all(isinstance(one, Transient) and one.elsewhere for one in came) else 0
            if vain == GIVE_UP_AFTER:
                outcomes += [came[-1]] * (len(group) - len(outcomes))
        return outcomes

    def close(self) -> None:
        """Close idle connections."""
        self._client.close()

    def _request(self, mails: Sequence[Outgoing]) -> list[Outcome]:
        try:
            call = self._writer.write(self._access, mails)
        except ValueError as error:
            # A text that cannot be written as JSON, say. Nothing has left, and no other try would do better.
            return [Permanent(None, f"no request can be made of it: {error}", "sender")] * len(mails)
        before = int(any(mail.again for mail in mails))
        outcomes, silences = self._once(call, mails, before)
        for pause in self._pauses if call.key else ():
            if not any(isinstance(one, Unknown) for one in outcomes):
                break
            time.sleep(pause)
            later, silent = self._once(call, mails, before + silences)
            silences += silent
            if not all(isinstance(one, Transient) for one in later):
                outcomes = later  # else this try did not take it, and the doubt of the one before stays
        return outcomes

    def _once(self, call: Call, mails: Sequence[Outgoing], again: int) -> tuple[list[Outcome], int]:
        """The outcomes, and 1 where the provider itself said nothing after the mail was out."""
        body = _Body(call.body)
        request = self._client.build_request(
            "POST",
            call.url,
            content=body,
            headers={"user-agent": "Percorso", "content-length": str(len(call.body)), **call.headers},
        )
        try:
            response = self._client.send(request, stream=True)
            try:
                read = _beginning(response, time.monotonic() + self._timeout)
            finally:
                response.close()
        except httpx.HTTPError as error:
            said = f"{self._client.base_url.host}: {str(error) or type(error).__name__}"
            if body.left and not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout):
                return [Unknown(f"no whole answer after the mail was out: {said}")] * len(mails), 1
            return [Transient(None, said, elsewhere=True)] * len(mails), 0
        if response.status_code in _OF_GATEWAYS:
            said = f"{response.status_code}: a gateway answered, not the provider"
            return [Unknown(said)] * len(mails), 1
        headers = {name.lower(): value for name, value in response.headers.items()}
        return self._meaning(Answer(response.status_code, headers, read, again), mails), 0

    def _meaning(self, answer: Answer, mails: Sequence[Outgoing]) -> list[Outcome]:
        if 200 <= answer.status < 300:
            return self._writer.took(answer, mails)
        if answer.status in _OF_THE_WAY or answer.status >= 500 or answer.status < 400:
            later = Transient(str(answer.status), answer.text, elsewhere=True, wait=_wait(answer.headers))
            return [later] * len(mails)
        refused = self._writer.refused(answer, mails)
        return [outcome_of(refused, _wait(answer.headers))] * len(mails) if isinstance(refused, Refusal) else refused


_OF_GATEWAYS = frozenset({502, 504})
_OF_THE_WAY = frozenset({401, 402, 403, 404, 405, 408, 420, 425, 429})
"""No such key, not paid, no such account or domain there, too fast: none of it is the mail's fault."""


def outcome_of(refusal: Refusal, wait: float = 0) -> Outcome:
    """A provider's own error as an outcome."""
    match refusal.fault:
        case "way":
            return Transient(refusal.code, refusal.text, elsewhere=True, wait=wait)
        case "taken":
            return Accepted(None, refusal.code, refusal.text)
        case "doubt":
            return Unknown(f"{refusal.code} {refusal.text}")
        case "recipient" | "sender":
            return Permanent(refusal.code, refusal.text, refusal.fault, refusal.meaning)


def json_call(url: str, sent: object, headers: Words, **more: Any) -> Call:
    """A request whose body is JSON."""
    return Call(
        url,
        msgspec.json.encode(sent),
        {"content-type": "application/json", "accept": "application/json", **headers},
        **more,
    )


def taken(provider_id: object, text: str = "") -> Accepted:
    """The provider took it, under this name."""
    return Accepted(str(provider_id) if provider_id else None, None, text[:SAID])


def own_headers(mail: Outgoing, besides: frozenset[str] = frozenset()) -> list[tuple[str, str]]:
    """The headers of a mail that a provider's structured API has no field for, with our Message-ID at their head.

    In ASCII: providers send on as it is what they should encode, and mail servers then refuse the mail. Of a header
    with a label in another script (List-Id) what stands in angle brackets is left.

    Args:
        besides: in lower case, what this provider refuses to be told, or writes itself.
    """
    headers = []
    for name, value in (("Message-ID", mail.message_id), *mail.mail.headers):
        plain = value if value.isascii() else value[value.rfind("<") :] if "<" in value else ""
        if name.lower() not in besides and plain.isascii() and plain:
            headers.append((name, plain))
    return headers


def errors_of(value: object) -> list[dict[str, Any]]:
    """The objects of a list, whatever else it is or holds."""
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def person(box: Mailbox, email: str = "email", name: str = "name") -> dict[str, str]:
    """An address with its name, where it has one, under the names that the provider gives them."""
    return {email: wire_address(box.email), **({name: clean(box.name)} if clean(box.name) else {})}


def basic(user: str, password: str) -> Words:
    """The header of HTTP basic authentication."""
    return {"authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def shown(box: Mailbox) -> str:
    """`"Name" <address>`, for providers that want one text; a name cannot break out of its quotes."""
    name = clean(box.name).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{name}" <{wire_address(box.email)}>' if name else wire_address(box.email)


def _at_once(mails: Sequence[Outgoing]) -> Sequence[Outgoing]:
    """As many of these as one request may carry: one at least, and all of them where no files go with them."""
    taken_, carried = 0, 0
    for mail in mails:
        carried += sum(len(one.data) for one in mail.mail.attachments)
        if taken_ and carried > MOST_ATTACHED:
            break
        taken_ += 1
    return mails[:taken_]


class _Body(httpx.SyncByteStream):
    """A body that knows whether its last bytes have been handed to the network."""

    def __init__(self, whole: bytes) -> None:
        self._whole = whole
        self.left = False

    def __iter__(self) -> Iterator[bytes]:
        cut = len(self._whole) - 1
        if cut > 0:
            yield self._whole[:cut]
        # Without its last byte nobody has the request; from here on somebody may.
        self.left = True
        yield self._whole[cut:]


def _beginning(response: httpx.Response, until: float) -> bytes:
    """The answer's body, bounded in size and time. Where it breaks off after a 2xx, what came will do: the status has
    said it."""
    read = bytearray()
    try:
        for part in response.iter_bytes():
            read += part
            if len(read) >= MOST_BYTES or time.monotonic() > until:
                break
    except httpx.HTTPError:
        if not 200 <= response.status_code < 300:
            raise
    return bytes(read)


def _wait(headers: Words) -> float:
    given = headers.get("retry-after", "")
    return float(given) if given.isascii() and given.isdigit() and len(given) < 6 else 0


@cache
def _tls() -> ssl.SSLContext:
    return httpx.create_ssl_context()
