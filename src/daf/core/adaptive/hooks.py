"""Hooks: user callbacks at milestones, each called once.

The journal has a line before and a line after each call, with the milestone's id. So a hook is called exactly once for
each milestone, no matter how often the controller crashes outside of it. A controller that was killed inside a hook
cannot know how far the hook came: the hook is not called again, and the experiment reports it as "unfinished", unless
`repeatable` declares that the hook itself recognizes by the id what it has already done.
"""

from collections.abc import Callable
from dataclasses import dataclass

from daf.core.adaptive.state import Experiment, Run


@dataclass(frozen=True)
class Milestone:
    """The argument of a hook. id: the same for every call for the same event."""

    id: str
    name: str
    run: Run | None
    experiment: Experiment


Hook = Callable[[Milestone], None]


@dataclass(frozen=True)
class Hooks:
    """Called in the controller's process, in the order of the milestones. One that raises is reported, not repeated."""

    on_training_complete: Hook | None = None
    on_evaluation_complete: Hook | None = None
    on_experiment_complete: Hook | None = None
    repeatable: bool = False

    def due(self, experiment: Experiment) -> list[tuple[Milestone, Hook]]:
        """The calls that have not been made yet."""
        found = []
        for milestone in experiment.milestones:
            name, _, rest = milestone.partition(":")
            hook = getattr(self, f"on_{name}")
            state = experiment.hooks.get(milestone)
            if hook is not None and (state is None or (state == "begun" and self.repeatable)):
                run = experiment.runs.get(rest.partition(":")[0])
                found.append((Milestone(milestone, name, run, experiment), hook))
        return found
