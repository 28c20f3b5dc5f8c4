"""The words of the public pages in Italian. Data."""

from __future__ import annotations

from app.signup.labels import LABELS

TEXTS: dict[str, str] = {
    "language": "Lingua",
    "skip": "Vai al contenuto",
    "notice": "Informativa sulla privacy",
    "sent_by": "Titolare del trattamento: {controller}",
    "service_stays": (
        "I messaggi sulle Sue prenotazioni, come conferme e indicazioni per l'arrivo, continueranno ad arrivarLe."
    ),
    # leaving
    "leave_title": "Non vuole più ricevere questi messaggi?",
    "leave_topic": "Sta per interrompere i messaggi di {brand} su: {topic}.",
    "leave_feedback": "Sta per interrompere le richieste di parere da parte di {brand}.",
    "leave_button": "Annulla l'iscrizione",
    "leave_all_button": "Interrompi ogni novità e offerta",
    "left_title": "Iscrizione annullata",
    "left_topic": "{brand} non Le scriverà più su: {topic}.",
    "left_feedback": "{brand} non Le chiederà più un parere.",
    "left_all": "{brand} non Le invierà più novità, offerte o richieste di parere.",
    "left_queued": "Messaggi già in attesa, ora annullati: {count}.",
    "already_left": "Era già stato fatto: non occorre altro.",
    "undo_button": "Annulla questa scelta",
    "undo_hint": "È stato un errore? Può rimediare entro 24 ore.",
    "undo_title": "Annullare l'ultima scelta?",
    "undone_title": "Scelta annullata",
    "undone": "Tutto è tornato come prima.",
    "undo_late_title": "Qui non è più possibile annullare",
    "undo_late": (
        "È passato troppo tempo, o nel frattempo ha scelto altro. Le Sue preferenze mostrano la situazione attuale."
    ),
    "reason_title": "Vuole dirci il motivo? (facoltativo)",
    "reason_too_often": "Troppi messaggi",
    "reason_not_relevant": "Non mi interessano",
    "reason_never_asked": "Non li ho mai richiesti",
    "reason_other": "Un altro motivo",
    "reason_button": "Invia",
    "reason_thanks": "Grazie per avercelo detto.",
    "to_preferences": "Tutte le mie preferenze",
    # preferences
    "prefs_title": "Che cosa desidera ricevere?",
    "prefs_for": "Queste sono le scelte per {address}.",
    "prefs_topics": "Novità e offerte per e-mail",
    "prefs_no_topics": "Non c'è ancora nulla da scegliere.",
    "prefs_other": "Altre scelte",
    "prefs_feedback": "Chiedetemi un parere dopo il soggiorno",
    "prefs_feedback_hint": "Al massimo una richiesta e un promemoria.",
    "prefs_tracking": "Consento a {brand} di vedere quali link apro",
    "prefs_tracking_hint": "Disattivato se non lo sceglie. Senza questo consenso le e-mail non contengono tracciatori.",
    "prefs_language": "Lingua dei messaggi",
    "prefs_save": "Salva le mie scelte",
    "prefs_stop_title": "Interrompere tutto",
    "prefs_stop_hint": "Niente più novità, offerte o richieste di parere. Potrà tornare quando vorrà.",
    "saved_title": "Le Sue scelte sono salvate",
    "saved_nothing": "Non è cambiato nulla.",
    "saved_on": "D'ora in poi riceverà:",
    "saved_off": "Non riceverà più:",
    "saved_confirm": "In passato aveva interrotto tutto: Le chiediamo di confermare con l'e-mail in arrivo:",
    "saved_language": "I messaggi saranno in italiano.",
    "name_feedback": "richieste di parere",
    "name_tracking": "conteggio dei link che apre",
    # confirming
    "confirm_title": "Confermi la Sua iscrizione",
    "confirm_text": "Prema il pulsante per ricevere da {brand} via e-mail (potrà annullare quando vorrà):",
    "confirm_words": "Ciò che ha accettato:",
    "confirm_button": "Sì, mi iscrivo",
    "confirm_not_you": "Se non è stato Lei, chiuda semplicemente questa pagina: senza il pulsante non succede nulla.",
    "confirmed_title": "Grazie, iscrizione confermata",
    "confirmed": "D'ora in poi riceverà da {brand}:",
    "confirmed_change": "Può cambiare idea quando vuole, con il link in fondo a ogni e-mail o direttamente qui.",
    "confirm_expired_title": "Questo link non è più valido",
    "confirm_expired": (
        "Vale sette giorni, oppure nel frattempo ha scelto diversamente. Per iscriversi, compili di nuovo il modulo."
    ),
    # sign-up forms
    **LABELS["it"],
    "form_closed_title": "Questo modulo è chiuso",
    "form_closed": "Al momento non accetta iscrizioni. Per qualsiasi necessità ci contatti.",
    "form_thanks_title": "Grazie",
    "form_wrong": "Manca qualcosa: guardi qui sotto.",
    "form_too_many": "Da qui sono appena arrivate troppe iscrizioni. Riprovi tra {minutes} minuti.",
    "form_renewed": "Nel frattempo il modulo è stato modificato. Lo rilegga, per favore.",
    # reading
    "gone_title": "Questo messaggio non è più disponibile",
    "gone": "È stato rimosso, o non è mai stato inviato. Per qualsiasi necessità ci contatti.",
    # bad links
    # an address of the house's own
    "address_title": "Questo indirizzo è Suo?",
    "address_text": (
        "{email} sarà usato per inviare o per prove. Confermi solo se l'indirizzo appartiene a Lei o alla Sua azienda."
    ),
    "address_button": "Sì, confermo l'indirizzo",
    "address_not_you": "Se non sa di che cosa si tratta, chiuda la pagina: non succede nulla.",
    "address_done_title": "Indirizzo confermato",
    "address_done": "Da ora {email} può essere usato. Può chiudere questa pagina.",
    "bad_title": "Questo link non funziona",
    "bad": "Forse è stato troncato. Lo apra di nuovo direttamente dall'e-mail, oppure copi l'indirizzo per intero.",
    "bad_help": "Se non dovesse funzionare, risponda all'e-mail: se ne occuperà una persona.",
    "incomplete_title": "Non è cambiato nulla",
    "incomplete": "Richiesta incompleta: usi il pulsante.",
}
