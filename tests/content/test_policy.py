"""What a message must say by the rules of consent and fairness, and must not."""

# ruff: noqa: E501 - a case is read as one line

from __future__ import annotations

import pytest

from app.content.compile import examine
from app.content.contrast import ratio
from app.journey.model_steps import STEPS
from tests.content.library import codes, files, plain, problems

LETTER = "<mj-section><mj-column><mj-text>{{ t.lead }}</mj-text><mj-button href='https://x.example'>{{ t.cta }}</mj-button></mj-column></mj-section>"


def letter(
    class_: str, lead: str = "Words.", cta: str = "Go on", without: str = "", body: str = LETTER
) -> dict[str, str]:
    given = plain(body, class_=class_, words=f'lead: "{lead}"\ncta: "{cta}"\n')
    given["_blocks/footer.mjml"] = given["_blocks/footer.mjml"].replace(without, "" if without else without)
    return given


@pytest.mark.parametrize("class_", ["transactional", "feedback", "marketing", "consent_request"])
def test_a_good_letter_of_every_class_passes(class_: str) -> None:
    assert problems(letter(class_)) == []


@pytest.mark.parametrize("class_", ["feedback", "marketing"])
def test_marketing_and_feedback_need_a_way_out(class_: str) -> None:
    assert "unsubscribe-missing" in codes(letter(class_, without="{{ unsubscribe_url }}"))


def test_a_transactional_message_with_a_marketing_block_needs_a_way_out() -> None:
    body = LETTER + '<mj-include path="_blocks/upsell.mjml" />'
    assert "unsubscribe-missing" in codes(letter("transactional", without="{{ unsubscribe_url }}", body=body))
    assert codes(letter("transactional", body=body)) == set()


@pytest.mark.parametrize("class_", ["transactional", "consent_request"])
def test_a_purely_transactional_message_has_no_unsubscribe_link(class_: str) -> None:
    body = (
        LETTER
        + "<mj-section><mj-column><mj-text><a href='{{ unsubscribe_url }}'>x</a></mj-text></mj-column></mj-section>"
    )
    assert codes(letter(class_, body=body)) == {"unsubscribe-forbidden"}


def test_advertising_shows_the_cin() -> None:
    assert codes(letter("marketing", without="{{ property.cin }}")) == {"cin-missing"}


@pytest.mark.parametrize(
    "part", ["{{ property.name }}", "{{ property.address.street }}", "{{ property.vat }}", "{{ notice_url }}"]
)
def test_marketing_says_who_sends_it(part: str) -> None:
    assert "controller-missing" in codes(letter("marketing", without=part))


def test_r6_a_request_for_consent_names_what_its_button_confirms() -> None:
    button = "<mj-section><mj-column><mj-button href='{{ confirm_url }}'>x</mj-button></mj-column></mj-section>"
    named = button.replace(
        "<mj-button", "<mj-text>{% for one in event.asked %}{{ one }}{% endfor %}</mj-text><mj-button"
    )
    assert "asked-missing" in codes(letter("consent_request", body=LETTER + button))
    assert "asked-missing" not in codes(letter("consent_request", body=LETTER + named))


def test_a_request_for_consent_holds_no_promotion() -> None:
    assert "class-mix" in codes(letter("consent_request", body=LETTER + '<mj-include path="_blocks/upsell.mjml" />'))


@pytest.mark.parametrize(
    "words",
    [
        "Would you give us 5 stars?", "A five-star review helps us.", "If you enjoyed your stay, write a review.",
        "If you were happy with us, leave a review.", "Something wrong? Contact us first.", "⭐⭐⭐⭐⭐",
        "Lascia una recensione a cinque stelle.", "Se sei rimasto soddisfatto, scrivi una recensione.",
        "Se il soggiorno le è piaciuto, lasci una recensione.", "Prima di recensirci, ci chiami.",
    ],
)  # fmt: skip
def test_an_invitation_to_review_leans_nowhere(words: str) -> None:
    assert "review-not-neutral" in codes(letter("feedback", lead=words, cta="Leave a review"))


@pytest.mark.parametrize(
    "words",
    [
        "Tell other guests how it was, in your own words.", "Your opinion, whatever it is, helps those who come next.",
        "Racconti agli altri ospiti com'è andata, con parole sue.", "Qualunque sia la sua opinione, è utile a chi verrà.",
    ],
)  # fmt: skip
def test_a_neutral_invitation_passes(words: str) -> None:
    assert codes(letter("feedback", lead=words, cta="Lascia una recensione")) == set()
    assert codes(letter("feedback", lead=words, cta="Write a review")) == set()


