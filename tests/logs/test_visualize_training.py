"""`python -m daf.tools.visualize_training` draws a variant's logs with `daf logs`' machinery."""

from pathlib import Path

import pytest

from daf.tools.visualize_training import main


def test_the_figures_of_a_variant_are_written_where_asked(
    experiments: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "figures"
    arguments = ["--variant", "v1", "--experiments", str(experiments), "--output-dir", str(folder), "--format", "svg"]
    assert main([*arguments, "--smooth-window", "3", "--verbose"]) == 0
    said = capsys.readouterr()
    written = [Path(line) for line in said.out.split()]
    assert any(path.suffix == ".svg" for path in written)
    assert all(path.parent == folder and path.is_file() for path in written)
    assert "360 records in 3 files" in said.err
    assert "drawing: " in said.err


def test_a_variant_without_logs_and_a_wrong_window_are_refused(
    experiments: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--variant", "v9", "--experiments", str(experiments)]) == 2
    assert "v9" in capsys.readouterr().err
    assert main(["--variant", "v1", "--experiments", str(experiments), "--smooth-window", "0"]) == 2
    assert "smooth_window must be at least 1" in capsys.readouterr().err
