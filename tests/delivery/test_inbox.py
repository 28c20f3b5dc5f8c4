"""What comes back to the inbox is written down once, obeyed, and marked; what is unclear is left for a person."""

from __future__ import annotations

import mailbox
import re
import socketserver
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select

from app.consent import ledger
from app.consent.models import ConsentRecord
from app.delivery import inbox
from app.delivery.inbox import Fetched, InboxError
from app.messages import links
from app.messages.links import Ref
from tests.delivery.conftest import Post
from tests.delivery.test_bounces import block, dsn
from tests.sink import Sink

BOX = "bounces@lago.example"


@pytest.fixture
def box(tmp_path: Path) -> mailbox.Maildir:
    """An empty maildir."""
    return mailbox.Maildir(tmp_path / "box", create=True)


@pytest.fixture
def post(open_post: Callable[..., Post], smtp: Sink, box: mailbox.Maildir) -> Post:
    """A Post whose house reads the maildir."""
    return open_post(smtp.url, inbox=f"maildir:{box._path}")


def sent(post: Post, *emails: str, **given: str) -> list[Ref]:
    ids = post.plan(*emails, **given)
    post.run()
    return [Ref(post.workspace_id, post.contact_of(id_).id, id_) for id_ in ids]


def bounced(post: Post, ref: Ref, *blocks: str) -> bytes:
    """A delivery report to the message's own bounce address."""
    address = links.bounce_address(post.house.settings, ref, BOX)
    return dsn(*blocks).replace(b"bounces+0a1b@lago.example", address.encode())


def asking_to_leave(post: Post, ref: Ref) -> bytes:
    token = links.sign(post.house.settings, "unsubscribe", ref)
    return f"From: anna@example.net\r\nTo: leave@lago.example\r\nSubject: unsubscribe {token}\r\n\r\n".encode()


def flags(box: mailbox.Maildir) -> list[str]:
    return sorted(box.get_message(key).get_flags() for key in box.keys())  # noqa: SIM118 - a mailbox, no dict


def test_a_bounce_is_recorded_on_its_message_and_bars_the_address(post: Post, box: mailbox.Maildir) -> None:
    (ref,) = sent(post, "anna@example.net")
    box.add(bounced(post, ref, block("failed", "5.1.1", "550 5.1.1 no such user")))
    assert inbox.fetch(post.house) == Fetched(reports=1)
    assert [(one.kind, one.reason, one.provider) for one in post.reports(ref.message_id)] == [
        ("bounced", "hard", "inbox")
    ]
    with post.house.database.work(post.workspace_id) as session:
        assert ledger.suppressed(session, {("email", "anna@example.net")})
    assert flags(box) == ["S"]


def test_the_same_letter_twice_is_one_report(post: Post, box: mailbox.Maildir) -> None:
    (ref,) = sent(post, "anna@example.net")
    letter = bounced(post, ref, block("failed", "5.2.2", "mailbox full"))
    box.add(letter)
    box.add(letter)
    assert inbox.fetch(post.house) == Fetched(reports=1, known=1)
    assert inbox.fetch(post.house) == Fetched()
    assert len(post.reports(ref.message_id)) == 1


def test_a_report_to_no_address_of_ours_is_matched_by_the_mail_it_encloses(post: Post, box: mailbox.Maildir) -> None:
    (ref,) = sent(post, "anna@example.net")
    message_id = post.message(ref.message_id).message_id or ""
    box.add(dsn(block("delayed", "4.4.1")).replace(b"<ours@lago.example>", message_id.encode()))
    assert inbox.fetch(post.house) == Fetched(reports=1)
    assert [one.kind for one in post.reports(ref.message_id)] == ["deferred"]


def test_a_mail_to_the_unsubscribe_address_withdraws_and_the_ledger_says_how(post: Post, box: mailbox.Maildir) -> None:
    (ref,) = sent(post, "anna@example.net", template="news", class_="marketing", topic="offers", state="accepted")
    box.add(asking_to_leave(post, ref))
    box.add(asking_to_leave(post, ref))
    assert inbox.fetch(post.house) == Fetched(withdrawals=1, known=1)
    with post.house.database.work(post.workspace_id) as session:
        (line,) = session.scalars(select(ConsentRecord)).all()
    assert (line.contact_id, line.state, line.method) == (ref.contact_id, "withdrawn", "unsubscribe_mail")


