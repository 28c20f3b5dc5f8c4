"""Whatever people do, in whatever order, and however often a worker dies: nobody is written to against their will,
and no service message is lost because of what somebody said about marketing."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, Phase, Verbosity, given, settings
from hypothesis import seed as seeded

from app.cli.workflows import group as workflows
from app.clock import FixedClock
from app.demo.seed import Loaded
from app.serve.postgres import CarriedPostgres
from app.serve.valkey import CarriedValkey
from tests.conftest import ROOT, START
from tests.hotel import opened
from tests.lives.doings import HOW, do, run
from tests.lives.lives import DOINGS, Act, Life, World, worlds
from tests.lives.play import Mortal, Play

PEOPLE, INSTANTS = 250, 13
ALL_PARTS, DIFFERENT = 9, 223
"""Each part plays a world of `PEOPLE` lives, of which so many at least are different ones: more than 2,000 in all."""
PARTS = 1 if os.environ.get("PERCORSO_TEST_PG") else ALL_PARTS
"""On another server than the carried one only the first: what the lives hold does not rest on its version."""
ALWAYS = ("left: transactional", "confirmed", "on: consent")
"""What happens in every part: a world in which nothing happens would prove nothing."""
MOSTLY = ("on: soft_opt_in", "on: sign_up", "left: feedback")
"""Of these at least two."""


@pytest.fixture
def play(
    postgres: CarriedPostgres, founded: tuple[str, Loaded], valkey: CarriedValkey
) -> Callable[[World], Counter[str]]:
    """`play(world)` plays it at a hotel of its own and gives what happened, counted."""

    def played(world: World) -> Counter[str]:
        with opened(postgres, founded, valkey, FixedClock(START), Mortal) as hotel:
            return run(hotel, world)

    return played


def test_everything_people_may_do_can_be_played() -> None:
    assert set(HOW) == set(DOINGS)


def test_a_life_is_printed_as_a_story_that_the_simulator_runs(
    postgres: CarriedPostgres, founded: tuple[str, Loaded], valkey: CarriedValkey, tmp_path: Path
) -> None:
    doings = ("read_notice", "book", "agree", "book", "check_out", "withdraw", "agree_late", "cancel", "one_click")
    life = tuple(Act(1, what, 4) for what in doings)
    with opened(postgres, founded, valkey, FixedClock(START), Mortal) as hotel:
        play = Play(hotel, 1)
        for act in life:
            hotel.clock.advance(timedelta(hours=5))
            do(play, play.guests[0], act)
            play.stages(0)
        play.finish()
        told = play.story_of(play.guests[0])
    file = tmp_path / "life.stories.yaml"
    file.write_text(told, encoding="utf-8")
    workflow = ROOT / "workflows" / "hotel" / "pre-arrival.yaml"
    said = CliRunner().invoke(workflows, ["simulate", str(file), "--workflow", str(workflow)])
    assert said.exit_code == 0, said.output
    sent = [line for line in said.output.splitlines() if " sent " in line]
    assert len(sent) == 2, said.output  # two bookings, each confirmed once, as the hotel did


@pytest.mark.parametrize("part", range(PARTS))
def test_nobody_is_written_to_against_their_will_and_no_service_is_lost(
    play: Callable[[World], Counter[str]], part: int
) -> None:
    happened: Counter[str] = Counter()
    different: set[Life] = set()

    @seeded(part)
    @settings(
        max_examples=2,  # hypothesis begins with the simplest world of all, which is not worth playing
        derandomize=False,
        database=None,
        deadline=None,
        verbosity=Verbosity.quiet,  # the story is printed, and not a world of 250 lives
        phases=[Phase.generate],  # of so many lives each smaller world costs as much: it is cut down in test_machine.py
        suppress_health_check=list(HealthCheck),
    )
    @given(worlds(PEOPLE, INSTANTS))
    def lived(world: World) -> None:
        if len(set(world.lives)) == 1:
            return
        different.update(world.lives)
        happened.update(play(world))

    lived()
    assert len(different) >= DIFFERENT
    assert all(happened[what] > 0 for what in ALWAYS), happened
    assert sum(happened[what] > 0 for what in MOSTLY) >= 2, happened
