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
        "Sum of an agent's rewards over an episode; mean over the episodes that ended since the last update. The "
        "policy samples its actions, so an evaluation may score higher.",
    ),
    "reward/per_step": MetricWords("Reward per step", "reward per agent step", "Mean over the rollout."),
    "episode/length": MetricWords("Episode length", "steps", "Mean over the episodes that ended."),
    "episode/count": MetricWords("Episodes ended", "episodes", "Since the last update, counted per agent."),
    "imitation/agreement": MetricWords(
        "Agreement with the teacher",
        "fraction",
        "States led by the student in which its most probable action is the teacher's.",
    ),
    "imitation/agreement_in_new_views": MetricWords(
        "Agreement in new views",
        "fraction",
        "The same in states whose view the agent has for the first time in the episode.",
    ),
    "imitation/new_views": MetricWords(
        "New views", "fraction", "Labelled states whose view the agent has for the first time in the episode."
    ),
    "imitation/agreement_when_led": MetricWords(
        "Agreement where the teacher leads", "fraction", "The same in the states that the teacher leads."
    ),
    "imitation/student_return": MetricWords(
        "Student's return", "reward per agent", "Mean over the episodes that the student led."
    ),
    "imitation/teacher_return": MetricWords(
        "Teacher's return", "reward per agent", "Mean over the episodes that the teacher led."
    ),
    "imitation/looping": MetricWords(
        "Students that loop",
        "fraction",
        "Students that stay in a few places for 32 steps, although the teacher would mostly do something else.",
    ),
    "imitation/labelled": MetricWords("Labelled states", "fraction"),
    "imitation/teacher_led": MetricWords("States that the teacher leads", "fraction"),
    "loss/imitation": MetricWords(
        "Imitation loss",
        "nats",
        "Negative log-likelihood of the teacher's action, or divergence from its probabilities.",
    ),
    "loss/policy": MetricWords("Policy loss", "loss", "Near 0 by construction; its trend carries little information."),
    "loss/value": MetricWords("Value loss", "loss", "Error of the value estimate; it can rise as returns grow."),
    "loss/entropy": MetricWords(
        "Entropy", "nats", "Entropy of the action distribution; near 0, the policy no longer explores."
    ),
    "loss/total": MetricWords("Total loss", "loss"),
    "loss/approx_kl": MetricWords(
        "KL divergence per update", "nats", "Change of the policy in an update; values that stay above 0.05 are large."
    ),
    "loss/old_approx_kl": MetricWords("KL divergence, simple estimate", "nats", "A noisier estimate."),
    "loss/clip_fraction": MetricWords(
        "Clipped samples",
        "fraction",
        "Samples whose ratio PPO clipped; constantly above 0.3, steps are too large.",
    ),
    "loss/explained_variance": MetricWords(
        "Explained variance",
        "fraction",
        "1: the value estimate predicts returns exactly; 0 or less: no better than a constant.",
    ),
    "gradient/norm": MetricWords("Gradient norm", "norm before clipping"),
    "schedule/learning_rate": MetricWords("Learning rate", "step size"),
    "schedule/teacher_led": MetricWords("Share of environments for the teacher to lead", "fraction"),
    "schedule/clip_range": MetricWords("Clip range", "ratio"),
    "schedule/ent_coef": MetricWords("Entropy coefficient", "coefficient"),
    "schedule/reward_deviation": MetricWords(
        "Reward scale", "reward", "Rewards are divided by this standard deviation of the running discounted return."
    ),
    "loss/gradient_steps": MetricWords("Gradient steps per update", "steps"),
    "clock/sps": MetricWords("Speed", "agent steps / s", "Wall-clock; depends on the load of the machine."),
    "clock/seconds": MetricWords("Time", "s"),
    "clock/collect_seconds": MetricWords("Rollout time per update", "s"),
    "clock/teacher_seconds": MetricWords(
        "Time of teachers per update", "s", "In each process that steps environments."
    ),
    "clock/learn_seconds": MetricWords("Learning time per update", "s"),
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
    if name.startswith("imitation/recall/"):
        action = rest.partition("/")[2]
        return MetricWords(
            f"Recall of {action}",
            "fraction",
            f"States led by the student where the teacher does {action}, and so does it.",
        )
    if group == "curriculum":
        return MetricWords(rest.replace("_", " ").replace("/", ": ", 1).capitalize(), "value")
    return MetricWords(name, rest or name)
