"""Templates on disk and in the database: versions are immutable, numbered, and made only when something changed."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner
from flask import Flask
from sqlalchemy import event, select
from sqlalchemy.orm import Session

from app.cli.templates import group
from app.clock import FixedClock
from app.config import Settings
from app.contacts.models import Property
from app.content.catalogue import Library, info, library_infos, published, push, read_library, sample_facts, versions
from app.content.compile import examine
from app.content.known import KNOWN_FACTS
from app.content.models import Template, TemplateVersion
from app.content.problems import ContentError
from app.content.render import render
from app.content.samples import URLS
from app.db import Database
from app.house import furnish
from tests.content.library import compiled, files
from tests.factories import Factory

NOW = datetime(2026, 3, 10, 9, tzinfo=UTC)
SHIPPED = Path(__file__).parents[2] / "email_templates"
Work = Callable[[], AbstractContextManager[Session]]


def library(**changed: str) -> Library:
    return Library(files(None, **changed), frozenset())


def test_pushing_publishes_and_pushing_again_changes_nothing(work: Work) -> None:
    with work() as session:
        (first,) = push(session, library(), NOW)
        (second,) = push(session, library(), NOW)
    assert (first.name, first.outcome, first.number) == ("eve", "published", 1)
    assert (second.outcome, second.number) == ("unchanged", None)


def test_a_changed_word_makes_the_next_version_and_keeps_the_last(work: Work) -> None:
    with work() as session:
        push(session, library(), NOW)
        before = published(session, ["eve"])["eve"]
        (change,) = push(session, library(en=files()["eve/texts.en.yaml"].replace("Dear", "Hello")), NOW)
        after = published(session, ["eve"])["eve"]
        assert change.number == 2
        assert after.version_id != before.version_id
        assert "Hello" in after.compiled.languages["en"].html
        kept = versions(session, [before.version_id, after.version_id])
        assert "Dear" in kept[before.version_id].languages["en"].html
        rows = session.scalars(select(TemplateVersion).order_by(TemplateVersion.number)).all()
        assert [row.number for row in rows] == [1, 2]
        assert rows[0].source["eve/texts.en.yaml"] == files()["eve/texts.en.yaml"]
        assert "_layouts/letter.mjml" in rows[0].source


def test_a_changed_block_publishes_the_templates_that_use_it_alone(work: Work) -> None:
    given = files()
    given["_blocks/other.mjml"] = "<mj-section></mj-section>"
    with work() as session:
        push(session, Library(files(), frozenset()), NOW)
        assert [c.outcome for c in push(session, Library(given, frozenset()), NOW)] == ["unchanged"]
        given["_layouts/letter.mjml"] = given["_layouts/letter.mjml"].replace("<mj-body>", '<mj-body css-class="new">')
        assert [c.outcome for c in push(session, Library(given, frozenset()), NOW)] == ["published"]


def test_a_broken_template_is_refused_and_the_live_one_stays(work: Work) -> None:
    with work() as session:
        push(session, library(), NOW)
        (change,) = push(session, library(body="<mj-txt/>"), NOW)
        assert change.outcome == "refused"
        assert "unknown-tag" in {p.code for p in change.problems}
        assert published(session, ["eve"])["eve"].compiled == compiled()


def test_a_batch_of_templates_is_fetched_in_one_query(work: Work) -> None:
    with work() as session:
        push(session, read_library(SHIPPED), NOW)
        names = session.scalars(select(Template.name)).all()
        counted: list[str] = []
        connection = session.connection()
        event.listen(connection, "before_cursor_execute", lambda *args: counted.append(args[2]))
        assert set(published(session, names)) == set(names)
        assert set(published(session, [*names, "none"])) == set(names)
        assert len(counted) == 2
        versions(session, [one.version_id for one in published(session, names).values()])
        assert len(counted) == 3, "what this process knows is not asked for again"


def test_another_workspace_sees_none_of_it(work: Work, db: Database) -> None:
    with work() as session:
        push(session, library(), NOW)
        (live,) = published(session, ["eve"]).values()
    with db.work(999_999) as session:
        assert published(session, ["eve"]) == {}
        assert versions(session, [live.version_id]) == {}


# the shipped library


@pytest.mark.parametrize("name", read_library(SHIPPED).names)
def test_a_shipped_template_has_nothing_wrong_and_renders_in_every_language(name: str) -> None:
    shipped = read_library(SHIPPED)
    examined = examine(name, shipped.files, KNOWN_FACTS)
    assert examined.problems == ()
    assert examined.compiled is not None
    assert set(examined.compiled.languages) >= {"en", "it"}
    for language, one in examined.compiled.languages.items():
        rendered = render(
            one, sample_facts(name, shipped), link=lambda _, address: address, urls=URLS, allows=lambda _: True,
            locale=language, zone="Europe/Rome",
        )  # fmt: skip
        assert rendered.subject
        assert len(rendered.html) < 102_000
        for part in (rendered.subject, rendered.preheader, rendered.text, rendered.html):
            assert "{{" not in part
            assert "None" not in part


def test_every_picture_a_shipped_template_names_is_there() -> None:
    shipped = read_library(SHIPPED)
    for path, text in shipped.files.items():
        for name in re.findall(r"asset\('([^']+)'\)", text):
            assert name in shipped.assets, (path, name)


def test_the_workflow_checker_sees_class_languages_and_what_is_required() -> None:
    seen = library_infos(library())["eve"]
    assert seen == info(compiled())
    assert (seen.class_, seen.topic, seen.languages) == ("transactional", None, ("en", "it"))
    assert "booking.arrival" in seen.required
    assert "contact.first_name" not in seen.required


def test_an_invitation_to_review_is_known_as_one() -> None:
    shipped = read_library(SHIPPED)
    seen = library_infos(shipped)
    assert {name for name, one in seen.items() if one.review_request} == {"review-invitation", "review-reminder"}


def test_samples_of_an_unreadable_template_are_an_error() -> None:
    with pytest.raises(ContentError):
        sample_facts("none", library())


# the command line


def test_check_names_file_line_cure_and_fails(tmp_path: Path) -> None:
    for path, text in files(body="<mj-section><mj-column><mj-txt/></mj-column></mj-section>").items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    ran = CliRunner().invoke(group, ["check", "--root", str(tmp_path)])
    assert ran.exit_code == 1
    assert "eve/body.mjml:1:24: error [unknown-tag]" in ran.output
    assert "1 templates, 3 parts:" in ran.output
    assert (
        CliRunner().invoke(group, ["check", "--root", str(tmp_path), str(tmp_path / "_blocks/footer.mjml")]).exit_code
        == 0
    )


def test_the_shipped_tree_passes_the_strictest_check() -> None:
    ran = CliRunner().invoke(group, ["check", "--root", str(SHIPPED), "--strict"])
    assert ran.exit_code == 0, ran.output


def test_push_and_render_as_a_person_from_the_command_line(
    settings: Settings, clock: FixedClock, db: Database, work: Work
) -> None:
    with work() as session:
        make = Factory(session, clock)
        hotel = sample_facts("booking-confirmation", read_library(SHIPPED))["property"]
        columns = Property.__table__.columns
        make.property(is_default=True, **{name: value for name, value in hotel.items() if name in columns})
        contact = make.contact(external_id="g-7", email="g7@example.com", first_name="Greta", language="it")
        make.booking(contact, reference="LM-9", arrival=date(2026, 6, 12), departure=date(2026, 6, 14))
    house = Flask("house")
    house.extensions["percorso"] = furnish(settings, clock=clock, database=db)
    house.cli.add_command(group)
    runner = house.test_cli_runner()
    pushed = runner.invoke(args=["templates", "push", "--root", str(SHIPPED), str(SHIPPED / "booking-confirmation")])
    assert pushed.exit_code == 0, pushed.output
    assert "lago: booking-confirmation published as 1" in pushed.output
    asked = ["templates", "render", str(SHIPPED / "booking-confirmation"), "--root", str(SHIPPED), "--part", "text"]
    ran = runner.invoke(args=[*asked, "--as", "g-7", "--booking", "LM-9"])
    assert ran.exit_code == 0, ran.output
    assert "Greta" in ran.output
    assert "LM-9" in ran.output
    assert "12 giu 2026" in ran.output
    assert runner.invoke(args=[*asked, "--as", "nobody"]).exit_code == 1
    assert runner.invoke(args=[*asked, "--booking", "LM-9"]).exit_code == 2
    assert runner.invoke(args=asked).exit_code == 0


def _with_file(folder: Path, name: str, content: bytes) -> Library:
    for path, text in files().items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")
    (folder / "eve/files").mkdir(exist_ok=True)
    (folder / "eve/files" / name).write_bytes(content)
    return read_library(folder)


def test_a_file_is_published_with_its_template_and_stays_with_that_version(work: Work, tmp_path: Path) -> None:
    first, second = b"%PDF-1.7 " + bytes(range(256)), b"%PDF-1.7 another"
    with work() as session:
        numbers = [
            change.number
            for content in (first, first, second)
            for change in push(session, _with_file(tmp_path, "house-rules.pdf", content), NOW)
        ]
        assert numbers == [1, None, 2]
        rows = session.scalars(select(TemplateVersion).order_by(TemplateVersion.number)).all()
        kept = versions(session, [row.id for row in rows])
    assert [base64.b64decode(kept[row.id].files["house-rules.pdf"]) for row in rows] == [first, second]
    assert info(kept[rows[0].id]).files == ("house-rules.pdf",)


def test_a_template_without_files_is_the_one_that_was_published_before_there_were_any() -> None:
    assert "files" not in compiled().to_json()


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("rules.zip", b"PK", "archives never go with a mail"),
        ("rules.pdf", b"PK", "is not what its ending says"),
        ("rules.png", b"\x89PNG\r\n\x1a\n" + bytes(2_000_000), "2 MB together"),
        ("the rules.pdf", b"%PDF-", "can be no attachment's name"),
        ("calendar", b"BEGIN:VCALENDAR", "means the stay"),
    ],
)
def test_r34_what_may_not_go_with_a_mail_is_refused_at_publish(
    work: Work, tmp_path: Path, name: str, content: bytes, said: str
) -> None:
    with work() as session:
        (change,) = push(session, _with_file(tmp_path, name, content), NOW)
    assert change.outcome == "refused"
    assert [said in one.message for one in change.problems if one.code == "attachment"] == [True]
