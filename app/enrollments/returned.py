"""What a provider did with a message and what came back of it, told in English and Italian. No query, no Flask."""

from __future__ import annotations

from typing import Any

from app.enrollments.decisions import Decision, Link
from app.journey.sentences import both

_ATTEMPTS = {
    "accepted": ("The provider took it", "Il fornitore l'ha accettato"),
    "transient": ("The provider said: later", "Il fornitore ha risposto: più tardi"),
    "permanent": ("The provider refused it for good", "Il fornitore l'ha rifiutato definitivamente"),
    "unknown": (
        "We cannot tell whether the provider took it; it is not sent again by itself",
        "Non sappiamo se il fornitore l'ha accettato; non viene inviato di nuovo da solo",
    ),
}


def attempted(attempt: Any, message: Any) -> Decision:
    """One try to hand a message over."""
    english, italian = _ATTEMPTS.get(attempt.outcome, (attempt.outcome, attempt.outcome))
    if attempt.transport == "capture" and attempt.outcome == "accepted":
        english, italian = "Kept in the outbox instead of being sent", "Conservato nella posta in uscita, non inviato"
    told = "" if attempt.transport == "capture" else " ".join(part for part in (attempt.code, attempt.detail) if part)
    if told:
        english, italian = f"{english} ({told})", f"{italian} ({told})"
    inputs = {"message": message.id, "number": attempt.number, "transport": attempt.transport, "code": attempt.code}
    return Decision(
        attempt.at,
        "delivery",
        attempt.outcome,
        both(english, italian),
        {name: value for name, value in inputs.items() if value is not None},
        None,
        Link("message", message.id),
        passage=message.enrollment_id,
        step=message.step_id or "",
    )


_RETURNED = {
    "accepted": ("The provider took it", "Il fornitore l'ha accettato"),
    "delivered": ("It reached the mailbox", "È arrivato nella casella"),
    "deferred": ("The mailbox said: later", "La casella ha risposto: più tardi"),
    "bounced": ("It came back", "È tornato indietro"),
    "complained": ("The reader called it spam", "Chi l'ha letto l'ha segnalato come spam"),
    "opened": ("The reader opened it", "Chi l'ha ricevuto l'ha aperto"),
    "clicked": ("The reader followed a link", "Chi l'ha letto ha seguito un link"),
    "unsubscribed": ("The reader unsubscribed by its link", "Chi l'ha letto si è disiscritto dal link"),
    "rejected": ("The provider refused it", "Il fornitore l'ha rifiutato"),
    "unknown": ("A report we could not read", "Una notifica che non abbiamo saputo leggere"),
}


_BY_MACHINE = {
    "clicked": ("A machine followed a link", "Una macchina ha seguito un link"),
    "opened": ("A machine opened it", "Una macchina l'ha aperto"),
}
_UNSETTLED = {
    "clicked": (
        "A link was followed; in some seconds it is clear by whom",
        "Un link è stato seguito; tra pochi secondi si saprà da chi",
    ),
    "opened": (
        "It was opened; within a minute it is clear by whom",
        "È stato aperto; entro un minuto si saprà da chi",
    ),
}
_WHY_MACHINE = {
    "told": ("the provider says so", "lo dice il fornitore"),
    "hidden_link": ("a link that no reader sees", "un link che nessun lettore vede"),
    "beside_hidden": (
        "at the same time it followed a link that no reader sees",
        "nello stesso momento ha seguito un link che nessun lettore vede",
    ),
    "method": ("it asked for no page", "non ha chiesto alcuna pagina"),
    "no_agent": ("it does not say what program it is", "non dice che programma sia"),
    "agent": ("it says itself that it is no browser", "dice da sé di non essere un browser"),
    "image_proxy": (
        "the mail program fetched the pictures, whoever looked or did not",
        "il programma di posta ha scaricato le immagini, che qualcuno guardasse o no",
    ),
    "burst": ("several links of the mail within seconds", "più link del messaggio in pochi secondi"),
    "too_soon": ("within seconds of delivery", "pochi secondi dopo la consegna"),
    "opened_at_once": (
        "within a minute of delivery, and nothing followed",
        "entro un minuto dalla consegna, e poi più nulla",
    ),
}
"""Code of `delivery.engagement.WHY` → words."""


def returned(event: Any, message: Any) -> Decision:
    """What became of a message. Opens and clicks of machines are told as such: they count nowhere."""
    data = event.data or {}
    code, (english, italian) = event.kind, _RETURNED.get(event.kind, (event.kind, event.kind))
    about = [str(part) for part in (event.reason, data.get("url")) if part]
    in_italian = list(about)
    inputs = {"message": message.id, "reason": event.reason, "provider": event.provider}
    if event.kind in _BY_MACHINE and data.get("class", "human") != "human":
        unsettled = data["class"] == "unsettled"
        code = f"{event.kind}_{'unsettled' if unsettled else 'machine'}"
        english, italian = (_UNSETTLED if unsettled else _BY_MACHINE)[event.kind]
        if why := _WHY_MACHINE.get(str(data.get("why"))):
            about, in_italian = [why[0], *about], [why[1], *in_italian]
        inputs |= {"class": data["class"], "why": data.get("why"), "user_agent": data.get("user_agent")}
    if about:
        english, italian = f"{english}: {' · '.join(about)}", f"{italian}: {' · '.join(in_italian)}"
    return Decision(
        event.occurred_at,
        "returned",
        code,
        both(english, italian),
        {name: value for name, value in inputs.items() if value is not None or name == "reason"},
        None,
        Link("message", message.id),
        passage=message.enrollment_id,
        step=message.step_id or "",
    )
