"""The marketing stream: near a limit, paused by itself, and started again by a person with a reason (R38)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flask import g, request
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from app.doors import opened_by
from app.messages import streams
from app.messages.streams import Act
from app.studio import access, pages
from app.studio.blueprint import HERE, blueprint
from app.studio.languages import gettext

_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Standing:
    """How the streams stand."""

    paused: Mapping[str, str]
    warned: Mapping[str, str]
    acts: Sequence[Act]
    """The newest."""
    wrong: str = ""
    """What is wrong with the reason that was given."""


def standing(unit: Session, wrong: str = "") -> Standing:
    """How they stand now; two queries, or five."""
    return Standing(streams.paused(unit), streams.warnings(unit, pages.now()), streams.acts(unit)[:_SHOWN], wrong)


@blueprint.route(f"{HERE}/broadcasts/stream/resume", methods=["GET", "POST"])
@opened_by(access.role("owner", "marketer"))
def stream_resume() -> Response:
    """Start the marketing stream again, with what has been done about what stopped it. The button is on the list."""
    if request.method == "GET":
        return pages.gone_to("studio.broadcasts")
    reason = request.form.get("reason", "").strip()[:500]
    with pages.unit() as unit:
        resumed = bool(reason) and streams.resume(unit, pages.now(), g.person.name, reason)
        shown = standing(unit, "" if reason else gettext("Say what has been done about it; it is kept."))
    if not reason:
        return pages.answer("stream.html", 422, standing=shown, at="broadcasts")
    if resumed:
        pages.tell(gettext("Marketing goes out again. What was reported before now is not held against it any more."))
    return pages.gone_to("studio.broadcasts")
