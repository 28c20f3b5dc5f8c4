"""An HTTP server that keeps what it is asked, and answers, or fails, as a test has it.

It speaks HTTP/1.1 by hand, since half of its purpose is to fail in the middle: to cut the line before or after the body
was read, to say nothing, to answer slowly, to break an answer off.
"""

from __future__ import annotations

import json
import socket
import socketserver
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self


@dataclass(frozen=True)
class Asked:
    """One request as it came."""

    method: str
    path: str
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes
    connection: int

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


@dataclass(frozen=True)
class Said:
    """An answer; `how` it fails, if it does.

    `cut`: the whole request was read, then the line is cut without an answer. `broken`: the answer breaks off within
    its body. `silent`: nothing is said until the test ends. `refuse`: the line is cut before the body is read.
    """

    status: int = 200
    body: bytes = b"{}"
    headers: Mapping[str, str] | None = None
    how: Literal["whole", "cut", "broken", "silent", "refuse"] = "whole"


def say(status: int, body: object = None, how: Any = "whole", **headers: str) -> Said:
    """An answer with a JSON body; `retry_after="7"` is the header Retry-After."""
    sent = b"" if body is None else json.dumps(body).encode()
    return Said(status, sent, {name.replace("_", "-"): value for name, value in headers.items()}, how)


class Fake:
    """A provider on this machine.

    Args:
        answer: what is said to a request; called once for each that has been read.
    """

    def __init__(self, answer: Callable[[Asked], Said]) -> None:
        self.answer = answer
        self.asked: list[Asked] = []
        self.connections = 0
        self.first: list[Said] = []
        """What is said to the next requests, one each, before `answer` is asked again."""
        self.over = threading.Event()
        self._lock = threading.Lock()
        fake = self

        class Conversation(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                with fake._lock:
                    fake.connections += 1
                    number = fake.connections
                try:
                    while fake._one(self.rfile, self.connection, number):
                        pass
                except (ConnectionError, ValueError):
                    return  # a client that hangs up is no error here

        socketserver.ThreadingTCPServer.allow_reuse_address = True
        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Conversation)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    @property
    def url(self) -> str:
        """For a sender's option `base`."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop listening: who comes from now on is refused."""
        self.over.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _one(self, stream: Any, line: socket.socket, connection: int) -> bool:
        """One request and its answer; whether the line goes on."""
        start = stream.readline()
        if not start.strip():
            return False
        method, path, _ = start.decode("ascii").split(" ", 2)
        headers: dict[str, str] = {}
        while field := stream.readline().strip():
            name, _, value = field.decode("latin-1").partition(":")
            headers[name.lower()] = value.strip()
        with self._lock:
            waiting = self.first.pop(0) if self.first else None
        if waiting is not None and waiting.how == "refuse":
            # Reset rather than closed politely: what the client has still to write must fail.
            line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
            line.close()
            return False
        body = stream.read(int(headers.get("content-length", "0")))
        asked = Asked(method, path, headers, body, connection)
        with self._lock:
            self.asked.append(asked)
        said = waiting or self.answer(asked)
        if said.how == "cut":
            return False
        if said.how == "silent":
            self.over.wait(60)
            return False
        length = len(said.body) + (100 if said.how == "broken" else 0)
        lines = [f"HTTP/1.1 {said.status} Said", f"Content-Length: {length}"]
        lines += [f"{name}: {value}" for name, value in (said.headers or {}).items()]
        line.sendall("\r\n".join([*lines, "", ""]).encode("latin-1") + said.body)
        return said.how == "whole"
