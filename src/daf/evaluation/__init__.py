"""Play policies on missions and analyse the results: `daf evaluate`, `daf compare` and `daf quickstart`.

A repeated call reads cached episodes and plays the missing ones. Each call leaves a separate run directory with the
records, tables, the report and the requested replays.
"""

from daf.evaluation._analysis import Analysis, analyse, analyse_scores
from daf.evaluation.operation import evaluate
from daf.evaluation.result import Evaluation, pair_data, results_data, summary_data
from daf.playing.contenders import contenders_of
from daf.playing.planning import default_cache
from daf.playing.settings import SAVE_REPLAYS, Settings, settings_data

__all__ = [
    "SAVE_REPLAYS",
    "Analysis",
    "Evaluation",
    "Settings",
    "analyse",
    "analyse_scores",
    "contenders_of",
    "default_cache",
    "evaluate",
    "pair_data",
    "results_data",
    "settings_data",
    "summary_data",
]
