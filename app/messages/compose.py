"""Template version + language + the person's facts → subject, HTML, text and headers.

`load` brings what a batch needs in a fixed number of queries; `compose` is then a plain function. What a mail was made
from is kept on its row, so that `again` makes the very mail once more, for a preview, a proof or a followed link.
MIME and signatures are delivery's.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from sqlalchemy.orm import Session

from app.audience.facts import Facts
from app.config import Settings
from app.consent.bases import is_relay
from app.consent.fold import Key, State, asked_together
from app.consent.rules import block_classes, may_profile, may_track
from app.consent.wordings import named
from app.content import catalogue
from app.content.compiled import Compiled
from app.content.languages import choose
from app.content.render import Rendered, RenderError, render
from app.content.source import LIVE
from app.db import settings_of, workspace_of
from app.journey.known import CALENDAR
from app.messages import attachments, links, mail_links, properties, snapshot, stay
from app.messages import grounds as grounds_of
from app.messages.attachments import Attachment
from app.messages.grounds import Grounds
from app.messages.links import Ref
from app.messages.rows import MessageRow
from app.messages.snapshot import thaw

QUERIES = 2 + grounds_of.QUERIES
"""The live versions of the templates, and the grounds (none of those where the caller has them). One keeps the facts of
properties, and falls away once this process has met them as they are now."""

_OTHERS = {"marketing", "feedback"}
"""Blocks of these alone are no message of another class (R21); a template may be older than the check of that."""
_NEEDED = ["contact.email", "contact.first_name", "contact.last_name"]
_PASSAGE = ("event", "enrollment", "test")

FRESH = timedelta(minutes=15)
"""How old a value may be that a block of class live shows (R48)."""
_SKEW = timedelta(minutes=1)
"""How far the clock of who reports it may run ahead of ours."""

TEST_MARK = {"it": "[Prova] ", "en": "[Test] "}


@dataclass(frozen=True, slots=True)
class Composed:
    """A message in words. `facts` is plain JSON: what `again` needs to make the same mail."""

    id: int
    contact_id: int
    envelope_from: str
    envelope_to: str
    sender_name: str
    sender_email: str
    recipient_name: str
    reply_to: str | None
    subject: str
    html: str
    text: str
    headers: list[tuple[str, str]]
    """Further headers in order, worded; From, To, Reply-To, Subject, Date and Message-ID are written by delivery."""
    message_id: str
    facts: dict[str, Any]
    language: str
    template_version_id: int
    attachments: tuple[Attachment, ...] = ()
    links_used: tuple[tuple[int, str], ...] = ()
    """(number, address) as the template gave them, before anything was counted or added."""
    links_dropped: tuple[str, ...] = ()
    """Hosts that its links were to lead to and may not (R34)."""

    @property
    def address(self) -> str:
        """Who it goes to, as `messages.address` keeps it."""
        return self.envelope_to


@dataclass(frozen=True, slots=True)
class Failed:
    """Why a message cannot be made. `refused`: nothing is broken, there was only nothing this person may be shown."""

    id: int
    contact_id: int
    reason: str
    """no_template, missing_field, template, limit, unsafe_link, no_sender, no_address; only_marketing_blocks."""
    detail: str
    refused: bool = False
    rule: str | None = None


@dataclass(frozen=True, slots=True)
class Materials:
    """Everything `compose` reads for one batch."""

    settings: Settings
    grounds: Grounds
    templates: Mapping[str, catalogue.Published]
    places: Mapping[int, str]
    """Identity of a property's facts → the digest they are kept under."""
    shown: Mapping[str, snapshot.Paths]
    """Template → the facts it may show, which are all that is kept of a person beside the mail."""


