"""The door: signing in and out, and what a person likes to look at."""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import Flask, current_app, redirect, request, session, url_for
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address
from werkzeug.wrappers import Response

from app.accounts import sign_in as accounts
from app.doors import anyone, house, opened_by
from app.studio import access, pages
from app.studio.blueprint import blueprint
from app.studio.languages import LANGUAGES, gettext

limiter = Limiter(get_remote_address, strategy="sliding-window-counter", headers_enabled=True, swallow_errors=True)


def limit(app: Flask) -> None:
    """Count tries in Redis, so that all web processes count together."""
    url = str(app.extensions["percorso"].settings.redis_url)
    app.config.setdefault("RATELIMIT_STORAGE_URI", f"redis+{url}" if url.startswith("unix://") else url)
    app.config.setdefault("RATELIMIT_KEY_PREFIX", "percorso:studio")
    limiter.init_app(app)


def _address_tried() -> str:
    return request.form.get("email", "").strip().lower()[:200] or "nobody"


def _refused(response: Response) -> bool:
    """Only tries that fail are counted."""
    return response.status_code == 422


def safe_next(target: str | None) -> str:
    """Where to go after signing in: a path of this site, nothing else."""
    if not target:
        return url_for("studio.start")
    parts = urlsplit(target)
    inside = target.startswith("/") and not target.startswith(("//", "/\\")) and not parts.scheme and not parts.netloc
    return target if inside and "\\" not in target and "\n" not in target else url_for("studio.start")


@blueprint.get("/")
@opened_by(access.signed_in)
def start() -> Response:
    """Into the person's first workspace."""
    someone = access.person()
    if someone is None or not someone.places:
        return pages.failure(403)
    chosen = someone.place(session.get("workspace", "")) or someone.places[0]
    return redirect(url_for("studio.home", workspace=chosen.slug), 303)


@blueprint.get("/sign-in")
@opened_by(anyone)
def sign_in() -> Response:
    """The form."""
    if access.person() is not None:
        return redirect(safe_next(request.args.get("next")), 303)
    return pages.answer("sign_in.html", email="", error="", next=request.args.get("next", ""))


@blueprint.post("/sign-in")
@opened_by(anyone)
@limiter.limit("20 per minute", deduct_when=_refused)
@limiter.limit("10 per 15 minutes", key_func=_address_tried, deduct_when=_refused)
def signing_in() -> Response:
    """Check the pair; one answer for whatever is wrong about it."""
    email = request.form.get("email", "")
    with house().database.system() as unit:
        mark = accounts.sign_in(unit, email, request.form.get("password", "")[:1000])
    if mark is None:
        current_app.logger.info("sign-in refused")
        error = gettext("Address and password do not go together. Check both and try again.")
        return pages.answer("sign_in.html", 422, email=email, error=error, next=request.form.get("next", ""))
    language = session.get("language")
    session.clear()
    session[access.MARK] = mark
    if language in LANGUAGES:
        session["language"] = language
    session.permanent = True
    return redirect(safe_next(request.form.get("next")), 303)


@blueprint.post("/sign-out")
@opened_by(anyone)
def sign_out() -> Response:
    """Forget who this was."""
    language = session.get("language")
    session.clear()
    if language in LANGUAGES:
        session["language"] = language
    return redirect(url_for("studio.sign_in"), 303)


@blueprint.post("/preferences")
@opened_by(anyone)
def preferences() -> Response:
    """Keep language or theme: with the person, or before signing in with the browser's session."""
    language, theme = request.form.get("language"), request.form.get("theme")
    language = language if language in LANGUAGES else None
    theme = theme if theme in pages.THEMES else None
    if language:
        session["language"] = language
    someone = access.person()
    if someone is not None and (language or theme):
        with house().database.system() as unit:
            accounts.prefer(unit, someone.id, language=language, theme=theme)
    return redirect(safe_next(request.form.get("next")), 303)
