"""A small library of templates to try things on: `files(...)` gives its texts, with what a test changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from app.content.catalogue import facts_of
from app.content.compile import compile_template, examine
from app.content.compiled import Compiled
from app.content.manifest import read_manifest
from app.content.problems import Problem
from app.content.render import Rendered, render
from app.content.samples import URLS

_BASE: Final[Mapping[str, str]] = {
    "_layouts/letter.mjml": """<mjml>
  <mj-body>
    <mj-include path="content" />
    <mj-include path="_blocks/footer.mjml" for="marketing feedback" />
  </mj-body>
</mjml>
""",
    "_blocks/footer.mjml": """<!-- block: footer; class: marketing, feedback -->
<mj-section><mj-column><mj-text>
  {{ property.name }}, {{ property.address.street }}, {{ property.vat }}, {{ property.cin }}.
  <a href="{{ unsubscribe_url }}">{{ t.leave }}</a> <a href="{{ notice_url }}">{{ t.notice }}</a>
</mj-text></mj-column></mj-section>
""",
    "_blocks/upsell.mjml": """<!-- block: upsell; class: marketing -->
<mj-section><mj-column><mj-text>{{ t.upsell }}</mj-text></mj-column></mj-section>
""",
    "_texts/en.yaml": "leave: Unsubscribe\nnotice: Privacy\nupsell: A better room\n",
    "_texts/it.yaml": "leave: Disiscriviti\nnotice: Privacy\nupsell: Una camera migliore\n",
    "eve/template.yaml": """template: eve
name: {en: Eve of arrival, it: Vigilia dell'arrivo}
phase: retention
class: transactional
layout: letter
fields:
  contact.first_name: {type: text, sample: Anna, fallback: {en: guest, it: ospite}}
  booking.arrival: {type: date, sample: 2026-11-22}
  booking.nights: {type: integer, sample: 2}
  booking.amount: {type: money, sample: 123450}
  booking.currency: {type: text, sample: EUR}
  activities:
    type: list
    sample:
      - {title: Boat to the islands, url: "https://lake.example/boat?a=1&b=2"}
      - {title: Gardens, url: "https://lake.example/gardens"}
""",
    "eve/body.mjml": """<mj-section>
  <mj-column>
    <mj-text><h1>{{ t.title }}</h1><p>{{ t.lead }}</p></mj-text>
    <mj-table>
      <tr><td>{{ t.total }}</td><td>{{ booking.amount|money(booking.currency) }}</td></tr>
      {% for activity in activities %}
      <tr><td><a href="{{ activity.url }}">{{ activity.title }}</a></td><td>{{ loop.index }}</td></tr>
      {% endfor %}
    </mj-table>
    <mj-image src="{{ asset('lake.png') }}" alt="{{ t.alt }}" />
    <mj-button href="https://hotel.example/b?r={{ contact.first_name }}&amp;x=1">{{ t.cta }}</mj-button>
  </mj-column>
</mj-section>
""",
    "eve/texts.en.yaml": """subject: "{{ contact.first_name }}, see you on {{ booking.arrival|weekday }}"
preheader: "{{ booking.nights }} {{ booking.nights|plural('night', 'nights') }} from {{ booking.arrival|date }}"
title: Dear {{ contact.first_name }}
lead: We expect you on <b>{{ booking.arrival|date_long }}</b>.
total: Total
alt: The lake at "sunrise"
cta: See your booking
""",
    "eve/texts.it.yaml": """subject: "{{ contact.first_name }}, a {{ booking.arrival|weekday }}"
preheader: "{{ booking.nights }} {{ booking.nights|plural('notte', 'notti') }} dal {{ booking.arrival|date }}"
title: Gentile {{ contact.first_name }}
lead: Vi aspettiamo <b>{{ booking.arrival|date_long }}</b>.
total: Totale
alt: Il lago all'alba
cta: La prenotazione
""",
}


def files(changed: Mapping[str, str | None] | None = None, **texts: str) -> dict[str, str]:
    """The library with some files replaced (None: taken away); `body=` and `yaml=` are short for eve's."""
    short = {"body": "eve/body.mjml", "yaml": "eve/template.yaml", "en": "eve/texts.en.yaml", "it": "eve/texts.it.yaml"}
    made: dict[str, str | None] = {**_BASE, **(changed or {}), **{short[key]: value for key, value in texts.items()}}
    return {path: text for path, text in made.items() if text is not None}


def plain(
    body: str, fields: str = "{}", class_: str = "transactional", words: str = "", layout: str = "letter"
) -> dict[str, str]:
    """A template of one language whose body, fields and texts a test gives."""
    yaml = f"template: eve\nname: Eve\nphase: retention\nclass: {class_}\nlayout: {layout}\nfields: {fields}\n"
    return files({"eve/texts.it.yaml": None}, body=body, yaml=yaml, en=f"subject: Hello\npreheader: There\n{words}")


def text(inner: str, fields: str = "{}", words: str = "") -> dict[str, str]:
    """A template with one mj-text."""
    return plain(f"<mj-section><mj-column><mj-text>{inner}</mj-text></mj-column></mj-section>", fields, words=words)


def problems(given: Mapping[str, str], known: Mapping[str, str] | None = None) -> list[Problem]:
    """All that is wrong with eve, save that letters here lead to hosts that not everybody has approved (R34)."""
    return [one for one in examine("eve", given, known).problems if one.code != "relay-link"]


def codes(given: Mapping[str, str], known: Mapping[str, str] | None = None) -> set[str]:
    """The codes of all that is wrong with eve."""
    return {problem.code for problem in problems(given, known)}


def samples(given: Mapping[str, str]) -> dict[str, Any]:
    """Eve's sample facts."""
    manifest = read_manifest("eve", given, [])
    assert manifest is not None
    return facts_of(manifest)


def compiled(given: Mapping[str, str] | None = None) -> Compiled:
    """Eve, compiled."""
    return compile_template("eve", files() if given is None else given)


def mail(
    given: Mapping[str, str] | None = None,
    language: str = "en",
    facts: Mapping[str, Any] | None = None,
    refused: frozenset[str] = frozenset(),
) -> Rendered:
    """Eve, rendered with her samples; `refused` classes are not allowed."""
    given = files() if given is None else given
    return render(
        compiled(given).languages[language], samples(given) if facts is None else facts,
        link=lambda number, address: f"https://click.example/{number}?{address}", urls=URLS,
        allows=lambda class_: class_ not in refused, locale=language, zone="Europe/Rome",
    )  # fmt: skip
