"""The words of the public pages in English. Data."""

from __future__ import annotations

from app.signup.labels import LABELS

TEXTS: dict[str, str] = {
    "language": "Language",
    "skip": "Skip to the content",
    "notice": "Privacy notice",
    "sent_by": "Sent by {controller}",
    "service_stays": "Messages about your bookings, such as confirmations and arrival details, will still reach you.",
    # leaving
    "leave_title": "Stop these messages?",
    "leave_topic": "You are about to stop messages from {brand} about: {topic}.",
    "leave_feedback": "You are about to stop the requests for your opinion from {brand}.",
    "leave_button": "Unsubscribe",
    "leave_all_button": "Stop all news and offers",
    "left_title": "You are unsubscribed",
    "left_topic": "{brand} will no longer write to you about: {topic}.",
    "left_feedback": "{brand} will no longer ask for your opinion.",
    "left_all": "{brand} will no longer send you news, offers or requests for your opinion.",
    "left_queued": "Messages already waiting have been cancelled: {count}.",
    "already_left": "This had been done already; nothing more is needed.",
    "undo_button": "Undo",
    "undo_hint": "Was it a mistake? You can undo it for 24 hours.",
    "undo_title": "Undo your last choice?",
    "undone_title": "Undone",
    "undone": "Everything is as it was before.",
    "undo_late_title": "This can no longer be undone here",
    "undo_late": (
        "Too much time has passed, or you have chosen something else since. Your preferences show how things stand."
    ),
    "reason_title": "Would you tell us why? (optional)",
    "reason_too_often": "Too many messages",
    "reason_not_relevant": "Not of interest to me",
    "reason_never_asked": "I never asked for them",
    "reason_other": "Another reason",
    "reason_button": "Send",
    "reason_thanks": "Thank you for telling us.",
    "to_preferences": "All my preferences",
    # preferences
    "prefs_title": "What would you like to receive?",
    "prefs_for": "These are the choices for {address}.",
    "prefs_topics": "News and offers by e-mail",
    "prefs_no_topics": "There is nothing to choose from yet.",
    "prefs_other": "Other choices",
    "prefs_feedback": "Ask for my opinion after a stay",
    "prefs_feedback_hint": "At most one request and one reminder.",
    "prefs_tracking": "Let {brand} see which links I open",
    "prefs_tracking_hint": "Off unless you choose it. Without it your mails hold no trackers.",
    "prefs_language": "Language of the messages",
    "prefs_save": "Save my choices",
    "prefs_stop_title": "Stop everything",
    "prefs_stop_hint": "No more news, offers or requests for your opinion. You can come back whenever you like.",
    "saved_title": "Your choices are saved",
    "saved_nothing": "Nothing has changed.",
    "saved_on": "From now on you will receive:",
    "saved_off": "You will no longer receive:",
    "saved_confirm": "You had left before, so we ask you to confirm by a mail on its way to you:",
    "saved_language": "Messages will be in English.",
    "name_feedback": "requests for your opinion",
    "name_tracking": "counting of the links you open",
    # confirming
    "confirm_title": "Confirm your subscription",
    "confirm_text": "Press the button to receive from {brand} by e-mail (you can leave at any time):",
    "confirm_words": "What you agreed to:",
    "confirm_button": "Yes, subscribe me",
    "confirm_not_you": "If it was not you, simply close this page: without the button nothing happens.",
    "confirmed_title": "Thank you, it is confirmed",
    "confirmed": "From now on you receive from {brand}:",
    "confirmed_change": (
        "You can change your mind whenever you like, with a link at the foot of every mail or right here."
    ),
    "confirm_expired_title": "This link is no longer valid",
    "confirm_expired": (
        "It works for seven days, or you have chosen otherwise since. To subscribe, please sign up again."
    ),
    # sign-up forms
    **LABELS["en"],
    "form_closed_title": "This form is closed",
    "form_closed": "It takes no sign-ups at the moment. For anything you need, please contact us.",
    "form_thanks_title": "Thank you",
    "form_wrong": "Something is missing. Please look below.",
    "form_too_many": "Too many sign-ups came from here just now. Please try again in {minutes} minutes.",
    "form_renewed": "The form has been changed in the meantime. Please read it once more.",
    # reading
    "gone_title": "This message is no longer available",
    "gone": "It has been removed, or was never sent. For anything you need, please contact us.",
    # bad links
    # an address of the house's own
    "address_title": "Is this address yours?",
    "address_text": (
        "{email} is to be used for sending, or for test messages. Confirm only if it belongs to you or your company."
    ),
    "address_button": "Yes, confirm this address",
    "address_not_you": "If you do not know what this is about, simply close this page: nothing happens.",
    "address_done_title": "Address confirmed",
    "address_done": "{email} can be used from now on. You can close this page.",
    "bad_title": "This link does not work",
    "bad": (
        "It may have been cut off on its way. Please open it again straight from the mail, or copy the whole address."
    ),
    "bad_help": "If it still does not work, reply to the mail: a person will take care of it.",
    "incomplete_title": "Nothing has been changed",
    "incomplete": "The request was not complete. Please use the button.",
}
