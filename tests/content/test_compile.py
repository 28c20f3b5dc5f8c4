"""What publishing a template finds, and what it makes."""

# ruff: noqa: E501 - a case is read as one line

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from app.content.compile import examine
from app.content.compiled import Compiled
from app.content.problems import CODES, ContentError
from tests.content.library import codes, compiled, files, mail, plain, problems, samples, text

ACTIVITIES = '{activities: {type: list, sample: [{title: Boat, url: "https://lake.example/boat"}, {title: Walk, url: "https://lake.example/walk"}]}}'


def test_the_library_compiles_without_a_word() -> None:
    assert problems(files()) == []
    assert set(compiled().languages) == {"en", "it"}


def test_compiled_comes_back_the_same_from_json() -> None:
    made = compiled()
    assert Compiled.from_json(json.loads(json.dumps(made.to_json()))) == made


def test_compiled_of_another_format_is_refused() -> None:
    with pytest.raises(ValueError, match="publish the template again"):
        Compiled.from_json({**compiled().to_json(), "format": 0})


def test_html_has_its_language_title_and_preheader() -> None:
    html = mail(language="it").html
    assert '<html lang="it"' in html
    assert "<title>Anna, a domenica</title>" in html
    assert "2 notti dal 22 nov 2026" in html


def test_no_mail_calls_on_a_third_party() -> None:
    body = '<mj-section><mj-column><mj-social><mj-social-element name="facebook-noshare" href="https://x.example">Us</mj-social-element></mj-social></mj-column></mj-section>'
    html = mail(plain(body)).html
    assert "fonts.googleapis.com" not in html
    assert 'src="https://hotel.example/assets/mail/social/facebook.png"' in html


