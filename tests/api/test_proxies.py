"""Who asks, behind proxies: believed of our own alone, and of nobody else."""

from __future__ import annotations

from dataclasses import replace

import pytest
from flask import request

from app.clock import FixedClock
from app.config import Settings
from app.db import Database
from app.doors import opened_by
from app.web import create_app

PROXY = "10.1.2.3"


@pytest.mark.parametrize(
    ("proxies", "peer", "said", "asks"),
    [
        ((), PROXY, "192.0.2.1", PROXY),
        (("10.0.0.0/8",), PROXY, "192.0.2.1", "192.0.2.1"),
        (("10.0.0.0/8",), PROXY, "192.0.2.66, 192.0.2.1", "192.0.2.1"),
        (("10.0.0.0/8",), PROXY, "192.0.2.66, 192.0.2.1, 10.9.9.9", "192.0.2.1"),
        (("10.0.0.0/8",), "192.0.2.7", "192.0.2.1", "192.0.2.7"),
        (("10.1.2.3",), PROXY, "2001:DB8::1", "2001:db8::1"),
        (("10.1.2.3",), PROXY, "somebody", PROXY),
        (("10.1.2.3",), PROXY, "", PROXY),
    ],
)
def test_the_address_that_our_own_proxy_saw_is_who_asks(
    settings: Settings, db: Database, clock: FixedClock, proxies: tuple[str, ...], peer: str, said: str, asks: str
) -> None:
    app = create_app(replace(settings, proxies=proxies), clock=clock, database=db)

    @app.get("/who")
    @opened_by(lambda: None)
    def who() -> str:
        return str(request.remote_addr)

    headers = {"X-Forwarded-For": said} if said else {}
    assert app.test_client().get("/who", headers=headers, environ_base={"REMOTE_ADDR": peer}).text == asks
