"""Hooks: what a user wants to happen at milestones, once.

The journal has a line before and a line after each call, with the milestone's id. So a hook is called exactly once for
each milestone, over any number of crashes outside of it. A controller that is killed inside a hook cannot know how far
it came: it is not called again, and the experiment says "unfinished" of it, unless `repeatable` says that the hook
itself tells by the id what it has done already.
"""

from collections.abc import Callable
from dataclasses import dataclass

from daf.core.adaptive.state import Experiment, Run


@dataclass(frozen=True)
class Milestone:
    """What a hook is called with. id: the same whenever it is called for the same thing."""

    id: str
    name: str
    run: Run | None
    experiment: Experiment


Hook = Callable[[Milestone], None]


@dataclass(frozen=True)
class Hooks:
    """Called in the controller's process, in the order of the milestones. One that raises is told of, not repeated."""

    on_training_complete: Hook | None = None
    on_evaluation_complete: Hook | None = None
    on_experiment_complete: Hook | None = None
    repeatable: bool = False

    def due(self, experiment: Experiment) -> list[tuple[Milestone, Hook]]:
        """The calls that are still to be made."""
        found = []
        for milestone in experiment.milestones:
            name, _, rest = milestone.partition(":")
            hook = getattr(self, f"on_{name}")
            state = experiment.hooks.get(milestone)
            if hook is not None and (state is None or (state == "begun" and self.repeatable)):
                run = experiment.runs.get(rest.partition(":")[0])
                found.append((Milestone(milestone, name, run, experiment), hook))
        return found