@pytest.mark.parametrize(
    "words",
    [
        "You get a 10% discount.",
        "We give 200 points.",
        "Take part in our prize draw.",
        "Uno sconto per lei.",
        "Un omaggio la aspetta.",
        "We donate one euro.",
    ],
)
@pytest.mark.parametrize("class_", ["feedback", "marketing", "transactional"])
def test_no_reward_stands_beside_a_request_for_a_review(words: str, class_: str) -> None:
    assert "review-reward" in codes(letter(class_, lead=words, cta="Write a review"))
    assert "review-reward" not in codes(letter(class_, lead=words))


@pytest.mark.parametrize(
    "words",
    [
        "Only 2 rooms left!", "Hurry, the lake will not wait.", "The offer ends in 20 minutes.", "A countdown runs.",
        "Solo 3 camere disponibili", "Ultime camere!", "L'offerta scade tra 2 ore.", "14 persone la stanno guardando",
    ],
)  # fmt: skip
@pytest.mark.parametrize("class_", ["marketing", "transactional", "feedback"])
def test_r48_scarcity_without_a_live_value_is_never_published(words: str, class_: str) -> None:
    found = codes(letter(class_, lead=words))
    assert "scarcity" in found


@pytest.mark.parametrize(
    "words",
    [
        "No thanks, I'd rather pay more.", "No, thank you: I prefer the full price", "I hate saving",
        "No grazie, preferisco pagare il prezzo intero.", "Rinuncio allo sconto",
    ],
)  # fmt: skip
def test_r48_a_refusal_shames_nobody(words: str) -> None:
    assert "confirm-shaming" in codes(letter("marketing", lead=words))


@pytest.mark.parametrize(
    "words",
    [
        "The offer is valid until 30 April 2027.", "No, thank you.", "No grazie", "Our last evening is on Sunday.",
        "Offerta valida fino al 30 aprile 2027.", "Solo per Lei: due notti a 240 €", "Check-in starts in 2 hours.",
    ],
)  # fmt: skip
def test_r48_plain_words_about_validity_and_refusal_pass(words: str) -> None:
    assert codes(letter("marketing", lead=words)) == set()


@pytest.mark.parametrize(
    "words",
    [
        "Next time book directly with us.", "Book your next stay on our website.", "La prossima volta prenoti da noi",
        "Prenoti direttamente e risparmi.", "La prenotazione diretta conviene",
    ],
)  # fmt: skip
def test_r34_a_service_message_calls_nobody_to_book_elsewhere(words: str) -> None:
    assert "books-elsewhere" in codes(letter("transactional", lead=words))
    assert "books-elsewhere" not in codes(letter("marketing", lead=words))


@pytest.mark.parametrize("header", ["marketing", "marketing, profiling"])
def test_r34_the_service_part_of_a_mail_with_a_marketing_block_calls_nobody_elsewhere_either(header: str) -> None:
    block = '<mj-include path="_blocks/upsell.mjml" />'
    calling = letter("transactional", lead="Next time book directly with us.", body=LETTER + block)
    promoted = letter("transactional", body=LETTER + block)
    for given in (calling, promoted):
        given["_blocks/upsell.mjml"] = given["_blocks/upsell.mjml"].replace("class: marketing", f"class: {header}")
    promoted["_texts/en.yaml"] = promoted["_texts/en.yaml"].replace("A better room", "Book directly with us")
    assert "books-elsewhere" in codes(calling)
    assert "books-elsewhere" not in codes(promoted)


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("https://shop.example/tickets", True), ("https://maps.google.com/?q=Stresa", False),
        ("mailto:hotel@example.com", False), ("{{ notice_url }}", False), ("https://{{ property.code }}.example", False),
    ],
)  # fmt: skip
def test_r34_a_link_that_an_aliass_mail_would_lose_is_told_at_publish(address: str, told: bool) -> None:
    given = letter("transactional", body=LETTER.replace("https://x.example", address))
    assert ("relay-link" in {one.code for one in examine("eve", given).problems}) is told
    block = LETTER.replace("x.example", "maps.google.com") + '<mj-include path="_blocks/upsell.mjml" />'
    gated = letter("transactional", body=block)
    words = f"<a href='{address}'>{{{{ t.upsell }}}}</a>"
    gated["_blocks/upsell.mjml"] = gated["_blocks/upsell.mjml"].replace("{{ t.upsell }}", words)
    assert "relay-link" not in {one.code for one in examine("eve", gated).problems}


