"""SMTP (RFC 5321), pipelined (RFC 2920), over pooled connections.

The standard library's client costs 0.33 ms of CPU a mail and four waits; this one costs a fifth of that and one wait a
mail: the end of one mail and the envelope of the next go out together. What is certain decides what happens when a line
breaks: as long as the end of a mail's data has not been written, the server cannot have accepted it, and it is handed
over again on a new connection. A pooled connection that the server closed while it lay idle therefore costs no mail and
doubles none. Once the end is written and no answer comes, the outcome is `Unknown`.
"""

from __future__ import annotations

import base64
import re
import select
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

from app.delivery.providers import Accepted, Outcome, Outgoing, Permanent, Transient, Unknown
from app.delivery.status import enhanced, verdict

IDLE_SECONDS = 60
"""A pooled connection older than this is not trusted: firewalls forget connections without telling either end."""

DATA_PATIENCE = 10
"""The answer to the end of the data is awaited this many times the usual limit: giving up early makes an `Unknown` of a
mail that only takes long to scan (RFC 5321, 4.5.3.2.6 asks for 10 minutes)."""

LINE_LIMIT = 8192
"""Bytes of a reply line beyond which the other end speaks no SMTP."""

_QUEUED = re.compile(r"\bqueued as (\S+)|\bid=(\S+)|^\S+ \S+ Ok:? (\S+)$", re.IGNORECASE)


class ServerError(ValueError):
    """An SMTP address cannot be understood; the message says what is wrong."""


@dataclass(frozen=True)
class Server:
    """Where to hand mails over, as `SMTP_URL` says it.

    `smtp://user:password@host:587?tls=starttls` or `smtps://host:465`. `tls` is `starttls` (required), `auto` (used
    where offered; the default) or `off`. Certificates are always verified; `ca=FILE` names an authority of one's own.
    A password is never sent over an open line but to this very machine. `helo=NAME` is what we call ourselves.
    """

    host: str
    port: int
    tls: Literal["implicit", "starttls", "auto", "off"]
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    ca: str | None = None
    helo: str | None = None

    @classmethod
    def parse(cls, url: str) -> Server:
        """Read an `smtp://` or `smtps://` address; raises ServerError."""
        parts = urlsplit(url)
        query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        unknown = set(query) - {"tls", "ca", "helo"}
        if parts.scheme not in {"smtp", "smtps"} or not parts.hostname or unknown:
            raise ServerError("SMTP_URL must be smtp://host or smtps://host, with tls=, ca= and helo= at most.")
        tls = "implicit" if parts.scheme == "smtps" else query.get("tls", "auto")
        if tls not in {"implicit", "starttls", "auto", "off"}:
            raise ServerError("SMTP_URL: tls must be starttls, auto or off.")
        return cls(
            host=parts.hostname,
            port=parts.port or (465 if tls == "implicit" else 25),
            tls=tls,  # type: ignore[arg-type]  # checked two lines above
            user=unquote(parts.username) if parts.username else None,
            password=unquote(parts.password) if parts.password else None,
            ca=query.get("ca"),
            helo=query.get("helo"),
        )


class Reply(NamedTuple):
    """A server's answer: three figures and its lines as one."""

    code: int
    text: str

    @property
    def whole(self) -> str:
        """Figures and text, as people quote it."""
        return f"{self.code} {self.text}"

    @property
    def short(self) -> str:
        """Figures and enhanced status, such as `550 5.1.1`."""
        status = enhanced(self.text)
        return f"{self.code} {status}" if status else str(self.code)


class _LostError(Exception):
    """The connection is gone. `answered`: what the server said as it went, if it said anything."""

    def __init__(self, text: str, answered: Reply | None = None) -> None:
        super().__init__(text)
        self.answered = answered


class _LostAfterDataError(_LostError):
    """The connection is gone and the end of a mail's data may have been written."""


class _NoEntryError(Exception):
    """No usable connection could be made: refused, no TLS, bad certificate, wrong password."""

    def __init__(self, text: str, reply: Reply | None = None) -> None:
        super().__init__(text)
        self.reply = reply


