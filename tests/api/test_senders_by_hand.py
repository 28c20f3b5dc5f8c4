"""`flask delivery senders`: ways out and where their webhooks come in, made and changed on the command line."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import urlsplit

from app import cli
from app.contacts.models import Property
from app.delivery import senders
from tests.api.post import SECRET, Post
from tests.factories import Factory


def test_senders_are_ordered_rotated_and_tried_on_the_command_line(post: Post) -> None:
    cli.register(post.app)

    def run(*given: str, fails: bool = False) -> str:
        done = post.app.test_cli_runner().invoke(args=["delivery", "senders", *given])
        assert (done.exit_code != 0) is fails, done.output
        return done.output

    run("add", "mailgun", "first", "--send", "key=k-1", "--option", "region=eu", "--secret", "s-1")
    run("add", "smtp", "spare", "--send", "url=smtp://127.0.0.1:9", "--stream", "service")
    assert "mailgun knows no planet" in run(
        "add", "mailgun", "x", "--send", "key=k", "--option", "planet=mars", fails=True
    )
    assert "it is written NAME=VALUE" in run("add", "mailgun", "x", "--send", "key", fails=True)
    run("order", "service", "spare", "first")
    listed = run("list").splitlines()
    assert [line.split()[1] for line in listed] == ["spare", "first"]
    assert "marketing, service; closed" in listed[1]
    run("order", "marketing")
    assert "  service; closed" in run("list").splitlines()[1].replace("mailgun     ", "  ")
    run("rotate", "first", "--send", "key=k-2", "--secret", "s-2")
    with post.db.work(post.workspace_id) as session:
        assert len(senders.named(session, "first").secrets["keys"]) == 2
        assert {way.name: way.access.credentials for way in senders.ways(session) if way.access}["first"] == {
            "key": "k-2"
        }
        senders.named(session, "first").open_until = post.clock.now() + timedelta(minutes=1)
    assert "; open" in run("list")
    run("resume", "first")
    assert "; open" not in run("list")
    assert "There is no sender 'nobody'." in run("resume", "nobody", fails=True)
    assert "No property says who the mail is from." in run("test", "spare", "team@example.com", fails=True)
    with post.db.work(post.workspace_id) as session:
        Factory(session, post.clock).add(
            Property, code="lago", name="Hotel", zone="Europe/Rome", language="it", sender_name="Hotel",
            sender_email="ciao@lago.example", is_default=True,
        )  # fmt: skip
    assert "transient: no connection to 127.0.0.1:9" in run("test", "spare", "team@example.com", fails=True)
    done = post.app.test_cli_runner().invoke(args=["secrets", "reseal"])
    assert done.output.endswith(" sealed anew, 0 lost\n")


def test_a_sender_is_made_and_listed_on_the_command_line(post: Post) -> None:
    cli.register(post.app)

    def run(*given: str) -> tuple[int, str]:
        done = post.app.test_cli_runner().invoke(args=["delivery", "senders", *given])
        return done.exit_code, done.output

    code, told = run("add", "generic", "main", "--secret", SECRET)
    assert code == 0
    path = urlsplit(told.strip()).path
    assert path.startswith("/api/v1/provider-webhooks/generic/")
    assert "nothing came yet" in run("list")[1]
    assert post.tell(path).status_code == 200
    assert "2026-03-10 09:00 taken" in run("list")[1]
    assert SECRET not in run("list")[1]
    for wrong, why in (
        (("generic", "main", "--secret", SECRET), "There is a sender 'main' already."),
        (("mailgun", "other"), "mailgun needs --secret: the HTTP webhook signing key."),
        (("postmark", "other", "--secret", "x"), "postmark signs nothing: give --basic user:password."),
        (("sendgrid", "other"), "Nothing would prove its webhooks"),
        (("postmark", "other", "--basic", "user"), "user and password are written user:password"),
    ):
        code, told = run("add", *wrong)
        assert code == 1
        assert why in told
