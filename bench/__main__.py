"""`make bench`: measure the house against the raw limits of the same run; print a table, write `bench/latest.json`."""

from __future__ import annotations

from pathlib import Path

from bench import imports, ingest_batch, journey_2000, retention, segments, simulate
from bench.ground import ground, table, write


def main() -> None:
    """Every benchmark on a house of its own."""
    lines = []
    for one in (journey_2000, ingest_batch):
        with ground(journey_2000.TEMPLATE, journey_2000.WORKFLOW) as here:
            lines.append(one.measure(here))
    with ground(journey_2000.TEMPLATE, journey_2000.WORKFLOW) as here:
        lines += segments.measure(here)
    with ground(journey_2000.TEMPLATE, journey_2000.WORKFLOW) as here:
        lines.append(simulate.measure(here))
    with ground(journey_2000.TEMPLATE, journey_2000.WORKFLOW) as here:
        lines += imports.measure(here)
    with ground(journey_2000.TEMPLATE, journey_2000.WORKFLOW) as here:
        lines += retention.measure(here)
    print(table(lines))
    write(lines, Path(__file__).with_name("latest.json"))


if __name__ == "__main__":
    main()
