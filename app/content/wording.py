"""Words that change what a message is, in the languages we write: invitations to review, rewards, leading phrases.

Plain patterns over the text part. They err on the side of asking a person to look: an invitation to review is short.
"""

from __future__ import annotations

import re
from typing import Final


def _any(*phrases: str) -> re.Pattern[str]:
    return re.compile(r"(?<!\w)(?:" + "|".join(phrases) + r")(?!\w)", re.IGNORECASE)


INVITES: Final = _any(
    # English
    r"(?:leave|write|post|share|give)(?: \w+){0,3} (?:review|rating|feedback on (?:google|tripadvisor))",
    r"review (?:us|your stay|our)", r"rate (?:us|your stay|our)",
    # Italian
    r"(?:lasci\w*|scriv\w*|pubblic\w*|condivid\w*)(?: \w+){0,3} recension\w*", r"recensi(?:sci|sca|teci|rci)\w*",
    # To change or remove one is the same request (R49)
    r"(?:remov\w+|delet\w+|chang\w+|edit\w*|updat\w+|tak\w+ down)(?: \w+){0,2} review",
    r"(?:rimuov\w+|rimozione|cancell\w+|elimin\w+|modific\w+|cambi\w+)(?: \w+){0,2} recension\w*",
    # German, French, Spanish
    r"(?:schreib\w*|hinterlass\w*|geben)(?: \w+){0,4} bewertung\w*", r"(?:laiss\w*|écri\w*|donn\w*)(?: \w+){0,3} avis",
    r"(?:dej\w*|escrib\w*|compart\w*)(?: \w+){0,3} reseñ\w*",
)  # fmt: skip
"""Someone is asked to write a review."""

REWARDS: Final = _any(
    r"discounts?", r"vouchers?", r"coupons?", r"gifts?", r"prize(?: draw)?s?", r"raffles?", r"donat\w+", r"cashback",
    r"(?:loyalty|bonus|extra|\d+) points", r"\d+\s?% off", r"free (?:night|stay|breakfast|drink|upgrade)s?",
    r"scont[oi]", r"buon[oi] (?:sconto|regalo|spesa)",
    r"regal[oi]", r"omagg[io]+", r"estrazion[ei]", r"concors[oi]",
    r"donazion[ei]", r"(?:\d+ )?punti (?:fedeltà|extra|omaggio)", r"\d+ punti", r"nott[ei] gratis", r"in palio",
    r"rabatt\w*", r"gutschein\w*", r"geschenk\w*", r"gewinnspiel\w*",
    r"remises?", r"réductions?", r"cadeaux?", r"bons? d'achat", r"tirage au sort",
    r"descuentos?", r"regalos?", r"vales?", r"sorteos?",
)  # fmt: skip
"""Something given in return."""

SCARCITY: Final = _any(
    r"(?:only|just) (?:\d+|one|two|three|four|five|a few)(?: \w+){0,2} (?:left|remaining|available)",
    r"last (?:few )?(?:rooms?|places|seats|chance|minutes)", r"(?:selling|running) out", r"almost (?:gone|sold out)",
    r"hurry(?: up)?",
    r"before it'?s gone",
    r"\d+ (?:people|guests|others)(?: \w+){0,3} (?:looking|viewing|watching)",
    r"(?:solo|soltanto|appena) (?:\d+|un[ao]?|due|tre|poch[ei])(?: \w+){0,2} (?:rimast[aeio]|disponibil[ei])",
    r"ultim[aeio] (?:\d+ )?(?:camer[ae]|post[oi]|pezz[oi]|occasion[ei]|minut[oi])", r"(?:si )?affrett\w+",
    r"in esaurimento", r"quasi esaurit[aeio]", r"prima che (?:finisca|sparisca)",
    r"\d+ (?:persone|ospiti)(?: \w+){0,3} (?:guardando|osservando|visualizzando)",
    r"nur noch (?:\d+|ein|zwei|drei|wenige)", r"plus que \d+", r"dernières (?:chambres|places)", r"solo quedan \d+",
)  # fmt: skip
"""Something runs out."""

