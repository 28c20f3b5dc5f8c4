"""The marketer's words for what the engine calls by codes: states, reasons, phases, classes, events."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from flask_babel import lazy_gettext

from app.enrollments.decisions import ending
from app.events.catalogue import BY_NAME
from app.studio.languages import in_words

PHASES = ("awareness", "reviews", "consideration", "retention", "advocacy")

_ = lazy_gettext


class Mark(NamedTuple):
    """How a state is shown: a word, a tone (good, waiting, wrong, still), an icon."""

    word: Any
    tone: str
    icon: str
    hint: Any = ""


PHASE_NAMES: Mapping[str, Any] = {
    "awareness": _("Awareness"),
    "consideration": _("Consideration"),
    "retention": _("Retention"),
    "reviews": _("Reviews"),
    "advocacy": _("Advocacy"),
}
PHASE_HINTS: Mapping[str, Any] = {
    "awareness": _("they get to know you"),
    "consideration": _("they are making up their mind"),
    "retention": _("they have booked, they stay, they come back"),
    "reviews": _("they say how it was"),
    "advocacy": _("they tell others"),
}
CLASSES: Mapping[str, Any] = {
    "transactional": _("Service"),
    "feedback": _("Feedback"),
    "marketing": _("Marketing"),
    "consent_request": _("Consent request"),
}
CALL_STATES: Mapping[str, Mark] = {
    "waiting": Mark(_("Waiting"), "waiting", "wait"),
    "leased": Mark(_("Being made"), "still", "send"),
    "done": Mark(_("Taken"), "good", "check"),
    "failed": Mark(_("Failed"), "wrong", "cross"),
}
MESSAGE_STATES: Mapping[str, Mark] = {
    "planned": Mark(_("Planned"), "still", "clock", _("It waits for its moment.")),
    "deferred": Mark(_("Put off"), "waiting", "wait", _("It will be judged again when the obstacle has passed.")),
    "ready": Mark(_("Ready"), "still", "check", _("It was allowed and waits to be sent.")),
    "leased": Mark(_("Being sent"), "still", "send", _("A sender has taken it.")),
    "handed_over": Mark(_("Being handed over"), "still", "handed", _("Its bytes are on their way to the provider.")),
    "accepted": Mark(_("Sent"), "good", "check", _("The provider took it.")),
    "unknown": Mark(
        _("Unknown"), "wrong", "alert", _("We cannot tell whether it went out; it is not sent again by itself.")
    ),
    "refused": Mark(_("Not sent"), "waiting", "suppressed", _("A rule said no; it is never sent later.")),
    "cancelled": Mark(_("Called off"), "still", "cross", _("It was no longer wanted before it went out.")),
    "failed": Mark(_("Failed"), "wrong", "alert", _("It could not be sent.")),
}
WORKFLOW_STATES: Mapping[str, Mark] = {
    "live": Mark(_("Live"), "good", "resume"),
    "paused": Mark(_("Paused"), "waiting", "pause"),
    "draft": Mark(_("Draft"), "still", "set"),
    "archived": Mark(_("Archived"), "still", "history"),
}
BROADCAST_STATES: Mapping[str, Mark] = {
    "draft": Mark(_("Draft"), "still", "set", _("Nothing is sent until somebody confirms it.")),
    "scheduled": Mark(_("Scheduled"), "waiting", "clock", _("It begins at its hour.")),
    "sending": Mark(_("Being sent"), "good", "send", _("It goes out now, each copy through the same rules.")),
    "paused": Mark(_("Paused"), "waiting", "pause", _("Nothing of it goes out until somebody resumes it.")),
    "sent": Mark(_("Sent"), "good", "check", _("Every copy has gone out or been refused.")),
    "stopped": Mark(_("Stopped"), "wrong", "cross", _("Ended before everybody had been written to.")),
}
BOOKING_STATES: Mapping[str, Mark] = {
    "pending": Mark(_("Pending"), "waiting", "wait"),
    "confirmed": Mark(_("Confirmed"), "good", "check"),
    "checked_in": Mark(_("In the house"), "good", "entry"),
    "checked_out": Mark(_("Stayed"), "still", "exit"),
    "cancelled": Mark(_("Cancelled"), "still", "cross"),
    "no_show": Mark(_("Did not come"), "wrong", "alert"),
    "placed": Mark(_("Placed"), "good", "check"),
    "shipped": Mark(_("Shipped"), "good", "send"),
    "delivered": Mark(_("Delivered"), "good", "check"),
    "abandoned": Mark(_("Left unfinished"), "waiting", "wait"),
}
ENROLLMENT_STATES: Mapping[str, Mark] = {
    "active": Mark(_("Inside"), "good", "people"),
    "finished": Mark(_("Finished"), "still", "check"),
    "exited": Mark(_("Left"), "still", "exit"),
}
STANDINGS: Mapping[str, Mark] = {
    **ENROLLMENT_STATES,
    "refused": Mark(_("Did not enter"), "waiting", "info"),
    "never": Mark(_("Nothing that starts it was recorded"), "still", "clock"),
}
DELIVERY: Mapping[str, Mark] = {
    "accepted": Mark(_("The provider took it"), "good", "check"),
    "delivered": Mark(_("It reached the mailbox"), "good", "check"),
    "deferred": Mark(_("The mailbox said: later"), "waiting", "wait"),
    "bounced": Mark(_("It came back"), "wrong", "bounce"),
    "complained": Mark(_("The reader called it spam"), "wrong", "complaint"),
    "opened": Mark(_("The reader opened it"), "good", "eye"),
    "clicked": Mark(_("The reader followed a link"), "good", "click"),
    "opened_machine": Mark(_("A machine opened it"), "still", "eye"),
    "clicked_machine": Mark(_("A machine followed a link"), "still", "click"),
    "opened_unsettled": Mark(_("Opened; it is not clear yet by whom"), "still", "eye"),
    "clicked_unsettled": Mark(_("A link was followed; it is not clear yet by whom"), "still", "click"),
    "unsubscribed": Mark(_("The reader unsubscribed by its link"), "waiting", "suppressed"),
    "rejected": Mark(_("The provider refused it"), "wrong", "cross"),
    "unknown": Mark(_("A report we could not read"), "waiting", "alert"),
}
ROLES: Mapping[str, Any] = {
    "owner": _("Owner"),
    "marketer": _("Marketer"),
    "front_desk": _("Front desk"),
    "analyst": _("Analyst"),
    "privacy_officer": _("Privacy officer"),
}
REASONS: Mapping[str, Any] = {
    "no_consent": _("there is no consent"),
    "pending": _("consent is not confirmed yet"),
    "denied": _("consent was refused"),
    "withdrawn": _("consent was withdrawn"),
    "objected": _("the person objected to marketing"),
    "expired": _("consent has expired"),
    "no_proof": _("the consent has no proof"),
    "no_topic": _("it has no topic"),
    "recovery_not_email": _("a reminder of something unfinished goes by e-mail only"),
    "recovery_refused": _("marketing was refused, so nothing unfinished is recalled"),
    "recovery_no_notice": _("no notice told of a reminder of something unfinished"),
    "recovery_too_soon": _("it was left only just now"),
    "recovery_too_late": _("it was left more than a day ago"),
    "recovery_sent": _("it has been recalled once already"),
    "topic_off": _("not subscribed to this topic"),
    "no_stay": _("there was no completed stay"),
    "feedback_limit": _("already asked about this stay"),
    "not_pending": _("no confirmation is awaited"),
    "asked_enough": _("asked to confirm often enough"),
    "suppressed": _("the address is suppressed"),
    "no_address": _("there is no address"),
    "no_sender": _("nothing can be sent over this channel here"),
    "no_channel": _("none of its channels is open"),
    "closed_day": _("a Sunday, a holiday or another closed day"),
    "broadcast_stopped": _("the broadcast was stopped"),
    "relay_address": _("it is a booking site's relay address"),
    "relay_expired": _("the booking site's relay address has expired"),
    "minor": _("the person is under 14"),
    "frozen": _("processing is restricted"),
    "erased": _("the person was erased"),
    "cap": _("enough messages for now"),
    "outranked": _("a more important message goes first"),
    "own_pause": _("the person asked for a pause"),
    "own_pace": _("the person wants one message a month at most"),
    "quiet_hours": _("quiet hours"),
    "too_late": _("too late to be of use"),
    "exited": _("left the workflow"),
    "holdout": _("kept out for comparison"),
    "paused": _("this kind of mail is paused"),
    "domain_unproven": _("its sender domain is not in order yet"),
    "warm_up": _("its sender domain is warming up"),
    "throttled": _("its mailbox provider takes no more just now"),
    "workflow_paused": _("the workflow is paused"),
    "missing_field": _("a field of the template is missing"),
    "no_template": _("the template is not published"),
    "exhausted": _("all tries were used up"),
    "permanent": _("the mailbox refused it"),
    "lost": _("no answer after hand-over"),
    "empty": _("nothing was left to say"),
}
FOUND: Mapping[str, Any] = {
    "reachable": _("The person may be written to"),
    "own_address": _("The address is the person's own"),
    "channel_chosen": _("The first of its channels that is open"),
    "relay_in_use": _("A booking site's relay address, still in use"),
    "contract": _("It serves the booking: no consent needed"),
    "consent": _("There is consent"),
    "soft_opt_in": _("Soft opt-in: a sale, a notice, and no refusal"),
    "recovery": _("One reminder of something unfinished, of which the notice told"),
    "legitimate_interest": _("Legitimate interest, after a completed stay"),
    "sign_up": _("It asks to confirm a sign-up"),
    "not_suppressed": _("The address is not suppressed"),
    "topic_on": _("Subscribed to the topic"),
    "no_topic_needed": _("It needs no topic"),
    "not_held_out": _("Not kept out for comparison"),
    "still_inside": _("Still inside the workflow"),
    "in_time": _("Still in time"),
    "stream_open": _("This kind of mail is not paused"),
    "cap_exempt": _("The cap does not count this kind of mail"),
    "under_cap": _("Not too many messages"),
    "quiet_exempt": _("Quiet hours do not bind this kind of mail"),
    "open_hours": _("Outside quiet hours"),
}
CHECKS: Mapping[str, Any] = {
    "sender": _("Channel"),
    "channel": _("Channel"),
    "person": _("Person"),
    "address": _("Address"),
    "basis": _("Lawful basis"),
    "suppression": _("Suppression"),
    "topic": _("Topic"),
    "holdout": _("Comparison group"),
    "exit": _("Workflow"),
    "latest": _("In time"),
    "stream": _("Pause"),
    "sender_domain": _("Sender's domain"),
    "pace": _("Pace of the mailbox provider"),
    "cap": _("Frequency"),
    "quiet_hours": _("Quiet hours"),
}
INPUTS: Mapping[str, Any] = {
    "tried": _("Tried before"),
    "counts": _("Limit on"),
    "on_hit": _("One too many"),
    "workflow": _("Workflow"),
    "channel": _("Channel"),
    "topic": _("Topic"),
    "line": _("Ledger line"),
    "at": _("When"),
    "method": _("How"),
    "latest": _("Never after"),
    "day": _("Today"),
    "week": _("In 7 days"),
    "month": _("In 30 days"),
    "limits": _("Most allowed"),
    "ahead": _("More important ones waiting"),
    "zone": _("Time zone"),
    "zones": _("Time zones"),
    "from": _("Quiet from"),
    "to": _("Quiet until"),
    "opens": _("Opens again"),
    "reason": _("Reason"),
    "scope": _("Reaches"),
    "class": _("Class"),
    "purpose": _("Purpose"),
    "soft_opt_in": _("Soft opt-in"),
    "last_day": _("Last day"),
    "before": _("Sent before"),
    "limit": _("Most allowed"),
    "full": _("Full"),
    "state": _("State"),
    "why": _("Why"),
    "assessment": _("Assessment"),
    "experiment": _("Comparison"),
    "domain": _("Domain"),
    "provider": _("Mailbox provider"),
    "plan_day": _("Day of the plan"),
    "allowed": _("Allowed today"),
    "sent": _("Sent today"),
}
BASES: Mapping[str, Any] = {
    "consent": _("consent"),
    "soft_opt_in": _("soft opt-in after a sale"),
    "recovery": _("one reminder of something unfinished"),
    "contract": _("contract: it serves the booking"),
    "legal": _("legal duty"),
    "legitimate_interest": _("legitimate interest"),
}
VISITS: Mapping[str, Any] = {
    "entered": _("Entered the workflow"),
    "waiting": _("Waits"),
    "waited": _("Waited"),
    "exited": _("Left the workflow"),
    "finished": _("Came to the end"),
    "goal": _("Reached the goal"),
    "goal_lost": _("The goal was taken back"),
    "refreshed": _("Entered again while inside: kept going"),
}
NAVIGATION: Mapping[str, Any] = {
    "home": _("Home"),
    "workflows": _("Workflows"),
    "templates": _("Templates"),
    "contacts": _("Audience"),
    "broadcasts": _("Broadcasts"),
    "messages": _("Messages"),
    "task_list": _("Tasks"),
    "ledger": _("Consent"),
    "settings": _("Settings"),
}
THEMES: Mapping[str, Any] = {"light": _("Light"), "dark": _("Dark"), "auto": _("Auto")}
STEP_KINDS: Mapping[str, Any] = {
    "send": _("Send"),
    "wait": _("Wait"),
    "wait_for": _("Wait for"),
    "branch": _("Branch"),
    "split": _("Split"),
    "repeat": _("Repeat"),
    "set": _("Set"),
    "emit": _("Event"),
    "webhook": _("Call out"),
    "start": _("Start another workflow"),
    "stop": _("Stop another workflow"),
    "task": _("Task"),
    "consent": _("Ask for consent"),
    "exit": _("Exit"),
}
SCOPES: Mapping[str, Any] = {
    "events:write": _("report events"),
    "contacts:read": _("read contacts and bookings"),
    "contacts:write": _("create and change contacts"),
    "messages:read": _("read messages and their reasons"),
    "workflows:start": _("start workflows for a person"),
    "tasks:read": _("read tasks"),
    "tasks:write": _("tick off tasks"),
}
TEAMS: Mapping[str, Any] = {
    "front_desk": _("Front desk"),
    "reservations": _("Reservations"),
    "housekeeping": _("Housekeeping"),
    "marketing": _("Marketing"),
    "management": _("Management"),
}
STOPPED: Mapping[str, Any] = {
    "failing": _("nothing was taken for days"),
    "gone": _("the other side wants no more calls"),
    "by_hand": _("switched off by hand"),
}
CALL_OUTCOMES: Mapping[str, Any] = {
    "ok": _("taken"),
    "refused": _("refused"),
    "gone": _("wants no more calls"),
    "redirect": _("answered with a redirect, which is not followed"),
    "timeout": _("no answer in time"),
    "unreachable": _("not reached"),
    "blocked": _("this address must not be called"),
    "unknown": _("cannot be told: we stopped before the answer"),
    "stopped": _("not called: the endpoint is off or missing"),
    "not_shared": _("not called: the person has not agreed to sharing"),
    "restricted": _("not called: the use of this person's data is restricted"),
}
FALLBACK = Mark("", "still", "info")


def mark(table: Mapping[str, Mark], code: str | None) -> Mark:
    """How a state is shown; an unlisted one by its own name."""
    return table.get(code or "", FALLBACK._replace(word=(code or "–").replace("_", " ")))


def name(table: Mapping[str, Any], code: str | None) -> Any:
    """A code in words; an unlisted one by its own name."""
    if code is None:
        return "–"
    return table.get(code) or code.replace("_", " ").replace(".", " ")


def team(code: str) -> str:
    """Whose work a task is; a team of the author's own by the name it was given."""
    said = str(name(TEAMS, code))
    return said[:1].upper() + said[1:]


def call(outcome: str | None) -> str:
    """What came of a call out, with the status if there was an answer (`refused 503`)."""
    code, _space, status = (outcome or "").partition(" ")
    return f"{name(CALL_OUTCOMES, code)} {status}".strip() if code else ""


def event(type_: str) -> str:
    """An event's title, as the catalogue has it."""
    kind = BY_NAME.get(type_)
    return in_words(kind.title, type_) if kind else type_


def visit(code: str) -> str:
    """A decision at a step that brought no sentence of its own."""
    return str(name(VISITS, code))


def check(given: Mapping[str, Any]) -> str:
    """One check of the gate, in a sentence."""
    code = str(given.get("code") or "")
    if given.get("allowed"):
        return str(FOUND.get(code) or name(CHECKS, given.get("check")))
    return reason(code)


def reason(code: str | None) -> str:
    """Why something was not sent, as a sentence of its own."""
    said = str(name(REASONS, code))
    return said[:1].upper() + said[1:]


def ended(code: str) -> str:
    """Why a passage is over: an event's title, or the reason as its author wrote it."""
    said = in_words(ending(code), code)
    return said[:1].upper() + said[1:]