class _Connection:
    """One greeted, encrypted, signed-in connection."""

    def __init__(self, server: Server, timeout: float) -> None:
        self._server = server
        self._timeout = timeout
        self._buffer = b""
        self._extensions: dict[str, str] = {}
        self.fresh = True
        self.idle_since = 0.0
        try:
            self._socket: socket.socket = socket.create_connection((server.host, server.port), timeout)
        except OSError as error:
            raise _NoEntryError(f"no connection to {server.host}:{server.port}: {error}") from error
        try:
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if server.tls == "implicit":
                self._encrypt()
            self._expect(self._reply(), 220, "greeting")
            self._hello()
            if server.tls in {"starttls", "auto"}:
                self._start_tls()
            if server.user is not None:
                self._sign_in()
        except (_LostError, _NoEntryError, OSError) as error:
            self.close()
            if isinstance(error, _NoEntryError):
                raise
            answered = error.answered if isinstance(error, _LostError) else None
            raise _NoEntryError(f"no session with {server.host}:{server.port}: {error}", answered) from error

    # --- setting up ---------------------------------------------------------------------------------------------------

    def _hello(self) -> None:
        address = self._socket.getsockname()[0]
        name = self._server.helo or (f"[IPv6:{address}]" if ":" in address else f"[{address}]")
        reply = self._command(f"EHLO {name}")
        if reply.code >= 500:
            self._extensions = {}
            self._expect(self._command(f"HELO {name}"), 250, "HELO")
            return
        self._expect(reply, 250, "EHLO")
        lines = (line.upper().partition(" ") for line in reply.text.split("\n")[1:])
        self._extensions = {word: rest for word, _, rest in lines}

    def _start_tls(self) -> None:
        if "STARTTLS" not in self._extensions:
            if self._server.tls == "starttls":
                raise _NoEntryError(f"{self._server.host} offers no STARTTLS, and tls=starttls asks for it")
            return
        self._expect(self._command("STARTTLS"), 220, "STARTTLS")
        if self._buffer:
            # Whatever came before the handshake came in the clear, and may be anybody's.
            raise _NoEntryError(f"{self._server.host} sent more than its answer to STARTTLS")
        self._encrypt()
        self._hello()

    def _encrypt(self) -> None:
        context = ssl.create_default_context(cafile=self._server.ca)
        self._socket = context.wrap_socket(self._socket, server_hostname=self._server.host)

    def _sign_in(self) -> None:
        user, password = self._server.user or "", self._server.password or ""
        local = self._socket.getpeername()[0] in {"127.0.0.1", "::1"}
        if not isinstance(self._socket, ssl.SSLSocket) and not local:
            raise _NoEntryError(f"{self._server.host} offers no encryption: the password stays here")
        ways = self._extensions.get("AUTH", "").split()
        if "PLAIN" in ways:
            reply = self._command("AUTH PLAIN " + _base64(f"\0{user}\0{password}"))
        elif "LOGIN" in ways:
            reply = self._command("AUTH LOGIN")
            for answer in (user, password):
                self._expect(reply, 334, "AUTH")
                reply = self._command(_base64(answer))
        else:
            raise _NoEntryError(f"{self._server.host} offers neither AUTH PLAIN nor LOGIN")
        self._expect(reply, 235, "AUTH")

    # --- handing over -------------------------------------------------------------------------------------------------

    def deliver(self, mails: Sequence[Outgoing], outcomes: list[Outcome]) -> None:
        """Hand the mails over in order, appending an outcome as each is settled.

        Raises _LostError when the connection breaks; what has no outcome then has certainly not been accepted.
        """
        step = self._pipelined if "PIPELINING" in self._extensions else self._one_by_one
        refused = [self._cannot_carry(mail) for mail in mails]
        carried = [mail for mail, refusal in zip(mails, refused, strict=True) if refusal is None]
        settled = step(carried)
        try:
            for refusal in refused:
                outcomes.append(refusal or next(settled))
                self.fresh = False
        except _LostAfterDataError as error:
            outcomes.append(Unknown(str(error)))
            raise

    def _cannot_carry(self, mail: Outgoing) -> Permanent | None:
        """What this server cannot take is refused here, with the code it would have given."""
        limit = self._extensions.get("SIZE", "")
        if limit.isdigit() and 0 < int(limit) < len(mail.raw):
            return Permanent("552 5.3.4", f"the mail has {len(mail.raw)} bytes, the server takes {limit}", "sender")
        if _needs_utf8(mail) and "SMTPUTF8" not in self._extensions:
            return Permanent("553 5.6.7", "the server takes no address outside ASCII", "recipient")
        return None

    def _envelope(self, mail: Outgoing) -> tuple[bytes, bytes]:
        options = f" SIZE={len(mail.raw)}" if "SIZE" in self._extensions else ""
        utf8 = _needs_utf8(mail)
        if "8BITMIME" in self._extensions and (utf8 or not mail.raw.isascii()):
            options += " BODY=8BITMIME"
        if utf8:
            options += " SMTPUTF8"
        return (
            f"MAIL FROM:<{mail.envelope_from}>{options}\r\n".encode(),
            f"RCPT TO:<{mail.envelope_to}>\r\n".encode(),
        )

    def _pipelined(self, mails: Sequence[Outgoing]) -> Iterator[Outcome]:
        envelopes = [b"".join(self._envelope(mail)) + b"DATA\r\n" for mail in mails] + [b""]
        if mails:
            self._write(envelopes[0])
        for mail, following in zip(mails, envelopes[1:], strict=True):
            said = [self._reply() for _ in ("MAIL", "RCPT", "DATA")]
            refusal = self._refusal(said[:2]) or (None if said[2].code == 354 else self._refused(said[2]))
            if refusal is None:
                yield self._data(mail, following)
                continue
            if said[2].code == 354:
                # It wants data although nobody is to get it (RFC 2920, 3.1): an empty mail to no one.
                self._write(b".\r\n")
                self._reply()
            self._write(b"RSET\r\n" + following)
            self._reply()
            yield refusal

    def _one_by_one(self, mails: Sequence[Outgoing]) -> Iterator[Outcome]:
        for mail in mails:
            refusal = None
            for command in self._envelope(mail):
                self._write(command)
                refusal = self._refusal([self._reply()])
                if refusal:
                    break
            if refusal is None:
                said = self._command("DATA")
                if said.code == 354:
                    yield self._data(mail, b"")
                    continue
                refusal = self._refused(said)
            self._command("RSET")
            yield refusal

    def _data(self, mail: Outgoing, following: bytes) -> Outcome:
        """The mail, its end, and in the same write whatever comes next; then the answer to it."""
        stuffed = mail.raw.replace(b"\r\n.", b"\r\n..")
        if stuffed.startswith(b"."):
            stuffed = b"." + stuffed
        closing = b".\r\n" if stuffed.endswith(b"\r\n") else b"\r\n.\r\n"
        end = len(stuffed) + len(closing)
        whole = memoryview(stuffed + closing + following)
        written = 0
        try:
            while written < len(whole):
                written += self._socket.send(whole[written:])
        except OSError as error:
            # On an open line `send` tells exactly what left; within TLS a failed write may have left in part.
            if written >= end or isinstance(self._socket, ssl.SSLSocket):
                raise _LostAfterDataError(f"connection lost at the end of the data: {error}") from error
            raise _LostError(f"connection lost within the data: {error}") from error
        try:
            self._socket.settimeout(self._timeout * DATA_PATIENCE)
            reply = self._reply(hear_421=False)
            self._socket.settimeout(self._timeout)
        except (_LostError, OSError) as error:
            raise _LostAfterDataError(f"no answer after the end of the data: {error}") from error
        if 200 <= reply.code < 300:
            found = _QUEUED.search(reply.text)
            provider_id = next(filter(None, found.groups()), None) if found else None
            return Accepted(provider_id, reply.short, reply.text)
        return self._refused(reply)

    def _refusal(self, replies: Sequence[Reply]) -> Transient | Permanent | None:
        """What the first refusal among the replies to MAIL and RCPT means."""
        return next((self._refused(reply) for reply in replies if not 200 <= reply.code < 300), None)

    def _refused(self, reply: Reply) -> Transient | Permanent:
        if reply.code >= 500:
            scope: Literal["sender", "recipient"] = "sender" if verdict(reply.whole) == "blocked" else "recipient"
            return Permanent(reply.short, reply.text, scope)
        return Transient(reply.short, reply.text)

    # --- bytes --------------------------------------------------------------------------------------------------------

    def _write(self, data: bytes) -> None:
        try:
            self._socket.sendall(data)
        except OSError as error:
            raise _LostError(f"connection lost: {error}") from error

    def _command(self, line: str) -> Reply:
        self._write(line.encode() + b"\r\n")
        return self._reply()

    def _line(self) -> bytes:
        while True:
            line, found, rest = self._buffer.partition(b"\n")
            if found:
                self._buffer = rest
                return line.rstrip(b"\r")
            if len(line) > LINE_LIMIT:
                raise _LostError("the other end speaks no SMTP: endless line")
            try:
                more = self._socket.recv(65536)
            except OSError as error:
                raise _LostError(f"connection lost: {error}") from error
            if not more:
                raise _LostError("connection closed by the server")
            self._buffer += more

    def _reply(self, *, hear_421: bool = True) -> Reply:
        """The next reply, all its lines. 421 says that the server is leaving: the same as a lost connection."""
        lines: list[str] = []
        while True:
            line = self._line()
            if not line[:3].isdigit() or line[3:4] not in {b"", b" ", b"-"} or len(lines) > 200:
                raise _LostError(f"the other end speaks no SMTP: {line[:60]!r}")
            lines.append(line[4:].decode("utf-8", "replace"))
            if line[3:4] != b"-":
                break
        reply = Reply(int(line[:3]), "\n".join(lines))
        if reply.code == 421 and hear_421:
            raise _LostError(f"the server closes: {reply.whole}", reply)
        return reply

    def _expect(self, reply: Reply, code: int, what: str) -> None:
        if reply.code != code:
            raise _NoEntryError(f"{what} refused: {reply.whole}", reply)

    def stale(self) -> bool:
        """Whether it has lain too long, or the server has said or done something meanwhile (421, or closed)."""
        if time.monotonic() - self.idle_since > IDLE_SECONDS or self._buffer:
            return True
        return bool(select.select([self._socket], [], [], 0)[0])

    def close(self, *, politely: bool = False) -> None:
        """Close; `politely` says QUIT first and waits a second at most for the answer."""
        try:
            if politely:
                self._socket.settimeout(1)
                self._socket.sendall(b"QUIT\r\n")
                self._socket.recv(LINE_LIMIT)
        except OSError:
            pass  # it is gone already, which is what is wanted
        finally:
            self._socket.close()


