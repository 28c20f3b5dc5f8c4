"""The studio's tests play on one stage."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from tests.studio.stage import Stage, lived, stage

__all__ = ["lived", "stage"]


@pytest.fixture
def owner(stage: Stage) -> FlaskClient:
    """The owner, signed in, reading English."""
    return stage.signed_in()
