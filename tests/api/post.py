"""A workspace whose provider reports to us, for tests of the webhooks' door."""

from __future__ import annotations

import base64
import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from apiflask import APIFlask
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from app.clock import FixedClock
from app.db import Database
from app.delivery import senders
from app.delivery.models import DeliveryEvent, Sender, UnmatchedReport
from app.events.sources import signature
from app.messages.models import Message
from tests.factories import Factory

_numbers = itertools.count(1)
SECRET = "whsec_" + base64.b64encode(b"a secret of ours").decode()


@dataclass
class Post:
    """A workspace whose provider reports."""

    app: APIFlask
    client: FlaskClient
    db: Database
    workspace_id: int
    clock: FixedClock

    def sender(
        self,
        provider: str,
        name: str = "main",
        keys: Sequence[str] = (),
        basic: Sequence[str] = (),
        networks: Sequence[str] = (),
    ) -> str:
        """The path of a new sender's address."""
        with self.db.work(self.workspace_id) as session:
            made = senders.add(session, provider, name, keys, basic, self.clock.now(), networks=networks)
            return urlsplit(senders.address(self.app.extensions["percorso"].settings, made)).path

    def tell(self, path: str, *events: Mapping[str, Any], id_: str = "msg-1") -> TestResponse:
        """Report in our own words, signed."""
        body = json.dumps({"events": events}).encode()
        at = str(int(self.clock.now().timestamp()))
        made = "v1," + signature(SECRET, id_, at, body)
        headers = {"webhook-id": id_, "webhook-timestamp": at, "webhook-signature": made}
        return self.client.post(path, data=body, headers=headers, content_type="application/json")

    def message(self, **given: Any) -> int:
        """A mail that was accepted."""
        with self.db.work(self.workspace_id) as session:
            make = Factory(session, self.clock)
            fields: dict[str, Any] = {"template": "note", "class_": "transactional", "state": "accepted", "verdict": []}
            fields |= {"channel": "email", "address": "anna@example.com"}
            fields |= dict.fromkeys(("planned_at", "due_at"), self.clock.now())
            name = f"guest-{next(_numbers)}"
            contact = make.contact(external_id=name, email=f"{name}@example.com")
            return make.add(Message, contact_id=contact.id, **{**fields, **given}).id

    def told(self, model: type[DeliveryEvent | UnmatchedReport]) -> list[Any]:
        """What was kept, in order."""
        with self.db.work(self.workspace_id) as session:
            return list(session.scalars(select(model).order_by(model.id)))

    def last(self) -> str | None:
        """What became of the last webhook."""
        with self.db.work(self.workspace_id) as session:
            return session.scalars(select(Sender.last_outcome)).one()
