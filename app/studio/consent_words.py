"""The marketer's words for consent and for what people may ask: states, purposes, ways, proofs, periods."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask_babel import lazy_gettext

from app.studio.words import Mark, mark

_ = lazy_gettext

CONSENT_STATES: Mapping[str, Mark] = {
    "granted": Mark(_("Given"), "good", "check"),
    "pending": Mark(_("Waits for confirmation"), "waiting", "wait"),
    "denied": Mark(_("Refused"), "still", "cross"),
    "withdrawn": Mark(_("Withdrawn"), "wrong", "suppressed"),
    "objected": Mark(_("Objected"), "wrong", "suppressed"),
    "expired": Mark(_("Expired"), "still", "history"),
}
FORM_STATES: Mapping[str, Mark] = {
    "draft": Mark(_("Not published"), "still", "set"),
    "live": Mark(_("Live"), "good", "check"),
    "closed": Mark(_("Closed"), "waiting", "pause"),
}
PURPOSES: Mapping[str, Any] = {
    "marketing": _("Marketing"),
    "profiling": _("Profiling"),
    "open_tracking": _("Open tracking"),
    "feedback": _("Feedback"),
    "third_party_sharing": _("Sharing with others"),
    "notice": _("Privacy notice read"),
}
RIGHTS: Mapping[str, Any] = {
    "export": _("A copy of the data"),
    "erasure": _("Erasure"),
}
PERIODS: Mapping[str, Any] = {
    "marketing": _("Data for marketing, after the last sign of interest"),
    "purchases": _("Details of purchases"),
    "tracks": _("Internet addresses and browsers"),
    "mails": _("Mails as they were sent"),
    "logs": _("Technical records"),
}
METHODS: Mapping[str, Any] = {
    "web": _("web form"),
    "desk_tablet": _("tablet at the desk"),
    "paper": _("on paper"),
    "phone": _("by telephone"),
    "import": _("import"),
    "api": _("reported by a system"),
    "one_click": _("one click in a mail"),
    "unsubscribe_page": _("unsubscribe page"),
    "tracking_page": _("page to stop the counting of links"),
    "preference_centre": _("preference centre"),
    "undo": _("taken back"),
    "confirm_page": _("confirmation page"),
    "complaint": _("spam complaint"),
    "staff": _("by the team"),
    "workflow": _("asked by a workflow"),
    "form_notice": _("shown on a form"),
    "expiry": _("nobody confirmed"),
    "double_opt_in": _("confirmed by mail"),
}
LEAVING: Mapping[str, Any] = {
    "too_often": _("Too many messages"),
    "not_relevant": _("Not of interest"),
    "never_asked": _("Never asked for them"),
    "other": _("Another reason"),
}
CHANNELS: Mapping[str, Any] = {
    "email": _("Mail"),
    "sms": _("SMS"),
    "whatsapp": _("WhatsApp"),
    "push": _("Push"),
}
ACCESSES: Mapping[str, Any] = {
    "proof": _("took out the proof of consent"),
    "export": _("took out all data"),
    "special": _("looked at health, diet and the like"),
    "erasure": _("erased the person"),
    "restricted": _("restricted the use"),
    "restriction ended": _("ended the restriction"),
}
SUPPRESSIONS: Mapping[str, Any] = {
    "unsubscribe": _("Unsubscribed"),
    "complaint": _("Complained of spam"),
    "hard_bounce": _("Address does not exist"),
    "soft_bounces": _("Mailbox keeps refusing"),
    "erased": _("Asked to be erased"),
    "manual": _("Added by the team"),
}
PROOF: Mapping[str, Any] = {
    "controller": _("Controller"),
    "wording": _("Words shown"),
    "wording_version": _("Version of the words"),
    "language": _("Language"),
    "notice_version": _("Privacy notice"),
    "notice_hash": _("Fingerprint of the notice"),
    "page": _("Page"),
    "ip": _("Internet address"),
    "user_agent": _("Browser"),
    "operator_id": _("Taken by"),
    "import_file": _("Import file"),
    "token_id": _("Confirmation link"),
    "message_pk": _("Message"),
    "source": _("Source"),
    "source_id": _("Source"),
    "event_id": _("Event"),
    "refusal_offered": _("Refusal was offered"),
    "confirmed": _("Step of confirmation"),
    "scan_id": _("Signed scan"),
    "guardian": _("Parent who said yes"),
    "form": _("Form"),
    "recovery_mentioned": _("Reminder of unfinished bookings mentioned"),
}


def said(purpose: str, state: str) -> Mark:
    """How a line of the ledger is shown: a privacy notice that was read is no yes, and must not look like one."""
    if purpose == "notice" and state == "granted":
        return Mark(_("Read"), "still", "eye")
    return mark(CONSENT_STATES, state)
