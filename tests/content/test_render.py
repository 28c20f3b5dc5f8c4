"""What a person gets: their words escaped where they must be, dates and money as they write them."""

# ruff: noqa: E501 - a case is read as one line

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.content import formats
from app.content.render import MissingField, RenderError, render
from tests.content.library import compiled, files, mail, plain, problems, samples, text

GOLDEN = Path(__file__).parent / "golden"
NAME = "{contact.first_name: {type: text, sample: Anna}}"


@pytest.mark.parametrize("language", ["en", "it"])
def test_a_mail_reads_as_it_was_approved(language: str) -> None:
    rendered = mail(language=language)
    shown = f"Subject: {rendered.subject}\nPreheader: {rendered.preheader}\n\n{rendered.text}"
    assert shown == (GOLDEN / f"eve.{language}.txt").read_text(encoding="utf-8")
    assert rendered.html + "\n" == (GOLDEN / f"eve.{language}.html").read_text(encoding="utf-8")


@given(st.text(min_size=1))
def test_any_name_is_escaped_in_html_verbatim_in_text_and_one_line_in_the_subject(name: str) -> None:
    given_files = text("Hello <b>{{ contact.first_name }}</b>!", NAME)
    given_files["eve/texts.en.yaml"] = (
        'subject: "For {{ contact.first_name }}"\npreheader: "To {{ contact.first_name }}"\n'
    )
    facts = samples(given_files)
    facts["contact"]["first_name"] = name
    rendered = mail(given_files, facts=facts)
    inside = re.search(r"Hello <b>(.*?)</b>!", rendered.html, re.DOTALL)
    assert inside is not None
    assert not re.search(r"[<>\"']|&(?!amp;|lt;|gt;|#34;|#39;)", inside[1])
    assert html.unescape(inside[1].replace("&#34;", '"').replace("&#39;", "'")) == html.unescape(html.escape(name))
    assert rendered.text == f"Hello {name}!\n"
    for line in (rendered.subject, rendered.preheader):
        assert not re.search(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]", line)
    assert rendered.subject.split() == f"For {formats.one_line(name)}".split()


def test_a_subject_cannot_bring_a_header_in() -> None:
    facts = samples(files())
    facts["contact"]["first_name"] = "Anna\r\nBcc: all@example.com\x0b\x00"
    assert mail(facts=facts).subject == "Anna Bcc: all@example.com , see you on Sunday"


def test_a_value_in_an_address_is_encoded_and_one_that_begins_it_is_not() -> None:
    given_files = text(
        '<a href="https://x.example/{{ contact.first_name }}?q={{ contact.first_name }}">a</a>'
        '<a href="{{ property.links.website }}/x?y={{ contact.first_name|urlencode }}">b</a>', NAME,
    )  # fmt: skip
    facts = samples(given_files)
    facts["contact"]["first_name"] = "a&b c/?#%"
    assert [url for _, url in mail(given_files, facts=facts).links_used] == [
        "https://x.example/a%26b%20c/%3F%23%25?q=a%26b%20c/%3F%23%25",
        "https://hotel.example/x?y=a%26b%20c/%3F%23%25",
    ]


@pytest.mark.parametrize(
    "address", ["javascript:alert(1)", "data:text/html,x", "//evil.example", "x", " https://x.example"]
)
def test_a_fact_cannot_make_a_link_dangerous(address: str) -> None:
    given_files = text('<a href="{{ contact.first_name }}">x</a>', NAME)
    facts = samples(given_files)
    facts["contact"]["first_name"] = address
    with pytest.raises(RenderError) as caught:
        mail(given_files, facts=facts)
    assert caught.value.code == "unsafe_link"


# what is missing


@pytest.mark.parametrize(
    ("mark", "path"),
    [
        ("{{ contact.first_name }}", "contact.first_name"),
        ("{{ contact['first_name']|upper }}", "contact.first_name"),
        ("{% for a in booking.data.extras %}{% endfor %}", "booking.data.extras"),
        ("{{ booking.data.room.view }}", "booking.data.room.view"),
        ("{{ booking.arrival|date }}", "booking.arrival"),
        ("{{ booking.nights + 1 }}", "booking.nights"),
        ("{{ booking.data.extras|length }}", "booking.data.extras"),
        ("{{ 'x' ~ contact.first_name }}", "contact.first_name"),
        ("{{ unsubscribe_url }}", "unsubscribe_url"),
    ],
)
@pytest.mark.parametrize("how", ["none", "absent"])
def test_a_missing_fact_fails_that_message_and_says_which(mark: str, path: str, how: str) -> None:
    fields = (
        "{contact.first_name: {type: text, sample: x}, booking.data: {type: object, sample: {room: {view: x}}},"
        " booking.arrival: {type: date, sample: 2026-11-22}, booking.nights: {type: integer, sample: 1}}"
    )
    given_files = plain(f"<mj-section><mj-column><mj-text>{mark}</mj-text></mj-column></mj-section>", fields)
    if "unsubscribe" in path:
        given_files["eve/template.yaml"] = given_files["eve/template.yaml"].replace("transactional", "feedback")
    facts = samples(given_files)
    gone: Any = (
        {"contact": {"first_name": None}, "booking": {"data": {"room": None}}} if how == "none" else {"contact": {}}
    )
    with pytest.raises(MissingField) as caught:
        render(
            compiled(given_files).languages["en"], {**facts, "booking": None, **gone}, link=lambda _, url: url,
            urls={"assets": ""}, allows=lambda _: True, locale="en", zone="Europe/Rome",
        )  # fmt: skip
    assert caught.value.path == path
    assert path in str(caught.value)