# marks in odd places


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        pytest.param("{% for a in activities %}<mj-section><mj-column><mj-text>{{ a.title }}!</mj-text></mj-column></mj-section>{% endfor %}", ["Boat!", "Walk!"], id="around sections"),
        pytest.param("<mj-section>{% for a in activities %}<mj-column width='50%'><mj-text>{{ a.title }}!</mj-text></mj-column>{% endfor %}</mj-section>", ["Boat!", "Walk!"], id="around columns"),
        pytest.param("<mj-section><mj-column>{% for a in activities %}<mj-text>{{ a.title }}!</mj-text>{% endfor %}</mj-column></mj-section>", ["Boat!", "Walk!"], id="around texts"),
        pytest.param("<mj-wrapper>{% for a in activities %}<mj-section><mj-column><mj-text>{{ a.title }}!</mj-text></mj-column></mj-section>{% endfor %}</mj-wrapper>", ["Boat!", "Walk!"], id="in a wrapper"),
        pytest.param("<mj-hero background-url='https://x.example/{{ activities[0].title }}.png'>{% if activities %}<mj-text>{{ activities[1]['title'] }}!</mj-text>{% endif %}</mj-hero>", ["https://x.example/Boat.png", "Walk!"], id="in a hero"),
        pytest.param("<mj-section><mj-column><mj-table>{% for a in activities %}<tr><td>{{ a.title }}!</td></tr>{% endfor %}</mj-table></mj-column></mj-section>", ["<tr><td>Boat!</td></tr><tr><td>Walk!</td></tr>"], id="rows of a table"),
        pytest.param("<mj-section><mj-column><mj-raw><tr><td>{% for a in activities %}{{ a.title }}!{% endfor %}</td></tr></mj-raw></mj-column></mj-section>", ["Boat!Walk!"], id="in mj-raw"),
        pytest.param("<mj-raw>{% for a in activities %}</mj-raw><mj-section><mj-column><mj-text>{{ a.title }}!</mj-text></mj-column></mj-section><mj-raw>{% endfor %}</mj-raw>", ["mark-crosses-tags"], id="split over two mj-raw"),
        pytest.param("<mj-section background-color='{{ activities[0].title }}'><mj-column><mj-text>x</mj-text></mj-column></mj-section>", ['bgcolor="Boat"', "background-color:Boat"], id="in a colour"),
        pytest.param("<mj-section><mj-column><mj-text><p title=\"{{ activities|map(attribute='title')|join(', ') }}\">x</p></mj-text></mj-column></mj-section>", ['title="Boat, Walk"'], id="quotes in an attribute"),
        pytest.param("<mj-section><mj-column><mj-text><p title={{ activities[0].title }}>x</p></mj-text></mj-column></mj-section>", ['title="Boat"'], id="without quotes"),
        pytest.param("<mj-section><mj-column><mj-text>{% if 1 < 2 %}yes{% endif %}{% if 'a' == \"a\" %}so{% endif %}</mj-text></mj-column></mj-section>", ["yesso"], id="less than"),
        pytest.param("<mj-section><mj-column><mj-text>{{ activities[0].title }}{{ activities[1].title }}JJ1JJ</mj-text></mj-column></mj-section>", ["BoatWalkJJ1JJ"], id="side by side, beside a look-alike"),
        pytest.param("<mj-section><mj-column><mj-text>a{# a note #}b<!-- {{ nothing }} -->c</mj-text></mj-column></mj-section>", ["abc"], id="comments"),
    ],
)  # fmt: skip
def test_marks_come_through_wherever_they_stand(body: str, wanted: list[str]) -> None:
    given = plain(body, ACTIVITIES)
    found = [p for p in problems(given) if p.severity == "error"]
    if wanted == ["mark-crosses-tags"]:
        assert {p.code for p in found} == {"mark-crosses-tags"}
        return
    assert found == []
    html = mail(given).html
    for words in wanted:
        assert words in html


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("<mj-section><mj-column><mj-text>x</mj-txt></mj-column></mj-section>", "mismatched-tag"),
        ("<mj-section><mj-column><mj-text>x</mj-column></mj-section>", "unclosed-tag"),
        ("<mj-section><mj-column><mj-txt>x</mj-txt></mj-column></mj-section>", "unknown-tag"),
        ("<mj-section><mj-column><mj-text colour='red'>x</mj-text></mj-column></mj-section>", "unknown-attribute"),
        ("<mj-section><mj-column><mj-text padding='wide'>x</mj-text></mj-column></mj-section>", "invalid-value"),
        ("<mj-section><mj-text>x</mj-text></mj-section>", "wrong-nesting"),
        ("<mj-section>words<mj-column></mj-column></mj-section>", "text-outside"),
        ("<mj-section><div>words</div></mj-section>", "text-outside"),
        ("<mj-section><mj-column inner-border='1px solid red'></mj-column></mj-section>", "dropped-attribute"),
        ("<mj-section><mj-column><mj-image src='a.png' /></mj-column></mj-section>", "missing-alt"),
        ("<mj-section><mj-column><mj-text><img src='a.png'></mj-text></mj-column></mj-section>", "missing-alt"),
        ("<mj-section><mj-column width='{{ now }}'></mj-column></mj-section>", "computed-attribute"),
        ("<mj-section {% if now %}css-class='a'{% endif %}></mj-section>", "mark-in-tag"),
        ("<mj-section><mj-column><mj-social>{% if now %}{% endif %}</mj-social></mj-column></mj-section>", "mark-here"),
        ("<mj-section>{% if now %}</mj-section>", "mark-unbalanced"),
        ("<mj-section></mj-section>{% endif %}", "mark-unbalanced"),
        ("{% if now %}<mj-section>{% endif %}</mj-section>", "mark-crosses-tags"),
        ("<mj-section><mj-column><mj-text>{{ now </mj-text></mj-column></mj-section>", "mark-open"),
        ("<mj-section><mj-column><mj-text>{{ now now }}</mj-text></mj-column></mj-section>", "jinja-syntax"),
        ("<mj-section><mj-column><mj-text>{{ now|format }}</mj-text></mj-column></mj-section>", "jinja-forbidden"),
        ("<mj-section><mj-column><mj-text>{% if 1 < 2 %}{% endif %}</mj-text></mj-column></mj-section>", "mark-less-than"),
        ("<mj-raw position='file-start'>x</mj-raw>", "unsupported"),
        ("<mj-section><mj-column><mj-text><![CDATA[x]]></mj-text></mj-column></mj-section>", "unsupported"),
        ("<mj-section><mj-column><mj-text><a href='javascript:x'>x</a></mj-text></mj-column></mj-section>", "bad-link"),
        ("<mj-section><mj-column><mj-text><a href='www.x.example'>x</a></mj-text></mj-column></mj-section>", "bad-link"),
        ("<mj-section><mj-column><mj-text>x</b></mj-text></mj-column></mj-section>", "stray-html"),
        ("<mj-section><mj-column><mj-text color='#aaaaaa'>x</mj-text></mj-column></mj-section>", "low-contrast"),
        ("<mj-include path='_blocks/none.mjml' />", "missing-file"),
        ("<mj-include path='eve/body.mjml' />", "include-cycle"),
        ("<mj-section><mj-column><mj-text>{{ t.none }}</mj-text></mj-column></mj-section>", "missing-text"),
        ("<mj-section><mj-column><mj-text>{{ contact.first_name }}</mj-text></mj-column></mj-section>", "undeclared-variable"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_found_in_the_file_and_line_of_its_author(body: str, code: str) -> None:
    found = [p for p in problems(plain("\n\n" + body)) if p.code == code]
    assert found, problems(plain(body))
    assert all(p.file == "eve/body.mjml" and p.line == 3 and p.column >= 1 for p in found)
    assert all(p.message for p in found)


def test_column_and_cure_are_named() -> None:
    (found,) = problems(plain("<mj-section><mj-column><mj-text colour='#000'>x</mj-text></mj-column></mj-section>"))
    assert (found.line, found.column, found.cure) == (1, 33, "Did you mean color?")


@pytest.mark.parametrize(
    ("head", "code"),
    [
        ("<mj-head><mj-style inline='inline'>a{}</mj-style></mj-head>", "unsupported"),
        ("<mj-head><mj-html-attributes></mj-html-attributes></mj-head>", "unsupported"),
    ],
)
def test_what_the_compiler_does_not_support_is_refused(head: str, code: str) -> None:
    document = f"<mjml>{head}<mj-body></mj-body></mjml>"
    assert code in codes(plain(document, layout="none"))


def test_a_problem_in_a_block_is_told_at_the_block() -> None:
    given = files(
        {"_blocks/upsell.mjml": "<!-- block: upsell; class: marketing -->\n<mj-section><mj-txt/></mj-section>"}
    )
    given["eve/body.mjml"] += '<mj-include path="_blocks/upsell.mjml" />'
    assert ("_blocks/upsell.mjml", 2) in {(p.file, p.line) for p in problems(given) if p.code == "unknown-tag"}


def test_a_problem_in_a_text_is_told_at_the_text() -> None:
    given = files(en=files()["eve/texts.en.yaml"].replace("We expect you", "We expect {{ contact.nick }}"))
    assert ("eve/texts.en.yaml", 4) in {(p.file, p.line) for p in problems(given) if p.code == "undeclared-variable"}


def test_a_broken_template_raises_with_all_its_problems() -> None:
    with pytest.raises(ContentError) as caught:
        compiled(text("{{ contact.first_name }}{{ t.none }}"))
    assert {p.code for p in caught.value.problems} >= {"undeclared-variable", "missing-text"}


# texts and languages


def test_a_key_missing_in_one_language_is_an_error() -> None:
    given = files(it=files()["eve/texts.it.yaml"].replace("cta:", "call:"))
    assert {(p.file, p.code) for p in problems(given)} == {
        ("eve/body.mjml", "missing-text"),
        ("eve/texts.it.yaml", "unused-text"),
    }


def test_a_text_may_use_texts_but_not_itself() -> None:
    assert "Hello, you" in mail(text("{{ t.a }}", words="a: 'Hello, {{ t.b }}'\nb: you\n")).html
    assert "include-cycle" in codes(text("{{ t.a }}", words="a: '{{ t.b }}'\nb: '{{ t.a }}'\n"))


def test_a_text_may_stand_in_an_expression_as_a_word() -> None:
    given = text("{{ 2|plural(t.one, t.many) }}", words="one: night\nmany: nights\n")
    assert "nights" in mail(given).html
    assert "text-expression" in codes(text("{{ 2|plural(t.one, 'x') }}", words="one: '{{ now|date }}'\n"))


def test_quotes_of_a_text_do_not_break_an_attribute() -> None:
    assert 'alt="The lake at &quot;sunrise&quot;"' in mail().html


def test_a_body_of_one_language_stands_before_the_common_one() -> None:
    given = files(
        {
            "eve/body.it.mjml": "<mj-section><mj-column><mj-text>Solo {{ t.title }} {{ t.lead }} {{ t.total }} {{ t.alt }} {{ t.cta }}</mj-text></mj-column></mj-section>"
        }
    )
    assert "Solo Gentile" in mail(given, "it").html
    assert "Solo" not in mail(given, "en").html


def test_bad_yaml_is_told_with_its_line() -> None:
    (found,) = [p for p in problems(files(en="subject: a\npreheader: 'b\nx: [")) if p.code == "bad-yaml"]
    assert found.file == "eve/texts.en.yaml"
    assert found.line >= 2


# facts


def test_a_fact_nobody_supplies_is_found_at_publish() -> None:
    known = {"contact.first_name": "text", "booking.arrival": "date", "booking.nights": "integer", "activities": "list"}
    found = [p for p in problems(files(), known) if p.code == "unknown-variable"]
    assert {p.message for p in found} == {"There is no fact booking.amount.", "There is no fact booking.currency."}
    assert codes(files(), {**known, "booking": "object"}) == set()


def test_every_use_of_a_fact_is_listed_with_its_place() -> None:
    listed = {v.path: v for v in compiled().variables}
    assert listed["booking.arrival"].type == "date"
    assert listed["booking.arrival"].required
    assert not listed["contact.first_name"].required
    assert listed["activities[].url"].file == "eve/body.mjml"
    assert listed["activities[].url"].line == 7


@pytest.mark.parametrize("mark", ["{{ booking.arrival }}", "{{ booking.amount }}", "{{ booking.arrival or 'soon' }}"])
def test_a_date_or_amount_shown_raw_is_an_error(mark: str) -> None:
    fields = "{booking.arrival: {type: date, sample: 2026-11-22}, booking.amount: {type: money, sample: 100}}"
    assert "unformatted" in codes(text(mark, fields))


@pytest.mark.parametrize(
    ("declared", "code"),
    [
        ("{booking.arrival: {type: day, sample: 1}}", "bad-field"),
        ("{booking.arrival: {type: date}}", "bad-field"),
        ("{booking.arrival: {type: date, sample: soon}}", "bad-field"),
        ("{booking.arrival: {type: date, sample: 2026-11-22, fallback: soon}}", "bad-field"),
        ("{booking.arrival: {type: date, sample: 2026-11-22}}", "unused-field"),
    ],
)
def test_fields_are_checked(declared: str, code: str) -> None:
    assert code in codes(text("x", declared))


def test_samples_have_the_types_they_declare() -> None:
    facts = samples(
        plain(
            "",
            "{event.at: {type: datetime, sample: '2026-11-22T10:00:00'}, booking.nights: {type: integer, sample: 4}}",
        )
    )
    assert facts["event"]["at"] == datetime(2026, 11, 22, 10, tzinfo=UTC)
    assert facts["booking"]["nights"] == 4
    assert facts["property"]["name"]


# links


def test_links_are_numbered_in_order_and_the_same_in_every_language() -> None:
    made = compiled()
    assert [(one.number, one.url, one.kind) for one in made.languages["en"].links] == [
        (1, "{{ activity.url }}", "content"),
        (2, "https://hotel.example/b?r={{ contact.first_name }}&x=1", "content"),
    ]
    assert [one.url for one in made.languages["it"].links] == [one.url for one in made.languages["en"].links]
    assert made.languages["it"].links[1].label == "La prenotazione"


def test_link_numbers_do_not_change_with_words() -> None:
    before = compiled().languages["en"]
    after = compiled(files(en=files()["eve/texts.en.yaml"].replace("Dear", "Hello"))).languages["en"]
    assert before.links == after.links
    assert before.digest != after.digest


def test_the_same_number_stands_in_html_and_text() -> None:
    made = compiled().languages["en"]
    for one in made.links:
        assert f"{{{{ link({one.number}) }}}}" in made.html
        assert f"{{{{ link({one.number}) }}}}" in made.text


def test_links_of_ours_and_addresses_are_no_engagement() -> None:
    given = text(
        '<a href="{{ view_url }}">a</a><a href="mailto:{{ property.email }}">b</a><a href="tel:{{ property.phone }}">c</a>'
    )
    assert [one.kind for one in compiled(given).languages["en"].links] == ["functional", "address", "address"]
    assert [url for _, url in mail(given).links_used][1:] == ["mailto:hotel@example.com", "tel:+390323000000"]


def test_an_address_may_choose_but_not_loop() -> None:
    choose = '<a href="https://x.example/{% if now %}a{% else %}b{% endif %}">x</a>'
    assert mail(text(choose)).links_used == ((1, "https://x.example/a"),)
    loop = '<a href="https://x.example/{% for a in [1] %}a{% endfor %}">x</a>'
    assert "bad-link" in codes(text(loop))


# includes


def test_a_part_may_be_for_some_classes_only() -> None:
    assert "unsubscribe_url" not in str(compiled().to_json())
    given = files()
    given["eve/body.mjml"] += '<mj-include path="_blocks/upsell.mjml" />'
    assert "hotel.example/unsubscribe" in mail(given).html


def test_a_style_sheet_and_a_whole_document_may_be_included() -> None:
    given = plain('<mj-include path="eve/extra.css" type="css" /><mj-include path="eve/part.mjml" />')
    given["eve/extra.css"] = ".extra { color: #123456 }"
    given["eve/part.mjml"] = (
        "<mjml><mj-head><mj-style>.part { top: 0 }</mj-style></mj-head><mj-body><mj-section><mj-column><mj-text>Part</mj-text></mj-column></mj-section></mj-body></mjml>"
    )
    html = mail(given).html
    assert ".extra { color: #123456 }" in html
    assert ".part { top: 0 }" in html
    assert "Part" in html


def test_what_a_version_rests_on_is_known() -> None:
    assert examine("eve", files()).used_files == {
        "eve/template.yaml", "eve/body.mjml", "eve/texts.en.yaml", "eve/texts.it.yaml", "_layouts/letter.mjml",
        "_texts/en.yaml", "_texts/it.yaml",
    }  # fmt: skip


def test_every_code_that_is_given_is_explained() -> None:
    for given in (files(), plain("<mj-x/>"), text("{{ a")):
        assert codes(given) <= CODES.keys()
