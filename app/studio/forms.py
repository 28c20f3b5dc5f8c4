"""Sign-up forms: the list, one with its words and a picture of itself, how it is used, its versions, and the desk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from flask import abort, g, render_template, request, url_for
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from app.consent.models import Topic
from app.contacts.models import Property
from app.doors import house, opened_by
from app.queues import signal
from app.signup import document as documents
from app.signup import forms as catalogue
from app.signup import receiving
from app.signup.document import LANGUAGES, MOST_LETTERS, PURPOSES, TEXTS, Document
from app.signup.forms import RefusedError
from app.signup.labels import label
from app.signup.models import SignupForm
from app.signup.receiving import Where
from app.studio import access, pages
from app.studio.blueprint import HERE, blueprint
from app.studio.languages import gettext, language

_FRAME = 760
"""Pixels that a form needs in a frame, without further questions."""

OPERATORS = access.role("owner", "marketer")
DESK = access.role("owner", "marketer", "front_desk")


def _form(unit: Session, form_id: int) -> SignupForm:
    found = catalogue.of_id(unit, form_id)
    if found is None:
        abort(404)
    return found


def _topics(unit: Session) -> list[Topic]:
    """What can be offered; one query."""
    return list(unit.scalars(select(Topic).where(Topic.archived_at.is_(None)).order_by(Topic.position, Topic.name)))


@blueprint.get(f"{HERE}/consent/forms")
@opened_by(access.member)
def forms() -> Response:
    """The list."""
    with pages.unit() as unit:
        found = catalogue.listed(unit)
    return pages.answer("forms.html", found=found, tab="forms", at="ledger")


@blueprint.get(f"{HERE}/consent/new-form")
@opened_by(OPERATORS)
def form_new() -> Response:
    """Its name and who speaks; all else has words to begin with."""
    with pages.unit():
        pass
    return pages.answer("form_new.html", given={}, errors={}, tab="forms", at="ledger")


@blueprint.post(f"{HERE}/consent/new-form")
@opened_by(OPERATORS)
def form_create() -> Response:
    """Make it, shown to nobody yet."""
    given = {name: text.strip() for name, text in request.form.items()}
    errors = {} if given.get("name") else {"name": gettext("Give it a name that you will recognise.")}
    number = 0
    with pages.unit() as unit:
        chosen = _property(given.get("speaks")) or pages.spoken_property()
        if chosen is None:
            errors["name"] = gettext("A form speaks for a property. Make one first, under Settings.")
        if not errors and chosen is not None:
            offered = [one.name for one in _topics(unit)]
            first = "newsletter" if "newsletter" in offered else next(iter(offered), None)
            document = Document(topics=(first,) if first else ())
            made = catalogue.create(unit, given["name"][:120], chosen.id, document, _who(), pages.now())
            number = made.id
    if errors:
        return pages.answer("form_new.html", 422, given=given, errors=errors, tab="forms", at="ledger")
    return pages.gone_to("studio.form", form_id=number)


def _property(code: str | None) -> Property | None:
    return next((one for one in _properties() if one.code == code), None)


def _properties() -> list[Property]:
    return list(g.get("properties", ()))


def _who() -> str:
    someone = access.person()
    return (someone.name or someone.email) if someone else ""


# -- its words -------------------------------------------------------------------------------------------------------


@blueprint.get(f"{HERE}/consent/forms/<int:form_id>")
@opened_by(access.member)
def form(form_id: int) -> Response:
    """Its words, and how it looks with them."""
    with pages.unit() as unit:
        row = _form(unit, form_id)
        return _words(unit, row, _fields(row, documents.read(row.draft)), {})


@blueprint.post(f"{HERE}/consent/forms/<int:form_id>")
@opened_by(OPERATORS)
def form_save(form_id: int) -> Response:
    """Keep the words; with `act=publish` show them to people from now on."""
    given = {name: text.strip().replace("\r\n", "\n") for name, text in request.form.items() if name != "csrf_token"}
    chosen = {name: tuple(request.form.getlist(one)) for name, one in (("topics", "topic"), ("purposes", "purpose"))}
    with pages.unit() as unit:
        row = _form(unit, form_id)
        document = _document(documents.read(row.draft), given, **chosen)
        errors = _too_long(document)
        if not given.get("name"):
            errors["name"] = gettext("Give it a name that you will recognise.")
        speaks = _property(given.get("speaks"))
        if not errors:
            row.name = given["name"][:120]
            row.property_id = speaks.id if speaks is not None else row.property_id
            catalogue.save(row, document, pages.now())
            if given.get("act") == "publish":
                try:
                    number = catalogue.publish(unit, row, _who(), pages.now())
                    pages.tell(gettext("Live. What people see is version %(number)s of its words.", number=number))
                    return pages.gone_to("studio.form_use", form_id=form_id)
                except RefusedError as error:
                    errors = {place: _told(code) for place, code in error.problems.items()}
            elif pages.block_wanted("studio/form.html") is None:
                pages.tell(gettext("Saved. People see it once you publish it."))
                return pages.gone_to("studio.form", form_id=form_id)
        return _words(unit, row, {**given, **chosen}, errors, 422 if errors else 200)


def _words(
    unit: Session, row: SignupForm, given: Mapping[str, Any], errors: Mapping[str, str], status: int = 200
) -> Response:
    settings = house().settings
    speaks = next((one for one in _properties() if one.id == row.property_id), None)
    return pages.answer(
        "form.html",
        status,
        form=row,
        given=given,
        errors=errors,
        topics=_topics(unit),
        purposes=PURPOSES,
        most=MOST_LETTERS,
        speaks=speaks,
        changed=catalogue.changed(unit, row),
        preview=f"/f/{row.public_id}/draft/{catalogue.draft_mark(settings, row.public_id)}",
        stamp=int(row.updated_at.timestamp() * 1000),
        part="words",
        tab="forms",
        at="ledger",
    )


def _fields(row: SignupForm, document: Document) -> dict[str, Any]:
    """What the form's fields show."""
    found: dict[str, Any] = {
        f"{name}-{code}": getattr(document, name).get(code, "") for name in (*TEXTS, *PURPOSES) for code in LANGUAGES
    }
    found |= {name: getattr(document, name) for name in ("topics", "purposes", "notice_version")}
    return found | {"name": row.name} | {name: "yes" for name in ("first_name", "age") if getattr(document, name)}