def test_what_belongs_to_no_message_is_flagged_and_nothing_else_happens(post: Post, box: mailbox.Maildir) -> None:
    box.add(dsn(block("failed", "5.1.1")))
    box.add(b"From: anna@example.net\r\nSubject: unsubscribe AAAAAAAAAAAAAAAAAAAAAAAA\r\n\r\nplease\r\n")
    box.add(b"From: ugo@example.net\r\nSubject: Ciao\r\n\r\nCiao!\r\n")
    assert inbox.fetch(post.house) == Fetched(flagged=3)
    assert flags(box) == ["FS"] * 3


def test_an_inbox_that_makes_no_sense_is_said(post: Post) -> None:
    with pytest.raises(InboxError, match="without TLS"):
        inbox.fetch(replace(post.house, settings=replace(post.house.settings, inbox="imap://a:b@mail.example/INBOX")))


# -- IMAP -------------------------------------------------------------------------------------------------------------


class _Imap(socketserver.StreamRequestHandler):
    """As much of RFC 3501 as reading unseen mails takes."""

    server: _Server

    def handle(self) -> None:
        self._say("* OK ready")
        for line in self.rfile:
            tag, _, rest = line.decode().strip().partition(" ")
            verb = rest.upper()
            if verb.startswith("LOGIN"):
                ok = rest.split(" ", 1)[1] == 'reader "se cret"'
                self._say(f"{tag} {'OK' if ok else 'NO'} login")
            elif verb.startswith("SELECT"):
                self._say(f"* {len(self.server.mails)} EXISTS", f"{tag} OK selected")
            elif verb.startswith("UID SEARCH"):
                unseen = [str(number) for number, (_, seen) in self.server.mails.items() if not seen]
                self._say("* SEARCH " + " ".join(unseen), f"{tag} OK done")
            elif verb.startswith("UID FETCH"):
                number = int(rest.split()[2])
                raw = self.server.mails[number][0]
                self.wfile.write(f"* 1 FETCH (UID {number} BODY[]<0> {{{len(raw)}}}\r\n".encode() + raw + b")\r\n")
                self._say(f"{tag} OK done")
            elif verb.startswith("UID STORE"):
                number = int(rest.split()[2])
                self.server.mails[number] = (self.server.mails[number][0], re.findall(r"\\\w+", rest))
                self._say(f"{tag} OK done")
            elif verb.startswith("LOGOUT"):
                self._say("* BYE", f"{tag} OK done")
                return
            else:
                self._say("* CAPABILITY IMAP4REV1", f"{tag} OK done")

    def _say(self, *lines: str) -> None:
        self.wfile.write("".join(line + "\r\n" for line in lines).encode())


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    mails: dict[int, tuple[bytes, list[str]]]


@pytest.fixture
def imap() -> Iterator[_Server]:
    """A mail server with one empty folder."""
    with _Server(("127.0.0.1", 0), _Imap) as server:
        server.mails = {}
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_an_imap_folder_is_read_and_marked(post: Post, imap: _Server) -> None:
    (ref,) = sent(post, "anna@example.net")
    imap.mails = {
        7: (bounced(post, ref, block("failed", "5.1.1")), []),
        9: (b"From: ugo@example.net\r\nSubject: Ciao\r\n\r\nCiao!\r\n", []),
    }
    url = f"imap://reader:se%20cret@127.0.0.1:{imap.server_address[1]}/INBOX"
    house = replace(post.house, settings=replace(post.house.settings, inbox=url))
    assert inbox.fetch(house) == Fetched(reports=1, flagged=1)
    assert {number: marks for number, (_, marks) in imap.mails.items()} == {
        7: ["\\Seen"],
        9: ["\\Seen", "\\Flagged"],
    }
    assert inbox.fetch(house) == Fetched()