def load(session: Session, rows: Sequence[MessageRow], now: datetime, grounds: Grounds | None = None) -> Materials:
    """What composing these messages needs: `QUERIES` queries, one where `grounds` are given."""
    known = grounds if grounds is not None else grounds_of.load(session, rows, now)
    templates = catalogue.published(session, {row.template for row in rows})
    places = properties.keep(session, (facts["property"] for facts in known.told.values() if facts["property"]), now)
    shown = {
        name: snapshot.paths(_NEEDED + [one.path for one in template.compiled.variables])
        for name, template in templates.items()
    }
    return Materials(settings_of(session), known, templates, places, shown)


def compose(materials: Materials, row: MessageRow) -> Composed | Failed:
    """Make one mail. Never raises for what is wrong with one message: that message fails, with a reason."""
    grounds = materials.grounds
    facts = grounds.told.get(row.id)
    template = materials.templates.get(row.template)
    if facts is None or not facts["contact"].get("email"):
        return Failed(row.id, row.contact_id, "no_address", "The contact has no e-mail address.")
    if template is None:
        return Failed(row.id, row.contact_id, "no_template", f"{row.template} has no published version.")
    identity = grounds.sender_of(row.id, row.class_)
    if not identity.email:
        return Failed(row.id, row.contact_id, "no_sender", "No property says who the mail is from.")
    about, request = grounds.facts[row.id], grounds.request_of(row)
    if row.class_ == "marketing" and grounds.inferred and not may_profile(about, request.channel):
        facts = _generic(facts, grounds.inferred)
    choice = choose(facts, template.compiled.languages)
    ref = Ref(grounds.workspace_id, row.contact_id, row.id)
    about_request = _asked(grounds, row)
    live = {LIVE} if _is_live(facts, grounds.now) else set()
    recipe = {
        # Asked only where the template has blocks of a class: it is the whole consent decision over again.
        "blocks": sorted(block_classes(request, about, grounds.now, grounds.policy) | live)
        if template.compiled.block_classes
        else [row.class_],
        "track": row.class_ in links.LIST_CLASSES
        and may_track(about, request.channel)
        and (row.terms or {}).get("tracking") is not False,
        "hidden_link": True,
        "urls": _urls(materials, row, ref, max((one.line for one in about_request.values()), default=None)),
        "bounce_inbox": grounds.workspace.get("bounce_inbox"),
        "unsubscribe_inbox": grounds.workspace.get("unsubscribe_inbox"),
        "message_id": _first_id(row) or links.message_id(materials.settings, ref, identity.domain),
        "test": bool((row.facts or {}).get("test")),
        "language_why": choice.why,
        "language_wanted": choice.wanted,
    }
    if identity.id is not None:  # what the property says of itself is kept with its facts
        name = identity.in_language(choice.language)
        recipe["from"] = {"id": identity.id, "name": name, "email": identity.email, "reply_to": identity.reply_to}
    if recipe["track"]:
        recipe["tracking_url"] = links.url(materials.settings, "tracking", ref)
    if request.channel == "email" and is_relay(about.address or "", grounds.policy):
        recipe["approved"] = mail_links.approved(facts.get("property") or {}, grounds.policy.relay_links)
    wanted = grounds.wanted.get(row.id)
    unfit = grounds.senders.unfit(row.class_, facts.get("property") or {}, wanted) if wanted else None
    if unfit is not None:  # told where the mail's decisions are read, and the mail goes out all the same
        recipe["from_instead_of"] = {"email": wanted, "why": unfit}
    names = attachments.asked(row.terms)
    if names:
        recipe["attachments"] = names
    if row.class_ == "consent_request":  # kept: once it is confirmed, nobody could tell what the mail asked for
        recipe["asked"] = [
            named(purpose, (grounds.titles.get(topic or "") or {}), topic, choice.language)
            for _, _, purpose, topic in sorted(about_request, key=lambda key: about_request[key].line)
        ]
    if CALENDAR in names:  # kept as it is: made again, it would tell of another hour, or another booking
        recipe["calendar"] = stay.of_booking(
            facts,
            namespace=f"{materials.settings.base_url}/{grounds.workspace_id}",
            organizer=identity.email,
            now=grounds.now,
        )
    kept = snapshot.freeze(snapshot.pruned(facts, materials.shown[row.template]))
    # The passage is wanted whole, should the mail be made anew for another try, and lies frozen on the row.
    kept |= {key: row.facts[key] for key in _PASSAGE if row.facts and key in row.facts}
    kept |= {"mail": recipe, "property": {properties.MARK: materials.places[id(facts["property"])]}}
    made = _make(
        materials.settings,
        row,
        ref,
        template.version_id,
        template.compiled,
        choice.language,
        {**facts, "mail": recipe},
        kept,
    )
    if isinstance(made, Composed) and made.links_dropped:  # told where the mail's decisions are read
        recipe["links_dropped"] = list(made.links_dropped)
    return made


