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
    # how often, and one's data
    "prefs_profiling": "Scegliete che cosa scrivermi in base ai miei soggiorni e interessi",
    "prefs_profiling_hint": "Se disattivato, riceve le stesse novità di tutti.",
    "prefs_sharing": "Comunicate i miei dati ai partner",
    "prefs_sharing_hint": "Se disattivato, non comunichiamo più nulla di Lei a nessuno.",
    "name_profiling": "scelta in base a soggiorni e interessi",
    "name_sharing": "comunicazione dei dati ai partner",
    "channel_email": "e-mail",
    "channel_sms": "SMS",
    "channel_whatsapp": "WhatsApp",
    "channel_push": "notifiche push",
    "prefs_pace": "Con quale frequenza",
    "pace_normal": "Quando ci sono novità",
    "pace_normal_hint": "Entro i limiti che ci siamo dati.",
    "pace_monthly": "Al massimo una volta al mese",
    "pace_monthly_hint": "Di tutto ciò che ha scelto sopra, un messaggio ogni 30 giorni.",
    "pace_pause": "Non per 30 giorni",
    "pace_pause_hint": "Poi tutto riprende come ha scelto.",
    "pace_paused": "In pausa fino al {until}",
    "pace_normal_now": "Arrivano quando ci sono novità.",
    "pace_monthly_now": "Arrivano al massimo una volta al mese.",
    "pace_pause_now": "Non arriva nulla prima del {until}.",
    "saved_pace": "La frequenza è cambiata.",
    "saved_will": "D'ora in poi riceve:",
    "saved_will_not": "Non riceve:",
    "saved_service": "messaggi sulle Sue prenotazioni",
    "saved_changed": "Che cosa è cambiato",
    "saved_stands": "La situazione attuale",
    "data_title": "I Suoi dati",
    "data_text": "Veda che cosa conserviamo, ne prenda una copia o li faccia cancellare.",
    "data_know": "Che cosa sappiamo di Lei",
    "data_download": "Scarica i miei dati",
    "data_erase": "Cancella i miei dati",
    "know_title": "Che cosa sappiamo di Lei",
    "know_counts": "Di Lei conserviamo:",
    "know_full": (
        "Per vedere e scaricare tutto inviamo un collegamento a {address}: questa pagina potrebbe essere "
        "stata inoltrata a qualcun altro."
    ),
    "know_contact": "come raggiungerLa",
    "know_bookings": "prenotazioni e ordini: {count}",
    "know_events": "fatti registrati (come una visita o una prenotazione): {count}",
    "know_messages": "messaggi inviati: {count}",
    "know_consents": "che cosa ha accettato o rifiutato: {count}",
    "know_special": "esigenze particolari comunicate: {count}",
    "know_said": "A che cosa ha detto sì o no",
    "know_line": "{what}: {state}, {when}",
    "know_words": "Il testo era: «{wording}»",
    "know_nothing": "Ancora nulla.",
    "know_inferred": "Che cosa abbiamo dedotto",
    "know_segment": "Fa parte del gruppo «{title}».",
    "know_logic": "Secondo questa regola: {logic}",
    "know_holdout": "Per sorteggio fa parte di chi non riceve marketing, così possiamo misurarlo.",
    "know_none": "Nulla: nessun punteggio, nessuna ipotesi.",
    "know_recipients": "Chi altro riceve i Suoi dati",
    "know_kept": "Per quanto tempo li conserviamo",
    "know_months": "{what}: {count} mesi",
    "state_granted": "sì",
    "state_denied": "no",
    "state_withdrawn": "revocato",
    "state_objected": "opposizione",
    "state_pending": "chiesto, non confermato",
    "state_expired": "scaduto",
    "purpose_marketing": "novità e offerte",
    "purpose_feedback": "richieste di parere",
    "purpose_open_tracking": "conteggio dei link che apre",
    "purpose_profiling": "scelta in base a soggiorni e interessi",
    "purpose_third_party_sharing": "comunicazione ai partner",
    "purpose_notice": "informativa letta",
    "right_sent_title": "Controlli la Sua posta",
    "right_sent": "Un collegamento è in arrivo a {address}. Vale una volta sola, per due ore. Così sappiamo che è Lei.",
    "right_sent_not": "Se non arriva nulla ci scriva: se ne occuperà una persona.",
    "right_team_title": "Abbiamo ricevuto la richiesta",
    "right_team": "Non possiamo inviarLe un collegamento per e-mail. Una persona Le risponderà entro il {when}.",
    "right_over_title": "Questo collegamento non vale più",
    "right_over": "Vale una volta sola, per due ore. Ne chieda uno nuovo dalle Sue preferenze.",
    "right_export_title": "Ecco che cosa conserviamo di Lei",
    "right_export_button": "Scarica tutto",
    "right_export_hint": (
        "Un file zip con una pagina da leggere, gli stessi dati in formato elettronico (JSON) e le e-mail "
        "inviate. Poi il collegamento non vale più; la ricevuta arriva per e-mail."
    ),
    "right_profile": "Lei",
    "right_bookings": "Prenotazioni e ordini",
    "right_messages": "I messaggi più recenti",
    "right_more": "e altri {count} nel file",
    "right_erase_title": "Cancellare tutti i Suoi dati?",
    "right_erase_text": (
        "L'operazione è definitiva. Si cancella tutto ciò che sappiamo di Lei: chi è, le prenotazioni, i "
        "messaggi, i clic. Quanto era previsto per Lei non sarà inviato, compresi i messaggi su un soggiorno "
        "futuro."
    ),
    "right_erase_kept": (
        "Restano due cose, come la legge consente: la prova di ciò che ha accettato e rifiutato, sotto chiave "
        "fino alla prescrizione; e un'impronta illeggibile del Suo indirizzo, perché nessuno Le scriva per "
        "errore a fini di marketing. Restano le statistiche che non nominano nessuno. Fatture e documenti "
        "obbligatori per legge si trovano in altri sistemi."
    ),
    "right_erase_check": "Sì, cancellate tutti i miei dati",
    "right_erase_button": "Cancella ora",
    "right_erase_missing": "Spunti la casella per confermare.",
    "right_erasing_title": "Cancelliamo i Suoi dati",
    "right_erasing": (
        "Tutto ciò che era previsto per Lei è stato fermato. Una ricevuta è in arrivo a {address}; appena "
        "partita, al più tardi entro un'ora, tutto è cancellato."
    ),
    "right_erased_title": "I Suoi dati sono cancellati",
    "right_receipt": "Ricevuta",
    "right_receipt_number": "Numero {number}, {when}",
    "erased_title": "Qui non c'è più nulla",
    "erased_text": (
        "I dati a cui questo collegamento apparteneva sono stati cancellati. A quell'indirizzo non si invia marketing."
    ),
    "reason_noted": "Ci aiuta a scrivere meno e meglio.",
}
