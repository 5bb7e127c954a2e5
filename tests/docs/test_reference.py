"""The reference has every name of the contract, and its docstrings become lists of arguments."""

import re
from typing import Any

import pytest
import yaml
from scripts.docstring_fields import field_of, listed

from tests.contract.contract_data import CONTRACT
from tests.docs.documented import ROOT

PAGES = ROOT / "docs" / "reference"
MODULES: dict[str, Any] = CONTRACT["modules"]


@pytest.mark.parametrize("module", MODULES)
def test_every_name_of_the_contract_is_in_the_reference(module: str) -> None:
    title, _, directive = (PAGES / f"{module}.md").read_text().partition("\n\n")
    shown = yaml.safe_load(directive.partition("\n")[2])["options"]["members"]
    assert title == f"# {module}"
    assert directive.startswith(f"::: {module}\n")
    assert [name for name in MODULES[module] if name not in shown] == []


def test_every_page_of_the_reference_is_in_its_index_and_in_the_navigation() -> None:
    pages = {path.name for path in PAGES.glob("*.md")} - {"index.md"}
    assert pages == {f"{module}.md" for module in MODULES}
    assert set(re.findall(r"\]\((daf[\w.]*\.md)\)", (PAGES / "index.md").read_text())) == pages
    assert set(re.findall(r"reference/(daf[\w.]*\.md)", (ROOT / "mkdocs.yml").read_text())) == pages


def test_explanations_of_arguments_become_a_list() -> None:
    text = """Play a game.

missions: strings, or `(name, config)` pairs. seed, jobs: as everywhere; note: seed is
an integer. alpha: a share.
Leaves a run directory."""
    assert (
        listed(text, {"missions", "seed", "jobs", "alpha"})
        == """Play a game.

- `missions`: strings, or `(name, config)` pairs.
- `seed`, `jobs`: as everywhere; note: seed is an integer.
- `alpha`: a share.

Leaves a run directory."""
    )


def test_other_text_stays_as_it_is() -> None:
    text = "Play. missions of any kind: all.\n\n    daf evaluate -p starter\n"
    assert listed(text, {"missions"}) == text


@pytest.mark.parametrize(
    ("assigned", "shown"),
    [
        (None, ("", "", "")),
        ("42", ("42", "", "")),
        ("Field(min_length=1)", ("", "", "")),
        ("Field(0.8, gt=0, le=1, description='A share.')", ("0.8", "> 0, ≤ 1", "A share.")),
        ("Field(default_factory=dict)", ("{}", "", "")),
        ("Field(default_factory=default_output_dir)", ("default_output_dir()", "", "")),
    ],
)
def test_a_field_has_its_default_bounds_and_description(assigned: str | None, shown: tuple[str, str, str]) -> None:
    assert field_of(assigned) == shown
