"""Lock files: in step with what is asked for, every file by its hash, nobody's registry named."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.conftest import ROOT

NAMES = ("requirements", "requirements-dev", "requirements-node", "requirements-lock")
_PIN = re.compile(
    r"^([A-Za-z0-9._-]+)==(\S+)((?: ;[^\\\n]*)?) \\\n((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)", re.MULTILINE
)


def _asked(path: Path) -> list[Requirement]:
    lines = (line.partition("#")[0].strip() for line in path.read_text().splitlines())
    return [Requirement(line) for line in lines if line and not line.startswith("-")]


def _pinned(path: Path) -> dict[str, str]:
    return {canonicalize_name(name): version for name, version, _, _ in _PIN.findall(path.read_text())}


@pytest.mark.parametrize("name", NAMES)
def test_what_is_asked_for_is_locked_in_a_version_that_fits(name: str) -> None:
    pinned = _pinned(ROOT / f"{name}.txt")
    for requirement in _asked(ROOT / f"{name}.in"):
        version = pinned.get(canonicalize_name(requirement.name))
        assert version, f"{requirement} is not in {name}.txt: make lock"
        assert requirement.specifier.contains(version, prereleases=True), f"{requirement} against {version}: make lock"


@pytest.mark.parametrize("name", NAMES)
def test_every_locked_line_has_hashes(name: str) -> None:
    lines = [line for line in (ROOT / f"{name}.txt").read_text().splitlines() if re.match(r"[A-Za-z0-9]", line)]
    assert len(lines) == len(_PIN.findall((ROOT / f"{name}.txt").read_text())) > 0


def test_tests_run_on_the_versions_that_the_product_runs_on() -> None:
    product, tests = _pinned(ROOT / "requirements.txt"), _pinned(ROOT / "requirements-dev.txt")
    assert {name: tests[name] for name in product.keys() & tests.keys()} == {
        name: product[name] for name in product.keys() & tests.keys()
    }


@pytest.mark.parametrize("name", [*(f"{name}.txt" for name in NAMES), *(f"{name}.in" for name in NAMES)])
def test_no_registry_is_named(name: str) -> None:
    text = (ROOT / name).read_text()
    assert "://" not in text
    assert not re.search(r"--(extra-)?index-url|--find-links|--trusted-host|^-i ", text, re.MULTILINE)


def test_the_front_end_is_locked_by_hash_and_names_no_registry() -> None:
    asked = json.loads((ROOT / "app/studio/package.json").read_text())
    locked = json.loads((ROOT / "app/studio/package-lock.json").read_text())["packages"]
    for name, version in (asked.get("dependencies", {}) | asked.get("devDependencies", {})).items():
        assert locked[f"node_modules/{name}"]["version"] == version, f"{name}: make lock"
    for place, package in locked.items():
        assert "resolved" not in package, place
        assert not place or package["integrity"].startswith("sha512-"), place
