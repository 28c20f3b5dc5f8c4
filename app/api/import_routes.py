"""The routes of lists under /api/v1."""

from __future__ import annotations

import hashlib

from flask import Response, request

from app.api import importing, pages, receiving
from app.api.bodies import unfit
from app.api.offering import body, json, kept, offered, unit
from app.api.problems import ProblemError
from app.imports.files import LARGEST
from app.imports.models import VERDICTS

MORE = 1024 * 1024
"""Bytes of a request beside its file."""


@offered
def get_imports() -> Response:
    """The imports."""
    asked = pages.wanted(int)
    with unit() as session:
        return json(pages.page(importing.listed(session, asked), asked, importing.shown, importing.key))


@offered
def post_import() -> Response:
    """Hand a list in and begin its dry run."""
    if request.mimetype != "multipart/form-data":
        raise ProblemError("unsupported-media-type", "Send the file as multipart/form-data.")
    # A file may be larger than other requests; whoever sends it is known by now.
    request.max_content_length = LARGEST + MORE
    given = request.files.get("file")
    if given is None or not given.filename:
        raise unfit("/file", "There is no file.", "Send it as the part `file`, with its name.")
    name = given.filename
    with given.stream as held:
        content = held.read()
    try:
        mapping = receiving.read_json(request.form.get("mapping", "{}").encode())
    except ProblemError as error:
        raise unfit("/mapping", error.detail, "Send JSON, as MappingIn describes.") from None
    asked = ("import", [name, hashlib.sha256(content).hexdigest(), mapping])
    return kept(asked, lambda session, by, now: importing.received(session, name, content, mapping, by, now))


@offered
def get_import(number: str) -> Response:
    """One import."""
    with unit() as session:
        return json(importing.told(session, importing.one_of(session, number)))


@offered
def get_import_rows(number: str) -> Response:
    """Its rows with their verdicts."""
    asked, verdict = pages.wanted(int), pages.one_of("verdict", VERDICTS)
    with unit() as session:
        rows = importing.rows_of(session, importing.one_of(session, number), asked, verdict)
        return json(pages.page(rows, asked, importing.shown_row, importing.row_key))


@offered
def post_import_confirm(number: str) -> Response:
    """Take it in."""
    given = body()
    return kept(
        (request.path, given),
        lambda session, _by, now: importing.confirmed(session, importing.one_of(session, number), given, now),
    )


@offered
def post_import_undo(number: str) -> Response:
    """Take it back."""
    return kept(
        (request.path, None),
        lambda session, _by, now: importing.undone(session, importing.one_of(session, number), now),
    )
