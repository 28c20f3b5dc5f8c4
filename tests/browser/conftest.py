"""Browser tests play on the stage of the studio's tests, served on a port of this machine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from apiflask import APIFlask
from playwright.sync_api import Page

from tests.conftest import ROOT
from tests.studio.stage import OWNER, PASSWORD, Stage, lived, stage

__all__ = ["lived", "stage"]

AXE = ROOT / "app" / "studio" / "node_modules" / "axe-core" / "axe.min.js"


@pytest.fixture
def address(stage: Stage, serve: Callable[[APIFlask], str]) -> str:
    """Where the studio is served."""
    return serve(stage.app)


@pytest.fixture
def enter(address: str) -> Callable[[Page], str]:
    """`enter(page)` signs the owner in by hand and gives the address of the workspace."""

    def sign_in(page: Page) -> str:
        page.goto(f"{address}/sign-in")
        page.fill("#email", OWNER)
        page.fill("#password", PASSWORD)
        page.keyboard.press("Enter")
        page.wait_for_url("**/w/riva-serena/")
        return f"{address}/w/riva-serena"

    return sign_in


@pytest.fixture(scope="session")
def axe() -> str:
    """axe-core's source, from the front end's own development dependencies."""
    if not Path(AXE).is_file():
        pytest.fail("axe-core is missing: bin/prepare dev (or: cd app/studio && npm ci)")
    return AXE.read_text(encoding="utf-8")
