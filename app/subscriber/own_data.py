"""What we know about somebody, told to them; and the links by which they take it out or have it erased (R50, R51).

The link in a mail may have been passed on with the mail. So what it shows are kinds and counts, what was agreed to, and
what was worked out; names, stays and messages are shown behind the link that goes to the person's own address only.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from babel import dates
from flask import make_response, request
from sqlalchemy import DateTime
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from app.contacts.models import Contact
from app.doors import anyone, house, opened_by
from app.rights import notice, requests, retention_periods
from app.rights.export import Export, export
from app.rights.models import KINDS, RightsRequest
from app.subscriber import visitors
from app.subscriber.pages import (
    LARGEST_FORM,
    Visit,
    bad_link,
    blueprint,
    language_of,
    masked,
    numbers_of,
    page,
    secluded,
    unit,
    visit,
)
from app.subscriber.standing import day
from app.subscriber.texts import TABLES, say
from app.subscriber.visitors import Visitor

SHOWN = 20
"""So many of a kind on the page; the download holds all."""


@blueprint.get("/p/<token>/data")
@opened_by(anyone)
def show_known(token: str) -> Response:
    """What we know about the person, as far as whoever holds the mail may see it. Changes nothing."""
    with visit("preferences", token, living=True) as found:
        visitor, language = found.visitor, found.language
        made = export(found.session, visitor.person.contact_id, house().clock.now(), rendered=False)
    document = made.document
    return page(
        "known",
        visitor,
        language,
        counts=_counts(document),
        said=_said(document, visitor, language),
        inferred=_inferred(document, language),
        recipients=_recipients(document, language),
        kept=notice.lines(retention_periods.of({"retention": document["kept_for"]}), language),
        **_links(found),
    )


@blueprint.post("/p/<token>/data")
@opened_by(anyone)
def ask_for_data(token: str) -> Response:
    """Send the link by which data is taken out or erased to the person's own address."""
    with visit("preferences", token, living=True) as found:
        visitor, language, kind = found.visitor, found.language, request.form.get("want", "")
        if kind not in KINDS:
            return bad_link(400)
        asked = requests.ask(found.session, visitor.person.contact_id, kind, language, house().clock.now())
        until = day(asked.request.answer_by, language)
    return page("right_asked", visitor, language, sent=asked.sent, answer_by=until, **_links(found))


@blueprint.route("/r/<token>", methods=["GET", "POST"])
@opened_by(anyone)
def use_right(token: str) -> Response:
    """GET shows what is there, or what would go; POST takes it out, or erases it. The link is good once."""
    workspace_id, contact_id, number = numbers_of("right", token, 3)
    if (request.content_length or 0) > LARGEST_FORM:
        return bad_link(413)
    now = house().clock.now()
    with unit(workspace_id) as session:
        visitor = visitors.of_contact(session, contact_id)
        asked = requests.open_(session, contact_id, number, now) if visitor is not None else None
        language = asked.language if asked is not None and "lang" not in request.args else language_of(visitor)
        if visitor is None or asked is None:
            return page("right_over", visitor, language, status=410)
        if asked.kind == "export":
            return _take_out(session, asked, visitor, language, now)
        return _erase(session, asked, visitor, language, now)


def _take_out(session: Session, asked: RightsRequest, visitor: Visitor, language: str, now: datetime) -> Response:
    if request.method != "POST":
        made = export(session, asked.contact_id, now, rendered=False)
        return page("right_export", visitor, language, **_full(made, language))
    response = make_response(requests.fetch(session, asked, now).zip())
    response.headers["Content-Type"] = "application/zip"
    response.headers["Content-Disposition"] = f'attachment; filename="data-{now:%Y-%m-%d}.zip"'
    response.headers["X-Content-Type-Options"] = "nosniff"
    return secluded(response)