def _document(
    before: Document, given: Mapping[str, str], topics: tuple[str, ...], purposes: tuple[str, ...]
) -> Document:
    texts: dict[str, Any] = {
        name: {code: given.get(f"{name}-{code}", "") for code in LANGUAGES} for name in (*TEXTS, *PURPOSES)
    }
    return replace(
        before,
        **texts,
        topics=topics,
        purposes=purposes,
        first_name=given.get("first_name") == "yes",
        age=given.get("age") == "yes",
        notice_version=given.get("notice_version", "")[:60],
    )


def _too_long(document: Document) -> dict[str, str]:
    """The one thing that cannot even be kept."""
    return {
        place: _told(code)
        for place, code in documents.problems(document, document.topics).items()
        if code == "too_long"
    }


def _told(code: str) -> str:
    """What stands against publishing, with its cure."""
    return {
        "needed": gettext("This is needed before people can see the form."),
        "too_long": gettext("Write it shorter."),
        "no_topic": gettext("Choose at least one topic."),
        "unknown_topic": gettext("One of the topics is no longer there. Choose again."),
        "unknown_purpose": gettext("A form cannot ask for one of these. Choose again."),
        "forced": gettext(
            "The newsletter may not be the price of something else: only the notice may be required (R4)."
        ),
        "no_refusal": gettext("People must be able to say no as easily as yes: write what the no says (R4)."),
        "same": gettext("The yes and the no say the same."),
    }[code]


# -- how it is used ----------------------------------------------------------------------------------------------------


@blueprint.get(f"{HERE}/consent/forms/<int:form_id>/use")
@opened_by(access.member)
def form_use(form_id: int) -> Response:
    """Its address, the code for another site, and the API."""
    with pages.unit() as unit:
        row = _form(unit, form_id)
        return _use(unit, row, "\n".join(row.origins), [])


@blueprint.post(f"{HERE}/consent/forms/<int:form_id>/use")
@opened_by(OPERATORS)
def form_origins(form_id: int) -> Response:
    """Keep the sites it may be used on."""
    text = request.form.get("origins", "")[:4000]
    good, bad = documents.origins(text)
    with pages.unit() as unit:
        row = _form(unit, form_id)
        if bad:
            return _use(unit, row, text, bad, 422)
        row.origins, row.updated_at = good, pages.now()
    pages.tell(gettext("Saved. The form may be used on these sites from now on."))
    return pages.gone_to("studio.form_use", form_id=form_id)


def _use(unit: Session, row: SignupForm, origins: str, bad: list[str], status: int = 200) -> Response:
    spoken = request.args.get("code", language())
    spoken = spoken if spoken in LANGUAGES else "en"
    base = house().settings.base_url
    error = gettext("These are no sites: %(names)s. Write them like https://www.example.com.", names=", ".join(bad))
    return pages.answer(
        "form_use.html",
        status,
        form=row,
        origins=origins,
        errors={"origins": error} if bad else {},
        address=f"{base}/f/{row.public_id}",
        code=_code(unit, row, spoken, base),
        spoken=spoken,
        base=base,
        part="use",
        tab="forms",
        at="ledger",
    )


def _code(unit: Session, row: SignupForm, spoken: str, base: str) -> dict[str, str]:
    """What is pasted into another page: a frame, or the form itself with the words it has now."""
    version = next((one for one in catalogue.versions(unit, row.id) if one.number == row.version), None)
    if version is None:
        return {}
    shown = catalogue.drafted(unit, row, documents.read(version.document))
    place = next((one for one in _properties() if one.id == row.property_id), None)
    title = shown.document.say("title", spoken).replace('"', "&quot;")
    plain = render_template(
        "subscriber/_form.html",
        form=shown,
        lang=spoken,
        t=partial(_label, spoken),
        base=base,
        brand={"notice": place.links.get("notice") if place else None},
        given={},
        topics=(),
        purposes=(),
        wrong={},
        framed=False,
        pasted=True,
    )
    plain = "\n".join(line for line in plain.splitlines() if line.strip())
    address = f"{base}/f/{row.public_id}?lang={spoken}&amp;embed=1"
    height = _FRAME + 70 * len(shown.document.purposes) + (250 if shown.document.age else 0)
    frame = (
        f'<iframe src="{address}" title="{title}" width="100%" height="{height}" style="border:0" loading="lazy">'
        "</iframe>"
    )
    return {"frame": frame, "plain": f'{plain}\n<script src="{base}/f/assets/form.js" defer></script>'}