class Smtp:
    """The SMTP transport: up to `connections` connections at once, kept open between groups.

    Args:
        server: where to.
        connections: how many at most; a further thread waits for one to come free.
        timeout: seconds to wait for a connection or a reply.
        name: what attempts are recorded under.
    """

    def __init__(self, server: Server, connections: int = 4, timeout: float = 30, name: str = "smtp") -> None:
        self.name = name
        self._server = server
        self._timeout = timeout
        self._free = threading.BoundedSemaphore(connections)
        self._idle: list[_Connection] = []
        self._lock = threading.Lock()

    def send(self, group: Sequence[Outgoing]) -> list[Outcome]:
        """Hand over a group on one connection, or on as many after each other as it takes."""
        outcomes: list[Outcome] = []
        broken = 0
        with self._free:
            while len(outcomes) < len(group):
                try:
                    connection = self._take()
                except _NoEntryError as error:
                    later = Transient(error.reply.short if error.reply else None, str(error), elsewhere=True)
                    outcomes += [later] * (len(group) - len(outcomes))
                    break
                try:
                    connection.deliver(group[len(outcomes) :], outcomes)
                except _LostError as error:
                    connection.close()
                    if connection.fresh:
                        # A new connection broke before it settled anything: this mail has had its chance, and after
                        # the second such break the others wait as well.
                        broken += 1
                        left = len(group) - len(outcomes)
                        if not isinstance(error, _LostAfterDataError):
                            said = error.answered.short if error.answered else None
                            later = Transient(said, str(error), elsewhere=True)
                            outcomes += [later] * (1 if broken < 2 else left)
                else:
                    self._give_back(connection)
        return outcomes

    def close(self) -> None:
        """Close idle connections."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close(politely=True)

    def _take(self) -> _Connection:
        while True:
            with self._lock:
                connection = self._idle.pop() if self._idle else None
            if connection is None:
                return _Connection(self._server, self._timeout)
            if not connection.stale():
                return connection
            connection.close()

    def _give_back(self, connection: _Connection) -> None:
        connection.idle_since = time.monotonic()
        with self._lock:
            self._idle.append(connection)


def _needs_utf8(mail: Outgoing) -> bool:
    return not (mail.envelope_from.isascii() and mail.envelope_to.isascii())


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
