"""`DAFTrainingConfig`: one training run, and with it the one table of hyperparameters.

Each field has its meaning, its bounds, its aliases (SB3's and PuffeRL's) and its group. The table in
`daf.config.hyperparameters` is derived from these fields, so that files, the command line and sweeps know the same
names. An alias can replace the field's own name; both at once is an error.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, StringConstraints, model_validator

from daf.config.base import ConfigModel, PathField, SectionField, device_name
from daf.errors import unknown

Name = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]
Scalar = bool | int | float | str
Seed = Annotated[int, Field(ge=0, lt=2**31)]
Auto = Literal["auto"]
TrackerName = Literal["tensorboard", "wandb", "mlflow", "trackio"]


def _device(value: object) -> object:
    name = device_name(value)
    if not isinstance(name, str) or re.fullmatch(r"auto|cpu|mps|cuda(:\d{1,3})?", name) is None:
        raise ValueError(unknown("device", str(name), ("auto", "cpu", "cuda", "cuda:N", "mps")).rstrip("."))
    return name


Device = Annotated[Literal["auto", "cpu", "cuda", "mps"] | str, BeforeValidator(_device)]
"""A device's name, or a `torch.device`."""


def _hyper(default: Any, group: str, description: str, *aliases: str, **bounds: Any) -> Any:
    """A field with its place in the table of hyperparameters."""
    return Field(
        default, description=description, json_schema_extra={"group": group, "aliases": list(aliases)}, **bounds
    )