def _is_live(facts: Mapping[str, Any], now: datetime) -> bool:
    """Whether what the passage's event reported is fresh enough to be shown as how things are (R48)."""
    at = (facts.get("event") or {}).get("occurred_at")
    if isinstance(at, str):
        at = datetime.fromisoformat(at)
    return isinstance(at, datetime) and -_SKEW <= now - at < FRESH


def _generic(facts: Mapping[str, Any], inferred: Collection[str]) -> Facts:
    """The facts without what was worked out of the person's behaviour: the mail says what it says to anybody (R13)."""
    contact = facts["contact"]
    attributes = {key: value for key, value in contact["attributes"].items() if key not in inferred}
    return {**facts, "contact": {**contact, "attributes": attributes}}


class Kept(MessageRow, Protocol):
    """A message that has been composed: a Message row of the ORM fits."""

    @property
    def language(self) -> str | None: ...
    @property
    def template_version_id(self) -> int | None: ...


def again(session: Session, message: Kept) -> Composed:
    """The very mail that was composed for a message, from its own snapshot. Two queries at most.

    Raises LookupError where it has not been composed, or its snapshot has been erased.
    """
    facts = thaw(message.facts or {})
    if message.template_version_id is None or message.language is None or "mail" not in facts:
        raise LookupError(f"Message {message.id} has not been composed, or what it was made from has been erased.")
    facts["property"] = properties.restore(session, facts["property"])
    compiled = catalogue.versions(session, [message.template_version_id])[message.template_version_id]
    ref = Ref(workspace_of(session), message.contact_id, message.id)
    made = _make(
        settings_of(session),
        message,
        ref,
        message.template_version_id,
        compiled,
        message.language,
        facts,
        message.facts or {},
    )
    if isinstance(made, Composed):
        return made
    raise LookupError(f"Message {message.id} can no longer be made: {made.detail}")


def _make(
    settings: Settings,
    row: MessageRow,
    ref: Ref,
    version_id: int,
    compiled: Compiled,
    language: str,
    facts: dict[str, Any],
    kept: dict[str, Any],
) -> Composed | Failed:
    """The mail from a version and a snapshot: everything that varies is in `facts`, and `kept` is their frozen form."""
    recipe, place, contact = facts["mail"], facts["property"], facts["contact"]
    if "asked" in recipe:
        facts = {**facts, "event": {**(facts.get("event") or {}), "asked": recipe["asked"]}}
    in_language = compiled.languages[language]
    linker = mail_links.Linker(settings, ref, recipe, place, row.class_, row.template, in_language)
    try:
        rendered = render(
            in_language,
            facts,
            link=linker.stands(),
            urls=recipe["urls"],
            allows=frozenset(recipe["blocks"]).__contains__,
            locale=language,
            zone=place["zone"],
        )
    except RenderError as error:
        return Failed(row.id, row.contact_id, error.code, str(error))
    if rendered.empty or (in_language.gates and {*in_language.gates} <= _OTHERS - {row.class_}):
        detail = "Nothing was left that this person may be shown now."
        return Failed(row.id, row.contact_id, "only_marketing_blocks", detail, refused=True, rule="R21")
    sender = _sender(recipe, place)
    inbox = recipe["bounce_inbox"]
    return Composed(
        id=row.id,
        contact_id=row.contact_id,
        envelope_from=links.bounce_address(settings, ref, inbox) if inbox else sender["email"],
        envelope_to=contact["email"],
        sender_name=sender["name"],
        sender_email=sender["email"],
        recipient_name=" ".join(part for part in (contact["first_name"], contact["last_name"]) if part),
        reply_to=sender["reply_to"],
        subject=(TEST_MARK.get(language, TEST_MARK["en"]) if recipe["test"] else "") + rendered.subject,
        html=linker.html(rendered, language),
        text=linker.text(rendered, language),
        headers=_headers(row, recipe, place, rendered, language),
        message_id=recipe["message_id"],
        facts=kept,
        language=language,
        template_version_id=version_id,
        attachments=attachments.made(recipe.get("attachments") or (), recipe.get("calendar"), compiled.files),
        links_used=rendered.links_used,
        links_dropped=tuple(sorted(linker.dropped)),
    )


