"""Holdouts and goals through the front door: who is held out, and what counts. Splits: `test_splits`."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import select

from app.accounts.models import Workspace
from app.enrollments import enrol
from app.enrollments.models import StepVisit
from app.journey.experiments import held_out
from tests.enrollments.test_stages import counted
from tests.enrollments.trials import STAY, WINBACK, booked, event, left, passages, publish, workflow
from tests.hotel import Hotel

# -- holdouts --------------------------------------------------------------------------------------------------------


def test_a_holdout_is_a_recorded_control_that_takes_no_step(hotel: Hotel) -> None:
    publish(hotel, WINBACK)
    left(hotel, 40)
    rows = passages(hotel, "winback")
    out = [row for row in rows if row.control == "workflow"]
    assert len(rows) == 40
    assert {row.contact_id for row in out} == {
        row.contact_id for row in rows if held_out(("holdout", "winback", row.contact_id), 40)
    }
    assert {(row.status, row.end_reason, row.wake_at) for row in out} == {("exited", "holdout", None)}
    told = {message.contact_id for message in hotel.messages(step_id="offer")}
    assert told == {row.contact_id for row in rows} - {row.contact_id for row in out}


def test_who_was_held_out_stays_out_over_passages_and_versions_and_who_was_let_in_stays_in(hotel: Hotel) -> None:
    publish(hotel, WINBACK)
    left(hotel, 30)
    before = {row.contact_id: row.control for row in passages(hotel, "winback")}
    hotel.after(timedelta(days=3))
    publish(hotel, WINBACK.replace("holdout: 40", "holdout: 50"))
    hotel.post([event(hotel, "booking.abandoned", who, f"AGAIN-{who}", **STAY) for who in range(1, 31)])
    hotel.work()
    again = passages(hotel, "winback")[30:]
    assert len(again) == 30
    assert {row.contact_id: row.control for row in again} == before
    assert {row.holdout for row in again} == {"40/0/"}, "they belong to the draw they drew in"


def test_a_workflow_that_holds_nobody_out_any_more_lets_everybody_in(hotel: Hotel) -> None:
    publish(hotel, WINBACK)
    left(hotel, 20)
    publish(hotel, WINBACK.replace("holdout: 40\n", ""))
    hotel.post([event(hotel, "booking.abandoned", who, f"AGAIN-{who}", **STAY) for who in range(1, 21)])
    hotel.work()
    assert {row.control for row in passages(hotel, "winback")[20:]} == {None}


def test_the_workspace_s_holdout_gets_service_mail_and_no_marketing(hotel: Hotel) -> None:
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        workspace = session.get_one(Workspace, hotel.loaded.workspace_id)
        workspace.settings = {**workspace.settings, "holdout": {"percent": 50, "salt": "2026"}}
    publish(hotel, WINBACK.replace("holdout: 40\n", ""))
    proof = {"method": "web", "wording": "Sì.", "wording_version": "1", "confirmed_at": hotel.clock.now().isoformat()}
    yes = [
        event(hotel, "consent.granted", who, "") | {"id": f"yes-{who}", "data": {"topic": "offers", **proof}}
        for who in range(1, 21)
    ]
    hotel.post(yes)
    left(hotel, 20)
    booked(hotel, list(range(1, 21)))
    hotel.work()
    kept_out = {row.contact_id for row in passages(hotel, "winback") if row.control == "workspace"}
    assert 0 < len(kept_out) < 20
    offers = {
        message.contact_id: (message.state, message.reason, message.rule) for message in hotel.messages(step_id="offer")
    }
    assert {offers[contact] for contact in kept_out} == {("refused", "holdout", "R62")}
    assert {state for contact, (state, *_) in offers.items() if contact not in kept_out} == {"accepted"}
    service = {message.contact_id for message in hotel.messages(step_id="confirm", state="accepted")}
    assert kept_out <= service, "a confirmation is never held out"


# -- goals -----------------------------------------------------------------------------------------------------------


def goals(hotel: Hotel, name: str = "winback") -> list[int | None]:
    return [row.goal_value if row.goal_at else None for row in passages(hotel, name)]


def told_of_goals(hotel: Hotel) -> list[str]:
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        query = select(StepVisit.code).where(
            StepVisit.code.in_(("goal", "goal_lost")), StepVisit.workflow_id == workflow(session, "winback").id
        )
        return list(session.scalars(query.order_by(StepVisit.id)))


def test_a_goal_counts_after_the_passage_has_ended_and_for_those_held_out(hotel: Hotel) -> None:
    publish(hotel, WINBACK)
    left(hotel, 12)
    hotel.after(timedelta(days=13))
    assert {row.status for row in passages(hotel, "winback")} == {"finished", "exited"}
    booked(hotel, list(range(1, 13)), amount=25_000)
    assert goals(hotel) == [25_000] * 12


def test_a_goal_after_its_time_does_not_count_and_one_told_late_does(hotel: Hotel) -> None:
    publish(hotel, WINBACK)
    left(hotel, 2)
    hotel.after(timedelta(days=20))
    booked(hotel, [1])
    booked(hotel, [2], late=timedelta(days=10))
    assert goals(hotel) == [None, 30_000]


def test_a_goal_heard_of_before_its_entry_counts_all_the_same(hotel: Hotel) -> None:
    publish(hotel, WINBACK)
    hotel.clock.advance(timedelta(hours=2))
    booked(hotel, [1])
    hotel.post([event(hotel, "booking.abandoned", 1, "CART-1", late=timedelta(hours=1), **STAY)])
    hotel.work()
    assert goals(hotel) == [30_000]


def test_of_two_goals_the_earlier_counts_whichever_is_told_first(hotel: Hotel) -> None:
    publish(hotel, WINBACK)
    left(hotel, 1)
    hotel.after(timedelta(days=5))
    hotel.post([event(hotel, "booking.confirmed", 1, "SECOND", amount=200, **STAY)])
    hotel.work()
    assert goals(hotel) == [200]
    hotel.post([event(hotel, "booking.confirmed", 1, "FIRST", timedelta(days=2), amount=100, **STAY)])
    hotel.work()
    assert goals(hotel) == [100]


def test_a_cancelled_booking_takes_its_goal_back_and_the_next_one_takes_its_place(hotel: Hotel) -> None:
    publish(hotel, WINBACK)
    left(hotel, 1)
    hotel.after(timedelta(days=1))
    hotel.post([event(hotel, "booking.confirmed", 1, "ONE", amount=100, **STAY)])
    hotel.after(timedelta(days=1))
    hotel.post([event(hotel, "booking.confirmed", 1, "TWO", amount=200, **STAY)])
    hotel.after(timedelta(days=30))
    hotel.post([event(hotel, "booking.cancelled", 1, "ONE")])
    hotel.after(timedelta(minutes=15))
    assert goals(hotel) == [200]
    hotel.post([event(hotel, "booking.cancelled", 1, "TWO")])
    hotel.after(timedelta(minutes=15))
    assert goals(hotel) == [None]
    hotel.post([event(hotel, "booking.reinstated", 1, "ONE")])
    hotel.after(timedelta(minutes=15))
    assert goals(hotel) == [100]
    assert told_of_goals(hotel) == ["goal", "goal", "goal_lost", "goal"]


def test_a_cancellation_told_before_its_booking_leaves_no_goal(hotel: Hotel) -> None:
    publish(hotel, WINBACK)
    left(hotel, 1)
    hotel.after(timedelta(days=1))
    hotel.post([event(hotel, "booking.cancelled", 1, "ONE")])
    hotel.work()
    hotel.post([event(hotel, "booking.confirmed", 1, "ONE", timedelta(hours=1), amount=100, **STAY)])
    hotel.work()
    assert goals(hotel) == [None]


def test_the_same_event_twice_is_one_goal(hotel: Hotel) -> None:
    publish(hotel, WINBACK)
    left(hotel, 1)
    for _ in range(2):
        hotel.post([event(hotel, "booking.confirmed", 1, "ONE", amount=100, **STAY)])
        hotel.work()
    assert told_of_goals(hotel) == ["goal"]


def test_goals_of_a_batch_cost_no_query_more(hotel: Hotel) -> None:
    publish(hotel, WINBACK)
    left(hotel, 40)
    hotel.after(timedelta(days=2))
    hotel.post([event(hotel, "booking.confirmed", who, f"B-{who}", amount=1, **STAY) for who in range(1, 41)])
    with counted(hotel) as statements, hotel.house.database.work(hotel.loaded.workspace_id) as session:
        assert enrol.run(session, hotel.clock.now(), 500).done == 40
    assert len(statements) <= enrol.QUERIES, "\n".join(statements)
    assert goals(hotel) == [1] * 40
