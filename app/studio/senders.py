"""Settings, Senders: who mails come from, their domains and what DNS says of them, paces, warm-ups, test addresses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import abort, g, request, url_for
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from app.delivery import backlog, domains, identities, keys, warm_ups
from app.delivery.domains import DomainError
from app.delivery.identities import Given, IdentityError
from app.delivery.keys import KeyExistsError
from app.delivery.mime import HeaderError
from app.delivery.models import DkimKey, SenderDomain, SenderIdentity, TrialAddress, WarmUp
from app.delivery.paces import Paces
from app.delivery.providers import Accepted
from app.doors import house, opened_by
from app.messages import warming
from app.studio import access, pages, sender_words
from app.studio.blueprint import HERE, blueprint
from app.studio.languages import LANGUAGES, gettext, language
from app.studio.reading import senders as reading
from app.studio.reading.ways import ways_out

OWNERS = access.role("owner")


def _me() -> str:
    someone = access.person()
    return someone.email if someone else ""


@blueprint.get(f"{HERE}/settings/senders")
@opened_by(access.member)
def senders() -> Response:
    """Identities, domains, ways out, test addresses."""
    return _page()


def _page(status: int = 200, **more: Any) -> Response:
    with pages.unit() as unit:
        shown = reading.listed(unit)
        ways = ways_out(unit, pages.now())
    context: dict[str, Any] = {"given": {}, "errors": {}, "at_form": ""} | more
    return pages.answer(
        "settings_senders.html",
        status,
        shown=shown,
        ways=ways,
        tongues=LANGUAGES,
        told=sender_words,
        tab="senders",
        at="settings",
        **context,
    )


@blueprint.get(f"{HERE}/settings/senders/domains/<int:domain_id>")
@opened_by(access.member)
def sender_domain(domain_id: int) -> Response:
    """One domain: every check with the record to put in, its keys, its warm-up."""
    return _domain_page(domain_id)


def _domain_page(domain_id: int, status: int = 200, **more: Any) -> Response:
    with pages.unit() as unit:
        shown = reading.domain(unit, _domain(unit, domain_id), pages.now())
    context: dict[str, Any] = {"given": {}, "errors": {}} | more
    return pages.answer(
        "settings_domain.html", status, shown=shown, told=sender_words, tab="senders", at="settings", **context
    )


@blueprint.get(f"{HERE}/settings/senders/backlog")
@opened_by(access.member)
def sender_backlog() -> Response:
    """What waits, by mailbox provider, and how fast each is written to."""
    return _backlog_page()


def _backlog_page(status: int = 200, **more: Any) -> Response:
    with pages.unit() as unit:
        waiting = backlog.read(unit, _paces(), pages.now())
    context: dict[str, Any] = {"given": {}, "errors": {}} | more
    return pages.answer(
        "settings_backlog.html", status, waiting=waiting, told=sender_words, tab="senders", at="settings", **context
    )


def _paces() -> Paces:
    return Paces(house().redis, access.here().workspace_id)


# -- identities ------------------------------------------------------------------------------------------------------


@blueprint.post(f"{HERE}/settings/senders")
@opened_by(OWNERS)
def identity_save() -> Response:
    """Make an identity, or change the one named; a new address is asked by mail whether it is one's own."""
    form, number = request.form, request.form.get("identity", "")
    chosen = form.get("property", "")
    given = Given(
        form.get("name", ""),
        form.get("email", ""),
        form.get("stream", ""),
        form.get("reply_to", ""),
        int(chosen) if chosen.isdecimal() else None,
        {tongue: form.get(f"names.{tongue}", "") for tongue in LANGUAGES},
    )
    with pages.unit() as unit:
        before = _identity(unit, int(number)) if number.isdecimal() else None
        if given.property_id is not None and given.property_id not in {one.id for one in g.properties}:
            abort(404)
        try:
            kept = identities.save(unit, given, pages.now(), before)
        except IdentityError as error:
            wrong = {name: _wrong(code) for name, code in error.errors.items()}
            return _page(422, given=form, errors=wrong, at_form=f"identity-{number or 'new'}")
    if kept.verified_at is None:
        _ask(kept)
    else:
        pages.tell(gettext("%(email)s is kept. Mails composed from now on use it.", email=kept.email))
    return pages.gone_to("studio.senders")


