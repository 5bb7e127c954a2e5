"""The short names of upstream's policies and of DAF's own, as a table.

Upstream finds its short names by importing every policy module, including torch (3 s). A test compares this table with
upstream's registry, so that a new release is noticed.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class KnownPolicy:
    """A policy with a short name. needs_torch: it needs the extra `train`."""

    class_path: str
    needs_torch: bool
    description: str


_ROLES = "cogames.policy.role_policies"
_SUBSTRATE = "cogames.policy.cognitive_substrate_diagnostics"

_SCRIPTED = {
    "starter": ("cogames.policy.starter_agent.StarterPolicy", "CoGames' scripted starter: takes roles, mines, aligns"),
    "random": ("mettagrid.policy.random_agent.RandomMultiAgentPolicy", "random actions (kw.vibe_action_p)"),
    "noop": ("mettagrid.policy.noop.NoopPolicy", "does nothing"),
    "miner": (f"{_ROLES}.MinerRolePolicy", "the starter, always a miner"),
    "scout": (f"{_ROLES}.ScoutRolePolicy", "the starter, always a scout"),
    "aligner": (f"{_ROLES}.AlignerRolePolicy", "the starter, always an aligner"),
    "scrambler": (f"{_ROLES}.ScramblerRolePolicy", "the starter, always a scrambler"),
    "substrate_memory": (f"{_SUBSTRATE}.SubstrateMemoryPolicy", "solves the memory evals"),
    "substrate_exploration": (f"{_SUBSTRATE}.SubstrateExplorationPolicy", "solves the exploration evals"),
    "substrate_planning": (f"{_SUBSTRATE}.SubstratePlanningPolicy", "solves the planning evals"),
    "tutorial_noop": (
        "cogames.policy.tutorial_overlay_policy.TutorialOverlayPolicy",
        "does nothing, with tutorial texts",
    ),
    "cartographer": (
        "daf.policies.cartographer.CartographerPolicy",
        "DAF's scripted baseline: charts the map, mines, aligns junctions",
    ),
    "facility_solver": (
        "daf.policies.facility_solver.FacilitySolverPolicy",
        "solves training_facility_1, training_facility_2 and assembler_2",
    ),
    "chaos-monkey": ("cogames.policy.chaos_monkey.ChaosMonkeyPolicy", "fails on purpose (kw.fail_step)"),
}
_NETWORKS = {
    "lstm": (
        "daf.policies.lstm.LSTMPolicy",
        "CoGames' recurrent network, with a width (kw.hidden_size, 128); untrained without data=",
    ),
    "cogames_lstm": ("mettagrid.policy.lstm.LSTMPolicy", "CoGames' own class of lstm, with the fixed width of 128"),
    "stateless": ("mettagrid.policy.stateless.StatelessPolicy", "feed-forward network; untrained without data="),
    "token": ("mettagrid.policy.token_encoder.TokenPolicy", "token encoder; untrained without data="),
    "puffer": ("mettagrid.policy.puffer_default.PufferDefaultPolicy", "PufferLib's default network"),
    "pufferlib_cogs": ("cogames.policy.pufferlib_policy.PufferlibCogsPolicy", "PufferLib's network, scaled input"),
    "tutorial": ("cogames.policy.tutorial_policy.TutorialPolicy", "the trainable network of CoGames' tutorial"),
    "token_grid": (
        "daf.policies.token_grid.TokenGridPolicy",
        "DAF's spatial network: tokens on a grid, convolutions, LSTM",
    ),
    "token_lstm": ("daf.policies.token_lstm.TokenLSTMPolicy", "DAF's network to train: token table, pooling, LSTM"),
}

KNOWN: dict[str, KnownPolicy] = {
    **{name: KnownPolicy(path, False, text) for name, (path, text) in _SCRIPTED.items()},
    **{name: KnownPolicy(path, True, text) for name, (path, text) in _NETWORKS.items()},
}
BATCHED = frozenset(
    {
        "daf.policies.token_grid.TokenGridPolicy",
        "daf.policies.lstm.LSTMPolicy",
        "daf.policies.token_lstm.TokenLSTMPolicy",
        "mettagrid.policy.lstm.LSTMPolicy",
        "mettagrid.policy.puffer_default.PufferDefaultPolicy",
        "mettagrid.policy.stateless.StatelessPolicy",
        "cogames.policy.tutorial_policy.TutorialPolicy",
        "cogames.policy.pufferlib_policy.PufferlibCogsPolicy",
        "cogames.policy.trainable_policy_template.MyTrainablePolicy",
    }
)
"""Classes whose network the batch engine may call for many agents at once: those with an adapter there."""
ALIASES = {"baseline": "starter"}
SHORT_NAMES = {known.class_path: name for name, known in KNOWN.items()}
