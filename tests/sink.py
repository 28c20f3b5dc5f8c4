"""A small real SMTP server for tests and benchmarks: keeps what it takes, counts by Message-ID, refuses on request.

What a recipient's local part begins with says how it is treated: `bad` is refused for good (550), `greylist` once
(451), `full` always for now (452), `blocked` for our reputation once the data is there (554 5.7.1); with `drop` the
connection is dropped when the data is asked for, with `late` in the middle of it, and with `cut` after all of it was
taken and kept, before the answer, as when a network fails at the worst moment. Everybody else gets 250.

Run as a program (`python -m tests.sink`) it prints its port, serves until its input ends, and prints what it counted.
"""

from __future__ import annotations

import json
import re
import socket
import socketserver
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass
from typing import Self

_MESSAGE_ID = re.compile(rb"^message-id:\s*(<[^>]*>)", re.IGNORECASE | re.MULTILINE)
_ADDRESS = re.compile(r"<([^>]*)>")


@dataclass(frozen=True)
class Mail:
    """One mail as it was taken."""

    sender: str
    recipients: tuple[str, ...]
    data: bytes
    message_id: str


class _Conversation(socketserver.BaseRequestHandler):
    server: _Server
    request: socket.socket

    def setup(self) -> None:
        self.server.talking.add(self.request)
        self.server.connections += 1
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._came = bytearray()
        self._answers: list[bytes] = []
        self._sender = ""
        self._recipients: list[str] = []

    def handle(self) -> None:
        self._say("220 sink ready")
        try:
            while (line := self._until(b"\r\n")) is not None:
                verb, _, rest = line.decode("utf-8", "replace").partition(" ")
                if not self._obey(verb.upper(), rest):
                    return
        except ConnectionError:
            return  # a client that hangs up is no error here

    def finish(self) -> None:
        self.server.talking.discard(self.request)

    def _until(self, mark: bytes) -> bytes | None:
        """What comes before `mark`. Answers wait until there is nothing left to read: so pipelined commands are
        answered together."""
        searched = 0
        while (found := self._came.find(mark, searched)) < 0:
            searched = max(0, len(self._came) - len(mark))
            self._flush()
            read = self.request.recv(262_144)
            if not read:
                return None
            self._came += read
        taken = bytes(self._came[:found])
        del self._came[: found + len(mark)]
        return taken

    def _say(self, *lines: str) -> None:
        self._answers += [f"{line}\r\n".encode() for line in lines]

    def _flush(self) -> None:
        if self._answers:
            self.request.sendall(b"".join(self._answers))
            self._answers.clear()

    def _obey(self, verb: str, rest: str) -> bool:
        if verb in {"EHLO", "HELO"}:
            offered = [
                "sink",
                *(["PIPELINING"] if self.server.pipelining else []),
                "SIZE 1000000",
                "8BITMIME",
                "SMTPUTF8",
            ]
            self._say(*(f"250-{word}" for word in offered[:-1]), f"250 {offered[-1]}")
        elif verb == "MAIL":
            if not self.server.pipelining and self._came:
                return False  # it was not asked to talk on
            self._sender, self._recipients = _address(rest), []
            self._say("250 2.1.0 ok")
        elif verb == "RCPT":
            self._say(self._recipient(_address(rest)))
        elif verb == "DATA":
            return self._data()
        elif verb in {"RSET", "NOOP"}:
            if verb == "RSET":
                self._sender, self._recipients = "", []
            self._say("250 2.0.0 ok")
        elif verb == "QUIT":
            self._say("221 2.0.0 bye")
            self._flush()
            return False
        else:
            self._say("502 5.5.1 not known here")
        return True

    def _recipient(self, address: str) -> str:
        local = address.partition("@")[0]
        if local.startswith("bad"):
            return "550 5.1.1 no such mailbox"
        if local.startswith("full"):
            return "452 4.2.2 mailbox full"
        if local.startswith("greylist") and self.server.first_time(address):
            return "451 4.7.1 greylisted, try again later"
        self._recipients.append(address)
        return "250 2.1.5 ok"

    def _data(self) -> bool:
        if not self._recipients:
            self._say("554 5.5.1 no valid recipients")
            return True
        if any(address.startswith("drop") for address in self._recipients):
            self._flush()
            return False
        self._say("354 go on")
        self._flush()
        if any(address.startswith("late") for address in self._recipients):
            self.request.recv(10)
            return False
        data = self._until(b"\r\n.\r\n")
        if data is None:
            return False
        if any(address.startswith("blocked") for address in self._recipients):
            self._say("554 5.7.1 blocked for your reputation")
            return True
        time.sleep(self.server.delay)
        data = data.replace(b"\r\n..", b"\r\n.") + b"\r\n"
        self.server.keep(self._sender, tuple(self._recipients), data.removeprefix(b".") if data[:2] == b".." else data)
        if any(address.startswith("cut") for address in self._recipients):
            return False
        self._say("250 2.0.0 taken")
        return True