def _wrong(code: str) -> str:
    return {
        "needed": gettext("This is needed."),
        "no_address": gettext("This is no mail address. It should look like name@example.com."),
        "stream": gettext("Choose one of the list."),
        "twice": gettext("This address is there already."),
        "too_soon": gettext("A mail with the link went out a moment ago. Wait ten minutes before the next."),
    }[code]


def _ask(row: SenderIdentity | TrialAddress) -> None:
    """Send the mail with the link, and say so."""
    try:
        outcome = identities.ask(house(), access.here().workspace_id, row, language())
    except IdentityError as error:
        pages.tell(_wrong(error.errors["email"]), tone="wrong")
        return
    except HeaderError as error:
        pages.tell(gettext("The mail with the link could not be made: %(why)s", why=str(error)), tone="wrong")
        return
    if isinstance(outcome, Accepted):
        text = gettext("A mail with a link is on its way to %(email)s. The address is used once it is confirmed.",
                       email=row.email)  # fmt: skip
        if pages.captures():
            text = gettext("The mail with the link to %(email)s is in the outbox. The address is used once it is"
                           " confirmed.", email=row.email)  # fmt: skip
        pages.tell(text)
    else:
        pages.tell(gettext("The provider did not take the mail with the link: %(why)s", why=outcome.text), tone="wrong")


def _identity(unit: Session, number: int) -> SenderIdentity:
    found = unit.scalar(select(SenderIdentity).where(SenderIdentity.id == number))
    if found is None:
        abort(404)
    return found


@blueprint.post(f"{HERE}/settings/senders/identities/<int:number>/<what>")
@opened_by(OWNERS)
def identity_act(number: int, what: str) -> Response:
    """Ask again, move up, put aside or take back."""
    if what not in {"ask", "up", "switch"}:
        abort(404)
    with pages.unit() as unit:
        found = _identity(unit, number)
        if what == "up":
            identities.rise(unit, found)
        elif what == "switch":
            found.active, found.updated_at = not found.active, pages.now()
            if found.active:
                pages.tell(gettext("%(email)s is used again.", email=found.email))
            else:
                back = url_for("studio.identity_act", number=number, what="switch")
                pages.tell(gettext("%(email)s is put aside.", email=found.email), undo=back)
    if what == "ask":
        _ask(found)
    return pages.gone_to("studio.senders")


# -- domains ---------------------------------------------------------------------------------------------------------


def _domain(unit: Session, domain_id: int) -> SenderDomain:
    found = unit.scalar(select(SenderDomain).where(SenderDomain.id == domain_id))
    if found is None:
        abort(404)
    return found


@blueprint.post(f"{HERE}/settings/senders/domains")
@opened_by(OWNERS)
def domain_add() -> Response:
    """Register a domain; its first key is made with it."""
    typed = request.form.get("domain", "")
    with pages.unit() as unit:
        try:
            made = domains.add(unit, typed, pages.now())
        except DomainError as error:
            said = (
                gettext("This domain is there already.")
                if error.code == "known"
                else gettext("This is no domain. It should look like news.hotel-lago.it.")
            )
            return _page(422, given=request.form, errors={"domain": said}, at_form="domain")
    pages.tell(gettext("%(domain)s is there. Put the records below into its DNS, then check.", domain=made.name))
    return pages.gone_to("studio.sender_domain", domain_id=made.id)


@blueprint.post(f"{HERE}/settings/senders/domains/<int:domain_id>/check")
@opened_by(access.role("owner", "marketer"))
def domain_check(domain_id: int) -> Response:
    """Ask DNS now."""
    with pages.unit() as unit:
        _domain(unit, domain_id)
    looked = domains.check(house(), access.here().workspace_id, domain_id)
    if looked is None:
        abort(404)
    if any(one.verdict == "unknown" for one in looked.results.values()):
        pages.tell(gettext("Some name servers did not answer. What was known before stays."), tone="wrong")
    elif looked.passing:
        pages.tell(gettext("%(domain)s passes.", domain=looked.name))
    else:
        pages.tell(
            gettext("%(domain)s does not pass yet. What to put in stands below.", domain=looked.name), tone="wrong"
        )
    return pages.gone_to("studio.sender_domain", domain_id=domain_id)