def test_other_messages_go_on_after_one_that_fails() -> None:
    broken = samples(files())
    broken["booking"]["arrival"] = None
    with pytest.raises(MissingField):
        mail(facts=broken)
    assert mail().subject


def test_a_missing_fact_is_false_in_a_condition_and_default_serves() -> None:
    given_files = text(
        "{% if contact.nick %}a{% else %}b{% endif %}{{ contact.nick|default('c') }}{{ contact.nick or 'd' }}",
        "{contact.nick: {type: text, sample: x}}",
    )
    facts = samples(given_files)
    del facts["contact"]["nick"]
    assert "bcd" in mail(given_files, facts=facts).html


@pytest.mark.parametrize("value", [None, ""])
def test_a_declared_fallback_stands_in_by_language(value: str | None) -> None:
    facts = samples(files())
    facts["contact"]["first_name"] = value
    assert "Dear guest" in mail(facts=facts).html
    assert "Gentile ospite" in mail(facts=facts, language="it").text


def test_a_list_is_never_shown_raw() -> None:
    with pytest.raises(RenderError, match="cannot be shown"):
        mail(text("{{ contact.tags }}", "{contact.tags: {type: list, sample: [a]}}"))


# blocks


def test_a_marketing_block_vanishes_where_it_is_not_allowed_and_the_message_goes() -> None:
    given_files = files()
    given_files["eve/body.mjml"] += '<mj-include path="_blocks/upsell.mjml" />'
    allowed, refused = mail(given_files), mail(given_files, refused=frozenset({"marketing", "feedback"}))
    assert "A better room" in allowed.html
    assert allowed.shown >= {"marketing"}
    for part in (refused.html, refused.text):
        assert "A better room" not in part
        assert "unsubscribe" not in part.lower()
    assert refused.shown == frozenset()
    assert not refused.empty


def test_nothing_is_sent_where_only_blocks_are_left_that_may_not_be_shown() -> None:
    given_files = plain('<mj-include path="_blocks/upsell.mjml" />')
    given_files["_blocks/upsell.mjml"] = given_files["_blocks/upsell.mjml"].replace(
        "class: marketing", "class: profiling"
    )
    assert mail(given_files, refused=frozenset({"profiling"})).empty
    assert not mail(given_files).empty


def test_r21_nothing_is_sent_where_a_block_needs_two_leaves_and_has_one() -> None:
    given_files = plain('<mj-include path="_blocks/upsell.mjml" />', class_="marketing")
    both = given_files["_blocks/upsell.mjml"].replace("class: marketing", "class: marketing, profiling")
    given_files["_blocks/upsell.mjml"] = both
    assert mail(given_files, refused=frozenset({"profiling"})).empty
    assert not mail(given_files).empty


def test_r21_what_a_vanishing_block_includes_is_no_content_of_its_own() -> None:
    given_files = plain('<mj-include path="_blocks/upsell.mjml" />')
    header = "<!-- block: upsell; class: profiling -->\n"
    given_files["_blocks/card.mjml"] = given_files["_blocks/upsell.mjml"].partition("\n")[2]
    given_files["_blocks/upsell.mjml"] = f'{header}<mj-include path="_blocks/card.mjml" />'
    assert mail(given_files, refused=frozenset({"profiling"})).empty
    assert "A better room" in mail(given_files).html


def test_in_a_marketing_message_a_marketing_block_needs_no_second_leave() -> None:
    given_files = plain('<mj-include path="_blocks/upsell.mjml" />', class_="marketing")
    assert not [p for p in problems(given_files) if p.severity == "error"]
    assert "A better room" in mail(given_files, refused=frozenset({"marketing"})).html


# the text part


