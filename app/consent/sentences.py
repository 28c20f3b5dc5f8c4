"""Every code of a decision in words, English and Italian. Data, and one function. Pure.

Said to the people who work here, beside the rule's number; the inputs fill the gaps.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SENTENCES: dict[str, tuple[str, str]] = {
    "no_sender": (
        "There is no sender for {channel}: this house cannot send over it.",
        "Non c'è un mittente per {channel}: da qui non si può inviare.",
    ),
    "channel_chosen": (
        "It goes over {channel}; tried before: {tried}.",
        "Parte tramite {channel}; provati prima: {tried}.",
    ),
    "no_channel": (
        "None of its channels is open: {tried}.",
        "Nessuno dei suoi canali è percorribile: {tried}.",
    ),
    "closed_day": (
        "It is a Sunday, a public holiday or another closed day for this channel ({zones}).",
        "È domenica, un giorno festivo o un altro giorno chiuso per questo canale ({zones}).",
    ),
    "reachable": ("There is an address on this channel.", "C'è un recapito per questo canale."),
    "no_address": (
        "There is no address on this channel ({channel}).",
        "Manca un recapito per questo canale ({channel}).",
    ),
    "erased": ("This person has been erased.", "Questa persona è stata cancellata."),
    "frozen": (
        "The use of this person's data is restricted; nothing is sent.",
        "Il trattamento dei dati di questa persona è limitato: non si invia nulla.",
    ),
    "minor": (
        "This person is under 14: only messages the booking needs are sent.",
        "Questa persona ha meno di 14 anni: si inviano solo i messaggi necessari alla prenotazione.",
    ),
    "own_address": ("It is the person's own address.", "È un recapito proprio della persona."),
    "relay_in_use": (
        "It is a booking site's masked address, still in use for this booking.",
        "È un indirizzo mascherato di un portale, ancora attivo per questa prenotazione.",
    ),
    "relay_address": (
        "It is a booking site's masked address: only service messages may go there.",
        "È un indirizzo mascherato di un portale: vi si possono inviare solo messaggi di servizio.",
    ),
    "relay_expired": (
        "The masked address of the booking site was good until {last_day}.",
        "L'indirizzo mascherato del portale valeva fino al {last_day}.",
    ),
    "contract": (
        "It serves the booking or order: no consent is needed.",
        "Serve alla prenotazione o all'ordine: non occorre alcun consenso.",
    ),
    "consent": ("There is a consent: line {line} of the ledger.", "C'è un consenso: riga {line} del registro."),
    "soft_opt_in": (
        "A paying customer was told at collection and has not refused: line {line} of the ledger.",
        "Cliente pagante, informato alla raccolta e senza rifiuto: riga {line} del registro.",
    ),
    "recovery": (
        "One reminder of what was left unfinished; the notice of line {line} told of it.",
        "Un solo promemoria di quanto lasciato in sospeso; l'informativa della riga {line} lo prevedeva.",
    ),
    "recovery_not_email": (
        "What was left unfinished may be recalled by e-mail only.",
        "Si può ricordare quanto lasciato in sospeso solo per e-mail.",
    ),
    "recovery_refused": (
        "This person has refused marketing: nothing unfinished is recalled.",
        "La persona ha rifiutato il marketing: non si ricorda nulla di lasciato in sospeso.",
    ),
    "recovery_no_notice": (
        "No notice on record tells this person of a reminder of what was left unfinished.",
        "Nessuna informativa registrata prevede un promemoria di quanto lasciato in sospeso.",
    ),
    "recovery_too_soon": (
        "Abandoned {abandoned}: the person may still be at it for half an hour.",
        "Abbandonata {abandoned}: per mezz'ora la persona potrebbe ancora completarla.",
    ),
    "recovery_too_late": (
        "Abandoned {abandoned}: after 24 hours a reminder needs consent.",
        "Abbandonata {abandoned}: dopo 24 ore un promemoria richiede il consenso.",
    ),
    "recovery_sent": (
        "It has been recalled once; any further message needs consent.",
        "È già stata ricordata una volta; ogni altro messaggio richiede il consenso.",
    ),
    "legitimate_interest": (
        "A guest of this stay is asked on legitimate interest, assessment {assessment}.",
        "Si chiede un parere all'ospite per legittimo interesse, valutazione {assessment}.",
    ),
    "sign_up": (
        "The person has asked for it and not confirmed yet: line {line} of the ledger.",
        "La persona l'ha chiesto e non ha ancora confermato: riga {line} del registro.",
    ),
    "no_consent": ("There is no consent for this.", "Non c'è alcun consenso per questo."),
    "no_topic": (
        "A marketing message must name its topic.",
        "Un messaggio promozionale deve indicare il suo argomento.",
    ),
    "child_consent": (
        "The yes of line {line} was said by a child under 14, without a parent.",
        "Il consenso della riga {line} è di un minore di 14 anni, senza un genitore.",
    ),
    "no_profiling": (
        "It was chosen by what this person did or may like, and there is no consent to profiling.",
        "È stato scelto in base a ciò che la persona ha fatto o può gradire, e manca il consenso alla profilazione.",
    ),
    "topic_off": (
        "This person has chosen other topics, not {topic}.",
        "Questa persona ha scelto altri argomenti, non {topic}.",
    ),
    "pending": (
        "The person has signed up but not confirmed yet.",
        "La persona si è iscritta ma non ha ancora confermato.",
    ),
    "denied": ("The person has said no.", "La persona ha detto di no."),
    "withdrawn": ("The person has withdrawn the consent.", "La persona ha revocato il consenso."),
    "objected": ("The person has objected to marketing.", "La persona si è opposta al marketing."),
    "expired": ("The consent or its confirmation has lapsed.", "Il consenso o la sua conferma è scaduto."),
    "no_proof": (
        "There is a yes without its proof (wording, confirmation or scan): it counts as none.",
        "C'è un sì senza prova (testo, conferma o scansione): vale come nessun consenso.",
    ),
    "not_pending": (
        "There is no sign-up that waits for confirmation.",
        "Non c'è alcuna iscrizione in attesa di conferma.",
    ),
    "asked_enough": (
        "The confirmation and its reminder have been sent already.",
        "La conferma e il suo promemoria sono già stati inviati.",
    ),
    "no_stay": ("There is no completed stay to ask about.", "Non c'è un soggiorno concluso su cui chiedere un parere."),
    "feedback_limit": (
        "This stay has been asked about {before} times already.",
        "Per questo soggiorno il parere è già stato chiesto {before} volte.",
    ),
    "not_suppressed": ("The address is on no exclusion list.", "L'indirizzo non è nella lista di esclusione."),
    "suppressed": (
        "The address is on the exclusion list: {reason}.",
        "L'indirizzo è nella lista di esclusione: {reason}.",
    ),
    "topic_on": ("The topic {topic} is wanted.", "L'argomento {topic} è gradito."),
    "no_topic_needed": ("It needs no topic.", "Non occorre un argomento."),
    "not_held_out": ("Not part of a control group.", "Non fa parte di un gruppo di controllo."),
    "holdout": ("Part of the control group {experiment}.", "Fa parte del gruppo di controllo {experiment}."),
    "still_inside": ("Its workflow still concerns this person.", "Il percorso riguarda ancora questa persona."),
    "exited": (
        "The person has left the workflow meanwhile: {reason}.",
        "Nel frattempo la persona è uscita dal percorso: {reason}.",
    ),
    "in_time": ("It is not too late for it.", "Non è troppo tardi."),
    "too_late": ("It was to go by {latest} at the latest.", "Doveva partire al più tardi entro {latest}."),
    "broadcast_stopped": (
        "The broadcast it belonged to was stopped by {by}.",
        "L'invio di cui faceva parte è stato fermato da {by}.",
    ),
    "stream_open": ("Nothing of this kind is paused.", "Nulla di questo tipo è in pausa."),
    "paused": ("This workflow or kind of message is paused.", "Questo percorso o tipo di messaggio è in pausa."),
    "domain_unproven": (
        "The sender's domain {domain} is not in order yet: marketing from there waits.",
        "Il dominio del mittente {domain} non è ancora in regola: il marketing da lì attende.",
    ),
    "warm_up": (
        "The sender's domain is warming up: day {plan_day}, {sent} of {allowed} sent.",
        "Il dominio del mittente è in riscaldamento: giorno {plan_day}, {sent} inviati su {allowed}.",
    ),
    "throttled": (
        "{provider} takes no more just now: it has a turn of its own.",
        "{provider} per ora non ne accetta altri: ha un suo turno.",
    ),
    "under_cap": (
        "Not written to too often: {day} today, {week} in 7 days, {month} in 30.",
        "Non troppi messaggi: {day} oggi, {week} in 7 giorni, {month} in 30.",
    ),
    "cap_exempt": ("The cap does not concern it.", "Il limite di frequenza non lo riguarda."),
    "cap": (
        "Written to often enough: {day} today, {week} in 7 days, {month} in 30.",
        "Già abbastanza messaggi: {day} oggi, {week} in 7 giorni, {month} in 30.",
    ),
    "outranked": (
        "A more important message takes the place the cap leaves.",
        "Un messaggio più importante occupa il posto che il limite lascia.",
    ),
    "own_pause": (
        "The person has asked for a pause until {until}.",
        "La persona ha chiesto una pausa fino al {until}.",
    ),
    "own_pace": (
        "The person wants one message a month at most, and had one in the last 30 days.",
        "La persona vuole al massimo un messaggio al mese e ne ha avuto uno negli ultimi 30 giorni.",
    ),
    "open_hours": ("It is a good hour to write ({zones}).", "È un'ora adatta per scrivere ({zones})."),
    "quiet_exempt": ("Quiet hours do not concern it.", "La fascia di silenzio non lo riguarda."),
    "quiet_hours": (
        "Quiet hours from {from} to {to} ({zones}).",
        "Fascia di silenzio dalle {from} alle {to} ({zones}).",
    ),
    "only_marketing_blocks": (
        "Only promotional blocks were left, and this person may not be shown any.",
        "Restavano solo blocchi promozionali, che a questa persona non si possono mostrare.",
    ),
    "allowed": ("It may go.", "Può partire."),
}
"""Code → (English, Italian)."""


class _Gaps(dict[str, Any]):
    def __missing__(self, key: str) -> str:
        return "–"


def sentence(code: str, language: str, inputs: Mapping[str, Any] | None = None) -> str:
    """What a code says, in `en` or `it`; a code of others (a transport's, say) is given back as it is."""
    texts = SENTENCES.get(code)
    if texts is None:
        return code
    shown = {
        name: ", ".join(map(str, value)) if isinstance(value, list) else value
        for name, value in (inputs or {}).items()
        if value is not None
    }
    return texts[1 if language == "it" else 0].format_map(_Gaps(shown))
