"""Splits: everybody keeps their variant, a rule decides once, by people whose acts may be seen; the figures, told."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from flask.testing import FlaskCliRunner
from sqlalchemy import select

from app import cli
from app.contacts import merge
from app.delivery import track
from app.delivery.track import Arrival
from app.enrollments import advance, enrol, experiments, programs
from app.enrollments.models import Workflow
from tests.enrollments.test_stages import counted
from tests.enrollments.trials import (
    DIVIDED,
    STAY,
    WINBACK,
    booked,
    event,
    left,
    passages,
    publish,
    the_experiment,
    workflow,
)
from tests.hotel import Hotel

# -- splits ----------------------------------------------------------------------------------------------------------


def variants(hotel: Hotel) -> list[str]:
    return [row.state["variants"]["tone"] for row in passages(hotel, "divided")]


def test_people_keep_their_variant_over_passages_and_versions(hotel: Hotel) -> None:
    publish(hotel, DIVIDED)
    left(hotel, 30)
    before = variants(hotel)
    assert set(before) == {"warm", "brief"}
    hotel.after(timedelta(days=1))
    publish(hotel, DIVIDED.replace("wait: 1 hour", "wait: 2 hours"))
    hotel.post([event(hotel, "booking.abandoned", who, f"AGAIN-{who}", **STAY) for who in range(1, 31)])
    hotel.work()
    assert variants(hotel)[30:] == before


def decided(hotel: Hotel, better: str, people: int = 60) -> None:
    """Nearly all of one variant reach the goal, nearly none of the other; then the rule is due."""
    publish(hotel, DIVIDED)
    left(hotel, people)
    winners = [who for who, name in enumerate(variants(hotel), 1) if name == better]
    booked(hotel, winners[1:])
    hotel.after(timedelta(days=3, hours=7))


def test_the_rule_decides_once_and_those_who_come_later_get_the_winner(hotel: Hotel) -> None:
    decided(hotel, "brief")
    row = the_experiment(hotel)
    assert (row.winner, row.decided_by, row.due_at) == ("brief", "rule", None)
    assert row.figures
    assert row.figures["verdict"]["test"] == "fisher-holm"
    left(hotel, 12, first=100)
    assert set(variants(hotel)[60:]) == {"brief"}
    publish(hotel, DIVIDED.replace("wait: 1 hour", "wait: 2 hours"))
    left(hotel, 12, first=200)
    assert set(variants(hotel)[72:]) == {"brief"}, "the same question has the same answer in the next version"


def test_a_split_with_other_weights_is_another_experiment(hotel: Hotel) -> None:
    decided(hotel, "brief")
    publish(
        hotel, DIVIDED.replace("warm, weight: 50", "warm, weight: 60").replace("brief, weight: 50", "brief, weight: 40")
    )
    left(hotel, 30, first=100)
    assert set(variants(hotel)[60:]) == {"warm", "brief"}


def test_no_verdict_before_its_time_nor_with_too_few_people(hotel: Hotel) -> None:
    publish(hotel, DIVIDED)
    left(hotel, 60)
    booked(hotel, [who for who, name in enumerate(variants(hotel), 1) if name == "warm"])
    hotel.after(timedelta(days=2))
    assert the_experiment(hotel).looked_at is None, "3 days are asked for"
    publish(hotel, DIVIDED.replace("min_sample: 20", "min_sample: 500"))
    hotel.after(timedelta(days=3))
    row = the_experiment(hotel)
    assert (row.looked_at, row.winner) == (None, None), "500 in each variant are asked for"
    assert row.due_at


def test_a_look_that_rules_nothing_out_is_the_last_one(hotel: Hotel) -> None:
    publish(hotel, DIVIDED)
    left(hotel, 60)
    hotel.after(timedelta(days=4))
    row = the_experiment(hotel)
    assert row.looked_at
    assert (row.winner, row.due_at) == (None, None)
    booked(hotel, [who for who, name in enumerate(variants(hotel), 1) if name == "warm"])
    hotel.after(timedelta(days=4))
    assert the_experiment(hotel).winner is None, "a second look would break the promise of the test"
    left(hotel, 20, first=100)
    assert set(variants(hotel)[60:]) == {"warm", "brief"}


LETTERS = """
workflow: divided
name: { en: Letters, it: Lettere }
phase: consideration
class: marketing
entry:
  - on: page.viewed
