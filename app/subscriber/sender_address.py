"""Whether an address is somebody's own: a landing page with a button, for senders and for addresses of test mails (R24,
R64). Who presses it holds the mailbox."""

from __future__ import annotations

from flask import request
from werkzeug.wrappers import Response

from app.delivery import identities
from app.doors import anyone, house, opened_by
from app.messages.links import BadTokenError
from app.subscriber.pages import bad_link, blueprint, language_of, page, unit


@blueprint.route("/a/<token>", methods=["GET", "POST"])
@opened_by(anyone)
def confirm_address(token: str) -> Response:
    """GET asks, POST verifies; a second press says the same and changes nothing."""
    try:
        workspace_id, kind, number, mark = identities.read(house().settings, token)
    except (BadTokenError, ValueError):
        return bad_link()
    with unit(workspace_id) as session:
        found = identities.of_token(session, kind, number, mark)
        if found is None:
            return bad_link()
        if request.method == "POST":
            identities.verify(found, house().clock.now())
        done, email = found.verified_at is not None, found.email
    return page("address", None, language_of(None), email=email, done=done)
