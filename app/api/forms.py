"""Sign-up forms over the API: for a form in a site's own design, sent by its script or by its server.

No key: a form is as public as the page it stands on. What keeps it from being misused is what keeps the page from it:
the proof of work, the limits, and the mailbox that has to confirm. Scripts of other sites than the form's own are
refused by the browser, for only those are named in the answer (CORS).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apiflask import APIBlueprint
from flask import Response, g, request

from app.api import pages, problems, receiving
from app.api.form_operations import LONGEST
from app.api.offering import body_of_request, json
from app.api.problems import ProblemError
from app.doors import anyone, house, opened_by
from app.events.incoming import Problem
from app.signup import effort, forms
from app.signup.document import LANGUAGES
from app.signup.forms import Shown
from app.signup.labels import label
from app.signup.receiving import TRAP, TooManyError, Where, read, take

blueprint = APIBlueprint("api_forms", __name__, url_prefix="/api/v1/forms", enable_openapi=False)
problems.install(blueprint)

_TEXTS = ("email", "language", "first_name", "age", "guardian", "page", "altcha", TRAP)
_LISTS = ("topics", "purposes")
_POINTERS = {"topic": "/topics"}


@blueprint.get("/<public_id>")
@opened_by(anyone)
def get_form(public_id: str) -> Response:
    """What the form says and asks, for drawing it."""
    pages.only()
    form = _form(public_id)
    document = form.document
    return json(
        {
            "id": form.public_id,
            "version": form.number,
            "topics": [{"name": name, "title": title} for name, title in form.titles.items()],
            "purposes": list(document.purposes),
            "first_name": document.first_name,
            "age": document.age,
            "texts": {code: {name: document.say(name, code) for name in document.texts} for code in LANGUAGES},
        }
    )


@blueprint.get("/<public_id>/challenge")
@opened_by(anyone)
def get_challenge(public_id: str) -> Response:
    """A task for the visitor's browser (ALTCHA)."""
    pages.only()
    _form(public_id)
    return json(effort.challenge(house().settings, public_id))


@blueprint.post("/<public_id>/submissions")
@opened_by(anyone)
def post_submission(public_id: str) -> Response:
    """Take what was filled in; the answer is the same for every address."""
    pages.only()
    given = receiving.read_json(body_of_request())
    if not isinstance(given, Mapping):
        raise ProblemError("invalid", "The body is no object.", [Problem("", "This is no object.", "Send {…}.")])
    form = _form(public_id, _number(given))
    plain, lists = _plain(given)
    entry, wrong = read(form, plain, language=plain.get("language", "en"), **lists)
    if entry is None:
        raise ProblemError(
            "invalid",
            "The form is not filled in as it must be.",
            [
                Problem(_POINTERS.get(field, f"/{field}"), label(f"form_{code}", "en"), _CURES[code])
                for field, code in wrong.items()
            ],
        )
    parts = house()
    where = Where(
        page=plain.get("page") or request.path,
        ip=request.remote_addr,
        user_agent=request.user_agent.string or None,
        origin=request.headers.get("Origin"),
    )
    try:
        take(
            parts,
            form,
            entry,
            where,
            trapped=bool(plain.get(TRAP)),
            work=plain.get("altcha", ""),
            now=parts.clock.now(),
        )
    except TooManyError as error:
        detail = f"Too many sign-ups came from here; wait {error.wait} s."
        raise ProblemError("rate-limited", detail, headers={"Retry-After": str(error.wait)}) from None
    return json({"status": "accepted"}, 202)


_CURES: Mapping[str, str] = {
    "needed": "Send it.",
    "no_address": "Send name@domain.",
    "read_notice": "Send true once the box was ticked.",
    "choose": 'Send "yes" or "no", as the person chose; nothing may be chosen beforehand.',
    "choose_topic": "Send the names of those that were ticked.",
    "too_long": "Send at most 60 letters.",
    "choose_age": 'Send "of_age" or "child", as the person chose.',
    "needs_parent": "Send the parent's name.",
}


def _form(public_id: str, number: int | None = None) -> Shown:
    form = forms.shown(house().database, public_id)
    if form is None or not form.live:
        raise ProblemError("not-found", "There is no such form, or it is closed.")
    g.percorso_form = form
    if number is None or number == form.number:
        return form
    earlier = forms.shown(house().database, public_id, number)
    if earlier is None:
        cure = "Show the form's present words, and send their version."
        raise ProblemError("invalid", "No such words were shown.", [Problem("/version", "It is not known.", cure)])
    return earlier


def _number(given: Mapping[str, Any]) -> int:
    number = given.get("version")
    if isinstance(number, bool) or not isinstance(number, int) or not 0 < number < 10**9:
        cure = "Send the version of the words that were shown: the ledger names them."
        raise ProblemError("invalid", "The version is missing.", [Problem("/version", "This is no version.", cure)])
    return number


def _plain(given: Mapping[str, Any]) -> tuple[dict[str, str], dict[str, list[str]]]:
    """The body as a page's form would send it: texts, and lists of what was ticked."""
    plain: dict[str, str] = {}
    for name in _TEXTS:
        value = given.get(name)
        if value is None:
            continue
        if not isinstance(value, str) or len(value) > LONGEST or "\x00" in value:
            raise ProblemError(
                "invalid", "The body does not fit.", [Problem(f"/{name}", "This is no text.", "Send one.")]
            )
        plain[name] = value
    plain["notice"] = "yes" if given.get("notice") is True else ""
    choice = given.get("newsletter")
    plain["newsletter"] = choice if choice in ("yes", "no") else ""
    lists: dict[str, list[str]] = {}
    for name in _LISTS:
        ticked = given.get(name) or []
        if not isinstance(ticked, list) or not all(isinstance(one, str) for one in ticked):
            wrong = Problem(f"/{name}", "This is no list.", "Send names.")
            raise ProblemError("invalid", "The body does not fit.", [wrong])
        lists[name] = ticked
    return plain, lists


@blueprint.after_request
def name_the_site(response: Response) -> Response:
    """Say to the browser whether scripts of the site that asks may see the answer."""
    response.headers.add("Vary", "Origin")
    origin = request.headers.get("Origin")
    form: Shown | None = g.get("percorso_form")
    if origin and form is None and request.view_args:
        form = forms.shown(house().database, str(request.view_args["public_id"]))
    shared = form.shared_with(origin) if form is not None else {}
    if shared:
        response.headers.update(shared)
        response.headers["Access-Control-Expose-Headers"] = "Retry-After"
        if request.method == "OPTIONS":
            response.headers["Access-Control-Allow-Methods"] = "GET, POST"
            response.headers["Access-Control-Allow-Headers"] = "Content-Type"
            response.headers["Access-Control-Max-Age"] = "600"
    return response
