"""axe finds nothing on any public page: light and dark, phone and desk."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page

from tests.conftest import ROOT
from tests.subscriber.conftest import Reader
from tests.subscriber.test_pages import pages

AXE = ROOT / "app" / "studio" / "node_modules" / "axe-core" / "axe.min.js"


@pytest.mark.browser
@pytest.mark.parametrize("width", [360, 1440])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(reader: Reader, new_page: Callable[..., Page], width: int, scheme: str) -> None:
    assert AXE.is_file(), f"{AXE} is missing: the front end's packages are not installed (bin/prepare)"
    page = new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    for name, answer in pages(reader).items():
        page.set_content(answer.text)
        page.evaluate(AXE.read_text(encoding="utf-8"))
        found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        assert [(one["id"], one["nodes"][0]["html"]) for one in found["violations"]] == [], name
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"), name
