"""benchmarks/sequential.py: its fast path is the engine's test, and it resumes."""

import json

import numpy as np
import sequential

from daf.stats.group_sequential import Design, GroupSequential
from daf.stats.sign_vectors import drawn
from daf.stats.signed_sums import SignedSums


def test_many_families_at_once_cross_where_the_engine_rejects():
    rng = np.random.default_rng(0)
    families, pairs, looks, vectors = 12, 3, 2, 300
    d = rng.normal(0.5, 1, size=(families, pairs, 32))
    signs = drawn([("m", block) for block in range(32)], vectors)
    part = SignedSums(families * pairs, vectors + 1)

    def at(look):
        new = slice(16 * look, 16 * (look + 1))
        part.add(d[:, :, new].reshape(-1, 16), signs[new])
        return [part]

    fast = sequential.first_crossing(at, families, 0.05, looks)
    for family in range(families):
        test = GroupSequential(pairs, ["m"], Design((16, 32), vectors=vectors, futility=0.0))
        for look in range(looks):
            new = range(16 * look, 16 * (look + 1))
            test.look({0: (new, d[family][:, list(new)])})
        first = test.families[0].different.intersection(range(pairs)).rejected
        assert fast[family] == (-1 if first is None else first)
    assert len(set(fast)) > 1


def test_cells_are_computed_once_and_make_a_page(tmp_path):
    state, page = tmp_path / "state.jsonl", tmp_path / "page.md"
    page.write_text("# Calibration\n\nother part\n")
    arguments = ["--state", str(state), "--output", str(page), "--scale", "0.001", "--only", "race/0.5/0.5"]
    sequential.main(arguments)
    (line,) = state.read_text().splitlines()
    assert json.loads(line)["fixed"] == 44
    sequential.main(arguments)
    assert len(state.read_text().splitlines()) == 1
    sequential.main([*arguments[:-4], "--scale", "0.002", "--only", "race/0.5/0.5"])
    assert len(state.read_text().splitlines()) == 2
    text = page.read_text()
    assert text.startswith("# Calibration\n\nother part\n")
    assert text.count(sequential.MARK) == 1
    assert "| 0.5 | 0.5 | 44 |" in text
