"""A name server of the tests' own, over a real socket: zones are a dictionary, trouble is a word in it."""

from __future__ import annotations

import socketserver
import threading
from typing import Any, Self

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

SILENT, BROKEN = "silent", "broken"
"""A name that is never answered, and one for which the server fails (SERVFAIL)."""

Zone = dict[tuple[str, str], list[str] | str]
"""(name, type) → records as they stand in a zone file, or a trouble. A name without records of a type has none;
a name that stands nowhere does not exist (NXDOMAIN)."""


class Names:
    """Answers UDP on a port of 127.0.0.1 from `zone`, which a test may change meanwhile."""

    def __init__(self, zone: Zone) -> None:
        self.zone = zone
        self.asked: list[tuple[str, str]] = []
        names = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                data, socket = self.request
                answer = names.answer(dns.message.from_wire(data))
                if answer is not None:
                    socket.sendto(answer.to_wire(), self.client_address)

        self._server = socketserver.ThreadingUDPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    @property
    def server(self) -> str:
        """As the setting has it."""
        return f"127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answer(self, query: dns.message.Message) -> dns.message.Message | None:
        """The reply; None: silence."""
        question = query.question[0]
        name = question.name.to_text().rstrip(".").lower()
        kind = dns.rdatatype.to_text(question.rdtype)
        self.asked.append((name, kind))
        reply: Any = dns.message.make_response(query)
        reply.flags |= dns.flags.RA
        for _ in range(5):
            found = self.zone.get((name, kind))
            if found == SILENT:
                return None
            if found == BROKEN:
                reply.set_rcode(dns.rcode.SERVFAIL)
                return reply  # type: ignore[no-any-return]
            if isinstance(found, list):
                reply.answer.append(dns.rrset.from_text(name + ".", 60, dns.rdataclass.IN, kind, *found))
                return reply  # type: ignore[no-any-return]
            alias = self.zone.get((name, "CNAME"))
            if not isinstance(alias, list):
                break
            reply.answer.append(dns.rrset.from_text(name + ".", 60, dns.rdataclass.IN, "CNAME", *alias))
            name = alias[0].rstrip(".")
        if not any(there == name for there, _ in self.zone):
            reply.set_rcode(dns.rcode.NXDOMAIN)
        return reply  # type: ignore[no-any-return]
