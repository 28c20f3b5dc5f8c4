"""What is said of a row: the verdict's reasons and what was left out, each with its cure. Data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Sentence(NamedTuple):
    """What is wrong or worth knowing, and how to mend it."""

    detail: str
    cure: str


SENTENCES: Mapping[str, Sentence] = {
    # why a row is refused
    "ragged": Sentence(
        "The row has more cells than the header, so its values stand in wrong columns.",
        "Put quotation marks around the value that holds the delimiter.",
    ),
    "nobody": Sentence(
        "Nothing says who it is: no usable address, number or id.",
        "Give an e-mail address such as name@domain, or a telephone number.",
    ),
    "child": Sentence("The person is under 14 and is not taken in.", "Take the row out of the file."),
    "erased": Sentence(
        "This person asked to be erased, and is not taken in again.",
        "Take the row out of the file. Who wants to come back signs up anew.",
    ),
    "restricted": Sentence(
        "The use of this person's data is restricted; nothing was changed but a no.",
        "Wait until the restriction has ended, or have the system that knows the person correct it.",
    ),
    # what was left out of a row that is taken in
    "left_out_email": Sentence("This is no e-mail address; it was left out.", "Write name@domain."),
    "left_out_phone": Sentence(
        "This is no telephone number; it was left out.", "Write it with its country code: +39 0323 30416."
    ),
    "left_out_language": Sentence("This is no language; it was left out.", "Write it, en, de ... or its name."),
    "left_out_country": Sentence("This is no country; it was left out.", "Write IT, DE ... or its name."),
    "left_out_zone": Sentence("This is no time zone; it was left out.", "Write Europe/Rome, Europe/Berlin ..."),
    "too_long": Sentence("The text is too long; it was left out.", "Use at most 200 characters."),
    "not_text": Sentence("The text is too long; it was left out.", "Use at most 2000 characters."),
    "not_number": Sentence("This is no number; it was left out.", "Write 1234.5 or 1.234,5."),
    "not_money": Sentence("This is no amount; it was left out.", "Write 420.00 or 420,00."),
    "not_bool": Sentence("This is neither yes nor no; it was left out.", "Write yes or no."),
    "not_date": Sentence("This is no date; it was left out.", "Write 2024-05-01."),
    "not_instant": Sentence("This is no instant; it was left out.", "Write 2024-05-01 10:00."),
    "not_list": Sentence("The list is too long; it was left out.", "Use at most 200 values."),
    "ahead": Sentence("The date lies in the future; it was left out.", "Check the order of day and month."),
    "unknown_word": Sentence("This says neither yes nor no; it counts for nothing.", "Write yes or no."),
    # permission
    "no_source": Sentence("A yes without its source permits nothing.", "Say where the person gave it."),
    "no_wording_version": Sentence(
        "A yes without the words it was given to permits nothing.", "Give the words, or their version."
    ),
    "no_date": Sentence("A yes without its date permits nothing.", "Give the date on which it was given."),
    "unconfirmed": Sentence(
        "The yes was never confirmed from the mailbox.", "Give the date of confirmation or a signed scan, or ask again."
    ),
    "kept_no": Sentence("The person has said no here; an import never lifts that.", "The person can sign up anew."),
    "suppressed": Sentence(
        "The address is suppressed; the yes was not taken over.", "Only the person's own new confirmation lifts that."
    ),
    "relay": Sentence(
        "A booking site's relay address: it serves its booking and nothing else.",
        "Ask the guest for their own address.",
    ),
    "bounced": Sentence("Mail to this address came back; it will not be written to.", "Ask for another address."),
    "no_address": Sentence("There is no address for this channel; the consent was left out.", "Give one."),
    # worth knowing
    "disposable": Sentence("A throw-away mailbox: it will soon stop taking mail.", "Ask for another address."),
}

REFUSING = frozenset({"ragged", "nobody", "child", "erased", "restricted"})
