"""CoGames' reward variants: additional rewards that give training an early signal.

They change only rewards, not observations or actions, so a policy trained with them plays the mission itself. Its
return there is what counts: evaluations during training leave them out (`daf.game.missions.unshaped`).
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from daf.errors import MissionError, unknown

if TYPE_CHECKING:
    from mettagrid import MettaGridConfig

REWARD_VARIANTS: dict[str, str] = {
    "objective": "Only the mission's own rewards.",
    "no_objective": "Removes the reward for held junctions.",
    "milestones": "Rewards every junction aligned (1) or scrambled (0.5).",
    "objective_mine": "Held junctions count five times (objective_mine:25: 25 times); small rewards on the way.",
    "credit": "Small rewards, up to a limit, for hearts, gear and elements.",
    "miner": "Rewards miners: gear, elements gained and deposited; other gear costs.",
    "aligner": "Rewards aligners: gear, hearts, junctions aligned (5); other gear costs.",
    "scrambler": "Rewards scramblers: gear, hearts, junctions scrambled (5); other gear costs.",
    "scout": "Rewards scouts: gear, and cells visited; other gear costs.",
    "role_conditional": "Rewards each agent as miner, aligner, scrambler or scout, by its first vibe or its place.",
    "penalize_vibe_change": "Costs 0.01 for every change of vibe.",
}
"""Name: what it does (a test pins the names to upstream's)."""

_FACTOR = "objective_mine:"


def check_names(names: Sequence[str], where: str) -> None:
    """Raise `MissionError` for an unknown reward variant; `where` starts the message."""
    for name in names:
        if name not in REWARD_VARIANTS and not name.startswith(_FACTOR):
            hint = "`daf missions --variants` lists them."
            raise MissionError(f"{where}: {unknown('reward variant', name, REWARD_VARIANTS, hint=hint)}")


def add_rewards(config: "MettaGridConfig", names: Sequence[str], where: str) -> None:
    """Change `config`'s rewards as upstream does. Raises `MissionError` if a variant does not fit the mission."""
    from cogames.games.cogs_vs_clips.train.reward_variants import apply_reward_variants

    try:
        apply_reward_variants(config, variants=list(names))
    except (ValueError, AssertionError) as error:
        raise MissionError(f"{where}: rewards={'+'.join(names)} do not fit this mission: {error}") from error
