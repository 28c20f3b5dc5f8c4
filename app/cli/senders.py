"""`flask delivery senders ...`: the providers that mails go out by and that report what became of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import click
from flask.cli import AppGroup
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.cli.places import in_workspace, the_workspace, workspaces
from app.contacts.models import Property
from app.delivery import proof, senders
from app.delivery.circuit import Standing
from app.delivery.proof import Proof
from app.delivery.providers import Accepted
from app.delivery.providers.readers import READERS
from app.delivery.sender_checks import Outward, SenderError, providers
from app.delivery.ways import STREAMS
from app.doors import house

group = AppGroup("senders", help="Providers: ways out, and where their webhooks come in.")

_send = click.option("--send", "sends", multiple=True, metavar="NAME=VALUE", help="What it sends with. Repeatable.")
_secret = click.option("--secret", "keys", multiple=True, help="What the provider signs webhooks with. Repeatable.")
_network = click.option("--network", "networks", multiple=True, help="Where its webhooks come from. Repeatable.")
_basic = click.option("--basic", multiple=True, help="user:password, as put into the webhook's URL. Repeatable.")


@group.command("add")
@click.argument("provider", type=click.Choice(providers()))
@click.argument("name")
@_send
@click.option("--option", "options", multiple=True, metavar="NAME=VALUE", help="Region, domain ... Repeatable.")
@click.option("--stream", "streams", multiple=True, type=click.Choice(STREAMS), help="What goes out by it; else both.")
@_secret
@_basic
@_network
@in_workspace
def add(
    provider: str,
    name: str,
    sends: tuple[str, ...],
    options: tuple[str, ...],
    streams: tuple[str, ...],
    keys: tuple[str, ...],
    basic: tuple[str, ...],
    networks: tuple[str, ...],
    slug: str | None,
) -> None:
    """Make a sender NAME of PROVIDER, the last of its streams, and print the URL for the provider's webhooks.

    With --send it sends; docs/senders.md says what each provider needs. Without it the provider only reports.
    """
    parts = house()
    _, workspace_id = the_workspace(slug)
    outward = Outward(_pairs(sends), _pairs(options), streams or STREAMS) if sends else None
    try:
        with parts.database.work(workspace_id) as session:
            made = senders.add(session, provider, name, keys, basic, parts.clock.now(), outward, networks)
            if keys or basic or networks:
                click.echo(senders.address(parts.settings, made))
    except SenderError as error:
        raise click.ClickException(str(error)) from None
    if basic:
        click.echo("Put user and password into it as https://user:password@..., as given with --basic.", err=True)
    if outward and not (keys or basic or networks) and provider in READERS:
        click.echo(
            "Its webhooks are refused: nothing proves them. `rotate` with --secret, --basic or --network adds that.",
            err=True,
        )


@group.command("list")
@in_workspace
def list_(slug: str | None) -> None:
    """Show every sender in the order in which they are tried, its health, its URL and its last webhook."""
    parts = house()
    now = parts.clock.now()
    for workspace, workspace_id in workspaces(slug):
        with parts.database.work(workspace_id) as session:
            for one in senders.listed(session):
                out = ", ".join(one.streams) if one.credentials and one.streams else "sends nothing"
                state = Standing(one.failures, one.open_until).state(now) if one.active else "off"
                last = f"{one.last_at:%Y-%m-%d %H:%M} {one.last_outcome}" if one.last_at else "nothing came yet"
                address = senders.address(parts.settings, one) if one.provider in READERS else "-"
                click.echo(f"{workspace}  {one.name:<20} {one.provider:<12} {out}; {state}  {address}  {last}")


@group.command("rotate")
@click.argument("name")
@_send
@_secret
@_basic
@_network
@click.option("--compromised", is_flag=True, help="Somebody else knows what proved its webhooks: refuse it at once.")
@in_workspace
def rotate(
    name: str,
    sends: tuple[str, ...],
    keys: tuple[str, ...],
    basic: tuple[str, ...],
    networks: tuple[str, ...],
    compromised: bool,
    slug: str | None,
) -> None:
    """Change what a sender sends with, or what proves its webhooks; of secrets the one before stays valid.

    Networks replace those there were. With --compromised nothing of before is valid any more; without a new one all of
    its webhooks are refused.
    """
    if not (sends or keys or basic or networks or compromised):
        raise click.UsageError("Give --send, --secret, --basic, --network or --compromised.")
    with _changing(slug) as session:
        senders.rotate(
            session,
            senders.named(session, name),
            keys,
            basic,
            _pairs(sends) if sends else None,
            networks=networks or None,
            compromised=compromised,
        )


@group.command("order")
@click.argument("stream", type=click.Choice(STREAMS))
@click.argument("names", nargs=-1)
@in_workspace
def order(stream: str, names: tuple[str, ...], slug: str | None) -> None:
    """Have STREAM go out by the senders NAMES, tried in this order. None: by SMTP_URL."""
    with _changing(slug) as session:
        senders.order(session, stream, names)


@group.command("resume")
@click.argument("name")
@in_workspace
def resume(name: str, slug: str | None) -> None:
    """Send by NAME again at once, whatever went wrong before."""
    with _changing(slug) as session:
        senders.close_circuit(senders.named(session, name))


@group.command("test")
@click.argument("name")
@click.argument("address")
@in_workspace
def test(name: str, address: str, slug: str | None) -> None:
    """Send a marked trial mail to ADDRESS by the sender NAME, and say what it answered. It is counted nowhere."""
    parts = house()
    _, workspace_id = the_workspace(slug)
    with parts.database.work(workspace_id) as session:
        place = session.scalars(select(Property).where(Property.is_default)).first()
        if place is None or not place.sender_email:
            raise click.ClickException("No property says who the mail is from.")
        words = f"A trial mail by the sender {name}."
        trial = Proof(address, "en", words, f"<p>{words}</p>", words, place.sender_name or "", place.sender_email)
    try:
        outcome = proof.send(parts, workspace_id, trial, by=name)
    except (LookupError, ValueError) as error:
        raise click.ClickException(str(error)) from None
    kind = type(outcome).__name__.lower()
    if not isinstance(outcome, Accepted):
        raise click.ClickException(f"{kind}: {outcome.text}")
    click.echo(f"{kind}{': ' + outcome.provider_id if outcome.provider_id else ''}")


def _pairs(given: Sequence[str]) -> dict[str, str]:
    pairs = {}
    for one in given:
        name, found, value = one.partition("=")
        if not found:
            raise click.UsageError(f"{name}: it is written NAME=VALUE.")
        pairs[name] = value
    return pairs


@contextmanager
def _changing(slug: str | None) -> Iterator[Session]:
    """A unit of work on one workspace's senders; what is wrong ends the command with its sentence."""
    _, workspace_id = the_workspace(slug)
    try:
        with house().database.work(workspace_id) as session:
            yield session
    except SenderError as error:
        raise click.ClickException(str(error)) from None