def _erase(session: Session, asked: RightsRequest, visitor: Visitor, language: str, now: datetime) -> Response:
    sure = request.form.get("sure") == "yes"
    if request.method != "POST" or not sure:
        missing = request.method == "POST"
        return page("right_erase", visitor, language, status=400 if missing else 200, missing=missing)
    receipt = requests.erase_(session, asked, "mailbox", now)
    address = masked(visitor.person.addresses[0]) if visitor.person.addresses else ""
    told = dates.format_datetime(now, "d MMMM y, HH:mm", locale=language)
    return page(
        "right_erasing",
        visitor,
        language,
        done=receipt is not None,
        address=address,
        number=asked.id,
        when=f"{told} UTC",
    )


def _links(found: Visit) -> dict[str, Any]:
    here = found.url("preferences")
    return {"here": here, "data_url": f"{here}/data", "address": masked(found.visitor.person.addresses[0])}


def _counts(document: Mapping[str, Any]) -> dict[str, int]:
    tables = document["tables"]
    return {
        "bookings": len(tables.get("bookings", ())),
        "events": len(tables.get("events", ())),
        "messages": len(document["messages"]),
        "consents": len(document["consents"]),
        "special": len(tables.get("special_values", ())),
    }


def _said(document: Mapping[str, Any], visitor: Visitor, language: str) -> list[dict[str, Any]]:
    """The newest yes or no, with its words."""
    found = []
    for one in list(reversed(document["consents"]))[:SHOWN]:
        what = say(f"purpose_{one['purpose']}", language)
        if one["topic"]:
            what = visitor.title(one["topic"], language)
        when = _day(one["confirmed_at"] or one["requested_at"], language)
        state = say(f"state_{one['state']}", language)
        found.append({"what": what, "state": state, "when": when, "wording": one["wording"]})
    return found


def _inferred(document: Mapping[str, Any], language: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for one in document["inferred"][:SHOWN]:
        if one["what"] == "segment":
            title = one["title"].get(language) or one["title"].get("en") or one["value"]
            found.append({"told": say("know_segment", language, title=title), "logic": one["logic"]})
        elif one["what"] == "control_group" and one["value"]:
            found.append({"told": say("know_holdout", language), "logic": None})
    return found


def _recipients(document: Mapping[str, Any], language: str) -> list[str]:
    found = []
    for one in document["recipients"][:SHOWN]:
        why = f"know_for_{one['for'].replace(' ', '_')}"
        what = say(why, language) if why in TABLES[language] else one["for"]
        found.append(f"{one['who']}: {what}" if what else one["who"])
    return found


def _full(made: Export, language: str) -> dict[str, Any]:
    """Names, stays and messages, for the page behind the person's own link."""
    document = made.document
    bookings, mails = document["tables"].get("bookings", []), document["messages"]
    technical = {"id", "field_versions", "created_at", "updated_at", "email_key", "merged_into"}
    profile = [
        (say(f"field_{name}", language) if f"field_{name}" in TABLES[language] else name.replace("_", " "), told)
        for row in document["profile"]
        for name, value in row.items()
        if name not in technical and (told := _day(value, language) if name in _MOMENTS else _plain(value))
    ]
    return {
        "profile": profile,
        "bookings": [_booking(one) for one in bookings[-SHOWN:]],
        "more_bookings": len(bookings) - SHOWN,
        "mails": [f"{(one['sent_at'] or '')[:10]} · {one['subject'] or one['template']}" for one in mails[:SHOWN]],
        "more_mails": len(mails) - SHOWN,
        "inferred": _inferred(document, language),
    }


_MOMENTS = frozenset(column.name for column in Contact.__table__.columns if isinstance(column.type, DateTime))


def _day(value: str | None, language: str) -> str:
    return day(datetime.fromisoformat(value), language) if value else ""


def _plain(value: Any) -> str:
    """A value as people read it; empty for nothing."""
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {told}" for key, one in value.items() if (told := _plain(one)))
    return ", ".join(str(one) for one in value) if isinstance(value, list) else str(value)


def _booking(one: Mapping[str, Any]) -> str:
    parts = (one.get("reference"), one.get("arrival"), one.get("departure"), one.get("status"))
    return " · ".join(str(part) for part in parts if part)
