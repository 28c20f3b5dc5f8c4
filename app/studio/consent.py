"""Consent: the ledger, line by line, the proof of one person, and the addresses that must not be written to."""

from __future__ import annotations

from datetime import timedelta

from flask import abort, request
from werkzeug.wrappers import Response

from app.consent import ledger as book
from app.consent.ledger import Barred
from app.contacts import accesses
from app.contacts.addresses import normal_email, normal_phone
from app.db import settings_of
from app.doors import house, opened_by
from app.messages import reasons
from app.rights import proof as proofs
from app.rights.walk import NobodyError
from app.studio import access, pages
from app.studio.blueprint import HERE, blueprint
from app.studio.languages import gettext
from app.studio.reading import consent as reading

OFFICERS = ("owner", "privacy_officer")
"""Who answers for the data: they take out proofs and lift suppressions."""
DESK = ("owner", "privacy_officer", "marketer", "front_desk")
"""Who hears from people, and may add an address that must not be written to."""
CHANNELS = ("email", "sms", "whatsapp", "push")
LONGEST_WHY = 300
PERIODS = (30, 90, 365)
"""Days that reasons for leaving are counted over."""


@blueprint.get(f"{HERE}/consent")
@opened_by(access.member)
def ledger() -> Response:
    """The lines, newest first."""
    text = request.args.get("q", "").strip()[:100]
    wanted = {name: request.args.get(name, "") for name in ("state", "purpose", "channel", "method")}
    with pages.unit() as unit:
        found = reading.ledger(unit, pages.wanted(), text=text, **wanted)
        topics = reading.topic_titles(unit)
    return pages.answer(
        "ledger.html",
        found=found,
        text=text,
        wanted=wanted,
        topics=topics,
        channels=CHANNELS,
        tab="ledger",
        at="ledger",
    )


@blueprint.get(f"{HERE}/consent/lines/<int:line>")
@opened_by(access.member)
def ledger_line(line: int) -> Response:
    """One line with its proof, and what relied on it."""
    with pages.unit() as unit:
        found = reading.line(unit, line)
        topics = reading.topic_titles(unit)
        if found is None:
            abort(404)
        relied = reading.relied_on(unit, line, found[1])
        erased = found[1] is not None and found[1].erased_at is not None
        if erased and access.may(*OFFICERS):
            # Proof under restriction (R51): whoever answers for the data may look, and leaves a line.
            someone = access.person()
            accesses.note(unit, found[0].contact_id, "ledger", someone.email if someone else "", pages.now())
    return pages.answer(
        "ledger_line.html",
        restricted=erased and not access.may(*OFFICERS),
        line=found[0],
        contact=found[1],
        topics=topics,
        relied=relied,
        may_prove=access.may(*OFFICERS),
        tab="ledger",
        at="ledger",
    )


@blueprint.post(f"{HERE}/consent/proofs/<int:contact_id>")
@opened_by(access.role(*OFFICERS))
def consent_proof(contact_id: int) -> Response:
    """The signed proof of one person's consents, to keep. A POST, since the access is written down."""
    with pages.unit() as unit:
        try:
            made = proofs.pack(unit, contact_id, pages.now())
        except NobodyError:
            abort(404)
        number = made.document["person"]["contact"]
        someone = access.person()
        accesses.note(unit, number, "proof", someone.email if someone else "", pages.now())
        data = proofs.sealed(settings_of(unit), made)
    name = f"consent-proof-{number}-{pages.now():%Y%m%d}.zip"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return Response(data, mimetype="application/zip", headers=headers)


@blueprint.get(f"{HERE}/consent/reasons")
@opened_by(access.member)
def leaving_reasons() -> Response:
    """Why people left, as they said afterwards: how many gave which reason, and by which mail they left."""
    asked = request.args.get("days", "")
    days = int(asked) if asked in {str(one) for one in PERIODS} else PERIODS[1]
    with pages.unit() as unit:
        told = reasons.counted(unit, pages.now() - timedelta(days=days))
    return pages.answer("leaving_reasons.html", told=told, days=days, periods=PERIODS, tab="reasons", at="ledger")


@blueprint.get(f"{HERE}/consent/suppressions")
@opened_by(access.member)
def suppressions() -> Response:
    """Addresses that must not be written to."""
    return _suppressions()


def _suppressions(
    status: int = 200, given: dict[str, str] | None = None, errors: dict[str, str] | None = None
) -> Response:
    reason, sought = request.args.get("reason", ""), request.args.get("q", "").strip()[:254]
    live = request.args.get("live", "") == "1"
    places = (_places(sought) or [("email", sought)]) if sought else []
    hashes = [one for place in places for one in book.suppression_hashes(house().settings, *place)]
    with pages.unit() as unit:
        found = reading.suppressions(unit, pages.wanted(), reason=reason, hashes=hashes, live=live)
    return pages.answer(
        "suppressions.html",
        status,
        found=found,
        reason=reason,
        sought=sought,
        live=live,
        given=given or {},
        errors=errors or {},
        liftable=book.LIFTABLE,
        may_add=access.may(*DESK),
        may_lift=access.may(*OFFICERS),
        tab="suppressions",
        at="ledger",
    )


@blueprint.post(f"{HERE}/consent/suppressions")
@opened_by(access.role(*DESK))
def suppression_add() -> Response:
    """Add an address by hand, with the reason; it works from the next message on."""
    given = {name: request.form.get(name, "").strip() for name in ("address", "scope", "why")}
    places = _places(given["address"])
    errors = {}
    if not places:
        errors["address"] = gettext("Write a mail address, or a telephone number with its country code.")
    if given["scope"] not in {"all", "marketing"}:
        errors["scope"] = gettext("Choose what it stops.")
    if not 3 <= len(given["why"]) <= LONGEST_WHY:
        errors["why"] = gettext("Say why, in a few words: it is kept with the address.")
    if errors:
        return _suppressions(422, given, errors)
    someone = access.person()
    detail = {"why": given["why"], "by": someone.email if someone else ""}
    with pages.unit() as unit:
        barred = [Barred(*place, "manual", given["scope"], detail) for place in places]
        fresh = book.suppress(unit, barred, pages.now())
    pages.tell(gettext("Nothing goes there any more.") if fresh else gettext("It was there already."))
    return pages.gone_to("studio.suppressions")


@blueprint.post(f"{HERE}/consent/suppressions/<int:number>/lift")
@opened_by(access.role(*OFFICERS))
def suppression_lift(number: int) -> Response:
    """Lift what the team may lift, with the reason (R37): a dead address that lives again, an entry made by hand."""
    why = request.form.get("why", "").strip()[:LONGEST_WHY]
    if len(why) < 3:
        return _suppressions(422, {}, {f"why-{number}": gettext("Say why, in a few words: it is kept.")})
    someone = access.person()
    with pages.unit() as unit:
        if not book.lift_one(unit, number, f"{why} ({someone.email if someone else ''})", pages.now()):
            abort(403, gettext("Only the person can lift this, by a fresh confirmation from the mailbox."))
    pages.tell(gettext("It may be written to again, as far as the ledger allows."))
    return pages.gone_to("studio.suppressions")


def _places(text: str) -> list[tuple[str, str]]:
    """(channel, address in its one form) of each channel that reaches it; none: it is no address."""
    if "@" in text:
        email = normal_email(text)
        return [("email", email.key)] if email else []
    phone = normal_phone(text, None)
    return [(channel, phone) for channel in ("sms", "whatsapp")] if phone else []
