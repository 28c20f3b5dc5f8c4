"""The words of the public pages: each written in its own language, none translated word for word. Data."""

from __future__ import annotations

from app.signup.labels import LABELS

TEXTS: dict[str, tuple[str, str]] = {
    "language": ("Language", "Lingua"),
    "skip": ("Skip to the content", "Vai al contenuto"),
    "notice": ("Privacy notice", "Informativa sulla privacy"),
    "sent_by": ("Sent by {controller}", "Titolare del trattamento: {controller}"),
    "service_stays": (
        "Messages about your bookings, such as confirmations and arrival details, will still reach you.",
        "I messaggi sulle Sue prenotazioni, come conferme e indicazioni per l'arrivo, continueranno ad arrivarLe.",
    ),
    # leaving
    "leave_title": ("Stop these messages?", "Non vuole più ricevere questi messaggi?"),
    "leave_topic": (
        "You are about to stop messages from {brand} about: {topic}.",
        "Sta per interrompere i messaggi di {brand} su: {topic}.",
    ),
    "leave_feedback": (
        "You are about to stop the requests for your opinion from {brand}.",
        "Sta per interrompere le richieste di parere da parte di {brand}.",
    ),
    "leave_button": ("Unsubscribe", "Annulla l'iscrizione"),
    "leave_all_button": ("Stop all news and offers", "Interrompi ogni novità e offerta"),
    "left_title": ("You are unsubscribed", "Iscrizione annullata"),
    "left_topic": (
        "{brand} will no longer write to you about: {topic}.",
        "{brand} non Le scriverà più su: {topic}.",
    ),
    "left_feedback": (
        "{brand} will no longer ask for your opinion.",
        "{brand} non Le chiederà più un parere.",
    ),
    "left_all": (
        "{brand} will no longer send you news, offers or requests for your opinion.",
        "{brand} non Le invierà più novità, offerte o richieste di parere.",
    ),
    "left_queued": (
        "Messages already waiting have been cancelled: {count}.",
        "Messaggi già in attesa, ora annullati: {count}.",
    ),
    "already_left": ("This had been done already; nothing more is needed.", "Era già stato fatto: non occorre altro."),
    "undo_button": ("Undo", "Annulla questa scelta"),
    "undo_hint": ("Was it a mistake? You can undo it for 24 hours.", "È stato un errore? Può rimediare entro 24 ore."),
    "undo_title": ("Undo your last choice?", "Annullare l'ultima scelta?"),
    "undone_title": ("Undone", "Scelta annullata"),
    "undone": ("Everything is as it was before.", "Tutto è tornato come prima."),
    "undo_late_title": ("This can no longer be undone here", "Qui non è più possibile annullare"),
    "undo_late": (
        "Too much time has passed, or you have chosen something else since. Your preferences show how things stand.",
        "È passato troppo tempo, o nel frattempo ha scelto altro. Le Sue preferenze mostrano la situazione attuale.",
    ),
    "reason_title": ("Would you tell us why? (optional)", "Vuole dirci il motivo? (facoltativo)"),
    "reason_too_often": ("Too many messages", "Troppi messaggi"),
    "reason_not_relevant": ("Not of interest to me", "Non mi interessano"),
    "reason_never_asked": ("I never asked for them", "Non li ho mai richiesti"),
    "reason_other": ("Another reason", "Un altro motivo"),
    "reason_button": ("Send", "Invia"),
    "reason_thanks": ("Thank you for telling us.", "Grazie per avercelo detto."),
    "to_preferences": ("All my preferences", "Tutte le mie preferenze"),
    # preferences
    "prefs_title": ("What would you like to receive?", "Che cosa desidera ricevere?"),
    "prefs_for": ("These are the choices for {address}.", "Queste sono le scelte per {address}."),
    "prefs_topics": ("News and offers by e-mail", "Novità e offerte per e-mail"),
    "prefs_no_topics": ("There is nothing to choose from yet.", "Non c'è ancora nulla da scegliere."),
    "prefs_other": ("Other choices", "Altre scelte"),
    "prefs_feedback": ("Ask for my opinion after a stay", "Chiedetemi un parere dopo il soggiorno"),
    "prefs_feedback_hint": ("At most one request and one reminder.", "Al massimo una richiesta e un promemoria."),
    "prefs_tracking": ("Let {brand} see which links I open", "Consento a {brand} di vedere quali link apro"),
    "prefs_tracking_hint": (
        "Off unless you choose it. Without it your mails hold no trackers.",
        "Disattivato se non lo sceglie. Senza questo consenso le e-mail non contengono tracciatori.",
    ),
    "prefs_language": ("Language of the messages", "Lingua dei messaggi"),
    "prefs_save": ("Save my choices", "Salva le mie scelte"),
    "prefs_stop_title": ("Stop everything", "Interrompere tutto"),
    "prefs_stop_hint": (
        "No more news, offers or requests for your opinion. You can come back whenever you like.",
        "Niente più novità, offerte o richieste di parere. Potrà tornare quando vorrà.",
    ),
    "saved_title": ("Your choices are saved", "Le Sue scelte sono salvate"),
    "saved_nothing": ("Nothing has changed.", "Non è cambiato nulla."),
    "saved_on": ("From now on you will receive:", "D'ora in poi riceverà:"),
    "saved_off": ("You will no longer receive:", "Non riceverà più:"),
    "saved_confirm": (
        "You had left before, so we ask you to confirm by a mail on its way to you:",
        "In passato aveva interrotto tutto: Le chiediamo di confermare con l'e-mail in arrivo:",
    ),
    "saved_language": ("Messages will be in English.", "I messaggi saranno in italiano."),
    "name_feedback": ("requests for your opinion", "richieste di parere"),
    "name_tracking": ("counting of the links you open", "conteggio dei link che apre"),
    # confirming
    "confirm_title": ("Confirm your subscription", "Confermi la Sua iscrizione"),
    "confirm_text": (
        "Press the button to receive from {brand} by e-mail (you can leave at any time):",
        "Prema il pulsante per ricevere da {brand} via e-mail (potrà annullare quando vorrà):",
    ),
    "confirm_words": ("What you agreed to:", "Ciò che ha accettato:"),
    "confirm_button": ("Yes, subscribe me", "Sì, mi iscrivo"),
    "confirm_not_you": (
        "If it was not you, simply close this page: without the button nothing happens.",
        "Se non è stato Lei, chiuda semplicemente questa pagina: senza il pulsante non succede nulla.",
    ),
    "confirmed_title": ("Thank you, it is confirmed", "Grazie, iscrizione confermata"),
    "confirmed": ("From now on you receive from {brand}:", "D'ora in poi riceverà da {brand}:"),
    "confirmed_change": (
        "You can change your mind whenever you like, with a link at the foot of every mail or right here.",
        "Può cambiare idea quando vuole, con il link in fondo a ogni e-mail o direttamente qui.",
    ),
    "confirm_expired_title": ("This link is no longer valid", "Questo link non è più valido"),
    "confirm_expired": (
        "It works for seven days, or you have chosen otherwise since. To subscribe, please sign up again.",
        "Vale sette giorni, oppure nel frattempo ha scelto diversamente. Per iscriversi, compili di nuovo il modulo.",
    ),
    # sign-up forms
    **LABELS,
    "form_closed_title": ("This form is closed", "Questo modulo è chiuso"),
    "form_closed": (
        "It takes no sign-ups at the moment. For anything you need, please contact us.",
        "Al momento non accetta iscrizioni. Per qualsiasi necessità ci contatti.",
    ),
    "form_thanks_title": ("Thank you", "Grazie"),
    "form_wrong": ("Something is missing. Please look below.", "Manca qualcosa: guardi qui sotto."),
    "form_too_many": (
        "Too many sign-ups came from here just now. Please try again in {minutes} minutes.",
        "Da qui sono appena arrivate troppe iscrizioni. Riprovi tra {minutes} minuti.",
    ),
    "form_renewed": (
        "The form has been changed in the meantime. Please read it once more.",
        "Nel frattempo il modulo è stato modificato. Lo rilegga, per favore.",
    ),
    # reading
    "gone_title": ("This message is no longer available", "Questo messaggio non è più disponibile"),
    "gone": (
        "It has been removed, or was never sent. For anything you need, please contact us.",
        "È stato rimosso, o non è mai stato inviato. Per qualsiasi necessità ci contatti.",
    ),
    # bad links
    # an address of the house's own
    "address_title": ("Is this address yours?", "Questo indirizzo è Suo?"),
    "address_text": (
        "{email} is to be used for sending, or for test messages. Confirm only if it belongs to you or your company.",
        "{email} sarà usato per inviare o per prove. Confermi solo se l'indirizzo appartiene a Lei o alla Sua azienda.",
    ),
    "address_button": ("Yes, confirm this address", "Sì, confermo l'indirizzo"),
    "address_not_you": (
        "If you do not know what this is about, simply close this page: nothing happens.",
        "Se non sa di che cosa si tratta, chiuda la pagina: non succede nulla.",
    ),
    "address_done_title": ("Address confirmed", "Indirizzo confermato"),
    "address_done": (
        "{email} can be used from now on. You can close this page.",
        "Da ora {email} può essere usato. Può chiudere questa pagina.",
    ),
    "bad_title": ("This link does not work", "Questo link non funziona"),
    "bad": (
        "It may have been cut off on its way. Please open it again straight from the mail, or copy the whole address.",
        "Forse è stato troncato. Lo apra di nuovo direttamente dall'e-mail, oppure copi l'indirizzo per intero.",
    ),
    "bad_help": (
        "If it still does not work, reply to the mail: a person will take care of it.",
        "Se non dovesse funzionare, risponda all'e-mail: se ne occuperà una persona.",
    ),
    "incomplete_title": ("Nothing has been changed", "Non è cambiato nulla"),
    "incomplete": ("The request was not complete. Please use the button.", "Richiesta incompleta: usi il pulsante."),
}
"""Key → (English, Italian)."""


def say(key: str, language: str, **gaps: object) -> str:
    """A text in `en` or `it`, its gaps filled."""
    text = TEXTS[key][1 if language == "it" else 0]
    return text.format(**gaps) if gaps else text
