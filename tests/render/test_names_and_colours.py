"""Names in figures are shown as they are, and a policy keeps its colour over all figures of a run."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from daf.evaluation import Evaluation, Settings, evaluate
from daf.game.outcome import SeriesRequest
from daf.output_manager import OutputManager
from daf.render.figures.curves import Curve, CurvePanel, curves_figure
from daf.render.figures.map import VisitMap, map_figure
from daf.render.theme import legend, series_order, style, styles
from daf.visualization import daf_plot_position_heatmap, daf_plot_run

ODD = ["_hidden", "plain", "$a_b$", "__x__"]


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for made in figure.legends for text in made.get_texts()]


def test_a_legend_names_what_begins_with_an_underscore_and_holds_dollars() -> None:
    figure = Figure()
    axes = figure.add_subplot()
    lines = [line for place in range(len(ODD)) for line in axes.plot([0, 1], [place, place])]
    legend(figure, lines, ODD)
    assert texts(figure) == ODD


def test_the_figure_of_curves_names_every_series() -> None:
    curves = [Curve(name, [0.5, 1.0], [1.0, 2.0], points=[(1.0, 2.0, (1.0, 3.0))]) for name in ODD]
    figure = curves_figure([CurvePanel("p", "y", curves, zero=True)], x_label="x", title="_p over $q$", caption="")
    assert texts(figure) == ODD
    assert not any(text.get_parse_math() for made in figure.legends for text in made.get_texts())
    assert not figure.legends[0].get_title().get_parse_math()


@pytest.mark.parametrize(
    ("most", "ticks"),
    [(1, [1, 2]), (4, [1, 2, 4]), (9, [1, 2, 5, 9]), (130, [1, 2, 5, 10, 20, 50, 130]), (2_000_000, None)],
)
def test_the_colour_bar_of_visits_has_round_counts_and_the_largest(most: int, ticks: list[int] | None) -> None:
    visits = np.array([[1.0, float(most)], [0.0, 1.0]])
    bar = map_figure([VisitMap("m", visits)], title="", caption="").axes[-1]
    found = [int(tick.get_text().replace(",", "")) for tick in bar.get_yticklabels()]
    assert found == (ticks or [10**power for power in range(7)] + [most])


@pytest.fixture(scope="module")
def evaluation(tmp_path_factory: pytest.TempPathFactory) -> Evaluation:
    settings = Settings(episodes=2, executor="serial", report=False, series=SeriesRequest(5, (), (), True))
    output = OutputManager(tmp_path_factory.mktemp("colours"))
    return evaluate(
        ["noop", "random", "starter"], "training_facility_1,max_steps=40", settings=settings, output=output,
        operation="comparisons",
    )  # fmt: skip


def test_sampled_positions_are_drawn_with_the_missions_walls(evaluation: Evaluation, tmp_path: Path) -> None:
    for source in (evaluation, evaluation.run_dir):
        plot = daf_plot_position_heatmap(source, tmp_path / "a.png")
        walls, visits = (image.get_array() for image in plot.figure.axes[0].images)
        assert walls.shape == visits.shape == (15, 15)
        assert walls.filled(0)[0].all()
        assert not (walls.filled(0).astype(bool) & (visits.filled(0) > 0)).any()
        assert "Grey: walls." in plot.figure.get_supxlabel()


def test_in_a_series_order_the_style_of_a_name_depends_only_on_its_place() -> None:
    with series_order(["a", "b", "c"]):
        assert styles(["c", "b"]) == {"c": style(2), "b": style(1)}
        assert styles(["other", "b"]) == {"other": style(0), "b": style(1)}
    assert styles(["c", "b"]) == {"c": style(0), "b": style(1)}


def test_a_policy_keeps_its_colour_in_every_figure_where_another_has_no_result(
    evaluation: Evaluation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    from daf.visualization import policy_plots
    from daf.visualization.dashboard import daf_generate_summary_dashboard

    records = tuple(replace(r, outcome=None) if r.spec.name == "noop" else r for r in evaluation.result.records)
    run = replace(evaluation.run, result=replace(evaluation.result, records=records))
    broken = replace(evaluation, run=run)
    looked: list[dict[str, str]] = []
    for module in ("means", "spread", "curves", "radar", "sheet"):
        target = __import__(f"daf.render.figures.{module}", fromlist=["styles"])

        def noted(names: list[str], real: object = target.styles) -> dict[str, object]:
            found = real(names)  # type: ignore[operator]
            looked.append({name: look.color() for name, look in found.items()})
            return found  # type: ignore[no-any-return]

        monkeypatch.setattr(target, "styles", noted)
    for draw in (policy_plots.daf_plot_policy_comparison, daf_generate_summary_dashboard):
        draw(broken, tmp_path / "a.png")
    from daf.visualization import daf_plot_action_frequency

    daf_plot_action_frequency(broken, tmp_path / "b.png")
    expected = {name: style(place).color() for place, name in enumerate(["noop", "random", "starter"])}
    shown = [found for found in looked if set(found) <= set(expected)]
    assert len(shown) >= 3
    assert any("noop" not in found for found in shown)
    for found in shown:
        assert found == {name: expected[name] for name in found}


def test_the_figures_of_a_run_are_drawn(evaluation: Evaluation, tmp_path: Path) -> None:
    made = daf_plot_run(evaluation.run_dir, ["comparison", "positions"], output_dir=tmp_path)
    assert all(path.stat().st_size > 5_000 for path in made.paths)