@blueprint.post(f"{HERE}/settings/senders/domains/<int:domain_id>/way-out")
@opened_by(OWNERS)
def domain_way_out(domain_id: int) -> Response:
    """Say by which way mails leave, as SPF names it."""
    typed = request.form.get("spf", "")
    try:
        with pages.unit() as unit:
            domains.set_way_out(_domain(unit, domain_id), typed, request.form.get("selectors", ""), pages.now())
    except ValueError:
        said = gettext("Write what your provider asks for, such as include:spf.example.net, or an address.")
        return _domain_page(domain_id, 422, given=request.form, errors={"spf": said})
    return domain_check(domain_id)


@blueprint.post(f"{HERE}/settings/senders/domains/<int:domain_id>/marketing")
@opened_by(OWNERS)
def domain_marketing(domain_id: int) -> Response:
    """Let marketing come from it, or no more; where its checks do not pass only with a reason."""
    with pages.unit() as unit:
        domain = _domain(unit, domain_id)
        if request.form.get("use") == "no":
            domains.withhold(domain)
            pages.tell(gettext("No marketing comes from %(domain)s any more.", domain=domain.name))
        else:
            try:
                domains.activate(unit, domain, _me(), pages.now(), request.form.get("insist", ""))
            except DomainError:
                said = gettext("Its checks do not pass. Say why it may be used all the same.")
                return _domain_page(domain_id, 422, given=request.form, errors={"insist": said})
            pages.tell(gettext("Marketing may come from %(domain)s.", domain=domain.name))
    return pages.gone_to("studio.sender_domain", domain_id=domain_id)


@blueprint.post(f"{HERE}/settings/senders/domains/<int:domain_id>/remove")
@opened_by(OWNERS)
def domain_remove(domain_id: int) -> Response:
    """Take away a domain that nothing comes from; its keys go with it."""
    with pages.unit() as unit:
        domain = _domain(unit, domain_id)
        removed = domains.remove(unit, domain)
        name = domain.name
    if not removed:
        pages.tell(gettext("Mails come from %(domain)s: it stays.", domain=name), tone="wrong")
        return pages.gone_to("studio.sender_domain", domain_id=domain_id)
    pages.tell(gettext("%(domain)s is taken away, and its keys with it.", domain=name))
    return pages.gone_to("studio.senders")


@blueprint.post(f"{HERE}/settings/senders/domains/<int:domain_id>/keys")
@opened_by(OWNERS)
def domain_key(domain_id: int) -> Response:
    """Make a new key; it takes over once its record is seen."""
    algorithm = request.form.get("algorithm", "rsa-sha256")
    if algorithm not in keys.ALGORITHMS:
        abort(404)
    with pages.unit() as unit:
        try:
            made = keys.make(unit, _domain(unit, domain_id), pages.now(), algorithm)
            pages.tell(gettext("The key %(name)s is made. Put its record into DNS; it signs once it is seen there.",
                               name=made.selector))  # fmt: skip
        except KeyExistsError:
            pages.tell(gettext("A new key waits already. Put its record into DNS first."), tone="wrong")
    return pages.gone_to("studio.sender_domain", domain_id=domain_id)


@blueprint.post(f"{HERE}/settings/senders/domains/<int:domain_id>/keys/<int:key_id>/compromised")
@opened_by(OWNERS)
def domain_key_compromised(domain_id: int, key_id: int) -> Response:
    """Have a key that somebody else has sign nothing more, and make the one that takes over."""
    with pages.unit() as unit:
        domain = _domain(unit, domain_id)
        key = unit.scalar(select(DkimKey).where(DkimKey.id == key_id, DkimKey.domain_id == domain_id).with_for_update())
        if key is None or key.phase == "withdrawn":
            abort(404)
        made = keys.compromised(unit, domain, key, pages.now())
        pages.tell(gettext("%(old)s signs nothing any more. Take its record out of DNS at once, and put in that of"
                           " %(new)s.", old=key.selector, new=made.selector), tone="wrong")  # fmt: skip
    return pages.gone_to("studio.sender_domain", domain_id=domain_id)


# -- warm-up ---------------------------------------------------------------------------------------------------------


@blueprint.post(f"{HERE}/settings/senders/domains/<int:domain_id>/warm-up")
@opened_by(OWNERS)
def warm_up_begin(domain_id: int) -> Response:
    """Begin a warm-up today."""
    form = request.form
    try:
        start, growth, target = (int(form.get(name, "")) for name in ("start", "growth", "target"))
        plan = warming.plan(start, 1 + growth / 100, target)
    except ValueError:
        said = gettext("Write whole numbers: 1 or more on the first day, a growth, and an end above the first day.")
        return _domain_page(domain_id, 422, given=form, errors={"start": said})
    with pages.unit() as unit:
        spoken = pages.spoken_property()
        zone = spoken.zone if spoken else "UTC"
        service = form.get("service") == "1"
        warm_ups.begin(unit, _domain(unit, domain_id), zone, _me(), pages.now(), plan, service=service)
    pages.tell(gettext("The warm-up has begun: %(count)s mails today.", count=plan[0]))
    return pages.gone_to("studio.sender_domain", domain_id=domain_id)


