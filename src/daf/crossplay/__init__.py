"""Cross-play: how each policy performs in teams with others, and which policy gains from which."""

from daf.crossplay._words import headline, sentences
from daf.crossplay.analysis import CrossplayAnalysis, MixRow, Paired, PairTeam, PartnerReturn, PolicyTeams
from daf.crossplay.operation import daf_crossplay
from daf.crossplay.result import CrossplayReport, crossplay_data
from daf.crossplay.teams import MIXES, mixes

__all__ = [
    "MIXES",
    "CrossplayAnalysis",
    "CrossplayReport",
    "MixRow",
    "PairTeam",
    "Paired",
    "PartnerReturn",
    "PolicyTeams",
    "crossplay_data",
    "daf_crossplay",
    "headline",
    "mixes",
    "sentences",
]
