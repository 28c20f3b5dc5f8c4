"""Leaving the counting of links alone: its own link stands in every mail whose links are counted (R14).

News and offers go on; what is taken back is that anybody sees which links the person opens.
"""

from __future__ import annotations

from werkzeug.wrappers import Response

from app.doors import anyone, house, opened_by
from app.messages import choices
from app.messages.choices import Leaving, Wish
from app.subscriber.pages import blueprint, page, visit, voice
from app.subscriber.preferences import undoing
from app.subscriber.standing import stands, switches


@blueprint.get("/t/<token>")
@opened_by(anyone)
def ask_to_stop_tracking(token: str) -> Response:
    """A page with one button; it changes nothing (scanners follow links)."""
    with visit("tracking", token) as found:
        here, preferences = found.url("tracking"), found.url("preferences")
        return page("untrack", found.visitor, found.language, here=here, preferences_url=preferences)


@blueprint.post("/t/<token>")
@opened_by(anyone)
def stop_tracking(token: str) -> Response:
    """Take the consent to counting back, and nothing else. A second press says the same and writes nothing."""
    now = house().clock.now()
    with visit("tracking", token) as found:
        visitor, language = found.visitor, found.language
        said = voice("tracking_page", language, visitor)
        wish = Wish("open_tracking", None, False)
        chosen = choices.leave(found.session, [Leaving(visitor.person, (wish,), said, now)], now)[0]
        return page(
            "untracked",
            visitor,
            language,
            chosen=chosen,
            **stands(visitor, switches(found.session, visitor, language), language, now),
            **undoing(found, visitor, visitor, chosen),
            preferences_url=found.url("preferences"),
        )
