"""Settings: the providers that mails go out by, in order and with their health, and reports of no mail of ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import abort, request
from sqlalchemy import delete, select
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from app.db import settings_of
from app.delivery import senders
from app.delivery.models import Sender, UnmatchedReport
from app.delivery.providers.readers import READERS
from app.delivery.providers.webhooks import Secrets
from app.delivery.providers.writers import WRITERS
from app.delivery.sender_checks import SMTP, Outward, SenderError
from app.delivery.ways import STREAMS
from app.doors import opened_by
from app.studio import access, pages, way_words
from app.studio.blueprint import HERE, blueprint
from app.studio.languages import gettext
from app.studio.reading import ways as reading

OWNERS = access.role("owner")


@blueprint.get(f"{HERE}/settings/senders/ways")
@opened_by(OWNERS)
def way_form() -> Response:
    """What a provider needs to send for us."""
    return _form(request.args.get("provider", ""))


@blueprint.post(f"{HERE}/settings/senders/ways")
@opened_by(OWNERS)
def way_create() -> Response:
    """Keep a provider as the last way out of the streams that were chosen."""
    provider = request.form.get("provider", "")
    if provider not in way_words.SENDING:
        abort(404)
    given = {name: text.strip() for name, text in request.form.items()}
    streams = request.form.getlist("stream")
    wrong = "" if given.get("name") else gettext("Give it a name, such as main.")
    if not wrong:
        outward = Outward(_named(given, "send-"), _named(given, "option-"), streams)
        proof = _proof(given)
        with pages.unit() as unit:
            try:
                senders.add(
                    unit, provider, given["name"][:60], proof.keys, proof.basic, pages.now(), outward, proof.networks
                )
            except SenderError as error:
                wrong = way_words.wrong(error)
    if wrong:
        return _form(provider, 422, wrong=wrong, given=given, chosen=streams)
    pages.tell(gettext("Saved. Mails go out by it from the next batch on."))
    return pages.gone_to("studio.senders")


def _proof(given: Mapping[str, str]) -> Secrets:
    """What would prove its webhooks, as it was typed; networks stand with commas or blanks between them."""
    keys, basic = ([given[name]] if given.get(name) else [] for name in ("hook-secret", "hook-basic"))
    return Secrets(keys, basic, given.get("hook-networks", "").replace(",", " ").split())


def _named(given: Mapping[str, str], mark: str) -> dict[str, str]:
    """The fields whose names begin so, without that beginning; what was left empty is not there."""
    return {name.removeprefix(mark): text for name, text in given.items() if name.startswith(mark) and text}


def _form(provider: str, status: int = 200, **more: Any) -> Response:
    if provider not in way_words.SENDING:
        abort(404)
    with pages.unit():
        pass
    writer = WRITERS.get(provider)
    context: dict[str, Any] = {"wrong": "", "given": {}, "chosen": STREAMS} | more
    return pages.answer(
        "settings_way.html",
        status,
        provider=provider,
        credentials=writer.credentials if writer else SMTP,
        options=writer.options if writer else {},
        lost=writer.lost if writer else "",
        reader=READERS.get(provider),
        streams=STREAMS,
        told=way_words,
        tab="senders",
        at="settings",
        **context,
    )


@blueprint.get(f"{HERE}/settings/senders/ways/<int:sender_id>")
@opened_by(OWNERS)
def way_secrets(sender_id: int) -> Response:
    """What a sender sends with and what proves its webhooks, to be replaced; what there is is never shown."""
    return _secrets(sender_id)


@blueprint.post(f"{HERE}/settings/senders/ways/<int:sender_id>")
@opened_by(OWNERS)
def way_rotate(sender_id: int) -> Response:
    """Replace what it sends with, or what proves its webhooks: at once, or for good where somebody else knows it."""
    given = {name: text.strip() for name, text in request.form.items()}
    credentials, proof = _named(given, "send-"), _proof(given)
    compromised, of_hooks = given.get("what") == "compromised", given.get("what") in {"hooks", "compromised"}
    wrong = ""
    with pages.unit() as unit:
        one = _sender(unit, sender_id)
        try:
            if of_hooks:
                networks = proof.networks if READERS.get(one.provider) else None
                senders.rotate(unit, one, proof.keys, proof.basic, networks=networks, compromised=compromised)
            else:
                senders.rotate(unit, one, credentials=credentials)
        except SenderError as error:
            wrong = way_words.wrong(error)
    if wrong:
        return _secrets(sender_id, 422, wrong=wrong, wrong_at="hooks" if of_hooks else "send", given=given)
    if not of_hooks:
        pages.tell(gettext("Saved. Mails go out with it from the next batch on."))
    elif not compromised:
        pages.tell(gettext("Saved. What proved its webhooks before holds until the next change."))
    elif proof.keys or proof.basic or proof.networks:
        pages.tell(gettext("What proved its webhooks before is refused from now on. Tell the provider the new one."))
    else:
        pages.tell(gettext("Its webhooks are refused from now on, until something proves them."), tone="wrong")
    return pages.gone_to("studio.way_secrets", sender_id=sender_id)


def _secrets(sender_id: int, status: int = 200, **more: Any) -> Response:
    with pages.unit() as unit:
        one = _sender(unit, sender_id)
        held = senders.proofs(settings_of(unit), one)
        writer, reader = WRITERS.get(one.provider), READERS.get(one.provider)
        sends = (writer.credentials if writer else SMTP) if one.provider in way_words.SENDING else {}
        context: dict[str, Any] = {"wrong": "", "wrong_at": "", "given": {}} | more
        return pages.answer(
            "settings_way_secrets.html",
            status,
            sender=one,
            held=held,
            sends=sends if one.credentials else {},
            reader=reader,
            told=way_words,
            tab="senders",
            at="settings",
            **context,
        )


@blueprint.post(f"{HERE}/settings/senders/ways/<int:sender_id>/<what>")
@opened_by(OWNERS)
def way_act(sender_id: int, what: str) -> Response:
    """Put a way out before the one ahead of it, switch it off or on, or send by it again at once."""
    with pages.unit() as unit:
        one = _sender(unit, sender_id)
        if what == "earlier":
            senders.earlier(unit, one)
            told = gettext("The order is changed.")
        elif what == "switch":
            one.active = not one.active
            told = gettext("Mails go out by it again.") if one.active else gettext("Nothing goes out by it any more.")
        elif what == "resume":
            senders.close_circuit(one)
            told = gettext("The next mails try it again.")
        else:
            abort(404)
    pages.tell(told)
    return pages.gone_to("studio.senders")


def _sender(unit: Session, sender_id: int) -> Sender:
    found = unit.scalar(select(Sender).where(Sender.id == sender_id).with_for_update())
    if found is None:
        abort(404)
    return found


@blueprint.get(f"{HERE}/settings/senders/unmatched")
@opened_by(access.member)
def unmatched() -> Response:
    """What providers reported of mails that are none of this workspace's."""
    with pages.unit() as unit:
        found = reading.unmatched(unit, pages.wanted())
    return pages.answer("settings_unmatched.html", found=found, told=way_words, tab="senders", at="settings")


@blueprint.post(f"{HERE}/settings/senders/unmatched")
@opened_by(OWNERS)
def unmatched_dismiss() -> Response:
    """Throw away one report, or all that were shown up to the newest of them."""
    number = request.form.get("report", "")
    upto = request.form.get("upto", "")
    if not (number or upto).isascii() or not (number or upto).isdigit():
        abort(404)
    chosen = UnmatchedReport.id == int(number) if number else UnmatchedReport.id <= int(upto)
    with pages.unit() as unit:
        unit.execute(delete(UnmatchedReport).where(chosen))
    pages.tell(gettext("Thrown away."))
    return pages.gone_to("studio.unmatched")
