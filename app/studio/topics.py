"""Topics: what people can subscribe to, in order and in both languages; archived, never deleted."""

from __future__ import annotations

from flask import abort, request, url_for
from werkzeug.wrappers import Response

from app.consent import topics as book
from app.consent.models import Topic
from app.consent.topics import TopicRefusedError, Wish
from app.doors import opened_by
from app.studio import access, pages
from app.studio.blueprint import HERE, blueprint
from app.studio.languages import gettext

OPERATORS = access.role("owner", "marketer", "privacy_officer")


@blueprint.get(f"{HERE}/consent/topics")
@opened_by(access.member)
def topics() -> Response:
    """Those that are offered, and those that are no longer."""
    return _page()


def _page(
    status: int = 200,
    given: dict[str, object] | None = None,
    errors: dict[str, str] | None = None,
    which: str | None = None,
) -> Response:
    """`which`: the topic whose form is shown again with its errors; "" the new one."""
    with pages.unit() as unit:
        offered, archived = book.listed(unit), book.listed(unit, archived=True)
    return pages.answer(
        "topics.html",
        status,
        offered=offered,
        archived=archived,
        given=given or {},
        errors=errors or {},
        which=which,
        may_edit=access.may("owner", "marketer", "privacy_officer"),
        tab="topics",
        at="ledger",
    )


def _wish() -> tuple[dict[str, object], Wish]:
    """The form, as written and as a wish."""
    given: dict[str, object] = {name: text.strip()[:1000] for name, text in request.form.items()}
    given["about"] = [one for one in request.form.getlist("about") if one]
    title, description = (
        {language: str(given.get(f"{what}_{language}", "")) for language in book.LANGUAGES}
        for what in ("title", "description")
    )
    return given, Wish(title, description, request.form.getlist("about"))


def _said(error: TopicRefusedError) -> dict[str, str]:
    """What is wrong, beside its field."""
    said = {
        "shape": gettext("Use small letters, figures and dashes, such as spring-offers."),
        "taken": gettext("There is a topic of this name already; an archived one keeps its name."),
        "reserved": gettext("This is the name of a purpose. Choose another."),
        "missing": gettext("People choose by this title: write it in both languages."),
        "long": gettext("This is too long: keep it to what fits beside a switch."),
    }
    return {error.where: said.get(error.why, error.why)}


@blueprint.post(f"{HERE}/consent/topics")
@opened_by(OPERATORS)
def topic_create() -> Response:
    """Offer a new topic."""
    given, wish = _wish()
    name = str(given.get("name", "")).lower()
    with pages.unit() as unit:
        try:
            book.create(unit, name, wish, pages.now())
        except TopicRefusedError as error:
            errors = _said(error)
        else:
            errors = {}
    if errors:
        return _page(422, given, errors, "")
    pages.tell(gettext("The topic is offered from now on."))
    return pages.gone_to("studio.topics")


@blueprint.post(f"{HERE}/consent/topics/<name>")
@opened_by(OPERATORS)
def topic_edit(name: str) -> Response:
    """Say it in other words."""
    given, wish = _wish()
    errors = {}
    with pages.unit() as unit:
        topic = _topic(book.named(unit, name))
        try:
            book.edit(topic, wish)
        except TopicRefusedError as error:
            errors = _said(error)
    if errors:
        return _page(422, given, errors, name)
    pages.tell(gettext("Saved. What people agreed to before stands in the ledger in the words they saw."))
    return pages.gone_to("studio.topics")


@blueprint.post(f"{HERE}/consent/topics/<name>/<what>")
@opened_by(OPERATORS)
def topic_act(name: str, what: str) -> Response:
    """Move it up or down, archive it, offer it again."""
    if what not in {"up", "down", "archive", "restore"}:
        abort(404)
    with pages.unit() as unit:
        topic = _topic(book.named(unit, name))
        if what in {"up", "down"}:
            book.move(unit, name, -1 if what == "up" else 1)
        elif what == "archive":
            book.archive(topic, pages.now())
        else:
            book.restore(topic)
    if what == "archive":
        pages.tell(
            gettext("It is offered to nobody any more. Consents stay in the ledger."),
            undo=url_for("studio.topic_act", name=name, what="restore"),
        )
    return pages.gone_to("studio.topics")


def _topic(found: Topic | None) -> Topic:
    if found is None:
        abort(404)
    return found
