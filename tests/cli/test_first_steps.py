"""An empty installation, set up from the command line."""

from __future__ import annotations

import re

from apiflask import APIFlask

from app import cli


def test_a_workspace_a_person_and_a_source_are_made_and_work(app: APIFlask) -> None:
    cli.register(app)
    run = app.test_cli_runner().invoke
    given = ["--name", "Lago", "--property", "Hotel Lago", "--sender", "a@lago.example"]
    made = run(args=["workspaces", "add", "lago", *given])
    assert made.exit_code == 0, made.output
    again = run(args=["workspaces", "add", "lago", *given])
    assert again.exit_code == 1
    assert "already" in again.output
    admitted = run(args=["workspaces", "admit", "ada@lago.example", "--workspace", "lago"])
    password = re.search(r"this once\): (\S+)", admitted.output)
    assert password, admitted.output
    source = run(args=["workspaces", "source", "pms", "--workspace", "lago"])
    key = re.search(r"pk_live_\S+", source.output)
    assert key, source.output
    client = app.test_client()
    answer = client.post(
        "/api/v1/events",
        json={
            "id": "1",
            "type": "booking.confirmed",
            "occurred_at": "2026-03-10T09:00:00Z",
            "contact": {"external_id": "a", "email": "a@example.com"},
            "data": {"booking": {"reference": "A", "arrival": "2026-06-01", "departure": "2026-06-02"}},
        },
        headers={"Authorization": f"Bearer {key[0]}"},
    )
    assert answer.status_code == 202, answer.get_data(as_text=True)


def test_what_cannot_be_is_refused_with_a_cure(app: APIFlask) -> None:
    cli.register(app)
    run = app.test_cli_runner().invoke
    bad = run(args=["workspaces", "add", "Bad Slug", "--name", "x", "--property", "x", "--sender", "a@b.example"])
    assert bad.exit_code == 2
    assert "small letters" in bad.output
    zone = ["workspaces", "add", "x", "--name", "x", "--property", "x", "--sender", "a@b.example", "--zone", "Rome"]
    assert "Europe/Rome" in run(args=zone).output