def test_r21_a_service_message_of_nothing_but_marketing_blocks_is_not_published() -> None:
    assert "class-mix" in codes(letter("transactional", body='<mj-include path="_blocks/upsell.mjml" />'))


LIVE = "<!-- block: upsell; class: live -->\n<mj-section><mj-column><mj-text>{words}</mj-text></mj-column></mj-section>"


@pytest.mark.parametrize(
    ("words", "passes"),
    [
        ("Only {{ event.rooms_left }} rooms available at {{ event.occurred_at|time }}, last rooms.", True),
        ("Last rooms: {{ event.rooms_left }}.", False), ("Last rooms, at {{ event.occurred_at|time }}.", False),
        ("{{ event.rooms_left }} at {{ event.occurred_at|time }}. A countdown runs.", False),
    ],
)  # fmt: skip
def test_r48_scarcity_may_be_said_in_a_live_block_that_shows_its_value_and_time(words: str, passes: bool) -> None:
    fields = "{event.rooms_left: {type: number, sample: 2}, event.occurred_at: {type: datetime, sample: 2026-11-22T10:00:00Z}}"
    given = plain(
        LETTER + '<mj-include path="_blocks/upsell.mjml" />', fields, "marketing", 'lead: "Words."\ncta: "Go on"\n'
    )
    given["_blocks/upsell.mjml"] = LIVE.format(words=words)
    assert ("scarcity" not in {p.code for p in problems(given) if p.severity == "error"}) is passes


@pytest.mark.parametrize(
    "words",
    [
        "If you remove your review, a free night is yours.", "Change the review and receive a voucher.",
        "Se rimuove la recensione, le offriamo un buono sconto.", "Un omaggio per la rimozione della recensione",
    ],
)  # fmt: skip
@pytest.mark.parametrize("class_", ["feedback", "marketing", "transactional"])
def test_r49_nothing_is_offered_for_changing_or_removing_a_review(words: str, class_: str) -> None:
    assert "review-reward" in codes(letter(class_, lead=words))


def test_r49_no_step_answers_a_review() -> None:
    assert not {kind for kind in STEPS if "reply" in kind or "answer" in kind}
    assert "review" not in STEPS


def test_one_button_is_the_main_one() -> None:
    two = LETTER.replace("</mj-column>", "<mj-button href='https://x.example'>More</mj-button></mj-column>")
    assert codes(letter("marketing", body=two)) == {"primary-button"}
    assert codes(letter("marketing", body=two.replace("<mj-button", "<mj-button css-class='primary'", 1))) == set()
    none = "<mj-section><mj-column><mj-text>{{ t.lead }}{{ t.cta }}</mj-text></mj-column></mj-section>"
    assert codes(letter("marketing", body=none)) == {"primary-button"}
    assert codes(letter("transactional", body=none)) == set()


def test_a_mail_that_gmail_would_cut_is_warned_of() -> None:
    assert "too-large" in codes(letter("transactional", body=LETTER * 60))


def test_contrast_is_that_of_wcag() -> None:
    assert ratio("#000", "#ffffff") == pytest.approx(21)
    assert ratio("#767676", "#fff") == pytest.approx(4.54, abs=0.01)
    assert ratio("red", "#fff") is None


@pytest.mark.parametrize(
    ("section", "faint"),
    [
        ('<mj-section background-color="#333333"><mj-column><mj-text color="#000000">x</mj-text></mj-column></mj-section>', True),
        ('<mj-section background-color="#333333"><mj-column><mj-text color="#ffffff">x</mj-text></mj-column></mj-section>', False),
        ('<mj-section><mj-column><mj-button background-color="#ffcc00" color="#ffffff" href="https://x.example">x</mj-button></mj-column></mj-section>', True),
        ('<mj-section><mj-column><mj-text color="#888888">x</mj-text></mj-column></mj-section>', True),
        ('<mj-section><mj-column><mj-text font-size="24px" color="#888888">x</mj-text></mj-column></mj-section>', False),
        ('<mj-section background-url="https://x.example/a.png"><mj-column><mj-text color="#ffffff">x</mj-text></mj-column></mj-section>', False),
    ],
)  # fmt: skip
def test_faint_letters_are_found(section: str, faint: bool) -> None:
    assert ("low-contrast" in codes(plain(section))) == faint


def test_unknown_class_of_a_block_is_told() -> None:
    given = files({"_blocks/upsell.mjml": "<!-- block: upsell; class: promo -->\n<mj-section></mj-section>"})
    given["eve/body.mjml"] += '<mj-include path="_blocks/upsell.mjml" />'
    assert "class-mix" in codes(given)
