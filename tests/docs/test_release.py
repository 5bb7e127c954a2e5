"""The version is the same everywhere, and the changelog has a section on it."""

import re
import tomllib
from importlib import metadata

import yaml

import daf
from tests.docs.documented import ROOT

HEADING = re.compile(r"^## (.+)$", re.MULTILINE)
RELEASE = re.compile(r"(\d+\.\d+\.\d+) \((\d{4}-\d\d-\d\d)\)")


def test_the_version_is_the_same_in_package_changelog_and_citation() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert version == "0.2.0"
    assert metadata.version("daf") == version == daf.__version__
    unreleased, newest, *_ = HEADING.findall((ROOT / "CHANGELOG.md").read_text())
    assert unreleased == "Unreleased"
    named = RELEASE.fullmatch(newest)
    assert named, newest
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert (named[1], named[2]) == (version, str(citation["date-released"]))
    assert citation["version"] == version


def test_every_change_is_one_sentence() -> None:
    """Later sections follow the same rules: `- `, one line, a full stop."""
    text = (ROOT / "CHANGELOG.md").read_text()
    lines = [line for line in text.splitlines()[1:] if line and not line.startswith("## ")]
    assert [line for line in lines if not re.fullmatch(r"- .*[.)]", line)] == []