@blueprint.post(f"{HERE}/settings/senders/domains/<int:domain_id>/warm-up/<what>")
@opened_by(OWNERS)
def warm_up_act(domain_id: int, what: str) -> Response:
    """Pause, resume, skip a day, begin anew, end."""
    acts: dict[str, Callable[[Session, WarmUp, Any], None]] = {
        "pause": lambda _unit, row, now: warm_ups.pause(row, now),
        "resume": lambda _unit, row, now: warm_ups.resume(row, now),
        "skip": warm_ups.skip,
        "reset": warm_ups.reset,
        "end": warm_ups.end,
    }
    if what not in acts:
        abort(404)
    with pages.unit() as unit:
        row = warm_ups.running(unit, _domain(unit, domain_id).id)
        if row is None:
            abort(404)
        acts[what](unit, row, pages.now())
    pages.tell(
        {
            "pause": gettext("The warm-up stays at today's number until you resume it."),
            "resume": gettext("The warm-up goes on."),
            "skip": gettext("One day of the plan is skipped."),
            "reset": gettext("The warm-up begins anew today."),
            "end": gettext("The warm-up is over; nothing is held back any more."),
        }[what]
    )
    return pages.gone_to("studio.sender_domain", domain_id=domain_id)


# -- paces -----------------------------------------------------------------------------------------------------------


@blueprint.post(f"{HERE}/settings/senders/backlog")
@opened_by(OWNERS)
def pace_set() -> Response:
    """Give a mailbox provider or domain a pace, or go back to ours."""
    form = request.form
    with pages.unit() as unit:
        if form.get("what") == "forget":
            backlog.forget_pace(unit, form.get("provider", ""))
            pages.tell(gettext("Our own pace holds again."))
            return pages.gone_to("studio.sender_backlog")
        try:
            minute, hour = (int(form.get(name) or 0) for name in ("minute", "hour"))
            name = backlog.set_pace(unit, form.get("provider", ""), minute, hour)
        except ValueError:
            said = gettext("Write a mailbox domain such as gmail.com, and whole numbers.")
            return _backlog_page(422, given=form, errors={"provider": said})
    pages.tell(gettext("%(provider)s has its own pace now.", provider=name))
    return pages.gone_to("studio.sender_backlog")


@blueprint.post(f"{HERE}/settings/senders/backlog/quicken")
@opened_by(OWNERS)
def pace_quicken() -> Response:
    """Write to a provider at its full pace again."""
    name = request.form.get("provider", "")
    _paces().quicken(name)
    pages.tell(gettext("%(provider)s is written to at its full pace again.", provider=name))
    return pages.gone_to("studio.sender_backlog")


# -- test addresses --------------------------------------------------------------------------------------------------


@blueprint.post(f"{HERE}/settings/senders/test-addresses")
@opened_by(OWNERS)
def trial_add() -> Response:
    """Add an address for test mails; it is asked by mail."""
    with pages.unit() as unit:
        try:
            made = identities.add_trial(unit, request.form.get("trial", ""), _me(), pages.now())
        except IdentityError as error:
            return _page(422, given=request.form, errors={"trial": _wrong(error.errors["email"])}, at_form="trial")
    _ask(made)
    return pages.gone_to("studio.senders")


@blueprint.post(f"{HERE}/settings/senders/test-addresses/<int:number>/<what>")
@opened_by(OWNERS)
def trial_act(number: int, what: str) -> Response:
    """Ask again, or take it away."""
    if what not in {"ask", "remove"}:
        abort(404)
    with pages.unit() as unit:
        found = unit.scalar(select(TrialAddress).where(TrialAddress.id == number))
        if found is None:
            abort(404)
        if what == "remove":
            unit.delete(found)
            pages.tell(gettext("Test mails do not go to %(email)s any more.", email=found.email))
    if what == "ask":
        _ask(found)
    return pages.gone_to("studio.senders")
