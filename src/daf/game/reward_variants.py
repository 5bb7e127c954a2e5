"""CoGames' reward variants: rewards added to a mission's own so that training has something to begin with.

They change what is paid and nothing that is seen or done, so a policy trained with them plays the mission itself. What
it earns there is what counts: evaluations during training leave them out (`daf.game.missions.unshaped`).
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from daf.errors import MissionError, unknown

if TYPE_CHECKING:
    from mettagrid import MettaGridConfig

REWARD_VARIANTS: dict[str, str] = {
    "objective": "Nothing but the mission's own rewards.",
    "no_objective": "Takes out the reward for held junctions.",
    "milestones": "Pays for every junction aligned (1) or scrambled (0.5).",
    "objective_mine": "Held junctions count five times (objective_mine:25: 25 times); little for what leads to them.",
    "credit": "Pays little, up to a limit, for hearts, gear and elements.",
    "miner": "Pays miners: gear, elements gained and brought; other gear costs.",
    "aligner": "Pays aligners: gear, hearts, junctions aligned (5); other gear costs.",
    "scrambler": "Pays scramblers: gear, hearts, junctions scrambled (5); other gear costs.",
    "scout": "Pays scouts: gear, and cells visited; other gear costs.",
    "role_conditional": "Pays each agent as miner, aligner, scrambler or scout, by its first vibe or its place.",
    "penalize_vibe_change": "Takes 0.01 for every change of vibe.",
}
"""Name: what it does (a test pins the names to upstream's)."""

_FACTOR = "objective_mine:"


def check_names(names: Sequence[str], where: str) -> None:
    """Raise `MissionError` for what is no reward variant; `where` is told first."""
    for name in names:
        if name not in REWARD_VARIANTS and not name.startswith(_FACTOR):
            hint = "`daf missions --variants` lists them."
            raise MissionError(f"{where}: {unknown('reward variant', name, REWARD_VARIANTS, hint=hint)}")


def add_rewards(config: "MettaGridConfig", names: Sequence[str], where: str) -> None:
    """Change `config`'s rewards as upstream does. Raises `MissionError` where a variant does not fit the mission."""
    from cogames.games.cogs_vs_clips.train.reward_variants import apply_reward_variants

    try:
        apply_reward_variants(config, variants=list(names))
    except (ValueError, AssertionError) as error:
        raise MissionError(f"{where}: rewards={'+'.join(names)} do not fit this mission: {error}") from error
