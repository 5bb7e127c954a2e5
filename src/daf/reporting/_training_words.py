"""Labels of a trainer's metrics on a page: title, unit, and how to read them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class MetricWords:
    """title: of the figure. unit: of its axis. meaning: one sentence."""

    title: str
    unit: str
    meaning: str = ""


METRICS = {
    "episode/return": MetricWords(
        "Return of training episodes",
        "reward per agent",
        "Sum of one agent's reward over an episode, mean of the episodes that ended since the last update; the policy "
        "samples its actions, so an evaluation may score higher.",
    ),
    "reward/per_step": MetricWords("Reward per step", "reward per agent step", "Mean over the rollout."),
    "episode/length": MetricWords("Length of episodes", "steps", "Of the episodes that ended."),
    "episode/count": MetricWords("Episodes ended", "episodes", "Agents whose episode ended since the last update."),
    "loss/policy": MetricWords("Policy loss", "loss", "Near 0 by construction; its trend carries little information."),
    "loss/value": MetricWords("Value loss", "loss", "Error of the value estimate; it may rise as returns grow."),
    "loss/entropy": MetricWords(
        "Entropy", "nats", "How undecided the policy is; a fall to 0 means that it explores no more."
    ),
    "loss/total": MetricWords("Total loss", "loss"),
    "loss/approx_kl": MetricWords(
        "KL divergence per update", "nats", "How far an update moved the policy; steady above 0.05 is far."
    ),
    "loss/old_approx_kl": MetricWords("KL divergence, first estimate", "nats", "The noisier estimate of the same."),
    "loss/clip_fraction": MetricWords(
        "Clipped samples", "fraction", "Samples whose ratio hit PPO's bound; steady above 0.3 means steps too large."
    ),
    "loss/explained_variance": MetricWords(
        "Explained variance",
        "fraction",
        "1: the value estimate foresees returns; 0 or less: no better than a constant.",
    ),
    "gradient/norm": MetricWords("Gradient norm", "norm before clipping"),
    "schedule/learning_rate": MetricWords("Learning rate", "step size"),
    "schedule/clip_range": MetricWords("Clip range", "ratio"),
    "schedule/ent_coef": MetricWords("Entropy weight", "coefficient"),
    "schedule/reward_deviation": MetricWords(
        "Deviation that rewards are divided by", "reward", "Of the running discounted sum of rewards."
    ),
    "loss/gradient_steps": MetricWords("Gradient steps per update", "steps"),
    "clock/sps": MetricWords("Speed", "agent steps / s", "Wall-clock; it depends on what else ran."),
    "clock/seconds": MetricWords("Time", "s"),
    "clock/collect_seconds": MetricWords("Collecting per update", "s"),
    "clock/learn_seconds": MetricWords("Learning per update", "s"),
    "system/cpu_percent": MetricWords("CPU", "% of one core"),
    "system/memory_mb": MetricWords("Memory", "MB"),
    "system/gpu_memory_mb": MetricWords("GPU memory", "MB"),
}


def words(name: str) -> MetricWords:
    """The label of a metric; the name itself if the metric is unknown."""
    known = METRICS.get(name)
    if known is not None:
        return known
    group, _, rest = name.partition("/")
    if group == "stats":
        return MetricWords(rest, "per episode")
    if group == "curriculum":
        return MetricWords(rest.replace("_", " ").replace("/", ": ", 1).capitalize(), "value")
    return MetricWords(name, rest or name)