class DAFTrainingConfig(ConfigModel):
    """One training run: PPO, after a phase of imitation if there is a teacher."""

    kind: ClassVar[str] = "training"

    experiment_name: Name = "training"
    mission: Name | Annotated[list[Name], Field(min_length=1)] | None = Field(
        default=None, description="Mission to train on, or several; None if the enclosing operation names one."
    )
    game: Literal["cogs_vs_clips", "overcogged"] = Field(default="cogs_vs_clips", description="CoGames' game.")
    policy: Name | None = Field(default=None, description="Policy to train; None if the enclosing operation names one.")

    total_timesteps: int = _hyper(1_000_000, "run", "Total agent steps.", "steps", "num_steps", ge=1)
    seed: Seed = _hyper(42, "run", "Seed of weights, episodes, actions and minibatches.")
    device: Device = _hyper("auto", "run", "Device of the network.")
    num_envs: Annotated[int, Field(ge=1, le=65536)] | Auto = _hyper(
        "auto", "collection", "Parallel environments; auto: enough for about 256 agents.", "envs"
    )
    num_workers: Annotated[int, Field(ge=1, le=1024)] | Auto = _hyper(
        "auto",
        "run",
        "Processes that step the environments; auto: one per core. Results do not depend on it.",
        "workers",
    )
    workers_per_node: int = _hyper(
        1,
        "run",
        "Processes (ranks) per machine that learn one network together, each from its share of the environments.",
        "nproc",
        ge=1,
        le=256,
    )
    scale: Literal["strong", "weak"] = _hyper(
        "strong",
        "run",
        "Whether num_envs and batch_size are those of all ranks together (strong) or of each (weak); weak multiplies "
        "the learning rate by √ranks with adam, adamw and rmsprop, by ranks with sgd.",
    )
    n_steps: int = _hyper(
        64, "collection", "Steps collected per agent before an update.", "rollout_length", ge=2, le=65536
    )
    bptt_horizon: int | None = _hyper(
        None, "algorithm", "Steps that gradients flow back through time; None: n_steps.", "sequence_length", ge=1
    )

    learning_rate: float = _hyper(1e-3, "optimizer", "Peak learning rate.", "lr", gt=0, le=1)
    gamma: float = _hyper(0.99, "algorithm", "Discount per step.", "discount", ge=0, le=1)
    gae_lambda: float = _hyper(0.95, "algorithm", "λ of generalised advantage estimation.", ge=0, le=1)
    clip_range: float = _hyper(
        0.2, "algorithm", "PPO's bound on the ratio of new to old probability, minus 1.", "clip_coef", gt=0, le=10
    )
    clip_range_vf: float | None = _hyper(
        None, "algorithm", "Clip range of the value function; None: no clipping.", "vf_clip_coef", gt=0
    )
    n_epochs: int = _hyper(2, "algorithm", "Passes over each rollout.", "update_epochs", ge=1, le=1000)
    batch_size: Annotated[int, Field(ge=1)] | Auto = _hyper(
        "auto",
        "algorithm",
        "Agent steps per gradient step; auto: a quarter of the rollout, or a sixteenth with a teacher.",
        "minibatch_size",
    )
    max_minibatch_size: int | None = _hyper(
        None,
        "run",
        "Agent steps per backward pass; gradients add up to batch_size. None: batch_size.",
        ge=1,
    )
    ent_coef: float = _hyper(0.01, "algorithm", "Weight of the entropy bonus.", "entropy_coef", ge=0)
    ent_coef_final: float | None = _hyper(
        None, "schedule", "Final weight of the entropy bonus, reached linearly; None: constant.", ge=0
    )
    vf_coef: float = _hyper(0.5, "algorithm", "Weight of the value loss.", "value_coef", ge=0)
    max_grad_norm: float | None = _hyper(0.5, "optimizer", "Maximum norm of the gradient; None: no clipping.", gt=0)
    target_kl: float | None = _hyper(
        None, "algorithm", "An update ends early if the mean KL divergence exceeds this; None: never.", gt=0
    )
    normalize_advantage: bool = _hyper(True, "algorithm", "Scale advantages per minibatch.", "norm_adv")
    normalize_rewards: bool = _hyper(
        True, "algorithm", "Divide rewards by the running standard deviation of the discounted return.", "norm_reward"
    )
    reward_scale: float = _hyper(1.0, "algorithm", "Rewards are multiplied by this before learning.", gt=0)
    reward_clip: float | None = _hyper(
        None, "algorithm", "Rewards are clipped to ± this before learning (PuffeRL: 1); None: not clipped.", gt=0
    )
    bootstrap_truncated: bool = _hyper(
        True, "algorithm", "Bootstrap from the value of the last observation when a step limit ends an episode."
    )
    prio_alpha: float = _hyper(
        0.0, "algorithm", "Sequences are drawn with probability ∝ |advantage|^this; 0: each once per epoch.", ge=0, le=2
    )
    prio_beta0: float = _hyper(
        0.2, "algorithm", "Importance-sampling exponent of prioritised draws at the start; 1 at the end.", ge=0, le=1
    )
    vtrace_rho_clip: float | None = _hyper(
        None, "algorithm", "V-trace's bound on the ratio in the error term; None: plain GAE.", gt=0
    )
    vtrace_c_clip: float | None = _hyper(
        None, "algorithm", "V-trace's bound on the ratio in the trace; None: plain GAE.", gt=0
    )

    optimizer: Literal["adam", "adamw", "rmsprop", "sgd"] = _hyper("adam", "optimizer", "The optimizer.")
    adam_beta1: float = _hyper(0.9, "optimizer", "Adam's decay of the mean; momentum of sgd and rmsprop.", ge=0, lt=1)
    adam_beta2: float = _hyper(0.999, "optimizer", "Adam's decay of the square; rmsprop's alpha.", ge=0, lt=1)
    adam_eps: float = _hyper(1e-5, "optimizer", "Added to the divisor by adam, adamw and rmsprop.", gt=0)
    weight_decay: float = _hyper(0.0, "optimizer", "Weight decay of all parameters.", ge=0)
    lr_schedule: Literal["constant", "linear", "cosine"] = _hyper(
        "linear", "schedule", "How the learning rate decays until total_timesteps.", "anneal_lr"
    )
    min_lr_ratio: float = _hyper(0.0, "schedule", "Final learning rate as a fraction of the first.", ge=0, le=1)
    warmup_steps: int = _hyper(0, "schedule", "Agent steps during which the learning rate rises from 0.", ge=0)

    teacher: Name | Annotated[list[Name], Field(min_length=1)] | None = Field(
        default=None,
        description="Policy to imitate before PPO; or a list with one for each agent. None: PPO from the start.",
    )
    imitate_steps: int | None = _hyper(
        None, "imitation", "Agent steps of the phase imitate, before PPO; None: total_timesteps.", ge=1
    )
    teacher_led: float = _hyper(
        0.5, "imitation", "Share of the environments whose episodes the teacher leads at the start.", ge=0, le=1
    )
    teacher_led_final: float | None = _hyper(
        0.1, "imitation", "The same at the end of the phase, reached linearly; None: constant.", ge=0, le=1
    )
    imitation_loss: Literal["nll", "kl"] = _hyper(
        "nll",
        "imitation",
        "nll: negative log-likelihood of the teacher's action; kl: divergence from a network's probabilities.",
    )
    rare_action_weight: float = _hyper(
        0.5,
        "imitation",
        "A label's weight is (1 / the frequency of its action) to this power; 0: all equal.",
        ge=0,
        le=1,
    )
    stagger_episodes: bool = _hyper(
        True, "imitation", "Cut the first episodes, so that environments are in different parts of their episodes."
    )
    repeated_view_weight: float = _hyper(
        0.5,
        "imitation",
        "A label's weight is (1 / how often its agent has had that view in the episode) to this power; 0: all equal.",
        ge=0,
        le=1,
    )
    idle_steps: int | None = _hyper(
        16,
        "imitation",
        "Cut an episode after this many steps in which no agent had a new view, but not in one environment of eight; "
        "None: never.",
        ge=1,
    )
    learned_share: float = _hyper(
        0.5,
        "imitation",
        "Share of a rollout's sequences that each pass learns from, drawn in proportion to the weight of their labels.",
        gt=0,
        le=1,
    )
    label_share: float = _hyper(
        1.0,
        "imitation",
        "Share of the states led by the student that a teacher with observe() and act() labels; others label all.",
        gt=0,
        le=1,
    )

    precision: Literal["float32", "bfloat16"] = _hyper(
        "float32", "run", "Precision of the network; bfloat16 needs a GPU."
    )
    compile: bool = _hyper(False, "run", "Compile the network with torch.compile.")
    gradient_checkpointing: bool = _hyper(
        False, "run", "Recompute activations instead of storing them, if the policy supports it."
    )
    threads: Annotated[int, Field(ge=1, le=1024)] | Auto = _hyper(
        "auto", "run", "Torch threads for learning; auto: one per core. Results depend on it in the last bits."
    )
    memory_budget_mb: int | None = _hyper(
        None, "run", "num_envs and max_minibatch_size on auto are chosen to stay below this; None: no bound.", ge=16
    )
    network: dict[str, Scalar] = Field(
        default_factory=dict, description="Arguments of the policy class, such as hidden_size."
    )

    initial_weights: PathField | None = Field(default=None, description="Weights or a checkpoint to start from.")
    use_distributed: bool = Field(
        default=False,
        description="Let several processes learn one network together: num_workers of them, or workers_per_node.",
    )
    eval_frequency: int | None = Field(
        default=100_000, ge=1, description="Agent steps between evaluations; None: never."
    )
    eval_episodes: int = Field(default=10, ge=1, description="Episodes per evaluation and mission.")
    eval_missions: list[Name] | None = Field(
        default=None, description="None: the training missions, without reward variants."
    )
    eval_baselines: bool = Field(
        default=True,
        description="Before training, evaluate the initial weights and random on the episodes of the evaluations, to "
        "test at the end whether the policy is better.",
    )
    eval_replays: int = Field(default=1, ge=0, le=3, description="Replays kept per mission: best, worst, median.")
    checkpoint_frequency: int = Field(default=100_000, ge=1, description="Agent steps between checkpoints.")
    keep_last_checkpoints: int = Field(default=5, ge=1, description="Checkpoints kept; the oldest are deleted first.")
    keep_best_checkpoints: int = Field(default=1, ge=0, description="Checkpoints with the best evaluations, also kept.")
    milestone_frequency: int | None = Field(
        default=None, ge=1, description="Agent steps between checkpoints that are kept permanently."
    )
    log_interval: int = Field(default=16, ge=1, description="Environment steps between the samples in json_logs.")
    log_agents: int = Field(default=4, ge=0, description="Total agents sampled for json_logs; 0: no json_logs.")
    trackers: list[TrackerName] = Field(default=["tensorboard"], description="Trackers in addition to metrics.jsonl.")
    tracker_options: dict[str, dict[str, Scalar]] = Field(
        default_factory=dict, description="Options by tracker, such as wandb: {project: …, mode: offline}."
    )
    curriculum: SectionField = Field(default=None, description="Tasks drawn for each episode; None: the mission.")

    @model_validator(mode="before")
    @classmethod
    def _aliases(cls, values: Any) -> Any:
        if not isinstance(values, Mapping):
            return values
        plain = without_aliases(values)
        workers = plain.get("num_workers")
        if plain.get("use_distributed") is True and isinstance(workers, int):
            plain.setdefault("workers_per_node", workers)
        return plain

    @model_validator(mode="after")
    def _fits(self) -> "DAFTrainingConfig":
        if self.bptt_horizon is not None and self.n_steps % self.bptt_horizon:
            raise ValueError(f"bptt_horizon {self.bptt_horizon} does not divide n_steps {self.n_steps}")
        horizon = self.bptt_horizon or self.n_steps
        if isinstance(self.batch_size, int) and self.batch_size % horizon:
            below, above = self.batch_size // horizon * horizon, -(-self.batch_size // horizon) * horizon
            raise ValueError(
                f"batch_size must be a multiple of the sequences' {horizon} steps, got {self.batch_size}; nearest: "
                f"{f'{below} or ' if below else ''}{above}"
            )
        if self.normalize_rewards and self.reward_scale != 1.0:
            raise ValueError(
                f"reward_scale {self.reward_scale:g} has no effect with normalize_rewards, which divides it out; set "
                "normalize_rewards: false"
            )
        if self.use_distributed and self.workers_per_node == 1:
            raise ValueError("use_distributed needs num_workers or workers_per_node of 2 or more")
        if (self.vtrace_rho_clip is None) != (self.vtrace_c_clip is None):
            raise ValueError("vtrace_rho_clip and vtrace_c_clip belong together: set both or neither")
        return self

    def keeping(self, most: int) -> Self:
        """This configuration, with `keep_last_checkpoints` at `most` unless it is set."""
        return self if "keep_last_checkpoints" in self.model_fields_set else self.replace(keep_last_checkpoints=most)

    @property
    def missions(self) -> list[str]:
        """The missions named in `mission`."""
        return [] if self.mission is None else [self.mission] if isinstance(self.mission, str) else list(self.mission)