def _first_id(row: MessageRow) -> str | None:
    """The Message-ID of an earlier try: it stays, whatever has changed since (R39)."""
    kept: str | None = ((row.facts or {}).get("mail") or {}).get("message_id")
    return kept


def _sender(recipe: Mapping[str, Any], place: Mapping[str, Any]) -> Mapping[str, Any]:
    """Who it comes from: the identity that the recipe names, else the property."""
    given: Mapping[str, Any] | None = recipe.get("from")
    return given or {"name": place["sender_name"], "email": place["sender_email"], "reply_to": place.get("reply_to")}


def _urls(materials: Materials, row: MessageRow, ref: Ref, line: int | None) -> dict[str, str]:
    settings, facts = materials.settings, materials.grounds.told[row.id]
    urls = {
        "assets": f"{settings.base_url}/assets/mail",
        "unsubscribe_url": links.url(settings, "unsubscribe", ref),
        "preferences_url": links.url(settings, "preferences", ref),
        "view_url": links.url(settings, "view", ref),
    }
    notice = (facts["property"].get("links") or {}).get("notice")
    if notice:
        urls["notice_url"] = notice
    if line is not None:
        urls["confirm_url"] = links.confirm_url(settings, ref.workspace_id, ref.contact_id, line)
    return urls


def _asked(grounds: Grounds, row: MessageRow) -> Mapping[Key, State]:
    """What a request for consent asks to be confirmed; nothing for all other mails."""
    facts = grounds.facts[row.id]
    if row.class_ != "consent_request" or facts.address is None:
        return {}
    return asked_together(facts.states, facts.address, row.channel, row.topic)


def _headers(
    row: MessageRow,
    recipe: Mapping[str, Any],
    place: Mapping[str, Any],
    rendered: Rendered,
    language: str,
) -> list[tuple[str, str]]:
    inbox, unsubscribe = recipe["unsubscribe_inbox"], recipe["urls"]["unsubscribe_url"]
    token = unsubscribe.rpartition("/")[2]
    return [
        *links.list_headers(
            class_=row.class_,
            with_marketing="marketing" in rendered.shown,
            unsubscribe=unsubscribe,
            mailto=f"{inbox}?subject=unsubscribe%20{token}" if inbox else None,
            list_name=f"{place['name']}, {row.topic or row.class_}",
            list_key=row.topic or row.class_,
            account=place["code"],
            campaign=row.template,
            domain=str(_sender(recipe, place)["email"]).rpartition("@")[2],
        ),
        ("Content-Language", language),
    ]


def preview(session: Session, row: MessageRow, now: datetime) -> Composed | Failed:
    """What a message would be if it were made now; nothing is kept. `QUERIES` queries."""
    return compose(load(session, [row], now), row)
