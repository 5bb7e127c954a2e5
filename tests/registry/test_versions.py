"""Semantic versions: what is one, and their order."""

import itertools

import pytest

from daf.errors import ReleaseError
from daf.registry import is_version, parse

IN_ORDER = (
    "0.0.1", "0.9.9", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2",
    "1.0.0-beta.11", "1.0.0-rc.1", "1.0.0", "1.2.10", "1.10.0", "10.0.0",
)  # fmt: skip


def test_versions_are_ordered_by_precedence() -> None:
    for first, second in itertools.pairwise(IN_ORDER):
        assert parse(first) < parse(second), (first, second)
        assert not parse(second) < parse(first)
    assert [str(parse(text)) for text in IN_ORDER] == list(IN_ORDER)


@pytest.mark.parametrize(
    ("text", "said"),
    [("1.0", "MAJOR.MINOR.PATCH"), ("01.0.0", "leading zeros"), ("v1.0.0", r"Write 1\.0\.0"), ("1.0.0+a", "metadata"),
     ("1.0.0-01", "not a semantic"), ("", "not a semantic"), ("1.0.0\n", "not a semantic"), ("9" * 200, "not a")],
)  # fmt: skip
def test_other_text_is_refused_with_the_way_out(text: str, said: str) -> None:
    assert not is_version(text)
    with pytest.raises(ReleaseError, match=said):
        parse(text)


@pytest.mark.parametrize(("text", "after"), [("1.2.3", "1.2.4"), ("1.2.3-rc.1", "1.2.3")])
def test_the_next_patch_comes_after(text: str, after: str) -> None:
    assert str(parse(text).next_patch()) == after
