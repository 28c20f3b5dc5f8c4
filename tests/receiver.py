"""Another house that calls out reach: over a real socket on this machine."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Answering:
    """Another house: what it was told, and what it answers."""

    url: str = ""
    status: int = 204
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    took: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    before: Callable[[], None] = lambda: None


@contextmanager
def listening(answering: Answering) -> Iterator[Answering]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            answering.before()
            body = self.rfile.read(int(self.headers["content-length"]))
            answering.took.append(({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(answering.status)
            for name, value in answering.headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(answering.body)))
            self.end_headers()
            self.wfile.write(answering.body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    answering.url = f"http://127.0.0.1:{server.server_port}/hook"
    yield answering
    server.shutdown()
    thread.join(5)
    server.server_close()
