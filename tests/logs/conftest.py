"""Logs for whole-program tests."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "streams"))

from log_makers import flush, write_array


@pytest.fixture
def experiments(tmp_path: Path) -> Path:
    """Two variants: v1 with two runs of nested logs, v2 with one of flat logs and its YAML."""
    root = tmp_path / "experiments"
    for run, files in (("20250101_120000", 1), ("20250102_120000", 3)):
        for index in range(files):
            records = flush("nested", envs=3, length=40, start=40 * index, total=120 * (index + 1), seed=index)
            write_array(root / "v1" / run / "json_logs" / f"stats_{1753500000 + index}.json", records)
    for index in range(2):
        records = flush("flat", envs=2, length=50, start=50 * index, seed=index)
        write_array(root / "v2" / "20250103_120000" / "json_logs" / f"stats_{1745500000 + index}.json", records, None)
    (root / "v2" / "20250103_120000" / "config.yaml").write_text("reward_scale: 0.5\nexplore_weight: 0.25\n")
    return root
