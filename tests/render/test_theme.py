"""Colours that stay apart, and figures that are the same bytes each time."""

from itertools import combinations

import numpy as np
import pytest

from daf.errors import UsageError
from daf.render.theme import (
    DARK,
    DARK_GROUND,
    LIGHT,
    LIGHT_GROUND,
    MARKERS,
    MATPLOTLIB_MARKERS,
    save_figure,
    style,
    styles,
    themed,
)

SIGHT = {
    "normal": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
"""Machado, Oliveira and Fernandes 2009, severity 1, on linear RGB."""


def linear(color: str) -> np.ndarray:
    channels = np.array([int(color[at : at + 2], 16) for at in (1, 3, 5)]) / 255
    return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)


CONES = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
OKLAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)


def oklab(rgb: np.ndarray) -> np.ndarray:
    return OKLAB @ np.cbrt(CONES @ np.clip(rgb, 0, 1))


@pytest.mark.parametrize("sight", SIGHT)
@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
def test_all_colours_stay_apart_also_for_the_colour_blind(palette, sight):
    seen = [oklab(SIGHT[sight] @ linear(color)) for color in palette]
    apart = {pair: np.linalg.norm(seen[pair[0]] - seen[pair[1]]) for pair in combinations(range(len(palette)), 2)}
    closest = min(apart, key=apart.__getitem__)
    assert apart[closest] > 0.07, (sight, [palette[at] for at in closest])


@pytest.mark.parametrize(("palette", "ground"), [(LIGHT, LIGHT_GROUND), (DARK, DARK_GROUND)], ids=["light", "dark"])
def test_every_colour_has_contrast_to_its_ground(palette, ground):
    weights = np.array([0.2126, 0.7152, 0.0722])
    for color in palette:
        dim, bright = sorted(weights @ linear(shade) for shade in (color, ground.background))
        assert (bright + 0.05) / (dim + 0.05) >= 2.99, color


def test_the_first_seventy_series_all_look_different():
    assert len({style(position) for position in range(70)}) == 70


def test_a_name_keeps_its_style_when_later_names_come_or_names_repeat():
    few, more = styles(["starter", "random"]), styles(["starter", "random", "starter", "noop"])
    assert few["starter"] == more["starter"]
    assert few["random"] == more["random"]
    assert len(set(more.values())) == 3


def drawn():
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4, 3))
    axes = figure.subplots()
    axes.plot([0, 1, 2], [0, 3, 1], label="starter")
    axes.set_xlabel("step")
    axes.legend()
    return figure


@pytest.mark.parametrize("suffix", ["png", "pdf", "svg"])
def test_the_same_figure_is_the_same_file(tmp_path, suffix, monkeypatch):
    files = []
    for take, epoch in enumerate(("1000000000", "1500000000")):
        monkeypatch.setenv("SOURCE_DATE_EPOCH", epoch)
        with themed():
            files.append(save_figure(drawn(), tmp_path / f"{take}.{suffix}").read_bytes())
    assert files[0] == files[1]
    assert len(files[0]) > 1000


def test_a_png_has_150_dots_per_inch_and_the_ground_of_its_theme(tmp_path):
    from PIL import Image

    for dark, ground in ((False, LIGHT_GROUND), (True, DARK_GROUND)):
        with themed(dark=dark):
            image = Image.open(save_figure(drawn(), tmp_path / f"{dark}.png"))
        assert image.size == (600, 450)
        pixel = image.convert("RGB").getpixel((1, 1))
        assert "#{:02x}{:02x}{:02x}".format(*pixel) == ground.background


def test_the_theme_leaves_matplotlib_as_it_was():
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    with themed(dark=True):
        assert mpl.rcParams["axes.facecolor"] == DARK_GROUND.background
    assert dict(mpl.rcParams) == before


def test_an_unknown_format_is_refused_by_name(tmp_path):
    with pytest.raises(UsageError, match=r'no figure format "\.pgn"\. Nearest: \.png'):
        save_figure(drawn(), tmp_path / "x.pgn")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("dark", "palette"), [(False, LIGHT), (True, DARK)], ids=["light", "dark"])
def test_matplotlib_takes_the_palette_and_knows_every_marker(dark, palette):
    from matplotlib.markers import MarkerStyle

    with themed(dark=dark):
        import matplotlib as mpl

        assert mpl.rcParams["axes.prop_cycle"].by_key()["color"] == list(palette)
    for name in MARKERS:
        assert MarkerStyle(MATPLOTLIB_MARKERS[name]).get_marker() == MATPLOTLIB_MARKERS[name]