def _address(text: str) -> str:
    found = _ADDRESS.search(text)
    return found.group(1) if found else ""


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, keep_data: bool, pipelining: bool, delay: float) -> None:
        super().__init__(("127.0.0.1", 0), _Conversation)
        self.block_on_close = False
        self.pipelining = pipelining
        self.delay = delay
        self.talking: set[socket.socket] = set()
        self.connections = 0
        self.mails: list[Mail] = []
        self.ids: Counter[str] = Counter()
        self._keep_data = keep_data
        self._seen: set[str] = set()
        self._lock = threading.Lock()

    def first_time(self, address: str) -> bool:
        with self._lock:
            new = address not in self._seen
            self._seen.add(address)
            return new

    def keep(self, sender: str, recipients: tuple[str, ...], data: bytes) -> None:
        head = data.partition(b"\r\n\r\n")[0]
        found = _MESSAGE_ID.search(head)
        message_id = found.group(1).decode("ascii", "replace") if found else ""
        with self._lock:
            self.ids[message_id] += 1
            if self._keep_data:
                self.mails.append(Mail(sender, recipients, data, message_id))


class Sink:
    """The server as a context manager.

    Args:
        keep_data: False keeps only the count by Message-ID.
        pipelining: whether it offers PIPELINING; without, a client that talks on unasked is cut off.
        delay: seconds it thinks over each mail.
    """

    def __init__(self, *, keep_data: bool = True, pipelining: bool = True, delay: float = 0) -> None:
        self._server = _Server(keep_data, pipelining, delay)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    @property
    def port(self) -> int:
        """Where it listens on 127.0.0.1."""
        return int(self._server.server_address[1])

    @property
    def connections(self) -> int:
        """How many connections were ever made to it."""
        return self._server.connections

    @property
    def url(self) -> str:
        """For `SMTP_URL`."""
        return f"smtp://127.0.0.1:{self.port}"

    @property
    def mails(self) -> list[Mail]:
        """What was taken, in order."""
        return self._server.mails

    @property
    def ids(self) -> Counter[str]:
        """Message-ID → how often it was taken."""
        return self._server.ids

    def hang_up(self) -> None:
        """Close every open connection from this side, as servers do with idle ones."""
        for connection in list(self._server.talking):
            connection.shutdown(socket.SHUT_RDWR)

    def to(self, address: str) -> list[Mail]:
        """What was taken for one recipient."""
        return [mail for mail in self.mails if address in mail.recipients]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join(5)
        self._server.server_close()


def main() -> None:
    """Serve until the input ends, then print how many mails and how many different ones were taken."""
    with Sink(keep_data=False) as sink:
        print(sink.port, flush=True)
        for _ in sys.stdin:
            print(json.dumps({"taken": sink.ids.total(), "different": len(sink.ids)}), flush=True)


if __name__ == "__main__":
    main()
