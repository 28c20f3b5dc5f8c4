"""Templates that would break out or eat the machine: refused when read, or stopped while they run."""

# ruff: noqa: E501 - a case is read as one line

from __future__ import annotations

import resource
import time

import pytest

from app.content.environment import MAX_OUTPUT
from app.content.render import LimitExceeded, RenderError
from tests.content.library import codes, mail, plain, samples, text

DOUBLING = "{% set a = 'xxxxxxxxxxxxxxxx' %}" + "{% set a = a OP a %}" * 60 + "{{ a }}"


@pytest.mark.parametrize(
    "mark",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ ''['__class__'] }}{{ contact._secret }}",
        "{{ [].append(1) }}",
        "{{ 'x'.upper() }}",
        "{{ '{0}'.format(1) }}",
        "{{ '%1000000000d'|format(1) }}",
        "{{ 'x'|center(1000000000) }}",
        "{{ 'x'|indent(1000000000) }}",
        "{{ contact|attr('first_name') }}",
        "{{ '<b>'|safe }}",
        "{{ contact|tojson }}",
        "{{ lipsum() }}",
        "{{ cycler('a') }}",
        "{{ namespace(a=1) }}",
        "{{ self }}{{ self.x() }}",
        "{% autoescape false %}{{ now }}{% endautoescape %}",
        "{% include 'x' %}",
        "{% import 'x' as x %}",
        "{% extends 'x' %}",
        "{% block a %}{% endblock %}",
        "{% macro a(n) %}{{ a(n) }}{{ a(n) }}{% endmacro %}{{ a(1) }}",
        "{% for a in [1] recursive %}{{ loop(a) }}{% endfor %}",
        "{% set a = [now, now] %}{% set a = [a, a] %}",
        "{% set n = namespace() %}{% set n.a = 1 %}",
        "{{ _budget }}",
        "{{ 'a'|_counted }}",
        "{% raw %}{{ x }}{% endraw %}{% debug %}",
        "{{ " + "(" * 3000 + "1" + ")" * 3000 + " }}",
    ],
)
def test_what_reaches_out_is_refused_at_publish(mark: str) -> None:
    found = codes(text(mark, "{contact.first_name: {type: text, sample: x}}"))
    assert found & {"jinja-forbidden", "jinja-syntax"}, found


@pytest.mark.parametrize(
    "mark",
    [
        "{{ 'x' * 1000000000 }}",
        "{{ 10 ** 1000000 }}",
        "{{ 2 ** 64 ** 64 }}",
        "{{ '%1000000000d' % 1 }}",
        "{{ [0] * 100000000 }}",
        "{% for a in range(10000000) %}x{% endfor %}",
        "{% for a in range(900) %}{% for b in range(900) %}x{% endfor %}{% endfor %}",
        "{% for a in range(1000) %}{% for b in range(15) %}{% for c in range(1000) %}{% endfor %}{% endfor %}{% endfor %}",
        DOUBLING.replace("OP", "+"),
        DOUBLING.replace("OP", "~"),
        "{% set a = 'xxxxxxxxxxxxxxxx' %}" + "{% set a %}{{ a }}{{ a }}{{ a }}{{ a }}{% endset %}" * 30 + "{{ a }}",
        "{% set a = 'xxxxxxxxxxxxxxxx' %}" + "{% set a = a|replace('x', a) %}" * 30 + "{{ a }}",
        "{% set a = 'xxxxxxxxxxxxxxxx' %}" + "{% set a = [a, 'y', 'z']|join(a) %}" * 30 + "{{ a }}",
        "{% set a = range(1000)|join('xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx') %}{% for b in range(1000) %}{{ a }}{% endfor %}",
    ],
)
def test_what_would_eat_time_or_memory_is_stopped_at_once(mark: str) -> None:
    given = text(mark)
    before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    if codes(given) & {"jinja-forbidden", "jinja-syntax", "mark-here"}:
        return
    with pytest.raises(RenderError) as caught:
        mail(given)
    assert caught.value.code in {"limit", "template", "not_a_value", "bad_value"}
    assert time.monotonic() - started < 5
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000, "KiB more than before"


def test_a_message_has_a_longest_length() -> None:
    given = plain(
        "<mj-section><mj-column><mj-text>{{ contact.first_name }}{{ contact.first_name }}</mj-text></mj-column></mj-section>",
        "{contact.first_name: {type: text, sample: x}}",
    )
    facts = samples(given)
    facts["contact"]["first_name"] = "x" * (MAX_OUTPUT // 2 + 1)
    with pytest.raises(LimitExceeded):
        mail(given, facts=facts)


def test_a_fact_that_looks_like_a_mark_stays_words() -> None:
    given = text("{{ contact.first_name }}", "{contact.first_name: {type: text, sample: x}}")
    facts = samples(given)
    facts["contact"]["first_name"] = "{{ 7 * 7 }}{% if %} {{ link(1) }} JJ0JJ"
    assert mail(given, facts=facts).text == "{{ 7 * 7 }}{% if %} {{ link(1) }} JJ0JJ\n"


def test_facts_cannot_stand_in_for_our_own_functions() -> None:
    given = text('<a href="https://x.example">x</a>')
    facts = {**samples(given), "link": lambda *_: "stolen", "_budget": [10**9], "allows": None}
    assert "click.example/1" in mail(given, facts=facts).html


def test_objects_among_the_facts_show_none_of_their_insides() -> None:
    given = text(
        "{{ contact.first_name.real }}{{ contact.tags.append }}",
        "{contact.first_name: {type: text, sample: x}, contact.tags: {type: list, sample: [a]}}",
    )
    with pytest.raises(RenderError) as caught:
        mail(given)
    assert caught.value.code == "missing_field"
