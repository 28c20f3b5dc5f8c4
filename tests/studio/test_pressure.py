"""Settings: how often, at what hour, and who is kept out."""

from __future__ import annotations

import re
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from app.accounts import settings
from app.consent.policy import Limits, Policy
from app.contacts.models import Contact
from app.studio.pressure_form import DAYS, of_policy, places, problems, sections
from tests.studio.stage import ANALYST, HERE, Stage, token

PAGE = f"{HERE}/settings/pressure"


def held(stage: Stage) -> Policy:
    """What holds now."""
    with stage.work() as session:
        return Policy.from_settings(settings.read(session))


def filled(client: FlaskClient, **changes: Any) -> dict[str, Any]:
    """The form as the page shows it, with these fields changed; `__` stands for a dot."""
    text = client.get(PAGE).text
    form: dict[str, Any] = dict(re.findall(r'name="([\w.-]+)" value="([^"]*)"', text))
    form = {name: value for name, value in form.items() if not name.endswith((".days", ".holidays", ".anew"))}
    form |= {"caps.on_hit": "defer", "quiet.other.days": ["sun"], "quiet.other.holidays": "yes"}
    return form | {name.replace("__", "."): value for name, value in changes.items()}


def test_saved_as_shown_nothing_changes(stage: Stage, owner: FlaskClient) -> None:
    before = held(stage)
    assert owner.post(PAGE, data=filled(owner)).status_code == 303
    assert held(stage) == before


def test_every_part_of_it_is_kept_and_shown_again(stage: Stage, owner: FlaskClient) -> None:
    changes = {
        "caps.day": "2", "caps.month": "9", "caps.feedback.week": "1", "caps.topics.newsletter.month": "1",
        "caps.on_hit": "drop", "defer_days": "5", "quiet.email.from": "20:00", "quiet.email.days": ["sat", "sun"],
        "quiet.email.holidays": "yes", "holdout.percent": "7",
    }  # fmt: skip
    answer = owner.post(PAGE, data=filled(owner) | changes)
    assert "Saved." in owner.get(answer.location).text
    policy = held(stage)
    assert (policy.day_cap, policy.month_cap, policy.on_cap, policy.defer_for.days) == (2, 9, "drop", 5)
    assert policy.class_caps == {"feedback": Limits(week=1)}
    assert policy.topic_caps == {"newsletter": Limits(month=1)}
    assert (policy.email_quiet.start.hour, policy.email_quiet.closed, policy.email_quiet.holidays) == (20, (5, 6), "IT")
    assert policy.holdout_percent == 7
    text = owner.get(PAGE).text
    for name in ("caps.topics.newsletter.month", "caps.feedback.week"):
        assert f'name="{name}" value="1"' in text


def test_what_is_wrong_stands_beside_its_field_and_nothing_is_kept(stage: Stage, owner: FlaskClient) -> None:
    before = held(stage)
    wrong = {
        "caps.day": "", "caps.week": "many", "caps.marketing.day": "100", "caps.on_hit": "maybe", "defer_days": "31",
        "quiet.email.from": "9 pm", "quiet.other.days": list(DAYS), "holdout.percent": "51",
    }  # fmt: skip
    answer = owner.post(PAGE, data=filled(owner) | wrong)
    assert answer.status_code == 422
    for name in wrong:
        assert f'id="wrong-{name}"' in answer.text, name
        assert f'aria-describedby="wrong-{name}"' in answer.text or name.endswith(".days"), name
    assert 'value="many"' in answer.text
    assert held(stage) == before


def test_it_can_be_undone_from_its_toast(stage: Stage, owner: FlaskClient) -> None:
    before = held(stage)
    answer = owner.post(PAGE, data=filled(owner, caps__day="4", holdout__percent="9"))
    text = owner.get(answer.location).text
    was = re.search(r'name="before" value="([^"]+)"', text)
    assert was is not None
    given = {"csrf_token": token(owner, PAGE), "before": was[1].replace("&#34;", '"')}
    assert owner.post(f"{PAGE}/undo", data=given).status_code == 303
    assert held(stage) == before


@pytest.mark.parametrize("before", ["", "[]", '{"caps":{"day":-1}}', '{"secret":1}', '{"caps":null}'])
def test_undoing_puts_back_nothing_but_what_the_form_says(stage: Stage, owner: FlaskClient, before: str) -> None:
    kept = held(stage)
    given = {"csrf_token": token(owner, PAGE), "before": before}
    assert owner.post(f"{PAGE}/undo", data=given).status_code == 400
    assert held(stage) == kept


def test_what_others_keep_in_the_settings_stays(stage: Stage, owner: FlaskClient) -> None:
    with stage.work() as session:
        settings.lay(session, {"bounce_inbox": "b@example.com"})
    owner.post(PAGE, data=filled(owner, caps__day="4"))
    with stage.work() as session:
        assert settings.read(session)["bounce_inbox"] == "b@example.com"


def test_r62_the_group_stays_the_same_and_grows_and_only_who_says_so_draws_it_anew(
    stage: Stage, owner: FlaskClient
) -> None:
    with stage.work() as session:
        people = list(session.scalars(select(Contact.id)))

    def group(**changes: Any) -> set[int]:
        owner.post(PAGE, data=filled(owner, **changes))
        return {one for one in people if held(stage).keeps_out(one)}

    small = group(holdout__percent="20")
    assert group(holdout__percent="20", caps__day="3") == small
    assert small <= group(holdout__percent="50")
    salt = held(stage).holdout_salt
    group(holdout__percent="50", holdout__anew="yes")
    assert held(stage).holdout_salt != salt


def test_somebody_can_be_looked_up(stage: Stage, owner: FlaskClient) -> None:
    owner.post(PAGE, data=filled(owner, holdout__percent="50"))
    policy = held(stage)
    with stage.work() as session:
        contact = session.scalars(select(Contact).where(Contact.email.is_not(None)).limit(1)).one()
    text = owner.get(f"{PAGE}?who={contact.email}").text
    assert ("is in it: no marketing" in text) is (policy.keeps_out(contact.id) is not None)
    assert "There is nobody with this address." in owner.get(f"{PAGE}?who=nobody@example.com").text


def test_who_may_only_look_sees_it_and_changes_nothing(stage: Stage, owner: FlaskClient) -> None:
    client = stage.signed_in(ANALYST)
    assert client.get(PAGE).status_code == 200
    assert client.post(PAGE, data=filled(client) | {"csrf_token": token(client, PAGE)}).status_code == 403


def test_it_speaks_italian(stage: Stage) -> None:
    text = stage.signed_in(language="it").get(PAGE).text
    assert "Gruppo di controllo" in text
    assert "lunedì" in text


def test_the_form_of_what_holds_says_what_holds() -> None:
    policy = Policy.from_settings(
        {
            "caps": {"day": 2, "week": 4, "month": 9, "marketing": {"week": 2}, "topics": {"news": {"month": 1}}},
            "quiet_hours": {"email": {"days": ["sun"], "holidays": True}},
            "holdout": {"percent": 5, "salt": "2026"},
            "defer_days": 2,
        }
    )
    given = of_policy(policy)
    assert problems(given, ["news"]) == {}
    assert Policy.from_settings(sections(given, ["news"], "2026")) == policy
    assert places(["news"])[-1] == "caps.topics.news"