IMITATION = tuple(
    name
    for name, field in DAFTrainingConfig.model_fields.items()
    if isinstance(field.json_schema_extra, dict) and field.json_schema_extra["group"] == "imitation"
)
"""The settings of the phase `imitate`, which need a teacher."""


def aliases_of(extra: Mapping[str, Any]) -> list[str]:
    """The other names in a field's extra."""
    return [str(alias) for alias in extra["aliases"]]


ALIASES: dict[str, str] = {
    alias: name
    for name, field in DAFTrainingConfig.model_fields.items()
    if isinstance(field.json_schema_extra, dict)
    for alias in aliases_of(field.json_schema_extra)
}
"""The fields' other names. Where PuffeRL's `anneal_lr` is given, true is its cosine and false is constant."""


def without_aliases(values: Mapping[str, Any]) -> dict[str, Any]:
    """`values` by the fields' own names. Raises `ValueError` if a name and its alias are both given."""
    plain: dict[str, Any] = {}
    for given, value in values.items():
        name = ALIASES.get(given, given)
        if name in plain or (name != given and name in values):
            raise ValueError(f"{given} and {name} are two names of the same hyperparameter; use only one")
        plain[name] = {True: "cosine", False: "constant"}.get(value, value) if given == "anneal_lr" else value
    return plain
