"""The sample is uniform over all records, whatever the files, their order, and who read them."""

from pathlib import Path

import numpy as np
import pytest
from log_makers import flush, write_array
from scipy import stats

from daf.errors import UsageError
from daf.streams._sampling import Sample, record_hashes, source_key
from daf.streams._tallies import COVERAGE
from daf.streams.processor import StreamingProcessor
from daf.streams.records import FIXED, RecordTable

SIZES = (3, 40, 1000, 20_000)
"""Records of four very unequal files."""


def draw(seed: int, size: int, order: tuple[int, ...] = (0, 1, 2, 3)) -> Sample:
    """A sample of `size` from records whose step tells their place in the whole."""
    sample = Sample(size)
    offsets = np.concatenate(([0], np.cumsum(SIZES)))
    for index in order:
        n, key = SIZES[index], source_key(seed, f"file{index}")
        data = np.full((len(FIXED), n), np.nan)
        data[0] = offsets[index] + np.arange(n)
        for first in range(0, n, 4096):
            part = data[:, first : first + 4096]
            hashes = record_hashes(key, first, part.shape[1])
            sample.add(hashes, f"file{index}", first, np.zeros(part.shape[1]), RecordTable((), part))
    sample.sort()
    return sample


def places(sample: Sample) -> np.ndarray:
    return sample.rows[sample.columns.index("step")]


def test_no_record_is_drawn_twice_and_the_size_is_kept() -> None:
    drawn = places(draw(0, 500))
    assert len(np.unique(drawn)) == len(drawn) == 500
    assert len(places(draw(0, 100_000))) == sum(SIZES)


def test_files_are_drawn_in_proportion_to_their_records() -> None:
    """χ² over very unequal files, counts summed over 300 seeds; draws without replacement have less variance."""
    edges = np.concatenate(([0], np.cumsum(SIZES)))
    counts = sum(np.histogram(places(draw(seed, 200)), bins=edges)[0] for seed in range(300))
    expected = 300 * 200 * np.array(SIZES) / sum(SIZES)
    joined = lambda row: np.array([row[0] + row[1], row[2], row[3]])  # noqa: E731 two rare files in one class
    p = stats.chisquare(joined(counts), joined(expected)).pvalue
    assert p > 0.001, (counts, expected, p)


def test_every_place_within_the_log_is_equally_likely() -> None:
    """Kolmogorov–Smirnov of the places drawn against the uniform distribution, and of the p-values over seeds."""
    n = sum(SIZES)
    p = [stats.kstest((places(draw(seed, 300)) + 0.5) / n, "uniform").pvalue for seed in range(120)]
    assert stats.kstest(p, "uniform").pvalue > 0.001, sorted(p)[:10]


def test_records_are_drawn_independently_of_their_neighbours() -> None:
    """Pairs of neighbours are drawn together as often as chance has it."""
    together = sum(int((np.diff(np.sort(places(draw(seed, 2000)))) == 1).sum()) for seed in range(60))
    n, k = sum(SIZES), 2000
    expected = 60 * (n - 1) * (k / n) * ((k - 1) / (n - 1))
    assert abs(together - expected) < 5 * np.sqrt(expected), (together, expected)


def test_the_order_of_files_does_not_matter_and_the_seed_does() -> None:
    a, b, c = draw(7, 300), draw(7, 300, (3, 1, 0, 2)), draw(8, 300)
    assert places(a).tolist() == places(b).tolist()
    assert set(places(a)) != set(places(c))


def test_parts_drawn_apart_merge_into_the_sample_of_the_whole() -> None:
    whole, left, right = draw(5, 400), draw(5, 400, (0, 3)), draw(5, 400, (1, 2))
    left.merge(right)
    left.sort()
    assert places(left).tolist() == places(whole).tolist()


def test_coverage_holds_some_of_each_file_and_is_not_in_the_sample(tmp_path: Path) -> None:
    processor = StreamingProcessor(seed=1, sample_size=60)
    for index, (envs, length) in enumerate(((1, 5), (4, 50), (20, 100))):
        processor.process(
            write_array(tmp_path / f"stats_{1753500000 + index}.json", flush("nested", envs=envs, length=length))
        )
    summary = processor.result()
    per_file = summary.coverage.groupby("file").size().to_dict()
    assert sorted(per_file.values()) == [5, COVERAGE, COVERAGE]
    assert len(summary.sample) == 60
    assert summary.sampling_ratio == 60 / 2205
    with pytest.raises(UsageError, match="sample_size must be at least 1 record, got 0"):
        StreamingProcessor(sample_size=0)


def test_a_log_smaller_than_the_sample_is_the_sample(tmp_path: Path) -> None:
    records = flush("nested", envs=3, length=20)
    processor = StreamingProcessor(seed=2)
    processor.process(write_array(tmp_path / "a.json", records))
    sample = processor.result().sample.sort_values("ordinal")
    assert sample["step"].tolist() == [r["step"] for r in records]
    assert sample["event"].tolist() == [r["rewards"]["components"]["event"] for r in records]


def test_an_expectation_that_was_far_too_high_does_not_shorten_the_sample(tmp_path: Path) -> None:
    """The first records are short, the others long: expecting as many as the first promise would lose records."""
    short = [{"step": i, "event": 1.0} for i in range(3000)]
    long = [{"step": i, "event": 1.0, "note": "x" * 20_000} for i in range(200)]
    path = write_array(tmp_path / "a.json", short + long, None)
    processor = StreamingProcessor(sample_size=1000)
    processor.process(path)
    whole = StreamingProcessor(sample_size=3200)
    whole.process(path)
    expected = whole.result().sample.head(1000)
    assert processor.result().sample["ordinal"].tolist() == expected["ordinal"].tolist()
