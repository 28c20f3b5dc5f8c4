"""A list goes through the studio in a browser, and axe finds nothing on any page of its way."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from app.worker import run_due
from tests.studio.stage import Stage
from tests.studio.test_imports import LIST


@pytest.mark.parametrize(("width", "scheme"), [(1440, "light"), (390, "dark")])
def test_a_list_is_handed_in_tried_and_imported(
    stage: Stage,
    new_page: Callable[..., Page],
    enter: Callable[[Page], str],
    axe: str,
    tmp_path: Path,
    width: int,
    scheme: str,
) -> None:
    page = new_page(viewport={"width": width, "height": 900}, color_scheme=scheme, bypass_csp=True)
    home = enter(page)
    found: list[str] = []

    def looked_at() -> None:
        page.wait_for_load_state("networkidle")
        wider = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        found.extend([f"{page.url}: {wider} px too wide"] if wider > 0 else [])
        page.evaluate(axe)
        told = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        found.extend(f"{page.url}: {one['id']} {one['nodes'][0]['html'][:160]}" for one in told["violations"])

    file = tmp_path / "ospiti.csv"
    file.write_bytes(LIST)
    page.goto(f"{home}/audience/imports")
    page.set_input_files("#file", file)
    page.get_by_role("button", name="Read the file").click()
    page.wait_for_url("**/columns")
    looked_at()
    page.get_by_role("button", name="Try it").click()
    page.wait_for_url("**/audience/imports/*")
    expect(page.get_by_role("progressbar")).to_be_visible()
    looked_at()
    run_due(stage.house)
    page.reload()
    looked_at()
    here = page.url
    page.goto(f"{here}/rows?verdict=refused")
    looked_at()
    page.goto(here)
    page.get_by_role("button", name="Import 2 people").click()
    page.wait_for_load_state("networkidle")
    run_due(stage.house)
    page.reload()
    expect(page.get_by_text("Imported", exact=True)).to_be_visible()
    looked_at()
    assert found == []