def test_the_text_part_says_all_that_the_mail_says() -> None:
    body = """<mj-section><mj-column>
      <mj-text><h2>Plan</h2><p>One <b>bold</b>&nbsp;&amp; <a href="https://x.example/a">two</a>.<br>Next</p>
        <ul><li>a</li><li>b</li></ul><ol><li>c</li><li>d</li></ol></mj-text>
      <mj-image src="x.png" alt="The lake" /><mj-image src="x.png" alt="" />
      <mj-image src="x.png" alt="Map" href="https://x.example/map" />
      <mj-divider /><mj-spacer />
      <mj-table><tr><th>When</th><th>What</th></tr><tr><td>Mon</td><td>Boat</td></tr></mj-table>
      <mj-accordion><mj-accordion-element><mj-accordion-title>Where?</mj-accordion-title><mj-accordion-text>Here.</mj-accordion-text></mj-accordion-element></mj-accordion>
      <mj-text>Write to <a href="mailto:a@x.example">a@x.example</a></mj-text>
      <mj-button href="https://x.example/go">Go on</mj-button>
      <mj-social><mj-social-element name="instagram" href="https://x.example/ig">Instagram</mj-social-element></mj-social>
    </mj-column></mj-section>"""
    text_part = mail(plain(body)).text.replace("https://click.example/", "@")
    assert text_part == (
        "Plan\n----\n\nOne bold & two (@1?https://x.example/a).\nNext\n\n- a\n- b\n\n1. c\n2. d\n\n[The lake]\n\n"
        "Map: @2?https://x.example/map\n\nWhen  What\nMon: Boat\n\nWhere?\n------\n\nHere.\n\nWrite to a@x.example\n\n"
        "Go on: @4?https://x.example/go\n\nInstagram: @5?https://x.example/ig\n"
    )


def test_what_vanishes_leaves_no_hole_in_the_text_part() -> None:
    body = "<mj-section><mj-column><mj-text>A</mj-text>{% if not now %}<mj-text>B</mj-text>{% endif %}<mj-text>C</mj-text></mj-column></mj-section>"
    assert mail(plain(body)).text == "A\n\nC\n"


def test_a_text_part_written_by_hand_is_taken_as_it_is() -> None:
    given_files = text("x", NAME)
    given_files["eve/text.txt"] = "Dear {{ contact.first_name }},\n\n  {{ t.preheader }}\n"
    assert mail(given_files).text == "Dear Anna,\n\nThere\n"


# formats


@pytest.mark.parametrize(
    ("mark", "english", "italian"),
    [
        ("{{ d|date }}", "22 Nov 2026", "22 nov 2026"),
        ("{{ d|date_long }}", "Sunday, 22 November 2026", "domenica 22 novembre 2026"),
        ("{{ d|weekday }}", "Sunday", "domenica"),
        ("{{ i|time }}", "16:05", "16:05"),
        ("{{ '15:00'|time }}", "15:00", "15:00"),
        ("{{ i|datetime }}", "22 Nov 2026, 16:05", "22 nov 2026, 16:05"),
        ("{{ m|money('EUR') }}", "€1,234.50", "1.234,50\xa0€"),
        ("{{ 500|money('JPY') }}", "JP¥500", "500\xa0JPY"),
        ("{{ 1234500|money('TND') }}", "TND\xa01,234.500", "1.234,500\xa0TND"),
        ("{{ 1234.5|number }}", "1,234.5", "1.234,5"),
        ("{{ 2|number(2) }}", "2.00", "2,00"),
        ("{{ 1|plural('night', 'nights') }}", "night", "night"),
        ("{{ 0|plural('night', 'nights') }}", "nights", "nights"),
    ],
)
def test_dates_money_and_numbers_are_written_as_the_reader_writes_them(mark: str, english: str, italian: str) -> None:
    fields = "{d: {type: date, sample: 2026-11-22}, i: {type: datetime, sample: '2026-11-22T15:05:00+00:00'}, m: {type: money, sample: 123450}}"
    given_files = text(mark, fields)
    given_files["eve/texts.it.yaml"] = given_files["eve/texts.en.yaml"]
    assert f">{english}<" in mail(given_files, "en").html
    assert f">{italian}<" in mail(given_files, "it").html


@pytest.mark.parametrize(
    "mark", ["{{ 'soon'|date }}", "{{ 1.5|money('EUR') }}", "{{ 1|money('<b>') }}", "{{ 'x'|number }}", "{{ 3|time }}"]
)
def test_a_value_that_cannot_be_written_so_fails_the_message(mark: str) -> None:
    with pytest.raises(RenderError) as caught:
        mail(text(mark))
    assert caught.value.code == "bad_value"


@given(
    st.integers(-(10**12), 10**12),
    st.sampled_from(["EUR", "USD", "JPY", "CHF", "TND"]),
    st.sampled_from(["it", "en", "de", "fr", "es"]),
)
@settings(max_examples=100)
def test_no_cent_is_lost_in_writing_money(amount: int, currency: str, locale: str) -> None:
    written = formats.money(formats.reader_of(locale, "Europe/Rome"), amount, currency)
    assert int(re.sub(r"\D", "", written)) == abs(amount)
    assert ("-" in written or "−" in written) == (amount < 0)


def test_an_unknown_zone_or_language_is_an_error_of_that_message() -> None:
    with pytest.raises(ValueError, match="no such locale or zone"):
        formats.reader_of("it", "Europe/Atlantis")