def _label(spoken: str, key: str) -> str:
    return label(key, spoken)


@blueprint.get(f"{HERE}/consent/forms/<int:form_id>/versions")
@opened_by(access.member)
def form_versions(form_id: int) -> Response:
    """Every wording that people have seen; the ledger names it by its number."""
    with pages.unit() as unit:
        row = _form(unit, form_id)
        found = [(one, documents.read(one.document)) for one in catalogue.versions(unit, form_id)]
    return pages.answer("form_versions.html", form=row, found=found, part="versions", tab="forms", at="ledger")


# -- open and closed ---------------------------------------------------------------------------------------------------


@blueprint.post(f"{HERE}/consent/forms/<int:form_id>/close")
@opened_by(OPERATORS)
def form_close(form_id: int) -> Response:
    """Take no more sign-ups."""
    with pages.unit() as unit:
        catalogue.close(_form(unit, form_id), pages.now())
    undo = url_for("studio.form_reopen", form_id=form_id)
    pages.tell(gettext("Closed. Its page says so, and takes nothing."), undo=undo)
    return pages.gone_to("studio.form_use", form_id=form_id)


@blueprint.post(f"{HERE}/consent/forms/<int:form_id>/reopen")
@opened_by(OPERATORS)
def form_reopen(form_id: int) -> Response:
    """Take sign-ups again."""
    with pages.unit() as unit:
        catalogue.reopen(_form(unit, form_id), pages.now())
    pages.tell(gettext("Open again."))
    return pages.gone_to("studio.form_use", form_id=form_id)


# -- at a desk ---------------------------------------------------------------------------------------------------------


@blueprint.get(f"{HERE}/consent/forms/<int:form_id>/desk")
@opened_by(DESK)
def form_desk(form_id: int) -> Response:
    """Somebody signs up in front of us, on a tablet or on paper."""
    with pages.unit() as unit:
        return _desk(unit, _form(unit, form_id), {"method": "desk_tablet"}, {}, {"topics": (), "purposes": ()})


@blueprint.post(f"{HERE}/consent/forms/<int:form_id>/desk")
@opened_by(DESK)
def form_desk_send(form_id: int) -> Response:
    """Take it like any other: the mailbox is asked all the same (R6)."""
    given = {name: text.strip() for name, text in request.form.items() if name != "csrf_token"}
    ticked = {"topics": request.form.getlist("topic"), "purposes": request.form.getlist("purpose")}
    parts = house()
    with pages.unit() as unit:
        row = _form(unit, form_id)
        shown = catalogue.shown(parts.database, row.public_id)
        if shown is None or not shown.live:
            abort(404)
        entry, wrong = receiving.read(shown, given, language=given.get("language", "it"), **ticked)
        errors = {place: label(f"form_{code}", language()) for place, code in wrong.items()}
        method = given.get("method", "")
        if method not in {"desk_tablet", "paper"}:
            errors["method"] = gettext("Choose one.")
        if method == "paper" and not given.get("scan_id"):
            errors["scan_id"] = gettext("Write where the signed sheet is kept, such as the number of its scan.")
        if errors or entry is None:
            return _desk(unit, row, given, errors, ticked, 422)
        someone = access.person()
        where = Where(
            page=request.path,
            method=method,
            operator_id=someone.id if someone else None,
            scan_id=given.get("scan_id", "")[:100] or None,
        )
        unit.add(receiving.submission(shown, entry, where, "desk", pages.now()))
        signal(unit, "signups")
    said = (
        gettext("Taken. A mail is on its way: the sign-up counts once its button is pressed.")
        if entry.wants or entry.purposes
        else gettext("Taken. The no is recorded, and nobody asks again for 180 days.")
    )
    pages.tell(said)
    return pages.gone_to("studio.form_desk", form_id=form_id)


def _desk(
    unit: Session,
    row: SignupForm,
    given: Mapping[str, str],
    errors: Mapping[str, str],
    ticked: Mapping[str, Sequence[str]],
    status: int = 200,
) -> Response:
    shown = catalogue.shown(house().database, row.public_id)
    return pages.answer(
        "form_desk.html",
        status,
        form=row,
        shown=shown if shown is not None and shown.live else None,
        given=given,
        errors=errors,
        chosen=ticked["topics"],
        purposes=ticked["purposes"],
        topics={one.name: one.title for one in _topics(unit)},
        label=partial(_label, language()),
        part="desk",
        tab="forms",
        at="ledger",
    )
