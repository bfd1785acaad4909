"""The version, the changelog, the extras and the licences agree."""

from __future__ import annotations

import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest

from mixtura import __version__

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def pyproject() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_the_version_is_written_in_one_place(pyproject):
    assert pyproject["project"]["dynamic"] == ["version"]
    assert "\nversion:" not in (ROOT / "CITATION.cff").read_text()
    assert version("mixtura") == __version__


def test_the_changelog_has_an_entry_for_the_version():
    assert f"\n## {__version__} (" in (ROOT / "CHANGELOG.md").read_text()


def test_the_extra_all_holds_every_other_extra(pyproject):
    extras = pyproject["project"]["optional-dependencies"]
    others = ",".join(sorted(extras.keys() - {"all"}))
    assert extras["all"] == [f"mixtura[{others}]"]


def test_the_licences_of_the_package_are_there(pyproject):
    named = pyproject["project"]["license-files"]
    assert all((ROOT / name).is_file() for name in named)
    found = {str(path.relative_to(ROOT)) for path in (ROOT / "src").rglob("*LICENSE*")}
    assert found <= set(named)