steps:
  - id: tone
    split:
      - { variant: warm, weight: 50, steps: [ { id: warm-letter, send: guest-voices, topic: newsletter } ] }
      - { variant: brief, weight: 50, steps: [ { id: brief-letter, send: guest-voices, topic: newsletter } ] }
    winner: { by: click, after: 5 days, min_sample: 12, confidence: 0.95 }
"""


def test_clicks_decide_only_among_people_whose_clicks_may_be_seen(hotel: Hotel) -> None:
    publish(hotel, LETTERS)
    proof = {"method": "web", "wording": "Sì.", "wording_version": "1", "confirmed_at": hotel.clock.now().isoformat()}
    people, tracked = range(1, 81), range(1, 61)
    hotel.post(
        [
            event(hotel, "consent.granted", who, "") | {"id": f"yes-{who}", "data": {"topic": "newsletter", **proof}}
            for who in people
        ]
        + [
            event(hotel, "consent.granted", who, "") | {"id": f"look-{who}", "data": {"purpose": "profiling", **proof}}
            for who in people  # what they looked at chooses what they are offered (R13)
        ]
        + [
            event(hotel, "consent.granted", who, "")
            | {"id": f"track-{who}", "data": {"purpose": "open_tracking", **proof}}
            for who in tracked
        ]
    )
    hotel.post([event(hotel, "page.viewed", who, "") | {"data": {"url": "/"}} for who in people])
    hotel.after(timedelta(days=4))
    drawn = dict(zip(people, variants(hotel), strict=True))
    rows = {row.contact_id: who for who, row in zip(people, passages(hotel, "divided"), strict=True)}
    letters = [message for message in hotel.messages(state="accepted") if str(message.step_id).endswith("-letter")]
    assert len(letters) == len(people)
    clicks = [
        Arrival("clicked", hotel.clock.now(), "simulated", f"c-{message.id}", message.id, data={"class": "human"})
        for message in letters
        if drawn[rows[message.contact_id]] == "brief" or rows[message.contact_id] not in tracked
    ]
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        track.record(session, clicks, hotel.clock.now())
    hotel.after(timedelta(days=2))
    row = the_experiment(hotel)
    assert row.figures
    seen = {each["name"]: (each["people"], each["successes"]) for each in row.figures["variants"]}
    brief = sum(drawn[who] == "brief" for who in tracked)
    assert seen == {"brief": (brief, brief), "warm": (len(tracked) - brief, 0)}, "nothing is assumed of the others"
    assert (row.winner, row.decided_by) == ("brief", "rule")


def test_a_split_is_ended_by_hand_and_taken_back_while_nobody_has_passed(hotel: Hotel) -> None:
    publish(hotel, DIVIDED)
    left(hotel, 10)
    hotel.clock.advance(timedelta(minutes=1))
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        experiments.choose(session, workflow(session), "tone", "warm", by="Marta", now=hotel.clock.now())
    assert (the_experiment(hotel).winner, the_experiment(hotel).decided_by) == ("warm", "Marta")
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        experiments.undo(session, workflow(session), "tone", hotel.clock.now())
    assert the_experiment(hotel).winner is None
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        experiments.choose(session, workflow(session), "tone", "warm", by="Marta", now=hotel.clock.now())
    hotel.clock.advance(timedelta(minutes=1))
    left(hotel, 5, first=50)
    assert set(variants(hotel)[10:]) == {"warm"}
    with (
        pytest.raises(experiments.TooLateError),
        hotel.house.database.work(hotel.loaded.workspace_id) as session,
    ):
        experiments.undo(session, workflow(session), "tone", hotel.clock.now())


def test_a_variant_that_is_not_there_cannot_win(hotel: Hotel) -> None:
    publish(hotel, DIVIDED)
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        for step, variant in (("tone", "loud"), ("pause", "warm")):
            with pytest.raises(experiments.UnknownSplitError):
                experiments.choose(session, workflow(session), step, variant, by="x", now=hotel.clock.now())


def test_winners_cost_one_query_a_batch_and_none_where_nobody_splits(hotel: Hotel) -> None:
    publish(hotel, WINBACK, DIVIDED)
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        known = {row.live_version_id: row.name for row in session.scalars(select(Workflow)) if row.live_version_id}
        all_programs = programs.of_versions(session, known)
    whole = {version: name for version, name in known.items() if name != "divided"}
    for asked, cost in ((whole, 0), (known, 1)):
        with hotel.house.database.work(hotel.loaded.workspace_id) as session, counted(hotel) as statements:
            experiments.winners(session, {version: all_programs[version] for version in asked})
        assert len(statements) == cost
    hotel.post([event(hotel, "booking.abandoned", who, f"CART-{who}", **STAY) for who in range(1, 41)])
    with counted(hotel) as statements, hotel.house.database.work(hotel.loaded.workspace_id) as session:
        enrol.run(session, hotel.clock.now(), 500)
    assert len(statements) <= enrol.QUERIES, "\n".join(statements)
    with counted(hotel) as statements, hotel.house.database.work(hotel.loaded.workspace_id) as session:
        assert advance.run(session, hotel.clock.now(), 500).done == 40, "who writes a field first"
    assert len(statements) <= advance.QUERIES, "\n".join(statements)


def test_two_that_become_one_person_stay_with_the_first_draw(hotel: Hotel) -> None:
    publish(hotel, WINBACK)
    left(hotel, 12)
    out = next(row.contact_id for row in passages(hotel, "winback") if row.control == "workflow")
    hotel.clock.advance(timedelta(days=1))
    left(hotel, 12, first=20)
    place, inside = next(
        (place, row) for place, row in enumerate(passages(hotel, "winback")[12:]) if row.control is None
    )
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        merge.merge(session, inside.contact_id, out, "test", hotel.clock.now())
    who = 20 + place
    hotel.post([event(hotel, "booking.abandoned", who, "AGAIN", **STAY)])
    hotel.work()
    again = passages(hotel, "winback")[-1]
    assert (again.contact_id, again.control) == (inside.contact_id, "workflow")


# -- what came of it, for machines -------------------------------------------------------------------------------------


def terminal(hotel: Hotel) -> FlaskCliRunner:
    app = hotel.client.application
    cli.register(app)
    return app.test_cli_runner()


def test_the_api_and_the_command_line_tell_the_same_figures(hotel: Hotel) -> None:
    publish(hotel, WINBACK)
    left(hotel, 20)
    hotel.after(timedelta(days=1))
    booked(hotel, [1, 2, 3])
    key = {"Authorization": f"Bearer {hotel.loaded.api_key}"}
    answer = hotel.client.get("/api/v1/workflows/winback/results", headers=key)
    assert answer.status_code == 200, answer.text
    (lift,) = answer.get_json()["lifts"]
    assert lift["treated"]["people"] + lift["control"]["people"] == 20
    assert lift["treated"]["goals"] + lift["control"]["goals"] == 3
    assert lift["treated"]["amount"] + lift["control"]["amount"] == 90_000
    assert lift["verdict"] == "open"
    runner = terminal(hotel)
    shown = runner.invoke(args=["workflows", "results", "winback", "--json"])
    assert json.loads(shown.output) == answer.get_json()
    told = runner.invoke(args=["workflows", "results", "winback"]).output
    assert "not conclusive" in told
    assert hotel.client.get("/api/v1/workflows/nobody/results", headers=key).status_code == 404


def test_the_command_line_ends_a_split_and_takes_it_back(hotel: Hotel) -> None:
    publish(hotel, DIVIDED)
    left(hotel, 4)
    runner = terminal(hotel)
    assert runner.invoke(args=["workflows", "decide", "divided", "tone", "loud"]).exit_code == 1
    assert runner.invoke(args=["workflows", "decide", "divided", "tone", "warm"]).exit_code == 0
    assert the_experiment(hotel).winner == "warm"
    assert runner.invoke(args=["workflows", "undecide", "divided", "tone"]).exit_code == 0
    assert the_experiment(hotel).winner is None


def test_the_workspace_s_holdout_is_set_and_shown(hotel: Hotel) -> None:
    runner = terminal(hotel)
    assert "0 of 100" in runner.invoke(args=["workspaces", "holdout"]).output
    assert runner.invoke(args=["workspaces", "holdout", "--percent", "5", "--salt", "2027"]).exit_code == 0
    assert "5 of 100 people get no marketing (salt '2027')" in runner.invoke(args=["workspaces", "holdout"]).output
    assert runner.invoke(args=["workspaces", "holdout", "--percent", "80"]).exit_code == 2
