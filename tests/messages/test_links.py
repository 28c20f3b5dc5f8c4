"""Signed links: short, forgery-proof, one door each, good for years."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.config import Settings
from app.messages import links
from app.messages.links import PATHS, BadTokenError, Ref

SETTINGS = Settings(
    database_url="postgresql+psycopg://nobody@localhost/nothing",
    redis_url="redis://localhost",
    secret="a secret of at least thirty-two characters",
    base_url="https://mail.lago.example",
)
REF = Ref(3, 123_456, 9_876_543)
numbers = st.lists(st.integers(0, 2**63), min_size=1, max_size=6)


@given(numbers)
def test_a_token_gives_back_its_numbers(given_numbers: list[int]) -> None:
    token = links.sign(SETTINGS, "view", given_numbers)
    assert links.read(SETTINGS, "view", token) == tuple(given_numbers)


@given(st.text(max_size=60) | st.binary(max_size=60).map(lambda raw: raw.hex()))
def test_nothing_else_is_a_token(text: str) -> None:
    with pytest.raises(BadTokenError):
        links.read(SETTINGS, "view", text)


def test_a_changed_letter_spoils_it() -> None:
    token = links.sign(SETTINGS, "unsubscribe", REF)
    for place, letter in enumerate(token):
        other = "A" if letter != "A" else "B"
        with pytest.raises(BadTokenError):
            links.read_ref(SETTINGS, "unsubscribe", token[:place] + other + token[place + 1 :])


def test_a_token_opens_one_door_only() -> None:
    for made in PATHS:
        token = links.sign(SETTINGS, made, REF)  # type: ignore[arg-type]
        for tried in PATHS:
            if tried != made:
                with pytest.raises(BadTokenError):
                    links.read(SETTINGS, tried, token)  # type: ignore[arg-type]


def test_it_is_short_and_holds_no_address() -> None:
    token = links.sign(SETTINGS, "unsubscribe", REF)
    assert len(token) < 32
    assert token.replace("-", "").replace("_", "").isalnum()


def test_a_mail_from_before_the_secret_changed_still_works() -> None:
    token = links.sign(SETTINGS, "unsubscribe", REF)
    later = replace(SETTINGS, secret="b" * 40, previous_secrets=("c" * 40, SETTINGS.secret))
    assert links.read_ref(later, "unsubscribe", token) == REF
    with pytest.raises(BadTokenError):
        links.read_ref(replace(later, previous_secrets=()), "unsubscribe", token)


def test_r35_a_bounce_names_its_message_even_in_capitals() -> None:
    address = links.bounce_address(SETTINGS, REF, "bounces@lago.example")
    assert len(address.rpartition("@")[0]) <= 64
    assert links.read_bounce_address(SETTINGS, address.upper()) == REF
    for other in ("bounces@lago.example", "bounces+zz@lago.example", "bounces+00ff@lago.example"):
        with pytest.raises(BadTokenError):
            links.read_bounce_address(SETTINGS, other)


def test_r39_a_message_keeps_its_message_id_and_no_other_has_it() -> None:
    made = links.message_id(SETTINGS, REF, "lago.example")
    assert made == links.message_id(SETTINGS, REF, "lago.example")
    assert made != links.message_id(SETTINGS, REF._replace(message_id=1), "lago.example")
    assert made.endswith("@lago.example>")
    assert "123456" not in made


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("https://x.example/a", "https://x.example/a?utm_source=lago&utm_medium=email&utm_campaign=may"),
        ("https://x.example/a?b=1#c", "https://x.example/a?b=1&utm_source=lago&utm_medium=email&utm_campaign=may#c"),
        ("https://x.example/?utm_source=own", "https://x.example/?utm_source=own"),
        ("mailto:a@x.example", "mailto:a@x.example"),
    ],
)
def test_r15_a_campaign_is_named_and_nobody_in_person(target: str, expected: str) -> None:
    assert links.campaign_url(target, "lago", "may") == expected


def headers(**given: object) -> dict[str, str]:
    """The headers of a mail."""
    fields: dict[str, object] = {
        "class_": "marketing",
        "with_marketing": False,
        "unsubscribe": "https://m.example/m/u/x",
        "mailto": None,
        "list_name": "Hotel Lago, offers",
        "list_key": "offers",
        "account": "lago",
        "campaign": "winter:2026",
        "domain": "lago.example",
    }
    return dict(links.list_headers(**fields | given))  # type: ignore[arg-type]


@pytest.mark.parametrize("class_", ["marketing", "feedback"])
def test_r31_mails_of_a_list_carry_the_one_click_pair(class_: str) -> None:
    made = headers(class_=class_)
    assert made["List-Unsubscribe"] == "<https://m.example/m/u/x>"
    assert made["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert "Auto-Submitted" not in made


def test_r31_https_stands_before_mailto() -> None:
    made = headers(mailto="leave@lago.example?subject=unsubscribe")
    assert made["List-Unsubscribe"].startswith("<https://m.example/m/u/x>, <mailto:leave@lago.example")


def test_r31_r33_pure_service_mail_carries_neither_and_says_that_it_is_automatic() -> None:
    made = headers(class_="transactional")
    assert "List-Unsubscribe" not in made
    assert made["Auto-Submitted"] == "auto-generated"


def test_r21_service_mail_with_a_marketing_block_carries_the_pair() -> None:
    assert "List-Unsubscribe-Post" in headers(class_="transactional", with_marketing=True)


def test_r33_list_id_and_feedback_id_are_stable_and_nobodys() -> None:
    made = headers()
    assert made["List-Id"] == "Hotel Lago, offers <offers.lago.lago.example>"
    campaign, stream, account, sender = made["Feedback-ID"].split(":")
    assert (campaign, stream, account) == ("winter-2026", "marketing", "lago")
    assert 5 <= len(sender) <= 15
