"""Templates: the gallery, and one of them previewed, where it is used, its versions."""

from __future__ import annotations

from typing import Any

from flask import abort, request
from werkzeug.wrappers import Response

from app.content.render import RenderError
from app.doors import opened_by
from app.studio import access, mails, pages, previews, trials
from app.studio.blueprint import HERE, blueprint
from app.studio.languages import LANGUAGES, language
from app.studio.reading import templates as reading


@blueprint.get(f"{HERE}/templates")
@opened_by(access.member)
def templates() -> Response:
    """The gallery by phase."""
    with pages.unit() as unit:
        by_phase = reading.listed(unit)
    return pages.answer("templates.html", by_phase=by_phase, at="templates")


def _one(unit: Any, name: str) -> tuple[Any, Any]:
    found = reading.one(unit, name)
    if found is None:
        abort(404)
    return found


def _tongue(version: Any) -> str:
    """The language to show: the one asked for, else the reader's, else the first there is."""
    there = sorted((version.compiled.get("languages") or {}) if version else ())
    wanted = request.args.get("lang") or language()
    return wanted if wanted in there else (there[0] if there else "en")


@blueprint.get(f"{HERE}/templates/<name>")
@opened_by(access.member)
def template(name: str) -> Response:
    """Preview with the sample guest: language, width, light or dark."""
    with pages.unit() as unit:
        row, version = _one(unit, name)
        tongue = _tongue(version)
        shown, trouble = None, ""
        if version is not None:
            try:
                shown = previews.of_version(version, tongue, pages.spoken_property())
            except RenderError as error:
                trouble = str(error)
        addresses = trials.addresses(unit)
    return pages.answer(
        "template_preview.html", template=row, version=version, shown=shown, trouble=trouble, tongue=tongue,
        tongues=sorted(version.compiled["languages"]) if version else [], names=LANGUAGES,
        width="phone" if request.args.get("width") == "phone" else "desktop",
        paper="dark" if request.args.get("paper") == "dark" else "light", tab="preview", at="templates",
        trials=addresses,
    )  # fmt: skip


@blueprint.get(f"{HERE}/templates/<name>/preview")
@opened_by(access.member)
def template_mail(name: str) -> Response:
    """The HTML of the preview, for its frame."""
    with pages.unit() as unit:
        _, version = _one(unit, name)
        if version is None:
            abort(404)
        try:
            shown = previews.of_version(version, _tongue(version), pages.spoken_property())
        except RenderError:
            abort(404)
    paper = request.args.get("paper")
    return mails.framed(shown.html, paper if paper in {"light", "dark"} else None)


@blueprint.post(f"{HERE}/templates/<name>/test")
@opened_by(access.role("owner", "marketer"))
def template_test(name: str) -> Response:
    """Send it to the team or a verified address, with the sample guest, marked in its subject (R64)."""
    with pages.unit() as unit:
        _, version = _one(unit, name)
        place = pages.spoken_property()
        if version is None or place is None:
            abort(404)
        trials.post(unit, version, place, request.args.get("lang", ""))
    return pages.gone_to("studio.template", name=name, lang=request.args.get("lang"))


@blueprint.get(f"{HERE}/templates/<name>/used-in")
@opened_by(access.member)
def template_uses(name: str) -> Response:
    """The steps that send it."""
    with pages.unit() as unit:
        row, version = _one(unit, name)
        uses = reading.uses(unit, name)
    return pages.answer("template_uses.html", template=row, version=version, uses=uses, tab="uses", at="templates")


@blueprint.get(f"{HERE}/templates/<name>/versions")
@opened_by(access.member)
def template_versions(name: str) -> Response:
    """Every published version."""
    with pages.unit() as unit:
        row, version = _one(unit, name)
        versions = reading.versions(unit, row.id)
    return pages.answer(
        "template_versions.html", template=row, version=version, versions=versions, tab="versions", at="templates"
    )
