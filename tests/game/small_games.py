"""What the engines' tests share: missions by name, policies by class, and one episode played by either engine."""

import functools
import importlib
import sys

from daf.game import compat

compat.install()

from cogames.cli.mission import get_all_eval_mission_names, get_all_mission_names, get_game, get_mission  # noqa: E402
from mettagrid.policy.policy_env_interface import PolicyEnvInterface  # noqa: E402

from daf.game._reference_rollout import play_reference  # noqa: E402
from daf.game.object_rollout import play_object  # noqa: E402
from daf.game.seeding import own_generators, seed_everything  # noqa: E402
from daf.game.simulation import convert, with_map_seed  # noqa: E402

CLASSES = {
    "noop": "mettagrid.policy.noop.NoopPolicy",
    "random": "mettagrid.policy.random_agent.RandomMultiAgentPolicy",
    "starter": "cogames.policy.starter_agent.StarterPolicy",
    "miner": "cogames.policy.role_policies.MinerRolePolicy",
    "scout": "cogames.policy.role_policies.ScoutRolePolicy",
    "aligner": "cogames.policy.role_policies.AlignerRolePolicy",
    "scrambler": "cogames.policy.role_policies.ScramblerRolePolicy",
    "substrate_memory": "cogames.policy.cognitive_substrate_diagnostics.SubstrateMemoryPolicy",
    "substrate_exploration": "cogames.policy.cognitive_substrate_diagnostics.SubstrateExplorationPolicy",
    "substrate_planning": "cogames.policy.cognitive_substrate_diagnostics.SubstratePlanningPolicy",
    "tutorial_noop": "cogames.policy.tutorial_overlay_policy.TutorialOverlayPolicy",
    "lstm": "daf.policies.lstm.LSTMPolicy",
    "cogames_lstm": "mettagrid.policy.lstm.LSTMPolicy",
    "puffer": "mettagrid.policy.puffer_default.PufferDefaultPolicy",
    "pufferlib_cogs": "cogames.policy.pufferlib_policy.PufferlibCogsPolicy",
    "tutorial": "cogames.policy.tutorial_policy.TutorialPolicy",
    "token_grid": "daf.policies.token_grid.TokenGridPolicy",
    "token_lstm": "daf.policies.token_lstm.TokenLSTMPolicy",
    "trainable": "cogames.policy.trainable_policy_template.MyTrainablePolicy",
}
TEAM = ("starter", "noop", "miner", "scout", "aligner", "scrambler")


def all_missions():
    """The names of CoGames' missions and evals."""
    game = get_game("cogs_vs_clips")
    return [*get_all_mission_names(game), *get_all_eval_mission_names(game)]


def all_variants():
    """The names of CoGames' variants."""
    return [variant.name for variant in get_game("cogs_vs_clips").variant_registry.all()]


@functools.cache
def _mission(name, cogs, variants):
    return get_mission(name, list(variants) or None, cogs)[1]


def mission(name, *, steps=None, cogs=None, variants=()):
    """A mission's configuration, cut to `steps`, new each time."""
    env = _mission(name, cogs, tuple(variants)).model_copy(deep=True)
    if steps is not None:
        env.game.max_steps = min(steps, env.game.max_steps)
    return env


def policy_class(policy):
    """A policy class by short name; a class is itself."""
    if isinstance(policy, type):
        return policy
    module, _, name = CLASSES[policy].rpartition(".")
    cls = getattr(importlib.import_module(module), name)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)
    return cls


def play(engine, env, policies, assignment=None, *, seed=0, handlers=(), timeout=None, converted=None):
    """Play with new policies and seeded global generators; `engine` is "reference" or "object"."""
    env = with_map_seed(env, seed)
    agents = env.game.num_agents
    assignment = assignment or [agent % len(policies) for agent in range(agents)]
    classes = [
        policy_class(policy) for policy in policies
    ]  # which may import torch, whose generator is then seeded too
    with own_generators():
        seed_everything("policies", seed)
        interface = PolicyEnvInterface.from_mg_cfg(env)
        built = [cls(interface) for cls in classes]
        names = [f"policy {index}" for index in range(len(policies))]
        seed_everything("episode", seed)
        common = {"seed": seed, "policy_names": names, "enforce_timeouts": timeout, "handlers": handlers}
        if engine == "reference":
            return play_reference(env.model_copy(deep=True), built, assignment, **common)
        return play_object(env, built, assignment, **common, converted=converted or convert(env))


def assert_equal_outcomes(ours, reference):
    """Equal to the bit, also in which stats there are and in their order."""
    assert ours.rewards == reference.rewards
    assert ours.steps == reference.steps
    assert list(ours.game_stats.items()) == list(reference.game_stats.items())
    assert [list(a.items()) for a in ours.agent_stats] == [list(a.items()) for a in reference.agent_stats]
    assert list(ours.time_averaged_game_stats.items()) == list(reference.time_averaged_game_stats.items())
    assert ours == reference
