"""A state machine of few people: the same doings as in whole worlds, drawn one by one, so that what goes wrong is
cut down to the shortest way that leads there."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import timedelta

import hypothesis.strategies as st
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from app.clock import FixedClock
from app.demo.seed import Loaded
from app.serve.postgres import CarriedPostgres
from app.serve.valkey import CarriedValkey
from tests.conftest import START
from tests.hotel import opened
from tests.lives.doings import do, write_to_everybody
from tests.lives.lives import DOINGS, Act
from tests.lives.play import Mortal, Play

PEOPLE = 4


def machine(
    postgres: CarriedPostgres, founded: tuple[str, Loaded], valkey: CarriedValkey
) -> type[RuleBasedStateMachine]:
    """A machine whose every run has a hotel of its own."""

    class Lives(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.open = ExitStack()
            hotel = self.open.enter_context(opened(postgres, founded, valkey, FixedClock(START), Mortal))
            self.play = Play(hotel, PEOPLE)

        @initialize(agreed=st.lists(st.integers(0, 7), min_size=PEOPLE, max_size=PEOPLE))
        def some_agree(self, agreed: list[int]) -> None:
            # A yes of each to begin with: where nothing may be sent, nothing can be sent wrongly.
            for guest, n in zip(self.play.guests, agreed, strict=True):
                do(self.play, guest, Act(0, "agree", n))

        @rule(hours=st.sampled_from([1, 5, 26, 70]), dies_before=st.sampled_from([0, 0, 1, 2, 3, 5]))
        def time_passes(self, hours: int, dies_before: int) -> None:
            self.play.stages(dies_before)
            self.play.hotel.clock.advance(timedelta(hours=hours))

        @rule(dies_before=st.sampled_from([0, 0, 1, 2, 3, 5]))
        def the_hotel_writes_to_everybody(self, dies_before: int) -> None:
            write_to_everybody(self.play)
            self.play.stages(dies_before)

        def teardown(self) -> None:
            try:
                self.play.stages(0)
                self.play.finish()
            finally:
                self.open.close()

    def doing(what: str) -> None:
        # One rule each, as hypothesis leaves some rules out of a run: so those that matter to each other meet.
        def step(self: Lives, person: int, n: int) -> None:
            do(self.play, self.play.guests[person], Act(0, what, n))

        step.__name__ = what
        setattr(Lives, what, rule(person=st.integers(0, PEOPLE - 1), n=st.integers(0, 7))(step))

    for what in DOINGS:
        doing(what)
    return Lives


def test_whatever_few_people_do_step_by_step_nobody_is_written_to_against_their_will(
    postgres: CarriedPostgres, founded: tuple[str, Loaded], valkey: CarriedValkey
) -> None:
    run_state_machine_as_test(
        machine(postgres, founded, valkey),
        settings=settings(
            max_examples=25,
            stateful_step_count=30,
            derandomize=True,
            database=None,
            deadline=None,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
        ),
    )
