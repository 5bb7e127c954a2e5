"""Figures of measurements, for papers, slides and pages.

Every `daf_plot_*` takes whatever users have (a run directory or id, a report, rows, plain numbers) and returns a
`Plot`: the files that it wrote, and the matplotlib figure. All of them also take the settings of `Look`: title, dark,
dpi, formats.

A figure shows what was measured: intervals if there is sampling, n in the caption, units on the axes. Failures are
shown as such, or left out and counted. If there is nothing to draw, the figure or an error states the reason.
"""

from daf.reporting import daf_export_comparison_html, daf_generate_leaderboard
from daf.visualization._behaviour_plots import (
    daf_plot_action_frequency,
    daf_plot_position_heatmap,
    daf_plot_resource_collection_timeline,
)
from daf.visualization._plots import Look, Plot
from daf.visualization.dashboard import daf_generate_summary_dashboard
from daf.visualization.metric_plots import (
    daf_plot_detailed_metrics_comparison,
    daf_plot_metric_correlations,
    daf_plot_metric_distributions,
    daf_plot_metrics_correlation_matrix,
    daf_plot_policy_radar,
)
from daf.visualization.policy_plots import (
    daf_plot_cumulative_performance,
    daf_plot_episode_reward_distribution,
    daf_plot_policy_comparison,
)
from daf.visualization.run_figures import RunFigures, daf_plot_run
from daf.visualization.sweep_plots import (
    daf_plot_sweep_heatmap,
    daf_plot_sweep_parallel_coordinates,
    daf_plot_sweep_results,
)
from daf.visualization.training_plots import daf_plot_learning_dynamics, daf_plot_training_curves

__all__ = [
    "Look",
    "Plot",
    "RunFigures",
    "daf_export_comparison_html",
    "daf_generate_leaderboard",
    "daf_generate_summary_dashboard",
    "daf_plot_action_frequency",
    "daf_plot_cumulative_performance",
    "daf_plot_detailed_metrics_comparison",
    "daf_plot_episode_reward_distribution",
    "daf_plot_learning_dynamics",
    "daf_plot_metric_correlations",
    "daf_plot_metric_distributions",
    "daf_plot_metrics_correlation_matrix",
    "daf_plot_policy_comparison",
    "daf_plot_policy_radar",
    "daf_plot_position_heatmap",
    "daf_plot_resource_collection_timeline",
    "daf_plot_run",
    "daf_plot_sweep_heatmap",
    "daf_plot_sweep_parallel_coordinates",
    "daf_plot_sweep_results",
    "daf_plot_training_curves",
]
