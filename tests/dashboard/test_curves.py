"""Curves follow files that grow, are torn, cut and written anew; thinning loses no spike."""

import json
import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from runs_made import append, metrics_line

from daf.dashboard._log_lines import PAGE_BYTES, page_after, page_before
from daf.dashboard._tailing import LineTail
from daf.dashboard._thinning import kept
from daf.dashboard.curves import MOST_POINTS, Curves


def test_only_whole_lines_are_read_and_each_once(tmp_path):
    path = tmp_path / "lines.jsonl"
    tail = LineTail(path)
    assert tail.read().lines == []
    path.write_bytes(b'{"a": 1}\n{"a": 2')
    assert tail.read().lines == [{"a": 1}]
    assert tail.read().lines == []
    with path.open("ab") as file:
        file.write(b'}\nnonsense\n[1]\n{"a": 3}\n')
    added = tail.read()
    assert added.lines == [{"a": 2}, {"a": 3}]
    assert (added.damaged, added.restarted) == (2, False)


@pytest.mark.parametrize("how", ["truncated", "replaced", "rewritten longer", "removed"])
def test_a_file_that_was_cut_or_rewritten_is_read_from_the_start(tmp_path, how):
    path = tmp_path / "lines.jsonl"
    path.write_text("".join(f'{{"a": {number}}}\n' for number in range(50)))
    tail = LineTail(path)
    assert len(tail.read().lines) == 50
    if how == "truncated":
        os.truncate(path, 90)
    elif how == "replaced":
        other = tmp_path / "other"
        other.write_text('{"b": 1}\n')
        other.rename(path)
    elif how == "rewritten longer":
        with path.open("r+b") as file:
            file.truncate(45)
            file.seek(45)
            file.write(b'{"b": 100}\n' * 100)
    else:
        path.unlink()
    added = tail.read()
    assert added.restarted
    assert added.lines == [json.loads(line) for line in (path.read_text().splitlines() if path.exists() else [])]


def test_what_is_added_joins_what_was_there(tmp_path):
    curves = Curves()
    append(tmp_path, range(7))
    data, cursor = curves.full(tmp_path)
    assert data["restart"]
    assert data["series"]["episode/return"][0] == [1000.0 * (update + 1) for update in range(7)]
    assert len(data["evaluations"]) == 1
    nothing, cursor = curves.added(tmp_path, cursor)
    assert (nothing["restart"], nothing["series"], nothing["evaluations"]) == (False, {}, [])
    append(tmp_path, range(7, 10))
    more, _ = curves.added(tmp_path, cursor)
    assert more["series"]["episode/return"][:2] == [[8000, 9000, 10000], pytest.approx([0.8, 0.9, 1.0])]
    assert not more["restart"]
    assert [record["update"] for record in more["evaluations"]] == [10]


def test_a_resumed_run_that_cut_its_file_is_sent_from_the_start(tmp_path):
    curves = Curves()
    append(tmp_path, range(10))
    _, cursor = curves.full(tmp_path)
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "metrics.jsonl").write_text("".join(lines[:4]))
    append(tmp_path, range(4, 12), gain=0.3)
    data, _ = curves.added(tmp_path, cursor)
    assert data["restart"]
    assert data["series"]["episode/return"][1] == pytest.approx(
        [0.1 * n for n in range(1, 5)] + [0.3 * n for n in range(5, 13)]
    )


def test_values_that_are_no_numbers_make_no_points(tmp_path):
    lines = [metrics_line(0) | {"episode/return": None, "note": "x", "flag": True}, {"update": 3}, metrics_line(1)]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    data, _ = Curves().full(tmp_path)
    assert data["series"]["episode/return"][:2] == [[2000.0], [0.2]]
    assert not {"note", "flag", "step", "update"} & data["series"].keys()
    assert data["damaged"] == 1


def test_long_curves_are_thinned_but_keep_their_spike_and_their_ends(tmp_path):
    count = 30_000
    with (tmp_path / "metrics.jsonl").open("w") as file:
        for update in range(count):
            value = 1e6 if update == 12_345 else 0.5
            file.write(f'{{"step": {update}, "loss/value": {value}}}\n')
    (steps, values, whole), cursor = (lambda read: (read[0]["series"]["loss/value"], read[1]))(Curves().full(tmp_path))
    assert whole == cursor["counts"]["loss/value"] == count
    assert len(steps) <= MOST_POINTS
    assert (steps[0], steps[-1]) == (0, count - 1)
    assert steps[values.index(1e6)] == 12_345


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=400), st.integers(4, 80))
def test_thinning_keeps_ends_extremes_and_order(values, most):
    array = np.array(values)
    found = kept(array, most)
    assert len(found) <= max(most, len(values) if len(values) <= most else most)
    assert list(found) == sorted(set(found.tolist()))
    assert (found[0], found[-1]) == (0, len(values) - 1)
    assert (array[found].min(), array[found].max()) == (array.min(), array.max())


def test_pages_of_a_log_join_without_a_gap(tmp_path):
    path = tmp_path / "run.log"
    lines = [f"line {number} ä" * 20 for number in range(3000)]
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    page = page_before(path)
    end = page["end"]
    shown = page["lines"]
    while page["start"] > 0:
        page = page_before(path, page["start"])
        shown = page["lines"] + shown
    assert shown == lines
    with path.open("a", encoding="utf-8") as file:
        file.write("new\nhalf")
    after = page_after(path, end)
    assert after["lines"] == ["new"]
    assert page_after(path, after["end"])["lines"] == []


def test_a_line_longer_than_a_page_does_not_stop_the_log(tmp_path):
    path = tmp_path / "run.log"
    path.write_text("x" * (3 * PAGE_BYTES) + "\nlast\n")
    start, shown = 0, []
    for _ in range(5):
        page = page_after(path, start)
        start, shown = page["end"], shown + page["lines"]
    assert shown[-1] == "last"
    os.truncate(path, 3)
    assert page_after(path, start)["restart"]