COUNTDOWN: Final = _any(
    r"countdown", r"(?:ends|expires|closes) in \d+ (?:minutes?|hours?|seconds?)",
    r"conto alla rovescia", r"(?:scade|termina|finisce) (?:tra|fra|in) \d+ (?:minut[oi]|or[ae]|second[oi])",
)  # fmt: skip
"""Something ends while one looks: a mail is read at another hour than it was written, so it never can say so."""

SHAMING: Final = _any(
    r"no,? (?:thanks|thank you)[,.:;–-]+\s*i(?:'d| would)?(?: do not| don't|'ll)? "
    r"(?:rather|prefer|like|want|hate|love|pay)\b[^.\n]{0,60}",
    r"i (?:hate|don't (?:like|want|need)) (?:saving|savings|discounts|good deals|to save)",
    r"i(?:'d| would) rather (?:pay|miss|spend)\b[^.\n]{0,40}",
    r"no,? grazie[,.:;–-]+\s*(?:preferisco|voglio|amo|odio|rinuncio)\b[^.\n]{0,60}",
    r"(?:preferisco|voglio) (?:pagare|spendere) (?:di più|il prezzo (?:pieno|intero))",
    r"non (?:mi piace|voglio) risparmiare",
    r"rinuncio (?:al risparmio|allo sconto|al vantaggio)",
)  # fmt: skip
"""A no that makes whoever says it look foolish."""

ELSEWHERE: Final = _any(
    r"book(?:ing)? (?:\w+ ){0,4}direct(?:ly)?",
    r"(?:book|reserve)(?: \w+){0,4} (?:on|through|via) our (?:own )?(?:web ?site|site)",
    r"(?:next time|instead)[, ]+(?:please )?book", r"(?:best|lower|better) price on our (?:own )?(?:web ?site|site)",
    r"prenot\w+(?: \w+){0,4} (?:direttamente|in diretta)", r"prenotazione diretta",
    r"prenot\w+(?: \w+){0,4} (?:sul|dal|tramite il|attraverso il) nostro sito", r"la prossima volta[, ]+prenot\w+",
    r"prezzo (?:migliore|più basso) sul nostro sito", r"direkt (?:bei uns )?buchen", r"réserv\w+ (?:en )?direct\w*",
    r"reserv\w+ (?:directamente|en nuestra web)",
)  # fmt: skip
"""A call to book with the house instead of the site the booking came from."""

NOT_NEUTRAL: Final = (
    (
        _any(
            r"(?:[1-5]|one|two|three|four|five)[- ]stars?", r"(?:[1-5]|cinque|quattro) stelle",
            r"(?:fünf|5) sterne",
            r"(?:cinq|5) étoiles", r"(?:cinco|5) estrellas", r"top (?:rating|score)", r"voto massimo",
        ),
        "names a number of stars",
    ),
    (re.compile(r"[★⭐✩☆]"), "shows stars"),
    (
        _any(
            r"if you (?:were|are|have been|had been) (?:happy|satisfied|pleased)", r"if you (?:enjoyed|liked|loved)",
            r"if you had a (?:good|great|lovely|wonderful)", r"happy with (?:us|your stay)\?",
            r"se (?:\w+ ){0,3}(?:content[oai]|felic[ei]|soddisfatt[oaei])",
            r"se (?:\w+ ){0,5}(?:piaciut[oa]|trovat[oaie] bene)",
            r"wenn (?:\w+ ){0,3}(?:zufrieden|gefallen)",
            r"si (?:\w+ ){0,4}(?:satisfait\w*|plu)", r"si (?:\w+ ){0,3}(?:gust\w+|satisfech\w+)",
        ),
        "asks the happy only",
    ),
    (
        _any(
            r"(?:contact|write to|call|tell|talk to) us (?:instead|first|before)",
            r"before (?:you )?(?:review|reviewing|posting)",
            r"if (?:something|anything) (?:was|went)(?: \w+)? (?:wrong|amiss)",
            r"(?:contatt\w+|scriv\w+|parl\w+|chiam\w+) (?:prima|invece)",
            r"prima di (?:recensir\w*|scriver\w* una recensione)",
            r"se qualcosa (?:non )?(?:è|e'|era) (?:andat\w|storto)\w*",
        ),
        "turns the unhappy away",
    ),
)  # fmt: skip
"""What makes an invitation lean (R44), with the reason."""
