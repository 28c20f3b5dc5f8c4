"""The marketer's words for imports: what a column can mean, what became of a row, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flask_babel import lazy_gettext

from app.imports.columns import CHANNELS, PROOFS, Known, Reading, consent_of
from app.studio.words import Mark

_ = lazy_gettext

STATES: Mapping[str, Mark] = {
    "uploaded": Mark(_("Waits for its columns"), "waiting", "set"),
    "checking": Mark(_("Being checked"), "waiting", "wait"),
    "checked": Mark(_("Checked"), "waiting", "check"),
    "taking": Mark(_("Being imported"), "waiting", "wait"),
    "done": Mark(_("Imported"), "good", "check"),
    "undoing": Mark(_("Being undone"), "waiting", "wait"),
    "undone": Mark(_("Undone"), "still", "back-came"),
    "discarded": Mark(_("Thrown away"), "still", "cross"),
}
VERDICTS: Mapping[str, Any] = {
    "new": _("New people"),
    "changed": _("Known, with something new"),
    "same": _("Known, nothing new"),
    "repeat": _("Rows about somebody from an earlier row"),
    "refused": _("Rows left out"),
}
VERDICT_OF_ROW: Mapping[str, Mark] = {
    "new": Mark(_("New"), "good", "plus"),
    "changed": Mark(_("Something new"), "good", "set"),
    "same": Mark(_("Nothing new"), "still", "check"),
    "repeat": Mark(_("Same person again"), "still", "copy"),
    "refused": Mark(_("Left out"), "wrong", "cross"),
}
PERMISSIONS: Mapping[str, Any] = {
    "granted": _("may get marketing mail: their yes has its proof"),
    "pending": _("have to confirm first: their yes was never confirmed"),
    "as_before": _("stay as they were: their permission is known already"),
    "refused": _("have said no: that is recorded and kept"),
    "kept_no": _("stay without marketing: an earlier no, which no import lifts"),
    "service_only": _("get service mail only: no yes, or one without its proof"),
}
UNDONE: Mapping[str, Any] = {
    "removed": _("people removed whom only this import brought"),
    "kept": _("people kept, since something has happened with them"),
    "restored": _("people given back what was known of them before"),
    "newer": _("fields kept, since somebody has said something newer"),
    "ended": _("permissions ended by a new line of the ledger"),
    "standing": _("permissions that stand, as they were given elsewhere too"),
    "refusals": _("refusals that stay: no system takes back a no"),
}
MEANINGS: Mapping[str, Any] = {
    "email": _("E-mail address"),
    "phone": _("Telephone"),
    "first_name": _("First name"),
    "last_name": _("Last name"),
    "full_name": _("First and last name"),
    "language": _("Language"),
    "country": _("Country"),
    "zone": _("Time zone"),
    "external_id": _("Your id of the person"),
    "tags": _("Tags"),
    "refused": _("Unsubscribed (a date, or yes)"),
    "changed_at": _("Last changed at"),
}
TYPES: Mapping[str, Any] = {
    "text": _("text"),
    "number": _("number"),
    "money": _("amount of money"),
    "bool": _("yes or no"),
    "date": _("date"),
    "instant": _("date and time"),
    "list": _("several values"),
}
PROOF: Mapping[str, Any] = {
    "source": _("Where the yes was given"),
    "collected_by": _("How it was given"),
    "wording": _("Words it was given to"),
    "wording_version": _("Version of the words"),
    "language": _("Language of the words"),
    "requested_at": _("When it was given"),
    "confirmed_at": _("When it was confirmed by mail"),
    "scan_id": _("Number of the signed scan"),
    "page": _("Page or form"),
    "ip": _("Internet address"),
    "confirmed_ip": _("Internet address of the confirmation"),
    "user_agent": _("Browser"),
    "notice_version": _("Privacy notice"),
    "controller": _("Controller"),
    "operator_id": _("Taken by"),
}
CHANNEL_NAMES: Mapping[str, Any] = {"email": _("by mail"), "sms": _("by SMS"), "whatsapp": _("by WhatsApp")}
PURPOSE_NAMES: Mapping[str, Any] = {
    "marketing": _("all marketing"),
    "profiling": _("profiling"),
    "feedback": _("asking for opinions"),
}
NOTES: Mapping[str, Any] = {
    "ragged": _("More cells than the header has: put quotation marks around the value that holds the delimiter."),
    "nobody": _("Nothing says who it is: give an e-mail address or a telephone number."),
    "child": _("The person is under 14 and is not taken in."),
    "erased": _("This person asked to be erased. Who wants to come back signs up anew."),
    "restricted": _("The use of this person's data is restricted. Nothing was changed but a no."),
    "left_out_email": _("This is no e-mail address and was left out. Write name@domain."),
    "left_out_phone": _("This is no telephone number and was left out. Write it with its country code."),
    "left_out_language": _("This is no language and was left out. Write it, en, de or its name."),
    "left_out_country": _("This is no country and was left out. Write IT, DE or its name."),
    "left_out_zone": _("This is no time zone and was left out. Write Europe/Rome."),
    "too_long": _("The text is too long and was left out: at most 200 characters."),
    "not_text": _("The text is too long and was left out: at most 2000 characters."),
    "not_number": _("This is no number and was left out."),
    "not_money": _("This is no amount and was left out. Write 420.00 or 420,00."),
    "not_bool": _("This is neither yes nor no and was left out."),
    "not_date": _("This is no date and was left out. Write 2024-05-01."),
    "not_instant": _("This is no date with its time and was left out. Write 2024-05-01 10:00."),
    "not_list": _("Too many values; they were left out."),
    "ahead": _("The date lies in the future and was left out. Is it day and month, or month and day?"),
    "unknown_word": _("This says neither yes nor no, and counts for nothing."),
    "no_source": _("A yes without its source permits nothing: say where it was given."),
    "no_wording_version": _("A yes without the words it was given to permits nothing: give them, or their version."),
    "no_date": _("A yes without its date permits nothing: give the date."),
    "unconfirmed": _("The yes was never confirmed from the mailbox, and permits nothing until it is."),
    "kept_no": _("The person has said no here. No import lifts that."),
    "suppressed": _("The address is suppressed. Only the person's own new confirmation lifts that."),
    "relay": _("A booking site's relay address: it serves its booking and nothing else."),
    "bounced": _("Mail to this address came back; it will not be written to."),
    "no_address": _("No address for this channel; the consent was left out."),
    "disposable": _("A throw-away mailbox: it will soon stop taking mail."),
}
UNREADABLE: Mapping[str, Any] = {
    "none": _("Choose a file first."),
    "empty": _("The file is empty."),
    "no_rows": _("There is a header and no row below it."),
    "too_large": _("The file is larger than %(limit)s MB. Split it and import the parts one after another."),
    "too_many_rows": _("The file has more than %(limit)s rows. Split it and import the parts one after another."),
    "too_many_columns": _("The file has more than %(limit)s columns. Remove those that are not needed."),
    "no_table": _("No table was found in it. Save the list as CSV or Excel (.xlsx)."),
    "broken_book": _("The workbook cannot be opened. Save it anew as .xlsx, without a password."),
    "unpacks_too_large": _("The workbook unpacks to more than %(limit)s MB. Save the sheet as CSV."),
    "broken_line": _("Line %(line)s cannot be read: a quotation mark is opened there and never closed."),
    "binary": _("This is no list of contacts: the file holds no text. Save it as CSV or Excel (.xlsx)."),
}
PROBLEMS: Mapping[str, Any] = {
    "nobody": _("No column says who it is. Choose the one with e-mail addresses, telephone numbers or your ids."),
    "twice": _("Two columns mean the same. Leave one of them out."),
    "unknown": _("This is nothing a column can be."),
    "child": _("Of a child neither name nor age nor birth date is imported."),
    "friend": _("A friend's data is not imported: give your guest a link to share."),
    "special": _("Health, diet, religion and the like are not imported; they belong to a stay."),
    "bad_key": _("The column's name gives no short name for an attribute. Choose something else."),
    "bad_type": _("Choose a type."),
    "no_topic": _("This topic is not there any more."),
    "no_property": _("This property is not there any more."),
    "too_long": _("This is too long."),
}
REFUSED: Mapping[str, Any] = {
    "working": _("It is being worked on. Wait until that is done."),
    "not_checked": _("Let it be checked first."),
    "not_done": _("Nothing of it has been imported."),
    "forgotten": _("It could be undone for 30 days; they are over."),
    "begun": _("It has been imported already."),
}


def meaning(code: str, header: str = "") -> str:
    """What a column is taken for, in words."""
    kind, _colon, rest = code.partition(":")
    if kind == "proof":
        return str(PROOF.get(rest, rest))
    if kind == "attribute":
        return rest.replace("_", " ")
    if kind == "consent":
        found = consent_of(code)
        if found is None:
            return code
        channel, purpose, topic = found
        return f"{topic or PURPOSE_NAMES[purpose]}, {CHANNEL_NAMES[channel]}"
    return str(MEANINGS.get(code, code or header))


def choices(here: Known, reading: Reading) -> Sequence[tuple[Any, Sequence[tuple[str, Any]]]]:
    """Everything a column can be taken for, in groups: the value of the choice and its words."""
    known = sorted(key for key in here.types if key not in here.special)
    new = sorted({one.removeprefix("attribute:") for one in reading.columns if one.startswith("attribute:")} - {*known})
    attributes = [(f"attribute:{key}", key.replace("_", " ")) for key in known]
    attributes += [
        (f"attribute:{key}", f"{key.replace('_', ' ')} ({TYPES[reading.types.get(key, 'text')]})") for key in new
    ]
    return (
        (_("The person"), [(code, MEANINGS[code]) for code in MEANINGS if code not in {"refused", "changed_at"}]),
        (_("Attributes"), attributes),
        (_("A new attribute, named like the column"), [(f"new:{type_}", word) for type_, word in TYPES.items()]),
        (
            _("What the person has said"),
            [*((code, meaning(code)) for code in consents(here)), ("refused", MEANINGS["refused"])],
        ),
        (_("Proof of it"), [(f"proof:{name}", PROOF[name]) for name in PROOFS]),
        (_("The row"), [("changed_at", MEANINGS["changed_at"])]),
    )


def consents(here: Known) -> list[str]:
    """Every consent a column can speak of."""
    found = []
    for channel in CHANNELS:
        found += [f"consent:{channel}:marketing/{topic}" for topic in here.topics]
        found += [f"consent:{channel}:{purpose}" for purpose in PURPOSE_NAMES]
    return found


STATED = ("source", "collected_by", "wording", "wording_version")
"""Proof that the form asks for once for the whole file."""
