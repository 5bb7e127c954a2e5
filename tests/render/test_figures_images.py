"""Figures against pictures of them that were looked at and kept."""

import numpy as np
import pytest
from PIL import Image

from tests.render.figure_samples import FIGURES, KEPT

LARGEST = 3.0
"""Of the root mean square difference, in steps of 255: what other builds of FreeType do to letters, not more."""


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_looks_as_it_was_kept(name, tmp_path):
    drawn = FIGURES[name](tmp_path / f"{name}.png").path
    with Image.open(drawn) as new, Image.open(KEPT / f"{name}.png") as kept:
        assert new.size == kept.size
        apart = np.asarray(new.convert("RGB"), float) - np.asarray(kept.convert("RGB"), float)
    error = float(np.sqrt((apart**2).mean()))
    assert error <= LARGEST, f"{name} differs by {error:.2f}; python -m tests.render.figure_samples keeps it anew"
