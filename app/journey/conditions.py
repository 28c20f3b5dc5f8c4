"""Conditions: one line is one row of the rule builder. Grammar, check, evaluation, explanation."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from app.journey.condition_tree import Condition


def evaluate(condition: Condition, facts: Mapping[str, Any], now: datetime) -> bool | None:
    """True, False, or None where it cannot be known."""
    raise NotImplementedError


def explain(condition: Condition, facts: Mapping[str, Any], now: datetime, language: str = "en") -> str:
    """Why it is as it is, in a few words: `nights 0 < 1`."""
    raise NotImplementedError


def fields(condition: Condition) -> frozenset[str]:
    """Every path the condition reads."""
    raise NotImplementedError
